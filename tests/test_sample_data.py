"""The sample data is what its README says, and its script makes it again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_nanoseg import Instances, Sample, measure, open_dataset, open_volume, read_image, read_labels
from napari_nanoseg.io.sample_data import sample_data

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def truth() -> Instances:
    return read_labels(sample_data() / "particles_truth.tif")


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
        np.testing.assert_array_equal(read_image(tmp_path / path), read_image(sample_data() / path))
    made, shipped = (read_image(folder / "particles.tif").data.astype(int) for folder in (tmp_path, sample_data()))
    # floats may round differently on another processor
    assert np.mean(made != shipped) < 1e-3


@pytest.fixture(scope="module")
def network() -> Sample:
    [sample] = open_dataset(sample_data() / "network")
    return sample


def test_the_network_has_crossing_wires_and_their_true_sizes(network: Sample) -> None:
    import pandas as pd

    true = pd.read_csv(sample_data() / "network" / "truth" / "network.csv").set_index("id")
    assert network.image.calibration.nm_per_pixel == pytest.approx(10)
    assert true.index.tolist() == network.instances.ids.tolist()
    assert true["class"].value_counts().to_dict() == {"wire": 40, "sphere": 3}
    assert network.instances.overlaps.sum() > 25
    table = measure(network.instances, network.image.calibration).set_index("label")
    straight = (true["class"] == "wire") & ~true["bent"] & ~network.instances.touches_border
    turned = (table["orientation_deg"] - true["orientation_deg"] + 90) % 180 - 90
    assert straight.sum() > 15
    assert abs(turned[straight]).max() < 1.5
    seen = true["length_nm"] * np.cos(np.radians(true["tilt_deg"]))
    assert abs(table["feret_max_nm"] / seen - 1)[straight].max() < 0.15


def test_the_script_makes_the_same_network_again(tmp_path: Path, network: Sample) -> None:
    script = ROOT / "tools" / "make_sample_network.py"
    subprocess.run([sys.executable, str(script), "--out", str(tmp_path)], check=True)
    [made] = open_dataset(tmp_path)
    # floats may round differently on another processor
    assert np.mean(made.image.data != network.image.data) < 1e-3
    np.testing.assert_allclose(made.instances.areas, network.instances.areas, atol=2)
    np.testing.assert_array_equal(made.instances.classes, network.instances.classes)
    assert sum(path.stat().st_size for path in (sample_data() / "network").rglob("*")) < 300_000


def test_the_script_makes_the_same_cathode_again(tmp_path: Path) -> None:
    script = ROOT / "tools" / "make_sample_cathode.py"
    subprocess.run([sys.executable, str(script), "--out", str(tmp_path)], check=True)
    made, shipped = (open_volume(folder / "classes.tif") for folder in (tmp_path, sample_data() / "cathode"))
    assert shipped.calibration.pixel_size_nm == pytest.approx((140, 140, 140))
    classes = shipped.read(0, 32)
    # floats may round differently on another processor
    assert np.mean(made.read(0, 32) != classes) < 1e-3
    assert np.unique(classes).tolist() == [1, 2, 3, 4]
    cracked, body = classes == 1, np.isin(classes, (1, 4))
    damage = cracked.sum(axis=(1, 2)) / body.sum(axis=(1, 2))
    np.testing.assert_allclose(damage, np.linspace(0.04, 0.14, 32), atol=0.004)
    assert sum(path.stat().st_size for path in (sample_data() / "cathode").rglob("*")) < 1_000_000
