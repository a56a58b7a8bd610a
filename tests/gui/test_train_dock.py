"""The Train dock: from layers or a dataset to a model, and what is kept when it ends early."""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

pytest.importorskip("napari")

from followed import events_of
from napari.components import ViewerModel
from napari.layers import Layer
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QGuiApplication, QImage

from napari_nanoseg._gui import training
from napari_nanoseg._gui.contributions import sample_annotated
from napari_nanoseg._gui.settings import Settings
from napari_nanoseg._gui.start_from import StartFrom
from napari_nanoseg._gui.train import DATASET, Train
from napari_nanoseg._gui.training import check_dataset, steps_wanted
from napari_nanoseg.config.jobs import read_job
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Epoch, JobResult, Notice, Progress, Stage, checkpoint, tell
from napari_nanoseg.io.class_maps import open_class_maps, write_class_map
from napari_nanoseg.io.datasets import open_dataset, write_sample
from napari_nanoseg.io.model_library import starter_folder
from napari_nanoseg.jobs.child_process import follow_child
from napari_nanoseg.samples import Sample

FIGURES = {"steps": 300.0, "training_s": 42.0, "validation_loss": 0.5, "validation_accuracy": 0.875}


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of models in the preferences."""
    folder = tmp_path / "Modelle"
    chosen = Settings("cpu", folder, 2)
    monkeypatch.setattr("napari_nanoseg._gui.train.settings", lambda: chosen)
    monkeypatch.setattr("napari_nanoseg._gui.start_from.settings", lambda: chosen)
    monkeypatch.setattr("platformdirs.user_log_path", lambda _: tmp_path / "logs")
    return folder


class Child:
    """Stands for the process of a training: says and leaves what a training does, and waits to be let go on."""

    def __init__(self) -> None:
        self.jobs: list[TrainJob] = []
        self.environments: list[dict[str, str]] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.error: Exception | None = None
        self.saves = True

    def __call__(self, job: TrainJob, *, env: dict[str, str], gently: bool) -> JobResult:
        assert gently
        self.jobs.append(job)
        self.environments.append(env)
        tell(Stage("device", "Using the CPU: no NVIDIA GPU or driver was found."))
        if self.saves:
            self.save(job, 100)
        tell(Progress(100, steps_wanted(job), "steps"))
        preview = job.out / "preview.png"
        QImage(30, 10, QImage.Format.Format_RGB32).save(str(preview))
        tell(Epoch(1, 3, {"loss": 0.75}, {"loss": 0.5}, 10.0, 20.0, str(preview)))
        tell(Notice("No image is left for an honest validation."))
        while not self.go_on.wait(0.01):
            checkpoint()
        if self.error is not None:
            raise self.error
        self.save(job, steps_wanted(job))
        return JobResult(FIGURES, {"model": str(job.out)})

    def save(self, job: TrainJob, steps: int) -> None:
        job.out.mkdir(parents=True, exist_ok=True)
        for name in ("checkpoint.pt", "model.yaml"):
            (job.out / name).write_text("x")
        (job.out / "history.csv").write_text(f"epoch,step\n1,{steps}\n")
        (job.out / "job.yaml").write_text(job.model_copy(update={"resume": False}).to_yaml())


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Child:
    child = Child()
    monkeypatch.setattr(training, "run_in_child", child)
    return child


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def dock(viewer: ViewerModel, qtbot: QtBot) -> Train:
    dock = Train(viewer)
    qtbot.addWidget(dock)
    return dock


@pytest.fixture
def annotated(viewer: ViewerModel, dock: Train) -> Train:
    """The dock with the sample's layers."""
    for data in sample_annotated():
        viewer.add_layer(Layer.create(*data))
    return dock


def finish(dock: Train, act: Callable[[], object], qtbot: QtBot) -> None:
    with qtbot.waitSignal(dock.panel.ended, timeout=30_000):
        act()
        assert dock.running, dock.panel.messages.texts("error")


def offered(dock: Train) -> list[str]:
    items = [dock._next.itemAt(index) for index in range(dock._next.count())]
    return [item.widget().text() for item in items if item is not None]


