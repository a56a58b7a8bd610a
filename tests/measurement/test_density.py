"""Optical density: exact where the transmission is known, I0 of every slice from all its sources, guards."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from followed import events_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from napari_nanoseg import Calibration, DensityConfig, Image, NanosegError, optical_density
from napari_nanoseg.events import Progress

SHAPE = 60, 80
BACKGROUND = slice(0, 20), slice(0, 80)


def density() -> NDArray[np.float64]:
    """A wedge from 0.1 to 2 below 20 rows without sample."""
    truth = np.zeros(SHAPE)
    truth[20:] = np.linspace(0.1, 2, SHAPE[1])
    return truth


def transmission(incident: float = 1000.0) -> NDArray[np.float64]:
    return incident * np.exp(-density())


def marked() -> NDArray[np.uint8]:
    region = np.zeros(SHAPE, np.uint8)
    region[BACKGROUND] = 3
    return region


@pytest.mark.parametrize(
    ("config", "beside"),
    [
        ({}, {}),
        ({"averaging": 1, "percentile": 100}, {}),
        ({"rows": (2, 18)}, {}),
        ({"rows": (0, 20), "columns": (5, 6)}, {}),
        ({}, {"region": marked()}),
        ({}, {"reference": np.full(SHAPE, 1000.0)}),
        ({"floor": None}, {}),
    ],
    ids=["percentile", "brightest pixel", "rows", "rows and columns", "region", "reference", "no floor"],
)
def test_a_known_transmission_gives_its_density(config, beside) -> None:
    found = optical_density(transmission(), DensityConfig.parse(config), **beside)
    np.testing.assert_allclose(found.image.data, density(), rtol=1e-6, atol=1e-7)
    assert found.image.data.dtype == np.float32
    assert found.incident == pytest.approx([1000])
    assert found.notices() == []


def test_an_uneven_beam_is_only_known_by_a_reference() -> None:
    beam = 1000 + 3 * np.arange(SHAPE[1])
    found = optical_density(beam * np.exp(-density()), reference=np.broadcast_to(beam, SHAPE))
    np.testing.assert_allclose(found.image.data, density(), rtol=1e-6, atol=1e-6)
    assert found.incident == pytest.approx([beam.mean()])


def test_the_dark_level_counts_in_image_and_reference() -> None:
    config = DensityConfig(dark=37.5)
    for beside in ({}, {"reference": np.full(SHAPE, 1037.5)}, {"region": marked()}):
        found = optical_density(transmission() + 37.5, config, **beside)
        np.testing.assert_allclose(found.image.data, density(), rtol=1e-6, atol=1e-6)
        assert found.incident == pytest.approx([1000])


@pytest.mark.parametrize(
    "beside", [{}, {"region": marked()}, {"reference": None}], ids=["percentile", "region", "stack"]
)
def test_every_energy_has_its_own_incident_intensity(beside) -> None:
    levels, factors = np.array([500.0, 1000.0, 30.0]), np.array([1.0, 0.5, 0.1])
    stack = levels[:, None, None] * np.exp(-factors[:, None, None] * density())
    if "reference" in beside:
        beside = {"reference": np.broadcast_to(levels[:, None, None], stack.shape)}
    image = Image(stack, "ZYX", Calibration((25.0, 30.0)), "energies")
    said, found = events_of(lambda: optical_density(image, **beside))
    assert said == [Progress(number, 3, "slices") for number in (1, 2, 3)]
    np.testing.assert_allclose(found.image.data, factors[:, None, None] * density(), rtol=1e-5, atol=1e-6)
    assert found.incident == pytest.approx(levels)
    assert (found.image.axes, found.image.calibration) == ("ZYX", image.calibration)


def test_one_reference_serves_all_slices_and_a_region_drawn_in_one_slice_too() -> None:
    stack = np.stack([transmission(1000), transmission(800)])
    found = optical_density(stack, reference=np.full(SHAPE, 1000))
    np.testing.assert_allclose(found.image.data[1], density() - np.log(0.8), rtol=1e-5)
    drawn = np.zeros(stack.shape, bool)
    drawn[1][BACKGROUND] = True
    assert optical_density(stack, region=drawn).incident == pytest.approx([1000, 800])


def test_a_stack_of_one_slice_keeps_its_axis() -> None:
    found = optical_density(Image(transmission()[None], "TYX"))
    assert found.image.data.shape == (1, *SHAPE)
    assert found.image.axes == "TYX"
    np.testing.assert_array_equal(found.image.data[0], optical_density(transmission()).image.data)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_noise_moves_the_incident_intensity_by_few_percent(share: float) -> None:
    """With 100 photons a single pixel is off by 10 %; what docs/optical_density.md says of I0."""
    rng = np.random.default_rng(0)
    truth = np.zeros((300, 300))
    truth[round(300 * share) :] = rng.uniform(0.3, 1, (300 - round(300 * share), 1))
    photons = rng.poisson(100 * np.exp(-truth))
    assert optical_density(photons).incident == pytest.approx([100], rel=0.05)
    found = optical_density(photons, DensityConfig(rows=(0, round(300 * share))))
    assert found.incident == pytest.approx([100], rel=0.002)
    # E[-ln(n / N)] = OD + 1 / (2 N) for Poisson numbers n of mean N
    for row in (0, 299):
        expected = truth[row, 0] + 0.5 * np.exp(truth[row, 0]) / 100
        assert found.image.data[row].mean() == pytest.approx(expected, abs=4 * 0.17 / 300**0.5)


def test_dark_pixels_count_as_the_floor_and_are_reported() -> None:
    image = transmission()
    image[30, :5] = -7, 0, 0, 0.5, 1.5
    found = optical_density(Image(image, source="wires.tif"))
    np.testing.assert_allclose(found.image.data[30, :5], -np.log([1e-3, 1e-3, 1e-3, 1e-3, 1.5e-3]), rtol=1e-6)
    assert (found.raised.tolist(), found.not_positive.tolist()) == ([4], [3])
    (sentence,) = found.notices()
    assert sentence.startswith("wires.tif: raised to the least intensity: 4 of 4800 pixels (0.083 %)")
    assert "3 of them zero or negative" in sentence

    found = optical_density(image, DensityConfig(floor=None))
    np.testing.assert_allclose(found.image.data[30, :5], -np.log([5e-4] * 4 + [1.5e-3]), rtol=1e-6)
    assert (found.raised.tolist(), found.not_positive.tolist()) == ([3], [3])


def test_brighter_than_the_beam_is_negative_unless_clipped() -> None:
    image = transmission()
    image[5, 5] = 2000
    assert optical_density(image).image.data[5, 5] == pytest.approx(-np.log(2))
    found = optical_density(image, DensityConfig(clip=True)).image.data
    assert found[5, 5] == 0
    np.testing.assert_allclose(found, density(), rtol=1e-6, atol=1e-7)


def test_dead_pixels_of_the_reference_count_as_its_median_and_are_reported() -> None:
    reference = np.full(SHAPE, 1000)
    reference[40, 3], reference[41, 3] = 0, -5
    found = optical_density(transmission(), reference=reference)
    np.testing.assert_allclose(found.image.data, density(), rtol=1e-6, atol=1e-7)
    assert found.mended == 2
    assert "taken as its median: 2 of its pixels" in found.notices()[0]


def changed(value: float) -> NDArray[np.float64]:
    image = transmission()
    image[0, 0] = value
    return image


@pytest.mark.parametrize(
    ("image", "config", "beside", "words"),
    [
        (np.zeros(SHAPE), {}, {}, "I0 of the array is 0, but it must be positive"),
        (-transmission(), {}, {}, "must be positive"),
        (transmission(), {"dark": 5000.0}, {}, "correct the dark level"),
        (changed(np.nan), {}, {}, "1 pixels that are NaN or infinite"),
        (changed(-np.inf), {}, {}, "NaN or infinite"),
        (np.full(SHAPE, 1e308), {}, {}, "must be positive and finite"),
        (Image(np.ones((*SHAPE, 3)), "YXC", source="photo.png"), {}, {}, r"photo\.png has colours"),
        (np.ones((2, 2, 2, 2)), {}, {}, "does not have the axes"),
        (np.ones(SHAPE, complex), {}, {}, "not grey values"),
        (np.stack([transmission(), 0 * transmission()]), {}, {}, "I0 of the array, slice 1 is 0"),
        (transmission(), {"rows": (50, 61)}, {}, "has 60 rows, but I0 is to be taken from the rows 50 to 61"),
        (transmission(), {"columns": (90, 99)}, {}, "has 80 columns"),
        (transmission(), {}, {"region": np.zeros(SHAPE)}, "is empty"),
        (transmission(), {}, {"region": np.ones((60, 81))}, r"the shape \(60, 81\)"),
        (transmission(), {"rows": (0, 9)}, {"region": marked()}, "from a drawn region and from rows or columns"),
        (transmission(), {"rows": (0, 9)}, {"reference": transmission()}, "from a region and from the reference"),
        (transmission(), {}, {"reference": np.ones((60, 81))}, "60 x 81 pixels but the array 60 x 80"),
        (transmission(), {}, {"reference": np.ones((2, *SHAPE))}, "2 x 60 x 80 pixels"),
        (transmission(), {}, {"reference": np.zeros(SHAPE)}, "has no positive pixel"),
        (transmission(), {}, {"reference": np.full(SHAPE, np.nan)}, "NaN or infinite"),
        (transmission(), {}, {"reference": Image(np.ones((*SHAPE, 3)), "YXC")}, "has colours"),
        (0 * transmission(), {"floor": None}, {"reference": np.ones(SHAPE)}, "no positive intensity"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_density_is_refused_in_a_sentence(image, config, beside, words) -> None:
    before = np.array(image.data if isinstance(image, Image) else image)
    with pytest.raises(NanosegError, match=words):
        optical_density(image, DensityConfig.parse(config), **beside)
    np.testing.assert_array_equal(image.data if isinstance(image, Image) else image, before)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rows": (5, 5)}, "'rows' is 5 to 5"),
        ({"rows": (-1, 5)}, "at least 0"),
        ({"floor": 0}, "more than 0"),
        ({"percentile": 101}, "at most 100"),
    ],
)
def test_a_bad_config_is_refused_by_field(values, words) -> None:
    with pytest.raises(NanosegError, match=words):
        DensityConfig.parse(values)


KINDS = st.sampled_from([np.uint8, np.uint16, np.int16, np.int64, np.float16, np.float32, np.float64, np.bool_])
SHAPES = st.one_of(st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(1, 7)] * 3))


@given(st.data(), KINDS, SHAPES, st.sampled_from([0.01, None]), st.booleans())
def test_any_intensities_give_finite_densities_or_a_sentence(data, kind, shape, floor, clip) -> None:
    numbers = {"allow_nan": False, "allow_infinity": False} if np.dtype(kind).kind == "f" else None
    pixels = data.draw(arrays(kind, shape, elements=numbers))
    before = pixels.copy()
    try:
        found = optical_density(pixels, DensityConfig(floor=floor, clip=clip))
    except NanosegError:
        return
    finally:
        np.testing.assert_array_equal(pixels, before)
    density = found.image.data
    assert (density.shape, density.dtype) == (shape, np.float32)
    assert np.isfinite(density).all()
    assert not clip or density.min() >= 0
    assert floor is None or density.max() <= np.float32(-np.log(0.01))
    assert (found.not_positive <= found.raised).all()
    for plane, intensities in zip(density.reshape(-1, *shape[-2:]), pixels.reshape(-1, *shape[-2:]), strict=True):
        order = np.argsort(intensities, axis=None)
        assert (np.diff(plane.ravel()[order].astype(np.float64)) <= 0).all()


def test_memory_holds_few_slices_beside_the_result() -> None:
    stack = np.full((40, 256, 256), 500, np.uint16)
    slice_bytes = 256 * 256 * 8
    tracemalloc.start()
    try:
        found = optical_density(stack)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < found.image.data.nbytes + 6 * slice_bytes
