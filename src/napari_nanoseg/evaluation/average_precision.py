"""COCO's average precision: how well the scores of a prediction tell right particles from wrong ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances

COCO_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
ANY_AREA = [0, 1e12]
CATEGORY = {"id": 1, "name": "particle"}


def average_precision(
    pairs: Iterable[tuple[Instances, Instances]], iou_thresholds: Sequence[float] = COCO_THRESHOLDS
) -> NDArray[np.float64]:
    """Average precision of scored particles over all images, as COCO defines it for masks (by faster-coco-eval).

    Unlike in COCO, an image may have more than 100 particles. Classes are not told apart.

    Parameters
    ----------
    pairs : iterable of (truth, prediction)
        Of each image. The prediction should hold improbable particles too: recall that it does not reach counts as
        precision 0.
    iou_thresholds : sequence of float
        Smallest intersections over union of a match. The mean over :data:`COCO_THRESHOLDS` is COCO's AP.

    Returns
    -------
    array, one value per threshold
        NaN without any true particle.

    Raises
    ------
    NanosegError
        When truth and prediction differ in shape.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    images: list[dict[str, int]] = []
    true: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    most = 1
    for number, (truth, prediction) in enumerate(pairs, 1):
        if truth.shape != prediction.shape:
            raise NanosegError(
                f"The truth has the shape {truth.shape} but the prediction {prediction.shape}; "
                "compare label images of the same micrograph."
            )
        images.append({"id": number, "height": truth.shape[0], "width": truth.shape[1]})
        true += truth.to_coco(number, len(true) + 1)
        found += prediction.to_coco(number, len(found) + 1)
        most = max(most, len(prediction))
    if not true or not found:  # the library wants some of both
        return np.full(len(iou_thresholds), 0.0 if true else np.nan)
    for annotation in (*true, *found):
        annotation["category_id"] = CATEGORY["id"]
    data = COCO({"images": images, "annotations": true, "categories": [CATEGORY]})
    judged = COCOeval_faster(data, data.loadRes(found), "segm", print_function=lambda *_: None)
    judged.params.iouThrs = np.array(iou_thresholds)
    judged.params.maxDets = [most]
    judged.params.areaRng, judged.params.areaRngLbl = [ANY_AREA], ["all"]
    judged.evaluate()
    judged.accumulate()
    precision = np.asarray(judged.eval["precision"])  # threshold, recall, category, area, most
    return np.asarray(precision[:, :, 0, 0, 0].mean(axis=1), np.float64)
