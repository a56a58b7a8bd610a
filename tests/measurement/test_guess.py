"""Diameter and polarity of particles are guessed from the image alone, or nothing is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.annotations import read_labels
from napari_nanoseg.io.images import read_image, read_label_array
from napari_nanoseg.io.sample_data import sample_data
from napari_nanoseg.measurement.guess import guess_particles
from napari_nanoseg.samples import Image, Sample


@pytest.mark.parametrize("radius", [12, 20, 40])
@pytest.mark.parametrize("dark", [False, True])
def test_discs_are_recognised(make_sample: Callable[..., Sample], radius: float, dark: bool) -> None:
    sample = make_sample("discs", 1, shape=(600, 700), radius=radius)
    pixels = 255 - sample.image.data if dark else sample.image.data
    guess = guess_particles(pixels)
    assert guess is not None
    assert guess.polarity == ("dark" if dark else "bright")
    assert guess.diameter == pytest.approx(2 * radius, rel=0.5)


def test_scale_and_colours_make_no_difference(make_sample: Callable[..., Sample]) -> None:
    pixels = make_sample("discs", 1, shape=(300, 400), radius=20).image.data
    large = np.kron(pixels, np.ones((4, 4), np.uint8))
    one, other = guess_particles(pixels), guess_particles(Image(np.dstack([large] * 3), "YXC"))
    assert one is not None
    assert other is not None
    assert other.diameter == pytest.approx(4 * one.diameter, rel=0.3)


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((100, 100), 7),
        np.full((50, 50), np.nan),
        np.zeros((1, 5)),
        np.tile(np.arange(200), (200, 1)),
        np.random.default_rng(0).random((300, 300)),
    ],
    ids=["flat", "nan", "line", "ramp", "noise"],
)
def test_where_nothing_can_be_told_nothing_is_said(pixels: np.ndarray) -> None:
    assert guess_particles(pixels) is None


def test_a_stack_is_refused() -> None:
    with pytest.raises(NanosegError, match="one slice of the stack"):
        guess_particles(Image(np.zeros((3, 9, 9)), "ZYX"))


def test_the_sample_micrograph() -> None:
    guess = guess_particles(read_image(sample_data() / "particles.tif"))
    truth = read_labels(sample_data() / "particles_truth.tif").diameter()
    assert guess is not None
    assert guess.polarity == "bright"
    assert 1 / 1.5 < guess.diameter / truth < 1.5


def test_real_micrographs(shared_data: Path) -> None:
    told = right = close = 0
    for path in sorted((shared_data / "emps" / "images").iterdir())[3::16]:
        image, labels = read_image(path), read_label_array(shared_data / "emps" / "masks" / path.name)
        guess = guess_particles(image)
        if guess is None or labels.all():
            continue
        grey = image.data.mean(axis=-1) if image.axes.endswith("C") else image.data
        told += 1
        right += (guess.polarity == "bright") == bool(np.median(grey[labels > 0]) > np.median(grey[labels == 0]))
        close += 1 / 1.5 < guess.diameter / Instances.from_labels(labels).diameter() < 1.5
    assert told >= 10
    assert right / told > 0.85
    assert close / told > 0.55
