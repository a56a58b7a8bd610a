"""A model for particles of any size finds out how large they are in an image."""

from __future__ import annotations

import numpy as np
import pytest
from followed import events_of

from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.engines.stardist.candidates import Candidates
from napari_nanoseg.engines.stardist.model import StarDistModel
from napari_nanoseg.engines.stardist.size import Try, surest
from napari_nanoseg.evaluation.matching import evaluate
from napari_nanoseg.events import Notice
from napari_nanoseg.samples import Image


@pytest.fixture(scope="module")
def model(disc_model) -> StarDistModel:
    """A model for discs, with a card that knows no size."""
    found = load_model(disc_model)
    assert isinstance(found, StarDistModel)
    return StarDistModel(found.network, found.card.model_copy(update={"training_diameter": None}))


@pytest.mark.parametrize("radius", [7, 14, 36])
def test_the_diameter_is_estimated_and_the_particles_are_found(
    model,
    make_sample,
    radius,
):
    sample = make_sample("sizes", 3, shape=(16 * radius, 18 * radius), radius=radius)
    events, found = events_of(lambda: model.detect(sample.image, SegmentConfig()))
    assert found.config.diameter == pytest.approx(2 * radius, rel=0.25)
    (said,) = (event.message for event in events if isinstance(event, Notice) and "large" in event.message)
    assert f"about {found.config.diameter:.0f} px" in said
    assert evaluate(sample.instances, model.segment(sample.image)).f1 > 0.9


def test_a_diameter_that_is_told_is_taken(model, make_sample):
    sample = make_sample("told", 4)
    steps = events_of(lambda: model.detect(sample.image, SegmentConfig(diameter=20)))[0]
    assert not any(isinstance(event, Notice) for event in steps)


def test_noise_and_tiny_images_have_no_particles(model):
    rng = np.random.default_rng(0)
    for shape in ((16, 16), (200, 160)):
        pixels = rng.normal(100, 5, shape).astype(np.float32)
        assert len(model.segment(Image(pixels, "YX", source="noise"), SegmentConfig(probability=0.9))) == 0


@pytest.mark.parametrize(
    ("name", "pixels", "sentence"),
    [
        ("black", np.zeros((90, 90), np.uint8), "all pixels are the same, so there is no particle."),
        (
            "ramp",
            np.tile(np.arange(90, dtype=np.uint8), (90, 1)),
            "no particle of any size was seen; give the particle diameter, or choose another model.",
        ),
    ],
)
def test_where_nothing_is_seen_no_diameter_is_made_up(
    model,
    name,
    pixels,
    sentence,
    monkeypatch,
):
    monkeypatch.setattr("napari_nanoseg.engines.stardist.model.surest", lambda _: None)
    said, found = events_of(lambda: model.detect(Image(pixels, "YX", source=name), SegmentConfig()))
    assert found.config.diameter is None
    assert f"{name}: {sentence}" in [event.message for event in said if isinstance(event, Notice)]


@pytest.mark.parametrize("diameter", [None, 20])
def test_a_single_bright_pixel_does_not_end_the_process(model, diameter):
    """Percentiles do not see it, so it becomes endlessly bright."""
    pixels = np.zeros((90, 90), np.uint8)
    pixels[44, 40] = 1
    assert model.segment(pixels, SegmentConfig(diameter=diameter)).shape == (90, 90)


def found(*particles):
    """Round particles at (row, column, diameter), all sure."""
    rows = np.array([particle[:2] for particle in particles], np.int64).reshape(-1, 2)
    radii = np.array([particle[2] / 2 for particle in particles], np.float32)
    probable = np.full(len(rows), 0.9, np.float32)
    return Candidates(rows, probable, np.repeat(radii[:, None], 32, axis=1), np.zeros((len(rows), 0), np.float32))


def test_the_surest_try_counts_within_its_reach():
    tries = [Try(8.0, float("nan"), 0.0, found()), Try(16.0, 20.0, 0.3, found()), Try(32.0, 90.0, 0.4, found())]
    assert surest(tries) == pytest.approx(32 * 2**0.5)
    assert surest(tries[:2]) == 20.0
    assert surest(tries[:1]) is None
    assert surest([]) is None


LARGE = found(*((100, column, 64) for column in (50, 150, 250, 350)))
SMALL = [(200, column, 16) for column in range(20, 380, 30)]


@pytest.mark.parametrize(
    ("finer", "diameter"),
    [
        (SMALL, 32),
        (SMALL[:3], 64),  # dirt
        ([(100 + row, 50 + column, 16) for row in (-15, 0, 15) for column in (-15, 0, 15)], 64),  # details of one
        ([(row, column, 8) for row, column, _ in SMALL], 64),  # too far apart for one diameter
    ],
)
def test_smaller_particles_elsewhere_ask_for_a_diameter_between(finer, diameter):
    tries = [Try(finer[0][2], finer[0][2], 0.3, found(*finer)), Try(64.0, 64.0, 0.6, LARGE)]
    assert surest(tries) == pytest.approx(diameter, rel=0.02)
