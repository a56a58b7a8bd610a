from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import yaml
from discs import BACKGROUND, CALM, DISC, disc_sample, small
from scipy.ndimage import binary_dilation
from skimage.io import imread

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.generate import CutPasteConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.generators.cutpaste import CutPaste
from napari_nanoseg.generators.stream import generate
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image, Sample


def same(one: Sample, other: Sample) -> bool:
    return np.array_equal(one.image.data, other.image.data) and np.array_equal(
        one.instances.to_labels(), other.instances.to_labels()
    )


def test_image_depends_on_seed_and_index_only():
    generator = CutPaste(small(seed=5), [disc_sample()])
    in_order = [generator.sample(index) for index in range(6)]
    again = CutPaste(small(seed=5), [disc_sample()])
    copied = pickle.loads(pickle.dumps(generator))
    with ThreadPoolExecutor(3) as pool:
        threaded = list(pool.map(generator.sample, reversed(range(6))))[::-1]
    for index, sample in enumerate(in_order):
        assert same(sample, threaded[index])
        assert same(sample, again.sample(index))
        assert same(sample, copied.sample(index))
    assert not same(in_order[0], in_order[1])
    assert not same(in_order[0], CutPaste(small(seed=6), [disc_sample()]).sample(0))


def test_stream_begins_with_sample_zero():
    first, second = islice(generate(small(), [disc_sample()]), 2)
    generator = CutPaste(small(), [disc_sample()])
    assert same(first, generator.sample(0))
    assert same(second, generator.sample(1))


def test_masks_show_where_the_particles_are():
    """Without noise, grey values inside the masks are the discs', outside the background's."""
    generator = CutPaste(small(**CALM), [disc_sample()])
    for index in range(5):
        sample = generator.sample(index)
        inside = sample.instances.to_labels() > 0
        near = binary_dilation(inside, iterations=2)
        deep = ~binary_dilation(~inside, iterations=2)
        # where two discs meet, the edge of the upper lets some background through
        assert np.quantile(np.abs(sample.image.data[deep].astype(float) - DISC), 0.99) < 15
        assert np.abs(sample.image.data[~near].astype(float) - BACKGROUND).max() < 15
        assert deep.any()


@pytest.mark.parametrize("overlap", ["none", "touching"])
def test_particles_do_not_overlap(overlap):
    """Whole discs: nothing of any disc may be hidden, so all in the middle have their full area."""
    config = small(overlap=overlap, particles_per_image=(40, 40), scale=(1, 1), rotation=(0, 0), elastic=0, flips=False)
    generator = CutPaste(config, [disc_sample(discs=[(40, 40, 9.3), (90, 90, 9.3)])])
    touching = 0
    for index in range(4):
        instances = generator.sample(index).instances
        labels = instances.to_labels()
        areas = instances.areas[~instances.touches_border]
        assert len(areas) > 4
        assert areas.max() - areas.min() <= 0.02 * areas.max() + 2
        for label in instances.ids:
            ring = binary_dilation(labels == label, np.ones((3, 3))) & (labels != label) & (labels > 0)
            touching += bool(ring.any())
    assert (touching == 0) == (overlap == "none")


@pytest.mark.parametrize("limit", [0.1, 0.4])
def test_hidden_fraction_stays_below_the_limit(limit):
    config = small(overlap="clustered", max_overlap=(limit,), particles_per_image=(60, 60), scale=(1, 1), elastic=0)
    config = config.model_copy(update={"border_particles": False})
    generator = CutPaste(config, [disc_sample(discs=[(40, 40, 10.2)])])
    whole = CutPaste(config.model_copy(update={"particles_per_image": (1, 1)}), [disc_sample(discs=[(40, 40, 10.2)])])
    full = whole.sample(0).instances.areas[0]
    visible = np.concatenate([generator.sample(index).instances.areas for index in range(4)]) / full
    assert visible.min() >= 1 - limit - 0.05
    assert (visible < 0.97).any()


def test_number_of_particles_is_in_the_range():
    config = small(particles_per_image=(3, 6), scale=(0.4, 0.6), overlap="free", max_overlap=(0.3,))
    generator = CutPaste(config, [disc_sample()])
    counts = {len(generator.sample(index).instances) for index in range(30)}
    assert counts == {3, 4, 5, 6}
    none = CutPaste(small(particles_per_image=(0, 0)), [disc_sample()]).sample(0)
    assert len(none.instances) == 0


def test_coverage_is_reached():
    config = small(coverage=(0.3, 0.3), coverage_of_source=False, overlap="free", max_overlap=(0.3,), scale=(0.5, 0.5))
    covered = [(CutPaste(config, [disc_sample()]).sample(k).instances.to_labels() > 0).mean() for k in range(4)]
    assert 0.29 < np.mean(covered) < 0.34


