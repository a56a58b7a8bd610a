"""One end for every ending of a job, nothing raised, nothing left behind."""

from __future__ import annotations

import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from napari.utils.theme import get_theme
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QThread, QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QMessageBox, QVBoxLayout, QWidget

from napari_nanoseg._gui import jobs
from napari_nanoseg._gui.counting import counted, duration
from napari_nanoseg._gui.jobs import JobPanel, copy_command
from napari_nanoseg._gui.messages import Messages, readable
from napari_nanoseg._gui.session import session_of
from napari_nanoseg._gui.worker import make_worker
from napari_nanoseg.config.convert import ConvertJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Epoch, Event, JobResult, Notice, Progress, Stage, checkpoint, tell
from napari_nanoseg.jobs.child_process import follow_child

EPOCH = Epoch(1, 2, {"loss": 1.0}, {}, 1.0, 1.0)


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "logs"
    monkeypatch.setattr("platformdirs.user_log_path", lambda _: folder)
    return folder


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def make_panel(qtbot: QtBot, viewer: ViewerModel) -> Callable[..., JobPanel]:
    def make(name: str = "Train") -> JobPanel:
        panel = JobPanel(session_of(viewer), name, "Start")
        qtbot.addWidget(panel)
        return panel

    return make


@pytest.fixture
def panel(make_panel: Callable[..., JobPanel]) -> JobPanel:
    return make_panel()


class Heard:
    """Everything a panel says, in its order."""

    def __init__(self, panel: JobPanel) -> None:
        self.ends: list[tuple[str, Any]] = []
        self.events: list[Event] = []
        panel.said.connect(self.events.append)
        panel.done.connect(lambda value: self.ends.append(("done", value)))
        panel.failed.connect(lambda text: self.ends.append(("failed", text)))
        panel.cancelled.connect(lambda: self.ends.append(("cancelled", None)))
        panel.ended.connect(lambda: self.ends.append(("ended", panel.running)))


class Endless:
    """A job that waits until it is cancelled, and knows in which thread that was."""

    def __init__(self) -> None:
        self.left_in: QThread | None = None
        self.started = threading.Event()

    def __call__(self) -> None:
        try:
            tell(Stage("wait", "Waiting for the end"))
            self.started.set()
            while True:
                time.sleep(0.01)
                checkpoint()
        finally:
            self.left_in = QThread.currentThread()


def run(panel: JobPanel, work: Callable[[], Any], qtbot: QtBot) -> Heard:
    heard = Heard(panel)
    with qtbot.waitSignal(panel.ended):
        assert panel.start(work, "Work")
        assert panel.running
    return heard


def test_events_and_result_arrive_in_the_main_thread(panel: JobPanel, qtbot: QtBot) -> None:
    threads = []
    panel.said.connect(lambda _: threads.append(threading.current_thread()))

    def work() -> dict[str, int]:
        assert threading.current_thread() is not threading.main_thread()
        tell(Stage("one", "Stage one"))
        tell(Notice("The image is doubtful."))
        checkpoint()
        tell(EPOCH)
        return {"f1": 1}

    heard = run(panel, work, qtbot)
    assert heard.events == [Stage("one", "Stage one"), Notice("The image is doubtful."), EPOCH]
    assert heard.ends == [("done", {"f1": 1}), ("ended", False)]
    assert set(threads) == {threading.main_thread()}
    assert panel.messages.texts("warning") == ["The image is doubtful."]


