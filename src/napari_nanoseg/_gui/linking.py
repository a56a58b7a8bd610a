"""Between a particle in the canvas and its row in a table: show one, hear of a click on one."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from napari.utils.events import Event
from numpy.typing import NDArray
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_nanoseg._gui.follow import Following, at_end, follow
from napari_nanoseg._gui.layers.space import same_unit
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances
from napari_nanoseg.layer_space import axes_of

CONTEXT = 4.0
"""A particle takes a quarter of the canvas after zooming to it."""
FITTING = (1 / 8, 1 / 2)
"""Shares of the canvas between which a particle is seen well, so that the zoom stays."""
MARGIN = 1.5
"""Pixels between a particle and the box around it."""
STILL = 4
"""Pixels of the canvas that a click may move."""
LOOKING = ("pan_zoom", "pick")
"""Modes of a layer in which a click does not draw."""


_LATEST: weakref.WeakValueDictionary[int, Spotlight] = weakref.WeakValueDictionary()
"""The spotlight that showed a particle last, by the identity of its viewer."""


class Place(NamedTuple):
    """Where a particle lies: its box (first and last row and column, half open) and its slice, None in an image."""

    box: tuple[int, int, int, int]
    plane: int | None = None


def place_of(instances: Instances, label: int, plane: int | None = None) -> Place | None:
    """Find a particle, in a stack its part in one slice (by default its first); None when it is not there."""
    found = np.flatnonzero(instances.ids == label)
    if not len(found):
        return None
    index = int(found[0])
    bounds = instances.boxes[index].tolist()
    if len(instances.shape) == 2:
        return Place((bounds[0], bounds[1], bounds[2], bounds[3]))
    first, last = bounds[0], bounds[3]
    plane = first if plane is None else plane
    if not first <= plane < last:
        return None
    rows, columns = np.nonzero(instances.masks[index][plane - first])
    if not len(rows):
        return None
    top, left = bounds[1], bounds[2]
    return Place((top + rows.min(), left + columns.min(), top + rows.max() + 1, left + columns.max() + 1), plane)


class Spotlight(QObject):
    """Shows one particle: goes to its slice, brings it into view and draws napari's selection box around it.

    Neither the layer list nor the colours of the layer change. Only one particle of a viewer is shown so.

    Parameters
    ----------
    viewer : ViewerModel
    parent : QObject
        The widget that owns it; the box goes with it.
    """

    def __init__(self, viewer: ViewerModel, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._shown: tuple[Layer, Place] | None = None
        self._box: Any = None
        follow(self, viewer.dims.events.current_step, self._follow_slice)
        kept = self._kept = [self._box]
        at_end(self, lambda: _hide(kept[0]))

    def show(self, layer: Labels, label: int, place: Place, *, move: bool = True) -> None:
        """Show a particle.

        Parameters
        ----------
        layer : Labels layer
            That it belongs to; it becomes visible, and the particle its selected label.
        label : int
        place : Place
        move : bool
            Whether to bring it into view; without, only the box is drawn.
        """
        self.clear()
        other = _LATEST.get(id(self._viewer))
        if other is not None:
            other.clear()
        _LATEST[id(self._viewer)] = self
        layer.visible = True
        layer.selected_label = label
        if move:
            self._go(layer, place)
        box = getattr(layer, "_overlays", {}).get("selection_box")  # napari has no public way to it
        if box is not None:
            row0, column0, row1, column1 = place.box
            reach = 0.5 + MARGIN
            box.handles = False
            box.bounds = ((row0 - reach, column0 - reach), (row1 - 1 + reach, column1 - 1 + reach))
        self._shown, self._box = (layer, place), box
        self._kept[0] = box
        self._follow_slice()

    def clear(self) -> None:
        """Take the box away."""
        _hide(self._box)
        self._shown = self._box = self._kept[0] = None

    def _follow_slice(self, _: Event | None = None) -> None:
        if self._shown is None or self._box is None:
            return
        layer, place = self._shown
        self._box.visible = place.plane is None or current_plane(self._viewer, layer) == place.plane

    def _go(self, layer: Layer, place: Place) -> None:
        """Move the camera, and zoom where the particle would be too small or too large."""
        viewer, camera = self._viewer, self._viewer.scene.camera
        row0, column0, row1, column1 = place.box
        corners = _world(viewer, layer, [[row0, column0], [row1 - 1, column1 - 1], [row1, column1]], place.plane)
        if place.plane is not None:
            axis = viewer.dims.ndim - layer.ndim + stack_axis(layer)
            viewer.dims.set_point(axis, corners[0, axis])
        shown = list(viewer.dims.displayed)
        camera.center = tuple(corners[:2, shown].mean(axis=0))
        extent = float(np.abs(corners[2] - corners[0])[shown].max())
        room = float(min(viewer.canvas.size))
        if extent > 0 and not FITTING[0] <= extent * camera.zoom / room <= FITTING[1]:
            camera.zoom = room / (CONTEXT * extent)


class Clicks(QObject):
    """Hears of clicks on the particles of some layers, whatever layer is active, unless the active one is drawn in.

    Parameters
    ----------
    viewer : ViewerModel
    layers : callable
        Gives the layers that count, the upper ones first.
    clicked : callable
        Takes the layer, the label (0: background of all of them) and the slice (None in an image).
    parent : QWidget
        The dock that owns it; clicks do not count while it is hidden.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        layers: Callable[[], list[Labels]],
        clicked: Callable[[Labels, int, int | None], None],
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._viewer, self._layers, self._clicked, self._owner = viewer, layers, clicked, parent
        callbacks, this = viewer.mouse_drag_callbacks, weakref.ref(self)

        def press(_: ViewerModel, event: Any) -> Generator[None, None, None]:
            clicks = this()
            if clicks is not None:
                yield from clicks._press(event)

        callbacks.append(press)
        at_end(self, lambda: callbacks.remove(press))

    def _press(self, event: Any) -> Generator[None, None, None]:
        start, button = np.asarray(event.pos), event.button
        yield
        moved = 0.0
        while event.type == "mouse_move":
            moved = max(moved, float(np.abs(np.asarray(event.pos) - start).max()))
            yield
        if max(moved, float(np.abs(np.asarray(event.pos) - start).max())) > STILL:
            return
        active = self._viewer.layers.selection.active
        drawing = str(getattr(active, "mode", LOOKING[0])) not in LOOKING
        if button != 1 or event.modifiers or drawing or self._viewer.dims.ndisplay != 2 or not self._owner.isVisible():
            return
        self.at(np.asarray(event.position, dtype=float))

    def at(self, position: NDArray[np.float64]) -> None:
        """Act as on a click at a point of the world."""
        found: tuple[Labels, int] | None = None
        for layer in self._layers():
            if not layer.visible:
                continue
            label = _label_at(self._viewer, layer, position)
            found = (layer, label) if found is None or label else found
            if label:
                break
        if found is not None:
            self._clicked(*found, current_plane(self._viewer, found[0]))


