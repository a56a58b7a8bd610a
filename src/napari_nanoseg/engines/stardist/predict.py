"""From an image to star-convex objects: tiles through the network, sparse candidates, one NMS for the whole image."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from napari_nanoseg.engines.device import out_of_memory
from napari_nanoseg.engines.stardist.network import StarDistNet
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Event, Notice, Progress
from napari_nanoseg.instances import Instances
from napari_nanoseg.scaling import ScaledView
from napari_nanoseg.tiling import tiles

EXCLUDED_RIM = 2  # grid pixels at the border of the padded image that never are candidates (the original's b=2)
LEAST_DISTANCE = 1e-3
MOST_CANDIDATES = 400_000  # bounds the time of the NMS, which cannot be interrupted, to seconds


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

    def at_least(self, probability: float) -> Self:
        """Only candidates above a probability."""
        return self.where(self.prob > probability)

    def suppressed(self, overlap: float) -> Self:
        """The candidates left by non-maximum suppression, most probable first.

        Parameters
        ----------
        overlap : float
            Largest allowed intersection over the smaller area of two objects.
        """
        from stardist.nms import non_maximum_suppression_sparse

        if len(self) == 0:
            return self
        points, prob, dist, index = non_maximum_suppression_sparse(
            self.dist, self.prob, self.points, nms_thresh=overlap
        )
        return type(self)(points, prob, dist, self.classes[index])


def concatenate(parts: list[Candidates], n_rays: int, n_class_columns: int) -> Candidates:
    """All candidates of several tiles."""
    empty = Candidates(
        np.zeros((0, 2), np.int64),
        np.zeros(0, np.float32),
        np.zeros((0, n_rays), np.float32),
        np.zeros((0, n_class_columns), np.float32),
    )
    columns = zip(*((p.points, p.prob, p.dist, p.classes) for p in (empty, *parts)), strict=True)
    return Candidates(*(np.concatenate(column) for column in columns))


@torch.inference_mode()
def run_network(
    network: StarDistNet, image: NDArray[np.float32], device: torch.device
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Put one normalised image through the network.

    Parameters
    ----------
    network : StarDistNet
        In evaluation mode on `device`.
    image : float32 array, shape (H, W) or (H, W, C)
        Sides divisible by the network's divisor.
    device : torch.device

    Returns
    -------
    prob : float32 array, shape (h, w)
    dist : float32 array, shape (h, w, n_rays)
        Not yet clipped to positive values.
    classes : float32 array, shape (h, w, n_classes + 1)
        Of zero channels when there are no classes.
    """
    stacked = np.atleast_3d(image).transpose(2, 0, 1)[None]
    batch = torch.from_numpy(np.ascontiguousarray(stacked)).to(device, memory_format=torch.channels_last)
    logit, dist, class_logit = network(batch)
    prob = logit.float().sigmoid()[0, 0].cpu().numpy()
    if class_logit is None:
        classes = np.zeros((*prob.shape, 0), np.float32)
    else:
        classes = class_logit.float().softmax(dim=1)[0].permute(1, 2, 0).cpu().numpy()
    return prob, dist[0].float().permute(1, 2, 0).cpu().numpy(), classes


