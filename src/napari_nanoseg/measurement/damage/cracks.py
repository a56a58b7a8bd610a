"""The cracks of a volume, one by one and all together: centre lines, widths, directions, connected pieces."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.damage import DamageConfig
from napari_nanoseg.events import Progress, checkpoint, in_context, tell
from napari_nanoseg.measurement.damage.phases import Phases
from napari_nanoseg.measurement.damage.pieces import SPACE, Pieces, Tracker
from napari_nanoseg.measurement.damage.skeleton import CentreLine, centre_line
from napari_nanoseg.measurement.damage.units import Lengths
from napari_nanoseg.measurement.damage.weighted import Weighted

if TYPE_CHECKING:
    from pandas import DataFrame

Mask = NDArray[np.bool_]

KEPT = 2**28
"""Bytes of slices that are kept, a bit for every voxel: 537 slices of 2,000 x 2,000. Others are read again."""
STEP = 20
"""Cracks measured between two events that are shown."""
LARGE = 10**6
"""Voxels of a box whose thinning is waited for: ten times as many took 2 s."""
PAUSE_S = 0.1
TURN = 10
"""Degrees in a class of directions."""


class CrackSlices:
    """The cracks of slices, a bit for every voxel."""

    def __init__(self, phases: Phases) -> None:
        self._phases = phases
        self._kept: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        _, rows, columns = phases.shape
        self._most = max(1, KEPT // (rows * (columns // 8 + 1)))

    def keep(self, number: int, mask: Mask) -> NDArray[np.uint8]:
        """Take a slice, for later; the one that was asked for the longest time ago is forgotten."""
        packed = np.packbits(mask, axis=1)
        self._kept[number] = packed
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return packed

    def box(self, starts: tuple[int, int, int], stops: tuple[int, int, int]) -> Mask:
        """The cracks in a box."""
        (depth, row, column), (depth_stop, row_stop, column_stop) = starts, stops
        first = column // 8
        found = np.empty((depth_stop - depth, row_stop - row, column_stop - column), bool)
        for number in range(depth, depth_stop):
            packed = self._kept.get(number)
            if packed is None:
                packed = self.keep(number, self._phases.crack(number, number + 1)[0])
            self._kept.move_to_end(number)
            bits = np.unpackbits(packed[row:row_stop, first : -(-column_stop // 8)], axis=1)
            found[number - depth] = bits[:, column - 8 * first : column_stop - 8 * first]
        return found


class Cracks:
    """Measures the cracks of a volume, whose slices come one after the other.

    Parameters
    ----------
    phases : Phases
    config : DamageConfig
    lengths : Lengths
    """

    def __init__(self, phases: Phases, config: DamageConfig, lengths: Lengths) -> None:
        self._config, self._lengths, self._shape = config, lengths, phases.shape
        self._slices = CrackSlices(phases)
        self._tracker = Tracker(config.smallest)
        self.widths = Weighted(min(lengths.voxel[1:]) / 100)
        self._in_plane = np.zeros(180 // TURN)
        self._to_depth = np.zeros(90 // TURN)
        self.unmeasured = 0
        """Cracks that are too large for a centre line in 3-D."""

    @property
    def small(self) -> int:
        """Cracks that are too small for the table."""
        return self._tracker.small

    def add(self, crack: Mask, start: int) -> list[dict[str, Any]]:
        """Take the next slices, (Z, Y, X); gives the columns of the profile for each of them."""
        self._tracker.add(crack, start)
        rows = []
        for number, plane in enumerate(crack, start):
            checkpoint()
            rows.append(self._slice(plane, number))
        checkpoint()
        return rows

    def _slice(self, plane: Mask, number: int) -> dict[str, Any]:
        self._slices.keep(number, plane)
        line = centre_line(plane, self._lengths.voxel[1:])
        self.widths.add(line.widths, line.lengths)
        self._in_plane += _turns(_azimuth(line.directions), line, 180)
        return {
            self._lengths.named("crack_length"): line.length,
            "crack_branch_points": line.branches,
            **_width_columns(line, self._lengths, "crack_width"),
        }

    def finish(self) -> DataFrame:
        """Measure the connected cracks; the table has one row for each that is not too small."""
        from pandas import DataFrame

        pieces = self._tracker.finish()
        rows: list[dict[str, Any]] = []
        for index in range(len(pieces)):
            if index % STEP:
                checkpoint()
            else:
                tell(Progress(index, len(pieces), "cracks"))
            row = partial(self._row, pieces, index)
            large = np.prod(pieces.stops[index] - pieces.starts[index]) > LARGE
            rows.append(_waited(row) if large else row())
        if rows:
            tell(Progress(len(pieces), len(pieces), "cracks"))
        table = located(pieces, self._shape, self._lengths, "crack")
        return table.join(DataFrame(rows, columns=self._columns()))

    def _columns(self) -> list[str]:
        widths = _width_columns(centre_line(np.zeros((1, 1), bool), (1.0, 1.0)), self._lengths, "width")
        return [self._lengths.named("length"), "branch_points", *widths, "azimuth_deg", "inclination_deg"]

    def _row(self, pieces: Pieces, index: int) -> dict[str, Any]:
        """Centre line of one crack; nothing where its box is too large."""
        starts, stops = pieces.starts[index], pieces.stops[index]
        if float(np.prod(stops - starts)) > self._config.largest * 1e6:
            self.unmeasured += 1
            return {}
        line = centre_line(self._alone(starts, stops, int(pieces.firsts[index])), self._lengths.voxel)
        tilt = np.degrees(np.arccos(np.clip(np.abs(line.directions[:, 0]), 0, 1)))
        self._to_depth += _turns(tilt, line, 90)
        tensor = (line.directions * line.lengths[:, None]).T @ line.directions
        main = np.linalg.eigh(tensor)[1][:, -1:].T if tensor.any() else np.full((1, 3), np.nan)
        return {
            self._lengths.named("length"): line.length,
            "branch_points": line.branches,
            **_width_columns(line, self._lengths, "width"),
            "azimuth_deg": float(_azimuth(main[:, 1:])[0]),
            "inclination_deg": float(np.degrees(np.arccos(np.minimum(np.abs(main[0, 0]), 1)))),
        }

    def _alone(self, starts: NDArray[np.int64], stops: NDArray[np.int64], first: int) -> Mask:
        """One crack in its box, without others that reach into it."""
        from scipy.ndimage import label

        low, high = ((int(box[0]), int(box[1]), int(box[2])) for box in (starts, stops))
        labels = label(self._slices.box(low, high), SPACE)[0]
        place = np.array(np.unravel_index(first, self._shape)) - starts
        return np.asarray(labels == labels[tuple(place)])

    def directions(self) -> DataFrame:
        """Length of the centre lines by direction, in classes of ten degrees."""
        from pandas import DataFrame, concat

        tables = []
        for name, sums in (("in_plane", self._in_plane), ("to_depth", self._to_depth)):
            low = np.arange(len(sums)) * TURN
            total = sums.sum()
            shares = sums / total if total else np.full(len(sums), np.nan)
            tables.append(
                DataFrame({"angle": name, "from_deg": low, "to_deg": low + TURN,
                           self._lengths.named("length"): sums, "share": shares})
            )  # fmt: skip
        return concat(tables, ignore_index=True)


def _waited(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do something in a thread of its own, which is left to itself when nobody waits any more."""
    threads = ThreadPoolExecutor(1)
    done = threads.submit(in_context(work))
    threads.shutdown(wait=False)
    while wait([done], PAUSE_S).not_done:
        checkpoint()
    return done.result()


