"""A data frame as Qt's views want it: sortable, its values readable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from napari_nanoseg.evaluation.figures import Figure
from napari_nanoseg.measurement.columns import definition, heading, reading_order

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Index = QModelIndex | QPersistentModelIndex

LINE = 12
"""Characters after which a heading goes on in the next line."""


class FrameModel(QAbstractTableModel):
    """Rows of a data frame in the order they are sorted in; columns in reading order.

    Parameters
    ----------
    parent : QObject, optional
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.table: DataFrame | None = None
        self.names: list[str] = []
        self._values: list[NDArray[Any]] = []
        self.order: NDArray[np.int64] = np.zeros(0, np.int64)
        self._words: Mapping[str, Figure] = {}

    def set_table(self, table: DataFrame | None, words: Mapping[str, Figure] | None = None) -> None:
        """Show another table, in its own order; `words` are titles and meanings of columns that nobody measured."""
        self.beginResetModel()
        self.table, self._words = table, words or {}
        self.names = [] if table is None else _order(list(map(str, table.columns)), self._words)
        self._values = [] if table is None else [_plain(table[name]) for name in self.names]
        self.order = np.arange(0 if table is None else len(table))
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802
        """Rows; Qt's."""
        return 0 if parent.isValid() else len(self.order)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, N802
        """Columns; Qt's."""
        return 0 if parent.isValid() else len(self.names)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """One cell; Qt's."""
        if role == Qt.ItemDataRole.TextAlignmentRole:
            assert self.table is not None, "a cell is of a table"
            number = self.table[self.names[index.column()]].dtype.kind in "iuf"
            side = Qt.AlignmentFlag.AlignRight if number else Qt.AlignmentFlag.AlignLeft
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(self._values[index.column()][self.order[index.row()]])
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:  # noqa: N802
        """One heading; Qt's."""
        if orientation != Qt.Orientation.Horizontal or section >= len(self.names):
            return None
        name = self.names[section]
        word = self._words.get(name)
        if role == Qt.ItemDataRole.DisplayRole:
            return _broken(word.title if word else heading(name))
        if role == Qt.ItemDataRole.ToolTipRole:
            meaning = f"{word.meaning[:1].upper()}{word.meaning[1:]}." if word else definition(name)
            return f"<p><b>{name}</b></p><p>{meaning}</p>"
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by the values, equal ones as they were in the table, missing ones last; column -1: as the table is."""
        if self.table is None:
            return
        hint = QAbstractTableModel.LayoutChangeHint.VerticalSortHint
        self.layoutAboutToBeChanged.emit([], hint)
        before, kept = self.order, self.persistentIndexList()
        if column < 0:
            self.order = np.arange(len(before))
        else:
            values = self.table[self.names[column]].reset_index(drop=True)
            ascending = order == Qt.SortOrder.AscendingOrder
            self.order = values.sort_values(ascending=ascending, kind="stable", na_position="last").index.to_numpy()
        place = np.empty_like(self.order)
        place[self.order] = np.arange(len(place))
        moved = [self.index(int(place[before[index.row()]]), index.column()) for index in kept]
        self.changePersistentIndexList(kept, moved)
        self.layoutChanged.emit([], hint)


def _order(names: list[str], words: Mapping[str, Figure]) -> list[str]:
    """Columns in reading order, where the table is not one with an order of its own."""
    return names if set(names) <= words.keys() else reading_order(names)


def _plain(column: Series) -> NDArray[Any]:
    """Values of a column; whole numbers of which some are missing as whole numbers and None."""
    if column.dtype.kind in "iu" and column.hasnans:
        return np.array([None if missing else int(value) for value, missing in zip(column, column.isna(), strict=True)])
    return column.to_numpy()


def shown(value: Any) -> str:
    """A value for the eye: whole numbers in full, others with at least four digits that count.

    >>> [shown(value) for value in (7, 0.123456, 12.0, 123456.7, float("nan"), True)]
    ['7', '0.1235', '12.00', '123457', '', 'yes']
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        number = float(value)
        if math.isnan(number):
            return ""
        if 1e3 <= abs(number) < 1e9:
            return f"{number:.0f}"
        return f"{number:#.4g}".rstrip(".")
    return "" if value is None else str(value)


def _broken(text: str) -> str:
    """The text in lines of at most LINE characters, broken between words."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) <= LINE or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)
