"""Texture synthesis by image quilting (Efros & Freeman, SIGGRAPH 2001)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_nanoseg.generators.kernels import uniform

CANDIDATES = 200
"""Blocks compared for each place; more changed nothing visible and cost time in proportion."""
TOLERANCE = 1.1
"""A block is drawn from those whose overlap error is within this factor of the best."""


def quilt(
    texture: NDArray[np.float32],
    valid: NDArray[np.bool_],
    shape: tuple[int, int],
    block: int,
    overlap: float,
    rng: np.random.Generator,
) -> NDArray[np.float32] | None:
    """Synthesise texture of any shape from the valid pixels of an image.

    Parameters
    ----------
    texture : float32 array, shape (Y, X)
    valid : bool array, shape (Y, X)
        Only blocks that lie completely inside are used.
    shape : (rows, columns)
        Of the result; may be larger or smaller than the texture.
    block : int
        Side of the blocks in px; halved until at least four of them lie in the valid pixels.
    overlap : float
        Overlap of neighbouring blocks as a fraction of their side.
    rng : numpy.random.Generator

    Returns
    -------
    float32 array of the given shape, or None when not even blocks of four pixels find room.
    """
    while block >= 4:
        corners = _block_corners(valid, block)
        if len(corners) >= 4:
            seed = rng.integers(1, 2**63, 1, np.uint64)
            return _quilt(texture, corners, shape[0], shape[1], block, max(1, round(block * overlap)), seed)
        block //= 2
    return None


def _block_corners(valid: NDArray[np.bool_], block: int) -> NDArray[np.int64]:
    """Upper left corners of all blocks that lie completely in the valid pixels."""
    if min(valid.shape) < block:
        return np.empty((0, 2), np.int64)
    sums = np.zeros((valid.shape[0] + 1, valid.shape[1] + 1), np.int64)
    sums[1:, 1:] = valid.cumsum(0, dtype=np.int64).cumsum(1)
    filled = sums[block:, block:] - sums[:-block, block:] - sums[block:, :-block] + sums[:-block, :-block]
    return np.argwhere(filled == block * block)


@njit(cache=True, nogil=True)
def _quilt(
    texture: NDArray[np.float32],
    corners: NDArray[np.int64],
    height: int,
    width: int,
    block: int,
    overlap: int,
    random: NDArray[np.uint64],
) -> NDArray[np.float32]:
    step = block - overlap
    rows = (height - overlap + step - 1) // step
    columns = (width - overlap + step - 1) // step
    result = np.zeros((max(rows, 1) * step + overlap, max(columns, 1) * step + overlap), np.float32)
    tried = min(CANDIDATES, len(corners))
    errors = np.empty(tried, np.float32)
    picks = np.empty(tried, np.int64)
    cost = np.empty((block, overlap), np.float32)
    from_left = np.empty(block, np.int64)
    from_top = np.empty(block, np.int64)
    for i in range(max(rows, 1)):
        for j in range(max(columns, 1)):
            top, left = i * step, j * step
            best = np.float32(np.inf)
            for n in range(tried):
                picks[n] = int(uniform(random) * len(corners))
                r0, c0 = corners[picks[n], 0], corners[picks[n], 1]
                error = np.float32(0)
                for r in range(block):
                    edge = block if i > 0 and r < overlap else (overlap if j > 0 else 0)
                    for c in range(edge):
                        difference = result[top + r, left + c] - texture[r0 + r, c0 + c]
                        error += difference * difference
                    if error > TOLERANCE * best:
                        break
                errors[n] = error
                best = min(best, error)
            chosen, seen = picks[0], 0
            for n in range(tried):
                if errors[n] <= TOLERANCE * best:
                    seen += 1
                    if uniform(random) * seen < 1:
                        chosen = picks[n]
            r0, c0 = corners[chosen, 0], corners[chosen, 1]
            from_left[:] = 0
            from_top[:] = 0
            if j > 0:
                for r in range(block):
                    for k in range(overlap):
                        cost[r, k] = (result[top + r, left + k] - texture[r0 + r, c0 + k]) ** 2
                _cheapest_path(cost, from_left)
            if i > 0:
                for c in range(block):
                    for k in range(overlap):
                        cost[c, k] = (result[top + k, left + c] - texture[r0 + k, c0 + c]) ** 2
                _cheapest_path(cost, from_top)
            for r in range(block):
                for c in range(block):
                    if c >= from_left[r] and r >= from_top[c]:
                        result[top + r, left + c] = texture[r0 + r, c0 + c]
    return result[:height, :width].copy()


@njit(cache=True, nogil=True)
def _cheapest_path(cost: NDArray[np.float32], path: NDArray[np.int64]) -> None:
    """Write for each row of `cost` the column where the cheapest path from top to bottom crosses (cost is summed)."""
    rows, columns = cost.shape
    for r in range(1, rows):
        for k in range(columns):
            before = cost[r - 1, k]
            if k > 0:
                before = min(before, cost[r - 1, k - 1])
            if k < columns - 1:
                before = min(before, cost[r - 1, k + 1])
            cost[r, k] += before
    path[rows - 1] = np.argmin(cost[rows - 1])
    for r in range(rows - 2, -1, -1):
        k = path[r + 1]
        best = k
        for near in (k - 1, k + 1):
            if 0 <= near < columns and cost[r, near] < cost[r, best]:
                best = near
        path[r] = best