class Watch:
    """Tells when the labels of one layer, or the size of their pixels, become others.

    Parameters
    ----------
    widget : QObject
        Whose method is called.
    callback : callable
        Bound method of the widget; takes an event.
    """

    def __init__(self, widget: QObject, callback: Callable[..., Any]) -> None:
        self._following, self._callback = Following(widget), callback

    def watch(self, layer: Labels | None) -> None:
        """Watch this layer, and no other any more."""
        names = ("data", "labels_update", "paint", "scale", "units")
        emitters = [] if layer is None else [getattr(layer.events, name) for name in names]
        self._following.replace(*((emitter, self._callback) for emitter in emitters))


def current_plane(viewer: ViewerModel, layer: Layer) -> int | None:
    """Slice of a stack that the viewer shows; None for an image, or where axes cannot be told."""
    axis = stack_axis(layer)
    if axis < 0:
        return None
    point = np.asarray(viewer.dims.point, dtype=float)[viewer.dims.ndim - layer.ndim :]
    return round(float(layer.world_to_data(point / _factors(viewer, layer))[axis]))


def look_at(viewer: ViewerModel, layer: Layer, place: tuple[float, float | None, float | None]) -> None:
    """Show a slice of a stack, and with a row and column the place there in the middle of the canvas."""
    number, row, column = place
    point = _world(viewer, layer, [[row or 0.0, column or 0.0]], number)[0]
    axis = viewer.dims.ndim - layer.ndim + stack_axis(layer)
    viewer.dims.set_point(axis, point[axis])
    if row is not None and column is not None:
        viewer.scene.camera.center = tuple(point[list(viewer.dims.displayed)])


def stack_axis(layer: Layer) -> int:
    """The axis of slices or time points of a layer; -1 when it has none."""
    try:
        letters = axes_of(layer)
    except NanosegError:
        return -1
    return next((index for index, letter in enumerate(letters[:-2]) if letter in "ZTC"), -1)


def _label_at(viewer: ViewerModel, layer: Labels, position: NDArray[np.float64]) -> int:
    """Label of the pixel at a point of the world; 0 for background and beside the layer."""
    point = position[len(position) - layer.ndim :] / _factors(viewer, layer)
    data = layer.data[0] if layer.multiscale else layer.data
    index = np.round(layer.world_to_data(point)).astype(int)
    if (index < 0).any() or (index >= data.shape).any():
        return 0
    return max(int(np.asarray(data[tuple(index.tolist())])), 0)


def _world(
    viewer: ViewerModel, layer: Layer, points: Sequence[Sequence[float]], plane: float | None
) -> NDArray[np.float64]:
    """Points (row, column) of a layer's slice in all axes of the viewer and its units."""
    found = np.asarray(viewer.dims.point, dtype=float)[None].repeat(len(points), axis=0)
    for index, (row, column) in enumerate(points):
        data = np.zeros(layer.ndim)
        data[-2:] = row, column
        if plane is not None:
            data[stack_axis(layer)] = plane
        found[index, -layer.ndim :] = np.asarray(layer.data_to_world(data)) * _factors(viewer, layer)
    return found


def _factors(viewer: ViewerModel, layer: Layer) -> NDArray[np.float64]:
    """What lengths in the layer's units are multiplied with to get those of the viewer."""
    units = viewer.layers.extent.units
    if units is None or len(units) < layer.ndim:
        return np.ones(layer.ndim)
    return np.array([same_unit(own, other) for own, other in zip(layer.units, units[-layer.ndim :], strict=True)])


def _hide(box: Any) -> None:
    if box is not None:
        box.visible = False
