"""Phantoms: volumes with exact classes, true damage, and what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pytest
import yaml
from scipy import ndimage

import napari_nanoseg as ns
from napari_nanoseg.config.cathode import CathodeConfig, CathodeJob, DepthProfile, cathode_preset
from napari_nanoseg.config.cathode_presets import CATHODE_PRESETS
from napari_nanoseg.config.damage import DamageConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.generators.cathode.generator import Cathode
from napari_nanoseg.generators.cathode.phantom import Phantom
from napari_nanoseg.generators.cathode.structure import CLASSES, CRACK, PARTICLE
from napari_nanoseg.measurement.damage.analysis import damage

SMALL = {"depth": 24, "height": 112, "width": 128, "pixel_size_nm": 140.0, "crack_width_nm": (140, 420), "seed": 3}


def one(index: int = 0, **changes: object) -> Phantom:
    return Cathode(CathodeConfig.parse(SMALL | changes)).phantom(index)


def same(a: Phantom, b: Phantom) -> bool:
    pairs = ((a.image.data, b.image.data), (a.classes, b.classes), (a.particles, b.particles))
    return all(np.array_equal(*pair) for pair in pairs)


def test_every_voxel_has_a_class_and_the_asked_fractions_are_met() -> None:
    phantom = one(packing=0.55, binder=0.7, damage={"first": 0.1})
    assert phantom.image.data.shape == phantom.classes.shape == phantom.particles.shape == (24, 112, 128)
    assert phantom.image.data.dtype == np.uint8
    assert phantom.classes.dtype == np.uint8
    assert phantom.particles.dtype == np.int32
    assert set(np.unique(phantom.classes)) == {1, 2, 3, 4}
    assert np.array_equal(phantom.particles > 0, np.isin(phantom.classes, (CRACK, PARTICLE)))
    assert (phantom.particles > 0).mean() == pytest.approx(0.55, abs=0.01)
    assert phantom.image.calibration.pixel_size_nm == (140, 140, 140)
    without = one(large_voids=0, packing=0.55, binder=0.7)
    free = without.particles == 0
    assert (without.classes[free] == 3).mean() == pytest.approx(0.7, abs=1e-3)


@pytest.mark.parametrize(
    "asked",
    [
        {"form": "constant", "first": 0.08},
        {"form": "linear", "first": 0.02, "last": 0.15},
        {"form": "sigmoid", "first": 0.12, "last": 0.02, "middle": 0.3, "width": 0.1},
        {"form": "table", "values": [0.05 + 0.04 * (-1) ** z for z in range(24)]},
    ],
)
def test_the_damage_of_every_slice_is_the_asked_one(asked: dict[str, object]) -> None:
    phantom = one(damage=asked)
    crack, body = (np.count_nonzero(mask, (1, 2)) for mask in (phantom.classes == CRACK, phantom.particles > 0))
    wanted = DepthProfile.parse(asked).over(24)
    np.testing.assert_allclose(crack, np.multiply(wanted, body), atol=0.51)  # to the pixel
    profile = phantom.profile
    np.testing.assert_array_equal(profile["asked_damage"], wanted)
    np.testing.assert_array_equal(profile["damage"], crack / body)
    np.testing.assert_array_equal(profile["crack_fraction"], crack / (112 * 128))
    np.testing.assert_array_equal(profile["packing"], body / (112 * 128))
    np.testing.assert_allclose(profile["depth_nm"], 140 * (np.arange(24) + 0.5))


def test_profiles_begin_and_end_as_they_say() -> None:
    straight = DepthProfile(form="linear", first=1, last=3)
    assert straight.over(5) == (1, 1.5, 2, 2.5, 3)
    assert straight.over(1) == (1,)
    step = DepthProfile(form="sigmoid", first=-1, last=1, middle=0.5, width=0.05).over(101)
    assert step[0] == pytest.approx(-1, abs=1e-3)
    assert step[50] == pytest.approx(0, abs=1e-12)
    assert step[55] == pytest.approx(np.tanh(0.5))
    assert step == tuple(sorted(step))


def test_the_analysis_recovers_profile_and_turning_slope() -> None:
    asked = {
        "damage": {"form": "linear", "first": 0.08, "last": 0.16},
        "slope": {"form": "linear", "first": 0.15, "last": -0.25},
    }
    phantom = one(depth=20, height=256, width=256, packing=0.5, large_voids=0.1, **asked)
    profile = phantom.profile
    np.testing.assert_allclose(profile["slope"], profile["asked_slope"], atol=0.05)
    config = DamageConfig(names=CLASSES, window_um=3.5, normalise="particle", morphology=False)
    found = damage(phantom.classes, labels=phantom.particles, calibration=phantom.image.calibration, config=config)
    np.testing.assert_allclose(found.profile["damage"], profile["damage"], rtol=1e-9)
    np.testing.assert_allclose(found.profile["packing"], profile["packing"], rtol=1e-9)
    slopes = found.correlation[found.correlation["scope"] == "slice"]["slope"].to_numpy()
    assert slopes[:5].mean() > 0.05
    assert slopes[-5:].mean() < -0.1


def test_a_window_is_counted_as_it_says() -> None:
    phantom = one(damage={"first": 0.1}, slope={"first": -0.2})
    z, side = 5, 25
    crack, body = phantom.classes[z] == CRACK, phantom.particles[z] > 0
    windows = [
        (crack[r : r + side, c : c + side].sum(), body[r : r + side, c : c + side].sum())
        for r in range(112 - side + 1)
        for c in range(128 - side + 1)
        if (r + side // 2 - 1) % 2 == 0 and (c + side // 2 - 1) % 2 == 0
    ]
    counts = np.array([window for window in windows if window[1]])
    x, y = counts[:, 1] / side**2, counts[:, 0] / counts[:, 1]
    slope, correlation = np.polyfit(x, y, 1)[0], np.corrcoef(x, y)[0, 1]
    assert phantom.profile["slope"][z] == pytest.approx(slope)
    assert phantom.profile["correlation"][z] == pytest.approx(correlation)
    assert phantom.profile["mean_damage_density"][z] == pytest.approx((counts[:, 0] / side**2).mean())
    assert phantom.profile["density_slope"][z] == pytest.approx(np.polyfit(x, counts[:, 0] / side**2, 1)[0])


def test_cracks_are_thin_surfaces_in_space() -> None:
    phantom = one(damage={"first": 0.08})
    crack = phantom.classes == CRACK
    pieces, _ = ndimage.label(crack, np.ones((3, 3, 3)))
    sizes = np.bincount(pieces[crack])
    assert np.sort(sizes)[::-1][: len(sizes) // 4].sum() > 0.7 * crack.sum()  # few large ones, not dust
    tallest = max(box[0].stop - box[0].start for box in ndimage.find_objects(pieces) if box is not None)
    assert tallest > 8
    # 3 px wide at most, and wider only where cracks meet or the slices between cracks are lost
    assert np.quantile(ndimage.distance_transform_edt(crack)[crack], 0.95) <= 2.3
    follows = (crack[1:] & crack[:-1]).sum() / crack[1:].sum()
    assert follows > 0.5


def test_widths_and_branching_are_followed() -> None:
    narrow = one(damage={"first": 0.05}, crack_width_nm=(140, 140), branching=0, radial_fraction=1)
    wide = one(damage={"first": 0.05}, crack_width_nm=(500, 500), branching=0, radial_fraction=1)
    inner = [ndimage.distance_transform_edt(phantom.classes == CRACK).max() for phantom in (narrow, wide)]
    assert inner[0] <= 2 < inner[1]


def test_particles_are_told_one_by_one() -> None:
    phantom = one(depth=64, packing=0.5, particle_diameter_nm=(2800, 3200), damage={"first": 0.1})
    truth, labels = phantom.truth, phantom.particles
    assert truth["id"].tolist() == np.unique(labels)[1:].tolist()
    number = int(truth["id"][np.argmax(truth["voxels"])])
    mask = labels == number
    row = {name: column[number - 1] for name, column in truth.items()}
    assert row["voxels"] == mask.sum()
    assert row["crack_voxels"] == (mask & (phantom.classes == CRACK)).sum()
    assert row["damage"] == row["crack_voxels"] / row["voxels"]
    np.testing.assert_allclose([row["z"], row["row"], row["column"]], np.argwhere(mask).mean(0), rtol=1e-5)
    assert row["equivalent_diameter_nm"] == pytest.approx(140 * (6 / np.pi * mask.sum()) ** (1 / 3))
    whole = truth["complete"]
    for label, box in zip(truth["id"], ndimage.find_objects(labels), strict=True):
        touches = any(one.start == 0 or one.stop == size for one, size in zip(box, labels.shape, strict=True))
        assert whole[label - 1] == (not touches)
    assert np.median(truth["equivalent_diameter_nm"][whole]) == pytest.approx(3000, rel=0.1)
    pieces, _ = ndimage.label(mask)
    assert np.bincount(pieces[mask]).max() > 0.99 * mask.sum()
    assert truth["crack_voxels"].sum() == (phantom.classes == CRACK).sum()


def test_no_threshold_finds_the_cracks() -> None:
    phantom = one(depth=8, damage={"first": 0.08}, dtype="float32")
    grey, crack = phantom.image.data, phantom.classes == CRACK
    overlaps = []
    for low, high in [
        (low, high) for low in np.linspace(0, 0.6, 25) for high in (0.2, 0.3, 0.4, 0.5, 0.6) if high > low
    ]:
        found = (grey > low) & (grey < high)
        overlaps.append((found & crack).sum() / (found | crack).sum())
    assert max(overlaps) < 0.5
    particles, voids = (np.median(grey[phantom.classes == value]) for value in (PARTICLE, 2))
    assert voids < np.median(grey[crack]) < particles


def test_a_phantom_depends_on_seed_and_index_alone() -> None:
    config = CathodeConfig.parse(SMALL | {"depth": 6})
    generator = Cathode(config)
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(generator.phantom, range(3)))
    for index, streamed in enumerate(islice(ns.generate(config), 3)):
        assert same(together[index], streamed)
    assert not same(together[0], together[1])
    assert not same(together[0], Cathode(config.model_copy(update={"seed": 4})).phantom(0))
    other = one(depth=6, look={"noise": (0.2, 0.2), "blur": (0, 0), "noise_size": (0, 0)})
    assert np.array_equal(other.classes, together[0].classes)
    assert np.array_equal(other.particles, together[0].particles)
    assert not np.array_equal(other.image.data, together[0].image.data)


def test_the_factor_on_the_damage_is_drawn_for_each_phantom() -> None:
    generator = Cathode(CathodeConfig.parse(SMALL | {"depth": 2, "damage_scale": (0.2, 2), "damage": {"first": 0.05}}))
    damages = [generator.phantom(index).profile["asked_damage"][0] for index in range(4)]
    assert len(set(damages)) == 4
    assert all(0.01 <= value <= 0.1 for value in damages)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_pixels_have_the_asked_type(dtype: str) -> None:
    data = one(depth=3, dtype=dtype).image.data
    assert data.dtype == dtype
    white = 1 if dtype == "float32" else np.iinfo(dtype).max
    assert 0.1 * white < np.median(data) < 0.9 * white


def test_slices_are_samples() -> None:
    phantom = one(depth=4)
    sample = phantom.slice(2)
    assert sample.image.data.shape == (112, 128)
    assert sample.image.calibration.nm_per_pixel == 140
    assert np.array_equal(sample.instances.to_labels(), phantom.classes[2] == CRACK)
    assert np.array_equal(phantom.slice(2, "classes").instances.to_labels(), phantom.classes[2])
    assert sample.name == "cathode_000000_z0002"


def test_one_slice_alone_is_possible() -> None:
    phantom = one(depth=1, damage={"first": 0.1})
    assert phantom.profile["damage"] == pytest.approx([0.1], abs=1e-3)


@pytest.mark.parametrize("name", CATHODE_PRESETS)
def test_presets_make_phantoms(name: str) -> None:
    config = cathode_preset(name, **(SMALL | {"depth": 8, "crack_width_nm": (140, 280)}))
    phantom = Cathode(config).phantom(0)
    np.testing.assert_allclose(phantom.profile["damage"], phantom.profile["asked_damage"], atol=2e-3)


def test_a_preset_is_filled_into_the_job_below_what_is_given() -> None:
    values = {"preset": "NMC cracked near the separator", "out": "x", "config": {"damage": {"last": 0.2}}}
    job = CathodeJob.parse(values)
    assert job.preset is None
    assert (job.config.damage.first, job.config.damage.last, job.config.slope.last) == (0.04, 0.2, -0.3)
    assert CathodeJob.parse(yaml.safe_load(job.to_yaml())) == job


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"packing": 0.95}, r"cannot fill 0.95 of the volume, only about 0\.[5-8]"),
        ({"height": 24}, "29 px but the slices only 24 x 128 px"),
        ({"particle_diameter_nm": (3, 4)}, "less than one voxel of 140 nm; all lengths are in nm"),
        ({"grain_nm": 50}, "The grains have a size of 50 nm"),
        ({"grain_nm": 2000}, "more than 1500 nm, half of the smallest particle's diameter"),
        ({"crack_width_nm": (140, 900)}, "more than 500 nm, the size of the grains"),
        (
            {"damage": {"first": 0.4}, "crack_width_nm": (140, 140), "branching": 0},
            "only about 0.[123]. of the particles",
        ),
        ({"depth": 8192, "height": 8192, "width": 8192}, r"needs \d+.\d GiB of memory but"),
    ],
)
def test_what_cannot_be_made_is_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(NanosegError, match=sentence) as caught:
        ns.generate(CathodeConfig.parse(SMALL | changes))
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"width": 0}, "'width' is 0: it must be at least 16"),
        ({"pixel_size_nm": 0}, "it must be more than 0"),
        ({"particle_diameter_nm": (0, 0)}, "it must be more than 0"),
        ({"particle_diameter_nm": (5000, 4000)}, "the range 'particle_diameter_nm' begins at 5000 and ends at 4000"),
        ({"damage": {"form": "table", "values": [0.1, 0.2]}}, "damage has 2 values but the phantom 64 slices"),
        ({"slope": {"form": "table"}}, "slope has 0 values but the phantom 64 slices"),
        ({"damage": {"first": -0.1}}, "a damage of -0.1 is asked for"),
        ({"damage": {"first": 0.3}, "damage_scale": (1, 2)}, "a damage of 0.6 is asked for"),
        ({"packing": 0}, "packing"),
    ],
)
def test_bad_values_are_named(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(NanosegError, match=sentence):
        CathodeConfig.parse(values)


def test_a_source_is_refused() -> None:
    with pytest.raises(NanosegError, match="takes no source"):
        ns.generate(CathodeConfig(), "somewhere")
