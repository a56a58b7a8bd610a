"""The inner loops of the cut-and-paste generator: warp, place and blend particles, compiled and without the GIL.

One call of :func:`compose` makes a whole image, so that threads run in parallel. Grey values are float32 with black 0
and white 1. A particle is a texture with the signed distance (px, positive inside) to its outline: the distance gives
the mask, the feathered edge and the contact shadow at any magnification.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

HARD, FEATHERED, POISSON = 0, 1, 2
ANTIALIAS = np.float32(0.5)
"""Half width (px) of a hard edge: one pixel is shared, as a camera would."""
SHADOW_REACH = 6.0
"""Distance (px) at which a contact shadow has faded out."""
EDGE_REACH = 2.5
"""Distance (px) outside the mask at which grey values are needed by hard and Poisson-blended edges."""
MIN_PIXELS = 8
"""Fewer pixels than this inside the image are no particle."""
COARSE = 4
"""Every so many rows and columns are looked at first."""
TRIES = 24
"""Positions tried before a particle is given up."""
GIVE_UP = 12
"""After so many particles in a row that found no room, the image is full."""


class Draws(NamedTuple):
    """N particles to paste, in this order.

    ``entries`` (N,) of the pool; ``inverses`` (N, 2, 2) from offsets in the image to offsets in the entry; ``extents``
    (N, 2) rows and columns of the crop they are warped into; ``scales`` (N,) magnification of the entry; ``waves``
    (N, 2, 5) as in :func:`warp`; ``gains`` (N,) factors of the grey values; ``blends`` (N,) HARD, FEATHERED or POISSON;
    ``feathers`` (N,) half width of a feathered edge, px.
    """

    entries: NDArray[np.int64]
    inverses: NDArray[np.float32]
    extents: NDArray[np.int64]
    scales: NDArray[np.float32]
    waves: NDArray[np.float32]
    gains: NDArray[np.float32]
    blends: NDArray[np.int64]
    feathers: NDArray[np.float32]


@njit(cache=True, nogil=True)
def uniform(state: NDArray[np.uint64]) -> float:
    """Next number in [0, 1) of the xorshift64* generator (Vigna 2016) whose state is ``state[0]``."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return float((x * np.uint64(2685821657736338717)) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True, fastmath=True)
def warp(
    texture: NDArray[np.float32],
    distance: NDArray[np.float32],
    height: int,
    width: int,
    gain: float,
    inverse: NDArray[np.float32],
    scale: float,
    waves: NDArray[np.float32],
    reach: float,
    out_texture: NDArray[np.float32],
    out_distance: NDArray[np.float32],
) -> int:
    """Resample a particle (bilinear) into the output crops; return the number of pixels in its mask.

    `texture` and `distance` are flat, `height` x `width`; grey values are multiplied by `gain`.
    `inverse` (2, 2) maps offsets from the centre of the output to offsets in the source, `scale` is the magnification,
    `waves` (2, 5) holds per axis amplitude, two wave numbers and two phases of the smooth deformation. Texture is only
    written where the distance exceeds ``-reach``.
    """
    rows, columns = out_texture.shape
    stride, next_column = np.uint64(width), np.uint64(1)  # unsigned indices spare a test for negative ones
    edge = np.float32(-reach)
    bright = np.float32(gain)
    centre_r, centre_c = np.float32((height - 1) / 2), np.float32((width - 1) / 2)
    half_r, half_c = np.float32((rows - 1) / 2), np.float32((columns - 1) / 2)
    factor = np.float32(scale)
    zero = np.float32(0)
    last_r, last_c = np.float32(height - 1), np.float32(width - 1)
    top_most, left_most = np.int32(height - 2), np.int32(width - 2)
    wave_c = np.empty((2, columns), np.float32)
    for axis in range(2):
        for j in range(columns):
            wave_c[axis, j] = math.cos(waves[axis, 3] * (j - half_c) + waves[axis, 4])
    wave_r, wave_s = wave_c[0], wave_c[1]
    i00, i01, i10, i11 = inverse[0, 0], inverse[0, 1], inverse[1, 0], inverse[1, 1]
    corners = np.empty(columns, np.int32)
    above, beside, beyond = np.empty(columns, np.float32), np.empty(columns, np.float32), np.empty(columns, np.float32)
    area = 0
    for i in range(rows):
        offset_r = np.float32(i) - half_r
        wave_0 = waves[0, 0] * np.float32(math.sin(waves[0, 1] * offset_r + waves[0, 2]))
        wave_1 = waves[1, 0] * np.float32(math.sin(waves[1, 1] * offset_r + waves[1, 2]))
        for j in range(columns):  # arithmetic only, so that it is vectorised
            dr = offset_r + wave_0 * wave_r[j]
            dc = np.float32(j) - half_c + wave_1 * wave_s[j]
            y = centre_r + i00 * dr + i01 * dc
            x = centre_c + i10 * dr + i11 * dc
            inside_y = min(max(y, zero), last_r)
            inside_x = min(max(x, zero), last_c)
            beyond[j] = abs(y - inside_y) + abs(x - inside_x)
            top = min(np.int32(inside_y), top_most)
            left = min(np.int32(inside_x), left_most)
            above[j] = inside_y - np.float32(top)
            beside[j] = inside_x - np.float32(left)
            corners[j] = np.int32(top * np.int32(width) + left)
        for j in range(columns):
            corner = np.uint64(corners[j])
            below = corner + stride
            fy, fx = above[j], beside[j]
            upper = distance[corner] + fx * (distance[corner + next_column] - distance[corner])
            lower = distance[below] + fx * (distance[below + next_column] - distance[below])
            signed = factor * (upper + fy * (lower - upper) - beyond[j])
            out_distance[i, j] = signed
            if signed > 0:
                area += 1
            if signed > edge:
                upper = texture[corner] + fx * (texture[corner + next_column] - texture[corner])
                lower = texture[below] + fx * (texture[below + next_column] - texture[below])
                out_texture[i, j] = bright * (upper + fy * (lower - upper))
    return area


