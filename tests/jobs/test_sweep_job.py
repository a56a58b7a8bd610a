"""Sweeps: the same validation images for all, the best picked on them, and nothing done twice after an interruption."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
import yaml
from followed import events_of, leave_at

from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.sweep import SweepJob
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.matching import evaluate
from napari_nanoseg.events import Event, JobResult, Notice, Progress, Stage
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.datasets import open_dataset, write_sample
from napari_nanoseg.io.model_library import starter_folder
from napari_nanoseg.io.run_record import sha256
from napari_nanoseg.io.tables import read_table
from napari_nanoseg.jobs import sweep
from napari_nanoseg.jobs.child_process import run_in_child
from napari_nanoseg.jobs.failures import JobCrashError
from napari_nanoseg.jobs.run import run_job
from napari_nanoseg.jobs.start import settled
from napari_nanoseg.jobs.sweep import _settled, sweep_job
from napari_nanoseg.jobs.train import fewer, held_out
from napari_nanoseg.samples import Sample

TINY: dict[str, Any] = {
    "engine": StarDistConfig(unet_n_filter_base=8, unet_n_depth=2, net_conv_after_unet=16, n_rays=16),
    "steps": 4,
    "steps_per_epoch": 2,
    "batch_size": 2,
    "patch_size": 64,
    "working_diameter": 16.0,
    "workers": 0,
    "device": "cpu",
    "optimize_thresholds": False,
    "synthetic_per_real": 0,
}


@pytest.fixture(scope="module")
def dataset(make_sample: Callable[..., Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "Größe 1 µm"
    for seed, name in enumerate("abcd"):
        write_sample(folder, make_sample(name, seed, shape=(96, 96)))
    return folder


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[TrainJob]:
    """The trainings, done in this process, where they begin at once."""
    jobs: list[TrainJob] = []

    def here(job: TrainJob) -> JobResult:
        jobs.append(job)
        return run_job(job)

    monkeypatch.setattr(sweep, "run_in_child", here)
    return jobs


def job_of(dataset: Path, out: Path, vary: Any, **changes: Any) -> SweepJob:
    config = TrainConfig(**(TINY | changes.pop("config", {})))
    return SweepJob(config=config, dataset=dataset, out=out, vary=vary, **changes)


def notices(events: list[Event]) -> str:
    return " ".join(event.message for event in events if isinstance(event, Notice))


def test_ends_in_a_table_and_the_model_that_is_best_on_the_validation_images(dataset, trained, tmp_path):
    config = {"steps": 200, "steps_per_epoch": 200, "learning_rate": 4e-3}
    job = job_of(dataset, tmp_path / "sweep", ["learning_rate=1e-7,0.004"], config=config)
    events, result = events_of(lambda: sweep_job(job))
    good, bad = "learning_rate=0.004", "learning_rate=1e-07"
    table = read_table(job.out / "sweep.csv")
    assert table["folder"].tolist() == [bad, good]
    assert table["learning_rate"].tolist() == [1e-7, 0.004]
    assert table["problem"].isna().all()
    assert (table["steps"] == 200).all()
    assert table["f1"][1] > 0.8 > table["f1"][0]
    assert (result.figures["best"], result.figures["f1"]) == (good, pytest.approx(table["f1"][1]))
    assert {name: result.figures[name] for name in ("trainings", "failed", "validation_images")} == {
        "trainings": 2, "failed": 0, "validation_images": 1,
    }  # fmt: skip
    # what is judged is what the model in best/ finds in the held-out image
    (number,) = held_out(4, job.config)
    sample = open_dataset(dataset)[number]
    assert result.figures["f1"] == evaluate(sample.instances, load_model(job.out / "best").segment(sample.image)).f1
    for name in ("weights.safetensors", "run.yaml", "history.csv"):
        assert (job.out / "best" / name).read_bytes() == (job.out / good / name).read_bytes()
    record = yaml.safe_load((job.out / "run.yaml").read_text(encoding="utf-8"))
    assert SweepJob.parse(record["config"]) == job
    assert record["figures"] == result.figures
    assert record["inputs"] == {str(dataset): sha256(dataset)}
    assert set(result.files) == {"model", "table", "run"}
    stages = [event.message for event in events if isinstance(event, Stage)]
    assert f"Training 2 of 2: learning_rate {0.004}." in stages
    assert any(text.startswith("Training 1 of 2: Preparing") for text in stages)
    assert [one for one in events if isinstance(one, Progress) and one.unit == "trainings"] == [
        Progress(1, 2, "trainings"), Progress(2, 2, "trainings"),
    ]  # fmt: skip
    assert {path.name for path in job.out.iterdir()} == {good, bad, "best", "job.yaml", "run.yaml", "sweep.csv"}
    with pytest.raises(NanosegError, match="already holds a sweep"):
        sweep_job(job)


def test_all_hold_out_the_same_images_and_fewer_are_part_of_more(dataset, trained, tmp_path, monkeypatch):
    given: list[tuple[set[str], set[str]]] = []
    from napari_nanoseg.engines.stardist import train as engine

    def spy(config, samples, validation, *_, **__):
        given.append(({one.name for one in samples}, {one.name for one in validation}))
        raise NanosegError("Enough.")
        yield

    monkeypatch.setattr(engine, "train_stardist", spy)
    with pytest.raises(NanosegError, match=r"All 9 trainings failed.*Enough"):
        sweep_job(job_of(dataset, tmp_path / "sweep", {"seed": [0, 1, 2], "images": [1, 2, 3]}))
    assert len({frozenset(validation) for _, validation in given}) == 1
    for first in (0, 3, 6):
        one, two, three = (training for training, _ in given[first : first + 3])
        assert one < two < three
        assert [len(one), len(two), len(three)] == [1, 2, 3]
    assert len({frozenset(training) for training, _ in given[::3]}) > 1, "the seed does not choose the images"


def test_more_images_than_there_are_is_said_before_any_training(dataset, trained, tmp_path):
    with pytest.raises(NanosegError, match="Training on 4 images is asked for, but there are only 3"):
        sweep_job(job_of(dataset, tmp_path / "sweep", {"images": [2, 4]}))
    with pytest.raises(NanosegError, match="only 2"):
        fewer(list(open_dataset(dataset))[:2], TrainConfig(images=3))
    assert not trained
    assert not (tmp_path / "sweep").exists()


def test_without_images_to_validate_on_there_is_no_sweep(dataset, make_sample, trained, tmp_path):
    write_sample(tmp_path / "one", make_sample("a", 1, shape=(96, 96)))
    with pytest.raises(NanosegError, match="has one image; annotate a second image"):
        sweep_job(job_of(tmp_path / "one", tmp_path / "sweep", {"seed": [1]}))
    with pytest.raises(NanosegError, match="validation_fraction is 0"):
        sweep_job(job_of(dataset, tmp_path / "sweep", {"seed": [1]}, config={"validation_fraction": 0}))
    assert not (tmp_path / "sweep").exists()
    job = job_of(tmp_path / "one", tmp_path / "sweep", {"seed": [1]}, validation=dataset)
    assert sweep_job(job).figures["validation_images"] == 4


def test_a_training_that_fails_is_a_row_that_says_why(dataset, trained, tmp_path):
    job = job_of(dataset, tmp_path / "sweep", {"patch_size": [48, 50, 64]})
    events, result = events_of(lambda: sweep_job(job))
    table = read_table(job.out / "sweep.csv")
    assert table["problem"].isna().tolist() == [True, False, True]
    assert "Patches of 50 px do not suit" in table["problem"][1]
    assert np.isnan(table["f1"][1])
    assert "Training 2 of 3 failed: Patches of 50 px" in notices(events)
    assert (result.figures["trainings"], result.figures["failed"]) == (3, 1)


def test_a_training_whose_process_dies_does_not_end_the_sweep(dataset, tmp_path, monkeypatch):
    def dying(job: TrainJob) -> JobResult:
        if job.config.seed == 1:
            raise JobCrashError("The process of the job was ended by the signal SIGKILL.")
        return run_job(job)

    monkeypatch.setattr(sweep, "run_in_child", dying)
    result = sweep_job(job_of(dataset, tmp_path / "sweep", {"seed": [1, 2]}))
    assert (result.figures["failed"], result.figures["best"]) == (1, "seed=2")
    # the next time it is tried again, and only it
    again: list[int] = []
    monkeypatch.setattr(sweep, "run_in_child", lambda job: again.append(job.config.seed) or run_job(job))
    result = sweep_job(job_of(dataset, tmp_path / "sweep", {"seed": [1, 2]}, resume=True))
    assert again == [1]
    assert result.figures["failed"] == 0


def test_after_a_cancel_only_what_is_missing_is_done(dataset, trained, tmp_path):
    job = job_of(dataset, tmp_path / "sweep", {"seed": [1, 2, 3]})
    steps = 0

    def sixth_step(event: Event) -> bool:
        nonlocal steps
        steps += isinstance(event, Progress) and event.unit == "steps"
        return steps == 6

    leave_at(sixth_step, lambda: sweep_job(job))
    assert read_table(job.out / "sweep.csv")["folder"].tolist() == ["seed=1"]
    first = sha256(job.out / "seed=1")
    trained.clear()
    events, result = events_of(lambda: sweep_job(job.model_copy(update={"resume": True})))
    assert [(one.config.seed, one.resume) for one in trained] == [(2, True), (3, False)]
    assert "Going on after step 2 of 4." in notices(events)
    assert sha256(job.out / "seed=1") == first
    assert read_table(job.out / "sweep.csv")["folder"].tolist() == ["seed=1", "seed=2", "seed=3"]
    assert result.figures["trainings"] == 3


def test_cancelled_while_it_judges_it_trains_nothing_again(dataset, trained, tmp_path):
    job = job_of(dataset, tmp_path / "sweep", {"seed": [1]})
    leave_at(lambda event: isinstance(event, Stage) and event.name == "judge", lambda: sweep_job(job))
    trained.clear()
    assert sweep_job(job.model_copy(update={"resume": True})).figures["best"] == "seed=1"
    assert not trained


def test_more_values_are_added_by_resuming_and_other_settings_refused(dataset, trained, tmp_path):
    job = job_of(dataset, tmp_path / "sweep", {"seed": [1]})
    sweep_job(job)
    more = job_of(dataset, job.out, {"seed": [1, 2]}, resume=True)
    assert sweep_job(more).figures["trainings"] == 2
    assert [one.config.seed for one in trained] == [1, 2]
    other = job_of(dataset, job.out, {"seed": [1, 2]}, resume=True, config={"noise": 0.2})
    with pytest.raises(NanosegError, match="with another value of noise; resume the sweep with the same settings"):
        sweep_job(other)
    elsewhere = job_of(dataset, job.out, {"seed": [1, 2]}, resume=True, config={"workers": 1})
    assert sweep_job(elsewhere).figures["trainings"] == 2
    model = job_of(dataset, job.out / "seed=1", {"seed": [1]}, resume=True)
    with pytest.raises(NanosegError, match="does not hold a sweep"):
        sweep_job(model)
    (job.out / "seed=1" / "run.yaml").write_text("figures: none\n")
    with pytest.raises(NanosegError, match="already holds"):
        sweep_job(job)
    _, result = events_of(lambda: sweep_job(more))
    assert "is damaged; delete the folder" in result.figures["table"][0]["problem"]


def starts(job: SweepJob) -> tuple[set[Path | None], str]:
    """What the trainings of a sweep start from, and what is said about it."""
    events, trials = events_of(lambda: _settled(job))
    return {trial.job.start_from for trial in trials}, notices(events)


def test_all_trainings_have_the_same_start(dataset, tmp_path):
    usual = SweepJob(dataset=dataset, out=tmp_path / "o", vary={"learning_rate": [None, 0.001]})
    assert starts(usual) == ({starter_folder()}, "")
    (first, second) = _settled(usual)
    assert (first.job.config.learning_rate, second.job.config.learning_rate) == (5e-4, 0.001)
    assert first.job == settled(first.job)
    found, said = starts(SweepJob(dataset=dataset, out=tmp_path / "o", vary={"engine.n_rays": [16, 32]}))
    assert found == {None}
    assert "all trainings start from scratch" in said
    assert starts(SweepJob(dataset=dataset, out=tmp_path / "o", vary={"engine.n_rays": [16]})) == ({None}, "")


def test_what_is_found_where_nothing_is_known_does_not_count(make_sample):
    sample = make_sample("a", 0, shape=(96, 96))
    truth = sample.instances
    right = truth.boxes[:, 1] >= 60
    known = np.zeros((96, 96), bool)
    known[:, 60:] = True
    partly = Sample(sample.image, truth[right], known, "a")
    assert 0 < np.count_nonzero(right) < len(truth)
    assert evaluate(partly.instances, truth, known=partly.known).f1 == 1
    assert evaluate(truth[right], truth).precision < 1
    extra = Instances.from_labels(np.pad(np.ones((3, 3), int), ((0, 93), (60, 33))))
    assert evaluate(partly.instances, extra, known=partly.known).false_positives == 1


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_killed_it_goes_on_where_it_was_and_leaves_no_process(dataset, tmp_path):
    job = job_of(dataset, tmp_path / "sweep", {"seed": [1, 2]}, config={"steps": 200})
    (tmp_path / "job.yaml").write_text(job.to_yaml(), encoding="utf-8")
    command = [sys.executable, "-m", "napari_nanoseg", "run", str(tmp_path / "job.yaml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any("Epoch" in line for line in process.stderr), "it ended before its first epoch"
        family = psutil.Process(process.pid).children(recursive=True)
        assert family, "the training has no process of its own"
        process.send_signal(signal.SIGKILL)
    assert psutil.wait_procs([one for one in family if one.is_running()], timeout=15)[1] == []
    load_model(job.out / "seed=1")
    leave_at(
        lambda event: isinstance(event, Notice) and "Going on after step" in event.message,
        lambda: sweep_job(job.model_copy(update={"resume": True})),
    )


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_cancelled_in_its_process_it_keeps_the_step_and_ends_all_processes(dataset, tmp_path):
    config = {"steps": 100_000, "steps_per_epoch": 100_000}
    job = job_of(dataset, tmp_path / "sweep", {"seed": [1, 2]}, config=config)
    family: list[psutil.Process] = []

    def fifth_step(event: Event) -> bool:
        family[:] = psutil.Process().children(recursive=True)
        return isinstance(event, Progress) and event.unit == "steps" and event.done > 4

    *_, last = leave_at(fifth_step, lambda: run_in_child(job))
    assert len(family) >= 2, "the sweep and its training"
    assert psutil.wait_procs([one for one in family if one.is_running()], timeout=15)[1] == []
    checkpoint = torch.load(job.out / "seed=1" / "checkpoint.pt", weights_only=True)
    assert checkpoint["state"]["step"] >= last.done
