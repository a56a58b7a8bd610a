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
    "accuracy": Figure("Accuracy (AP)", "TP / (TP + FP + FN): what StarDist calls average precision at this IoU"),
    "panoptic_quality": Figure("Panoptic quality", "sum of the matched IoUs / (TP + FP/2 + FN/2)"),
    "mean_matched_iou": Figure("Mean matched IoU", "mean IoU of the matched pairs: how well outlines agree"),
    "foreground_accuracy": Figure(
        "Foreground accuracy", "of pixels: in both / in at least one of true and predicted foreground"
    ),
    "recall_complete": Figure("Recall, complete", "recall of the true particles that do not touch the image border"),
    "recall_border": Figure("Recall, at border", "recall of the true particles that touch the image border"),
}
"""By name, in the order of :meth:`napari_nanoseg.evaluation.matching.Evaluation.figures`."""
