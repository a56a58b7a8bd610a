from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from followed import leave_at
from typer.testing import CliRunner

from napari_nanoseg.cli import app
from napari_nanoseg.config.nanowires import NanowiresJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Progress
from napari_nanoseg.generators.nanowires.generator import Nanowires
from napari_nanoseg.io.datasets import open_dataset
from napari_nanoseg.io.tables import read_table
from napari_nanoseg.jobs.nanowires import nanowires_job


def job_of(out: Path, **changes: object) -> NanowiresJob:
    config = {"height": 96, "width": 112, "length_nm": 500, "wires": (8, 8), "spheres": (2, 2)}
    config |= changes.pop("config", {})
    return NanowiresJob.parse({"out": out, "count": 4, "workers": 2, "config": config} | changes)


def content(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.suffix in (".tif", ".csv")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_writes_overlaps_classes_and_true_values(tmp_path: Path):
    job = job_of(tmp_path / "Größe 1 µm")
    result = nanowires_job(job)
    dataset = open_dataset(job.out)
    assert len(dataset) == 4
    generator = Nanowires(job.config)
    for index, sample in enumerate(dataset):
        made = generator.sample(index)
        np.testing.assert_array_equal(sample.image.data, made.image.data)
        np.testing.assert_array_equal(sample.instances.classes, made.instances.classes)
        assert all(np.array_equal(*pair) for pair in zip(sample.instances.masks, made.instances.masks, strict=True))
        assert sample.image.calibration.nm_per_pixel == pytest.approx(10)
        table = read_table(job.out / "truth" / f"{sample.name}.csv")
        assert list(table) == list(made.truth)
        assert table["id"].tolist() == sample.instances.ids.tolist()
        np.testing.assert_array_equal(table["length_nm"], made.truth["length_nm"])
        assert table["class"].tolist() == made.truth["class"].tolist()
    categories = json.loads((job.out / "annotations.json").read_text())["categories"]
    assert {entry["name"] for entry in categories} == {"wire", "sphere"}
    record = yaml.safe_load((job.out / "run.yaml").read_text(encoding="utf-8"))
    assert NanowiresJob.parse(record["config"]) == job
    assert record["figures"]["particles"] == result.figures["particles"] == sum(len(one.instances) for one in dataset)


def test_any_number_of_workers_writes_the_same_and_goes_on(tmp_path: Path):
    for workers in (1, 3):
        nanowires_job(job_of(tmp_path / str(workers), workers=workers, config={"deposition": "settled"}))
    assert content(tmp_path / "1") == content(tmp_path / "3")
    leave_at(
        lambda event: isinstance(event, Progress) and event.done == 2,
        lambda: nanowires_job(job_of(tmp_path / "cut", count=100, config={"deposition": "settled"})),
    )
    result = nanowires_job(job_of(tmp_path / "cut", config={"deposition": "settled"}))
    assert result.figures["skipped"] >= 2
    assert content(tmp_path / "cut").items() >= content(tmp_path / "1").items()


def test_the_command_line_starts_from_a_preset(tmp_path: Path):
    typed = ["generate", "nanowires", "--preset", "Au nanorods TEM", "--count", "2", "--seed", "3", "--height", "96"]
    typed += ["--width", "96", "--rods", "3", "5", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, typed)
    assert result.exit_code == 0, result.output
    record = yaml.safe_load((tmp_path / "out" / "run.yaml").read_text(encoding="utf-8"))
    config = record["config"]["config"]
    assert (config["look"], config["rods"], config["seed"], config["wires"]) == ("tem", [3, 5], 3, [0, 0])


def test_a_bad_config_leaves_nothing_behind(tmp_path: Path):
    with pytest.raises(NanosegError, match="500 px"):
        nanowires_job(job_of(tmp_path / "out", config={"length_nm": 5000}))
    assert not (tmp_path / "out").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not touch")
    with pytest.raises(NanosegError, match="choose an empty folder"):
        nanowires_job(job_of(tmp_path / "mine"))
    result = CliRunner().invoke(app, ["generate", "nanowires", "--preset", "gold", "--out", str(tmp_path / "x")])
    assert result.exit_code == 2
    assert "'V2O5 ptychography'" in result.stderr
    assert "option --preset" in result.stderr
