"""Volumes slab by slab: independent of the slabs, little read at once, the same grey values everywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from followed import events_of, leave_after, places_to_leave

from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.unet import predict
from napari_nanoseg.engines.unet.grey import Grey
from napari_nanoseg.engines.unet.network import UNet
from napari_nanoseg.engines.unet.volume import VolumePredictor, find_grey
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Progress
from napari_nanoseg.samples import Volume

CONFIG = SegmentConfig(device="cpu", tile=128)
KINDS = [
    {"dimensions": "2d"},
    {"dimensions": "2.5d", "neighbours": 2, "classes": ("crack", "void")},
    {"dimensions": "3d", "levels": 1, "classes": ("crack", "void")},
    {"dimensions": "3d", "levels": 1, "normalisation": "instance"},
]


@pytest.fixture(autouse=True)
def small_cubes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several windows along every axis of the small volumes here."""
    monkeypatch.setattr(predict, "LARGEST_CUBE", 16)


@dataclass
class Counted:
    """A volume that notes how much was read at once."""

    data: np.ndarray
    reads: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.data.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        part = self.data[key]
        self.reads.append(part.shape)
        return part


def volume_of(shape: tuple[int, int, int] = (37, 50, 46)) -> Volume:
    return Volume(np.random.default_rng(0).integers(0, 4000, shape).astype(np.uint16), source="tomogram")


def predictor_of(model: Any, volume: Volume, config: SegmentConfig = CONFIG) -> VolumePredictor:
    grey = find_grey(model, volume, config)
    assert grey is not None
    return VolumePredictor(model, volume, grey, config)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_slabs_are_the_whole_to_the_last_bit(random_model, kind):
    model, volume = random_model(**kind), volume_of()
    depth = volume.shape[0]
    whole = predictor_of(model, volume).probabilities(0, depth)
    assert whole.shape == (len(model.classes), *volume.shape)
    ends = predictor_of(model, volume).ends
    assert ends[-1] == depth
    for cuts in ([0, 5, 6, 20, depth], [0, *ends]):
        predictor = predictor_of(model, volume)
        slabs = [predictor.probabilities(z0, z1) for z0, z1 in pairwise(cuts)]
        np.testing.assert_array_equal(np.concatenate(slabs, axis=1), whole)
    predictor = predictor_of(model, volume)
    for z0, z1 in ((20, 30), (0, ends[0]), (30, depth), (ends[0], 20)):  # in any order
        np.testing.assert_array_equal(predictor.probabilities(z0, z1), whole[:, z0:z1])
    values = predictor.class_map(3, 30)
    np.testing.assert_array_equal(values, predict.class_map(whole[:, 3:30], model.least(CONFIG)))
    assert values.dtype == np.uint8


def test_slabs_in_order_run_no_window_twice(random_model, monkeypatch):
    model, volume, runs = random_model(dimensions="3d", levels=1), volume_of(), []
    original = UNet.forward

    def forward(self, x):
        runs.append(tuple(x.shape))
        return original(self, x)

    monkeypatch.setattr(UNet, "forward", forward)
    predictor_of(model, volume).class_map(0, volume.shape[0])
    at_once = len(runs)
    runs.clear()
    predictor = predictor_of(model, volume)
    for z0, z1 in pairwise([0, *predictor.ends]):
        predictor.class_map(z0, z1)
    assert len(runs) == at_once
    assert len(set(runs)) == 1


def test_a_network_of_planes_sees_each_slice_as_the_image_it_is(random_model):
    model, volume = random_model(), volume_of((3, 300, 200))
    grey = find_grey(model, volume, CONFIG)
    found = VolumePredictor(model, volume, grey, CONFIG).probabilities(0, 3)
    for z in range(3):
        one = Volume(np.asarray(volume.data)[z : z + 1])
        alone = VolumePredictor(model, one, grey, CONFIG).probabilities(0, 1)
        np.testing.assert_array_equal(found[:, z], alone[:, 0])


