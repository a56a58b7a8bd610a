"""What can go wrong in a real viewer: every click is answered by a sentence, and nothing is left running."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

pytest.importorskip("napari")

import napari
from napari.layers import Image, Layer, Shapes
from napari.qt import get_qapp
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QDoubleSpinBox,
    QFileDialog,
    QLineEdit,
    QMenu,
    QMessageBox,
    QScrollBar,
    QToolButton,
    QWidget,
)
from robot import Robot

from napari_nanoseg._gui import generate, measure, segment, training
from napari_nanoseg._gui.forms import ConfigForm
from napari_nanoseg._gui.layers import sample_layers
from napari_nanoseg._gui.nanoseg import STEPS, NanoSeg
from napari_nanoseg._gui.numbers import NumberEdit
from napari_nanoseg._gui.session import session_of
from napari_nanoseg._gui.step import Step
from napari_nanoseg._gui.train import Train
from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Epoch, Stage, checkpoint, tell
from napari_nanoseg.samples import Sample

pytestmark = pytest.mark.gui

TITLES = [kind.title for kind in STEPS]


@pytest.fixture(scope="module")
def robot(disc_model: Path) -> Iterator[Robot]:
    """One window for all tests of this file.

    The model is trained before: its optimiser loads triton, whose LLVM crashes after the LLVM of Mesa, which draws
    windows where there is no graphics card. In napari, trainings are processes of their own.
    """
    viewer = napari.Viewer()
    yield Robot(viewer)
    viewer.close()


@pytest.fixture
def viewer(robot: Robot) -> Iterator[napari.Viewer]:
    """The viewer of the window, empty before and after."""
    viewer = robot.viewer
    yield viewer
    for step in robot.window.findChildren(Step):
        step.panel.cancel()
    robot.wait(lambda: not any(step.running for step in robot.window.findChildren(Step)), 20, "the end of all jobs")
    for dock in list(viewer.window._wrapped_dock_widgets.values()):
        if dock.findChildren(Step):
            viewer.window.remove_dock_widget(dock)
    viewer.layers.clear()
    session = session_of(viewer)
    for name, value in (("dataset", None), ("model", None), ("whole", True)):
        session.put(name, value)
    robot.settle()


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture, qtlog: Any, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Neither Qt nor Python complains on the terminal: pytest-qt fails a test for exceptions in slots."""
    yield
    assert [one.message for one in qtlog.records if "Qt" in one.message or "layout" in one.message.lower()] == []
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING] == []
    errors = capfd.readouterr().err
    assert "Traceback" not in errors, errors
    assert "WARNING" not in errors, errors


@pytest.fixture(autouse=True)
def dialogs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers the questions for files."""
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: "")
    for name in ("getOpenFileName", "getSaveFileName"):
        monkeypatch.setattr(QFileDialog, name, lambda *_, **__: ("", ""))


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Jobs that would be given to a process."""
    jobs: list[Any] = []

    def child(job: Any, **_: Any) -> None:
        jobs.append(job)
        tell(Stage("device", "Using the CPU."))
        raise NanosegError("The test trains nothing.")

    monkeypatch.setattr(training, "run_in_child", child)
    return jobs


def opened(robot: Robot, title: str) -> Step:
    """The dock of a step, opened with the menu."""
    robot.open_menu("Plugins", "NanoSeg", title)
    kind = next(kind for kind in STEPS if kind.title == title)
    return robot.find(robot.window, kind)


def pages(robot: Robot) -> NanoSeg:
    """The dock with all steps, opened with the menu."""
    robot.open_menu("Plugins", "NanoSeg", "NanoSeg")
    return robot.find(robot.window, NanoSeg)


def add(viewer: napari.Viewer, sample: Sample) -> tuple[Layer, Layer]:
    """Show an annotated image."""
    image, labels = (viewer.add_layer(Layer.create(*data)) for data in sample_layers(sample)[:2])
    return image, labels


def said(step: Step) -> str:
    """The messages of a dock."""
    return " ".join(text for kind in ("error", "info", "warning") for text in step.panel.messages.texts(kind))


