"""Choosing an annotated micrograph from the layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Labels, Layer, Shapes
from napari.utils.events import Event
from qtpy.QtCore import QSignalBlocker, QTimer, Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QWidget

from napari_nanoseg._gui.follow import Following, follow
from napari_nanoseg._gui.known_regions import UNMARKED, WHOLE, marked_by, regions_beside
from napari_nanoseg._gui.layers import KNOWN_REGION, sample_of
from napari_nanoseg._gui.pickers import LayerPicker, narrow
from napari_nanoseg._gui.scripting import Put, Setting, find_layer, layer_setting
from napari_nanoseg._gui.session import Session
from napari_nanoseg.errors import NanosegError, unsuitable
from napari_nanoseg.samples import Sample

SETTLED_MS = 300
"""An edited annotation is looked at again when nothing was drawn for so long."""


class AnnotationPicker(QWidget):
    """The micrograph, the labels layer with its outlined particles, and what is known about the rest of it.

    Parameters
    ----------
    session : Session
        The choices are those of all docks.
    """

    changed = Signal()
    """Something else was chosen, or the chosen layers were edited."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        first = session.particles is None
        self._image, self._particles = LayerPicker(session, "image"), LayerPicker(session, "particles")
        self._known = QComboBox()
        narrow(self._known)
        self._known.setToolTip(
            "Whether particles without an outline are left in the image. If so, mark some background without "
            "particles, or a region in which all are outlined; the rest is not taken for background then."
        )
        self._regions: list[Labels | Shapes | None] = []
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Image", self._image)
        form.addRow("Particles", self._particles)
        form.addRow("Outlined", self._known)
        self._form = form
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._settled.timeout.connect(self.changed)
        self._edits, self._names = Following(self), Following(self)
        events = session.viewer.layers.events
        follow(self, events.inserted, self._inserted)
        follow(self, events.removed, self._list_regions)
        session.changed.connect(self._chosen)
        self._known.activated.connect(self._choose_region)
        if first:  # later, "every particle" may be the user's choice
            for layer in session.viewer.layers:
                self._take_region(layer)
        self._list_regions()
        self._watch()

    def ask_what_is_known(self, on: bool) -> None:
        """Ask, or do not ask, whether particles without an outline are left in the image."""
        self._form.setRowVisible(self._known, on)

    def settings(self, also: Callable[[Layer | None], object] = lambda _: None) -> dict[str, Setting]:
        """Layers of the annotation by name, for scripts; `also` is called with a layer before it is chosen."""
        return {
            "image": layer_setting(self._image, also),
            "labels": layer_setting(self._particles, also),
            "region": self._region_setting,
            "whole": self._whole_setting,
        }

    def _region_setting(self, name: str, value: Any) -> Put:
        region = find_layer(list(self._regions), name, value)

        def put() -> None:
            self._session.put("region", region)
            self._session.put("whole", False)

        return put

    def _whole_setting(self, name: str, value: Any) -> Put:
        if not isinstance(value, bool):
            raise unsuitable(f"'{name}'", value, "True or False")
        return lambda: self._session.put("whole", value)

    def sample(self) -> Sample:
        """The annotated micrograph as it is now.

        Raises
        ------
        NanosegError
            When no image or labels layer is chosen, or they do not fit together.
        """
        session = self._session
        if session.image is None:
            raise NanosegError("No image is open; open one with File > Open, or take one from File > Open Sample.")
        if session.particles is None:
            raise NanosegError("There is no labels layer with outlined particles; make one in the Annotate step.")
        return sample_of(session.image, session.particles, session.region, session.whole)

    def _inserted(self, event: Event) -> None:
        self._take_region(event.value)
        self._list_regions()

    def _take_region(self, layer: Layer) -> None:
        if isinstance(layer, Labels | Shapes) and layer.name.endswith(KNOWN_REGION) and self._session.region is None:
            self._session.put("region", layer)
            self._session.put("whole", False)

    def _list_regions(self, _: Event | None = None) -> None:
        particles = self._session.particles
        layers = regions_beside(self._session, particles)
        self._regions = [None, *layers]
        self._names.replace(*((layer.events.name, self._list_regions) for layer in layers))
        with QSignalBlocker(self._known):
            self._known.clear()
            self._known.addItems([WHOLE, UNMARKED])
            self._known.addItems([marked_by(layer.name) for layer in layers])
            self._known.setCurrentIndex(self._index())
        self._known.setEnabled(particles is not None)

    def _index(self) -> int:
        if self._session.whole:
            return 0
        return 1 + next((i for i, layer in enumerate(self._regions) if layer is self._session.region), 0)

    def _choose_region(self, index: int) -> None:
        self._session.put("region", None if index == 0 else self._regions[index - 1])
        self._session.put("whole", index == 0)

    def _chosen(self, name: str) -> None:
        if name not in ("image", "particles", "region", "whole"):
            return
        self._list_regions()
        self._watch()
        self._settled.start()

    def _watch(self) -> None:
        """Follow what is drawn in the chosen layers."""
        layers: list[Layer | None] = [self._session.image, self._session.particles, self._session.region]
        emitters = [
            emitter
            for layer in layers
            if layer is not None
            for emitter in (layer.events.data, layer.events.scale, layer.events.units)
        ]
        emitters += [layer.events.paint for layer in layers if isinstance(layer, Labels)]
        self._edits.replace(*((emitter, self._edited) for emitter in emitters))

    def _edited(self, _: Event | None = None) -> None:
        self._settled.start()
