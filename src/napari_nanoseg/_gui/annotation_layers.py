"""The layers that an annotation is drawn in: made, mended and looked at."""

from __future__ import annotations

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer, Shapes

from napari_nanoseg._gui.drawing import next_label, ready
from napari_nanoseg._gui.layers import KNOWN_REGION, image_layer, image_of, in_colours, labels_layer
from napari_nanoseg._gui.session import Session
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.measurement.annotation import Finding
from napari_nanoseg.measurement.pieces import mended
from napari_nanoseg.samples import Image

LEAST_SEEN = 40
"""Pixels of the canvas that a particle fills at least when it is gone to."""
SMALLEST_SEEN = 20
"""Pixels of the image that count as a particle then, so that what is around a fragment can be seen."""
OUTLINE_COLOURS = ("#F0E442", "#56B4E9", "#E69F00", "#CC79A7", "#009E73", "#D55E00")
"""Of Okabe and Ito, in turn; napari's own for labels include greys, which cannot be seen on a grey image."""
REGION_COLOUR = "#56B4E9"
"""Sky blue of Okabe and Ito, beside the colours of particles and errors."""
REGION_OPACITY = 0.4
"""Of the edges, too: what lies below stays visible."""

Slice = tuple[ImageLayer, Image, str]
"""A stack, one image of it and its name."""


def make_annotation(session: Session) -> None:
    """Add an empty annotation of the chosen image, choose it and begin to draw.

    Raises
    ------
    NanosegError
        When the image cannot be used.
    """
    image = session.image
    if image is None:
        return
    empty = np.zeros(image_of(image).plane_shape, np.int32)
    made = labels_layer(empty, image, f"{image.name}: annotated", role="particles")
    layer = session.viewer.add_layer(Layer.create(*made))
    assert isinstance(layer, Labels)
    layer.colormap = in_colours(*OUTLINE_COLOURS)
    session.put("particles", layer)
    ready(layer)
    session.viewer.layers.selection.active = layer


def mark_region(session: Session) -> None:
    """Add a layer for rectangles where the annotation is known, or go on with the one that is chosen."""
    image, particles, layer = session.image, session.particles, session.region
    if image is None or particles is None:
        return
    if not isinstance(layer, Shapes):
        place = {name: getattr(particles, name) for name in ("scale", "translate", "units", "axis_labels")}
        layer = Shapes(
            ndim=particles.ndim,
            name=f"{image.name}: {KNOWN_REGION}",
            edge_color=REGION_COLOUR,
            face_color=REGION_COLOUR,
            edge_width=max(particles.data.shape) / 400,
            opacity=REGION_OPACITY,
            **place,
        )
        session.viewer.add_layer(layer)
    session.put("region", layer)
    session.put("whole", False)
    session.viewer.layers.selection.active = layer
    layer.mode = "add_rectangle"


def is_stack(image: ImageLayer) -> bool:
    """Whether a layer is a stack or a time series; what is no image at all is told when it is used."""
    try:
        return image_of(image).axes[0] in "ZT"
    except NanosegError:
        return False


def shown_slice(session: Session) -> int | None:
    """Number of the slice of the chosen stack that is shown."""
    stack = session.image
    if stack is None or not is_stack(stack):
        return None
    shape = (stack.data[0] if stack.multiscale else stack.data).shape[: stack.ndim]
    axis = next(index for index, size in enumerate(shape[:-2]) if size > 1)
    place = stack.world_to_data(np.asarray(session.viewer.dims.point)[-stack.ndim :])[axis]
    return int(np.clip(round(float(place)), 0, shape[axis] - 1))


def take_slice(stack: ImageLayer, index: int) -> Slice:
    """Read one image of a stack; for a thread."""
    image = image_of(stack)
    sizes = image.calibration.pixel_size_nm
    calibration = Calibration(None if sizes is None else sizes[-2:])
    plane = Image(np.asarray(image.data[index]), image.axes[1:], calibration, stack.name)
    return stack, plane, f"{stack.name} {image.axes[0].lower()}{index}"


def add_slice(session: Session, taken: Slice) -> None:
    """Show the image taken out of a stack in place of the stack, and choose it."""
    stack, image, name = taken
    layer = Layer.create(*image_layer(image, name))
    layer.translate = np.asarray(stack.translate)[-layer.ndim :]
    session.viewer.add_layer(layer)
    stack.visible = False
    session.put("image", layer)


def mend(layer: Labels) -> str:
    """Part pieces and remove fragments, as one step that Ctrl+Z takes back; says what was done."""
    labels, done = mended(layer.data.reshape(layer.data.shape[-2:]))
    labels = labels.reshape(layer.data.shape)
    where = np.nonzero(labels != layer.data)
    layer.data_setitem(where, labels[where])
    next_label(layer)
    return done


def go_to(session: Session, finding: Finding) -> None:
    """Show the place of a finding and select its label."""
    layer = session.particles
    if layer is None or finding.position is None:
        return
    place = layer.data_to_world((*[0.0] * (layer.ndim - 2), *finding.position))
    camera = session.viewer.scene.camera
    camera.center = tuple(place[-2:])
    own = np.argwhere(layer.data == finding.label) if finding.label is not None else np.zeros((0, 2))
    extent = max(SMALLEST_SEEN, np.ptp(own[:, -2:], axis=0).max() + 1 if len(own) else 0)
    camera.zoom = max(camera.zoom, LEAST_SEEN / (extent * abs(layer.scale[-1])))
    session.viewer.layers.selection.active = layer
    if finding.label is not None:
        layer.selected_label = finding.label