def run(robot: Robot, step: Step, button: str = "") -> str:
    """Click the start button or another one, wait for the end of the job and return what the dock says."""
    robot.click(step, button or step.start_text)
    robot.wait(lambda: not step.running, 60, f"the end of {step.title}")
    return said(step)


def click_all(robot: Robot, step: Step) -> None:
    """Click everything that can be clicked, apart from the forms, which have tests of their own."""
    clicked: set[str] = set()
    while rest := [
        button
        for button in step.findChildren(QAbstractButton)
        if button.isVisible() and button.isEnabled() and not in_form(button) and name(button) not in clicked
    ]:
        clicked.add(name(rest[0]))
        if isinstance(rest[0], QToolButton) and rest[0].menu() is not None:
            QTimer.singleShot(300, close_menus)  # the click waits for the end of the menu
        QTest.mouseClick(rest[0], Qt.MouseButton.LeftButton)
        robot.settle(0)
        robot.wait(lambda: not step.running, 60, f"{step.title}: the end of {name(rest[0])}")


def close_menus() -> None:
    """Close open menus, as with Escape."""
    while isinstance(popup := QApplication.activePopupWidget(), QMenu):
        popup.close()


def in_form(widget: QWidget) -> bool:
    """Whether a widget belongs to a form."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, ConfigForm):
        parent = parent.parentWidget()
    return parent is not None


def name(button: QAbstractButton) -> str:
    """What tells buttons apart."""
    return f"{button.text()} {button.toolTip()}"


class Gate:
    """Stands for the work of a job: the same work, that waits until the gate is opened."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self.open = threading.Event()
        self.work = work

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        while not self.open.wait(0.02):
            checkpoint()
        return self.work(*arguments, **named)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str], Gate]:
    """Puts a gate in front of a function of a module."""

    def put(module: Any, name: str) -> Gate:
        made = Gate(getattr(module, name))
        monkeypatch.setattr(module, name, made)
        return made

    return put


def test_without_a_layer_every_click_is_answered(robot: Robot, viewer: napari.Viewer) -> None:
    for title in TITLES:
        step = opened(robot, title)
        click_all(robot, step)
        assert "." in robot.sentences(step), title
        robot.open_menu("Plugins", "NanoSeg", title)  # hides it
    assert not viewer.layers


def wrong_layer(kind: str) -> Layer:
    """A layer that no step can use as its image."""
    rng = np.random.default_rng(0)
    if kind == "shapes":
        return Shapes([np.array([[0, 0], [0, 9], [9, 9], [9, 0]])], name="odd")
    pixels = {
        "4-D": rng.random((2, 3, 46, 46)),
        "nan": np.full((46, 46), np.nan, np.float32),
        "1x1": np.ones((1, 1), np.uint8),
    }[kind]
    return Image(pixels, name="odd", contrast_limits=(0, 1))


def test_layers_of_the_wrong_kind_are_answered_with_a_sentence(
    robot: Robot, viewer: napari.Viewer, trained: list[Any]
) -> None:
    dock = pages(robot)
    for kind in ("shapes", "4-D", "nan", "1x1"):
        viewer.layers.clear()
        labels = viewer.add_labels(np.pad(np.ones((6, 6), int), 20), name="labels")
        odd = viewer.add_layer(wrong_layer(kind))
        viewer.layers.selection.active = odd
        for title in TITLES:
            step = dock.step(title)
            robot.settle()
            step.panel.messages.clear()
            if step.panel.start_button.isEnabled():
                run(robot, step)
            answer = said(step) + robot.sentences(step)
            assert "bug" not in answer
            assert answer.strip()
        assert labels in viewer.layers
    assert not trained


def test_labels_of_another_shape_are_named(
    robot: Robot, viewer: napari.Viewer, make_sample: Callable[..., Sample], trained: list[Any]
) -> None:
    image, labels = add(viewer, make_sample("discs", 1))
    other = viewer.add_labels(np.asarray(labels.data)[:90, :100], name="cropped")
    dock = pages(robot)
    annotate = dock.step("Annotate")
    annotate.session.put("image", image)
    annotate.session.put("particles", other)
    annotate.session.put("prediction", other)
    annotate.session.put("truth", labels)
    for title in ("Annotate", "Generate", "Train", "Measure", "Compare"):
        step = dock.step(title)
        robot.wait(lambda step=step: "cropped" in robot.sentences(step) or step.panel.start_button.isEnabled(), 5)
        if step.panel.start_button.isEnabled():
            run(robot, step)
        assert "cropped" in said(step) + str(step.panel._why)
        assert "bug" not in said(step)
    assert not trained