@njit(cache=True, nogil=True)
def fits(
    labels: NDArray[np.int32],
    distance: NDArray[np.float32],
    top: int,
    left: int,
    gap: float,
    limit: float,
    cut: bool,
    areas: NDArray[np.int64],
    hidden: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> bool:
    """Whether a particle may lie with its crop's corner at (top, left).

    It may when no more than `limit` of it lies on others and no more than `limit` of any other is hidden afterwards.
    With `gap` the mask is grown by so many pixels first; without `cut` it must lie inside the image. `counts` is
    scratch memory, zero before and after.
    """
    height, width = labels.shape
    rows, columns = distance.shape
    margin = np.float32(-gap)
    first_r, first_c = max(0, -top), max(0, -left)
    last_r, last_c = min(rows, height - top), min(columns, width - left)
    area = covered = 0
    for i in range(first_r + 1, last_r, COARSE):  # most places are refused by a look at every 16th pixel
        for j in range(first_c + 1, last_c, COARSE):
            if distance[i, j] > margin:
                area += 1
                if labels[top + i, left + j] > 0:
                    covered += 1
    if covered > limit * area + (4 if limit > 0 else 0):
        return False
    if not cut:
        for i in range(rows):
            for j in range(columns):
                outside = i < first_r or i >= last_r or j < first_c or j >= last_c
                if outside and distance[i, j] > 0:
                    return False
    area = covered = 0
    highest = 0
    lowest = counts.size
    for i in range(first_r, last_r):
        for j in range(first_c, last_c):
            if distance[i, j] > margin:
                area += 1
                other = labels[top + i, left + j]
                if other > 0:
                    if limit == 0:
                        return False
                    covered += 1
                    counts[other] += 1
                    lowest = min(lowest, other)
                    highest = max(highest, other)
    free = area >= MIN_PIXELS and covered <= limit * area
    for k in range(lowest, highest + 1):
        if counts[k] > 0 and hidden[k] + counts[k] > limit * areas[k]:
            free = False
        counts[k] = 0
    return free


@njit(cache=True, nogil=True, fastmath=True)
def membrane(
    canvas: NDArray[np.float32],
    texture: NDArray[np.float32],
    distance: NDArray[np.float32],
    top: int,
    left: int,
    length: float,
) -> None:
    """Adapt the texture to the canvas around it in the gradient domain, in place.

    Solves the screened Poisson equation (Bhat et al., ECCV 2008) for the correction h inside the mask:
    laplace(h) = h / length^2 with h = canvas - texture on the outline, by successive over-relaxation. An unscreened
    equation (Perez et al. 2003) would give the particle the brightness of the background.
    """
    height, width = canvas.shape
    rows, columns = texture.shape
    band = np.float32(4 * length)
    correction = np.zeros(rows * columns, np.float32)
    pixels = np.empty(rows * columns, np.uint64)
    count = 0
    for colour in range(2):  # red-black order: neighbours in the list do not wait for each other
        for i in range(1, rows - 1):
            r = top + i
            if r < 0 or r >= height:
                continue
            for j in range(1 + (i + colour) % 2, columns - 1, 2):
                c = left + j
                signed = distance[i, j]
                if c < 0 or c >= width or signed > band:
                    continue
                if signed > -0.5:
                    pixels[count] = np.uint64(i * columns + j)
                    count += 1
                elif signed > -2:
                    correction[i * columns + j] = canvas[r, c] - texture[i, j]
    weight = np.float32(1.0 / (4.0 + 1.0 / (length * length)))
    radius = 1.0 / (1.0 + 0.25 / (length * length))  # of the Jacobi iteration
    relax = np.float32(2.0 / (1.0 + math.sqrt(1.0 - radius * radius)))  # the best factor (Young 1954)
    one, row = np.uint64(1), np.uint64(columns)
    for _ in range(max(4, int(4 * length))):  # leaves an error of 5 % of the largest correction
        for pixel in pixels[:count]:
            mean = correction[pixel - one] + correction[pixel + one] + correction[pixel - row] + correction[pixel + row]
            correction[pixel] += relax * (weight * mean - correction[pixel])
    flat = texture.ravel()
    for pixel in pixels[:count]:
        flat[pixel] += correction[pixel]


@njit(cache=True, nogil=True, fastmath=True)
def paste(
    canvas: NDArray[np.float32],
    labels: NDArray[np.int32],
    texture: NDArray[np.float32],
    distance: NDArray[np.float32],
    top: int,
    left: int,
    label: int,
    feather: float,
    shadow: float,
    level: float,
    areas: NDArray[np.int64],
    hidden: NDArray[np.int64],
) -> int:
    """Blend a particle into the canvas, write its label; return how many pixels it newly covers.

    A positive `level` is the background's grey value in transmission: the canvas is multiplied by the particle's
    transmittance, in the negative image where the particle is brighter than its background.
    """
    height, width = canvas.shape
    rows, columns = texture.shape
    one, half = np.float32(1), np.float32(0.5)
    soft = np.float32(feather)
    reach = np.float32(SHADOW_REACH)
    dark = np.float32(shadow)
    ground = np.float32(level)
    fresh = 0
    for i in range(max(0, -top), min(rows, height - top)):
        r = top + i
        for j in range(max(0, -left), min(columns, width - left)):
            signed = distance[i, j]
            if signed <= -reach and signed <= -soft:
                continue
            c = left + j
            value = canvas[r, c]
            if dark > 0 and signed < soft:
                fade = min(one, one + signed / reach)
                value *= one - dark * fade * fade
            alpha = min(max(half + half * signed / soft, np.float32(0)), one)
            if alpha > 0:
                if ground <= 0:
                    value += alpha * (texture[i, j] - value)
                elif texture[i, j] <= ground:
                    value *= one + alpha * (texture[i, j] / ground - one)
                else:
                    passed = max(one - texture[i, j], np.float32(0)) / max(one - ground, np.float32(0.02))
                    value = one - (one - value) * (one + alpha * (passed - one))
            canvas[r, c] = value
            if signed > 0:
                other = labels[r, c]
                if other > 0:
                    hidden[other] += 1
                else:
                    fresh += 1
                areas[label] += 1
                labels[r, c] = label
    return fresh


@njit(cache=True, nogil=True)
def compose(
    canvas: NDArray[np.float32],
    textures: NDArray[np.float32],
    distances: NDArray[np.float32],
    offsets: NDArray[np.int64],
    shapes: NDArray[np.int64],
    levels: NDArray[np.float32],
    draws: Draws,
    limit: float,
    gap: float,
    clustered: float,
    cut: bool,
    most: int,
    target_area: float,
    shadow: float,
    reach: float,
    poisson_length: float,
    transmission: bool,
    random: NDArray[np.uint64],
) -> tuple[Any, Any, Any, Any, Any]:
    """Paste the drawn particles into the canvas (in place) until there are `most` or they cover `target_area` pixels.

    Returns ``labels`` (height, width) of the topmost particle, ``corners`` (N, 2) and ``sizes`` (N, 2) of the crops
    that hold the particles, ``areas`` (N) of the particles inside the image and ``masks``, their whole masks, one crop
    after the other, when in transmission.
    """
    height, width = canvas.shape
    drawn = draws.entries.size
    labels = np.zeros((height, width), np.int32)
    corners = np.empty((drawn, 2), np.int64)
    sizes = np.empty((drawn, 2), np.int64)
    centres = np.empty((drawn, 2), np.float64)
    areas = np.zeros(drawn + 1, np.int64)
    hidden = np.zeros(drawn + 1, np.int64)
    counts = np.zeros(drawn + 1, np.int64)
    radii = np.empty(drawn, np.float64)
    room = 0
    largest = 1
    for n in range(drawn):
        room += draws.extents[n, 0] * draws.extents[n, 1]
        largest = max(largest, draws.extents[n, 0] * draws.extents[n, 1])
    masks = np.zeros(room if transmission else 1, np.bool_)
    texture_buffer = np.empty(largest, np.float32)
    distance_buffer = np.empty(largest, np.float32)
    used = 0
    placed = 0
    covered = 0
    failed = 0
    for n in range(drawn):
        if placed >= most or covered >= target_area or failed >= GIVE_UP:
            break
        entry = draws.entries[n]
        rows, columns = draws.extents[n, 0], draws.extents[n, 1]
        start, stop = offsets[entry], offsets[entry] + shapes[entry, 0] * shapes[entry, 1]
        texture = texture_buffer[: rows * columns].reshape((rows, columns))
        distance = distance_buffer[: rows * columns].reshape((rows, columns))
        area = warp(
            textures[start:stop],
            distances[start:stop],
            shapes[entry, 0],
            shapes[entry, 1],
            draws.gains[n],
            draws.inverses[n],
            draws.scales[n],
            draws.waves[n],
            reach,
            texture,
            distance,
        )
        radius = math.sqrt(area / math.pi)
        top = left = 0
        found = False
        tries = 0
        while tries < TRIES and not found:
            tries += 1
            if placed > 0 and uniform(random) < clustered:
                other = int(uniform(random) * placed)
                angle = 2 * math.pi * uniform(random)
                step_r, step_c = math.sin(angle), math.cos(angle)
                together = radius + radii[other]
                step = max(1.0, 0.12 * together)
                away = 0.4 * together
                while away < 2.2 * together and not found:
                    row, column = centres[other, 0] + away * step_r, centres[other, 1] + away * step_c
                    if not (-radius < row < height + radius and -radius < column < width + radius):
                        break
                    top, left = round(row - rows / 2), round(column - columns / 2)
                    found = fits(labels, distance, top, left, gap, limit, cut, areas, hidden, counts)
                    away += step
                away -= step
                near, far = away - step, away
                while found and far - near > 1:  # halve the last step until the place is exact to a pixel
                    away = (near + far) / 2
                    row, column = centres[other, 0] + away * step_r, centres[other, 1] + away * step_c
                    nearer_top, nearer_left = round(row - rows / 2), round(column - columns / 2)
                    if fits(labels, distance, nearer_top, nearer_left, gap, limit, cut, areas, hidden, counts):
                        top, left, far = nearer_top, nearer_left, away
                    else:
                        near = away
            else:
                beyond = 0.6 * radius if cut else -0.7 * radius
                row = uniform(random) * (height + 2 * beyond) - beyond
                column = uniform(random) * (width + 2 * beyond) - beyond
                top, left = round(row - rows / 2), round(column - columns / 2)
                found = fits(labels, distance, top, left, gap, limit, cut, areas, hidden, counts)
        if not found:
            failed += 1
            continue
        failed = 0
        level = float(levels[entry]) if transmission else 0.0
        if draws.blends[n] == POISSON and not transmission:
            membrane(canvas, texture, distance, top, left, poisson_length)
        feather = float(draws.feathers[n] if draws.blends[n] == FEATHERED else ANTIALIAS)
        label = placed + 1
        covered += paste(canvas, labels, texture, distance, top, left, label, feather, shadow, level, areas, hidden)
        corners[placed, 0], corners[placed, 1] = top, left
        sizes[placed, 0], sizes[placed, 1] = rows, columns
        centres[placed, 0], centres[placed, 1] = top + rows / 2, left + columns / 2
        radii[placed] = radius
        if transmission:
            for i in range(rows):
                for j in range(columns):
                    masks[used] = distance[i, j] > 0
                    used += 1
        placed += 1
    return labels, corners[:placed], sizes[:placed], areas[1 : placed + 1], masks[:used]


@njit(cache=True, nogil=True)
def bounding_boxes(labels: NDArray[np.int32], count: int) -> tuple[Any, Any]:
    """Boxes (count, 4) r0, c0, r1, c1 and pixel counts (count,) of the labels 1 to count, in one pass."""
    boxes = np.zeros((count, 4), np.int64)
    areas = np.zeros(count, np.int64)
    boxes[:, 0] = labels.shape[0]
    boxes[:, 1] = labels.shape[1]
    for r in range(labels.shape[0]):
        for c in range(labels.shape[1]):
            k = labels[r, c] - 1
            if k >= 0:
                areas[k] += 1
                boxes[k, 0] = min(boxes[k, 0], r)
                boxes[k, 1] = min(boxes[k, 1], c)
                boxes[k, 2] = max(boxes[k, 2], r + 1)
                boxes[k, 3] = max(boxes[k, 3], c + 1)
    return boxes, areas
