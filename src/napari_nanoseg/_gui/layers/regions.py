"""Drawn shapes as a region of an image."""

from __future__ import annotations

import numpy as np
from napari.layers import Layer, Shapes
from numpy.typing import NDArray

from napari_nanoseg._gui.layers.space import same_unit
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.outlines import rasterise

ELLIPSE_VERTICES = 180
"""Of the polygon drawn for an ellipse: within 0.1 px of it up to a radius of 600 px."""


def region_of(shapes: Shapes, image_layer: Layer, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels of an image whose centres lie inside one of the shapes of a layer.

    Parameters
    ----------
    shapes : Shapes layer
        Rectangles, ellipses, polygons and paths (closed); lines enclose nothing.
    image_layer : Image layer
        On which they were drawn; the two may have different scales and translations.
    shape : tuple of int
        Rows and columns of the image.

    Raises
    ------
    NanosegError
        When there is no shape, or none encloses anything.
    """
    region = np.zeros(shape, dtype=bool)
    for vertices, kind in zip(shapes.data, shapes.shape_type, strict=True):
        outline = _on_image(_outline(np.asarray(vertices, dtype=float), kind), shapes, image_layer)
        if len(outline) < 3:
            continue
        mask, (row, column) = rasterise(outline, shape)
        region[row : row + mask.shape[0], column : column + mask.shape[1]] |= mask
    if not region.any():
        raise NanosegError(
            f"The shapes of the layer '{shapes.name}' enclose no pixel of the image '{image_layer.name}'; draw a "
            "polygon or rectangle on it."
        )
    return region


def _outline(vertices: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    if kind != "ellipse":
        return vertices
    middle = vertices.mean(axis=0)  # napari gives the corners of the rectangle around it
    first, second = (vertices[0] + vertices[1]) / 2 - middle, (vertices[1] + vertices[2]) / 2 - middle
    angle = np.linspace(0, 2 * np.pi, ELLIPSE_VERTICES, endpoint=False)[:, None]
    return np.asarray(middle + np.cos(angle) * first + np.sin(angle) * second)


def _on_image(outline: NDArray[np.float64], shapes: Shapes, image_layer: Layer) -> NDArray[np.float64]:
    """Vertices in rows and columns of the image."""
    factor = same_unit(shapes.units[-1], image_layer.units[-1])
    placed = []
    for vertex in outline:
        world = np.asarray(shapes.data_to_world(vertex), dtype=float) * factor
        here = np.zeros(image_layer.ndim)
        shared = min(len(here), len(world))
        here[-shared:] = world[-shared:]
        placed.append(np.asarray(image_layer.world_to_data(here), dtype=float)[-2:])
    return np.array(placed).reshape(-1, 2)