def test_a_job_of_many_events_does_not_flood_qt(panel: JobPanel, qtbot: QtBot) -> None:
    def work() -> None:
        for stage in range(3):
            tell(Stage("tiles", f"Stage {stage}"))
            for done in range(1, 20_001):
                tell(Progress(done, 20_000, "tiles"))
            tell(EPOCH)

    events = run(panel, work, qtbot).events
    assert len(events) < 1000
    others = [event for event in events if not isinstance(event, Progress)]
    assert others == [event for stage in range(3) for event in (Stage("tiles", f"Stage {stage}"), EPOCH)]
    lasts = [event for event in events if isinstance(event, Progress) and event.done == event.total]
    assert len(lasts) == 3


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NanosegError("The layer 'a' is empty; choose another."), "The layer 'a' is empty; choose another."),
        (RuntimeError("CUDA error: out of memory"), "The memory of the GPU is used up"),
        (PermissionError(13, "Permission denied", "/x/ä.tif"), "'/x/ä.tif' cannot be used: Permission denied"),
        (RuntimeError("shapes do not match"), "bug in NanoSeg (RuntimeError: shapes do not match)"),
        (ZeroDivisionError("division by zero"), "bug in NanoSeg"),
        (KeyboardInterrupt(), "bug in NanoSeg"),
    ],
)
@pytest.mark.parametrize("where", ["at the start", "later"])
def test_every_error_is_a_sentence_and_the_next_job_can_start(
    error: BaseException, sentence: str, where: str, panel: JobPanel, qtbot: QtBot, logs: Path
) -> None:
    def work() -> None:
        if where == "later":
            tell(Stage("one", "One"))
        raise error

    heard = run(panel, work, qtbot)
    (failed, text), ended = heard.ends
    assert failed == "failed"
    assert ended == ("ended", False)
    assert sentence in text
    assert panel.messages.texts("error") == [text]
    assert notification_manager.records[-1].message == text
    assert ("bug" in sentence) == logs.exists()
    assert panel.start_button.isEnabled()
    assert run(panel, lambda: tell(Stage("two", "Two")), qtbot).ends[0] == ("done", None)
    assert panel.messages.texts("error") == []


def test_cancel_ends_the_job_in_its_own_thread(panel: JobPanel, qtbot: QtBot) -> None:
    endless, heard = Endless(), Heard(panel)
    panel.start(endless, "Work")
    qtbot.waitUntil(endless.started.is_set)
    assert panel.cancel_button.isEnabled()
    with qtbot.waitSignal(panel.ended):
        panel.cancel_button.click()
        assert panel.status.text() == "Stopping…"
        assert not panel.cancel_button.isEnabled()
        assert panel.running
        panel.cancel()
    assert heard.ends == [("cancelled", None), ("ended", False)]
    assert endless.left_in is not None
    assert endless.left_in is not panel.thread()


def test_a_job_cancelled_before_its_thread_is_free_does_not_begin(qtbot: QtBot) -> None:
    begun: list[str] = []
    worker = make_worker(lambda: begun.append("work"), "Work")
    worker.quit()
    worker.start()
    qtbot.waitUntil(lambda: worker.over)
    assert begun == []
    assert worker.ending is None


@pytest.mark.parametrize("last", ["result", "error"])
def test_what_a_cancelled_job_still_brings_is_dropped(last: str, panel: JobPanel, qtbot: QtBot) -> None:
    began, go_on = threading.Event(), threading.Event()

    def work() -> str:
        tell(Stage("one", "One"))
        began.set()
        go_on.wait(10)
        if last == "error":
            raise ZeroDivisionError
        return "stale"

    heard = Heard(panel)
    panel.start(work, "Work")
    qtbot.waitUntil(began.is_set)
    with qtbot.waitSignal(panel.ended):
        panel.cancel()
        go_on.set()
    assert heard.ends == [("cancelled", None), ("ended", False)]


def test_one_job_for_each_step_of_a_viewer(make_panel: Callable[..., JobPanel], qtbot: QtBot) -> None:
    panel, twin, other = make_panel("Train"), make_panel("Train"), make_panel("Segment")
    second = ViewerModel()
    foreign = JobPanel(session_of(second), "Train", "Start")
    qtbot.addWidget(foreign)
    endless = Endless()
    assert panel.start(endless, "Training")
    assert not twin.start(Endless(), "Training")
    assert "Train is already running in another dock" in twin.messages.texts("error")[0]
    assert not panel.start(Endless(), "Training")
    assert "already running; wait" in panel.messages.texts("error")[0]
    assert run(other, lambda: tell(Stage("two", "Two")), qtbot).ends[0] == ("done", None)
    assert run(foreign, lambda: tell(Stage("two", "Two")), qtbot).ends[0] == ("done", None)
    with qtbot.waitSignal(panel.ended):
        panel.cancel()
    assert run(twin, lambda: tell(Stage("two", "Two")), qtbot).ends[0] == ("done", None)


