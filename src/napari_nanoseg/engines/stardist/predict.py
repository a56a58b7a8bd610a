"""From an image to candidates for objects: tiles through the network, the probable grid pixels of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_nanoseg.engines.contrast import Normalisation
from napari_nanoseg.engines.device import smaller_tiles
from napari_nanoseg.engines.stardist.candidates import Candidates, joined
from napari_nanoseg.engines.stardist.network import StarDistNet
from napari_nanoseg.events import Notice, Progress, checkpoint, tell
from napari_nanoseg.scaling import ScaledView
from napari_nanoseg.tiling import tiles

EXCLUDED_RIM = 2  # grid pixels at the border of the padded image that never are candidates (the original's b=2)
LEAST_DISTANCE = 1e-3
MOST_DISTANCE = 2.0**14
"""Of an outline from its middle, px; stardist's compiled code ends the process for distances of 1e18, which a network
gives for a single bright pixel: percentiles do not see it, so normalising makes it endlessly bright."""
MOST_CANDIDATES = 400_000  # bounds the time of the NMS, which cannot be interrupted, to seconds


Maps = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""What the network says of one image: see :func:`run_network`."""


@torch.inference_mode()
def run_network(network: StarDistNet, image: NDArray[np.float32], device: torch.device) -> Maps:
    """Put one normalised image through the network.

    It can be left after each layer: on 2 cores, a tile of 1024 px takes 2.5 s with the published architecture and its
    longest layer 0.5 s.

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
    normalisation: Normalisation,
    *,
    probability: float,
    border: int,
    tile: int,
    device: torch.device,
    floor: float | None = None,
) -> Candidates:
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
    floor : float, optional
        Keep those above this lower probability too, for thresholds that are chosen later.

    Raises
    ------
    NanosegError
        When even small tiles do not fit into the device's memory.
    """
    divisor, grid = network.divisor, np.array(network.config.grid)
    rim = -(-border // max(divisor)) * max(divisor) if border else 0
    padded = tuple(-(-(size + 2 * rim) // div) * div for size, div in zip(view.shape, divisor, strict=True))
    lowest = probability if floor is None else min(floor, probability)
    step = max(divisor)
    side = max(step, tile // step * step)
    while True:
        windows = tiles((padded[0], padded[1]), side, network.reach)
        found: list[Candidates] = []
        tell(Progress(0, len(windows), "tiles"))
        try:
            for done, window in enumerate(windows, 1):
                rows, columns = window.rows, window.columns
                pixels = view.window((rows[0] - rim, rows[1] - rim), (columns[0] - rim, columns[1] - rim))
                checkpoint()
                pixels -= normalisation[0]
                pixels *= normalisation[1]
                maps = run_network(network, pixels, device)
                picked = _pick(maps, rows[0], columns[0], window, padded, grid, lowest)
                found.append(_inside(picked, rim, view.shape))
                if sum(map(len, found)) > 2 * MOST_CANDIDATES:
                    found = [joined(found).most_probable(MOST_CANDIDATES + 1)]
                tell(Progress(done, len(windows), "tiles"))
            break
        except (MemoryError, RuntimeError) as error:
            side, notice = smaller_tiles(error, side, device, step)
            tell(notice)
    candidates = joined(found)
    if len(candidates) > MOST_CANDIDATES:
        threshold = float(np.partition(candidates.prob, -MOST_CANDIDATES)[-MOST_CANDIDATES])
        candidates = candidates.at_least(threshold)
        if threshold >= probability:
            tell(
                Notice(
                    f"Very many pixels look like particles; only those with a probability above {threshold:.2f} are "
                    "used. The model may need more training, or the particle diameter is wrong."
                )
            )
    return candidates


def _inside(candidates: Candidates, rim: int, shape: tuple[int, int]) -> Candidates:
    """Candidates of the padded image that are centred in the image itself, in its coordinates."""
    points = candidates.points - rim
    inside = np.asarray(((points >= 0) & (points < np.array(shape))).all(axis=1))
    return replace(candidates, points=points).where(inside)


def all_candidates(
    maps: Maps,
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
    return Candidates(points, prob[index], _bounded(dist[index]), classes[index])


def _pick(
    maps: Maps,
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
    return Candidates(points, prob[index], _bounded(dist[index]), classes[index])


def _bounded(distances: NDArray[np.float32]) -> NDArray[np.float32]:
    """Distances of outlines that can be drawn; NaN becomes the least."""
    return np.fmin(np.fmax(distances, np.float32(LEAST_DISTANCE)), np.float32(MOST_DISTANCE))