def test_more_than_255_particles():
    config = small(height=600, width=600, particles_per_image=(400, 400), scale=(0.4, 0.4), overlap="touching")
    instances = CutPaste(config, [disc_sample()]).sample(0).instances
    assert len(instances) == 400
    assert len(np.unique(instances.to_labels())) == 401


def test_sizes_follow_the_log_normal_distribution():
    config = small(
        height=512,
        width=512,
        size_distribution="lognormal",
        size_median_nm=30,
        size_geometric_sd=1.25,
        particles_per_image=(60, 60),
        overlap="none",
        border_particles=False,
        elastic=0,
    )
    generator = CutPaste(config, [disc_sample(nm=2.0)])
    areas = np.concatenate([generator.sample(index).instances.areas for index in range(12)])
    logs = np.log(2.0 * np.sqrt(4 * areas / np.pi))
    assert len(logs) > 600
    assert np.exp(logs.mean()) == pytest.approx(30, rel=0.04)
    assert np.exp(logs.std()) == pytest.approx(1.25, rel=0.04)


def test_calibration_is_carried_over():
    assert CutPaste(small(), [disc_sample(nm=2.5)]).sample(0).image.calibration.nm_per_pixel == 2.5
    assert not CutPaste(small(), [disc_sample(nm=None)]).sample(0).image.calibration.known


def test_sources_of_another_pixel_size_are_rescaled():
    """A disc of radius 24 px of 1 nm is one of radius 12 px of 2 nm."""
    fine = disc_sample(discs=[(80, 80, 24)], nm=1.0)
    coarse = disc_sample(discs=[(80, 80, 12)], nm=2.0)
    config = small(**CALM, scale=(1, 1), particles_per_image=(2, 2), border_particles=False, overlap="none")
    generator = CutPaste(config, [coarse, fine])
    areas = np.concatenate([generator.sample(index).instances.areas for index in range(6)])
    assert np.abs(areas - np.pi * 12**2).max() < 45


def test_transmission_keeps_whole_overlapping_masks():
    config = small(
        contrast_mode="transmission",
        overlap="free",
        max_overlap=(1.0,),
        particles_per_image=(12, 12),
        border_particles=False,
        scale=(1, 1),
        **{name: value for name, value in CALM.items() if name != "blending"},
    )
    sample = CutPaste(config, [disc_sample(discs=[(40, 40, 12)])]).sample(0)
    areas = sample.instances.areas
    assert sample.instances.overlapping
    assert areas.max() - areas.min() <= 0.06 * areas.max()
    depth = sum(Instances.from_masks((128, 128), [box], [mask]).to_labels() for box, mask in
                zip(sample.instances.boxes, sample.instances.masks, strict=True))  # fmt: skip
    means = [sample.image.data[depth == layers].mean() for layers in range(3)]
    assert means[0] < means[1] - 20 < means[2] - 30


def test_particles_cut_by_the_border_stay_annotated():
    config = small(**CALM, particles_per_image=(20, 20))
    cut = 0
    for index in range(4):
        sample = CutPaste(config, [disc_sample()]).sample(index)
        bright = sample.image.data > (BACKGROUND + DISC) / 2
        edge = np.ones_like(bright)
        edge[2:-2, 2:-2] = False
        missed = bright & edge & ~binary_dilation(sample.instances.to_labels() > 0, iterations=2)
        assert missed.sum() <= 12
        cut += int(sample.instances.touches_border.sum())
    assert cut > 5


def test_no_particle_is_cut_when_that_is_not_wanted():
    config = small(border_particles=False, overlap="none", scale=(1, 1), elastic=0, particles_per_image=(20, 20))
    generator = CutPaste(config, [disc_sample(discs=[(60, 60, 12)])])
    areas = np.concatenate([generator.sample(index).instances.areas for index in range(4)])
    assert areas.max() - areas.min() <= 0.06 * areas.max()


def test_unlabelled_particles_never_get_into_a_background():
    """Discs 2 to 4 are not annotated: with a known region they must not appear in any image."""
    known = np.zeros((160, 160), bool)
    known[:75, :75] = True  # around disc 1
    sample = disc_sample(known=known, labelled=1)
    for kind in ("inpainted", "flat", "quilted"):
        config = small(**CALM | {"backgrounds": (kind,)}, particles_per_image=(0, 0))
        generator = CutPaste(config, [sample])
        brightest = max(int(generator.sample(index).image.data.max()) for index in range(6))
        assert brightest < BACKGROUND + 30


