"""Whether masks of classes can be learned from: what is wrong with them, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.measurement.annotation import Finding
from napari_nanoseg.samples import UNLABELLED, ClassSample

FEW = 100
"""Pixels of a class: less than the crack of a single patch has."""


def check_classes(sample: ClassSample, classes: Sequence[str], *, sparse: bool) -> Iterator[Finding]:
    """Look for what spoils a training in the mask of one image.

    Parameters
    ----------
    sample : ClassSample
    classes : sequence of str
        Names by value, from 1.
    sparse : bool
        Whether the mask is scribbled.

    Yields
    ------
    Finding
    """
    counts = pixels_of(sample, len(classes))
    labelled = int(counts.sum())
    if not labelled:
        yield Finding("warning", "Nothing is labelled, so nothing is learned from it; scribble on it.", kind="none")
    elif not counts[1:].any():
        yield Finding(
            "information", f"No pixel is of a class; all that is labelled teaches background ({labelled} px).",
            kind="none",
        )  # fmt: skip
    elif len(classes) == 1 and not sparse and counts[1] > counts[0]:
        yield Finding(
            "warning",
            f"{100 * counts[1] / labelled:.0f} % of the pixels are '{classes[0]}'; if that is the background, invert "
            "the mask.",
            kind="classes",
        )


def check_all_classes(counts: NDArray[np.int64], classes: Sequence[str]) -> Iterator[Finding]:
    """Look for what is missing in all images together.

    Parameters
    ----------
    counts : int64 array, shape (len(classes) + 1,)
        Pixels of the background and of each class.
    classes : sequence of str

    Yields
    ------
    Finding
    """
    if not counts[0]:
        yield Finding("problem", "No pixel of any mask is background; label some of it.", kind="background")
    for name, count in zip(classes, counts[1:].tolist(), strict=True):
        if count < FEW:
            how_many = f"Only {count} pixel{'s are' if count != 1 else ' is'}" if count else "No pixel is"
            yield Finding(
                "warning" if count else "problem", f"{how_many} of the class '{name}'; label more of it.",
                kind="few",
            )  # fmt: skip


def pixels_of(sample: ClassSample, classes: int) -> NDArray[np.int64]:
    """Count the pixels of the background and of each of so many classes, shape (classes + 1,)."""
    labelled = sample.classes[sample.classes != UNLABELLED]
    return np.bincount(labelled, minlength=classes + 1).astype(np.int64)
