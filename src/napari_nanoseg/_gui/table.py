"""A data frame as a table: sortable, copied exactly, its rows linked to labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import (
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QSignalBlocker,
    Qt,
    Signal,
)
from qtpy.QtGui import QKeyEvent, QKeySequence, QMouseEvent
from qtpy.QtWidgets import QAbstractItemView, QAction, QApplication, QHeaderView, QTableView, QWidget

from napari_nanoseg._gui.frame_model import FrameModel

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from napari_nanoseg.evaluation.figures import Figure

KEY = "label"
MEASURED_ROWS = 60
"""Rows that the widths of columns are fitted to; all 20,000 of them would take seconds."""


class TableView(QTableView):
    """A table of particles that stays fluid with tens of thousands of rows.

    A click on a heading sorts, Ctrl+C copies the selected rows (all when none is selected) as tab-separated text with
    the exact values. Shown are at least four digits that count.

    Parameters
    ----------
    parent : QWidget, optional
    """

    selected = Signal(int)
    """Label of the row that the user chose with mouse or keyboard."""
    chosen = Signal()
    """The user chose a row, of whatever table."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = FrameModel(self)
        self._chosen = QItemSelectionModel(self._model, self)
        self._across = QHeaderView(Qt.Orientation.Horizontal, self)
        self._down = QHeaderView(Qt.Orientation.Vertical, self)
        self._across.setSectionsClickable(True)
        self.setHorizontalHeader(self._across)
        self.setVerticalHeader(self._down)
        self.setModel(self._model)
        self.setSelectionModel(self._chosen)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setWordWrap(False)
        self.setSortingEnabled(True)
        self._across.setSortIndicatorClearable(True)
        self._across.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self._across.setResizeContentsPrecision(MEASURED_ROWS)
        self._across.setHighlightSections(False)
        self._down.setVisible(False)
        self._down.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self._down.setDefaultSectionSize(self.fontMetrics().height() + 6)
        copy = QAction("Copy rows (Ctrl+C)", self)
        copy.triggered.connect(self.copy)
        self.addAction(copy)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.setAccessibleName("table of particles")
        self._quiet = False

    @property
    def table(self) -> DataFrame | None:
        """What is shown."""
        return self._model.table

    @property
    def row(self) -> Series | None:
        """The current row of the table, all its columns; None when there is none."""
        index = self.currentIndex()
        if self._model.table is None or not index.isValid():
            return None
        found: Series = self._model.table.iloc[self._model.order[index.row()]]
        return found

    def set_table(self, table: DataFrame | None, words: Mapping[str, Figure] | None = None) -> None:
        """Show another table; None: nothing.

        Parameters
        ----------
        table : pandas.DataFrame or None
            One row per particle. Rows are linked to labels when it has a column ``label``.
        words : mapping of str to Figure, optional
            Titles and meanings of columns that are not those of a table of particles.
        """
        with QSignalBlocker(self._across):
            self._across.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self._model.set_table(table, words)
        self.resizeColumnsToContents()

    def fit_height(self, most_rows: int) -> None:
        """Make it as high as its rows, up to `most_rows`."""
        bar = self.horizontalScrollBar()
        assert bar is not None
        for part in (self, self._across, bar):  # their heights are those of napari's style
            part.ensurePolished()
        rows = min(self._model.rowCount(), most_rows) * self._down.defaultSectionSize()
        self.setFixedHeight(rows + self._across.sizeHint().height() + bar.sizeHint().height() + 2 * self.frameWidth())

    def select(self, label: int, plane: int | None = None) -> bool:
        """Select the row of a particle and scroll to it; `selected` is not sent.

        Parameters
        ----------
        label : int
            Its number.
        plane : int, optional
            Its slice, when the table has several.

        Returns
        -------
        bool
            False when the table has no such row; then nothing is selected.
        """
        self._quiet = True
        try:
            place = self._find(label, plane)
            if place is None:
                self.clearSelection()
                self.setCurrentIndex(QModelIndex())
                return False
            column = max(self.columnAt(0), 0)
            self.selectRow(place)
            self.setCurrentIndex(self._model.index(place, column))
            self.scrollTo(self._model.index(place, column), QAbstractItemView.ScrollHint.PositionAtCenter)
            return True
        finally:
            self._quiet = False

    def copy(self) -> None:
        """Put the selected rows, or all, on the clipboard with their header: tab-separated, exact values."""
        if self._model.table is None:
            return
        chosen = self._model.table.iloc[self._model.order[self._selected_rows()]]
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(chosen.to_csv(sep="\t", index=False, lineterminator="\n"))

    def event(self, event: QEvent | None) -> bool:
        """Keep Ctrl+C from shortcuts of the window; Qt's."""
        if event is not None and event.type() == QEvent.Type.ShortcutOverride and _copies(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Copy rows, not the text of one cell; Qt's."""
        if _copies(event):
            self.copy()
        else:
            super().keyPressEvent(event)

    def currentChanged(self, current: QModelIndex, previous: QModelIndex) -> None:  # noqa: N802
        """Tell which particle the user chose; Qt's."""
        super().currentChanged(current, previous)
        if current.isValid() and current.row() != previous.row():
            self._tell()

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Tell it again when the row is clicked again; Qt's."""
        before = self.currentIndex()
        super().mousePressEvent(event)
        again = QModelIndex() if event is None else self.indexAt(event.pos())
        if again.isValid() and before.isValid() and again.row() == before.row():
            self._tell()

    def _selected_rows(self) -> NDArray[np.int64]:
        """Selected rows from top to bottom, or all; asking Qt for an index per row takes a second for 20,000."""
        places = np.arange(self._model.rowCount())
        chosen = np.zeros(len(places), dtype=bool)
        blocks = self._chosen.selection()
        for block in (blocks[index] for index in range(len(blocks))):
            chosen[block.top() : block.bottom() + 1] = True
        return places[chosen] if chosen.any() else places

    def _tell(self) -> None:
        row = self.row
        if self._quiet or row is None:
            return
        self.chosen.emit()
        if KEY in row.index:
            self.selected.emit(int(row[KEY]))

    def _find(self, label: int, plane: int | None) -> int | None:
        table = self._model.table
        if table is None or KEY not in table:
            return None
        fits = table[KEY].to_numpy() == label
        if plane is not None and "slice" in table:
            fits &= table["slice"].to_numpy() == plane
        places = np.flatnonzero(fits[self._model.order])
        return int(places[0]) if len(places) else None


def _copies(event: QEvent | None) -> bool:
    return isinstance(event, QKeyEvent) and event.matches(QKeySequence.StandardKey.Copy)
