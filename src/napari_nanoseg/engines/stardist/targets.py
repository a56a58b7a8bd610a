"""Training targets of StarDist 2-D, as in stardist's ``StarDistData2D``."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.stardist import StarDistConfig


class Targets(NamedTuple):
    """What the network should answer for one patch, on the grid; float32.

    Attributes
    ----------
    prob : array, shape (1, h, w)
        Distance to the outline relative to the object's largest; -1 where the truth is not known.
    dist : array, shape (n_rays, h, w)
        Distance to the outline along each ray, in pixels.
    mask : array, shape (1, h, w)
        Weight of each grid pixel in the distance loss.
    classes : array, shape (n_classes + 1, h, w)
        One-hot class (first: background), -1 where not known; of zero channels when there are no classes.
    """

    prob: NDArray[np.float32]
    dist: NDArray[np.float32]
    mask: NDArray[np.float32]
    classes: NDArray[np.float32]


def make_targets(labels: NDArray[Any], config: StarDistConfig, classes: dict[int, int | None] | None = None) -> Targets:
    """Targets of one label patch.

    Parameters
    ----------
    labels : int array, shape (H, W)
        0 is background, negative means not known (ignored by the object loss).
    config : StarDistConfig
        Grid, rays, classes, shape completion.
    classes : dict, optional
        Class (1, 2, ...) of each label; None for a label of unknown class.

    Returns
    -------
    Targets
        With shape completion, of the patch without its rim of ``train_completion_crop`` pixels.
    """
    from skimage.segmentation import clear_border, relabel_sequential
    from stardist.geometry import star_dist
    from stardist.utils import edt_prob

    known = labels >= 0
    positive = np.where(known, labels, 0)
    # star_dist casts to uint16: consecutive ids keep every object apart.
    compact, _, back = relabel_sequential(positive)
    compact = compact.astype(np.uint16)
    grid = config.grid
    crop = config.train_completion_crop if config.train_shape_completion else 0
    inner = (slice(crop, labels.shape[0] - crop), slice(crop, labels.shape[1] - crop))
    on_grid = (slice(None, None, grid[0]), slice(None, None, grid[1]))
    prob = edt_prob(compact[inner][on_grid]).astype(np.float32)
    if crop:
        whole = clear_border(compact)
        dist = star_dist(whole, config.n_rays, mode="cpp")[inner][on_grid]
        mask = edt_prob(whole[inner][on_grid]).astype(np.float32)
    else:
        dist = star_dist(compact, config.n_rays, mode="cpp", grid=grid)
        mask = prob.copy()
    unknown = ~known[inner][on_grid]
    prob[unknown] = -1
    one_hot = np.zeros((0, *prob.shape), np.float32)
    if config.n_classes is not None:
        sampled = np.asarray(back)[compact[inner][on_grid]]
        one_hot = np.zeros((config.n_classes + 1, *prob.shape), np.float32)
        one_hot[0] = sampled == 0
        for label in np.unique(sampled[sampled > 0]):
            cls = (classes or {}).get(int(label))
            if cls is None:
                one_hot[:, sampled == label] = -1
            else:
                one_hot[cls, sampled == label] = 1
        one_hot[:, unknown] = -1
    return Targets(prob[None], np.moveaxis(dist, -1, 0).astype(np.float32), mask[None], one_hot)
