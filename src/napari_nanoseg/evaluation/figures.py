"""What the figures of a comparison are, for people; ``docs/measuring.md`` says the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One figure: its title and how it is defined."""

    title: str
    meaning: str


FIGURES = {
    "iou_threshold": Figure("IoU threshold", "smallest intersection over union (IoU) of a matched pair"),
    "true_positives": Figure("Found (TP)", "true positives: matched pairs of a true and a predicted particle"),
    "false_positives": Figure("Not there (FP)", "false positives: predicted particles without a partner"),
    "false_negatives": Figure("Missed (FN)", "false negatives: true particles without a partner"),
    "precision": Figure("Precision", "TP / (TP + FP): which share of the predicted particles is right"),
    "recall": Figure("Recall", "TP / (TP + FN): which share of the true particles was found"),
    "f1": Figure("F1", "2 TP / (2 TP + FP + FN): precision and recall in one figure"),
    "accuracy": Figure("Accuracy", "TP / (TP + FP + FN): what StarDist calls average precision at this IoU"),
    "panoptic_quality": Figure("Panoptic quality", "sum of the matched IoUs / (TP + FP/2 + FN/2)"),
    "mean_matched_iou": Figure("Mean matched IoU", "mean IoU of the matched pairs: how well outlines agree"),
    "foreground_accuracy": Figure(
        "Foreground accuracy", "of pixels: in both / in at least one of true and predicted foreground"
    ),
    "recall_complete": Figure("Recall, complete", "recall of the true particles that do not touch the image border"),
    "recall_border": Figure("Recall, at border", "recall of the true particles that touch the image border"),
    "ap": Figure("AP", "COCO's average precision of masks, mean of the IoU thresholds 0.5, 0.55, ... 0.95"),
    "ap50": Figure("AP50", "average precision of masks at IoU 0.5"),
    "ap75": Figure("AP75", "average precision of masks at IoU 0.75"),
    "ap_small": Figure("AP, small", "AP of the masks of small particles, up to the first size limit"),
    "ap_medium": Figure("AP, medium", "AP of the masks of particles between the size limits"),
    "ap_large": Figure("AP, large", "AP of the masks of large particles, from the second size limit"),
    "box_ap": Figure("Box AP", "average precision of bounding boxes, mean of the IoU thresholds 0.5, 0.55, ... 0.95"),
    "box_ap50": Figure("Box AP50", "average precision of bounding boxes at IoU 0.5"),
    "box_ap75": Figure("Box AP75", "average precision of bounding boxes at IoU 0.75"),
    "box_ap_small": Figure("Box AP, small", "AP of the bounding boxes of small particles, up to the first size limit"),
    "box_ap_medium": Figure("Box AP, medium", "AP of the bounding boxes of particles between the size limits"),
    "box_ap_large": Figure("Box AP, large", "AP of the bounding boxes of large particles, from the second size limit"),
}
"""By name, in the order of :meth:`napari_nanoseg.evaluation.matching.Evaluation.figures`."""

NOT_JUDGED = Figure(
    "Not judged",
    "predicted particles that match no true one and lie mostly where a partly annotated truth says nothing: left out "
    "of all figures",
)

PIXELS = {
    "tolerance": Figure("Tolerance", "how far (px) a pixel may lie from one of the other kind and still be right"),
    "true_pixels": Figure("True pixels", "pixels of the class in the truth"),
    "predicted_pixels": Figure("Predicted pixels", "pixels of the class in the prediction"),
    "found_pixels": Figure("Found pixels", "true pixels with a predicted one within the tolerance"),
    "right_pixels": Figure("Right pixels", "predicted pixels with a true one within the tolerance"),
    "both_pixels": Figure("Common pixels", "pixels of the class in both"),
    "precision": Figure("Precision", "right / predicted pixels"),
    "recall": Figure("Recall", "found / true pixels"),
    "f1": Figure("F1", "harmonic mean of precision and recall; without tolerance Dice's coefficient"),
    "iou": Figure("IoU", "common pixels / pixels in at least one of truth and prediction, without any tolerance"),
}
"""By name, in the order of :meth:`napari_nanoseg.evaluation.tolerant.PixelEvaluation.figures`."""

AGREEMENT = {
    "unit": Figure("Unit", "unit of all that follows but the statistic and its p-value"),
    "n_truth": Figure("True particles", "true particles that count, found or missed"),
    "n_prediction": Figure("Predicted particles", "predicted particles that count, right or wrong"),
    "median_truth": Figure("Median, true", "median of the true particles; of orientations the circular median"),
    "median_prediction": Figure("Median, predicted", "median of the predicted particles"),
    "ks": Figure(
        "KS",
        "Kolmogorov-Smirnov statistic: largest difference of the two cumulative distributions, 0 to 1; of orientations "
        "Kuiper's V",
    ),
    "p_value": Figure("p", "how often samples of one distribution differ at least so much, if they are independent"),
    "wasserstein": Figure(
        "Wasserstein",
        "mean change that takes one distribution to the other with the least effort; of orientations the mean turn",
    ),
    "pairs": Figure("Pairs", "matched pairs of a true and a predicted particle that both count"),
    "bias": Figure("Bias", "mean of predicted - true over the pairs; of orientations the smaller turn, -90 to 90"),
    "spread": Figure("Spread", "standard deviation (n - 1) of predicted - true over the pairs"),
    "lower_limit": Figure("Lower limit", "bias - 1.96 spread: lower of Bland and Altman's limits of agreement"),
    "upper_limit": Figure("Upper limit", "bias + 1.96 spread: upper of Bland and Altman's limits of agreement"),
}
"""By name, in the order of :meth:`napari_nanoseg.evaluation.agreement.Agreement.figures`."""
