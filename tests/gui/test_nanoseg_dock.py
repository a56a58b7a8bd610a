"""The dock of all steps: pages made when they are opened, and a tick for each step that is done."""

from __future__ import annotations

import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from pytestqt.qtbot import QtBot

from napari_nanoseg._gui.nanoseg import DONE, STEPS, NanoSeg
from napari_nanoseg.events import Stage, tell


@pytest.fixture
def dock(qtbot: QtBot) -> NanoSeg:
    dock = NanoSeg(ViewerModel())
    qtbot.addWidget(dock)
    return dock


def ticked(dock: NanoSeg) -> list[str]:
    return [title for title, button in dock._buttons.items() if DONE in button.text()]


def test_a_page_is_made_when_it_is_opened_and_kept(dock: NanoSeg) -> None:
    assert list(dock._pages) == ["Annotate"]
    page = dock.step("Measure")
    assert dock._stack.currentWidget() is page
    assert dock._buttons["Measure"].isChecked()
    dock._buttons["Annotate"].click()
    assert dock._stack.currentWidget() is dock._pages["Annotate"]
    assert dock.step("Measure") is page


@pytest.mark.parametrize("title", [kind.title for kind in STEPS])
def test_a_step_is_ticked_when_it_has_done_what_it_is_for(dock: NanoSeg, title: str) -> None:
    dock.step(title).succeed()
    assert ticked(dock) == [title]


def test_other_jobs_of_a_step_do_not_tick_it(dock: NanoSeg, qtbot: QtBot) -> None:
    def search() -> object:
        tell(Stage("files", "Search for the files"))
        return object()

    panel = dock.step("Segment").panel
    with qtbot.waitSignal(panel.ended):
        panel.start(search, "Search for the files")
    assert ticked(dock) == []
