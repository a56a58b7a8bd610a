"""The background pool: nothing but clean background ever gets into it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.generate import Background, CutPasteConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.generators.quilting import quilt
from napari_nanoseg.generators.sources import Source

FEWEST_PIXELS = 64
"""Fewer clean pixels than this do not tell what the background looks like."""
MOST_BYTES = 96 * 2**20
"""Memory for all canvases together."""
MOST_CANVASES = 12
SPARE = 64
"""A canvas is this much larger (px) than an image, so that images see different parts of it."""
BURNT_IN_AREA = 12
"""Connected saturated pixels that count as a burnt-in letter, bar or inset."""
KINDS: tuple[Background, ...] = get_args(Background)
FITTED_PIXELS = 40_000
"""About so many pixels, evenly spread, give the plane of a background; all of them took 0.1 s and told nothing more."""
FADE = 4.0
"""Distance (px) over which real background fades into synthesised."""


Parts = dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Smooth background and detail of sources."""


@dataclass(frozen=True, eq=False)
class Clean:
    """The clean background of one source: its pixels (Y, X) and their median grey value."""

    source: Source
    pixels: NDArray[np.bool_]
    level: float

    def split(self, sigma: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Split the image into its smooth background, continued below the particles, and the detail that is left."""
        grey = self.source.grey
        smooth = _smooth(grey, self.pixels, _plane(grey, self.pixels)[0], sigma)
        return smooth, grey - smooth


def find_clean(source: Source, margin: int) -> Clean:
    """Find the background pixels of a source that are certainly no particle and not burnt in.

    Without a `known` region the margin shrinks where particles leave little room between them.

    Raises
    ------
    NanosegError
        When a partly annotated image has hardly any background that was marked as clean.
    """
    from scipy.ndimage import distance_transform_edt

    free = ~source.particles
    trusted = free if source.known is None else free & source.known
    far = distance_transform_edt(np.pad(trusted, 1, constant_values=True))[1:-1, 1:-1]
    clean = _without_burnt_in(source.grey, trusted & (far > margin))
    if source.known is None:
        while clean.sum() < FEWEST_PIXELS * 16 and margin > 0:
            margin -= 1
            clean = _without_burnt_in(source.grey, trusted & (far > margin))
    if clean.sum() < FEWEST_PIXELS:
        if source.known is not None:
            raise NanosegError(
                f"{source.name}: only {int(clean.sum())} pixels of clean background are marked in this partly "
                "annotated image; mark more background without particles."
            )
        return Clean(source, np.zeros_like(clean), float(np.percentile(source.grey, 5)))
    clean = _without_others(source.grey, clean)
    return Clean(source, clean, float(np.median(source.grey[clean])))


def burnt_in(grey: NDArray[np.float32], background: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Letters, scale bars and insets: boxes around connected saturated pixels of the background, shape (Y, X).

    An extreme grey value that a quarter of the background has is the background itself and not burnt in.
    """
    from scipy.ndimage import binary_dilation, find_objects, label

    found = np.zeros(grey.shape, bool)
    for extreme in (grey >= 0.98, grey <= 0.005):
        extreme &= background
        if not extreme.any() or extreme.sum() > 0.25 * background.sum():
            continue
        pieces, _ = label(extreme, np.ones((3, 3)))
        sizes = np.bincount(pieces.ravel())
        boxes = np.zeros(grey.shape, bool)
        for piece, box in enumerate(find_objects(pieces), 1):
            if sizes[piece] >= BURNT_IN_AREA:
                boxes[tuple(slice(max(0, part.start - 4), part.stop + 4) for part in box)] = True
        if (boxes & background).sum() > 0.5 * background.sum():  # one meandering piece: its box says nothing
            boxes = binary_dilation((sizes >= BURNT_IN_AREA)[pieces] & extreme, iterations=4)
        found |= boxes
    return found


def _without_burnt_in(grey: NDArray[np.float32], clean: NDArray[np.bool_]) -> NDArray[np.bool_]:
    rest = clean & ~burnt_in(grey, clean)
    return rest if rest.sum() >= FEWEST_PIXELS else clean


def _without_others(grey: NDArray[np.float32], clean: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave out what differs from a plane through the background: halos and shadows of particles, insets, debris."""
    from scipy.ndimage import binary_erosion

    plane, spread = _plane(grey, clean)
    near = np.abs(_smooth(grey, clean, plane, 3.0) - plane) < 2 * spread
    rest = clean & binary_erosion(near, iterations=2, border_value=1)
    if rest.sum() < 0.2 * clean.sum():
        rest = clean & near
    return rest if rest.sum() >= FEWEST_PIXELS else clean


def _plane(grey: NDArray[np.float32], clean: NDArray[np.bool_]) -> tuple[NDArray[np.float32], float]:
    """Plane fitted to the most common grey values of the clean pixels, and the standard deviation about it."""
    pixels = np.flatnonzero(clean)
    rows, columns = np.divmod(pixels[:: max(1, len(pixels) // FITTED_PIXELS)], clean.shape[1])
    values = grey[rows, columns].astype(float)
    design = np.stack([np.ones(len(rows)), rows / grey.shape[0], columns / grey.shape[1]], 1)
    lowest, highest = _shortest_half(values)
    used = (values >= 2 * lowest - highest) & (values <= 2 * highest - lowest)
    for _ in range(3):
        # not lstsq: its threads wait spinning for each other, which took twice as long while other programs ran
        normal = np.einsum("ni,nj->ij", design[used], design[used])
        weights = np.linalg.pinv(normal) @ np.einsum("ni,n->i", design[used], values[used])
        error = np.abs(values - np.einsum("ni,i->n", design, weights))
        spread = 1.4826 * float(np.median(error[used])) + 2e-3
        used = error <= 3 * spread
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]]
    plane = weights[0] + weights[1] * y / grey.shape[0] + weights[2] * x / grey.shape[1]
    return np.clip(plane, values[used].min(), values[used].max()).astype(np.float32), spread


def _shortest_half(values: NDArray[np.float64]) -> tuple[float, float]:
    """Find the ends of the shortest interval that holds half of the values."""
    ordered = np.sort(values)
    half = len(ordered) // 2
    start = int(np.argmin(ordered[half:] - ordered[: len(ordered) - half]))
    return float(ordered[start]), float(ordered[start + half])


def _smooth(
    grey: NDArray[np.float32], clean: NDArray[np.bool_], plane: NDArray[np.float32], sigma: float
) -> NDArray[np.float32]:
    """Mean of the clean pixels nearby (normalised convolution); the plane where there are none."""
    from scipy.ndimage import gaussian_filter

    weight = gaussian_filter(clean.astype(np.float32), sigma)
    total = gaussian_filter(np.where(clean, grey, 0).astype(np.float32), sigma)
    faint = np.float32(0.02)
    smooth: NDArray[np.float32] = (total + faint * plane) / (weight + faint)
    return smooth


class Backgrounds:
    """Canvases of every kind of background in the config, square, float32, somewhat larger than the images.

    A canvas depends on the sources, the config, its kind and its number, and is made when it is asked for first: a
    large one takes a second. Several threads may ask once all are made.

    Parameters
    ----------
    clean : sequence of Clean
        The clean background of each source.
    config : CutPasteConfig
    parts : dict, optional
        Where the split sources are kept, by their number, to be shared by backgrounds that differ in nothing else than
        what :meth:`Clean.split` does not depend on.
    """

    def __init__(self, clean: Sequence[Clean], config: CutPasteConfig, parts: Parts | None = None) -> None:
        self._clean, self._config = tuple(clean), config
        self._side = max(config.height, config.width) + SPARE
        most = max(len(config.backgrounds), min(MOST_CANVASES, MOST_BYTES // (4 * self._side**2)))
        self.each = max(1, most // len(config.backgrounds))
        """Number of canvases of every kind."""
        self._made: dict[tuple[Background, int], NDArray[np.float32]] = {}
        self._parts: Parts = {} if parts is None else parts

    def canvas(self, kind: Background, number: int) -> NDArray[np.float32]:
        """Canvas `number` (from 0) of a kind; not to be changed."""
        if (kind, number) not in self._made:
            self._made[kind, number] = self._make(kind, number)
        return self._made[kind, number]

    def complete(self) -> None:
        """Make all canvases and forget the sources."""
        for kind in self._config.backgrounds:
            for number in range(self.each):
                self.canvas(kind, number)
        self._clean = ()
        self._parts = {}

    def _make(self, kind: Background, number: int) -> NDArray[np.float32]:
        where = number % len(self._clean)
        part = self._clean[where]
        if kind == "flat" or not part.pixels.any():
            return np.full((self._side, self._side), part.level, np.float32)
        if where not in self._parts:
            self._parts[where] = part.split(self._config.quilt_block / 2)
        smooth, detail = self._parts[where]
        rng = np.random.default_rng([self._config.seed, 0, 2, KINDS.index(kind), number])
        if kind == "quilted":
            return part.level + _texture(detail, part.pixels, (self._side, self._side), self._config, rng)
        return _windowed(_inpainted(part, smooth, detail, self._config, rng), self._side, rng)


def _texture(
    detail: NDArray[np.float32],
    pixels: NDArray[np.bool_],
    shape: tuple[int, int],
    config: CutPasteConfig,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Quilted detail, or noise of the same spread when the clean parts are too small for blocks."""
    made = quilt(detail, pixels, shape, config.quilt_block, config.quilt_overlap, rng)
    return rng.normal(0, detail[pixels].std(), shape).astype(np.float32) if made is None else made


def _inpainted(
    clean: Clean,
    smooth: NDArray[np.float32],
    detail: NDArray[np.float32],
    config: CutPasteConfig,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Replace everything but clean background by its smooth continuation plus quilted detail."""
    from scipy.ndimage import distance_transform_edt

    filled = smooth + _texture(detail, clean.pixels, detail.shape, config, rng)
    real = np.minimum(distance_transform_edt(clean.pixels) / FADE, 1).astype(np.float32)
    inpainted: NDArray[np.float32] = filled + real * (clean.source.grey - filled)
    return inpainted


def _windowed(image: NDArray[np.float32], side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Cut a random square window; an image that is too small is continued by reflection."""
    missing = [max(0, side - length) for length in image.shape]
    image = np.pad(image, [(0, length) for length in missing], mode="symmetric")
    top, left = (int(rng.integers(length - side + 1)) for length in image.shape)
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def cut_background(
    canvas: NDArray[np.float32], shape: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Copy a random part of a canvas, turned and mirrored at random."""
    turned = np.rot90(canvas, int(rng.integers(4)))
    if rng.random() < 0.5:
        turned = turned[:, ::-1]
    top, left = (math.floor(rng.random() * (turned.shape[k] - shape[k] + 1)) for k in range(2))
    return np.array(turned[top : top + shape[0], left : left + shape[1]], np.float32, order="C")
