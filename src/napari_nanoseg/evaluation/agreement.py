"""How well sizes, shapes and directions of predicted particles agree with those of the true ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.arguments import as_calibration, as_instances, as_list
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.evaluate import EvaluateConfig
from napari_nanoseg.display import Shown, brief
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.axial import axial_difference, axial_median, axial_wasserstein, kuiper
from napari_nanoseg.evaluation.comparison import Comparison, compare
from napari_nanoseg.evaluation.smirnov import smirnov
from napari_nanoseg.instances import Instances
from napari_nanoseg.measurement.columns import COLUMNS
from napari_nanoseg.measurement.particles import POWER, in_nm, measure
from napari_nanoseg.progress import Show, shown

if TYPE_CHECKING:
    from pandas import DataFrame

ORIENTATION = "orientation_deg"
QUANTITIES = ("area", "aspect_ratio", ORIENTATION, "equivalent_diameter", "feret_max")
"""Columns of :func:`~napari_nanoseg.measurement.particles.measure` that are compared."""
NEEDED = (*QUANTITIES, "touches_border")
LIMITS = 1.96
"""Standard deviations within which 95 % of normally distributed differences lie."""


@dataclass(frozen=True, eq=False, repr=False)
class Agreement(Shown):
    """One quantity of the true and of the predicted particles that count.

    Parameters
    ----------
    quantity : str
        One of :data:`QUANTITIES`.
    unit : str
        Of the values; "" for none.
    truth, prediction : float64 array, shape (N,) and (M,)
        Values of all true and of all predicted particles, matched or not.
    pairs : float64 array, shape (P, 2)
        Values of matched true and predicted particles.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> areas = ns.agreement(truth, truth[:60])["area"]
    >>> len(areas.truth), len(areas.prediction), areas.unit
    (64, 44, 'px²')
    """

    quantity: str
    unit: str
    truth: NDArray[np.float64]
    prediction: NDArray[np.float64]
    pairs: NDArray[np.float64]

    @property
    def circular(self) -> bool:
        """Whether the values are directions, which come round after 180 degrees."""
        return self.quantity == ORIENTATION

    @property
    def title(self) -> str:
        """The quantity and its unit, for people."""
        title = COLUMNS[self.quantity].title
        return f"{title} ({self.unit})" if self.unit else title

    @cached_property
    def _distance(self) -> tuple[float | None, float | None, float | None]:
        """KS statistic (Kuiper's for directions), its p-value, and Wasserstein distance."""
        from scipy.stats import wasserstein_distance

        if not len(self.truth) or not len(self.prediction):
            return None, None, None
        if self.circular:
            return *kuiper(self.truth, self.prediction), axial_wasserstein(self.truth, self.prediction)
        return *smirnov(self.truth, self.prediction), float(wasserstein_distance(self.truth, self.prediction))

    def _line(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        true, predicted = (brief(self._median(side)) for side in (self.truth, self.prediction))
        return (
            f"{self.quantity}: median {true}{unit} true ({len(self.truth)}), {predicted}{unit} predicted "
            f"({len(self.prediction)}); {len(self.pairs)} pairs"
        )

    def _rows(self) -> dict[str, Any]:
        return self.figures()

    def figures(self) -> dict[str, int | float | str | None]:
        """What ``docs/measuring.md`` defines, by name; None where too few particles count.

        Statistic and p-value are those of :func:`~napari_nanoseg.evaluation.smirnov.smirnov`; for directions they are
        those of :func:`~napari_nanoseg.evaluation.axial.kuiper`, and the Wasserstein distance that of
        :func:`~napari_nanoseg.evaluation.axial.axial_wasserstein`. Bias, spread and limits are those of J. M. Bland and
        D. G. Altman, Lancet 327, 307 (1986).

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
        >>> figures = ns.agreement(truth, truth)["area"].figures()
        >>> figures["wasserstein"]
        0.0
        """
        statistic, p_value, wasserstein = self._distance
        true, predicted = self.pairs[:, 0], self.pairs[:, 1]
        differences = axial_difference(predicted, true) if self.circular else predicted - true
        bias = float(differences.mean()) if len(differences) else None
        spread = float(differences.std(ddof=1)) if len(differences) > 1 else None
        reach = None if spread is None else LIMITS * spread
        return {
            "unit": self.unit,
            "n_truth": len(self.truth),
            "n_prediction": len(self.prediction),
            "median_truth": self._median(self.truth),
            "median_prediction": self._median(self.prediction),
            "ks": statistic,
            "p_value": p_value,
            "wasserstein": wasserstein,
            "pairs": len(differences),
            "bias": bias,
            "spread": spread,
            "lower_limit": None if bias is None or reach is None else bias - reach,
            "upper_limit": None if bias is None or reach is None else bias + reach,
        }

    def _median(self, values: NDArray[np.float64]) -> float | None:
        if not len(values):
            return None
        return axial_median(values) if self.circular else float(np.median(values))


Agreements = Mapping[str, Agreement]
"""By quantity, in the order of :data:`QUANTITIES`."""


def agreement(
    truth: Instances | NDArray[Any] | DataFrame,
    prediction: Instances | NDArray[Any] | DataFrame,
    config: EvaluateConfig | None = None,
    calibration: Calibration | None = None,
    *,
    known: NDArray[np.bool_] | None = None,
    progress: Show = True,
    **fields: Any,
) -> Agreements:
    """Compare the distributions of area, aspect ratio, orientation, equivalent diameter and length (largest Feret).

    Every particle is measured on its own full mask, stacks slice by slice.

    Parameters
    ----------
    truth, prediction : Instances, integer array of shape (Y, X) or (Z, Y, X), or pandas.DataFrame
        The particles, or two tables of :func:`~napari_nanoseg.measurement.particles.measure`, which may be those of
        several images one after the other; from tables nobody knows which particles are pairs.
    config : EvaluateConfig, optional
        IoU threshold of a pair, pixel size, whether particles at the border count, and from which aspect ratio on a
        particle has an orientation.
    calibration : Calibration, optional
        Pixel size where the config gives none. Sizes are in pixels when it is not known, and for tables unless both
        have sizes in nanometres.
    known : bool array, shape (Y, X), optional
        Where the truth is complete; None: everywhere. See :func:`~napari_nanoseg.evaluation.matching.judged`.
    progress : bool or callable
        True shows a bar in terminals and notebooks, unless the work is short; False nothing; a callable is given
        every event.
    **fields
        Fields of :class:`EvaluateConfig`, which override those of `config`.

    Returns
    -------
    dict of str to Agreement
        By column of the table; ``.figures()`` of each are plain numbers.

    Raises
    ------
    NanosegError
        When shapes differ, pixels are not square, a table is compared with something else, or lacks a column or has
        one that is no numbers, or arguments are of a wrong type or name.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> found = ns.agreement(truth, truth[:60], pixel_size_nm=2.5)
    >>> found["equivalent_diameter"]
    Agreement(equivalent_diameter: median 137 nm true (64), 137 nm predicted (44); 44 pairs)
    """
    from pandas import DataFrame

    config = EvaluateConfig.combined(config, fields, "agreement")
    calibration = as_calibration(calibration, "agreement: 'calibration'")
    tables = [side for side in (truth, prediction) if isinstance(side, DataFrame)]
    if len(tables) == 1:
        raise NanosegError("One of the two is a table, the other is not; compare two tables, or two label images.")
    if tables:
        return _agreements(tables[0], tables[1], np.zeros((0, 2), np.int64), config)
    true, predicted = as_instances(truth, "agreement: 'truth'"), as_instances(prediction, "agreement: 'prediction'")
    with shown(progress):
        comparison = compare(true, predicted, config, calibration, known)
        return agreement_of(comparison, config, calibration)


def agreement_of(comparison: Comparison, config: EvaluateConfig, calibration: Calibration | None = None) -> Agreements:
    """Do what :func:`agreement` does with particles that are matched already."""
    from pandas import concat

    if config.pixel_size_nm is not None:
        calibration = Calibration.of(config.pixel_size_nm)
    tables: tuple[list[DataFrame], list[DataFrame]] = [], []
    pairs, before = [], np.zeros(2, np.int64)
    for true, predicted, evaluation in zip(
        comparison.truth, comparison.prediction, comparison.evaluations, strict=True
    ):
        for side, plane in zip(tables, (true, predicted), strict=True):
            table = measure(plane, calibration)
            side.append(table)
        rows = [_places(true.ids, evaluation.truth_ids), _places(predicted.ids, evaluation.prediction_ids)]
        pairs.append(np.stack(rows, axis=1) + before)
        before += len(true), len(predicted)
    joined = [concat([one for one in side if len(one)] or side[:1], ignore_index=True) for side in tables]
    return _agreements(joined[0], joined[1], np.concatenate(pairs), config)


def pool_agreement(several: Iterable[Agreements]) -> Agreements:
    """Put the particles of several images together.

    Raises
    ------
    NanosegError
        When there is none, or sizes are in nanometres for some and in pixels for others.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> several = [ns.agreement(truth, truth[:60]), ns.agreement(truth, truth)]
    >>> len(ns.pool_agreement(several)["area"].truth)
    128
    """
    every = as_list(several, dict, "pool_agreement: 'several'", "a list of what agreement() gives")
    if len({one["area"].unit for one in every}) != 1:
        raise NanosegError(
            "Sizes of particles can be put together when there are some, all in pixels or all in nanometres; "
            "give one pixel size for all images."
        )
    return {
        name: replace(
            first,
            truth=np.concatenate([one[name].truth for one in every]),
            prediction=np.concatenate([one[name].prediction for one in every]),
            pairs=np.concatenate([one[name].pairs for one in every]),
        )
        for name, first in every[0].items()
    }


def common_unit(found: Mapping[str, Calibration]) -> tuple[dict[str, Calibration], str | None]:
    """Pixel sizes of images by which all their particles can be compared in one unit.

    Returns
    -------
    dict of str to Calibration
        Those given, or no pixel size for all.
    str or None
        A sentence when pixel sizes are known but of no use.
    """
    unknown = [name for name, one in found.items() if not one.known]
    if len(unknown) == len(found):
        return dict(found), None
    pixels = dict.fromkeys(found, Calibration())
    if unknown:
        return pixels, (
            f"The pixel size of {unknown[0]} is not known but that of other images is, so sizes are compared in "
            "pixels; give one pixel size for all."
        )
    for name, one in found.items():
        try:
            one.nm_per_pixel  # noqa: B018
        except NanosegError as error:
            return pixels, f"Sizes are compared in pixels, those of {name} included: {error}"
    return dict(found), None


def _places(ids: NDArray[np.int32], wanted: NDArray[np.int32]) -> NDArray[np.int64]:
    """Where the wanted ids are."""
    order = np.argsort(ids)
    places: NDArray[np.int64] = order[np.searchsorted(ids, wanted, sorter=order)]
    return places


def _agreements(
    truth: DataFrame, prediction: DataFrame, pairs: NDArray[np.int64], config: EvaluateConfig
) -> Agreements:
    for table in (truth, prediction):
        missing = [name for name in NEEDED if name not in table]
        if missing:
            raise NanosegError(f"The table has no column '{missing[0]}'; compare tables that 'measure' makes.")
        texts = [name for name in NEEDED if len(table) and table[name].dtype.kind not in "iufb"]
        if texts:
            raise NanosegError(f"The column '{texts[0]}' holds something else than numbers; correct the table.")
    calibrated = all(in_nm(name) in table for table in (truth, prediction) for name in QUANTITIES if name in POWER)
    return {name: _one(name, truth, prediction, pairs, calibrated, config) for name in QUANTITIES}


def _one(
    name: str,
    truth: DataFrame,
    prediction: DataFrame,
    pairs: NDArray[np.int64],
    calibrated: bool,
    config: EvaluateConfig,
) -> Agreement:
    column = in_nm(name) if calibrated and name in POWER else name
    values, counts = [], []
    for table in (truth, prediction):
        side = table[column].to_numpy(np.float64)
        counted = np.isfinite(side)
        if config.exclude_border:
            counted &= ~table["touches_border"].to_numpy(bool)
        if name == ORIENTATION:
            counted &= table["aspect_ratio"].to_numpy(np.float64) >= config.least_aspect_ratio
        values.append(side)
        counts.append(counted)
    both = pairs[counts[0][pairs[:, 0]] & counts[1][pairs[:, 1]]]
    matched = np.stack([values[0][both[:, 0]], values[1][both[:, 1]]], axis=1)
    return Agreement(name, COLUMNS[column].unit, values[0][counts[0]], values[1][counts[1]], matched)