def test_layers_may_go_or_be_renamed_while_a_job_runs(
    robot: Robot, viewer: napari.Viewer, make_sample: Callable[..., Sample], disc_model: Path, gate: Any, tmp_path: Path
) -> None:
    image, labels = add(viewer, make_sample("discs", 1))
    dock = pages(robot)
    step = dock.step("Segment")
    step.session.put("model", disc_model)
    held = gate(segment, "segment")
    robot.click(step, "Segment")
    image.name = "renamed"
    robot.settle(0.1)
    held.open.set()
    robot.wait(lambda: not step.running, 60)
    found = step.session.prediction
    assert found is not None
    assert len(np.unique(found.data)) > 15
    held.open.clear()
    robot.click(step, "Segment")
    viewer.layers.remove(image)
    viewer.layers.remove(found)
    robot.settle(0.1)
    held.open.set()
    robot.wait(lambda: not step.running, 60)
    assert "removed meanwhile" in said(step)
    assert step.session.prediction in viewer.layers

    viewer.layers.clear()
    image, labels = add(viewer, make_sample("discs", 1))
    step = dock.step("Measure")
    step.session.put("prediction", labels)
    held = gate(measure, "measure_layers")
    robot.click(step, "Measure")
    labels.name = "renamed labels"
    viewer.layers.clear()
    robot.settle(0.1)
    held.open.set()
    robot.wait(lambda: not step.running, 60)
    assert "bug" not in said(step)

    image, labels = add(viewer, make_sample("discs", 1))
    step = dock.step("Generate")
    held = gate(generate, "run_job")
    robot.settle(0.5)
    robot.type_into(step.out.findChild(QLineEdit), str(tmp_path / "made"))
    robot.type_into(step.amount.editor("count").findChild(QLineEdit), "2")
    robot.click(step, "Write dataset")
    viewer.layers.clear()
    robot.settle(0.1)
    held.open.set()
    robot.wait(lambda: not step.running, 60)
    assert len(list((tmp_path / "made" / "images").iterdir())) == 2


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), KeyError("scale")])
def test_an_exception_in_a_job_is_a_sentence_with_a_log(
    error: Exception, robot: Robot, viewer: napari.Viewer, make_sample: Callable[..., Sample],
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    add(viewer, make_sample("discs", 1))
    monkeypatch.setattr("platformdirs.user_log_path", lambda _: tmp_path / "logs")
    step = opened(robot, "Measure")

    def broken(*_: Any) -> Any:
        tell(Stage("one", "One"))
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(measure, "measure_layers", broken)
        text = run(robot, step)
    (log,) = (tmp_path / "logs").iterdir()
    assert text == f"This is a bug in NanoSeg ({type(error).__name__}: {error}); please report it with the log {log}."
    assert "broken" in log.read_text()
    assert not step.panel.bar.isVisible()
    assert not step.panel.status.isVisible()
    assert not viewer.window._task_status_manager.is_busy()
    run(robot, step)
    assert "bug" not in said(step)
    assert step.measurement is not None


def test_a_step_runs_once_although_two_docks_show_it(
    robot: Robot, viewer: napari.Viewer, make_sample: Callable[..., Sample], gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(viewer, make_sample("discs", 1))
    one = opened(robot, "Measure")
    other = pages(robot).step("Measure")
    robot.settle()
    held = gate(measure, "measure_layers")
    robot.click(one, "Measure")
    robot.click(other, "Measure")
    assert said(other) == "Measure is already running in another dock of this viewer; wait for its end or cancel it."
    assert not other.running
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_, **__: answers.pop(0))
    dock: Any = one.parentWidget()
    dock.title.close_button.click()
    robot.settle()
    assert one.isVisible()
    assert one.running
    dock.title.close_button.click()
    robot.wait(lambda: not viewer.window._task_status_manager.is_busy(), 10, "the end of the task")
    assert not answers
    held.open.set()
    assert "pixel" not in said(other)
    run(robot, other)
    assert other.measurement is not None


def test_the_dock_of_all_steps_asks_for_a_job_of_a_hidden_page(
    robot: Robot, viewer: napari.Viewer, make_sample: Callable[..., Sample], gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(viewer, make_sample("discs", 1))
    steps = pages(robot)
    step = steps.step("Measure")
    robot.settle()
    gate(measure, "measure_layers")
    robot.click(step, "Measure")
    steps.show_step("Compare")
    robot.settle()
    asked: list[str] = []
    monkeypatch.setattr(QMessageBox, "question", lambda *arguments: asked.append(arguments[2]))
    dock: Any = steps.parentWidget()
    dock.title.close_button.click()
    assert asked == ["Measuring of discs: annotated is running. Stop it and close the dock?"]
    assert step.running
    robot.click(steps, "5 Measure")
    robot.click(step, "Cancel")
    robot.wait(lambda: not step.running, 10, "the end after Cancel")
    assert said(step) == "Cancelled."


def test_a_model_that_vanished_is_named(
    robot: Robot, viewer: napari.Viewer, make_sample: Callable[..., Sample], disc_model: Path, tmp_path: Path
) -> None:
    sample = make_sample("discs", 1)
    add(viewer, sample)
    step = opened(robot, "Segment")
    model = Path(shutil.copytree(disc_model, tmp_path / "gone soon"))
    step.session.put("model", model)
    robot.settle()
    assert step.panel.start_button.isEnabled()
    shutil.rmtree(model)
    text = run(robot, step)
    assert "gone soon" in text
    assert "bug" not in text
    step.session.put("model", disc_model)
    count = len(load_model(disc_model).segment(sample.image))
    assert f"{count} particles found" in run(robot, step)


def test_folders_that_cannot_be_written_are_named(
    robot: Robot, viewer: napari.Viewer, make_sample: Callable[..., Sample], disc_model: Path, home: Path,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[Any],
) -> None:  # fmt: skip
    """Permissions do not bind root, so a file stands where a folder should be."""
    file = tmp_path / "file"
    file.write_text("x")
    models = home / "data" / "napari-nanoseg"
    models.parent.mkdir(parents=True, exist_ok=True)
    models.write_text("x")
    _, labels = add(viewer, make_sample("discs", 1))
    truth = viewer.add_layer(Layer.create(*labels.as_layer_data_tuple()))
    dock = pages(robot)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_, **__: str(file / "folder"))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(file / "particles.csv"), ""))

    def check(step: Step, button: str = "") -> None:
        run(robot, step, button)
        errors = " ".join(step.panel.messages.texts("error"))
        assert "file" in errors or str(models) in errors
        assert "bug" not in errors

    step = dock.step("Annotate")
    robot.type_into(step._folder.findChild(QLineEdit), str(file / "folder"))
    check(step)
    step = dock.step("Generate")
    robot.wait(lambda: "Image 0: " in robot.sentences(step), 30, "the preview")
    robot.type_into(step.out.findChild(QLineEdit), str(file / "folder"))
    check(step)
    step = dock.step("Train")
    check(step)
    check(step, "Copy as command")
    assert not trained
    models.unlink()
    step = dock.step("Segment")
    step.session.put("model", disc_model)
    robot.settle()
    run(robot, step)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(file / "labels.tif"), ""))
    check(step, "Save labels")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, **__: (str(file / "particles.csv"), ""))
    step = dock.step("Measure")
    robot.settle()
    run(robot, step)
    check(step, "Save table")
    step = dock.step("Compare")
    step.session.put("truth", truth)
    robot.settle()
    run(robot, step)
    check(step, "Save")