def errors(dock: Train) -> str:
    return " ".join(dock.panel.messages.texts("error"))


def said(dock: Train) -> str:
    return " ".join(dock.panel.messages.texts("info"))


def test_trains_on_what_is_outlined(annotated: Train, child: Child, models: Path, qtbot: QtBot) -> None:
    annotated.form.setValue(TrainConfig(steps=300, device="cpu"))
    finish(annotated, annotated.panel.start_button.click, qtbot)
    (job,) = child.jobs
    folder = models / "particles"
    assert job == TrainJob(config=TrainConfig(steps=300, device="cpu"), dataset=folder / "annotated", out=folder)
    assert child.environments == [{"OMP_NUM_THREADS": "2"}]
    (sample,) = open_dataset(job.dataset)
    assert len(sample.instances) == 8
    assert said(annotated) == (
        f"Trained 300 steps in 42 s; validation loss 0.5, accuracy 0.88. The model is in {folder}."
    )
    assert annotated.session.model == folder
    assert offered(annotated) == ["Next: Segment"]
    assert annotated.view.device.text() == "Using the CPU: no NVIDIA GPU or driver was found."
    assert annotated.view.epoch.text() == "Epoch 1 of 3: loss 0.75, validation 0.5 (the best so far)."
    assert [name for name, _ in annotated.view.plot.curves()] == ["training", "validation"]
    assert annotated.view.preview.isVisibleTo(annotated)
    assert annotated.view.preview.heightForWidth(300) == 100
    assert "No image is left for an honest validation." in annotated.panel.messages.texts("warning")
    assert annotated.name.text() == "particles 2", "the next model needs another name"


def test_trains_on_a_dataset(
    dock: Train, child: Child, make_sample: Callable[..., Sample], tmp_path: Path, models: Path, qtbot: QtBot
) -> None:
    write_sample(tmp_path / "daten ä", make_sample("a", 1))
    dock.session.put("dataset", tmp_path / "daten ä")
    assert dock.source.currentText() == DATASET
    assert dock.name.text() == "daten ä"
    dock.start_from.choose(tmp_path / "old model")
    finish(dock, dock.panel.start_button.click, qtbot)
    (job,) = child.jobs
    assert (job.dataset, job.out) == (tmp_path / "daten ä", models / "daten ä")
    assert job.start_from == tmp_path / "old model"
    assert not (job.out / "annotated").exists()


def test_the_annotation_is_checked_before_it_is_used(annotated: Train, child: Child, qtbot: QtBot) -> None:
    labels = annotated.session.particles
    assert labels is not None
    data = np.asarray(labels.data).copy()
    data[data > 2] = 0
    labels.data = data
    finish(annotated, annotated.panel.start_button.click, qtbot)
    assert any("2 particles" in text for text in annotated.panel.messages.texts("warning"))


def test_the_diameter_comes_from_the_annotation(annotated: Train, qtbot: QtBot) -> None:
    asked: list[tuple[str, str]] = []
    annotated.form.placeholder = lambda field, text: asked.append((field, text))  # type: ignore[method-assign]
    qtbot.waitUntil(lambda: ("diameter", "56 px, from the annotation") in asked)


def test_cancel_keeps_the_best_model_and_resume_goes_on(
    annotated: Train, child: Child, models: Path, qtbot: QtBot
) -> None:
    folder = models / "particles"
    assert not annotated.resume_button.isEnabled()
    child.go_on.clear()
    annotated.panel.start_button.click()
    qtbot.waitUntil(lambda: annotated.view.epoch.text() != "")
    assert not annotated.resume_button.isEnabled()
    finish(annotated, annotated.panel.cancel, qtbot)
    assert said(annotated) == (
        f"Cancelled. The best model so far is kept in {folder}. Resume goes on with the training."
    )
    assert annotated.session.model == folder
    child.go_on.set()
    assert annotated.resume_button.isEnabled()
    annotated.form.setValue(TrainConfig(steps=77, learning_rate=1e-4, device="cpu"))
    finish(annotated, annotated.resume_button.click, qtbot)
    first, second = child.jobs
    assert second == first.model_copy(update={"resume": True})
    assert len(annotated.view.plot.curves()[0][1]) == 1, "the same epoch again"


