from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import yaml
from followed import events_of, leave_at

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.generate import GenerateJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Progress, Stage
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.datasets import open_dataset, write_sample
from napari_nanoseg.jobs.generate import generate_job
from napari_nanoseg.samples import Image, Sample


@pytest.fixture
def source(tmp_path: Path) -> Path:
    labels = np.zeros((120, 120), np.int32)
    rows, columns = np.ogrid[:120, :120]
    for number, (row, column) in enumerate([(30, 30), (30, 85), (85, 30), (85, 85), (58, 58)], 1):
        labels[(rows - row) ** 2 + (columns - column) ** 2 < 13**2] = number
    grey = np.where(labels > 0, 170, 70) + np.random.default_rng(1).normal(0, 3, labels.shape)
    image = Image(grey.astype(np.uint8), "YX", Calibration((3.0, 3.0)))
    folder = tmp_path / "quelle mit ümlaut"
    write_sample(folder, Sample(image, Instances.from_labels(labels), None, "discs"))
    return folder


def job_of(source: Path, out: Path, **changes: object) -> GenerateJob:
    config = {"height": 96, "width": 112} | changes.pop("config", {})
    return GenerateJob.parse({"source": source, "out": out, "count": 6, "workers": 2, "config": config} | changes)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name + path.parent.name: path.read_bytes() for path in folder.rglob("*.tif")}


def test_writes_a_dataset_with_its_record(source: Path, tmp_path: Path):
    job = job_of(source, tmp_path / "out")
    events, result = events_of(lambda: generate_job(job))
    assert [event.name for event in events if isinstance(event, Stage)] == ["prepare", "generate"]
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2, 3, 4, 5, 6]
    dataset = open_dataset(tmp_path / "out")
    assert len(dataset) == 6
    assert dataset[0].image.calibration.nm_per_pixel == pytest.approx(3.0)
    assert sum(len(sample.instances) for sample in dataset) == result.figures["particles"]
    assert not (tmp_path / "out" / "annotations.json").exists()
    record = yaml.safe_load((tmp_path / "out" / "run.yaml").read_text(encoding="utf-8"))
    assert GenerateJob.parse(record["config"]) == job
    assert record["figures"]["images"] == 6
    assert list(record["inputs"]) == [str(source)]


@pytest.mark.parametrize("mode", ["occlusion", "transmission"])
def test_any_number_of_workers_writes_the_same(source: Path, tmp_path: Path, mode: str):
    config = {"contrast_mode": mode, "overlap": "free", "max_overlap": (0.8,)}
    for workers in (1, 3):
        generate_job(job_of(source, tmp_path / str(workers), workers=workers, config=config))
    assert content(tmp_path / "1") == content(tmp_path / "3")
    samples = [list(open_dataset(tmp_path / str(workers))) for workers in (1, 3)]
    for one, other in zip(*samples, strict=True):
        assert np.array_equal(one.instances.to_labels(), other.instances.to_labels())
    assert any(sample.instances.overlapping for sample in samples[0]) == (mode == "transmission")


@pytest.mark.parametrize("mode", ["occlusion", "transmission"])
def test_continues_after_closing(source: Path, tmp_path: Path, mode: str):
    config = {"contrast_mode": mode, "overlap": "free", "max_overlap": (0.8,)}
    threads = threading.active_count()
    leave_at(
        lambda event: isinstance(event, Progress) and event.done == 4,
        lambda: generate_job(job_of(source, tmp_path / "out", count=200, config=config)),
    )
    assert threading.active_count() == threads
    kept = content(tmp_path / "out")
    finished = len(open_dataset(tmp_path / "out"))
    assert 4 <= finished <= 8  # those that the two workers were busy with are finished
    generate_job(job_of(source, tmp_path / "whole", count=finished + 3, config=config))
    result = generate_job(job_of(source, tmp_path / "out", count=finished + 3, config=config))
    assert result.figures["skipped"] >= 4
    assert content(tmp_path / "out").items() >= kept.items()
    assert content(tmp_path / "out").keys() >= content(tmp_path / "whole").keys()
    whole = {sample.name: sample.instances for sample in open_dataset(tmp_path / "whole")}
    again = {sample.name: sample.instances for sample in open_dataset(tmp_path / "out")}
    for name, instances in whole.items():
        assert np.array_equal(instances.areas, again[name].areas)


def test_a_finished_folder_is_left_alone(source: Path, tmp_path: Path):
    job = job_of(source, tmp_path / "out", count=2)
    generate_job(job)
    record = (tmp_path / "out" / "run.yaml").read_bytes()
    assert generate_job(job).figures["skipped"] == 2
    assert (tmp_path / "out" / "run.yaml").read_bytes() == record


def test_refuses_a_folder_of_something_else(source: Path, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not touch")
    with pytest.raises(NanosegError, match="choose an empty folder"):
        generate_job(job_of(source, tmp_path / "mine"))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    generate_job(job_of(source, tmp_path / "out", count=1))
    with pytest.raises(NanosegError, match="another config"):
        generate_job(job_of(source, tmp_path / "out", config={"seed": 1}))
    with pytest.raises(NanosegError, match="choose an empty folder"):
        generate_job(job_of(source, source))
    with pytest.raises(NanosegError, match=r"thesis\.txt"):
        generate_job(job_of(source, tmp_path / "mine" / "thesis.txt" / "out"))


def test_says_when_there_is_only_one_particle(tmp_path: Path):
    labels = np.zeros((80, 80), np.int32)
    labels[30:50, 30:50] = 1
    grey = (60 + 100 * labels + np.random.default_rng(0).integers(0, 9, labels.shape)).astype(np.uint8)
    write_sample(tmp_path / "one", Sample(Image(grey), Instances.from_labels(labels)))
    events = events_of(lambda: generate_job(job_of(tmp_path / "one", tmp_path / "out", count=1)))[0]
    assert any(isinstance(event, Notice) and "one particle" in event.message for event in events)


def test_a_missing_source_is_one_sentence(tmp_path: Path):
    with pytest.raises(NanosegError, match="images"):
        generate_job(job_of(tmp_path / "nothing", tmp_path / "out"))
    assert not (tmp_path / "out").exists()
