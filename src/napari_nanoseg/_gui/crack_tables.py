"""Tables of the damage of a volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from napari_nanoseg._gui.pickers import narrow
from napari_nanoseg._gui.table import TableView
from napari_nanoseg.evaluation.figures import Figure
from napari_nanoseg.measurement.damage.analysis import Damage
from napari_nanoseg.measurement.damage.columns import COLUMNS

if TYPE_CHECKING:
    from pandas import DataFrame

ROWS = 9
CENTROID = ("centroid_slice", "centroid_row", "centroid_column")
WORDS = {
    name: Figure(f"{column.title} ({column.unit})" if column.unit else column.title, column.meaning)
    for name, column in COLUMNS.items()
}


class CrackTables(QWidget):
    """One table at a time; a click on a row tells where it is."""

    place_chosen = Signal(object)
    """Slice, row and column; the last two are None for the row of a slice."""

    def __init__(self) -> None:
        super().__init__()
        self.choice, self.table = QComboBox(), TableView()
        narrow(self.choice)
        self.table.setFixedHeight((ROWS + 3) * self.table.fontMetrics().height())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.choice)
        column.addWidget(self.table)
        self._tables: dict[str, DataFrame] = {}
        self.choice.activated.connect(lambda _: self._show())
        self.table.chosen.connect(self._tell)
        self.show_damage(None)

    def show_damage(self, damage: Damage | None) -> None:
        """Show the tables of another analysis; None: nothing."""
        self._tables = {}
        if damage is not None:
            found = {
                f"Slices ({len(damage.profile)})": damage.profile,
                "Correlation of damage and packing": damage.correlation,
                f"Cracks ({0 if damage.cracks is None else len(damage.cracks)})": damage.cracks,
                f"Particles ({0 if damage.particles is None else len(damage.particles)})": damage.particles,
                "Directions of cracks": damage.directions,
            }
            self._tables = {title: table for title, table in found.items() if table is not None and len(table)}
        before = self.choice.currentIndex()
        self.choice.clear()
        self.choice.addItems(list(self._tables))
        self.choice.setCurrentIndex(min(max(before, 0), len(self._tables) - 1))
        self.setVisible(bool(self._tables))
        self._show()

    def choose(self, index: int) -> None:
        """Show another table."""
        self.choice.setCurrentIndex(index)
        self._show()

    def _show(self) -> None:
        self.table.set_table(self._tables.get(self.choice.currentText()), WORDS)

    def _tell(self) -> None:
        from pandas import isna

        row = self.table.row
        if row is None:
            return
        if CENTROID[0] in row.index:
            self.place_chosen.emit(tuple(float(row[name]) for name in CENTROID))
        elif "slice" in row.index and not isna(row["slice"]):  # the line of the volume has none
            self.place_chosen.emit((float(row["slice"]), None, None))