def test_a_finished_training_goes_on_for_more_steps(annotated: Train, child: Child, qtbot: QtBot) -> None:
    annotated.form.setValue(TrainConfig(steps=300, device="cpu"))
    finish(annotated, annotated.panel.start_button.click, qtbot)
    annotated.form.setValue(TrainConfig(steps=200, device="cpu"))
    finish(annotated, annotated.resume_button.click, qtbot)
    assert child.jobs[1].config.steps == 500
    assert child.jobs[1].resume


def test_a_training_moved_to_another_folder_goes_on(annotated: Train, child: Child, models: Path, qtbot: QtBot) -> None:
    finish(annotated, annotated.panel.start_button.click, qtbot)
    shutil.move(models / "particles", models / "moved")
    annotated.session.put("model", models / "moved")
    finish(annotated, annotated.resume_button.click, qtbot)
    assert (child.jobs[1].out, child.jobs[1].dataset) == (models / "moved", models / "moved" / "annotated")


def test_a_killed_child_is_a_sentence_and_can_be_resumed(
    annotated: Train, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, models: Path, qtbot: QtBot
) -> None:
    script = tmp_path / "child.py"
    script.write_text(
        textwrap.dedent("""
        import os, sys, time
        from napari_nanoseg.events import Progress, Stage, tell
        from napari_nanoseg.jobs.child_events import speak

        def job():
            tell(Stage("pid", str(os.getpid())))
            while True:
                time.sleep(0.05)
                tell(Progress(1, 2, "steps"))

        sys.exit(speak(job))
        """)
    )

    def killed(job: TrainJob, *, env: dict[str, str], gently: bool) -> JobResult:
        Child().save(job, 100)
        return follow_child([sys.executable, str(script)], env=env)

    monkeypatch.setattr(training, "run_in_child", killed)
    pids: list[int] = []
    annotated.panel.said.connect(
        lambda event: pids.append(int(event.message)) if isinstance(event, Stage) and event.name == "pid" else None
    )
    annotated.panel.start_button.click()
    qtbot.waitUntil(lambda: bool(pids), timeout=20_000)
    with qtbot.waitSignal(annotated.panel.ended, timeout=20_000):
        psutil.Process(pids[0]).kill()
    assert "The process of the job" in errors(annotated)
    assert f"The best model so far is kept in {models / 'particles'}. Resume" in said(annotated)
    assert annotated.resume_button.isEnabled()


def test_before_the_first_model_nothing_is_kept(annotated: Train, child: Child, models: Path, qtbot: QtBot) -> None:
    child.saves, child.error = False, NanosegError("The training diverged; start again with a smaller learning_rate.")
    finish(annotated, annotated.panel.start_button.click, qtbot)
    assert "diverged" in errors(annotated)
    assert said(annotated) == "No model was made yet."
    assert annotated.session.model is None
    assert annotated.name.text() == "particles", "the name is still free"
    child.error = None
    finish(annotated, annotated.panel.start_button.click, qtbot)
    assert annotated.session.model == models / "particles"


def test_a_folder_that_vanishes_is_told(annotated: Train, child: Child, models: Path, qtbot: QtBot) -> None:
    child.go_on.clear()
    annotated.panel.start_button.click()
    qtbot.waitUntil(lambda: annotated.view.epoch.text() != "")
    shutil.rmtree(models)
    child.error = NanosegError("model.yaml cannot be read.")
    finish(annotated, child.go_on.set, qtbot)
    assert said(annotated) == f"The folder {models / 'particles'} is not there any more."
    assert not annotated.resume_button.isEnabled()


def test_deleting_the_layers_has_no_effect(
    annotated: Train, viewer: ViewerModel, child: Child, models: Path, qtbot: QtBot
) -> None:
    child.go_on.clear()
    annotated.panel.start_button.click()
    qtbot.waitUntil(lambda: annotated.view.epoch.text() != "")
    viewer.layers.clear()
    finish(annotated, child.go_on.set, qtbot)
    assert "Trained 300 steps" in said(annotated)
    assert len(open_dataset(models / "particles" / "annotated")[0].instances) == 8


