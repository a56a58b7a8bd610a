"""Choosing layers, files and folders."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from napari.layers import Image, Labels, Layer, Shapes
from napari.utils.events import Event
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLineEdit, QSizePolicy, QToolButton, QWidget

from napari_nanoseg._gui.follow import Following, follow
from napari_nanoseg._gui.layers import KNOWN_REGION
from napari_nanoseg._gui.session import Session

Role = Literal[
    "image",
    "particles",
    "prediction",
    "truth",
    "background",
    "reference",
    "classes",
    "particle_mask",
    "particle_labels",
]
_KINDS: dict[str, tuple[type[Layer], ...]] = {
    "image": (Image,),
    "particles": (Labels,),
    "prediction": (Labels,),
    "truth": (Labels,),
    "background": (Labels, Shapes),
    "reference": (Image,),
    "classes": (Labels,),
    "particle_mask": (Labels,),
    "particle_labels": (Labels,),
}
_EMPTY = {"image": "No image is open", "particles": "No labels layer", "prediction": "No labels", "truth": "No labels"}
SHORTEST = 8
"""Characters that a combo box or line shows at least; a longer one would widen the dock."""


class LayerPicker(QComboBox):
    """The layers of one kind by name; follows the layer list, and other docks that choose for the same role.

    Parameters
    ----------
    session : Session
    role : str
        The attribute of the session that is chosen.
    none : str, optional
        Text of a first entry that stands for no layer. Without it, a layer is chosen as soon as there is one.
    """

    picked = Signal(object)
    """The layer that is chosen now, or None."""

    def __init__(self, session: Session, role: Role, *, none: str | None = None) -> None:
        super().__init__()
        self._session, self._role, self._none = session, role, none
        self._layers: list[Layer | None] = []
        self._named: list[Layer] = []
        narrow(self)
        self._names = Following(self)
        self._shown: Layer | None = None
        events = session.viewer.layers.events
        for emitter in (events.inserted, events.removed, events.reordered):
            follow(self, emitter, self._refresh)
        session.changed.connect(self._follow)
        self.activated.connect(self._activate)
        self._refresh()

    @property
    def layer(self) -> Layer | None:
        """The layer that is chosen."""
        chosen: Layer | None = getattr(self._session, self._role)
        return chosen

    @property
    def options(self) -> list[Layer | None]:
        """What can be chosen, the newest layer first; None stands for no layer."""
        return list(self._layers)

    def choose(self, layer: Layer | None) -> None:
        """Choose a layer for all docks."""
        self._session.put(self._role, layer)
        self._show()

    def _activate(self, index: int) -> None:
        if self._layers:
            self.choose(self._layers[index])

    def _refresh(self, _: Event | None = None) -> None:
        """Take over the layer list; choose the active or the newest layer when none is chosen."""
        self._named = [layer for layer in self._session.viewer.layers if isinstance(layer, _KINDS[self._role])]
        self._names.replace(*((layer.events.name, self._rename) for layer in self._named))
        self._layers = [*([None] if self._none is not None else []), *reversed(self._named)]
        if self.layer is None and self._none is None and self._named:
            self._session.put(self._role, self._guess())
        self._rename()
        self._show()

    def _guess(self) -> Layer:
        """The newest layer made for this role; else one that bears its name; else the active or the newest one."""
        active = self._session.viewer.layers.selection.active
        others = [getattr(self._session, role) for role in _KINDS if role != self._role]
        named = [layer for layer in self._named if not layer.name.endswith(KNOWN_REGION)] or self._named
        free = [layer for layer in named if not any(layer is other for other in others)] or named
        roles = {id(layer): layer.metadata.get("nanoseg_roles", ()) for layer in free}
        told = [layer for layer in free if self._role in roles[id(layer)]]
        free = [layer for layer in free if not roles[id(layer)]] or free
        told = told or [layer for layer in free if self._role in layer.name.lower()]
        if told:
            return told[-1]
        return active if any(layer is active for layer in free) else free[-1]

    def _rename(self, _: Event | None = None) -> None:
        with QSignalBlocker(self):
            self.clear()
            self.addItems([self._none or "" if layer is None else layer.name for layer in self._layers])
            if not self._layers:
                self.addItem(_EMPTY[self._role])
            self.setEnabled(bool(self._layers))
            self.setCurrentIndex(self._index())

    def _index(self) -> int:
        return next((index for index, layer in enumerate(self._layers) if layer is self.layer), 0)

    def _show(self) -> None:
        with QSignalBlocker(self):
            self.setCurrentIndex(self._index())
        self.setToolTip(self.currentText())
        if self.layer is not self._shown:
            self._shown = self.layer
            self.picked.emit(self.layer)

    def _follow(self, name: str) -> None:
        if name == self._role:
            if self.layer is None and self._none is None:
                self._refresh()
            self._show()


class PathPicker(QWidget):
    """A line for a path with a button that opens a dialog.

    Parameters
    ----------
    kind : {"folder", "open", "save"}
        What the dialog asks for.
    filter : str
        Files that it shows, as Qt writes it: ``"Tables (*.csv *.xlsx)"``.
    hint : str
        Grey text of the empty line.
    """

    changed = Signal(object)
    """The path that is chosen now, or None."""

    def __init__(self, kind: Literal["folder", "open", "save"], filter: str = "", hint: str = "") -> None:  # noqa: A002
        super().__init__()
        self._kind, self._filter = kind, filter
        self._line, button = QLineEdit(), QToolButton()
        self._line.setPlaceholderText(hint)
        self._line.setMinimumWidth(SHORTEST * self.fontMetrics().averageCharWidth())
        self._line.setAccessibleName("path")
        button.setText("…")
        button.setToolTip("Choose a folder" if kind == "folder" else "Choose a file")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._line)
        layout.addWidget(button)
        self.setFocusProxy(self._line)
        self._line.textChanged.connect(lambda text: self._tell(text))
        button.clicked.connect(self._ask)

    @property
    def path(self) -> Path | None:
        """The path in the line, ``~`` expanded; None when the line is empty."""
        text = self._line.text().strip()
        return expanded(text) if text else None

    def choose(self, path: Path | None) -> None:
        """Write a path into the line."""
        self._line.setText("" if path is None else str(path))

    def _tell(self, text: str) -> None:
        self._line.setToolTip(text)
        self.changed.emit(self.path)

    def _ask(self) -> None:
        start = str(self.path or Path.home())
        if self._kind == "folder":
            chosen = QFileDialog.getExistingDirectory(self, "Choose a folder", start)
        elif self._kind == "open":
            chosen, _ = QFileDialog.getOpenFileName(self, "Choose a file", start, self._filter)
        else:
            chosen, _ = QFileDialog.getSaveFileName(self, "Save as", start, self._filter)
        if chosen:
            self.choose(Path(chosen))


def expanded(text: str) -> Path:
    """A typed path with ``~`` expanded, where there is such a user."""
    with suppress(ValueError):  # a null byte after the ~
        return Path(os.path.expanduser(text))  # Path.expanduser raises RuntimeError for a user that is not known
    return Path(text)


def narrow(box: QComboBox) -> None:
    """Let a combo box be as wide as the dock, not as its longest entry: a long layer name does not widen the dock."""
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(SHORTEST)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
