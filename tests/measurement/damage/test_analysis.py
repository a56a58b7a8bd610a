"""The whole analysis: what was put in comes back, maps are exact, blocks do not matter, bad input is told."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from followed import events_of, leave_at, places_to_leave
from pandas.testing import assert_frame_equal
from scipy.ndimage import uniform_filter

from napari_nanoseg import Calibration, NanosegError
from napari_nanoseg.config.damage import DamageConfig
from napari_nanoseg.events import Notice, Progress
from napari_nanoseg.measurement.damage import cracks, phases
from napari_nanoseg.measurement.damage.analysis import damage
from napari_nanoseg.samples import Volume

TWO = {"names": ("crack", "particle")}
PLAIN = {"morphology": False}
VOXEL = Calibration((140.0, 70.0, 70.0))


class Maps:
    """Collects maps as a writer would."""

    def __init__(self):
        self.slabs, self.next = {}, {}

    def __call__(self, name, start, block):
        assert start == self.next.get(name, 0)
        assert block.dtype == np.float32
        self.next[name] = start + len(block)
        self.slabs.setdefault(name, []).append(block)

    def __getitem__(self, name):
        return np.concatenate(self.slabs[name])


def discs(depth, side, *, seed=0):
    """Slices of discs (2) whose number differs from place to place, and where cracks (1) are a known share of them."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    volume = np.zeros((depth, side, side), np.uint8)
    for plane in volume:
        for row in range(6, side, 12):
            for column in range(6, side, 12):
                # parts of 100 x 100 px are packed to another degree
                filled = 0.35 + 0.6 * (np.sin(1.7 * (row // 100) + 2.9 * (column // 100)) > 0)
                if rng.random() < filled:
                    near = np.s_[row - 6 : row + 6, column - 6 : column + 6]
                    plane[near][(rows[near] - row) ** 2 + (columns[near] - column) ** 2 < 34] = 2
    return volume, rng


def cracked(depth=40, side=450):
    """Discs whose cracked share depends on depth and on the packing around: the slope turns at 0.6 of the depth."""
    volume, rng = discs(depth, side)
    profile = 0.2 + 0.08 * np.cos(np.linspace(0, math.pi, depth))
    slopes = np.linspace(0.3, -0.2, depth)
    for plane, share, slope in zip(volume, profile, slopes, strict=True):
        packing = uniform_filter((plane > 0).astype(float), 50, mode="nearest")
        middle = packing[plane > 0].mean()
        plane[(plane > 0) & (rng.random(plane.shape) < share + slope * (packing - middle))] = 1
    return volume, profile


def test_the_profile_and_the_turn_that_were_put_in_come_back():
    volume, profile = cracked()
    found = damage(volume, config=DamageConfig(**TWO, **PLAIN, normalise="particle"), calibration=VOXEL)
    table = found.profile
    np.testing.assert_allclose(table["damage"], profile, rtol=0.1)
    inside = (table["damage_low"] <= profile) & (profile <= table["damage_high"])
    assert inside.mean() > 0.8
    assert found.turn is not None
    assert found.turn.significant
    assert found.figures["slope_turns_at_um"] == pytest.approx(0.6 * 39 * 0.14, rel=0.1)
    assert found.turn.before == 1
    slices = found.correlation[found.correlation["scope"] == "slice"]
    assert slices["slope"].iloc[:10].mean() > 0 > slices["slope"].iloc[-8:].mean()


@pytest.mark.parametrize("normalise", ["window", "particle"])
@pytest.mark.parametrize("stride", [1, 7])
def test_maps_are_what_a_loop_gives(normalise, stride, monkeypatch):
    monkeypatch.setattr(phases, "SLAB", 2 * 60 * 70)
    volume = cracked(5, 72)[0][:, :60, :70]
    maps = Maps()
    config = DamageConfig(**TWO, **PLAIN, window=15, stride=stride, normalise=normalise)
    damage(volume, config=config, write=maps)
    crack, body = volume == 1, volume > 0
    for index in range(len(volume)):
        for i, row in enumerate(range(stride // 2, 60, stride)):
            for j, column in enumerate(range(stride // 2, 70, stride)):
                cut = np.s_[index, max(row - 7, 0) : row + 8, max(column - 7, 0) : column + 8]
                whole = body[cut].sum() if normalise == "particle" else body[cut].size
                expected = crack[cut].sum() / whole if whole else math.nan
                assert maps["damage"][index, i, j] == pytest.approx(expected, rel=1e-6, nan_ok=True)
                assert maps["packing"][index, i, j] == pytest.approx(body[cut].mean(), rel=1e-6)


def test_nothing_depends_on_the_slabs(monkeypatch):
    volume, _ = cracked(9, 96)
    volume[:, 20:24, 10:60] = 1
    config, results = DamageConfig(**TWO, window=20), []
    for slab in (1, 4 * 96 * 96, 2**23):
        monkeypatch.setattr(phases, "SLAB", slab)
        results.append(damage(volume, config=config, calibration=VOXEL))
    for other in results[1:]:
        for name in ("profile", "correlation", "distribution", "cracks", "directions", "particles"):
            assert getattr(results[0], name).equals(getattr(other, name)), name
        assert other.figures == results[0].figures


def test_cracks_are_packed_or_not():
    volume, _ = cracked(3, 96)
    body, crack = (volume > 0).mean(axis=(1, 2)), (volume == 1).mean(axis=(1, 2))
    for include, expected in ((True, body), (False, body - crack)):
        config = DamageConfig(**TWO, **PLAIN, include_cracks=include, normalise="particle")
        found = damage(volume, config=config)
        np.testing.assert_allclose(found.profile["packing"], expected)
        np.testing.assert_allclose(found.profile["damage"], crack / body)
        assert found.figures["damage"] == pytest.approx(crack.sum() / body.sum())


def test_particles_from_everywhere_are_the_same():
    volume, _ = cracked(4, 96)
    crack, body = volume == 1, volume > 0
    grey = np.where(volume == 2, 180, 100) + np.random.default_rng(0).normal(0, 4, volume.shape)
    grey[crack] = 60
    grey[:, :30] = np.where(body[:, :30], grey[:, :30], 20)  # large voids
    expected = body.mean(axis=(1, 2))
    mask = DamageConfig(**PLAIN)
    given = [
        damage(volume, config=DamageConfig(**TWO, **PLAIN)),
        damage(crack, body, config=mask),
        damage(crack, labels=body * np.int32(7), config=mask),
        damage(crack, grey=grey.astype(np.float32), config=mask),
        damage(crack, grey=grey.clip(0, 255).astype(np.uint8), config=mask),
    ]
    for found in given:
        np.testing.assert_allclose(found.profile["packing"], expected, atol=1e-3)


def test_large_voids_do_not_pull_the_threshold():
    rng = np.random.default_rng(0)
    grey = np.full((2, 100, 100), 120.0)
    grey[:, 70:] = 150  # particles
    grey[:, :55] = 0  # voids
    grey += rng.normal(0, 3, grey.shape)
    crack = np.zeros(grey.shape, bool)
    apart = damage(crack, grey=grey, config=DamageConfig(**PLAIN))
    together = damage(crack, grey=grey, config=DamageConfig(**PLAIN, otsu_voids=False))
    assert apart.figures["packing"] == pytest.approx(0.3, abs=0.005)
    assert together.figures["packing"] > 0.4
    without = damage(crack, grey=grey, config=DamageConfig(**PLAIN, exclude_voids=True))
    assert without.figures["packing"] == pytest.approx(0.3 / 0.45, abs=0.01)


def test_voids_of_the_class_map_have_no_area():
    volume, _ = cracked(2, 96)
    volume[:, :40][volume[:, :40] == 0] = 3
    names = ("crack", "particle", "void")
    found = damage(volume, config=DamageConfig(names=names, exclude_voids=True, **PLAIN))
    np.testing.assert_allclose(found.profile["damage"], (volume == 1).sum(axis=(1, 2)) / (volume != 3).sum(axis=(1, 2)))


def test_labels_give_the_crack_fraction_of_every_particle():
    labels = np.zeros((6, 40, 60), np.uint16)
    labels[:, 5:15, 5:25], labels[2:5, 20:32, 30:50], labels[0, 38, 0:5] = 3, 1000, 9
    crack = np.zeros(labels.shape, bool)
    crack[1:3, 8, 5:15] = crack[3, 25, 30:50] = True
    table = damage(crack, labels=labels, calibration=VOXEL).particles.set_index("particle")
    assert table.index.tolist() == [3, 1000]
    assert table.loc[3, "crack_fraction"] == pytest.approx(20 / 1200)
    assert table.loc[1000, "crack_fraction"] == pytest.approx(20 / 720)
    volume = 1200 * 0.14 * 0.07 * 0.07
    assert table.loc[3, "volume_um3"] == pytest.approx(volume)
    assert table.loc[3, "equivalent_diameter_um"] == pytest.approx((6 * volume / math.pi) ** (1 / 3))
    assert table.loc[3, ["centroid_slice", "centroid_row", "centroid_column"]].tolist() == [2.5, 9.5, 14.5]
    assert table["touches_border"].tolist() == [True, False]

    alone = damage(crack, labels=labels, calibration=VOXEL, config=DamageConfig(per_slice=True)).particles
    assert len(alone) == 6 + 3
    assert sorted(alone["area"]) == [200] * 6 + [240] * 3
    first = alone[(alone["particle"] == 1000) & (alone["first_slice"] == 3)].iloc[0]
    assert first["crack_fraction"] == pytest.approx(20 / 240)
    assert first["area_um2"] == pytest.approx(240 * 0.0049)
    assert not first["touches_border"]


def test_without_labels_pieces_are_the_particles():
    volume = np.zeros((4, 30, 50), np.uint8)
    volume[:, 5:15, 5:15] = volume[1:3, 18:28, 30:40] = 2
    volume[:, 10, 5:15] = 1
    table = damage(volume, config=DamageConfig(**TWO)).particles
    assert table["voxels"].tolist() == [400, 200]
    assert table["crack_fraction"].tolist() == [0.1, 0]


def test_a_table_of_cracks():
    crack = np.zeros((30, 60, 90), bool)
    crack[10:13, 20, 10:70] = True  # a ribbon along the row
    crack[5:28, 40:43, 80:83] = True  # a rod along the depth
    found = damage(crack, calibration=VOXEL)
    assert found.cracks["first_slice"].tolist() == [5, 10]
    rod, ribbon = found.cracks.iloc[0], found.cracks.iloc[1]
    assert (rod["voxels"], ribbon["voxels"]) == (23 * 9, 180)
    assert ribbon["length_um"] == pytest.approx(60 * 0.07, rel=0.05)
    assert ribbon["azimuth_deg"] == pytest.approx(0, abs=1)
    assert ribbon["inclination_deg"] == pytest.approx(90, abs=1)
    assert ribbon["width_p50_um"] == pytest.approx(0.07)
    assert rod["length_um"] == pytest.approx(23 * 0.14, rel=0.12)
    assert rod["inclination_deg"] == pytest.approx(0, abs=3)
    assert rod["width_p50_um"] == pytest.approx(3 * 0.07, abs=0.02)
    assert found.profile["crack_length_um"].iloc[11] == pytest.approx(60 * 0.07, rel=0.06)
    deep = found.directions[found.directions["angle"] == "to_depth"].set_index("from_deg")
    assert deep.loc[0, "length_um"] == pytest.approx(rod["length_um"], rel=0.1)
    assert deep.loc[80, "length_um"] == pytest.approx(ribbon["length_um"], rel=0.1)


def test_a_crack_too_large_for_a_centre_line_keeps_its_row():
    crack = np.zeros((20, 120, 120), bool)
    crack[:, 60, :] = crack[:, :, 60] = True
    found = damage(crack, config=DamageConfig(largest=0.2))
    assert len(found.cracks) == 1
    assert math.isnan(found.cracks["length"].iloc[0])
    assert any("no centre line" in sentence for sentence in found.notices)
    assert (found.profile["crack_length"] > 200).all()


def test_memory_does_not_grow_with_the_volume(monkeypatch):
    monkeypatch.setattr(phases, "SLAB", 8 * 256 * 256)

    class Endless:
        """A volume that is nowhere."""

        dtype = np.dtype(np.uint8)

        def __init__(self, depth):
            self.shape = depth, 256, 256
            self.plane = cracked(1, 256)[0]

        def __getitem__(self, key):
            depths = range(*key[0].indices(self.shape[0]))
            return np.repeat(self.plane, len(depths), axis=0)[:, key[1], key[2]]

    config = DamageConfig(**TWO, smallest=10**9, window=32)
    damage(Endless(2), config=config)
    peaks = []
    for depth in (24, 72):
        volume = Endless(depth)
        tracemalloc.start()
        damage(volume, config=config, write=lambda name, start, block: None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_progress_and_cancelling():
    volume, _ = cracked(6, 72)
    events, _ = events_of(lambda: damage(volume, config=DamageConfig(**TWO)))
    done = [event.done for event in events if isinstance(event, Progress) and event.unit == "slices"]
    assert done == [1, 2, 3, 4, 5, 6]

    def with_maps():
        return damage(volume, config=DamageConfig(**TWO), write=lambda name, start, block: None)

    # windows of three kinds, centre lines, pieces and maps of a large slice take a second together
    assert places_to_leave(with_maps) - len(events_of(with_maps)[0]) >= 4 * 6
    leave_at(lambda event: isinstance(event, Progress), lambda: damage(volume, config=DamageConfig(**TWO)))


def test_a_large_crack_is_measured_as_a_small_one_and_can_be_left(monkeypatch):
    volume, _ = cracked(6, 72)
    usual = damage(volume, config=DamageConfig(**TWO)).cracks
    monkeypatch.setattr(cracks, "LARGE", 0)
    monkeypatch.setattr(cracks, "PAUSE_S", 0.0)
    assert_frame_equal(damage(volume, config=DamageConfig(**TWO)).cracks, usual)
    leave_at(
        lambda event: isinstance(event, Progress) and event.unit == "cracks",
        lambda: damage(volume, config=DamageConfig(**TWO)),
    )


def test_no_crack_and_no_particle_are_said():
    found = damage(np.zeros((3, 40, 40), np.uint8), config=DamageConfig(**TWO, window=10))
    assert (found.profile["damage"] == 0).all()
    assert len(found.cracks) == len(found.particles) == 0
    assert found.figures["slope"] is None
    assert found.turn is None
    assert any("no crack" in sentence for sentence in found.notices)
    assert any("no particle" in sentence for sentence in found.notices)
    empty = damage(np.zeros((3, 40, 40), bool))
    assert "packing" not in empty.profile
    assert empty.particles is None


def test_a_window_larger_than_the_image_is_said():
    volume, _ = cracked(3, 36)
    events, _ = events_of(lambda: damage(volume, config=DamageConfig(**TWO, **PLAIN)))
    assert any(isinstance(event, Notice) and "larger than the slices" in event.message for event in events)


def test_several_values_of_one_class_are_said():
    volume, _ = cracked(2, 36)
    found = damage(volume, config=DamageConfig(**PLAIN))
    assert found.figures["crack_voxels"] == (volume > 0).sum()
    assert any("name them" in sentence for sentence in found.notices)


def test_masks_of_0_and_255():
    mask = np.zeros((2, 20, 20), np.uint8)
    mask[:, :5] = 255
    assert damage(mask).figures["damage"] == 0.25


@pytest.mark.parametrize(
    ("config", "given", "match"),
    [
        ({}, {"particle": np.ones((4, 20, 21), bool)}, "shape"),
        ({}, {"grey": np.ones((3, 20, 20), bool)}, "shape"),
        ({}, {"labels": np.ones((4, 20, 20), np.float32)}, "whole numbers"),
        ({}, {"grey": np.ones((4, 20, 20), np.uint8)}, "grey value 1"),
        ({}, {"grey": np.full((4, 20, 20), np.nan)}, "NaN"),
        ({"normalise": "particle"}, {}, "there are none"),
        ({"particles": "mask"}, {}, "which is missing"),
        ({"particles": "classes"}, {}, "class 'particle', which is missing"),
        ({"particles": "otsu"}, {}, "grey volume, which is missing"),
        ({"exclude_voids": True}, {}, "class 'void'"),
        ({"window_um": 2.0}, {}, "pixel size is not known"),
        ({"slices": (1, 9)}, {}, "slices 0 to 3"),
        (TWO, {"classes": np.full((4, 20, 20), 3, np.uint8)}, "name them all"),
        ({}, {"classes": np.full((4, 20, 20), 0.5)}, "probabilities"),
        ({}, {"classes": np.ones((20, 20), bool)}, "not a volume"),
        ({}, {"calibration": Calibration((70.0, 70.0))}, "Z, Y, X"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_told(config, given, match):
    given = {"classes": np.zeros((4, 20, 20), bool), **given}
    with pytest.raises(NanosegError, match=match):
        damage(given.pop("classes"), config=DamageConfig(**config), **given)


@pytest.mark.parametrize(
    "values",
    [{"names": ("particle",)}, {"names": ("crack", "crack")}, {"window": 0}, {"names": ()}],
)
def test_bad_configs_are_told(values):
    with pytest.raises(NanosegError):
        DamageConfig.parse(values)


def test_a_volume_brings_its_calibration():
    found = damage(Volume(np.ones((2, 9, 9), bool), VOXEL, "a"), config=DamageConfig(**PLAIN))
    assert found.profile["depth_um"].tolist() == [0, 0.14]