def test_what_is_missing_is_said(dock: Train, viewer: ViewerModel, child: Child, qtbot: QtBot) -> None:
    assert "outline some particles" in dock._hint.text()
    dock.panel.start_button.click()
    assert "No image is open" in errors(dock)
    viewer.add_image(np.arange(64.0).reshape(8, 8), name="a")
    dock.panel.start_button.click()
    assert "no labels layer" in errors(dock)
    labels = viewer.add_labels(np.zeros((9, 9), int), name="b")
    dock.panel.start_button.click()
    assert "'b'" in errors(dock)
    assert "'a'" in errors(dock)
    viewer.layers.remove(labels)
    viewer.add_labels(np.zeros((8, 8), int), name="c")
    dock.panel.start_button.click()
    assert "No particle is outlined" in errors(dock)
    dock.source.setCurrentText(DATASET)
    dock.panel.start_button.click()
    assert "No dataset folder is chosen" in errors(dock)
    assert not child.jobs


@pytest.mark.parametrize(
    ("name", "sentence"),
    [(" ", "has no name"), ("a/b", "cannot be a folder"), (".a", "cannot be a folder"), ("old", "already a model")],
)
def test_a_bad_name_is_refused(
    name: str, sentence: str, annotated: Train, child: Child, models: Path, qtbot: QtBot
) -> None:
    (models / "old").mkdir(parents=True)
    (models / "old" / "model.yaml").write_text("x")
    annotated.name.setText(name)
    annotated.panel.start_button.click()
    assert sentence in errors(annotated)
    assert not child.jobs


def test_a_name_of_the_users_own_is_kept(annotated: Train, viewer: ViewerModel) -> None:
    annotated.name.clear()
    annotated.name.insert("mine")
    annotated.name.textEdited.emit("mine")
    viewer.add_image(np.arange(64.0).reshape(8, 8), name="a: b")
    annotated.session.put("image", viewer.layers["a: b"])
    assert annotated.name.text() == "mine"
    annotated.name.clear()
    annotated.name.textEdited.emit("")
    annotated.session.put("image", viewer.layers["particles"])
    annotated.session.put("image", viewer.layers["a: b"])
    assert annotated.name.text() == "a_ b"


def test_a_read_only_folder_is_a_sentence(annotated: Train, child: Child, models: Path, qtbot: QtBot) -> None:
    models.parent.mkdir(exist_ok=True)
    models.write_text("a file, where a folder should be made: also root may not do that")
    finish(annotated, annotated.panel.start_button.click, qtbot)
    assert f"Cannot write {models}" in errors(annotated)
    assert "choose another folder" in errors(annotated)
    assert not child.jobs


def test_a_form_problem_blocks_the_start(annotated: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotated.form, "problem", lambda: "The field 'steps' is 0: it must be at least 1.")
    annotated.form.valueChanged.emit()
    assert not annotated.panel.start_button.isEnabled()
    monkeypatch.undo()


def test_two_viewers_cannot_train_into_one_folder(
    annotated: Train, child: Child, make_sample: Callable[..., Sample], tmp_path: Path, qtbot: QtBot
) -> None:
    child.saves = False
    child.go_on.clear()
    annotated.panel.start_button.click()
    qtbot.waitUntil(lambda: annotated.view.epoch.text() != "")
    second = ViewerModel()
    other = Train(second)
    qtbot.addWidget(other)
    write_sample(tmp_path / "particles", make_sample("a", 1))
    other.session.put("dataset", tmp_path / "particles")
    finish(other, other.panel.start_button.click, qtbot)
    assert "is running already" in errors(other)
    finish(annotated, child.go_on.set, qtbot)


def test_the_command_does_the_same_job(annotated: Train, child: Child, models: Path, qtbot: QtBot) -> None:
    annotated.form.setValue(TrainConfig(steps=300, device="cpu"))
    finish(annotated, annotated.copy_button.click, qtbot)
    folder = models / "particles"
    assert said(annotated) == (
        f"The command is on the clipboard. It reads the annotation written to {folder / 'annotated'}."
    )
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    words = shlex.split(clipboard.text())
    assert words == [
        "nanoseg", "train", "stardist", str(folder / "annotated"), "--out", str(folder),
        "--steps", "300", "--device", "cpu",
    ]  # fmt: skip
    assert len(open_dataset(folder / "annotated")[0].instances) == 8
    assert not child.jobs
    assert annotated.session.model is None


