"""From any image to instances: kinds of pixels, scale, stacks, cancelling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from followed import events_of, leave_after, places_to_leave

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.engines.maskrcnn.fpn import FeaturePyramid
from napari_nanoseg.engines.maskrcnn.layers import GroupNorm
from napari_nanoseg.engines.maskrcnn.model import MaskRCNNModel
from napari_nanoseg.engines.maskrcnn.pixels import in_order, to_network
from napari_nanoseg.engines.maskrcnn.resizing import shortest_edge
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Progress
from napari_nanoseg.io.model_cards import describe_model
from napari_nanoseg.io.model_summary import summary
from napari_nanoseg.samples import Image

TINY = MaskRCNNConfig(
    depth=50, stem_channels=32, res2_channels=32, width_per_group=32, fpn_channels=32, mask_conv_channels=32,
    box_fc_channels=16, anchor_sizes=(8, 16, 32, 64, 128), mask_conv_count=1, detections_per_image=30,
    rpn_pre_nms_topk_test=100, rpn_post_nms_topk_test=100,
)  # fmt: skip
ALL = SegmentConfig(probability=0.01, device="cpu")


def tiny(**card: object) -> MaskRCNNModel:
    """A network with fresh weights that is sure of much."""
    torch.manual_seed(0)
    model = MaskRCNNModel.from_card(ModelCard(network=TINY, **card))
    model.network.roi_heads.box_predictor.cls_score.weight.data *= 50
    model.network.roi_heads.box_predictor.cls_score.bias.data[0] = 1
    return model


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(2).integers(30, 200, (96, 130), np.uint8)


def same(one, other) -> bool:
    return len(one) == len(other) > 0 and np.array_equal(one.to_labels(), other.to_labels())


def test_grey_values_of_any_type_and_grey_colours_give_the_same(pixels):
    model = tiny()
    wanted = model.segment(pixels, ALL)
    assert same(model.segment(pixels.astype(np.uint16) * 256, ALL), wanted)
    assert same(model.segment(pixels.astype(np.float64) / 1024, ALL), wanted)
    assert same(model.segment(Image(np.stack([pixels] * 3, axis=-1), "YXC"), ALL), wanted)


def test_eight_bits_as_they_are_and_sixteen_brought_to_them(pixels):
    model = tiny(keep_8_bit=True)
    stretched = tiny().segment(pixels, ALL)
    assert not np.array_equal(model.segment(pixels, ALL).scores, stretched.scores)
    full = np.array(np.linspace(0, 255, pixels.size).reshape(pixels.shape), np.uint8)
    card = model.card.model_copy(update={"percentiles": (0.0, 100.0)})
    model = MaskRCNNModel(model.network, card)
    assert same(model.segment(full.astype(np.uint16) * 257, ALL), model.segment(full, ALL))


def test_a_stack_is_its_planes(pixels):
    model = tiny()
    stack = np.stack([pixels, np.full_like(pixels, 7), pixels[::-1]])
    found = model.segment(stack, ALL)
    assert found.shape == stack.shape
    planes = [model.segment(plane, ALL) for plane in stack]
    assert [len(plane) for plane in found.planes()] == [len(plane) for plane in planes]
    assert len(planes[1]) == 0
    for slice_, plane in zip(found.planes(), planes, strict=True):
        assert np.array_equal(slice_.to_labels() > 0, plane.to_labels() > 0)


def test_most_probable_first_and_small_ones_left_out(pixels):
    model = tiny()
    found = model.segment(pixels, ALL)
    assert (np.diff(found.scores) <= 0).all()
    least = float(np.median(found.areas))
    larger = model.segment(pixels, ALL.model_copy(update={"min_area": least}))
    assert larger.areas.tolist() == [area for area in found.areas if area >= least]


def test_particles_are_brought_to_the_working_diameter(pixels):
    model = tiny(working_diameter=16, training_diameter=16)
    small = model.segment(pixels, ALL)
    twice = np.kron(pixels, np.ones((2, 2), np.uint8))
    large = model.segment(twice, ALL.model_copy(update={"diameter": 32.0}))
    assert len(small)
    assert len(large)
    assert large.shape == twice.shape
    assert large.areas.max() > 1.5 * small.areas.max()


def test_inverting_is_undone(pixels):
    model = tiny()
    # percentiles that are symmetric, so that the inverted image has the inverted ones
    model.card = model.card.model_copy(update={"percentiles": (1.0, 99.0)})
    inverted = model.segment(255 - pixels, ALL.model_copy(update={"invert": "yes"}))
    assert same(inverted, model.segment(pixels, ALL))
    model.detect(Image(pixels), ALL.model_copy(update={"invert": "auto"}))


def test_progress_after_every_tile_and_cancelling_in_between(pixels):
    model = tiny()
    config = ALL.model_copy(update={"tile": 128})
    image = Image(np.tile(pixels, (5, 3)))
    events = events_of(lambda: model.detect(image, config))[0]
    tiles = [event for event in events if isinstance(event, Progress) and event.unit == "tiles"]
    assert [event.done for event in tiles] == list(range(tiles[-1].total + 1))
    assert tiles[-1].total > 4
    assert places_to_leave(lambda: model.detect(image, config)) > 10 * tiles[-1].total
    leave_after(1, lambda: model.detect(image, config))


def test_no_memory_on_the_device_means_smaller_tiles_then_a_sentence(pixels, monkeypatch):
    model = tiny()
    image = Image(np.tile(pixels, (5, 3)))
    wish = ALL.model_copy(update={"tile": 256})
    original, limit = FeaturePyramid.forward, 400

    def forward(self, x):
        if max(x.shape[-2:]) > limit:
            raise RuntimeError("CUDA out of memory")
        return original(self, x)

    monkeypatch.setattr(FeaturePyramid, "forward", forward)
    events = events_of(lambda: model.segment(image, wish.model_copy(update={"tile": 512})))[0]
    assert any(isinstance(event, Notice) and "tiles of 256 px" in event.message for event in events)
    assert same(model.segment(image, wish.model_copy(update={"tile": 512})), model.segment(image, wish))
    limit = 32
    with pytest.raises(NanosegError, match="not enough even for tiles of 128 px"):
        model.segment(image, wish)


def test_colours_in_the_order_of_the_network():
    image = np.zeros((2, 3, 3), np.uint8)
    image[..., 0], image[..., 1], image[..., 2] = 10, 20, 30
    assert in_order(image, TINY)[0, 0].tolist() == [10, 20, 30]
    assert in_order(image, TINY.model_copy(update={"channel_format": "BGR"}))[0, 0].tolist() == [30, 20, 10]
    grey = MaskRCNNConfig(channel_format="L", pixel_mean=(5.0,), pixel_std=(2.0,))
    expected = (0.299 * 10 + 0.587 * 20 + 0.114 * 30 - 5) / 2
    assert to_network(image, grey).numpy() == pytest.approx(np.full((1, 2, 3), expected), abs=1e-5)
    with pytest.raises(NanosegError, match="this one has 4 channels"):
        tiny().segment(Image(np.zeros((8, 8, 4), np.uint8), "YXC"), ALL)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((240, 300), (400, 500)), ((250, 310), (400, 496)), ((100, 900), (89, 800)), ((400, 400), (400, 400))],
)
def test_shortest_edge_is_the_originals(shape, wanted):
    assert shortest_edge(shape, 400, 800) == wanted
    assert shortest_edge(shape, 0, 800) == shape


def test_an_own_folder_keeps_everything(tmp_path, pixels):
    model = tiny(working_diameter=16, training_diameter=20)
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert isinstance(loaded, MaskRCNNModel)
    assert loaded.card == model.card
    assert same(loaded.segment(pixels, ALL), model.segment(pixels, ALL))
    assert describe_model(tmp_path / "m").problem is None
    assert summary(tmp_path / "m")["Network"] == "Mask R-CNN, ResNet-50, 32 channels, 1 class, RGB"


def test_as_many_objects_as_a_window_may_have_are_told(pixels):
    model = tiny()
    model.network.config = TINY.model_copy(update={"detections_per_image": 3})
    assert len(model.segment(pixels, ALL)) <= 3
    events = events_of(lambda: model.segment(Image(pixels), ALL))[0]
    assert any(isinstance(event, Notice) and "(3)" in event.message for event in events)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"backbone": "custom"}, "'depth' must be given"),
        ({"anchor_sizes": (8, 16)}, "5 values"),
        ({"res2_channels": 32}, "'res2_channels' 64"),
        ({"mask_conv_channels": 40}, "multiple of 32"),
        ({"channel_format": "L"}, "1 values"),
        ({"rpn_iou_thresholds": (0.7, 0.3)}, "must rise"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(values, words):
    with pytest.raises(NanosegError, match=words):
        MaskRCNNConfig.parse(values)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (16, 16), (31, 40)])
@pytest.mark.parametrize("border", [0, 32])
def test_an_image_smaller_than_the_stride_of_the_last_map(shape, border):
    small = np.random.default_rng(1).integers(0, 255, shape, np.uint8)
    found = tiny().segment(small, ALL.model_copy(update={"border": border, "tile": 128}))
    assert found.shape == shape


def test_a_far_view_smaller_than_the_stride_of_the_last_map(pixels):
    model = tiny(working_diameter=16, training_diameter=16)
    assert model.segment(pixels, ALL.model_copy(update={"diameter": 200.0})).shape == pixels.shape


def test_groups_of_one_value_are_as_in_a_larger_batch():
    layer = GroupNorm(32, 32)
    torch.nn.init.normal_(layer.bias)
    maps = torch.randn(2, 32, 1, 1)
    expected = torch.nn.functional.group_norm(maps, 32, layer.weight, layer.bias)
    torch.testing.assert_close(layer(maps[:1]), expected[:1])


def test_a_card_for_any_size_guesses_the_diameter(
    make_sample,
):
    model = tiny(working_diameter=16)
    assert model.card.for_any_size
    sample = make_sample("sizes", 3, shape=(200, 220), radius=14)
    events, found = events_of(lambda: model.detect(sample.image, ALL))
    assert found.config.diameter == pytest.approx(28, rel=0.3)
    assert any(isinstance(event, Notice) and "about" in event.message for event in events)
    told = ALL.model_copy(update={"diameter": found.config.diameter})
    assert same(found.instances(), model.segment(sample.image, told))
    flat = model.detect(Image(np.full((40, 50), 3, np.uint8)), ALL)
    assert flat.config.diameter is None
