"""Sweeps in the Train dock: what is varied, what is refused, the table, and the best model at the end."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QGuiApplication

from napari_nanoseg._gui import sweeping
from napari_nanoseg._gui.settings import Settings
from napari_nanoseg._gui.train import LAYERS, Train
from napari_nanoseg._gui.variations import Variations
from napari_nanoseg.config.sweep import SweepJob
from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Epoch, JobResult, Progress, Stage, checkpoint, tell
from napari_nanoseg.io.atomic import write_text
from napari_nanoseg.io.datasets import write_sample
from napari_nanoseg.io.model_library import export_model, starter_folder
from napari_nanoseg.samples import Sample

FIGURES = {"best": "seed=2", "f1": 0.875, "trainings": 2, "failed": 0, "validation_images": 1}
HEAD = "seed,f1,precision,recall,panoptic_quality,mean_matched_iou,validation_loss,steps,training_s,folder,problem\n"


class Child:
    """Stands for the process of a sweep."""

    def __init__(self) -> None:
        self.jobs: list[SweepJob] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.error: Exception | None = None

    def __call__(self, job: SweepJob, *, env: dict[str, str], gently: bool) -> JobResult:
        assert gently
        self.jobs.append(job)
        write_text(job.out / "job.yaml", job.to_yaml())
        tell(Stage("training", "Training 1 of 2: seed 1."))
        tell(Epoch(1, 1, {"loss": 0.75}, {"loss": 0.5}, 10.0, 0.0))
        write_text(job.out / "sweep.csv", HEAD + "1,0.5,0.5,0.5,0.4,0.8,1.25,300,42.0,seed=1,\n")
        tell(Progress(1, 2, "trainings"))
        while not self.go_on.wait(0.01):
            checkpoint()
        if self.error is not None:
            raise self.error
        tell(Stage("training", "Training 2 of 2: seed 2."))
        rows = "1,0.5,0.5,0.5,0.4,0.8,1.25,300,42.0,seed=1,\n2,,,,,,,,,seed=2,Something was wrong.\n"
        write_text(job.out / "sweep.csv", HEAD + rows)
        export_model(starter_folder(), job.out / "best.zip")
        return JobResult(FIGURES, {"model": str(job.out / "best.zip")})


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    chosen = Settings("cpu", tmp_path / "Modelle", 2)
    monkeypatch.setattr("napari_nanoseg._gui.train.settings", lambda: chosen)
    monkeypatch.setattr("napari_nanoseg._gui.start_from.settings", lambda: chosen)
    return chosen.models


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Child:
    child = Child()
    monkeypatch.setattr(sweeping, "run_in_child", child)
    return child


@pytest.fixture
def dock(models: Path, make_sample: Callable[..., Sample], tmp_path: Path, child: Child, qtbot: QtBot) -> Train:
    """The dock with a dataset of two images and a sweep over two seeds."""
    dock = Train(ViewerModel())
    qtbot.addWidget(dock)
    for seed, name in enumerate("ab"):
        write_sample(tmp_path / "discs", make_sample(name, seed, shape=(96, 96)))
    dock.session.put("dataset", tmp_path / "discs")
    dock.sweep.open()
    vary(dock, {"seed": (1, 2)})
    return dock


def vary(dock: Train, value: object) -> None:
    dock.sweep.variations.put(value)
    dock.sweep.refresh()


def finish(dock: Train, act: Callable[[], object], qtbot: QtBot) -> None:
    with qtbot.waitSignal(dock.panel.ended, timeout=30_000):
        act()
        assert dock.running, dock.panel.messages.texts("error")


def said(dock: Train, kind: str = "info") -> str:
    return " ".join(dock.panel.messages.texts(kind))


def test_the_best_model_is_the_one_to_segment_with(
    dock: Train, child: Child, models: Path, tmp_path: Path, qtbot: QtBot
) -> None:
    assert dock.sweep.said.text() == "2 trainings"
    finish(dock, dock.sweep.start_button.click, qtbot)
    (job,) = child.jobs
    assert job == SweepJob(
        config=TrainConfig(device="cpu"), dataset=tmp_path / "discs", out=models / "discs sweep", vary={"seed": (1, 2)}
    )
    assert dock.session.model == models / "discs"
    assert (models / "discs" / "weights.safetensors").is_file()
    assert said(dock) == (
        "The best of 2 trainings is seed=2, with an F1 of 0.875 on 1 validation image. "
        f"The model is in {models / 'discs'}."
    )
    table = dock.trainings.table
    assert table is not None
    assert list(table.columns) == [
        "Seed", "F1", "Precision", "Recall", "Panoptic quality", "Mean matched IoU", "Validation loss", "Seconds",
        "Problem",
    ]  # fmt: skip
    assert table["Problem"].tolist()[1] == "Something was wrong."
    assert dock.name.text() == "discs 2"


def test_the_table_grows_and_a_cancelled_sweep_goes_on(dock: Train, child: Child, models: Path, qtbot: QtBot) -> None:
    child.go_on.clear()
    dock.sweep.start_button.click()
    qtbot.waitUntil(lambda: dock.trainings.isVisibleTo(dock))
    assert dock.trainings.table is not None
    assert "Problem" not in dock.trainings.table
    assert not dock.sweep.start_button.isEnabled()
    finish(dock, dock.panel.cancel, qtbot)
    assert said(dock) == (
        f"Cancelled. What is finished is kept in {models / 'discs sweep'}; running the sweep again goes on with it."
    )
    child.go_on.set()
    finish(dock, dock.sweep.start_button.click, qtbot)
    assert [job.resume for job in child.jobs] == [False, True]


def test_why_it_failed_is_said(dock: Train, child: Child, models: Path, qtbot: QtBot) -> None:
    child.error = NanosegError("All 2 trainings failed.")
    finish(dock, dock.sweep.start_button.click, qtbot)
    assert "All 2 trainings failed." in said(dock, "error")
    assert dock.session.model is None


def test_what_is_wrong_is_said_with_the_labels(dock: Train, child: Child) -> None:
    for value, sentence in (
        ({"learning_rate": (5.0,)}, "⚠ 'Learning rate' is 5.0: it must be at most 1.0."),
        (["engine.n_rays=a"], "⚠ 'Network: Rays' is 'a': it must be a whole number."),
        (["seed=1", "seed=2"], "⚠ 'Seed' is there twice; give all of its values at once."),
        (["seed="], "⚠ 'Seed' has no values"),
    ):
        vary(dock, value)
        assert dock.sweep.said.text().startswith(sentence)
        assert not dock.sweep.start_button.isEnabled()
        assert not dock.sweep.copy_button.isEnabled()
    vary(dock, {})
    assert dock.sweep.said.text() == "⚠ Nothing is varied; give at least one field with its values."
    vary(dock, {"engine.n_rays": (16, 32)})
    assert dock.sweep.start_button.isEnabled()
    dock.start_from.choose(starter_folder())
    assert "start from a model" in dock.sweep.said.text()


def test_layers_are_one_image_and_too_few(dock: Train, child: Child) -> None:
    dock.source.setCurrentText(LAYERS)
    dock.sweep.start_button.click()
    assert "choose a dataset folder" in said(dock, "error")
    assert not child.jobs


def test_the_command_does_the_same_sweep(dock: Train, tmp_path: Path, models: Path) -> None:
    dock.sweep.copy_button.click()
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert shlex.split(clipboard.text()) == [
        "nanoseg", "sweep", "stardist", str(tmp_path / "discs"), "--out", str(models / "discs sweep"),
        "--vary", "seed=1,2", "--device", "cpu",
    ]  # fmt: skip


def test_rows_are_added_changed_and_removed(qtbot: QtBot) -> None:
    editor = Variations()
    qtbot.addWidget(editor)
    editor.set_config(TrainConfig(learning_rate=0.25))
    editor.add_button.click()
    row = editor._rows[0]
    assert row.values.placeholderText() == "0.25, …"
    with qtbot.waitSignal(editor.changed):
        row.values.setText("0.1, 0.2")
    assert editor.get() == ["learning_rate=0.1, 0.2"]
    editor.add_button.click()
    other = editor._rows[1].field
    assert other.currentData() == "batch_size", "a field is not offered twice"
    other.setCurrentIndex(other.findText("Network: Rays"))
    assert editor.get() == ["learning_rate=0.1, 0.2", "engine.n_rays="]
    row.remove.click()
    assert editor.get() == ["engine.n_rays="]