RUBBISH = ("abc", "-1e999", "", "nan", "1 2", "99999999999999999999")


def test_rubbish_in_number_fields_is_answered(
    robot: Robot, viewer: napari.Viewer, make_sample: Callable[..., Sample], disc_model: Path
) -> None:
    add(viewer, make_sample("discs", 1))
    dock = pages(robot)
    dock.step("Segment").session.put("model", disc_model)
    rubbish, typed = cycle(RUBBISH), 0
    for title in TITLES[1:]:
        step = dock.step(title)
        if title != "Compare":
            robot.wait(step.panel.start_button.isEnabled, 20, title)
        fields = [box for box in step.findChildren(NumberEdit) if box.isVisible() and box.isEnabled()]
        for box in fields:
            before, old, new = step.panel.start_button.isEnabled(), box.text(), next(rubbish)
            robot.reveal(box)
            _type(box, new)
            assert box.text() == new
            assert not step.panel.start_button.isEnabled(), (title, new)
            assert "⚠" in robot.sentences(step), (title, new)
            _type(box, old)
            assert step.panel.start_button.isEnabled() == before
        typed += len(fields)
        for odd in step.findChildren(QDoubleSpinBox):  # Qt's own, which take no letters
            value = odd.value()
            _type(odd, "abc")
            assert odd.value() == value
    assert typed > 10


