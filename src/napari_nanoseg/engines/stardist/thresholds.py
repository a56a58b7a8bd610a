"""Choosing the object probability and the allowed overlap on validation images, as the original does."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.engines.stardist.candidates import paint
from napari_nanoseg.engines.stardist.predict import all_candidates
from napari_nanoseg.engines.stardist.suppression import suppressed
from napari_nanoseg.events import Progress, in_context, tell
from napari_nanoseg.scaling import ScaledView

NMS_THRESHOLDS = (0.3, 0.4, 0.5)
IOU_THRESHOLDS = (0.3, 0.5, 0.7)
SENSIBLE = (0.2, 0.9)  # few validation patches can push the probability to extremes that do not carry over
MOST_CANDIDATES = 5_000  # per image: an undertrained network makes the NMS take minutes otherwise
Maps = tuple[NDArray[np.float32], NDArray[np.float32]]


class _Cancelled(Exception):  # noqa: N818 - not an error
    pass


class _Predictor:
    """What ``stardist.utils.optimize_threshold`` needs of a model."""

    def __init__(self, truths: Sequence[NDArray[Any]], grid: tuple[int, int]):
        self.unknown = [truth < 0 for truth in truths]
        self.grid = grid
        self.stop = threading.Event()
        self.calls = 0

    def _instances_from_prediction(
        self, shape: tuple[int, int], prob: Any, dist: Any, prob_thresh: float, nms_thresh: float
    ) -> tuple[NDArray[np.int32], None]:
        if self.stop.is_set():
            raise _Cancelled
        unknown = self.unknown[self.calls % len(self.unknown)]
        self.calls += 1
        no_classes = np.zeros((*prob.shape, 0), np.float32)
        found = all_candidates((prob, dist, no_classes), self.grid, prob_thresh, MOST_CANDIDATES)
        candidates = found.where(~unknown[found.points[:, 0], found.points[:, 1]])
        view = ScaledView(np.broadcast_to(np.float32(0), shape))
        return paint(suppressed(candidates, nms_thresh), view).to_labels(), None


def optimise_thresholds(
    maps: Sequence[Maps], truths: Sequence[NDArray[Any]], grid: tuple[int, int]
) -> tuple[dict[str, float], float]:
    """Find the thresholds with the best accuracy TP / (TP + FP + FN), averaged over IoU 0.3, 0.5 and 0.7.

    Parameters
    ----------
    maps : sequence of tuple
        Probability (h, w) and distances (h, w, n_rays) of each validation image.
    truths : sequence of int array, shape (H, W)
        Labels; negative where not known: objects centred there do not count.
    grid : tuple of int

    Returns
    -------
    thresholds : dict
        ``prob`` and ``nms``.
    accuracy : float
        Reached on the validation images.
    """
    from stardist.utils import optimize_threshold

    predictor = _Predictor(truths, grid)
    known = [np.where(truth < 0, 0, truth) for truth in truths]
    best = ({"prob": 0.5, "nms": 0.4}, -1.0)
    with ThreadPoolExecutor(1) as pool:
        try:
            for done, nms in enumerate(NMS_THRESHOLDS):
                tell(Progress(done, len(NMS_THRESHOLDS), "thresholds"))
                search = pool.submit(
                    in_context(optimize_threshold),
                    known,
                    maps,
                    predictor,
                    nms,
                    iou_threshs=list(IOU_THRESHOLDS),
                    verbose=0,
                )
                while not search.done():
                    # The search is one call into a library: it runs beside, so that cancelling is noticed.
                    threading.Event().wait(0.1)
                    tell(Progress(done, len(NMS_THRESHOLDS), "thresholds"))
                probability, accuracy = search.result()
                if accuracy > best[1]:
                    probability = float(np.clip(probability, *SENSIBLE))
                    best = ({"prob": probability, "nms": nms}, float(accuracy))
        finally:
            predictor.stop.set()
    return best
