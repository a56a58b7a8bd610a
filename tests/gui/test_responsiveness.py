"""While a job says much and works without a pause, the window goes on, and nothing that the job says is lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QTimer

from napari_nanoseg._gui.jobs import JobPanel
from napari_nanoseg._gui.session import session_of
from napari_nanoseg.events import Event, Notice, Progress, Stage, tell

MANY = 20_000
TICKS = 20


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def panel(qtbot: QtBot, viewer: ViewerModel) -> JobPanel:
    panel = JobPanel(session_of(viewer), "Train", "Start")
    qtbot.addWidget(panel)
    return panel


def test_the_event_loop_goes_on_during_slow_work(qtbot: QtBot, panel: JobPanel) -> None:
    go_on = threading.Event()
    ticks = 0

    def work() -> str:
        tell(Stage("slow", "One step that says nothing."))
        assert go_on.wait(20)
        return "done"

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == TICKS:  # the job ends only because the main thread went on
            go_on.set()

    timer = QTimer(panel)
    timer.timeout.connect(tick)
    results: list[Any] = []
    panel.done.connect(results.append)
    panel.start(work, "Slow job")
    timer.start(1)
    qtbot.waitUntil(lambda: not panel.running, timeout=10_000)
    timer.stop()
    assert results == ["done"]
    assert ticks >= TICKS


def test_many_events_leave_the_loop_time_and_none_is_lost(qtbot: QtBot, panel: JobPanel) -> None:
    seen = threading.Event()
    ticks = 0

    def work() -> None:
        for number in range(MANY):
            tell(Progress(number + 1, MANY, "steps"))
            if number % 1000 == 0:
                tell(Stage(f"stage {number}", f"Part {number}."))
        tell(Notice("That was all."))
        assert seen.wait(20)

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        if ticks == TICKS:
            seen.set()

    heard: list[Event] = []
    panel.said.connect(heard.append)
    timer = QTimer(panel)
    timer.timeout.connect(tick)
    panel.start(work, "Talkative job")
    timer.start(1)
    qtbot.waitUntil(lambda: not panel.running, timeout=10_000)
    timer.stop()
    counts = [event.done for event in heard if isinstance(event, Progress)]
    stages = [event.name for event in heard if isinstance(event, Stage)]
    assert stages == [f"stage {number}" for number in range(0, MANY, 1000)]
    assert heard[-1] == Notice("That was all.")
    # of successive counts only the last is shown: that before every stage, and the last of all
    assert counts[-1] == MANY
    assert counts == sorted(counts)
    assert len(counts) < MANY / 10
    assert ticks >= TICKS
