from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from followed import leave_at
from typer.testing import CliRunner

from napari_nanoseg.cli import app
from napari_nanoseg.config.cathode import CathodeJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Progress
from napari_nanoseg.generators.cathode.generator import Cathode
from napari_nanoseg.io.datasets import open_dataset
from napari_nanoseg.io.images import read_image, read_label_array
from napari_nanoseg.io.tables import read_table
from napari_nanoseg.jobs.cathode import cathode_job

SMALL = {"depth": 8, "height": 80, "width": 96, "pixel_size_nm": 140.0, "crack_width_nm": (140, 420), "slices": 2}


def job_of(out: Path, **changes: object) -> CathodeJob:
    config = SMALL | changes.pop("config", {})
    return CathodeJob.parse({"out": out, "count": 3, "workers": 2, "config": config} | changes)


def content(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.suffix in (".tif", ".csv")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_writes_slices_that_are_a_dataset(tmp_path: Path) -> None:
    job = job_of(tmp_path / "Größe 1 µm", config={"masks": "classes"})
    result = cathode_job(job)
    dataset = open_dataset(job.out)
    assert dataset.names == tuple(f"cathode_00000{index}_z000{z}" for index in range(3) for z in (2, 6))
    phantom = Cathode(job.config).phantom(1)
    sample = dataset[3]
    np.testing.assert_array_equal(sample.image.data, phantom.image.data[6])
    np.testing.assert_array_equal(sample.instances.to_labels(), phantom.classes[6])
    assert sample.image.calibration.nm_per_pixel == pytest.approx(140)
    np.testing.assert_array_equal(read_label_array(job.out / "particles" / f"{sample.name}.tif"), phantom.particles[6])
    profile = read_table(job.out / "truth" / "cathode_000001_profile.csv")
    assert list(profile) == list(phantom.profile)
    np.testing.assert_array_equal(profile["damage"], phantom.profile["damage"])
    truth = read_table(job.out / "truth" / "cathode_000001.csv")
    np.testing.assert_array_equal(truth["crack_voxels"], phantom.truth["crack_voxels"])
    record = yaml.safe_load((job.out / "run.yaml").read_text(encoding="utf-8"))
    assert CathodeJob.parse(record["config"]) == job
    assert result.figures["images"] == 6
    assert result.figures["particles"] > 3


def test_writes_stacks_with_binary_masks(tmp_path: Path) -> None:
    job = job_of(tmp_path, count=1, config={"output": "volumes"})
    cathode_job(job)
    phantom = Cathode(job.config).phantom(0)
    image = read_image(tmp_path / "images" / "cathode_000000.tif")
    assert image.axes == "ZYX"
    assert image.calibration.pixel_size_nm == pytest.approx((140, 140, 140))
    np.testing.assert_array_equal(image.data, phantom.image.data)
    mask = read_label_array(tmp_path / "masks" / "cathode_000000.tif")
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, phantom.classes == 1)
    np.testing.assert_array_equal(read_label_array(tmp_path / "particles" / "cathode_000000.tif"), phantom.particles)


def test_any_number_of_workers_writes_the_same_and_goes_on(tmp_path: Path) -> None:
    for workers in (1, 3):
        cathode_job(job_of(tmp_path / str(workers), workers=workers))
    assert content(tmp_path / "1") == content(tmp_path / "3")
    leave_at(
        lambda event: isinstance(event, Progress) and event.done == 2,
        lambda: cathode_job(job_of(tmp_path / "cut", workers=1)),
    )
    (tmp_path / "cut" / "masks" / "cathode_000001_z0002.tif").unlink(missing_ok=True)  # half of a phantom
    result = cathode_job(job_of(tmp_path / "cut"))
    assert result.figures["skipped"] in (2, 4)
    assert content(tmp_path / "cut") == content(tmp_path / "1")


def test_the_command_line_makes_a_profile(tmp_path: Path) -> None:
    typed = ["generate", "cathode", "--count", "1", "--seed", "3", "--out", str(tmp_path / "out")]
    typed += ["--preset", "NMC cracked near the separator", "--depth", "4", "--height", "80", "--width", "80"]
    typed += [
        "--pixel-size-nm",
        "140",
        "--crack-width-nm",
        "140",
        "420",
        "--damage-form",
        "table",
        "--output",
        "volumes",
    ]
    for value in ("0.05", "0.1", "0.0", "0.1"):
        typed += ["--damage-value", value]
    result = CliRunner().invoke(app, typed)
    assert result.exit_code == 0, result.output
    profile = read_table(tmp_path / "out" / "truth" / "cathode_000000_profile.csv")
    np.testing.assert_allclose(profile["damage"], [0.05, 0.1, 0, 0.1], atol=1e-3)
    assert profile["asked_slope"][3] == pytest.approx(-0.3)


def test_a_bad_config_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(NanosegError, match="cannot fill"):
        cathode_job(job_of(tmp_path / "out", config={"packing": 0.97}))
    assert not (tmp_path / "out").exists()
    cathode_job(job_of(tmp_path / "mine", count=1))
    with pytest.raises(NanosegError, match="another config"):
        cathode_job(job_of(tmp_path / "mine", config={"output": "volumes"}))
    result = CliRunner().invoke(app, ["generate", "cathode", "--preset", "gold", "--out", str(tmp_path / "x")])
    assert result.exit_code == 2
    assert "option --preset" in result.stderr
