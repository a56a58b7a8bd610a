"""Candidates for star-convex objects, their outlines and masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.instances import Instances
from napari_nanoseg.scaling import ScaledView


@dataclass(frozen=True, eq=False)
class Candidates:
    """Grid pixels that may be centres of objects, before non-maximum suppression.

    Parameters
    ----------
    points : int array, shape (N, 2)
        Row and column in pixels of the scaled image.
    prob : float32 array, shape (N,)
        Object probability.
    dist : float32 array, shape (N, n_rays)
        Distances to the outline in pixels of the scaled image.
    classes : float32 array, shape (N, n_classes + 1)
        Class probabilities (zero columns when there are no classes).
    """

    points: NDArray[np.int64]
    prob: NDArray[np.float32]
    dist: NDArray[np.float32]
    classes: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.prob)

    def where(self, keep: NDArray[np.bool_]) -> Self:
        """Some of the candidates."""
        return type(self)(self.points[keep], self.prob[keep], self.dist[keep], self.classes[keep])

    def at(self, index: NDArray[np.int64]) -> Self:
        """Some of the candidates, in another order."""
        return type(self)(self.points[index], self.prob[index], self.dist[index], self.classes[index])

    def at_least(self, probability: float) -> Self:
        """Only candidates above a probability."""
        return self.where(self.prob > probability)

    def most_probable(self, most: int) -> Self:
        """The `most` most probable ones, and all that are as probable as the last of these."""
        return self.where(self.prob >= np.partition(self.prob, -most)[-most]) if len(self) > most else self


def no_candidates(network: StarDistConfig) -> Candidates:
    """Of a network in an image where there is nothing to see."""
    classes = 0 if network.n_classes is None else network.n_classes + 1
    shapes = (0, network.n_rays), (0, classes)
    return Candidates(np.zeros((0, 2), np.int64), np.zeros(0, np.float32), *(np.zeros(s, np.float32) for s in shapes))


def joined(parts: Sequence[Candidates]) -> Candidates:
    """All candidates of several tiles (at least one)."""
    columns = zip(*((p.points, p.prob, p.dist, p.classes) for p in parts), strict=True)
    return Candidates(*(np.concatenate(column) for column in columns))


def outlines(candidates: Candidates, view: ScaledView) -> NDArray[np.float64]:
    """Polygons of the objects in pixels of the source image.

    Returns
    -------
    array, shape (N, 2, n_rays)
        Rows, then columns, of the vertices.
    """
    from stardist.geometry import dist_to_coord

    coordinates: NDArray[np.float64] = dist_to_coord(candidates.dist, candidates.points)
    if view.factor != 1:
        coordinates = np.stack([view.to_source(coordinates[:, axis], axis) for axis in (0, 1)], axis=1)
    return coordinates


def paint(candidates: Candidates, view: ScaledView) -> Instances:
    """Objects as instances of the source image, ids from the most probable (1) down.

    Where two outlines overlap, the more probable object owns the pixels, as in the original; an object that is
    covered wholly vanishes.
    """
    from napari_nanoseg.engines.stardist.painting import painted

    shape = (view.source.shape[0], view.source.shape[1])
    if len(candidates) == 0:
        return Instances.empty(shape)
    coordinates = outlines(candidates, view)
    ascending = np.argsort(candidates.prob, kind="stable")
    labels = painted(coordinates[ascending], ascending + 1, shape)
    instances = Instances.from_labels(labels)
    index = instances.ids - 1
    classes = candidates.classes.argmax(axis=1) if candidates.classes.shape[1] else np.zeros(len(candidates))
    return replace(instances, scores=candidates.prob[index], classes=classes[index].astype(np.int32))