def located(pieces: Pieces, shape: tuple[int, int, int], lengths: Lengths, name: str) -> DataFrame:
    """A table of where objects lie and how large they are, numbered from 1."""
    from pandas import DataFrame

    middles = pieces.sums / pieces.voxels[:, None]
    volume = {lengths.named("volume", 3): pieces.voxels * math.prod(lengths.voxel)} if lengths.unit else {}
    border = (pieces.starts == 0).any(axis=1) | (pieces.stops == np.array(shape)).any(axis=1)
    return DataFrame({
        name: np.arange(1, len(pieces) + 1),
        "voxels": pieces.voxels,
        **volume,
        "centroid_slice": middles[:, 0],
        "centroid_row": middles[:, 1],
        "centroid_column": middles[:, 2],
        lengths.depth: middles[:, 0] * lengths.voxel[0],
        "first_slice": pieces.starts[:, 0],
        "last_slice": pieces.stops[:, 0] - 1,
        "touches_border": border,
    })  # fmt: skip


def _width_columns(line: CentreLine, lengths: Lengths, name: str) -> dict[str, float]:
    """Mean and quantiles of the width along a centre line."""
    if not len(line.lengths):
        mean, quantiles = math.nan, [math.nan] * 3
    else:
        mean = float(np.average(line.widths, weights=line.lengths))
        quantiles = np.quantile(line.widths, (0.1, 0.5, 0.9), weights=line.lengths, method="inverted_cdf").tolist()
    named = {f"{name}_mean": mean, **{f"{name}_p{p}": q for p, q in zip((10, 50, 90), quantiles, strict=True)}}
    return {lengths.named(key): value for key, value in named.items()}


def _azimuth(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Directions (rows, columns) in degrees, counter-clockwise from the horizontal, 0 to below 180."""
    return np.asarray(np.degrees(np.arctan2(-directions[:, -2], directions[:, -1])) % 180)


def _turns(angles: NDArray[np.float64], line: CentreLine, most: int) -> NDArray[np.float64]:
    """Length of a centre line in every class of angles; pixels that lie alone have none."""
    some = line.directions.any(axis=1)
    classes = np.minimum(angles[some] // TURN, most // TURN - 1).astype(np.int64)
    return np.bincount(classes, line.lengths[some], most // TURN).astype(np.float64)
