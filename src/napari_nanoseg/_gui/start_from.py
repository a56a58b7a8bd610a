"""Choosing the model that a training starts from."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QComboBox

from napari_nanoseg._gui.model_picker import FILE, FOLDER, ask_for_model
from napari_nanoseg._gui.pickers import narrow
from napari_nanoseg._gui.settings import settings
from napari_nanoseg.config.paths import AUTO
from napari_nanoseg.io.model_library import list_library

NEW, AUTOMATIC = "a new network", "automatic"


class StartFrom(QComboBox):
    """Whatever suits, a new network, the models of the library, or any other."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        narrow(self)
        self.setToolTip("With a model, its network and weights are taken over: fewer steps are enough then.")
        self._paths: list[Path | None] = []
        self._other: Path | None = None
        self._chosen: Path | None = AUTO
        self._automatic: Path | None = None
        self.activated.connect(self._activate)
        self.refresh()

    @property
    def path(self) -> Path | None:
        """The model that is chosen; None for a new network, `AUTO` for whatever suits."""
        return self._chosen

    def choose(self, path: Path | None) -> None:
        """Choose a model, also one that is not in the list."""
        self._chosen = path
        if path is not None and path not in self._paths:
            self._other = path
        self.refresh()
        self.changed.emit()

    def refresh(self) -> None:
        """Look at the folder of models again."""
        models = [entry for entry in list_library(settings().models) if entry.trainable]
        known = {entry.path: entry.name for entry in models}
        if self._other is not None:
            known.setdefault(self._other, self._other.name)
        if self._chosen is not None and self._chosen not in known:
            self._chosen = AUTO  # it was renamed or removed meanwhile
        self._paths = [AUTO, None, *known]
        automatic = NEW if self._automatic is None else self._automatic.name
        with QSignalBlocker(self):
            self.clear()
            self.addItems([f"{AUTOMATIC}: {automatic}", NEW, *known.values(), FOLDER, FILE])
            self.setCurrentIndex(self._paths.index(self._chosen))

    def show_automatic(self, model: Path | None) -> None:
        """Say which model suits, None for a new network."""
        if model != self._automatic:
            self._automatic = model
            self.refresh()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """There may be new models."""
        super().showEvent(event)
        self.refresh()

    def _activate(self, index: int) -> None:
        if index < len(self._paths):
            self.choose(self._paths[index])
            return
        self.choose(ask_for_model(self, self.itemText(index), settings().models) or self._chosen)
