from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from discs import disc_sample, small

from napari_nanoseg.config.generate import CutPasteConfig
from napari_nanoseg.generators.cutpaste import CutPaste
from napari_nanoseg.generators.preparation import Preparation

OTHERS: dict[str, Any] = {
    "kind": "cutpaste", "height": 96, "width": 160, "dtype": "uint16", "seed": 3, "drop_border_particles": False,
    "min_area_fraction": 0.99, "solidity_tolerance": 1.0, "drop_outliers": False, "texture": "mixed", "quilt_block": 8,
    "quilt_overlap": 0.3, "backgrounds": ("quilted", "flat"), "background_margin": 9, "particles_per_image": (2, 3),
    "coverage": (0.1, 0.2), "coverage_of_source": False, "size_distribution": "lognormal", "scale": (1.0, 1.1),
    "size_median_nm": 30.0, "size_geometric_sd": 1.1, "rotation": (0.0, 5.0), "flips": False, "elastic": 0.1,
    "overlap": "none", "max_overlap": (0.5,), "clustered_fraction": 0.0, "min_visible": 0.9, "border_particles": False,
    "contrast_mode": "transmission", "blending": ("hard",), "feather": (3.0, 4.0), "poisson_length": 9.0,
    "shadow_probability": 1.0, "shadow": 1.0, "particle_brightness": 0.9, "jitter_probability": 1.0,
    "contrast": (0.2, 0.3), "brightness": 0.9, "gamma": (0.1, 0.2), "invert_probability": 1.0, "illumination": 0.9,
    "blur": 3.0, "noise_probability": 1.0, "salt_pepper": 0.3, "gaussian_noise": 0.5, "poisson_noise": 0.5,
    "scan_noise": 0.5,
}  # fmt: skip
"""For every field, another value than in the first config."""


def test_that_every_field_is_tried() -> None:
    assert set(OTHERS) == set(CutPasteConfig.model_fields)


def test_that_reused_preparations_make_the_images_of_new_ones() -> None:
    sources = [disc_sample(), disc_sample(nm=2.5)]
    prepared = Preparation(sources)
    first = small(size_median_nm=28.0)
    for name, value in OTHERS.items():
        CutPaste(first, prepared).sample(0)
        changed = CutPasteConfig.parse(first.model_dump() | {name: value})
        for config in (changed, first):
            reused, new = CutPaste(config, prepared), CutPaste(config, sources)
            for index in (0, 1):
                one, other = reused.sample(index), new.sample(index)
                np.testing.assert_array_equal(one.image.data, other.image.data, err_msg=name)
                np.testing.assert_array_equal(one.instances.to_labels(), other.instances.to_labels(), err_msg=name)


@pytest.mark.parametrize(("name", "again"), [("brightness", False), ("backgrounds", True), ("seed", True)])
def test_that_backgrounds_are_made_again_only_when_they_change(name: str, again: bool) -> None:
    prepared = Preparation([disc_sample()])
    before = prepared.backgrounds(small())
    after = prepared.backgrounds(small(**{name: OTHERS[name]}))
    assert (after is not before) == again
    assert prepared.backgrounds(small(**{name: OTHERS[name]})) is after
