"""Damage of a volume from its class map, slab by slab."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.arguments import as_calibration, as_volume
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.damage import DamageConfig
from napari_nanoseg.display import Shown, counted, extent, figures_line
from napari_nanoseg.errors import NanosegError, unsuitable
from napari_nanoseg.events import Notice, Progress, Stage, checkpoint, tell
from napari_nanoseg.measurement.damage.correlation import Correlation, Line, SignChange, sign_change
from napari_nanoseg.measurement.damage.cracks import Cracks
from napari_nanoseg.measurement.damage.particles import Particles
from napari_nanoseg.measurement.damage.phases import Phases, Slab
from napari_nanoseg.measurement.damage.profile import Distribution, mean_share
from napari_nanoseg.measurement.damage.units import Lengths
from napari_nanoseg.measurement.damage.windows import Counts, Windows, ratio, window_size
from napari_nanoseg.progress import Show, shown
from napari_nanoseg.samples import Sliceable, Volume

if TYPE_CHECKING:
    from pandas import DataFrame

MapWriter = Callable[[str, int, NDArray[np.float32]], None]
"""Takes the name of a map, the number of a slice, and the following slices of the map, (Z, R, C)."""
DAMAGE, PACKING = "damage", "packing"
"""Names of the maps."""
POINTS = 5000
"""Windows that are kept for the scatter plot, about."""


@dataclass(frozen=True, eq=False, repr=False)
class Damage(Shown):
    """What is known about the damage of a volume.

    Parameters
    ----------
    config : DamageConfig
    window : tuple of int
        Rows and columns of the window.
    lengths : Lengths
        Size of a voxel; lengths are in micrometres, or in pixels where it is not known.
    profile : pandas.DataFrame
        One row per slice.
    correlation : pandas.DataFrame
        Lines of damage against packing: of the volume, within its slices, and of every slice; no row without particles.
    distribution : pandas.DataFrame
        Probability density of the damage for the chosen slices.
    cracks, directions : pandas.DataFrame or None
        One row per connected crack; length of centre lines by direction. None where they were not asked for.
    particles : pandas.DataFrame or None
        One row per particle; None where there are none.
    turn : SignChange or None
        Where the slope of damage against packing changes its sign; None where it does not.
    points : float64 array, shape (N, 2)
        Packing and damage of some of the windows, evenly from all slices, for pictures.
    widths : float64 array, shape (N, 2)
        Widths of cracks and the length of centre line that has them.
    notices : tuple of str
        What the user should know, a sentence each.
    figures : dict
        Numbers of the whole volume, None where they are not known.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> classes = ns.open_volume(ns.sample_data() / "cathode" / "classes.tif")
    >>> found = ns.damage(classes, names=("crack", "void", "binder", "particle"), window=25)
    >>> round(found.figures["damage"], 3)
    0.053
    >>> len(found.cracks), len(found.profile)
    (102, 32)
    """

    config: DamageConfig
    window: tuple[int, int]
    lengths: Lengths
    profile: DataFrame
    correlation: DataFrame
    distribution: DataFrame
    cracks: DataFrame | None
    directions: DataFrame | None
    particles: DataFrame | None
    turn: SignChange | None
    points: NDArray[np.float64]
    widths: NDArray[np.float64]
    notices: tuple[str, ...]
    figures: dict[str, Any]

    def _line(self) -> str:
        return f"{counted(len(self.profile), 'slice')}, window {extent(self.window)}; {figures_line(self.figures)}"

    def _rows(self) -> dict[str, Any]:
        return self.figures


def damage(
    classes: Volume | Sliceable,
    particle: Volume | Sliceable | None = None,
    *,
    labels: Volume | Sliceable | None = None,
    grey: Volume | Sliceable | None = None,
    calibration: Calibration | None = None,
    config: DamageConfig | None = None,
    write: MapWriter | None = None,
    progress: Show = True,
    **fields: Any,
) -> Damage:
    """Analyse the cracks in a volume: damage, packing, their profiles and correlation, every crack and particle.

    Parameters
    ----------
    classes : Volume or array, shape (Z, Y, X)
        Class map: 0, and 1, 2, ... for the classes of the config; with one class, every value above 0 is crack.
        Anything that can be sliced along three axes, of whole numbers or bool; it is read in slabs.
    particle : Volume or array, shape (Z, Y, X), optional
        Mask of the particles, above 0.
    labels : Volume or array, shape (Z, Y, X), optional
        Which particle; 0 is none. A label covers the cracks inside its particle.
    grey : Volume or array, shape (Z, Y, X), optional
        Grey values, for Otsu's threshold.
    calibration : Calibration, optional
        Size of a voxel along Z, Y and X; that of `classes`, when it is a :class:`Volume`, otherwise.
    config : DamageConfig, optional
    write : callable, optional
        Called with the name of a map, ``"damage"`` or ``"packing"``, the number of a slice, and a float32 array
        (Z, R, C) of that slice and those that follow; once for every slab, in order. NaN where a window has no area to
        divide by. With a stride of 1, R and C are the rows and columns of the volume.
    progress : bool or callable
        True shows a bar in terminals and notebooks, unless the work is short; False nothing; a callable is given
        every event.
    **fields
        Fields of :class:`DamageConfig`, which override those of `config`.

    Returns
    -------
    Damage

    Raises
    ------
    NanosegError
        When shapes differ, a class map is none, values have no name, particles or voids are asked for but not given,
        the window is physical and the size of a voxel is not known, a chosen slice is not there, or arguments are of a
        wrong type or name.

    Notes
    -----
    ``docs/cracks.md`` defines every column. In memory are some slabs, a bit for every voxel of the last slices, about a
    kilobyte and a half for every slice, and a row for every crack and particle.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> classes = ns.open_volume(ns.sample_data() / "cathode" / "classes.tif")
    >>> found = ns.damage(classes, names=("crack", "void", "binder", "particle"), window=25)
    >>> found.profile[["slice", "damage", "packing"]].round(3).head(3)
       slice  damage  packing
    0      0   0.024    0.604
    1      1   0.027    0.616
    2      2   0.029    0.623
    """
    config = DamageConfig.combined(config, fields, "damage")
    calibration = as_calibration(calibration, "damage: 'calibration'")
    if write is not None and not callable(write):
        raise unsuitable("damage: 'write'", write, "a function")
    if calibration is None:
        calibration = classes.calibration if isinstance(classes, Volume) else Calibration()
    phases = Phases(
        as_volume(classes, "damage: 'classes'", calibration, "the class map"),
        None
        if particle is None
        else as_volume(particle, "damage: 'particle'", calibration, "the mask of the particles"),
        None if labels is None else as_volume(labels, "damage: 'labels'", calibration, "the label volume"),
        None if grey is None else as_volume(grey, "damage: 'grey'", calibration, "the grey volume"),
        config,
    )
    with shown(progress):
        return _analysed(phases, _Run(phases, config, calibration, write))


def _analysed(phases: Phases, run: _Run) -> Damage:
    """Go through the slabs of a volume."""
    for sentence in run.notices:
        tell(Notice(sentence))
    told = len(run.notices)
    if phases.needs_levels:
        tell(Stage("levels", "Finding the grey values of particles and voids"))
        phases.prepare()
    tell(Stage("damage", f"Analysing {phases.shape[0]} slices"))
    for slab in phases.slabs():
        for number in range(len(slab.crack)):
            run.slice(slab, number)
            tell(Progress(slab.start + number + 1, phases.shape[0], "slices"))
        run.pieces(slab)
    if run.cracks is not None:
        tell(Stage("cracks", "Measuring the cracks"))
    found = run.finish()
    for sentence in found.notices[told:]:
        tell(Notice(sentence))
    return found


class _Run:
    """One analysis under way: everything that is kept from slice to slice."""

    def __init__(self, phases: Phases, config: DamageConfig, calibration: Calibration, write: MapWriter | None) -> None:
        self._phases, self._config, self._write = phases, config, write
        self._depth, *plane = phases.shape
        shape = plane[0], plane[1]
        self._lengths = Lengths.of(calibration)
        self._window = window_size(config, calibration)
        self._tiles = Windows.tiled(shape, self._window)
        self._moving = Windows.moving(shape, self._window, config.stride)
        self._stepped = Windows.stepped(shape, self._window, config.overlap)
        apart = [max(1, size // side) for size, side in zip(shape, self._window, strict=True)]
        self._correlation = Correlation(self._stepped.shape, (apart[0], apart[1]))
        self._chosen = self._choose()
        self._distributions: dict[int, Distribution] = {}
        self._rows: list[dict[str, Any]] = []
        self._points: list[NDArray[np.float64]] = []
        self._maps: dict[str, list[NDArray[np.float32]]] = {DAMAGE: [], PACKING: []}
        self.cracks = Cracks(phases, config, self._lengths) if config.morphology else None
        self._particles: Particles | None = None
        if phases.origin is not None:
            self._particles = Particles(config, self._lengths, phases.shape, labels=phases.has_labels)
        self.notices = self._said_before(shape)

    def _choose(self) -> tuple[int, ...]:
        if not self._config.slices:
            return tuple(sorted({round(place) for place in np.linspace(0, self._depth - 1, 5)}))
        if max(self._config.slices) >= self._depth:
            raise NanosegError(
                f"The distribution of slice {max(self._config.slices)} is asked for, but the volume has the slices 0 "
                f"to {self._depth - 1}; choose among them."
            )
        return tuple(sorted(set(self._config.slices)))

    def _said_before(self, shape: tuple[int, int]) -> list[str]:
        said = []
        if any(side > size for side, size in zip(self._window, shape, strict=True)):
            said.append(
                f"The window of {self._window[0]} x {self._window[1]} px is larger than the slices of {shape[0]} x "
                f"{shape[1]} px: it is cut, and windows can hardly be told apart."
            )
        if not self._lengths.unit:
            said.append("The size of a voxel is not known: lengths are in pixels, and voxels are taken as cubes.")
        if self._phases.origin is None:
            if self._config.normalise == "particle":
                raise NanosegError(
                    "The damage is to be told per area of particles, but there are none; give a mask, a class "
                    "'particle' or the grey volume, or tell it per area of the window."
                )
            said.append("No particles are given: there is no packing density, and no correlation with it.")
        return said

    def slice(self, slab: Slab, number: int) -> None:
        """Take one slice of a slab: its row of the profile, its windows, its part of the maps.

        One of 2,000 x 2,000 px takes more than a second with its pieces, so it can be left in between.
        """
        crack = slab.crack[number]
        particle = None if slab.particle is None else slab.particle[number]
        void = None if slab.void is None else slab.void[number]
        index = slab.start + number
        tiles = self._shares(self._tiles, crack, particle, void)
        damage = mean_share(tiles.crack, tiles.whole, self._config.confidence)
        row: dict[str, Any] = {
            "slice": index,
            self._lengths.depth: index * self._lengths.voxel[0],
            "damage": damage.value, "damage_low": damage.low, "damage_high": damage.high,
        }  # fmt: skip
        if tiles.packed is not None:
            packing = mean_share(tiles.packed, tiles.area, self._config.confidence)
            row |= {"packing": packing.value, "packing_low": packing.low, "packing_high": packing.high}
            checkpoint()
            stepped = self._shares(self._stepped, crack, particle, void)
            assert stepped.packed is not None
            x, y = ratio(stepped.packed, stepped.area), ratio(stepped.crack, stepped.whole)
            self._correlation.add(x, y)
            self._keep_points(index, np.stack([x.ravel(), y.ravel()], axis=1))
        row |= {
            "windows": int(np.count_nonzero(tiles.whole)),
            "area": int(tiles.area.sum()),
            "crack_area": int(tiles.crack.sum()),
        }
        if tiles.packed is not None:
            row["particle_area"] = int(tiles.packed.sum())
        self._rows.append(row)
        checkpoint()
        if self._write is not None or index in self._chosen:
            moving = self._shares(self._moving, crack, particle, void)
            values = ratio(moving.crack, moving.whole)
            if index in self._chosen:
                self._distributions[index] = Distribution(values, row["windows"])
            if self._write is not None:
                checkpoint()
                self._maps[DAMAGE].append(values.astype(np.float32))
                if moving.packed is not None:
                    self._maps[PACKING].append(ratio(moving.packed, moving.area).astype(np.float32))

    def _shares(
        self, windows: Windows, crack: NDArray[np.bool_], particle: NDArray[np.bool_] | None,
        void: NDArray[np.bool_] | None,
    ) -> _Shares:  # fmt: skip
        area = windows.areas if void is None else windows.areas - windows.counts(void)
        cracks = windows.counts(crack)
        body = None if particle is None else windows.counts(particle)
        packed = body if body is None or self._config.include_cracks else body - cracks
        whole = area if self._config.normalise == "window" or body is None else body
        return _Shares(cracks, whole, area, packed)

    def _keep_points(self, index: int, points: NDArray[np.float64]) -> None:
        points = points[np.isfinite(points).all(axis=1)]
        most = -(-POINTS // self._depth)
        if len(points) > most:
            points = points[np.random.default_rng(index).choice(len(points), most, replace=False)]
        self._points.append(points)

    def pieces(self, slab: Slab) -> None:
        """Take a whole slab, after its slices: connected pieces, and hand out its maps."""
        if self.cracks is not None:
            measured = self.cracks.add(slab.crack, slab.start)
            for row, columns in zip(self._rows[slab.start :], measured, strict=True):
                row |= columns
        if self._particles is not None:
            self._particles.add(slab)
        for name, slices in self._maps.items():
            if slices and self._write is not None:
                checkpoint()
                self._write(name, slab.start, np.stack(slices))
            slices.clear()

    def finish(self) -> Damage:
        """Put everything together."""
        from pandas import DataFrame

        cracks = directions = None
        widths = np.zeros((0, 2))
        if self.cracks is not None:
            cracks = self.cracks.finish()
            directions = self.cracks.directions()
            widths = np.stack(self.cracks.widths.shares(), axis=1)
        particles = None if self._particles is None else self._particles.finish()
        profile = DataFrame(self._rows)
        correlation, turn = self._correlated()
        figures = self._figures(profile, correlation, turn, cracks, particles)
        self._said_after(profile, turn)
        return Damage(
            self._config, self._window, self._lengths, profile, correlation, self._distribution(), cracks, directions,
            particles, turn, np.concatenate([np.zeros((0, 2)), *self._points]), widths, tuple(self.notices), figures,
        )  # fmt: skip

    def _correlated(self) -> tuple[DataFrame, SignChange | None]:
        """The table of lines, and where the slope turns."""
        from pandas import DataFrame

        if self._phases.origin is None:
            return DataFrame(), None
        sigma = self._config.smoothing or max(1.0, self._depth / 20)
        slopes, halves = self._correlation.smoothed(sigma, self._config.confidence)
        rows = [
            {"scope": "volume", **_columns(self._correlation.volume())},
            {"scope": "within slices", **_columns(self._correlation.within_slices())},
        ]
        for index, line in enumerate(self._correlation.slices()):
            rows.append({
                "scope": "slice", "slice": index, self._lengths.depth: index * self._lengths.voxel[0], **_columns(line),
                "smooth_slope": slopes[index], "smooth_slope_low": slopes[index] - halves[index],
                "smooth_slope_high": slopes[index] + halves[index],
            })  # fmt: skip
        names = list(rows[-1])
        table = DataFrame(rows, columns=names).astype({"slice": "Int64"})
        return table, sign_change(slopes, halves)

    def _distribution(self) -> DataFrame:
        from pandas import DataFrame, concat

        top = max((one.largest + 4 * one.bandwidth for one in self._distributions.values()), default=1.0)
        grid = np.linspace(0, min(top, 1.0), 401)
        tables = [
            DataFrame({"slice": index, self._lengths.depth: index * self._lengths.voxel[0],
                       "damage": grid, "probability_density": one.density(grid)})
            for index, one in self._distributions.items()
        ]  # fmt: skip
        return concat(tables, ignore_index=True)

    def _figures(
        self, profile: DataFrame, correlation: DataFrame, turn: SignChange | None, cracks: DataFrame | None,
        particles: DataFrame | None,
    ) -> dict[str, Any]:  # fmt: skip
        """Numbers of the whole volume."""
        crack, area = int(profile["crack_area"].sum()), int(profile["area"].sum())
        whole = area if self._config.normalise == "window" else self._body
        figures: dict[str, Any] = {
            "slices": self._depth,
            "window_rows": self._window[0],
            "window_columns": self._window[1],
            "crack_voxels": crack,
            "damage": _known(crack / whole if whole else math.nan),
        }
        if "particle_area" in profile:
            figures["packing"] = _known(float(profile["particle_area"].sum()) / area if area else math.nan)
            line = correlation.iloc[0]
            figures |= {name: _known(line[name]) for name in ("slope", "slope_error", "r", "p")} | {"n": int(line["n"])}
            step = self._lengths.voxel[0]
            for name, value in (("", "depth"), ("_low", "low"), ("_high", "high")):
                found = math.nan if turn is None else getattr(turn, value) * step
                figures[self._lengths.named(f"slope_turns_at{name}")] = _known(found)
            figures["slope_turn_significant"] = turn is not None and turn.significant
        if self.cracks is not None and cracks is not None:
            middle = self.cracks.widths.quantiles((0.5,))[0]
            figures |= {
                "cracks": len(cracks),
                "small_cracks": self.cracks.small,
                self._lengths.named("crack_length"): self.cracks.widths.total,
                self._lengths.named("crack_width_mean"): _known(self.cracks.widths.mean),
                self._lengths.named("crack_width_median"): _known(middle),
            }
        if self._particles is not None and particles is not None:
            figures |= {"particles": len(particles), "small_particles": self._particles.small}
        return figures

    @property
    def _body(self) -> int:
        """Voxels of the particles, cracks included."""
        if self._phases.origin is None:
            return 0
        extra = 0 if self._config.include_cracks else sum(row["crack_area"] for row in self._rows)
        return int(sum(row["particle_area"] for row in self._rows) + extra)

    def _said_after(self, profile: DataFrame, turn: SignChange | None) -> None:
        if not profile["crack_area"].any():
            self.notices.append("There is no crack in the volume: its damage is 0 everywhere.")
        if self._phases.several:
            self.notices.append(
                "The class map has several values above 0, which all count as crack; if they are classes, name them."
            )
        if self._phases.origin is not None and not profile["particle_area"].any():
            self.notices.append(
                "There is no particle in the volume: its packing density is 0, and correlates with nothing."
            )
        if turn is not None and not turn.significant:
            self.notices.append(
                f"The slope of damage against packing changes its sign at {turn.depth * self._lengths.voxel[0]:.3g} "
                f"{self._lengths.shown()}, but that may be chance: it does not differ from 0 on both sides."
            )
        if self.cracks is not None and self.cracks.unmeasured:
            self.notices.append(
                f"{self.cracks.unmeasured} cracks reach through more than {self._config.largest:g} million voxels and "
                "have no centre line in 3-D; those of their slices are in the profile."
            )
        if self.cracks is not None and self.cracks.small:
            self.notices.append(
                f"{self.cracks.small} cracks of fewer than {self._config.smallest} voxels have no row in the table."
            )


@dataclass(frozen=True, eq=False)
class _Shares:
    """Pixels in windows: of cracks; of what damage is divided by; that have an area; of particles."""

    crack: Counts
    whole: Counts
    area: Counts
    packed: Counts | None


def _columns(line: Line) -> dict[str, float]:
    return {
        "slope": line.slope, "slope_error": line.slope_error, "intercept": line.intercept, "r": line.r, "p": line.p,
        "n": line.n,
    }  # fmt: skip


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
