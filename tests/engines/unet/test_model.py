"""From any image or stack to classes: kinds of pixels, thresholds chosen later, tiles, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from followed import events_of, leave_after, places_to_leave

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.engines.unet.network import UNet
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Progress
from napari_nanoseg.io.model_summary import summary
from napari_nanoseg.samples import Image

CPU = SegmentConfig(device="cpu")
CLASSES = ("crack", "void", "particle")


@pytest.fixture
def pixels() -> np.ndarray:
    """All grey values of 8 bits, without any order."""
    values = np.random.default_rng(0).permutation(np.arange(70 * 90) % 256).astype(np.uint8)
    return values.reshape(70, 90)


def test_each_class_is_one_object_with_all_its_pixels(passing_model, pixels):
    seen = pixels / 255
    model = passing_model(classes=CLASSES)
    found = model.segment(pixels, CPU)
    logits = 40 * np.stack([0 * seen, seen - 0.5, seen - 0.75, seen - 1])
    odds = np.exp(logits - logits.max(axis=0))
    probabilities = (odds / odds.sum(axis=0))[1:]
    expected = np.where(probabilities[0] >= 127.5 / 255, 1, 0)
    assert found.ids.tolist() == [1]
    assert found.classes.tolist() == [0]
    np.testing.assert_array_equal(found.to_labels(), expected)
    assert found.scores[0] == pytest.approx(probabilities[0][expected == 1].mean(), abs=1e-3)


def test_classes_that_are_there_keep_their_values(passing_model, pixels):
    model = passing_model(classes=CLASSES)
    model.network.out.bias.data[2:] = -40 * 0.75 + torch.tensor([12.0, -20.0])
    model.network.out.bias.data[1] = -40.0
    found = model.segment(pixels, CPU)
    assert found.ids.tolist() == [2]
    assert found.classes.tolist() == [1]
    assert len(found.masks) == 1


def test_kinds_of_pixels_give_the_same(passing_model, pixels):
    model = passing_model()
    wanted = model.segment(pixels, CPU).to_labels()
    np.testing.assert_array_equal(wanted, pixels >= 128)
    for other in (pixels.astype(np.uint16) * 257, pixels.astype(np.float64) / 7 - 3):
        np.testing.assert_array_equal(model.segment(other, CPU).to_labels(), wanted)
    colours = Image(np.stack([pixels] * 3, axis=-1), "YXC")
    np.testing.assert_array_equal(model.segment(colours, CPU).to_labels(), wanted)
    inverted = model.segment(255 - pixels, CPU.model_copy(update={"invert": "yes"}))
    np.testing.assert_array_equal(inverted.to_labels(), wanted)
    model.detect(Image(pixels), CPU.model_copy(update={"invert": "auto"}))


@pytest.mark.parametrize("dimensions", ["2d", "2.5d", "3d"])
def test_a_stack_is_one_volume(passing_model, pixels, dimensions):
    stack = np.stack([pixels, pixels[::-1], pixels // 2, pixels[:, ::-1], pixels])
    found = passing_model(dimensions=dimensions).segment(stack, CPU)
    np.testing.assert_array_equal(found.to_labels(), stack >= 128)
    assert len(found) == 1
    colours = Image(np.stack([stack] * 3, axis=-1), "ZYXC")
    np.testing.assert_array_equal(found.to_labels(), passing_model().segment(colours, CPU).to_labels())


def test_times_are_images_of_their_own(passing_model, pixels):
    movie = np.stack([pixels, pixels // 2])
    found = passing_model().segment(Image(movie, "TYX"), CPU)
    np.testing.assert_array_equal(found.to_labels(), [pixels >= 128, pixels // 2 >= 64])


@pytest.mark.parametrize("dimensions", ["2.5d", "3d"])
def test_a_single_slice_is_refused_where_several_are_seen(passing_model, pixels, dimensions):
    model = passing_model(dimensions=dimensions)
    for image in (Image(pixels), Image(pixels[None], "ZYX"), Image(np.stack([pixels] * 3), "TYX")):
        with pytest.raises(NanosegError, match=f"several slices at once \\({dimensions.upper()}\\)"):
            model.segment(image, CPU)


def test_thresholds_chosen_later_are_those_of_a_run(random_model, pixels):
    model = random_model(classes=("crack", "void"))
    kept = model.detect(Image(pixels), CPU, 0.1)
    for probability, min_area in ((None, 0.0), (0.1, 0.0), (0.3, 5.0)):
        config = CPU.model_copy(update={"probability": probability, "min_area": min_area})
        later, now = kept.instances(config), model.segment(pixels, config)
        np.testing.assert_array_equal(later.to_labels(), now.to_labels())
        np.testing.assert_array_equal(later.scores, now.scores)
    assert kept.probabilities.dtype == np.uint8
    assert kept.config.probability == model.card.thresholds["prob"]


def test_each_class_has_its_threshold(passing_model, pixels):
    seen = pixels / 255
    model = passing_model(classes=("dark", "bright"), card={"class_thresholds": (0.9, 0.2)})
    model.network.out.bias.data[2] = -20.0 + 2
    found = model.segment(pixels, CPU).to_labels()
    assert set(np.unique(found)) == {0, 2}  # the other is never as probable as asked for
    even = model.segment(pixels, CPU.model_copy(update={"probability": 0.05})).to_labels()
    assert (even > 0).sum() > (found > 0).sum()
    assert (found[seen > 0.6] == 2).all()


@pytest.mark.parametrize("deep", [False, True])
def test_small_pieces_are_dropped(passing_model, deep):
    image = np.zeros((5, 40, 40) if deep else (40, 40), np.uint8)
    image[..., 5:15, 5:15] = 255
    image[..., 15, 15] = 255  # joined by its corner
    image[..., 30, 30:33] = 255
    image[0, ..., 39] = 255
    counts = [(image > 0).sum(), 101 * (5 if deep else 1)]
    for least, count in zip((0, 60), counts, strict=True):
        found = passing_model().segment(image, CPU.model_copy(update={"min_area": float(least)}))
        assert (found.to_labels() > 0).sum() == count


@pytest.mark.parametrize("dimensions", ["2d", "3d"])
def test_tiles_and_a_rim_change_nothing_of_pixels_seen_alone(passing_model, dimensions):
    image = np.random.default_rng(1).integers(0, 255, (9, 150, 170)).astype(np.uint8)
    model = passing_model(dimensions=dimensions)
    for border in (0, 20):
        config = CPU.model_copy(update={"tile": 128, "border": border})
        found = model.detect(Image(image, "ZYX"), config).probabilities[0]
        expected = 255 / (1 + np.exp(-40 * (image / np.float32(254) - 0.5)))
        assert np.abs(found - expected).max() <= 0.51


def test_blended_tiles_are_near_the_whole(random_model):
    image = np.random.default_rng(1).normal(0, 1, (260, 300)).cumsum(axis=1).astype(np.float32)
    model = random_model(filters=4, normalisation="batch")  # others look at the whole window
    whole, tiled = (
        model.detect(Image(image), CPU.model_copy(update={"tile": tile})).probabilities.astype(int)
        for tile in (1024, 128)
    )
    assert np.abs(whole - tiled).mean() < 2
    # the ends of windows count least, so that there is no seam: neighbours differ no more than elsewhere
    steps = np.abs(np.diff(tiled[0] - whole[0], axis=1)).mean(axis=0)
    assert steps.max() < 12


def test_nothing_to_see(
    passing_model,
):
    events, found = events_of(lambda: passing_model().segment(Image(np.full((20, 30), 7, np.uint8)), CPU))
    assert len(found) == 0
    assert any(isinstance(event, Notice) and "nothing to see" in event.message for event in events)
    with pytest.raises(NanosegError, match="NaN"):
        passing_model().segment(np.full((20, 30), np.nan), CPU)
    with pytest.raises(NanosegError, match="NaN"):
        passing_model().segment(np.full((2, 20, 30), np.nan), CPU)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 3), (16, 17)])
def test_images_smaller_than_what_the_network_needs(random_model, shape):
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    assert random_model(levels=4).segment(image, CPU).shape == shape


@pytest.mark.parametrize(("size", "told"), [(50.0, False), (70.0, False), (20.0, True), (100.0, True), (None, False)])
def test_pixels_of_another_size_than_in_the_training_are_told(passing_model, pixels, size, told):
    model = passing_model(card={"training_pixel_size_nm": 50.0})
    calibration = Calibration() if size is None else Calibration.of(size)
    events = events_of(lambda: model.detect(Image(pixels, calibration=calibration), CPU))[0]
    assert any(isinstance(event, Notice) and "50 nm" in event.message for event in events) == told


def test_a_particle_diameter_means_nothing(passing_model, pixels):
    with pytest.raises(NanosegError, match="no particle diameter"):
        passing_model().segment(pixels, CPU.model_copy(update={"diameter": 20.0}))


def test_progress_after_every_tile_and_cancelling_in_between(random_model):
    image = Image(np.random.default_rng(0).integers(0, 255, (300, 400)).astype(np.uint8))

    def detect():
        return random_model().detect(image, CPU.model_copy(update={"tile": 128}))

    events, _ = events_of(detect)
    tiles = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in tiles] == list(range(tiles[-1].total + 1))
    assert tiles[-1].total > 4
    assert places_to_leave(detect) - len(events) > 10 * tiles[-1].total
    leave_after(1, detect)


def test_no_memory_on_the_device_means_smaller_tiles_then_a_sentence(
    random_model,
    monkeypatch,
):
    image = Image(np.random.default_rng(0).integers(0, 255, (300, 400)).astype(np.uint8))
    model, original, limit = random_model(), UNet.forward, 300

    def forward(self, x):
        if max(x.shape[-2:]) > limit:
            raise RuntimeError("CUDA out of memory")
        return original(self, x)

    monkeypatch.setattr(UNet, "forward", forward)
    events, found = events_of(lambda: model.detect(image, CPU.model_copy(update={"tile": 512})))
    assert any(isinstance(event, Notice) and "tiles of 256 px" in event.message for event in events)
    asked = model.detect(image, CPU.model_copy(update={"tile": 256}))
    np.testing.assert_array_equal(found.probabilities, asked.probabilities)
    limit = 32
    with pytest.raises(NanosegError, match="not enough even for tiles of 128 px"):
        model.segment(image, CPU.model_copy(update={"tile": 512}))


@pytest.mark.parametrize("normalisation", ["batch", "instance", "group"])
def test_an_own_folder_keeps_everything(random_model, tmp_path, pixels, normalisation):
    card = {"class_thresholds": (0.3, 0.4), "keep_8_bit": True}
    model = random_model(classes=("crack", "void"), normalisation=normalisation, filters=4, card=card)
    before = {name: values.clone() for name, values in model.network.state_dict().items()}
    wanted = model.segment(pixels, CPU).to_labels()
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert loaded.card == model.card
    assert all(torch.equal(before[name], values) for name, values in loaded.network.state_dict().items())
    np.testing.assert_array_equal(loaded.segment(pixels, CPU).to_labels(), wanted)
    described = summary(tmp_path / "m")
    assert described["Network"] == "U-Net 2D, 2 levels, 4 filters, classes crack, void"
    assert described["Thresholds"] == "crack 0.3, void 0.4"


def test_a_card_with_thresholds_of_other_classes_is_refused(random_model):
    card = random_model().card.model_dump() | {"class_thresholds": (0.3, 0.4)}
    with pytest.raises(NanosegError, match=r"one value for each class of the U-Net \(1\)"):
        type(random_model().card).parse(card)