def test_a_result_shown_in_turns_lets_the_loop_go_on_and_the_job_ends_with_it(panel: JobPanel, qtbot: QtBot) -> None:
    heard = Heard(panel)
    shown: list[tuple[int, bool, bool]] = []
    between: list[int] = []

    def show() -> Iterator[None]:
        for number in range(3):
            shown.append((number, panel.running, panel.start_button.isEnabled()))
            QTimer.singleShot(0, lambda: between.append(len(shown)))
            yield

    panel.done.connect(lambda _: panel.show_in_turns(show()))
    with qtbot.waitSignal(panel.ended):
        panel.start(lambda: tell(Stage("one", "One")), "Work")
    assert shown == [(0, True, False), (1, True, False), (2, True, False)]
    assert between == [1, 2, 3], "other events wait until all is shown"
    assert heard.ends == [("done", None), ("ended", False)]
    assert panel.start_button.isEnabled()


def test_a_fault_while_a_result_is_shown_ends_the_job_all_the_same(panel: JobPanel, qtbot: QtBot) -> None:
    def show() -> Iterator[None]:
        yield
        raise ValueError("a layer cannot be added")

    once = panel.done.connect(lambda _: panel.show_in_turns(show()))
    with qtbot.capture_exceptions() as errors, qtbot.waitSignal(panel.ended):
        panel.start(lambda: tell(Stage("one", "One")), "Work")
    assert [str(error) for _, error, _ in errors] == ["a layer cannot be added"]
    assert not panel.running
    panel.done.disconnect(once)
    assert run(panel, lambda: tell(Stage("two", "Two")), qtbot).ends[0] == ("done", None)