def find_candidates(
    network: StarDistNet,
    view: ScaledView,
    normalisation: tuple[NDArray[np.float32], NDArray[np.float32]],
    *,
    probability: float,
    border: int,
    tile: int,
    device: torch.device,
) -> Generator[Event, None, Candidates]:
    """Stream an image through the network and collect the candidates.

    Tiles overlap by the network's reach, so the result does not depend on how the image is cut.

    Parameters
    ----------
    network : StarDistNet
        In evaluation mode on `device`.
    view : ScaledView
        The image at the network's working scale.
    normalisation : tuple of float32 array
        Subtracted from and multiplied to each channel.
    probability : float
        Only grid pixels above it are candidates.
    border : int
        Width of the mirrored rim on all sides, px.
    tile : int
        Side of a tile's own part, px.
    device : torch.device

    Yields
    ------
    Progress, Notice
        After each tile; when the device ran out of memory and smaller tiles are tried.

    Raises
    ------
    NanosegError
        When even small tiles do not fit into the device's memory.
    """
    divisor, grid = network.divisor, np.array(network.config.grid)
    rim = -(-border // max(divisor)) * max(divisor) if border else 0
    padded = tuple(-(-(size + 2 * rim) // div) * div for size, div in zip(view.shape, divisor, strict=True))
    step = max(divisor)
    side = max(step, tile // step * step)
    while True:
        windows = tiles((padded[0], padded[1]), side, network.reach)
        found: list[Candidates] = []
        yield Progress(0, len(windows), "tiles")
        try:
            for done, window in enumerate(windows, 1):
                rows, columns = window.rows, window.columns
                pixels = view.window((rows[0] - rim, rows[1] - rim), (columns[0] - rim, columns[1] - rim))
                pixels -= normalisation[0]
                pixels *= normalisation[1]
                maps = run_network(network, pixels, device)
                found.append(_pick(maps, window.rows[0], window.columns[0], window, padded, grid, probability))
                yield Progress(done, len(windows), "tiles")
            break
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            if device.type == "cuda":
                torch.cuda.empty_cache()
            if side <= 128:
                raise NanosegError(
                    f"The memory of the device '{device}' is not enough even for tiles of {side} px; "
                    "close other programs or choose the device 'cpu'."
                ) from error
            side = max(128, side // 2 // step * step)
            yield Notice(f"The device '{device}' ran out of memory; trying again with tiles of {side} px.")
    candidates = concatenate(found, network.config.n_rays, (network.config.n_classes or -1) + 1)
    # Padding is not part of the image: objects centred there are dropped.
    points = candidates.points - rim
    inside = np.asarray(((points >= 0) & (points < np.array(view.shape))).all(axis=1))
    candidates = replace(candidates, points=points).where(inside)
    if len(candidates) > MOST_CANDIDATES:
        threshold = float(np.partition(candidates.prob, -MOST_CANDIDATES)[-MOST_CANDIDATES])
        candidates = candidates.at_least(threshold)
        yield Notice(
            f"Very many pixels look like particles; only those with a probability above {threshold:.2f} are used. "
            "The model may need more training, or the particle diameter is wrong."
        )
    return candidates


def all_candidates(
    maps: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    grid: tuple[int, int],
    probability: float,
    most: int = MOST_CANDIDATES,
) -> Candidates:
    """Candidates of a whole image that went through the network at once, at most the `most` probable ones.

    Parameters
    ----------
    maps : tuple
        What :func:`run_network` returns.
    grid : tuple of int
        Of the network.
    probability : float
        Only grid pixels above it are candidates.
    most : int
        Bounds the time of the non-maximum suppression.
    """
    prob, dist, classes = maps
    keep = np.zeros_like(prob, bool)
    inner = (slice(EXCLUDED_RIM, -EXCLUDED_RIM),) * 2
    keep[inner] = prob[inner] > probability
    if keep.sum() > most:
        keep &= prob >= np.partition(prob[keep], -most)[-most]
    index = np.nonzero(keep)
    points = np.stack(index, axis=1) * np.array(grid)
    return Candidates(points, prob[index], np.maximum(dist[index], LEAST_DISTANCE), classes[index])


def _pick(
    maps: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
    row: int,
    column: int,
    window: Any,
    padded: tuple[int, ...],
    grid: NDArray[np.int64],
    probability: float,
) -> Candidates:
    """Candidates of a tile's own part, away from the padded image's rim."""
    prob, dist, classes = maps
    keep = prob > probability
    offsets = np.array([row, column]) // grid
    for axis, own in enumerate((window.own_rows, window.own_columns)):
        at = np.arange(prob.shape[axis]) + offsets[axis]
        whole = padded[axis] // grid[axis]
        low, high = max(own[0] // grid[axis], EXCLUDED_RIM), min(own[1] // grid[axis], whole - EXCLUDED_RIM)
        inside = (at >= low) & (at < high)
        keep &= inside[:, None] if axis == 0 else inside[None, :]
    index = np.nonzero(keep)
    points = (np.stack(index, axis=1) + offsets) * grid
    return Candidates(points, prob[index], np.maximum(dist[index], LEAST_DISTANCE), classes[index])


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
    from stardist.geometry.geom2d import polygons_to_label_coord

    shape = (view.source.shape[0], view.source.shape[1])
    if len(candidates) == 0:
        return Instances.empty(shape)
    coordinates = outlines(candidates, view)
    ascending = np.argsort(candidates.prob, kind="stable")
    labels = polygons_to_label_coord(coordinates[ascending], shape=shape, labels=ascending)
    instances = Instances.from_labels(labels)
    index = instances.ids - 1
    classes = candidates.classes.argmax(axis=1) if candidates.classes.shape[1] else np.zeros(len(candidates))
    return replace(instances, scores=candidates.prob[index], classes=classes[index].astype(np.int32))
