"""Models without a network: analytic particles are found whole, parted where they touch, at any size and polarity."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from followed import events_of
from numpy.typing import NDArray

from napari_nanoseg import evaluate, load_model, read_image, read_labels
from napari_nanoseg.config.baseline import BaselineWishes, ThresholdConfig, WatershedConfig
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.baseline import model as model_module
from napari_nanoseg.engines.baseline.model import BaselineModel
from napari_nanoseg.engines.baseline.parting import REACH, part_mask
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Progress
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image

EventsOf = Callable[[Any], tuple[list[Any], Any]]
NAMES = "watershed", "threshold"


def discs(shape: tuple[int, int], middles: list[tuple[float, float]], radius: float) -> NDArray[np.int32]:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for number, (row, column) in enumerate(middles, start=1):
        labels[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = number
    return labels


def picture(labels: NDArray[np.int32], *, bright: bool = True) -> NDArray[np.uint8]:
    noise = np.random.default_rng(1).normal(0, 5, labels.shape)
    return np.clip(np.where((labels > 0) == bright, 160, 60) + noise, 0, 255).astype(np.uint8)


def f1(labels: NDArray[np.int32], found: Instances) -> float:
    return evaluate(Instances.from_labels(labels), found, 0.8).f1


GRID = [(row, column) for row in range(30, 240, 44) for column in range(30, 300, 44)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bright", [True, False], ids=["bright", "dark"])
@pytest.mark.parametrize("diameter", [28.0, None], ids=["told", "guessed"])
def test_separate_discs_are_found_in_any_polarity(name: str, bright: bool, diameter: float | None) -> None:
    labels = discs((250, 310), GRID, 14)
    found = load_model(name).detect(Image(picture(labels, bright=bright)), SegmentConfig(diameter=diameter))
    assert f1(labels, found.instances()) == 1
    assert found.config.diameter == pytest.approx(28, rel=0.15)
    assert (found.instances().scores == 1).all()
    assert found.instances().ids.tolist() == list(range(1, len(GRID) + 1))


def test_touching_discs_are_parted_by_the_watershed_alone() -> None:
    middles = [(row, column + step) for row, column in GRID[::2] for step in (0, 24)]
    labels = discs((250, 340), middles, 14)
    image, config = picture(labels), SegmentConfig(diameter=28)
    assert f1(labels, load_model("watershed").segment(image, config)) > 0.95
    assert len(load_model("threshold").segment(image, config)) == len(GRID[::2])


@pytest.mark.parametrize("diameter", [12.0, 150.0, 1500.0])
def test_size_does_not_matter_when_it_is_told(diameter: float) -> None:
    side, near = diameter / 2, 0.9 * diameter
    middles = [(1.2 * side + 2, 1.2 * side + 2), (1.2 * side + 2, 1.2 * side + 2 + near)]
    labels = discs((round(2.4 * side) + 4, round(2.4 * side + near) + 4), middles, side)
    found = load_model("watershed").segment(picture(labels), SegmentConfig(diameter=diameter, invert="no"))
    assert len(found) == 2
    assert f1(labels, found) == 1


def test_tiles_leave_particles_whole() -> None:
    labels = discs((640, 700), [(row, column) for row in range(25, 620, 34) for column in range(25, 680, 34)], 16)
    image, config = Image(picture(labels)), SegmentConfig(diameter=32, invert="no")
    model = load_model("watershed")
    whole, cut = (model.segment(image, config.model_copy(update={"tile": tile})) for tile in (1024, 128))
    np.testing.assert_array_equal(whole.to_labels() > 0, cut.to_labels() > 0)
    assert f1(labels, cut) == 1
    threshold = load_model("threshold")
    for method in "otsu", "local":
        threshold = BaselineModel(ModelCard(network=ThresholdConfig(method=method)))
        whole, cut = (threshold.segment(image, config.model_copy(update={"tile": tile})) for tile in (1024, 128))
        np.testing.assert_array_equal(whole.to_labels(), cut.to_labels(), err_msg=method)


def test_every_pixel_of_pieces_smaller_than_the_reach_belongs_to_a_particle() -> None:
    rng = np.random.default_rng(2)
    labels = discs((500, 500), [tuple(middle) for middle in rng.uniform(0, 500, (60, 2))], 11)
    np.testing.assert_array_equal(part_mask(labels > 0, 2.0, 128) > 0, labels > 0)
    assert REACH < 128


def test_the_local_threshold_follows_an_uneven_background() -> None:
    labels = discs((250, 310), GRID, 14)
    slope = np.linspace(0, 300, labels.shape[1])
    image, config = picture(labels).astype(np.float32) + slope, SegmentConfig(diameter=28, invert="no")
    otsu, local = (BaselineModel(ModelCard(network=WatershedConfig(method=one))) for one in ("otsu", "local"))
    assert f1(labels, local.segment(image, config)) == 1
    assert f1(labels, otsu.segment(image, config)) < 0.8


def test_the_config_says_which_polarity_and_the_segmentation_wins() -> None:
    image = picture(discs((250, 310), GRID, 14))
    dark = BaselineModel(ModelCard(network=ThresholdConfig(polarity="dark")))
    background = dark.segment(image, SegmentConfig(diameter=28))
    assert background.areas.max() > image.size / 2
    assert len(dark.segment(image, SegmentConfig(diameter=28, invert="no"))) == len(GRID)
    assert len(dark.segment(image, SegmentConfig(diameter=28, invert="auto"))) == len(GRID)


def test_small_objects_are_left_out_and_areas_can_be_chosen_later() -> None:
    labels = discs((120, 120), [(30, 30), (90, 90)], 14)
    labels[20:24, 90:94] = 3
    image, config = Image(picture(labels)), SegmentConfig(diameter=28, invert="no")
    found = load_model("threshold").detect(image, config)
    assert len(found.instances()) == 2
    assert len(found.instances(config.model_copy(update={"min_area": 10_000.0}))) == 0
    everything = BaselineModel(ModelCard(network=ThresholdConfig(least_area=0)))
    assert len(everything.segment(image, config)) == 3


def test_thresholds_of_networks_mean_nothing() -> None:
    image = picture(discs((250, 310), GRID, 14))
    for name in NAMES:
        model = load_model(name)
        plain, other = (
            model.segment(image, SegmentConfig(diameter=28, **more))
            for more in ({}, {"probability": 0.99, "overlap": 0.0, "border": 40, "device": "cpu"})
        )
        np.testing.assert_array_equal(plain.to_labels(), other.to_labels())


@pytest.mark.parametrize("name", NAMES)
def test_stacks_and_colours_and_flat_images(
    name: str,
) -> None:
    model, config = load_model(name), SegmentConfig(diameter=28, invert="no")
    labels = discs((250, 310), GRID, 14)
    plane = picture(labels)
    flat = np.full_like(plane, 7)
    events, found = events_of(lambda: model.detect(Image(np.stack([plane, flat]), "ZYX"), config))
    stack = found.instances()
    np.testing.assert_array_equal(stack.to_labels()[0], model.segment(plane, config).to_labels())
    assert not stack.to_labels()[1].any()
    assert any(isinstance(event, Notice) and "all pixels are the same" in event.message for event in events)
    colours = np.stack([plane, plane // 2, plane], axis=-1)
    assert f1(labels, model.segment(Image(colours, "YXC"), config)) == 1
    grey = np.zeros((60, 60, 2), np.float32)
    grey[..., 0], grey[..., 1] = plane[:60, :60], -plane[:60, :60].astype(np.float32)
    assert len(model.segment(Image(grey, "YXC"), config)) == 0, "the mean of its channels is flat"


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 3)])
def test_tiny_images_are_no_error(shape: tuple[int, int]) -> None:
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    for name in NAMES:
        for config in SegmentConfig(), SegmentConfig(diameter=2):
            assert load_model(name).segment(pixels, config).shape == shape


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_that_are_no_numbers_are_refused(value: float) -> None:
    pixels = picture(discs((60, 60), [(30, 30)], 14)).astype(np.float32)
    pixels[5, 5] = value
    for name in NAMES:
        for config in SegmentConfig(), SegmentConfig(diameter=28, invert="no"):
            with pytest.raises(NanosegError, match="NaN or infinite"):
                load_model(name).segment(pixels, config)


def test_what_was_guessed_is_said() -> None:
    image = Image(picture(discs((250, 310), GRID, 14)), source="a")
    events, _ = events_of(lambda: load_model("watershed").detect(image, SegmentConfig()))
    said = " ".join(event.message for event in events if isinstance(event, Notice))
    assert "brighter than the background" in said
    assert "px large" in said
    assert any(isinstance(event, Progress) and event.unit == "tiles" for event in events)
    events, _ = events_of(lambda: load_model("watershed").detect(image, SegmentConfig(diameter=28, invert="no")))
    assert not [event for event in events if isinstance(event, Notice)]


def test_cancelling_takes_no_whole_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "LARGEST_TILE", 128)
    labels = discs((640, 640), [(row, 40) for row in range(25, 620, 34)], 16)
    events, _ = events_of(
        lambda: load_model("watershed").detect(Image(picture(labels)), SegmentConfig(diameter=32, invert="no"))
    )
    tiles = [event for event in events if isinstance(event, Progress)]
    assert len(tiles) > 20


def test_a_saved_model_can_be_edited_and_loaded(tmp_path: Path) -> None:
    load_model("watershed").save(tmp_path / "mine")
    path = tmp_path / "mine" / "model.yaml"
    assert sorted(file.name for file in path.parent.iterdir()) == ["model.yaml"]
    path.write_text(path.read_text(encoding="utf-8").replace("polarity: auto", "polarity: dark"), encoding="utf-8")
    model = load_model(tmp_path / "mine")
    assert isinstance(model, BaselineModel)
    assert model.config == WatershedConfig(polarity="dark")
    assert model.card.working_diameter == load_model("watershed").card.working_diameter
    path.write_text(path.read_text(encoding="utf-8").replace("depth: 0.1", "depth: 7"), encoding="utf-8")
    with pytest.raises(NanosegError, match=r"network.*depth.* is 7: it must be at most 1"):
        load_model(tmp_path / "mine")


def test_real_particles(shared_data: Path) -> None:
    """Spheres of 15 px."""
    name = "0113230c21"
    image = read_image(shared_data / "emps" / "images" / f"{name}.png")
    truth = read_labels(shared_data / "emps" / "masks" / f"{name}.png")
    found = load_model("watershed").segment(image, SegmentConfig(diameter=truth.diameter()))
    assert evaluate(truth, found, 0.5).recall > 0.5


def test_wishes_of_a_segmentation_are_as_an_edited_card(tmp_path: Path) -> None:
    wishes = BaselineWishes(smoothing=3.0, depth=0.4, polarity="bright")
    image = Image(picture(discs((200, 200), [(60, 60), (60, 80), (140, 120)], 14)))
    shipped = load_model("watershed")
    network = WatershedConfig(smoothing=3.0, depth=0.4, polarity="bright")
    edited = BaselineModel(shipped.card.model_copy(update={"network": network}))
    expected = edited.segment(image, SegmentConfig(diameter=28))
    found = shipped.segment(image, SegmentConfig(diameter=28, baseline=wishes))
    np.testing.assert_array_equal(found.to_labels(), expected.to_labels())
    assert not np.array_equal(found.to_labels(), shipped.segment(image, SegmentConfig(diameter=28)).to_labels())
    assert isinstance(load_model("threshold").segment(image, SegmentConfig(baseline=wishes)), Instances)


def test_wishes_are_bounded_as_the_card_and_written_and_read() -> None:
    with pytest.raises(NanosegError, match=r"smoothing.* is 60"):
        SegmentConfig.parse({"baseline": {"smoothing": 60}}, "job")
    config = SegmentConfig(baseline=BaselineWishes(holes=0.3))
    assert SegmentConfig.parse(yaml.safe_load(config.to_yaml()), "job") == config
    assert WatershedConfig(depth=0.7).with_wishes(config.baseline) == WatershedConfig(depth=0.7, holes=0.3)