def test_partly_annotated_without_clean_background_is_refused():
    sample = disc_sample(labelled=1)
    known = sample.instances.to_labels() > 0
    with pytest.raises(NanosegError, match="mark more background"):
        CutPaste(small(), [replace(sample, known=known)])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_salt_is_white_and_pepper_black(dtype):
    config = small(**CALM | {"noise_probability": 1, "salt_pepper": 0.3}, dtype=dtype, gaussian_noise=0,
                   poisson_noise=0, scan_noise=0, particles_per_image=(2, 2))  # fmt: skip
    white = 1.0 if dtype == "float32" else np.iinfo(dtype).max
    generator = CutPaste(config, [disc_sample()])
    fractions = []
    for index in range(8):
        data = generator.sample(index).image.data
        assert data.dtype == dtype
        salt, pepper = (data == white).mean(), (data == 0).mean()
        assert salt == pytest.approx(pepper, abs=0.02)
        fractions.append(salt + pepper)
    assert 0.05 < max(fractions) < 0.31


def test_inversion_turns_grey_values_over():
    config = small(**CALM, particles_per_image=(3, 3))
    straight = CutPaste(config, [disc_sample()]).sample(0).image.data
    inverted = CutPaste(config.model_copy(update={"invert_probability": 1.0}), [disc_sample()]).sample(0).image.data
    assert np.abs(straight.astype(int) + inverted - 255).max() <= 1


def test_real_micrographs_as_only_source(shared_data: Path):
    for name in ("c5c0825297", "7ea28e7e54"):
        image = imread(shared_data / "emps" / "images" / f"{name}.png")
        masks = imread(shared_data / "emps" / "masks" / f"{name}.png")
        source = Sample(Image(image), Instances.from_labels(masks), None, name)
        sample = CutPaste(small(height=256, width=300, texture="mixed"), [source]).sample(1)
        assert sample.image.data.shape == (256, 300)
        assert len(sample.instances) >= 3
        assert sample.image.data.std() > 5


def test_colour_becomes_luminance():
    grey = disc_sample()
    colour = np.stack([grey.image.data] * 3, -1)
    coloured = replace(grey, image=Image(colour, "YXC", grey.image.calibration))
    assert same(CutPaste(small(), [grey]).sample(0), CutPaste(small(), [coloured]).sample(0))


def test_one_particle_is_enough():
    generator = CutPaste(small(), [disc_sample(discs=[(60, 60, 15)])])
    assert "one particle" in generator.notices[0]
    assert len(generator.sample(0).instances) >= 1


def at_border() -> Sample:
    return disc_sample(discs=[(0, 40, 12), (159, 90, 12)])


@pytest.mark.parametrize(
    ("sources", "changes", "message"),
    [
        ([], {}, "no source"),
        ([Sample(Image(np.zeros((64, 64), np.uint8)), Instances.empty((64, 64)))], {}, "no particle is annotated"),
        ([at_border()], {}, "drop_border_particles"),
        ([disc_sample(), disc_sample(nm=None)], {}, "only one of them has a pixel size"),
        ([disc_sample(discs=[(80, 80, 70)], nm=None)], {"scale": (1, 1)}, "diameter of"),
        ([disc_sample()], {"scale": (0.01, 0.02)}, "larger scale"),
        ([disc_sample(nm=None)], {"size_distribution": "lognormal", "size_median_nm": 20}, "pixel size is not known"),
    ],
)
def test_bad_input_is_one_sentence(sources, changes, message):
    with pytest.raises(NanosegError, match=message):
        CutPaste(small(**changes), sources)


def test_particles_at_the_border_can_be_used_on_demand():
    assert len(CutPaste(small(drop_border_particles=False), [at_border()]).sample(0).instances) >= 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scale": (2, 1)}, "scale"),
        ({"coverage": None}, "coverage"),
        ({"size_distribution": "lognormal"}, "size_median_nm"),
        ({"sharpness": 1}, "sharpness"),
        ({"salt_pepper": 2}, "salt_pepper"),
    ],
)
def test_bad_config_names_the_field(changes, field):
    with pytest.raises(NanosegError, match=field):
        small(**changes)


def test_sources_stay_as_they_were():
    source = disc_sample()
    before = source.image.data.copy(), source.instances.to_labels()
    CutPaste(small(), [source]).sample(0)
    assert np.array_equal(before[0], source.image.data)
    assert np.array_equal(before[1], source.instances.to_labels())
    assert source.image.calibration == Calibration((2.0, 2.0))


def test_published_setting_of_the_manual_works():
    """The UTILE-Gen setting in docs/generator.md is a valid config."""
    manual = (Path(__file__).parents[2] / "docs" / "generator.md").read_text(encoding="utf-8")
    values = yaml.safe_load(manual.split("```yaml")[1].split("```")[0])
    config = small(**values | {"particles_per_image": (5, 9)})
    assert len(CutPaste(config, [disc_sample()]).sample(0).instances) >= 2
    assert CutPasteConfig.parse(yaml.safe_load(config.to_yaml())) == config
