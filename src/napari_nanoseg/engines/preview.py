"""The picture that shows how a training goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.engines.patches import WorkingImage
from napari_nanoseg.io.atomic import atomic_path

TRUE_OUTLINE = (255, 200, 0)


def draw(truth: WorkingImage, cover: NDArray[np.float32], path: Path) -> None:
    """Beside each other, twice enlarged: the piece, the piece with true outlines, what is found (white: surely).

    Parameters
    ----------
    truth : WorkingImage
    cover : float32 array, shape (H, W)
        0 to 1.
    path : Path
        Of the picture.
    """
    from PIL import Image as Picture
    from skimage.segmentation import find_boundaries

    pixels = truth.pixels if truth.pixels.ndim == 2 else truth.pixels.mean(axis=-1)
    grey = (np.clip(pixels, 0, 1) * 255).astype(np.uint8).repeat(2, 0).repeat(2, 1)
    found = (cover * 255).astype(np.uint8).repeat(2, 0).repeat(2, 1)
    panels = np.repeat(np.concatenate([grey, grey, found], axis=1)[..., None], 3, axis=2)
    for layer in np.moveaxis(np.atleast_3d(truth.labels), -1, 0):
        edges = find_boundaries(np.maximum(layer, 0).repeat(2, 0).repeat(2, 1), mode="inner")
        panels[:, grey.shape[1] : 2 * grey.shape[1]][edges] = TRUE_OUTLINE
    with atomic_path(path) as temporary:
        Picture.fromarray(panels).save(temporary)
