"""How well pixels of a class agree with the truth, when lines may lie a little beside each other.

Cracks are a few pixels wide and drawn by hand: a prediction that lies one pixel beside the truth is right for all
purposes, while the intersection over union calls half of it wrong. So boundary-tolerant precision and recall are
reported, as is usual for cracks (Zou et al., Pattern Recognition Letters 2012), beside the plain figures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.arguments import as_labels, as_list, as_number
from napari_nanoseg.display import Shown
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.greyness import refuse_grey
from napari_nanoseg.instances import Instances

TOLERANCE = 2.0
"""px"""


@dataclass(frozen=True, repr=False)
class PixelEvaluation(Shown):
    """Counts of one comparison of pixels, or of several pooled; every figure follows from them.

    Figures whose denominator is 0 are 0, also when truth and prediction are both empty.

    Parameters
    ----------
    tolerance : float
        How far a pixel may lie from one of the other kind and still be right, px.
    true_pixels, predicted_pixels : int
        Pixels of the class in truth and prediction.
    found_pixels : int
        True pixels with a predicted one within the tolerance.
    right_pixels : int
        Predicted pixels with a true one within the tolerance.
    both_pixels : int
        Pixels of the class in both.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> truth = np.zeros((32, 32), bool)
    >>> truth[10:12] = True
    >>> found = ns.evaluate_pixels(truth, np.roll(truth, 1, axis=0), tolerance=0)
    >>> found.precision, found.recall, round(found.iou, 3)
    (0.5, 0.5, 0.333)
    """

    tolerance: float
    true_pixels: int
    predicted_pixels: int
    found_pixels: int
    right_pixels: int
    both_pixels: int

    @property
    def precision(self) -> float:
        """Share of the predicted pixels that are right within the tolerance."""
        return _ratio(self.right_pixels, self.predicted_pixels)

    @property
    def recall(self) -> float:
        """Share of the true pixels that were found within the tolerance."""
        return _ratio(self.found_pixels, self.true_pixels)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; without tolerance the Dice coefficient."""
        return _ratio(2 * self.precision * self.recall, self.precision + self.recall)

    @property
    def iou(self) -> float:
        """Intersection over union, without any tolerance."""
        return _ratio(self.both_pixels, self.true_pixels + self.predicted_pixels - self.both_pixels)

    def _line(self) -> str:
        return (
            f"F1 {self.f1:.2f}: precision {self.precision:.2f}, recall {self.recall:.2f} within {self.tolerance:g} px; "
            f"IoU {self.iou:.2f}"
        )

    def _rows(self) -> dict[str, float]:
        return self.figures()

    def figures(self) -> dict[str, float]:
        """All counts and figures by name.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> cracks = np.eye(32)
        >>> ns.evaluate_pixels(cracks, cracks).figures()["iou"]
        1.0
        """
        names = ("precision", "recall", "f1", "iou")
        return {**asdict(self), **{name: getattr(self, name) for name in names}}


def evaluate_pixels(
    truth: Instances | NDArray[np.generic],
    prediction: Instances | NDArray[np.generic],
    tolerance: float = TOLERANCE,
    known: NDArray[np.bool_] | None = None,
) -> PixelEvaluation:
    """Compare the pixels of one class.

    Parameters
    ----------
    truth, prediction : Instances or array of the same shape, (Y, X) or (Z, Y, X)
        Any numbers; what is not 0 is of the class, and what belongs to a particle.
    tolerance : float
        How far (px, Euclidean, along every axis alike) a pixel may lie from one of the other kind; 0: not at all.
    known : bool array of the same shape, optional
        Where the truth is known; pixels elsewhere are not counted.

    Returns
    -------
    PixelEvaluation

    Raises
    ------
    NanosegError
        When the shapes differ, one looks like a grey image, or the tolerance is negative.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> truth = np.zeros((32, 32), bool)
    >>> truth[10] = True
    >>> ns.evaluate_pixels(truth, np.roll(truth, 2, axis=0), tolerance=2)
    PixelEvaluation(F1 1.00: precision 1.00, recall 1.00 within 2 px; IoU 0.00)
    >>> ns.evaluate_pixels(truth, np.roll(truth, 2, axis=0), tolerance=0).f1
    0.0
    """
    truth, prediction = (
        as_labels(given, f"evaluate_pixels: '{name}'") for given, name in ((truth, "truth"), (prediction, "prediction"))
    )
    for given, name in ((truth, "truth"), (prediction, "prediction")):
        refuse_grey(given, f"evaluate_pixels: '{name}'")
    known = None if known is None else as_labels(known, "evaluate_pixels: 'known'") != 0
    tolerance = as_number(tolerance, "evaluate_pixels: 'tolerance'")
    shapes = {array.shape for array in (truth, prediction, known) if array is not None}
    if len(shapes) > 1:
        raise NanosegError(
            f"The truth has the shape {truth.shape} but the prediction {prediction.shape}; compare the same image."
        )
    if not tolerance >= 0:
        raise NanosegError(f"The tolerance is {tolerance}; it must be 0 or more pixels.")
    true, predicted = (np.asarray(array != 0) for array in (truth, prediction))
    if known is not None:
        true, predicted = true & known, predicted & known
    return PixelEvaluation(
        tolerance=float(tolerance),
        true_pixels=int(np.count_nonzero(true)),
        predicted_pixels=int(np.count_nonzero(predicted)),
        found_pixels=int(np.count_nonzero(true & _near(predicted, tolerance))),
        right_pixels=int(np.count_nonzero(predicted & _near(true, tolerance))),
        both_pixels=int(np.count_nonzero(true & predicted)),
    )


def pool_pixels(evaluations: Iterable[PixelEvaluation]) -> PixelEvaluation:
    """Evaluation of several images together: their counts are added, so that every pixel counts alike.

    Raises
    ------
    NanosegError
        When there is none, or they were made with different tolerances.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> cracks = np.eye(32)
    >>> right, wrong = ns.evaluate_pixels(cracks, cracks), ns.evaluate_pixels(cracks, 0 * cracks)
    >>> ns.pool_pixels([right, wrong]).recall
    0.5
    """
    found = as_list(
        evaluations, PixelEvaluation, "pool_pixels: 'evaluations'", "a list of what evaluate_pixels() gives"
    )
    if len({one.tolerance for one in found}) != 1:
        raise NanosegError("Only comparisons made with the same tolerance can be pooled; compare the images again.")
    counts = [{name: value for name, value in asdict(one).items() if name != "tolerance"} for one in found]
    return PixelEvaluation(found[0].tolerance, **{name: sum(one[name] for one in counts) for name in counts[0]})


def _near(mask: NDArray[np.bool_], distance: float) -> NDArray[np.bool_]:
    """Whether a pixel of the mask lies within a distance."""
    from scipy.ndimage import distance_transform_edt

    if distance == 0 or not mask.any():
        return mask
    return np.asarray(distance_transform_edt(~mask) <= distance)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
