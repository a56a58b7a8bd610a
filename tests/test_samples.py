"""Images and samples refuse what does not belong together."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import AXES, Image, Sample


@pytest.mark.parametrize("axes", AXES)
def test_the_plane_is_rows_and_columns(axes: str) -> None:
    sizes = {"Z": 2, "T": 3, "Y": 5, "X": 7, "C": 4}
    assert Image(np.zeros([sizes[axis] for axis in axes]), axes).plane_shape == (5, 7)


@pytest.mark.parametrize(
    ("data", "axes", "sentence"),
    [
        (np.zeros((3, 4)), "ZYX", "does not have the axes ZYX"),
        (np.zeros((3, 4)), "XY", "does not have the axes XY"),
        (np.zeros((0, 4)), "YX", "the image is empty"),
        (np.zeros((3, 4), complex), "YX", "are not grey values"),
    ],
)
def test_what_is_no_image(data: np.ndarray, axes: str, sentence: str) -> None:
    with pytest.raises(NanosegError, match=f"probe.tif: .*{sentence}"):
        Image(data, axes, source="probe.tif")


def test_annotations_and_known_regions_have_the_shape_of_the_image() -> None:
    image = Image(np.zeros((3, 4)))
    assert Sample(image, Instances.empty((3, 4)), np.ones((3, 4), dtype=bool)).name == "sample"
    with pytest.raises(NanosegError, match=r"annotation has the shape \(4, 3\) but the image \(3, 4\)"):
        Sample(image, Instances.empty((4, 3)))
    with pytest.raises(NanosegError, match="known region has the shape"):
        Sample(image, Instances.empty((3, 4)), np.ones((4, 3), dtype=bool))
