"""Choosing the kind of config where a field of a form may hold several."""

from __future__ import annotations

from collections.abc import Collection

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QWidget

from napari_nanoseg._gui.editors import Combo
from napari_nanoseg._gui.fields import nested_kinds, title_of, tooltip_of
from napari_nanoseg._gui.labels import label_of
from napari_nanoseg._gui.words import WordLabel
from napari_nanoseg.config.base import Config

COLUMNS = 4, 5
"""How label and widget share the width of a form."""


class KindBoxes(QWidget):
    """A box for each field of a config that may hold several kinds.

    Parameters
    ----------
    config : subclass of Config
    hide : collection of str
        Names of fields that are not shown.
    """

    chosen = Signal(str)
    """The user chose another kind for the field of this name."""

    def __init__(self, config: type[Config], hide: Collection[str]) -> None:
        super().__init__()
        self.boxes: dict[str, Combo] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        for column, stretch in enumerate(COLUMNS):
            grid.setColumnStretch(column, stretch)
        for name, field in config.model_fields.items():
            kinds = nested_kinds(field)
            if len(kinds) < 2 or name in hide:
                continue
            label, box = WordLabel(label_of(name, field)), Combo()
            for kind in kinds:
                box.addItem(title_of(kind), kind)
            for widget in (label, box):
                widget.setToolTip(tooltip_of(field))
            box.setAccessibleName(label.text())
            label.setBuddy(box)
            box.activated.connect(lambda _, name=name: self.chosen.emit(name))
            grid.addWidget(label, len(self.boxes), 0)
            grid.addWidget(box, len(self.boxes), 1)
            self.boxes[name] = box
        self.setVisible(bool(self.boxes))

    def kind(self, name: str) -> type[Config]:
        """The kind that is chosen for a field."""
        kind: type[Config] = self.boxes[name].currentData()
        return kind

    def show_kind(self, name: str, kind: type[Config] | None) -> None:
        """Show the kind of a field."""
        self.boxes[name].setCurrentIndex(self.boxes[name].findData(kind))
