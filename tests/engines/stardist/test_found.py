"""Thresholds chosen afterwards give what a run with them gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import torch
from followed import events_of, leave_after, places_to_leave

from napari_nanoseg.config.segment import LEAST_PROBABILITY, SegmentConfig
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.engines.base import Model
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.engines.stardist import found as found_module
from napari_nanoseg.engines.stardist import predict
from napari_nanoseg.engines.stardist.network import StarDistNet
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Event, Notice, Progress
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image, Sample


@pytest.fixture(scope="module")
def model(disc_model: Path) -> Model:
    return load_model(disc_model)


@pytest.fixture(scope="module")
def single(make_sample: Callable[..., Sample]) -> Image:
    return make_sample("a", 5, shape=(150, 170)).image


@pytest.fixture(scope="module")
def stack(make_sample: Callable[..., Sample]) -> Image:
    return Image(np.stack([make_sample("a", seed, shape=(96, 120)).image.data for seed in (4, 5, 6)]), "ZYX")


def assert_same(found: Instances, expected: Instances) -> None:
    assert len(expected) > 0
    np.testing.assert_array_equal(found.to_labels(), expected.to_labels())
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("kind", ["single", "stack"])
def test_thresholds_chosen_afterwards_give_what_a_run_with_them_gives(
    model: Model, kind: str, request: pytest.FixtureRequest
) -> None:
    image = request.getfixturevalue(kind)
    found = model.detect(image, SegmentConfig(device="cpu"), LEAST_PROBABILITY)
    assert found.floor == LEAST_PROBABILITY
    assert_same(found.instances(), model.segment(image, SegmentConfig(device="cpu")))
    for probability, overlap, min_area in [(0.1, 0.9, 0), (0.4, 0.3, 200), (0.8, 0.5, 0)]:
        config = SegmentConfig(probability=probability, overlap=overlap, min_area=min_area, device="cpu")
        assert_same(found.instances(config), model.segment(image, config))


def test_what_was_not_kept_cannot_be_asked_for(model: Model, single: Image) -> None:
    found = model.detect(single, SegmentConfig(device="cpu", probability=0.6), 0.3)
    with pytest.raises(NanosegError, match=r"less probable than 0\.3 were not kept"):
        found.instances(SegmentConfig(probability=0.2))
    lower = model.detect(single, SegmentConfig(device="cpu", probability=0.05), 0.3)
    assert lower.floor == 0.05
    assert model.detect(single, SegmentConfig(device="cpu", probability=0.6)).floor == 0.6


def test_too_many_candidates_of_a_stack_raise_the_floor(
    model: Model, stack: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SegmentConfig(device="cpu", probability=0.7)
    expected = model.segment(stack, config)
    monkeypatch.setattr(found_module, "MOST_KEPT", 1000)
    found = model.detect(stack, config, 0.01)
    assert 0.01 < found.floor <= 0.7
    assert_same(found.instances(config), expected)


def test_only_the_most_probable_candidates_are_used_however_the_image_is_tiled(
    model: Model, single: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict, "MOST_CANDIDATES", 150)

    def run(tile: int, probability: float, floor: float | None = None) -> tuple[Instances, bool]:
        config = SegmentConfig(device="cpu", tile=tile, probability=probability)
        events, found = events_of(lambda: model.detect(single, config, floor))
        return found.instances(), any(isinstance(event, Notice) for event in events)

    whole, warned = run(1024, 0.1)
    assert warned
    in_pieces, warned = run(128, 0.1)
    assert warned
    np.testing.assert_array_equal(whole.to_labels() > 0, in_pieces.to_labels() > 0)
    # those that are kept only for later are no reason to warn
    few, warned = run(1024, float(whole.scores.max()) - 0.01, 0.1)
    assert not warned
    assert len(few) > 0


def test_a_lazy_stack_is_read_plane_by_plane(model: Model, stack: Image) -> None:
    read: list[int] = []

    def one(plane: np.ndarray, block_info: dict[int, dict[str, list[tuple[int, int]]]]) -> np.ndarray:
        read.append(block_info[0]["array-location"][0][0])
        return plane

    source = da.from_array(stack.data, chunks=(1, 96, 120))
    lazy = da.map_blocks(one, source, dtype=source.dtype, meta=np.zeros((0, 0, 0), source.dtype))
    read.clear()
    seen = []

    def listen(event: Event) -> None:
        if isinstance(event, Progress) and event.unit == "tiles" and event.done == 0:
            seen.append(list(read))

    found = model.segment(Image(lazy, "ZYX"), SegmentConfig(device="cpu"), progress=listen)
    assert_same(found, model.segment(stack, SegmentConfig(device="cpu")))
    assert seen == [[0], [0, 1], [0, 1, 2]]


def test_the_network_can_be_left_after_every_layer() -> None:
    network = StarDistNet(StarDistConfig(unet_n_filter_base=4, n_rays=8)).eval()
    pixels = np.random.default_rng(0).random((64, 64), dtype=np.float32)

    def run() -> object:
        return predict.run_network(network, pixels, torch.device("cpu"))

    assert places_to_leave(run) == len(network.layers)
    leave_after(1, run)
    assert not torch.is_inference_mode_enabled()
