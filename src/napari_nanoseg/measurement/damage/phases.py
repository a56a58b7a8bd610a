"""What is crack, particle and void in a slab of a volume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.damage import CRACK, PARTICLE, VOID, DamageConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Progress, tell
from napari_nanoseg.greyness import refuse_grey
from napari_nanoseg.samples import Volume

Mask = NDArray[np.bool_]

SLAB = 2**22
"""Voxels looked at together, about: a slice of 2,000 x 2,000. The analysis takes some 40 bytes for each."""
READ = 2**26
"""Bytes read at once, at most, where storage has chunks that are thicker than a slab."""
BINS = 256
"""Of the histogram that Otsu's method parts, between the permille at either end."""
FINE = 2**16
"""Bins by which the permilles are found."""


@dataclass(frozen=True, eq=False)
class Slab:
    """The slices `start` and following; arrays of shape (Z, Y, X). None: there is no such thing.

    Cracks are parts of the particles; voids are neither.
    """

    start: int
    crack: Mask
    particle: Mask | None
    void: Mask | None
    labels: NDArray[Any] | None


class Blocks:
    """Slabs of an array, read in blocks of whole chunks so that none is decoded twice."""

    def __init__(self, volume: Volume) -> None:
        self._volume = volume
        chunks = getattr(volume.data, "chunks", None)
        thick = int(np.max(chunks[0])) if chunks else 1
        _, rows, columns = volume.shape
        self._step = thick if thick * rows * columns * volume.data.dtype.itemsize <= READ else 1
        self._first, self._block = 0, np.zeros((0, rows, columns), volume.data.dtype)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """The slices from `start` to below `stop`; do not write into them."""
        if not self._first <= start <= stop <= self._first + len(self._block):
            self._first = start // self._step * self._step
            end = min(-(-stop // self._step) * self._step, self._volume.shape[0])
            self._block = self._volume.read(self._first, end)
        return self._block[start - self._first : stop - self._first]


class Phases:
    """The phases of a volume, slab by slab.

    Parameters
    ----------
    classes : Volume
        Class map, or mask of the cracks.
    particle, labels : Volume, optional
        Where particles are (above 0), or which (0: none).
    grey : Volume, optional
        Grey values, for Otsu's threshold.
    config : DamageConfig

    Raises
    ------
    NanosegError
        When shapes differ, the class map is none, or what the config asks for is not there.
    """

    def __init__(
        self, classes: Volume, particle: Volume | None, labels: Volume | None, grey: Volume | None,
        config: DamageConfig,
    ) -> None:  # fmt: skip
        given = {"class map": classes, "mask of the particles": particle, "label volume": labels}
        for name, volume in given.items():
            if volume is None:
                continue
            _need_shape(name, volume, classes)
            if volume.data.dtype.kind == "f":
                raise NanosegError(
                    f"{volume.source}: a {name} has whole numbers, but this has {volume.data.dtype}; save classes or "
                    "labels, not probabilities or grey values."
                )
            refuse_grey(volume.data, f"{volume.source}: the {name}")
        if grey is not None:
            _need_shape("grey volume", grey, classes)
        self.shape = classes.shape
        self.has_labels = labels is not None
        self._config, self._source = config, classes.source
        self._values = {name: value for value, name in enumerate(config.names, start=1)}
        self.origin = self._origin(particle is not None or labels is not None, grey is not None)
        void_by_grey = config.exclude_voids and VOID not in self._values
        if void_by_grey and grey is None:
            raise NanosegError(
                f"{classes.source}: voids are to have no area, but there is neither a class '{VOID}' nor a grey "
                "volume; give one of them."
            )
        self.several = False
        """Whether the mask of the only class has, so far, several values above 0."""
        self.needs_levels = self.origin == "otsu" or void_by_grey
        self.levels = (0.0, 0.0)
        used = {"classes": classes, "particle": particle, "labels": labels, "grey": grey if self.needs_levels else None}
        self._blocks = {name: Blocks(volume) for name, volume in used.items() if volume is not None}
        self._grey = grey
        _, rows, columns = self.shape
        self._step = max(1, SLAB // (rows * columns))

    def _origin(self, marked: bool, grey: bool) -> str | None:
        """Where particles come from; None: there are none."""
        there = {"mask": marked, "classes": PARTICLE in self._values, "otsu": grey}
        if self._config.particles == "auto":
            return next((name for name, is_there in there.items() if is_there), None)
        if not there[self._config.particles]:
            missing = {
                "mask": "a mask or label volume of them", "classes": f"a class '{PARTICLE}'", "otsu": "a grey volume",
            }[self._config.particles]  # fmt: skip
            raise NanosegError(f"{self._source}: particles are to come from {missing}, which is missing; give it.")
        return self._config.particles

    def prepare(self) -> None:
        """Find the grey levels, where they are needed."""
        if self.needs_levels:
            assert self._grey is not None
            self.levels = grey_levels(self._grey, voids=self._config.otsu_voids, step=self._step)

    def slabs(self) -> Iterator[Slab]:
        """All slabs, from the first slice on."""
        for start in range(0, self.shape[0], self._step):
            yield self._slab(start, min(start + self._step, self.shape[0]))

    def crack(self, start: int, stop: int, rows: slice = slice(None)) -> Mask:
        """The cracks of some slices, or of some of their rows."""
        return self._crack(self._blocks["classes"].read(start, stop)[:, rows])

    def _crack(self, classes: NDArray[Any]) -> Mask:
        if len(self._values) == 1:
            crack = np.asarray(classes > 0)
            self.several = self.several or bool((crack & (classes != classes.max())).any())
            return crack
        largest = int(classes.max())
        if largest > len(self._values):
            raise NanosegError(
                f"{self._source}: the class map has the value {largest} but there are {len(self._values)} classes "
                f"({', '.join(self._values)}); name them all."
            )
        return np.asarray(classes == self._values[CRACK])

    def _slab(self, start: int, stop: int) -> Slab:
        read = {name: blocks.read(start, stop) for name, blocks in self._blocks.items()}
        classes, labels = read["classes"], read.get("labels")
        crack = self._crack(classes)
        low, high = self.levels
        particle: Mask | None = None
        if self.origin == "mask":
            particle = read["particle"] > 0 if "particle" in read else read["labels"] > 0
        elif self.origin == "classes":
            particle = classes == self._values[PARTICLE]
        elif self.origin == "otsu":
            particle = read["grey"] > high
        if particle is not None:
            particle = particle | crack
        void: Mask | None = None
        if self._config.exclude_voids:
            void = classes == self._values[VOID] if VOID in self._values else (read["grey"] <= low) & ~crack
            void = void if particle is None else void & ~particle
        return Slab(start, crack, particle, void, labels)


def grey_levels(grey: Volume, *, voids: bool, step: int) -> tuple[float, float]:
    """Grey values up to which there are voids, and above which there are particles.

    Parameters
    ----------
    grey : Volume
    voids : bool
        Whether voids are left out where the particles' level is found.
    step : int
        Slices read together.

    Returns
    -------
    void, particle : float
        The lower of the two thresholds that part the histogram of all voxels into three classes with the least variance
        in them (P.-S. Liao, T.-S. Chen, P.-C. Chung, J. Inf. Sci. Eng. 17, 713 (2001)); and Otsu's threshold
        (N. Otsu, IEEE Trans. Syst. Man Cybern. 9, 62 (1979)) of the voxels, without those up to the first if `voids`.

    Raises
    ------
    NanosegError
        When the volume cannot be read or has one grey value only.
    """
    from skimage.filters import threshold_multiotsu, threshold_otsu

    depth = grey.shape[0]
    blocks, starts = Blocks(grey), range(0, depth, step)
    low, high = np.inf, -np.inf
    for start in starts:
        pixels = blocks.read(start, min(start + step, depth))
        low, high = min(low, float(pixels.min())), max(high, float(pixels.max()))
        tell(Progress(min(start + step, depth), 2 * depth, "slices"))
    if low == high:
        raise NanosegError(
            f"{grey.source}: all voxels have the grey value {low:g}, so particles cannot be told; give a mask of them."
        )
    fine = np.zeros(FINE, np.int64)
    for start in starts:
        pixels = blocks.read(start, min(start + step, depth))
        fine += np.histogram(pixels, FINE, (low, high))[0]
        tell(Progress(depth + min(start + step, depth), 2 * depth, "slices"))
    edges = np.linspace(low, high, FINE + 1)
    below = np.cumsum(fine) / fine.sum()
    first, last = (int(np.searchsorted(below, share)) for share in (0.001, 0.999))
    places = np.clip(np.arange(FINE), first, last)
    bins = min(BINS, last - first + 1)
    where = (places - first) * bins // (last - first + 1)
    counts = np.bincount(where, fine, bins)
    greys = edges[first] + (np.arange(bins) + 0.5) / bins * (edges[last + 1] - edges[first])
    filled = counts > 0
    if filled.sum() < 3:
        level = float(threshold_otsu(hist=(counts, greys))) if filled.sum() == 2 else low
        return low - 1, level + _half(greys)
    void = float(threshold_multiotsu(classes=3, hist=(counts, greys))[0]) + _half(greys)
    kept = greys > void if voids else np.full(bins, True)
    return void, float(threshold_otsu(hist=(counts[kept], greys[kept]))) + _half(greys)


def _half(greys: NDArray[np.float64]) -> float:
    """From the middle of a bin to its upper edge: a threshold is the last bin of the darker class."""
    return float(greys[1] - greys[0]) / 2 if len(greys) > 1 else 0.0


def _need_shape(name: str, volume: Volume, classes: Volume) -> None:
    if volume.shape != classes.shape:
        raise NanosegError(
            f"{volume.source}: the {name} has the shape {volume.shape} but {classes.source} {classes.shape}; give one "
            "of the same volume."
        )
