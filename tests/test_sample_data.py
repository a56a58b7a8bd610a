"""The sample data is what its README says, and its script makes it again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_nanoseg import Instances, open_dataset, read_image, read_labels
from napari_nanoseg.io.sample_data import sample_data

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def truth() -> Instances:
    return Instances.from_labels(read_labels(sample_data() / "particles_truth.tif"))


def test_the_micrograph_has_its_pixel_size() -> None:
    image = read_image(sample_data() / "particles.tif")
    assert image.axes == "YX"
    assert image.data.dtype == np.uint8
    assert image.calibration.nm_per_pixel == pytest.approx(2.5)


def test_about_eighty_particles_alone_and_touching(truth: Instances) -> None:
    from scipy.ndimage import binary_dilation, label

    labels = truth.to_labels()
    touching = 0
    for index in truth.ids:
        assert label(labels == index)[1] == 1
        around = labels[binary_dilation(labels == index, iterations=2)]
        touching += bool(((around > 0) & (around != index)).any())
    assert len(truth) == 80
    assert 40 < touching < 75
    assert 45 < truth.diameter() < 70


def test_eight_complete_particles_are_outlined(truth: Instances) -> None:
    [sample] = open_dataset(sample_data() / "annotated")
    labels = truth.to_labels()
    assert len(sample.instances) == 8
    assert not sample.instances.touches_border.any()
    outlined = sample.instances.to_labels()
    for index in sample.instances.ids:
        mine = outlined == index
        theirs = labels == np.bincount(labels[mine]).argmax()
        assert (mine & theirs).sum() / (mine | theirs).sum() > 0.93


def test_what_is_known_hides_no_particle(truth: Instances) -> None:
    [sample] = open_dataset(sample_data() / "annotated")
    assert sample.known is not None
    background = sample.known & (sample.instances.to_labels() == 0)
    assert background.mean() > 0.1
    assert not truth.to_labels()[background].any()
    np.testing.assert_array_equal(sample.image.data, read_image(sample_data() / "particles.tif").data)


def test_the_script_makes_the_same_files_again(tmp_path: Path) -> None:
    script = ROOT / "tools" / "make_sample_data.py"
    subprocess.run([sys.executable, str(script), "--out", str(tmp_path)], check=True)
    for path in ("particles_truth.tif", "annotated/masks/particles.tif", "annotated/known/particles.png"):
        np.testing.assert_array_equal(read_labels(tmp_path / path), read_labels(sample_data() / path))
    made, shipped = (read_image(folder / "particles.tif").data.astype(int) for folder in (tmp_path, sample_data()))
    # floats may round differently on another processor
    assert np.mean(made != shipped) < 1e-3
