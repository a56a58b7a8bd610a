from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from discs import disc_sample
from skimage.io import imread

from napari_nanoseg.generators.backgrounds import burnt_in, find_clean
from napari_nanoseg.generators.quilting import quilt
from napari_nanoseg.generators.sources import prepare_sources
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image, Sample


@pytest.mark.parametrize("shape", [(1, 1), (7, 90), (64, 64), (131, 45)])
@pytest.mark.parametrize("block", [5, 20])
def test_quilting_makes_any_size_of_the_same_texture(shape, block):
    rng = np.random.default_rng(3)
    texture = rng.normal(0.5, 0.1, (50, 60)).astype(np.float32)
    made = quilt(texture, np.ones(texture.shape, bool), shape, block, 1 / 6, rng)
    assert made is not None
    assert made.shape == shape
    assert np.isin(made, texture).all()
    if min(shape) > 40:
        assert made.std() == pytest.approx(texture.std(), rel=0.1)


def test_quilting_uses_valid_pixels_only():
    texture = np.zeros((60, 60), np.float32)
    valid = np.zeros((60, 60), bool)
    valid[:, :22] = True
    texture[~valid] = 1
    made = quilt(texture, valid, (50, 50), 20, 1 / 6, np.random.default_rng(0))
    assert made is not None
    assert made.max() == 0
    assert quilt(texture, np.eye(60, dtype=bool), (50, 50), 20, 1 / 6, np.random.default_rng(0)) is None


def test_letters_and_bars_are_not_background():
    sample = disc_sample()
    grey = sample.image.data / np.float32(255)
    grey[150:154, 60:100] = 1.0  # a scale bar
    grey[70:80, 75:77] = 0.0  # a black letter
    found = burnt_in(grey, np.ones(grey.shape, bool))
    assert found[150:154, 60:100].all()
    assert found[70:80, 75:77].all()
    assert found.mean() < 0.05


def test_a_white_background_is_not_burnt_in():
    grey = np.ones((80, 80), np.float32)
    grey[20:40, 20:40] = 0.3
    assert not burnt_in(grey, grey == 1).any()


@pytest.mark.parametrize(
    ("name", "inside"),
    [("7ea28e7e54", (40, 45)), ("f659af19da", (50, 55)), ("c5c0825297", (30, 600))],
)
def test_letters_of_real_micrographs_are_found(shared_data: Path, name, inside):
    """The letters 'IV' and 'I', and an inset."""
    image = imread(shared_data / "emps" / "images" / f"{name}.png")
    masks = imread(shared_data / "emps" / "masks" / f"{name}.png")
    source = prepare_sources([Sample(Image(image), Instances.from_labels(masks), None, name)])[0][0]
    clean = find_clean(source, 3)
    assert not clean.pixels[inside]
    assert clean.pixels.any()
    assert np.ptp(source.grey[clean.pixels]) < 0.35
    assert not (clean.pixels & (masks > 0)).any()
