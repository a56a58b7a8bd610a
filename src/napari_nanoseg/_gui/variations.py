"""Fields of a training with lists of values: the editor for what a sweep varies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qtpy.QtWidgets import QGridLayout, QLineEdit, QPushButton, QVBoxLayout

from napari_nanoseg._gui.editors import UNSET, Combo, Editor
from napari_nanoseg._gui.labels import way_label
from napari_nanoseg.config.options import text_of, value_at
from napari_nanoseg.config.sweep import fields_to_vary
from napari_nanoseg.config.train import TrainConfig

REMOVE_WIDTH = 28


@dataclass(frozen=True, eq=False)
class _Row:
    field: Combo
    values: QLineEdit
    remove: QPushButton


class Variations(Editor):
    """A row per field: which one, and its values with commas between them; they are read as on the command line."""

    def __init__(self) -> None:
        super().__init__()
        self._config = TrainConfig()
        self._names = list(fields_to_vary(self._config))
        self._rows: list[_Row] = []
        self._grid = QGridLayout()
        self._grid.setColumnStretch(0, 3)
        self._grid.setColumnStretch(1, 2)
        self._grid.setHorizontalSpacing(3)
        self.add_button = QPushButton("Add a field")
        self.add_button.clicked.connect(lambda: self._add_next())
        column = QVBoxLayout()
        column.addLayout(self._grid)
        column.addWidget(self.add_button)
        self._box.addLayout(column)
        self.setFocusProxy(self.add_button)

    def set_config(self, config: TrainConfig) -> None:
        """Offer the fields of a config, and show its values in grey where none are given."""
        self._config = config
        names = list(fields_to_vary(config))
        if names != self._names:
            self._names = names
            self.put(self.get() if self._touched else self._given)
        for row in self._rows:
            self._hint(row)

    def labels(self) -> dict[str, str]:
        """What people call the fields, by their names."""
        return {name: way_label(name, fields) for name, fields in fields_to_vary(self._config).items()}

    def _add_next(self) -> None:
        """Add a row for the first field that has none."""
        used = [row.field.currentData() for row in self._rows]
        self._add(next((name for name in self._preferred() if name not in used), self._names[0]), "")
        self._rows[-1].values.setFocus()
        self._touch()

    def _preferred(self) -> list[str]:
        """The fields, those first that most is gained by."""
        first = [name for name in ("learning_rate", "batch_size", "images") if name in self._names]
        return first + [name for name in self._names if name not in first]

    def _add(self, name: str, values: str) -> None:
        row = _Row(Combo(), QLineEdit(values), QPushButton("✕"))
        labels = self.labels()
        for one in self._names if name in self._names else [*self._names, name]:
            row.field.addItem(labels.get(one, one), one)
        row.field.setCurrentIndex(row.field.findData(name))
        row.field.setAccessibleName("field to vary")
        row.values.setAccessibleName("values")
        row.remove.setFixedWidth(REMOVE_WIDTH)
        row.remove.setToolTip("Do not vary this field")
        self._rows.append(row)
        at = self._grid.rowCount()
        for column, widget in enumerate((row.field, row.values, row.remove)):
            self._grid.addWidget(widget, at, column)
        self._hint(row)
        row.field.currentIndexChanged.connect(lambda _: self._hint(row))
        row.field.currentIndexChanged.connect(lambda _: self._touch())
        row.values.textChanged.connect(lambda _: self._touch())
        row.remove.clicked.connect(lambda: self._remove(row))
        row.remove.clicked.connect(lambda: self._touch())

    def _remove(self, row: _Row) -> None:
        self._rows.remove(row)
        for widget in (row.field, row.values, row.remove):
            self._grid.removeWidget(widget)
            widget.hide()
            widget.deleteLater()

    def _hint(self, row: _Row) -> None:
        name = row.field.currentData()
        fields = fields_to_vary(self._config).get(name)
        if fields is None:
            return
        row.values.setPlaceholderText(f"{text_of(value_at(self._config, name.split('.')))}, …")
        row.field.setToolTip(f"{way_label(name, fields)}: {fields[-1].description}")
        row.values.setToolTip("Values with commas between them; the two of a range with a blank")

    def _show(self, value: Any) -> None:
        for row in list(self._rows):
            self._remove(row)
        if value is UNSET:
            return
        pairs = value.items() if isinstance(value, dict) else (item.partition("=")[::2] for item in value)
        for name, values in pairs:
            self._add(name, values if isinstance(values, str) else ", ".join(map(text_of, values)))

    def _read(self) -> Any:
        rows = [f"{row.field.currentData()}={row.values.text()}" for row in self._rows]
        return rows or UNSET