@pytest.mark.parametrize(("kind", "most"), [(KINDS[0], (1, 50, 46)), (KINDS[1], (1, 50, 46)), (KINDS[3], (16, 16, 46))])
def test_no_more_is_read_at_once_than_slices_or_a_row_of_windows(random_model, kind, most):
    counted = Counted(np.asarray(volume_of().data))
    model = random_model(**kind)
    predictor = predictor_of(model, Volume(counted))
    assert max(shape[0] for shape in counted.reads) == 1
    counted.reads.clear()
    predictor.class_map(0, 37)
    assert all(np.all(np.array(shape) <= most) for shape in counted.reads)
    if kind["dimensions"] != "3d":
        assert len(counted.reads) == 37  # and every slice once


def test_grey_values_are_those_of_the_whole_volume_and_the_same_every_time(passing_model):
    data = np.zeros((40, 30, 30), np.uint16)
    data[20:] = 1000
    data[:, :3] = 500
    volume, model = Volume(data), passing_model()
    greys = [find_grey(model, volume, CONFIG) for _ in range(2)]
    assert greys[0] == greys[1] == Grey(0.0, 1000.0)
    found = VolumePredictor(model, volume, greys[0], CONFIG).class_map(15, 25)
    np.testing.assert_array_equal(found, data[15:25] >= 500)
    inverted = find_grey(model, volume, CONFIG.model_copy(update={"invert": "yes"}))
    assert inverted == greys[0].inverted()
    seen = inverted.seen(data[:1])
    np.testing.assert_allclose(seen, 1 - greys[0].seen(data[:1]))
    assert seen.dtype == np.float32


def test_grey_values_far_beyond_the_percentiles_are_brought_nearer():
    assert Grey(100.0, 200.0).seen(np.array([-10_000.0, 150.0, 10_000.0])).tolist() == [-2.0, 0.5, 3.0]
    assert Grey(0.0, 255.0, clip=False).seen(np.array([0, 51, 255], np.uint8)).tolist() == pytest.approx([0, 0.2, 1])


def test_models_of_the_original_see_eight_bits_as_they_are(passing_model):
    model = passing_model(card={"keep_8_bit": True, "percentiles": (0.0, 100.0)})
    data = np.full((3, 8, 8), 100, np.uint8)
    for volume, grey in (
        (data, Grey(0.0, 255.0, clip=False)),
        (data / np.float32(200), Grey(0.0, 1.0, clip=False)),
        (np.arange(192.0).reshape(3, 8, 8), Grey(0.0, 191.0, clip=False)),
    ):
        assert find_grey(model, Volume(volume), CONFIG) == grey


def test_a_volume_of_one_value_has_nothing_to_see(
    passing_model,
):
    events, grey = events_of(lambda: find_grey(passing_model(), Volume(np.full((4, 9, 9), 3.0)), CONFIG))
    assert grey is None
    assert any(isinstance(event, Notice) and "nothing to see" in event.message for event in events)


def test_cancelling_between_layers(random_model):
    model, volume = random_model(), volume_of((4, 300, 300))
    predictor = predictor_of(model, volume)
    events = events_of(lambda: predictor.class_map(0, 2))[0]
    tiles = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in tiles] == list(range(tiles[-1].total + 1))
    assert places_to_leave(lambda: predictor.class_map(0, 2)) - len(events) > 10 * tiles[-1].total
    leave_after(20, lambda: predictor.class_map(2, 4))
    whole = predictor_of(model, volume).class_map(0, 4)
    np.testing.assert_array_equal(predictor.class_map(2, 4), whole[2:])


def test_bad_volumes_are_refused_in_a_sentence(random_model):
    with pytest.raises(NanosegError, match="single one"):
        find_grey(random_model(dimensions="3d"), volume_of((1, 20, 20)), CONFIG)
    data = np.random.default_rng(0).random((20, 20, 20)).astype(np.float32)
    model = random_model()
    predictor = predictor_of(model, Volume(data))
    data[7, 3, 3] = np.nan
    with pytest.raises(NanosegError, match="slices 7 to 7 have voxels that are NaN"):
        predictor.class_map(0, 20)
    with pytest.raises(NanosegError, match="NaN"):
        find_grey(model, Volume(np.full((3, 5, 5), np.nan)), CONFIG)


def test_no_memory_is_told(random_model, monkeypatch):
    predictor = predictor_of(random_model(), volume_of((2, 40, 40)))

    def forward(self, x):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(UNet, "forward", forward)
    with pytest.raises(NanosegError, match="choose smaller tiles"):
        predictor.class_map(0, 2)
