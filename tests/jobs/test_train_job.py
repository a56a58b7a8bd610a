"""Training: what it holds out, records and refuses, and that neither Cancel nor a kill loses what was learned."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
import yaml
from followed import events_of, leave_at

from napari_nanoseg.config.generate import CutPasteConfig, GenerateJob
from napari_nanoseg.config.jobs import read_job
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.engines.training import CHECKPOINT
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Epoch, Event, Notice, Progress, listening
from napari_nanoseg.io.datasets import open_dataset, write_sample
from napari_nanoseg.io.model_library import starter_folder
from napari_nanoseg.io.run_record import sha256
from napari_nanoseg.jobs.child_process import run_in_child
from napari_nanoseg.jobs.failures import JobCrashError
from napari_nanoseg.jobs.generate import generate_job
from napari_nanoseg.jobs.start import starting_model
from napari_nanoseg.jobs.train import split, train_job
from napari_nanoseg.samples import Sample

TINY = StarDistConfig(unet_n_filter_base=4, unet_n_depth=2, net_conv_after_unet=16, n_rays=16)
FILES = {"checkpoint.pt", "history.csv", "job.yaml", "model.yaml", "preview.png", "run.yaml", "weights.safetensors"}


def tiny(**changes) -> TrainConfig:
    values = {
        "engine": TINY,
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
    return TrainConfig(**(values | changes))


@pytest.fixture(scope="module")
def dataset(make_sample: Callable[..., Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "Größe 1 µm"
    for seed, name in enumerate(["a", "b ü", "c"]):
        write_sample(folder, make_sample(name, seed, shape=(96, 96)))
    return folder


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Sample], list[Sample], int]]:
    """What the engine was given: training images, validation images, synthetic patches per real one."""
    calls = []
    from napari_nanoseg.engines.stardist import train as engine

    original = engine.train_stardist

    def spy(config, samples, validation, synthetic_per_real, *rest, **options):
        calls.append((list(samples), list(validation), synthetic_per_real))
        return original(config, samples, validation, synthetic_per_real, *rest, **options)

    monkeypatch.setattr(engine, "train_stardist", spy)
    return calls


def steps_of(events: list[Event]) -> list[int]:
    return [event.done for event in events if isinstance(event, Progress) and event.unit == "steps"]


def test_leaves_a_model_and_its_run_record(dataset, tmp_path):
    job = TrainJob(config=tiny(seed=5), dataset=dataset, out=tmp_path / "mödel 1")
    events, result = events_of(lambda: train_job(job))
    assert steps_of(events) == [1, 2, 3, 4]
    assert [event.epoch for event in events if isinstance(event, Epoch)] == [1, 2]
    assert {path.name for path in job.out.iterdir()} == FILES
    assert all(Path(path).exists() for path in result.files.values())
    record = yaml.safe_load((job.out / "run.yaml").read_text(encoding="utf-8"))
    assert TrainJob.parse(record["config"]) == job.model_copy(
        update={"start_from": None, "config": tiny(seed=5, learning_rate=3e-3, scale=(0.75, 1.35))}
    ), "with what was left open"
    assert record["seed"] == 5
    assert record["device"] == "cpu"
    assert record["versions"]["torch"] == torch.__version__.split("+")[0]
    assert record["inputs"] == {str(dataset): sha256(dataset)}
    assert record["figures"] == result.figures
    assert result.figures["steps"] == 4
    assert load_model(job.out).card.provenance == record


@pytest.mark.parametrize("fraction", [0.0, 0.15, 0.5, 0.99])
@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_no_image_serves_training_and_validation(make_sample, fraction, count):
    one = make_sample("a", 0, shape=(96, 96))
    samples = [Sample(one.image, one.instances, None, str(number)) for number in range(count)]
    training, validation = split(samples, tiny(validation_fraction=fraction))
    names = [sample.name for sample in training + validation]
    assert sorted(names) == sorted(sample.name for sample in samples)
    assert training
    assert len(validation) == (0 if fraction == 0 or count == 1 else min(count - 1, max(1, round(fraction * count))))


def test_one_image_is_held_out_by_the_seed(dataset, given, tmp_path):
    for number, seed in enumerate([0, 0, 1, 2, 3]):
        train_job(TrainJob(config=tiny(steps=1, seed=seed), dataset=dataset, out=tmp_path / str(number)))
    held_out = [[sample.name for sample in validation] for _, validation, _ in given]
    assert all(len(names) == 1 for names in held_out)
    assert held_out[0] == held_out[1]
    assert len({names[0] for names in held_out}) > 1
    for training, validation, _ in given:
        assert not {sample.name for sample in training} & {sample.name for sample in validation}
        assert len(training) == 2


def test_a_dataset_for_validation_leaves_all_others_for_training(dataset, given, make_sample, tmp_path):
    write_sample(tmp_path / "held", make_sample("v", 9, shape=(96, 96)))
    job = TrainJob(config=tiny(steps=1), dataset=dataset, validation=tmp_path / "held", out=tmp_path / "m")
    train_job(job)
    ((training, validation, _),) = given
    assert [sample.name for sample in training] == ["a", "b ü", "c"]
    assert [sample.name for sample in validation] == ["v"]
    record = yaml.safe_load((tmp_path / "m" / "run.yaml").read_text(encoding="utf-8"))
    assert list(record["inputs"]) == [str(dataset), str(tmp_path / "held")]


def test_only_generated_images_get_no_synthetic_ones_on_top(dataset, monkeypatch, tmp_path):
    made = tmp_path / "made"
    config = CutPasteConfig(height=96, width=96)
    generate_job(GenerateJob(config=config, source=dataset, out=made, count=2, workers=1))
    real = tmp_path / "real"
    for sample in open_dataset(dataset):
        write_sample(real, sample)
    asked = []

    def engine(config, samples, validation, synthetic_per_real, *_, **__):
        asked.append(synthetic_per_real)
        raise NanosegError("Enough.")

    monkeypatch.setattr("napari_nanoseg.engines.stardist.train.train_stardist", engine)
    for folder, wish in [(made, None), (made, 3), (dataset, None), (dataset, 0)]:
        with pytest.raises(NanosegError, match="Enough"):
            train_job(TrainJob(config=tiny(synthetic_per_real=wish), dataset=folder, out=tmp_path / "m"))
    assert asked == [0, 3, 5, 0]
    # A run record of another job, or any other run.yaml, does not make real images synthetic.
    for text in ("config: {job: segment}\n", "config: [1, 2]\n", "nothing: [\n"):
        (real / "run.yaml").write_text(text)
        with pytest.raises(NanosegError, match="Enough"):
            train_job(TrainJob(config=tiny(synthetic_per_real=None), dataset=real, out=tmp_path / "m"))
        assert asked.pop() == 5, text
    wish = tiny(synthetic_per_real=None)
    job = TrainJob(config=wish, dataset=real, out=tmp_path / "m", start_from=Path("starter"))
    with pytest.raises(NanosegError, match="Enough"):
        train_job(job)
    assert asked.pop() == 0  # real patches only: the starter knows what a particle is


def test_a_folder_that_holds_a_model_is_refused_and_kept(dataset, tmp_path):
    job = TrainJob(config=tiny(steps=1), dataset=dataset, out=tmp_path / "m")
    train_job(job)
    before = sha256(job.out)
    with pytest.raises(NanosegError, match="already holds a model"):
        train_job(job)
    assert sha256(job.out) == before


def test_resuming_without_a_checkpoint_begins_anew(dataset, tmp_path):
    job = TrainJob(config=tiny(steps=2), dataset=dataset, out=tmp_path / "m", resume=True)
    events, result = events_of(lambda: train_job(job))
    assert any(isinstance(event, Notice) and "no checkpoint" in event.message for event in events)
    assert steps_of(events) == [1, 2]
    assert result.figures["steps"] == 2


def test_the_job_in_the_folder_resumes_the_training_from_anywhere(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(dataset.parent)
    job = TrainJob(config=tiny(), dataset=Path(dataset.name), out=Path("../m"))
    leave_at(lambda event: isinstance(event, Progress) and event.unit == "steps", lambda: train_job(job))
    monkeypatch.chdir(tmp_path)
    saved = read_job(dataset.parent / "../m/job.yaml")
    assert isinstance(saved, TrainJob)
    assert not saved.resume
    events, result = events_of(lambda: train_job(saved.model_copy(update={"resume": True})))
    assert steps_of(events)[0] > 1
    assert result.figures["steps"] == 4


def test_more_steps_train_longer(dataset, tmp_path):
    job = TrainJob(config=tiny(steps=3), dataset=dataset, out=tmp_path / "m")
    train_job(job)
    longer = job.model_copy(update={"resume": True, "config": tiny(steps=8)})
    events, result = events_of(lambda: train_job(longer))
    assert steps_of(events) == [4, 5, 6, 7, 8]
    assert result.figures["steps"] == 8
    epochs = [event for event in events if isinstance(event, Epoch)]
    assert [event.epoch for event in epochs] == [3, 4, 5]
    assert all(np.isfinite(event.losses["loss"]) for event in epochs)


def test_resuming_what_is_finished_changes_no_weight(dataset, tmp_path):
    job = TrainJob(config=tiny(), dataset=dataset, out=tmp_path / "m")
    train_job(job)
    weights = (job.out / "weights.safetensors").read_bytes()
    events, _ = events_of(lambda: train_job(job.model_copy(update={"resume": True})))
    assert steps_of(events) == []
    assert (job.out / "weights.safetensors").read_bytes() == weights


@pytest.mark.parametrize("unit", ["steps", "validation patches"])
@pytest.mark.parametrize("occurrence", [1, 2, 3])
def test_cancelled_anywhere_it_goes_on_as_if_nothing_had_happened(dataset, tmp_path, unit, occurrence):
    config = tiny(schedule="constant")
    whole, cut = (TrainJob(config=config, dataset=dataset, out=tmp_path / name) for name in ("whole", "cut"))
    expected = train_job(whole).figures
    met = count(1)
    leave_at(
        lambda event: isinstance(event, Progress) and event.unit == unit and next(met) == occurrence,
        lambda: train_job(cut),
    )
    load_model(cut.out)
    events, result = events_of(lambda: train_job(cut.model_copy(update={"resume": True})))
    done = [event for event in events if isinstance(event, Notice) and "Going on after step" in event.message]
    assert len(done) == 1
    assert steps_of(events) == list(range(5 - len(steps_of(events)), 5))
    assert result.figures["validation_loss"] == pytest.approx(expected["validation_loss"], rel=1e-4)
    history = [(tmp_path / name / "history.csv").read_text().split() for name in ("whole", "cut")]
    first, second = (np.array([line.split(",") for line in lines[1:]], float) for lines in history)
    np.testing.assert_allclose(second, first, rtol=1e-3)


def test_starts_from_a_keras_model(dataset, shared_data, tmp_path):
    start = shared_data / "reference_models" / "stardist_2d"
    job = TrainJob(config=tiny(steps=8), dataset=dataset, out=tmp_path / "m", start_from=start)
    train_job(job)
    before, after = load_model(start), load_model(tmp_path / "m")
    assert after.card.network == before.card.network
    moved = [
        float((new - old).abs().max())
        for new, old in zip(after.network.state_dict().values(), before.network.state_dict().values(), strict=True)
    ]
    assert 0 < max(moved) < 0.1
    record = yaml.safe_load((tmp_path / "m" / "run.yaml").read_text(encoding="utf-8"))
    assert list(record["inputs"]) == [str(dataset), str(start)]


def test_a_model_can_be_loaded_at_every_moment_of_saving_another(dataset, tmp_path, monkeypatch):
    config = tiny(steps=1)
    for name in ("one", "two"):
        train_job(TrainJob(config=config.model_copy(update={"seed": len(name)}), dataset=dataset, out=tmp_path / name))
        config = tiny(steps=2)
    new, seen, original = load_model(tmp_path / "two"), [], Path.replace

    def replace(self, target):
        original(self, target)
        seen.append(float(next(iter(load_model(tmp_path / "one").network.parameters())).detach().sum()))
        return target

    before = float(next(iter(load_model(tmp_path / "one").network.parameters())).detach().sum())
    monkeypatch.setattr(Path, "replace", replace)
    new.save(tmp_path / "one")
    after = float(next(iter(new.network.parameters())).detach().sum())
    assert before != after
    assert seen == [before, after, after]


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run after some seconds."""
    return psutil.wait_procs([p for p in processes if p.is_running()], timeout=15)[1]


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_killed_at_any_moment_it_resumes_and_leaves_no_process(dataset, tmp_path):
    job = TrainJob(config=tiny(steps=60, workers=1), dataset=dataset, out=tmp_path / "m", resume=True)
    (tmp_path / "job ä.yaml").write_text(job.to_yaml(), encoding="utf-8")
    command = [sys.executable, "-m", "napari_nanoseg", "run", str(tmp_path / "job ä.yaml"), "--events"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
    ) as process:
        assert process.stdout is not None
        assert any('"Epoch"' in line for line in process.stdout), "it ended before its first epoch"
        time.sleep(random.uniform(0, 0.2))  # any moment of the steps and of writing a checkpoint
        processes = family(process.pid)
        assert len(processes) > 1, "no worker prepares patches"
        os.kill(process.pid, signal.SIGKILL)
    assert alive(processes) == []
    load_model(job.out)
    events, result = events_of(lambda: train_job(job.model_copy(update={"config": tiny(steps=60)})))
    assert steps_of(events)[0] > 2, "it began anew"
    assert result.figures["steps"] == 60
    assert {path.name for path in job.out.iterdir() if not path.name.startswith(".nanoseg-")} == FILES


