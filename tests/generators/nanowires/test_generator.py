"""Images with masks and true values; what cannot be drawn is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import pytest
import yaml

import napari_nanoseg as ns
from napari_nanoseg.config.looks import DetectorConfig
from napari_nanoseg.config.nanowire_presets import PRESETS
from napari_nanoseg.config.nanowires import NanowireConfig, NanowiresJob, nanowire_preset
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.generators.nanowires.generator import Nanowires
from napari_nanoseg.samples import Sample

CLEAN = DetectorConfig(photons=(1e9, 1e9), blur=(0, 0), gradient=(0, 0), background=(0, 0))
SMALL = {"height": 128, "width": 160, "length_nm": 500, "wires": (12, 12)}
EVERYTHING = dict.fromkeys(("rods", "spheres", "cubes", "agglomerates"), (2, 2))


def one(index: int = 0, **changes: object) -> Sample:
    return Nanowires(NanowireConfig.parse(SMALL | changes)).sample(index)


def same(a: Sample, b: Sample) -> bool:
    masks = zip(a.instances.masks, b.instances.masks, strict=True)
    return a.image.data.tobytes() == b.image.data.tobytes() and all(np.array_equal(*pair) for pair in masks)


@pytest.mark.parametrize("look", ["od", "transmission", "ptychography", "stxm", "sem", "tem"])
def test_every_look_shows_the_same_objects(look: str) -> None:
    sample, reference = one(look=look, **EVERYTHING), one(**EVERYTHING)
    assert sample.image.data.shape == (128, 160)
    assert sample.image.data.dtype == np.float32
    assert np.isfinite(sample.image.data).all()
    assert sample.image.calibration.nm_per_pixel == 10
    assert np.array_equal(sample.instances.to_labels(), reference.instances.to_labels())
    inside = sample.instances.to_labels() > 0
    difference = np.median(sample.image.data[inside]) - np.median(sample.image.data[~inside])
    assert (difference > 0) == (look not in ("transmission", "tem"))
    assert abs(difference) > 2 * np.std(sample.image.data[~inside])


def test_a_generator_seen_by_another_instrument_is_that_of_its_config() -> None:
    seen = Nanowires(NanowireConfig.parse(SMALL | EVERYTHING)).seen_by("sem")
    assert seen.config.look == "sem"
    assert same(seen.sample(2), one(2, look="sem", **EVERYTHING))


def test_optical_density_is_absorption_times_path_length() -> None:
    sample = one(
        wires=(0, 0), cubes=(3, 3), particle_size_nm=200, particle_size_sd=0, deposition="settled", depth=400,
        cube_absorption=(5, 5), detector=CLEAN, border=False, look="od",
    )  # fmt: skip
    values = sample.image.data[sample.instances.to_labels() > 0]
    assert np.median(values) == pytest.approx(5 * 0.2, abs=1e-3)
    assert np.abs(sample.image.data[sample.image.data < 0.05]).max() < 1e-3
    passed = one(
        wires=(0, 0), cubes=(3, 3), particle_size_nm=200, particle_size_sd=0, deposition="settled", depth=400,
        cube_absorption=(5, 5), detector=CLEAN, border=False, look="transmission",
    )  # fmt: skip
    np.testing.assert_allclose(-np.log(passed.image.data), sample.image.data, atol=2e-3)


@pytest.mark.parametrize("photons", [50, 2000])
def test_noise_is_that_of_photons(photons: float) -> None:
    detector = CLEAN.model_copy(update={"photons": (photons, photons)})
    sample = one(look="transmission", detector=detector, wires=(1, 1))
    background = sample.image.data[sample.instances.to_labels() == 0] * photons
    empty = background[np.abs(background - photons) < 6 * photons**0.5]
    assert empty.var() == pytest.approx(photons, rel=0.1)
    assert np.array_equal(np.rint(empty), np.rint(empty * 1.0000001))  # whole photons


def test_masks_are_whole_or_visible() -> None:
    whole, visible = one(wires=(25, 25)), one(wires=(25, 25), masks="visible")
    assert whole.instances.overlapping
    assert not visible.instances.overlapping
    union = whole.instances.to_labels() > 0
    seen = visible.instances.to_labels() > 0
    assert (seen & ~union).sum() < 0.01 * union.sum()  # pixels that several fill together
    assert (union & ~seen).sum() < 0.05 * union.sum()  # thin slivers of what is almost hidden
    assert (visible.truth["visible_fraction"] >= 0.1).all()


def test_true_values_agree_with_what_is_measured() -> None:
    sample = one(
        height=400, width=400, wires=(30, 30), tilt_sd=0, taper=(0, 0), bent_fraction=0, border=False,
        cross_sections=("rectangle",), length_nm=900, deposition="layered", layers=20, depth=400, rays=4,
    )  # fmt: skip
    truth, table = sample.truth, ns.measure(sample.instances, sample.image.calibration)
    assert truth["id"].tolist() == sample.instances.ids.tolist() == list(range(1, len(sample.instances) + 1))
    assert len(table) == len(truth["id"]) > 20
    areas = table["area_nm2"] / (truth["length_nm"] * truth["width_nm"])
    assert areas.mean() == pytest.approx(1, abs=0.02)
    assert areas.between(0.9, 1.1).all()
    apart = np.abs(table["orientation_deg"] - truth["orientation_deg"])
    assert np.minimum(apart, 180 - apart).max() < 1
    middles = np.array([
        np.argwhere(mask).mean(0) + box[:2]
        for mask, box in zip(sample.instances.masks, sample.instances.boxes, strict=True)
    ])  # fmt: skip
    away = middles - np.stack([truth["row"], truth["column"]], 1)
    assert np.abs(away).max() < 1.5
    assert np.abs(away).mean() < 0.2
    assert (truth["tilt_deg"] == 0).all()


def test_classes_and_parents_are_told() -> None:
    sample = one(**EVERYTHING, branched_fraction=1.0, wires=(2, 2))
    names = np.array(Nanowires.classes)[sample.instances.classes]
    assert names.tolist() == sample.truth["class"].tolist()
    grown = sample.truth["parent"] > 0
    assert grown.any()
    assert set(sample.truth["class"][grown]) == {"branch"}
    mothers = sample.truth["parent"][grown] - 1
    assert set(sample.truth["class"][mothers]) == {"wire"}


def test_an_image_depends_on_seed_and_index_alone() -> None:
    config = NanowireConfig.parse(SMALL | {"deposition": "settled", "look": "sem"})
    generator = Nanowires(config)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(generator.sample, range(6)))
    for index, sample in reversed(list(enumerate(together))):
        assert same(sample, Nanowires(config).sample(index))
    for sample, streamed in zip(together, islice(ns.generate(config), 6), strict=True):
        assert same(sample, streamed)
    assert not same(together[0], together[1])
    assert not same(together[0], Nanowires(config.model_copy(update={"seed": 1})).sample(0))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_whole_numbers_use_their_range(dtype: str) -> None:
    sample = one(dtype=dtype)
    assert sample.image.data.dtype == dtype
    assert (sample.image.data.min(), sample.image.data.max()) == (0, np.iinfo(dtype).max)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_make_images(name: str) -> None:
    generator = Nanowires(nanowire_preset(name, height=256, width=256, seed=5))
    sample = generator.sample(0)
    assert len(sample.instances) > 3
    assert sample.image.data.std() > 0


def test_a_preset_is_filled_into_the_job_below_what_is_given() -> None:
    job = NanowiresJob.parse(
        {"preset": "Ag nanowires SEM", "out": "x", "config": {"width_nm": 33, "sem": {"noise": (0, 0)}}}
    )
    assert job.preset is None
    assert (job.config.width_nm, job.config.look, job.config.sem.noise) == (33, "sem", (0, 0))
    assert NanowiresJob.parse(yaml.safe_load(job.to_yaml())) == job
    assert job.config == nanowire_preset("Ag nanowires SEM", width_nm=33, sem={"noise": (0, 0)})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"wires": (0, 0)}, "nothing to draw"),
        ({"length_nm": 5000}, "500 px but the images only 128 x 160 px"),
        ({"length_nm": 1700, "border": False}, "170 px but the images only 128 x 160 px"),
        ({"width_nm": 5, "length_nm": 50}, "less than one pixel of 10 nm; all lengths are in nm"),
        ({"width_nm": 90, "length_nm": 50}, "90 nm wide but only 50 nm long"),
        ({"spheres": (1, 1), "particle_size_nm": 0.2}, "particles have a width of 0.2 nm"),
        ({"wires": (2000, 2000), "depth": 10}, r"2000 objects .*; \d+ would fill it completely"),
        ({"wires": (400, 400), "depth": 20, "deposition": "settled"}, r"Only \d+ of 400 .* into a depth of 20 px"),
        ({"wires": (400, 400), "deposition": "layered", "layers": 2}, r"Only \d+ of 400 objects fit into 2 layers"),
        ({"depth": 4, "deposition": "settled", "lath_ratio": (0.9, 0.9)}, "thick but the space only 4 px deep"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(NanosegError, match=sentence) as caught:
        ns.generate(NanowireConfig.parse(SMALL | changes))
    assert str(caught.value).count(". ") == 0


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"width_nm": 0}, "'width_nm' is 0: it must be more than 0"),
        ({"pixel_size_nm": -1}, "it must be more than 0"),
        ({"wires": (5, 2)}, "the range 'wires' begins at 5 and ends at 2"),
        ({"sem": {"edges": (1, 0.5)}}, "the range 'edges' begins at 1 and ends at 0.5"),
        ({"cross_sections": ()}, "cross_sections"),
        ({"length_um": 3}, "'length_um' is unknown"),
    ],
)
def test_bad_values_are_named(values: dict[str, object], sentence: str) -> None:
    with pytest.raises(NanosegError, match=sentence):
        NanowireConfig.parse(values)


def test_a_source_is_refused() -> None:
    with pytest.raises(NanosegError, match="takes no source"):
        ns.generate(NanowireConfig(), "somewhere")
