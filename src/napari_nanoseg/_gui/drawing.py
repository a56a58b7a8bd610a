"""Drawing particles: every outline gets the next label by itself, and keys for labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.events import Event
from qtpy.QtCore import QObject

from napari_nanoseg._gui.follow import Following
from napari_nanoseg._gui.session import Session

NEXT_KEY = "N"
DELETE_KEYS = ("D", "Delete")
"""napari has no action for these keys in labels layers; Delete removes points and shapes, too."""
KEYS = (
    (NEXT_KEY, "next label"),
    (" or ".join(DELETE_KEYS), "remove the label under the cursor"),
    ("3, 2, 1", "polygon, brush, eraser"),
    ("Ctrl+Z", "undo"),
)
"""What a user needs to know by heart, with napari's own keys."""
SMALLEST_CONTOUR = 2


class Drawing(QObject):
    """Follows the annotation layer that is chosen in a session, and no other.

    A finished polygon makes the next label the selected one. A stroke of the brush begins the next label when it
    starts away from what has the selected label, so that a particle may be painted in several strokes.

    Parameters
    ----------
    session : Session

    Attributes
    ----------
    automatic : bool
        Whether labels advance by themselves.
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.automatic = True
        self._layer: Labels | None = None
        self._strokes = Following(self)
        session.changed.connect(self._chosen)
        self._follow(session.particles)

    @property
    def _session(self) -> Session:
        """Its parent; a reference of its own would be a cycle, whose end by Python's collector Qt does not survive."""
        session = self.parent()
        assert isinstance(session, Session)
        return session

    def set_automatic(self, on: bool) -> None:
        """Let labels advance by themselves, or not."""
        self.automatic = on

    def _chosen(self, name: str) -> None:
        if name == "particles":
            self._follow(self._session.particles)

    def _follow(self, layer: Labels | None) -> None:
        if self._layer is not None:
            for key in (NEXT_KEY, *DELETE_KEYS):
                self._layer.bind_key(key, None)
            if self._press in self._layer.mouse_drag_callbacks:
                self._layer.mouse_drag_callbacks.remove(self._press)
        self._layer = None if layer is None or layer.multiscale else layer
        self._strokes.replace()
        if self._layer is not None:
            self._layer.bind_key(NEXT_KEY, next_label, overwrite=True)
            for key in DELETE_KEYS:
                self._layer.bind_key(key, self.delete_label, overwrite=True)
            self._layer.mouse_drag_callbacks.insert(0, self._press)  # before napari begins to paint
            self._strokes.replace((self._layer.events.paint, self._painted))

    def delete_label(self, layer: Labels) -> None:
        """Remove the label under the cursor; Ctrl+Z brings it back."""
        viewer = self._session.viewer
        label = layer.get_value(viewer.cursor.position, world=True)
        if not label:
            viewer.status = "There is no label under the cursor."
            return
        layer.data_setitem(np.nonzero(layer.data == label), 0)
        viewer.status = f"Label {label} is removed; Ctrl+Z brings it back."

    def _painted(self, event: Event) -> None:
        """Go on to the next label when a polygon is filled; napari says so before it paints the pixels."""
        layer = self._layer
        if self.automatic and layer is not None and str(layer.mode) == "polygon" and layer.selected_label:
            next_label(layer, layer.selected_label)

    def _press(self, layer: Labels, event: Any) -> Iterator[None] | None:
        """Go on to the next label when something begins away from the selected one."""
        drawing = str(layer.mode) == "paint" or (str(layer.mode) == "polygon" and not _begun(layer))
        if self.automatic and drawing and layer.selected_label and not self._touches(layer, event):
            next_label(layer)
        return None

    def _touches(self, layer: Labels, event: Any) -> bool:
        """Whether the brush is on or beside the selected label, or this label is not used yet."""
        own = layer.data == layer.selected_label
        reach = layer.brush_size / 2 + 1 if str(layer.mode) == "paint" else 1
        place = np.asarray(layer.world_to_data(event.position))
        near = tuple(
            slice(max(int(np.floor(at - reach)), 0), max(int(np.ceil(at + reach)) + 1, 0)) for at in place
        )  # fmt: skip
        return bool(own[near].any() or not own.any())


def drawing_of(session: Session) -> Drawing:
    """The one that follows a session's annotation, made when there is none."""
    found: Drawing | None = session.findChild(Drawing)
    return found or Drawing(session)


def next_label(layer: Labels, used: int = 0) -> None:
    """Select a label above all in the layer and above `used`."""
    largest = max(int(np.max(layer.data)), used)
    if largest < np.iinfo(layer.data.dtype).max:
        layer.selected_label = largest + 1


def ready(layer: Labels) -> None:
    """Make a layer ready for outlines: the polygon tool, particles seen as outlines and not painted over."""
    rows, columns = layer.data.shape[-2:]
    layer.contour = max(SMALLEST_CONTOUR, max(rows, columns) // 1000)
    layer.opacity = 1.0
    layer.preserve_labels = True
    next_label(layer)
    layer.mode = "polygon"


def _begun(layer: Labels) -> bool:
    """Whether the polygon tool has vertices that are no polygon yet; napari has no public name for them."""
    return bool(layer._overlays["polygon"].points)