def test_more_jobs_than_cores_run_together(
    make_panel: Callable[..., JobPanel], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    panels = [make_panel(name) for name in "abcdefghij"]
    together = threading.Barrier(len(panels))

    def work() -> None:
        tell(Stage("one", "One"))
        together.wait(20)

    heard = [Heard(panel) for panel in panels]
    for panel in panels:
        panel.start(work, "Work")
    qtbot.waitUntil(lambda: not any(panel.running for panel in panels), timeout=30_000)
    assert [one.ends[0] for one in heard] == [("done", None)] * len(panels)


def test_a_panel_that_is_deleted_stops_its_job(viewer: ViewerModel, qtbot: QtBot) -> None:
    panel, endless = JobPanel(session_of(viewer), "Train", "Start"), Endless()
    panel.start(endless, "Work")
    qtbot.waitUntil(endless.started.is_set)
    panel.deleteLater()
    qtbot.waitUntil(lambda: endless.left_in is not None)


def test_a_form_problem_blocks_the_start(panel: JobPanel, qtbot: QtBot) -> None:
    panel.show()
    panel.block("The field 'steps' is 0: it must be at least 1.")
    assert not panel.start_button.isEnabled()
    assert panel.start_button.toolTip() == "The field 'steps' is 0: it must be at least 1."
    panel.block(None)
    assert panel.start_button.isEnabled()
    with qtbot.waitSignal(panel.start_clicked):
        panel.start_button.click()


def test_messages_replace_and_gather(panel: JobPanel) -> None:
    for number in range(9):
        panel.say(f"information {number}")
        panel.warn(f"warning {number}")
        panel.warn(f"warning {number}")
        panel.refuse(f"error {number}")
    assert panel.messages.texts("info") == ["information 8"]
    assert panel.messages.texts("error") == ["error 8"]
    assert panel.messages.texts("warning") == [f"warning {number}" for number in range(5, 9)]
    panel.say("")
    assert panel.messages.texts("info") == []


@pytest.mark.parametrize("width", [180, 300, 600])
def test_long_messages_are_shown_whole(width: int, viewer: ViewerModel, qtbot: QtBot) -> None:
    outer = QWidget()
    qtbot.addWidget(outer)
    layout, messages = QVBoxLayout(outer), Messages(viewer)
    layout.addWidget(messages)
    outer.resize(width, 900)
    outer.show()
    messages.add("error", "The file cannot be used: /" + "a_very_long_name_without_a_blank/" * 6 + "; choose another.")
    messages.add("info", "Short.")
    qtbot.waitUntil(lambda: all(not m.verticalScrollBar().maximum() for _, _, m in messages._shown))
    assert outer.width() == width
    for _, _, message in messages._shown:
        assert message.document().idealWidth() <= message.viewport().width()
        assert message.height() >= message.document().size().height()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_colours_stand_out(theme: str) -> None:
    from napari_nanoseg._gui.messages import LEAST_CONTRAST, _contrast, _luminance, _rgb

    background = _luminance(_rgb(get_theme(theme).background))
    for name in ("current", "warning", "error"):
        colour = readable(name, theme)
        rgb = tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
        assert _contrast(_luminance(rgb), background) > LEAST_CONTRAST - 0.05


def test_the_bar_counts_and_guesses_the_time() -> None:
    tiles = Progress(12, 40, "tiles")
    assert counted(tiles, 1.0, 12) == "12 of 40 tiles"
    assert counted(tiles, 60.0, 12) == "12 of 40 tiles, 2 min left"
    assert counted(Progress(40, 40, "tiles"), 60.0, 40) == "40 of 40 tiles"
    # a training that goes on after step 1000 has done 10 steps in 10 s, not 1010
    assert counted(Progress(1010, 1040, "steps"), 10.0, 10) == "1010 of 1040 steps, 30 s left"
    assert [duration(seconds) for seconds in (0.2, 59, 61, 3900)] == ["1 s", "59 s", "1 min", "1 h 05 min"]


def test_steps_and_what_lies_between_them_are_timed_apart(
    panel: JobPanel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(jobs.time, "monotonic", lambda: clock[0])
    texts = []
    steps = [(number * 10.0, Progress(number, 10, "steps")) for number in (1, 2, 3)]
    patches = [(30.0 + 5 * number, Progress(number, 4, "patches")) for number in (1, 2, 3)]
    for clock[0], progress in [*steps, *patches, (60.0, Progress(4, 10, "steps")), (65.0, Progress(1, 4, "patches"))]:
        panel._show(progress)
        texts.append(panel.bar.format())
    assert texts[2] == "3 of 10 steps, 1 min left"
    assert texts[5] == "3 of 4 patches, 5 s left"
    assert texts[6] == "4 of 10 steps, 2 min left", "50 s for three steps and what was between them"
    assert texts[7] == "1 of 4 patches"


def test_the_command_goes_to_the_clipboard(panel: JobPanel, tmp_path: Path) -> None:
    text = copy_command(ConvertJob(model=tmp_path / "a model", out=tmp_path / "out"))
    assert text == f"nanoseg convert '{tmp_path}/a model' --out {tmp_path}/out"
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert clipboard.text() == text


# in a real viewer --------------------------------------------------------------------------------------------------


def child_work(folder: Path) -> Callable[[], JobResult]:
    """A job in a process with a process of its own, as a training has them."""
    script = folder / "child.py"
    script.write_text(
        textwrap.dedent("""
        import os, subprocess, sys, time
        from napari_nanoseg.events import Progress, Stage, tell
        from napari_nanoseg.jobs.child_events import speak

        def job():
            worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            tell(Stage("pids", f"{os.getpid()} {worker.pid}"))
            while True:
                time.sleep(0.05)
                tell(Progress(1, 2, "steps"))

        sys.exit(speak(job))
        """)
    )
    return lambda: follow_child([sys.executable, str(script)])


@pytest.fixture
def real_viewer(qtbot: QtBot) -> Iterator[Any]:
    import napari

    viewer = napari.Viewer(show=True)
    yield viewer
    viewer.close()


def add_panel(viewer: Any) -> tuple[JobPanel, Any]:
    panel = JobPanel(session_of(viewer), "Train", "Start")
    return panel, viewer.window.add_dock_widget(panel, name="Train")


def begin(panel: JobPanel, folder: Path, qtbot: QtBot) -> list[int]:
    """Start the job in a process; return the numbers of both processes."""
    heard = Heard(panel)
    assert panel.start(child_work(folder), "Training of discs")
    qtbot.waitUntil(lambda: len(heard.events) > 1, timeout=20_000)
    first = heard.events[0]
    assert isinstance(first, Stage)
    pids = [int(pid) for pid in first.message.split()]
    assert all(psutil.pid_exists(pid) for pid in pids)
    return pids


def gone(pids: list[int]) -> bool:
    """Whether processes have ended (a zombie has)."""
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


@pytest.mark.gui
@pytest.mark.parametrize("floating", [False, True])
def test_closing_a_dock_asks_and_leaves_no_process(
    floating: bool, real_viewer: Any, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, dock = add_panel(real_viewer)
    dock.setFloating(floating)
    pids = begin(panel, tmp_path, qtbot)
    asked: list[str] = []
    answer = QMessageBox.StandardButton.No

    def question(parent: QWidget, title: str, text: str, *_: Any) -> Any:
        asked.append(text)
        return answer

    monkeypatch.setattr(jobs.QMessageBox, "question", question)
    dock.title.close_button.click()
    assert asked == ["Training of discs is running. Stop it and close the dock?"]
    assert panel.running
    assert panel.isVisible()
    dock.title.hide_button.click()
    assert len(asked) == 1, "hiding is not closing"
    assert panel.running
    dock.show()
    answer = QMessageBox.StandardButton.Yes
    dock.title.close_button.click()
    qtbot.waitUntil(lambda: gone(pids), timeout=10_000)
    qtbot.waitUntil(lambda: not panel.running)
    assert panel.parent() is None
    panel.deleteLater()


@pytest.mark.gui
def test_a_dock_that_is_removed_without_a_question_stops_its_job(
    real_viewer: Any, qtbot: QtBot, tmp_path: Path
) -> None:
    panel, dock = add_panel(real_viewer)
    pids = begin(panel, tmp_path, qtbot)
    real_viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: gone(pids), timeout=10_000)
    panel.deleteLater()


@pytest.mark.gui
def test_napari_lists_the_job_and_closing_napari_ends_it(qtbot: QtBot, tmp_path: Path) -> None:
    import napari

    viewer = napari.Viewer(show=True)
    panel, _ = add_panel(viewer)
    pids = begin(panel, tmp_path, qtbot)
    tasks = viewer.window._task_status_manager
    assert tasks.is_busy(), "napari would not ask before it closes"
    assert "Training of discs" in tasks.get_status()[0]
    viewer.close()
    qtbot.waitUntil(lambda: gone(pids), timeout=10_000)
    qtbot.waitUntil(lambda: not tasks.is_busy())


@pytest.mark.gui
def test_the_activity_area_shows_and_cancels_the_job(real_viewer: Any, qtbot: QtBot, tmp_path: Path) -> None:
    from napari._qt.widgets.qt_progress_bar import QtLabeledProgressBar

    panel, _ = add_panel(real_viewer)
    heard = Heard(panel)
    pids = begin(panel, tmp_path, qtbot)
    (bar,) = real_viewer.window._qt_window.findChildren(QtLabeledProgressBar)
    assert bar.description_label.text() == "Training of discs: "
    qtbot.waitUntil(lambda: bar.qt_progress_bar.maximum() == 2)
    with qtbot.waitSignal(panel.ended, timeout=10_000):
        bar.cancel_button.click()
    assert heard.ends[0] == ("cancelled", None)
    assert gone(pids)
    qtbot.waitUntil(lambda: not real_viewer.window._qt_window.findChildren(QtLabeledProgressBar))


@pytest.mark.gui
def test_messages_follow_the_theme(real_viewer: Any, qtbot: QtBot) -> None:
    panel, _ = add_panel(real_viewer)
    panel.refuse("The image is empty; choose another.")
    for theme in ("light", "dark"):
        real_viewer.theme = theme
        message = panel.findChild(jobs.Messages)._shown[0][2]
        qtbot.waitUntil(lambda theme=theme, message=message: readable("error", theme) in message.styleSheet())


def test_a_child_killed_from_outside_is_a_sentence(panel: JobPanel, qtbot: QtBot, tmp_path: Path) -> None:
    heard = Heard(panel)
    pids = begin(panel, tmp_path, qtbot)
    with qtbot.waitSignal(panel.ended, timeout=10_000):
        psutil.Process(pids[0]).kill()
    assert heard.ends[0][0] == "failed"
    assert "ended by the signal SIGKILL" in heard.ends[0][1] or "exit status" in heard.ends[0][1]
    qtbot.waitUntil(lambda: gone(pids))


def test_the_result_of_a_job_in_a_process_comes_back(panel: JobPanel, qtbot: QtBot, tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text(
        "import sys\nfrom napari_nanoseg.events import *\nfrom napari_nanoseg.jobs.child_events import speak\n"
        "def job():\n    tell(Stage('one', 'One'))\n    return JobResult({'f1': 0.5})\nsys.exit(speak(job))\n"
    )
    heard = run(panel, lambda: follow_child([sys.executable, str(script)]), qtbot)
    assert heard.ends == [("done", JobResult({"f1": 0.5})), ("ended", False)]
    assert heard.events == [Stage("one", "One")]
