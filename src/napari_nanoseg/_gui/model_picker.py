"""Choosing a model to segment with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QComboBox, QFileDialog, QWidget

from napari_nanoseg._gui.pickers import narrow
from napari_nanoseg._gui.session import Session
from napari_nanoseg._gui.settings import settings
from napari_nanoseg.io.cdnet_files import is_cdnet
from napari_nanoseg.io.detectron2_files import WEIGHTS_SUFFIXES
from napari_nanoseg.io.model_cards import ModelEntry, describe_model
from napari_nanoseg.io.model_library import BASELINES, STARTER, list_library, shipped_name
from napari_nanoseg.io.recent_models import recent_models

FOLDER, FILE = "Choose a folder…", "Choose a file…"
MODEL_FILES = "Models (*.zip model.yaml config.json *.safetensors *.h5 *.hdf5 *.pth *.pkl)"
NOTHING = "No model yet"
USES = {STARTER: "any particles"} | dict.fromkeys(BASELINES, "no training")
"""What the models that come with the package are for."""


class ModelPicker(QComboBox):
    """The models of the library and those used last, or any other folder or zip; shared by the docks of a viewer.

    Parameters
    ----------
    session : Session
    role : {"model", "volume_model"}
        The attribute of the session that is chosen.
    fits : callable, optional
        Tells whether a model is offered.
    """

    changed = Signal()
    """Another model is chosen, or the chosen one was looked at again."""

    def __init__(
        self,
        session: Session,
        role: Literal["model", "volume_model"] = "model",
        fits: Callable[[ModelEntry], bool] = lambda _: True,
    ) -> None:
        super().__init__()
        narrow(self)
        self._session, self._role, self._fits = session, role, fits
        self._entries: list[ModelEntry] = []
        self.activated.connect(self._activate)
        session.changed.connect(self._follow)
        if self.path is None:
            session.put(role, self._first())
        self.refresh()

    @property
    def path(self) -> Path | None:
        """Where the model that is chosen lies."""
        chosen: Path | None = getattr(self._session, self._role)
        return chosen

    @property
    def entry(self) -> ModelEntry | None:
        """The model that is chosen, as it was when the list was made; None when there is none."""
        return next((entry for entry in self._entries if entry.path == self.path), None)

    def choose(self, path: Path | None) -> None:
        """Choose a model for all docks, also one that is not in the list."""
        self._session.put(self._role, path)
        self.refresh()

    def forget(self, path: Path) -> None:
        """Choose another model in place of one that was removed."""
        if self.path == path:
            self._session.put(self._role, self._first())
        self.refresh()

    def refresh(self) -> None:
        """Look at the models again."""
        entries = {entry.path: entry for entry in list_library(settings().models)}
        chosen = self.path
        others = [*([chosen] if chosen is not None else []), *(path for path in recent_models() if path.exists())]
        for path in others:
            entries.setdefault(path, describe_model(path))
        self._entries = [entry for entry in entries.values() if entry.path == chosen or self._fits(entry)]
        with QSignalBlocker(self):
            self.clear()
            self.addItems([_title(entry, self._entries) for entry in self._entries] or [NOTHING])
            self.insertSeparator(self.count())
            self.addItems([FOLDER, FILE])
            index = next((i for i, entry in enumerate(self._entries) if entry.path == chosen), -1)
            self.setCurrentIndex(index if self._entries else 0)
        self.setToolTip("" if chosen is None else str(chosen))
        self.changed.emit()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """There may be new models, or old ones may be gone."""
        super().showEvent(event)
        self.refresh()

    def _first(self) -> Path | None:
        """The model used last that is still there, else the first usable one of the library (the package's own)."""
        used = (path for path in recent_models() if path.exists() and self._fits(describe_model(path)))
        library = list_library(settings().models)
        usable = (entry.path for entry in library if entry.problem is None and self._fits(entry))
        return next(used, None) or next(usable, None)

    def _activate(self, index: int) -> None:
        if index < len(self._entries):
            self.choose(self._entries[index].path)
            return
        chosen = self.path
        start = settings().models if chosen is None else chosen.parent
        self.choose(ask_for_model(self, self.itemText(index), start) or chosen)

    def _follow(self, name: str) -> None:
        if name == self._role:
            self.refresh()


def ask_for_model(parent: QWidget, how: str, start: Path) -> Path | None:
    """Ask for a model that is not in a list.

    Parameters
    ----------
    parent : QWidget
    how : str
        `FOLDER` or `FILE`, as the user chose.
    start : Path
        Folder where the dialog begins.

    Returns
    -------
    Path or None
        A folder, a zip or weights of Detectron2 or CDNet; any other file of a model stands for its folder. None when
        the user thought better of it.
    """
    if how == FOLDER:
        name = QFileDialog.getExistingDirectory(parent, "The folder of a model", str(start))
    elif how == FILE:
        name, _ = QFileDialog.getOpenFileName(parent, "The file of a model", str(start), MODEL_FILES)
    else:
        return None
    path = Path(name) if name else None
    if path is None or not path.is_file() or path.suffix.lower() in (".zip", *WEIGHTS_SUFFIXES) or is_cdnet(path):
        return path
    return path.parent


def _title(entry: ModelEntry, entries: list[ModelEntry]) -> str:
    """Name of a model in the list, with its folder where two have the same name; of the package's, what for."""
    same = sum(other.name == entry.name for other in entries) > 1
    name = f"{entry.name} ({entry.path.parent.name})" if same else entry.name
    shipped = shipped_name(entry.path)
    name = name if shipped is None else f"{shipped} ({USES[shipped]})"
    return name if entry.problem is None else f"{name} (cannot be used)"
