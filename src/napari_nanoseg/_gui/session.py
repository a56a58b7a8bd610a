"""What the docks of one viewer share: the layers, dataset and model that the user works with."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any, cast

from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Shapes
from napari.utils.events import Event
from qtpy.QtCore import QObject, Signal

_LAYERS = (
    "image", "particles", "region", "prediction", "truth", "background", "reference", "classes", "particle_mask",
    "particle_labels",
)  # fmt: skip


class Session(QObject):
    """The choices of one viewer; a choice made in one dock is made in all.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer itself, not napari's proxy of it (see :func:`session_of`).

    Attributes
    ----------
    image : Image layer or None
        The micrograph.
    particles : Labels layer or None
        Its annotation.
    region : Labels or Shapes layer or None
        Where the annotation can be trusted, when only some particles are outlined.
    whole : bool
        Whether every particle of the image is outlined.
    dataset : Path or None
        The dataset folder written or chosen last.
    model : Path or None
        The model trained or chosen last.
    prediction, truth : Labels layer or None
    background : Labels or Shapes layer or None
        Where a transmission image shows no sample.
    reference : Image layer or None
        A transmission image without sample.
    volume_model : Path or None
        The model chosen last for volumes: a U-Net, or none but a threshold.
    classes : Labels layer or None
        A class map of a volume.
    particle_mask, particle_labels : Labels layer or None
        Where a volume has particles, and which.
    """

    changed = Signal(str)
    """The name of the attribute that has another value now."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = weakref.ref(viewer)
        self.image: Image | None = None
        self.particles: Labels | None = None
        self.region: Labels | Shapes | None = None
        self.whole = True
        self.dataset: Path | None = None
        self.model: Path | None = None
        self.prediction: Labels | None = None
        self.truth: Labels | None = None
        self.background: Labels | Shapes | None = None
        self.reference: Image | None = None
        self.volume_model: Path | None = None
        self.classes: Labels | None = None
        self.particle_mask: Labels | None = None
        self.particle_labels: Labels | None = None
        viewer.layers.events.removed.connect(self._forget)

    @property
    def viewer(self) -> ViewerModel:
        """The viewer."""
        viewer = self._viewer()
        assert viewer is not None, "a session is used after its viewer is gone"
        return viewer

    def put(self, name: str, value: Any) -> None:
        """Choose a value; says so when it is another one than before."""
        before = getattr(self, name)
        if before is value or (not isinstance(value, Layer) and before == value):
            return
        setattr(self, name, value)
        self.changed.emit(name)

    def _forget(self, event: Event) -> None:
        for name in _LAYERS:
            if getattr(self, name) is event.value:
                self.put(name, None)


_SESSIONS: dict[int, Session] = {}


def session_of(viewer: ViewerModel) -> Session:
    """Find the session of a viewer, or begin it; takes the proxy that napari gives to docks, too."""
    real = cast(ViewerModel, getattr(viewer, "__wrapped__", viewer))
    key = id(real)
    if key not in _SESSIONS:
        _SESSIONS[key] = Session(real)
        weakref.finalize(real, _SESSIONS.pop, key, None)
    return _SESSIONS[key]
