"""The density job: files and run records, as from Python and from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from followed import events_of, leave_at
from numpy.typing import NDArray
from typer.testing import CliRunner

from napari_nanoseg import Calibration, DensityConfig, Image, NanosegError, optical_density, read_image
from napari_nanoseg.cli import app
from napari_nanoseg.config.density import DensityJob
from napari_nanoseg.events import Notice, Progress
from napari_nanoseg.io.images import write_image, write_labels
from napari_nanoseg.jobs.density import density_job
from napari_nanoseg.jobs.run import run_job

PIXEL = Calibration((25.0, 30.0))


def photons(levels: list[float]) -> NDArray[np.uint16]:
    rng = np.random.default_rng(1)
    truth = np.zeros((40, 50))
    truth[15:] = rng.uniform(0.2, 1.5, 50)
    return np.stack([rng.poisson(level * np.exp(-truth)) for level in levels]).astype(np.uint16)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with an image and a stack of three energies."""
    folder = tmp_path / "Größe 1 µm"
    write_image(folder / "single ü.tif", Image(photons([900])[0], "YX", PIXEL))
    write_image(folder / "energies.tif", Image(photons([900, 500, 1200]), "ZYX", PIXEL))
    return folder


@pytest.mark.parametrize("given", ["percentile", "region", "reference", "rows"])
def test_file_command_and_python_give_the_same(images: Path, tmp_path: Path, given: str) -> None:
    options: dict[str, tuple[list[str], dict[str, Any], dict[str, Any]]] = {
        "percentile": (["--percentile", "95", "--dark", "3", "--clip"], {"percentile": 95, "dark": 3, "clip": 1}, {}),
        "rows": (["--rows", "0", "14", "--floor", "none"], {"rows": (0, 14), "floor": None}, {}),
        "region": ([], {}, {"region": np.arange(2000).reshape(40, 50) < 500}),
        "reference": ([], {}, {"reference": photons([1000])[0] + 1}),
    }  # fmt: skip
    words, config, beside = options[given]
    paths = {}
    for name, array in beside.items():
        paths[name] = tmp_path / f"{name}.tif"
        tifffile.imwrite(paths[name], array.astype(np.uint16))
        words = [*words, f"--{name}", str(paths[name])]
    result = CliRunner().invoke(app, ["density", str(images), "--out", str(tmp_path / "od"), *words, "--json"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout.splitlines()[-1])
    job = DensityJob(config=config, images=(images,), out=tmp_path / "again", **paths)
    run_job(DensityJob.parse(yaml.safe_load(job.to_yaml())))
    for name in ("single ü", "energies"):
        found = optical_density(read_image(images / f"{name}.tif"), DensityConfig.parse(config), **beside)
        written = read_image(tmp_path / "od" / f"{name}.tif")
        np.testing.assert_array_equal(written.data, found.image.data)
        assert written.data.dtype == np.float32
        assert (written.axes, written.calibration) == (found.image.axes, PIXEL)
        assert (tmp_path / "od" / f"{name}.tif").read_bytes() == (tmp_path / "again" / f"{name}.tif").read_bytes()
        record = yaml.safe_load((tmp_path / "od" / f"{name}.run.yaml").read_text(encoding="utf-8"))
        assert record["figures"]["incident"] == found.incident.tolist()
        assert set(record["inputs"]) == {str(images / f"{name}.tif"), *map(str, paths.values())}
        assert {"image": name, "incident": found.incident.tolist()} in figures["incident"]
        assert figures["files"][name] == str(tmp_path / "od" / f"{name}.tif")
    assert figures["images"] == 2


def test_raised_pixels_are_told_and_counted(
    tmp_path: Path,
) -> None:
    image = photons([900])[0].astype(np.float32)
    image[30, :3] = 0, -4, 0
    write_image(tmp_path / "dark.tif", Image(image))
    events, result = events_of(lambda: density_job(DensityJob(images=(tmp_path / "dark.tif",), out=tmp_path / "od")))
    assert [event for event in events if event == Progress(1, 1, "images")]
    (notice,) = [event.message for event in events if isinstance(event, Notice)]
    assert "3 of 2000 pixels" in notice
    assert (result.figures["raised"], result.figures["not_positive"]) == (3, 3)


def test_what_is_finished_stays_when_it_is_cancelled(images: Path, tmp_path: Path) -> None:
    job = DensityJob(images=(images,), out=tmp_path / "od")
    leave_at(lambda event: event == Progress(1, 2, "images"), lambda: density_job(job))
    assert sorted(path.name for path in (tmp_path / "od").iterdir()) == ["energies.run.yaml", "energies.tif"]


def test_no_input_is_replaced(images: Path, tmp_path: Path) -> None:
    content = (images / "single ü.tif").read_bytes()
    with pytest.raises(NanosegError, match=r"would replace .*energies\.tif"):
        density_job(DensityJob(images=(images,), out=images))
    write_image(tmp_path / "od" / "single ü.tif", Image(photons([800])[0]))
    job = DensityJob(images=(images,), out=tmp_path / "od", reference=tmp_path / "od" / "single ü.tif")
    with pytest.raises(NanosegError, match=r"would replace .*od.single ü\.tif"):
        density_job(job)
    assert (images / "single ü.tif").read_bytes() == content


def test_bad_files_are_refused_before_anything_is_written(images: Path, tmp_path: Path) -> None:
    colours, nan = tmp_path / "colours.tif", tmp_path / "nan.tif"
    tifffile.imwrite(colours, np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8), photometric="rgb")
    tifffile.imwrite(nan, np.where(np.eye(40, 50) > 0, np.nan, 1).astype(np.float32))
    empty, large = tmp_path / "empty.tif", tmp_path / "large.tif"
    write_labels(empty, np.zeros((40, 50), np.int32))
    write_image(large, Image(photons([900])[0][:30]))
    single = images / "single ü.tif"
    for job, words in (
        ({"images": (colours,)}, "has colours"),
        ({"images": (nan,)}, "NaN"),
        ({"images": (tmp_path / "none.tif",)}, "no image"),
        ({"images": (single,), "region": empty}, "is empty"),
        ({"images": (single,), "reference": large}, "30 x 50 pixels but"),
        ({"images": (single,), "reference": colours}, "has colours"),
        ({"images": (single,), "config": {"rows": (30, 41)}}, "has 40 rows"),
    ):
        with pytest.raises(NanosegError, match=words):
            density_job(DensityJob.parse({**job, "out": tmp_path / "od"}))
    assert not (tmp_path / "od").exists()
