"""Choosing the model that a training starts from."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QComboBox

from napari_nanoseg._gui.model_picker import FILE, FOLDER, ask_for_model
from napari_nanoseg._gui.pickers import narrow
from napari_nanoseg._gui.settings import settings
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.paths import AUTO, COCO
from napari_nanoseg.config.train import Network
from napari_nanoseg.io.model_library import list_library

NEW, AUTOMATIC, PUBLISHED = "a new network", "automatic", "weights trained on COCO"


def start_name(start: Path) -> str:
    """What people call a start."""
    return PUBLISHED if start == COCO else start.name


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
        self._engine, self._coco = "stardist", False
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
        models = list_library(settings().models)
        known = {entry.path: entry.name for entry in models if entry.trainable and entry.engine == self._engine}
        if self._coco:
            known = {COCO: PUBLISHED} | known
        if self._other is not None:
            known.setdefault(self._other, self._other.name)
        if self._chosen is not None and self._chosen not in known:
            self._chosen = AUTO  # it was renamed or removed meanwhile, or is of another kind than the network
        self._paths = [AUTO, None, *known]
        automatic = NEW if self._automatic is None else start_name(self._automatic)
        with QSignalBlocker(self):
            self.clear()
            self.addItems([f"{AUTOMATIC}: {automatic}", NEW, *known.values(), FOLDER, FILE])
            self.setCurrentIndex(self._paths.index(self._chosen))

    def show_automatic(self, model: Path | None, network: Network) -> None:
        """Say which model suits, None for a new network, and offer those of the kind of the network."""
        coco = isinstance(network, MaskRCNNConfig) and network.unlike_coco is None
        now = model, network.engine, coco
        if now != (self._automatic, self._engine, self._coco):
            self._automatic, self._engine, self._coco = now
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
