"""The true sizes, places and directions of objects, as columns of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.generators.nanowires.forms import CLASSES
from napari_nanoseg.generators.nanowires.scene import Scene


def truth_of(
    scene: Scene, annotated: NDArray[np.int64], visible: NDArray[np.float64], pixel_size_nm: float
) -> dict[str, NDArray[Any]]:
    """Describe the annotated objects of an image.

    Parameters
    ----------
    scene : Scene
    annotated : int array, shape (N,)
        The objects, in the order of the instances, whose ids are 1 to N.
    visible : float array, shape (N,)
        Fraction of the object inside the image on which nothing lies.
    pixel_size_nm : float

    Returns
    -------
    dict of arrays, shape (N,)
        ``id``; ``class``; ``length_nm`` (of a bent wire that of its line), ``width_nm`` and ``thickness_nm`` (in the
        middle; extents of agglomerates) and ``volume_nm3`` of the whole object, also where the image cuts it;
        ``taper``; ``bent``, ``broken``; ``row``, ``column`` (px) and ``depth_nm`` (from the lower side) of its middle;
        ``direction_row``, ``direction_column``, ``direction_depth``, a unit vector along its length (of a bent wire
        from end to end); ``orientation_deg``, its direction in the image, counter-clockwise from the horizontal, 0 to
        180; ``tilt_deg``, 0 (in the image plane) to 90; ``visible_fraction``; ``parent``, the id of the wire that a
        branch grows on, 0 without.
    """
    ids = {int(number): position for position, number in enumerate(annotated, start=1)}
    chosen = [scene.objects[number] for number in annotated]
    forms = [one.form for one in chosen]
    columns: dict[str, Any] = {
        "id": np.arange(1, len(chosen) + 1),
        "class": np.array([CLASSES[form.kind] for form in forms], dtype=object),
        "length_nm": pixel_size_nm * np.array([form.length for form in forms]),
        "width_nm": pixel_size_nm * np.array([form.width for form in forms]),
        "thickness_nm": pixel_size_nm * np.array([form.thickness for form in forms]),
        "volume_nm3": pixel_size_nm**3 * np.array([form.volume for form in forms]),
        "taper": np.array([form.taper for form in forms]),
        "bent": np.array([form.joints is not None for form in forms]),
        "broken": np.array([form.broken for form in forms]),
    }
    centres = np.array([one.centre for one in chosen]).reshape(-1, 3)
    along = np.array([one.direction for one in chosen]).reshape(-1, 3)
    columns |= {
        "row": centres[:, 1],
        "column": centres[:, 0],
        "depth_nm": pixel_size_nm * centres[:, 2],
        "direction_row": along[:, 1],
        "direction_column": along[:, 0],
        "direction_depth": along[:, 2],
        "orientation_deg": np.degrees(np.arctan2(-along[:, 1], along[:, 0])) % 180,
        "tilt_deg": np.degrees(np.arcsin(np.clip(abs(along[:, 2]), 0, 1))),
        "visible_fraction": visible,
        "parent": np.array([ids.get(one.parent - 1, 0) for one in chosen], dtype=np.int64),
    }
    return columns