def test_models_to_start_from(models: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    (models / "discs").mkdir(parents=True)
    card = ModelCard(network=StarDistConfig(), weights_sha256=("0" * 64,))
    (models / "discs" / "model.yaml").write_text(card.to_yaml())
    (models / "discs" / "weights.safetensors").write_text("x")
    box = StartFrom()
    qtbot.addWidget(box)
    texts = [box.itemText(index) for index in range(4)]
    assert texts == ["automatic: a new network", "a new network", "starter", "discs"]
    assert box.path == Path("auto")
    box.activated.emit(3)
    assert box.path == models / "discs"
    (models / "discs").rename(models / "discs again")
    box.refresh()
    assert box.path == Path("auto"), "the model is not there any more"
    other = models.parent / "elsewhere.zip"
    monkeypatch.setattr("napari_nanoseg._gui.model_picker.QFileDialog.getOpenFileName", lambda *_: (str(other), ""))
    box.activated.emit(box.count() - 1)
    assert box.path == other
    assert box.currentText() == "elsewhere.zip"
    shutil.rmtree(models / "discs again")
    box.refresh()
    assert box.path == other
    monkeypatch.setattr("napari_nanoseg._gui.model_picker.QFileDialog.getOpenFileName", lambda *_: ("", ""))
    box.activated.emit(box.count() - 1)
    assert box.path == other


def test_a_real_training(
    dock: Train, make_sample: Callable[..., Sample], tmp_path: Path, models: Path, qtbot: QtBot
) -> None:
    write_sample(tmp_path / "discs", make_sample("a", 1, shape=(96, 96)))
    dock.session.put("dataset", tmp_path / "discs")
    tiny = {"unet_n_filter_base": 8, "unet_n_depth": 2, "net_conv_after_unet": 16, "n_rays": 16}
    config = TrainConfig.parse(
        {"engine": tiny, "steps": 20, "steps_per_epoch": 10, "patch_size": 64, "working_diameter": 16, "workers": 0,
         "device": "cpu", "synthetic_per_real": 0, "optimize_thresholds": False}
    )  # fmt: skip
    dock.form.setValue(config)
    with qtbot.waitSignal(dock.panel.ended, timeout=120_000):
        dock.panel.start_button.click()
    assert not errors(dock)
    assert "Trained 20 steps" in said(dock)
    assert dock.view.device.text() == "Using cpu, as asked."
    assert len(dock.view.plot.curves()[0][1]) == 2
    assert dock.view.preview.isVisibleTo(dock)
    assert (models / "discs" / "weights.safetensors").is_file()
    saved = read_job(models / "discs" / "job.yaml")
    assert isinstance(saved, TrainJob)
    assert saved.config == config.model_copy(update={"learning_rate": 3e-3, "scale": (0.75, 1.35)})
    assert training.steps_done(models / "discs") == 20
    job = training.resumable(models / "discs")
    assert job is not None
    assert job.resume


def test_says_what_the_training_starts_from(annotated: Train) -> None:
    dock = annotated

    def shown(field: str) -> str:
        return dock.form._nones[field]

    assert dock.start_from.currentText() == "automatic: starter"
    assert (shown("steps"), shown("learning_rate")) == ("300, from 'starter'", "0.0005, from 'starter'")
    wider = TrainConfig(engine=StarDistConfig(unet_n_filter_base=32))
    dock.form.setValue(wider)
    assert dock.start_from.currentText() == "automatic: a new network"
    assert shown("steps") == "1500, for a new network"
    dock.start_from.choose(starter_folder())
    assert "settings of the network are not used" in dock._hint.text()
    dock.form.setValue(TrainConfig())
    assert "not used" not in dock._hint.text()
    dock.start_from.choose(None)
    assert shown("steps") == "1500, for a new network"


def test_a_mask_rcnn_starts_from_what_is_one(annotated: Train, models: Path, write_model: Callable[..., Path]) -> None:
    dock = annotated
    write_model(models / "discs")
    dock.form.setValue(TrainConfig(engine=MaskRCNNConfig()))

    def offered() -> list[str]:
        return [dock.start_from.itemText(at) for at in range(dock.start_from.count())]

    assert offered()[:2] == ["automatic: a new network", "a new network"]
    assert "discs" not in offered()
    assert dock.form._nones["learning_rate"] == "0.001, for a new network"
    dock.form.setValue(TrainConfig(engine=MaskRCNNConfig(backbone="resnet50")))
    assert offered()[:3] == ["automatic: weights trained on COCO", "a new network", "weights trained on COCO"]
    assert dock.form._nones["learning_rate"] == "0.0025, from 'weights trained on COCO'"
    assert dock.plan().job.config.optimizer == "sgd"
    dock.form.setValue(TrainConfig())
    assert "discs" in offered()
    assert "weights trained on COCO" not in offered()


def choose_unet(dock: Train, **changes: object) -> None:
    """Choose a U-Net in the box of the form, and change some of its fields."""
    box = dock.form.kinds.boxes["engine"]
    box.setCurrentIndex(box.findText("U-Net"))
    box.activated.emit(box.currentIndex())
    config = dock._config()
    assert isinstance(config.engine, UNetConfig)
    dock.form.setValue(config.model_copy(update={"engine": config.engine.model_copy(update=changes)}))


def test_of_a_unet_nothing_is_asked_about_particles(dock: Train) -> None:
    dock.show()
    dock.form.unfold()
    hidden = ("diameter", "working_diameter", "synthetic_per_real")
    assert dock.form.editor("diameter").isVisible()
    choose_unet(dock)
    assert dock._config() == TrainConfig(device="cpu", engine=UNetConfig())
    assert not any(dock.form.editor(name).isVisible() for name in hidden)
    assert not dock.form.editor("synthetic.height").isVisible()
    assert dock.form.editor("steps").isVisible()
    dock.form.editor("engine.classes").line.setText("crack,  void ,")
    assert dock._config().engine.classes == ("crack", "void")
    box = dock.form.kinds.boxes["engine"]
    box.setCurrentIndex(box.findText("StarDist"))
    box.activated.emit(box.currentIndex())
    assert dock._config() == TrainConfig(device="cpu")
    assert dock.form.editor("diameter").isVisible()


def test_a_unet_trains_on_scribbles_in_a_stack(dock: Train, viewer: ViewerModel, child: Child, qtbot: QtBot) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 20, 30), dtype=np.uint8)
    scribbles = np.zeros(pixels.shape, np.int32)
    viewer.add_image(pixels, name="cathode")
    viewer.add_labels(scribbles, name="cathode: scribbles")
    dock.session.put("image", viewer.layers[0])
    dock.session.put("particles", viewer.layers[1])
    choose_unet(dock, labels="sparse", dimensions="2.5d")
    dock._start()
    assert "Nothing is labelled" in errors(dock)
    scribbles[1, 2:5], scribbles[1, 9] = 1, 2
    finish(dock, dock._start, qtbot)
    (job,) = child.jobs
    (sample,) = open_class_maps(job.dataset, job.config.engine)
    np.testing.assert_array_equal(sample.classes, scribbles - 1)
    warned = " ".join(dock.panel.messages.texts("warning"))
    assert "Of the labels, 1 is 'background', 2 is 'crack'; what has none is ignored." in warned


def test_masks_of_classes_are_checked_before_a_unet_learns_from_them(
    tmp_path: Path, make_sample: Callable[..., Sample]
) -> None:
    image = make_sample("a", 1).image
    write_class_map(tmp_path, image, np.full(image.data.shape, 255), "a")
    events, _ = events_of(lambda: check_dataset(tmp_path, TrainConfig(engine=UNetConfig())))
    assert [event.message for event in events if isinstance(event, Notice)] == [
        "No pixel of any mask is background; label some of it.",
        "100 % of the pixels are 'crack'; if that is the background, invert the mask.",
    ]