def _type(box: QAbstractSpinBox, text: str) -> None:
    box.setFocus()
    box.selectAll()
    if text:
        QTest.keyClicks(box, text)
    else:
        QTest.keyClick(box, Qt.Key.Key_Delete)
    get_qapp().processEvents()


def test_sentences_of_any_length_need_no_scroll_bar(robot: Robot, viewer: napari.Viewer) -> None:
    step = opened(robot, "Measure")
    for text in ("Cancelled.", "One line that is about as wide as the dock.", "A sentence of several lines. " * 6):
        step.panel.messages.clear()
        step.panel.say(text)
        step.panel.refuse("Short.")
        robot.settle(0.1)
        assert not [bar for bar in step.panel.messages.findChildren(QScrollBar) if bar.isVisible()]


TINY = TrainConfig.parse(
    {"engine": {"unet_n_filter_base": 8, "unet_n_depth": 2, "net_conv_after_unet": 16, "n_rays": 16}, "workers": 1,
     "steps": 100_000, "steps_per_epoch": 2, "patch_size": 64, "working_diameter": 16, "device": "cpu",
     "synthetic_per_real": 0, "optimize_thresholds": False, "batch_size": 2}
)  # fmt: skip


def children() -> set[psutil.Process]:
    """Processes that this one has begun and that are not over."""
    return {
        child
        for child in psutil.Process().children(recursive=True)
        if child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    }


def over(processes: set[psutil.Process]) -> bool:
    """Whether processes have ended."""
    return not processes & children()


def test_a_training_that_is_killed_can_be_resumed_and_ends_with_napari(
    make_sample: Callable[..., Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = napari.Viewer()
    robot = Robot(viewer)
    before = children()
    try:
        image, labels = add(viewer, make_sample("discs", 1))
        step = opened(robot, "Train")
        assert isinstance(step, Train)
        step.form.setValue(TINY)
        epochs: list[Epoch] = []
        step.panel.said.connect(lambda event: epochs.append(event) if isinstance(event, Epoch) else None)
        robot.click(step, "Train")
        image.name = "renamed"
        viewer.layers.remove(labels)
        robot.wait(lambda: epochs or not step.running, 90, "an epoch")
        assert step.running, said(step)
        answers = [QMessageBox.StandardButton.No]
        monkeypatch.setattr(QMessageBox, "question", lambda *_, **__: answers.pop(0))
        dock: Any = step.parentWidget()
        dock.title.close_button.click()
        assert not answers
        assert step.isVisible()
        seen = len(epochs)
        robot.wait(lambda: len(epochs) > seen, 30, "the next epoch")

        trainers = children() - before
        for one in trainers:
            if not any(one in other.children() for other in trainers):
                one.kill()
        robot.wait(lambda: not step.running, 20, "the end of the killed training")
        assert "SIGKILL" in said(step)
        assert "Resume goes on" in said(step)
        robot.wait(lambda: over(trainers), 20, "the end of its processes")

        last = epochs[-1].epoch
        robot.click(step, "Resume")
        robot.wait(lambda: epochs[-1].epoch > last or not step.running, 90, "an epoch after that")
        assert step.running, said(step)
        trainers = children() - before
        assert trainers
        assert viewer.window._task_status_manager.is_busy(), "napari would not ask before it closes"
    finally:
        robot.window.close()
    robot.wait(lambda: over(trainers), 20, "the end of all processes")