SCRIPT = """
import napari_nanoseg as ns
from napari_nanoseg.config.generate import GenerateJob

small = ns.CutPasteConfig(width=96, height=96)
ns.run(GenerateJob(config=small, source={dataset!r}, out={out!r} + "/made", count=4, workers=2))
engine = ns.StarDistConfig(unet_n_filter_base=4, unet_n_depth=2, net_conv_after_unet=16, n_rays=16)
config = ns.TrainConfig(
    engine=engine, steps=3, batch_size=2, patch_size=64, working_diameter=16, device="cpu", optimize_thresholds=False
)
model = ns.train(config, {out!r} + "/made", {out!r} + "/model")
print("done", model.card.network.n_rays, len(model.history))
"""


@pytest.mark.parametrize("way", ["file", "-"])
def test_a_script_without_a_guard_generates_and_trains_once(dataset, tmp_path, way):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(dataset=str(dataset), out=str(tmp_path)), encoding="utf-8")
    with script.open() as source:
        command = [sys.executable, str(script) if way == "file" else way]
        said = subprocess.run(command, stdin=source, capture_output=True, text=True, timeout=120)
    assert (said.stdout, said.stderr) == ("done 16 1\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_a_killed_worker_is_a_sentence_and_no_step_is_lost(dataset, tmp_path):
    config = tiny(steps=100_000, steps_per_epoch=100_000, workers=1)
    done: list[int] = []

    def kill_the_worker(event: Event) -> None:
        if isinstance(event, Progress) and event.unit == "steps" and not done:
            done.append(event.done)
            (worker,) = (
                p for p in psutil.Process().children(recursive=True) if "batch_worker" in " ".join(p.cmdline())
            )
            worker.kill()

    with (
        pytest.raises(NanosegError, match=r"ended from outside.*resume the training") as caught,
        listening(kill_the_worker),
    ):
        run_in_child(TrainJob(config=config, dataset=dataset, out=tmp_path / "m"))
    assert not isinstance(caught.value, JobCrashError)
    assert torch.load(tmp_path / "m" / CHECKPOINT, weights_only=True)["state"]["step"] >= done[0]
    load_model(tmp_path / "m")


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_cancelled_in_its_process_it_keeps_the_model_and_ends_all_processes(dataset, tmp_path):
    job = TrainJob(config=tiny(steps=500, workers=1), dataset=dataset, out=tmp_path / "m")
    processes: list[psutil.Process] = []

    def fifth_step(event: Event) -> bool:
        processes[:] = psutil.Process().children(recursive=True)
        return isinstance(event, Progress) and event.unit == "steps" and event.done == 5

    leave_at(fifth_step, lambda: run_in_child(job))
    assert len(processes) > 1
    assert alive(processes) == []
    load_model(job.out)
    assert torch.load(job.out / CHECKPOINT, weights_only=True)["state"]["step"] >= 5
    assert {path.name for path in job.out.iterdir()} == FILES - {"run.yaml"}


def test_starts_from_a_model_of_the_library_and_resumes_from_anywhere(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_nanoseg.io.model_library.models_folder", lambda: tmp_path / "library")
    monkeypatch.chdir(tmp_path)
    start = tmp_path / "library" / "first"
    train_job(TrainJob(config=tiny(), dataset=dataset, out=start))
    job = TrainJob(config=tiny(), dataset=dataset, out=Path("second"), start_from=Path("first"))
    train_job(job)
    record = yaml.safe_load((tmp_path / "second" / "run.yaml").read_text(encoding="utf-8"))
    assert record["inputs"] == {str(dataset): sha256(dataset), str(start): sha256(start)}
    assert record["config"]["start_from"] == str(start)
    assert read_job(tmp_path / "second" / "job.yaml").start_from == start
    with pytest.raises(NanosegError, match="choose one of these: starter, watershed, threshold, first"):
        train_job(job.model_copy(update={"start_from": Path("frist"), "out": Path("third")}))
    with pytest.raises(NanosegError, match="watershed is not a StarDist model"):
        train_job(job.model_copy(update={"start_from": Path("watershed"), "out": Path("third")}))
    assert not (tmp_path / "third").exists()


def test_a_training_starts_from_the_starter_unless_another_network_is_asked_for(dataset, tmp_path):
    def start(config: TrainConfig, **changes) -> Path | None:
        return starting_model(TrainJob(config=config, dataset=dataset, out=tmp_path / "m", **changes))

    assert start(TrainConfig()) == starter_folder()
    assert start(TrainConfig(), start_from=None) is None
    assert start(TrainConfig(engine=TINY)) is None
    assert start(TrainConfig(working_diameter=16.0)) is None
    assert start(TrainConfig(engine=TINY), start_from=Path("starter")) == starter_folder()


def test_what_is_left_open_depends_on_the_start_and_the_rest_is_kept():
    config = TrainConfig(steps=7, working_diameter=None, patience=None)
    scratch, tuning = config.filled(fine_tuning=False), config.filled(fine_tuning=True)
    assert (scratch.steps, scratch.learning_rate, scratch.scale) == (7, 3e-3, (0.75, 1.35))
    assert (tuning.steps, tuning.learning_rate, tuning.scale) == (7, 5e-4, (0.5, 1.8))
    assert tuning.working_diameter is None
    assert TrainConfig(learning_rate=0.1).filled(fine_tuning=True).learning_rate == 0.1


def test_a_fine_tuning_fills_in_what_was_left_open_and_says_what_it_starts_from(dataset, tmp_path):
    config = TrainConfig(steps=1, batch_size=1, synthetic_per_real=0, workers=0, device="cpu")
    events, _ = events_of(lambda: train_job(TrainJob(config=config, dataset=dataset, out=tmp_path / "m")))
    assert any("starts from the model 'starter'" in event.message for event in events if isinstance(event, Notice))
    written = read_job(tmp_path / "m" / "job.yaml")
    assert isinstance(written, TrainJob)
    assert (written.start_from, written.config.learning_rate) == (starter_folder(), 5e-4)
    assert load_model(tmp_path / "m").card.network == load_model("starter").card.network
    again = TrainJob(config=config, dataset=dataset, out=tmp_path / "m", resume=True)
    assert starting_model(again) == starter_folder()
