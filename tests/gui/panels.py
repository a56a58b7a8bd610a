"""What tests of docks do with their panel."""

from __future__ import annotations

from typing import TypeVar

from pytestqt.qtbot import QtBot

from napari_nanoseg._gui.step import Step

AnyStep = TypeVar("AnyStep", bound=Step)


def finish(qtbot: QtBot, dock: Step) -> None:
    """Wait for the end of a dock's job."""
    qtbot.waitUntil(lambda: not dock.running, timeout=60_000)


def run(qtbot: QtBot, dock: AnyStep) -> AnyStep:
    """Do what a dock is for, from its start button to the end."""
    dock.panel.start_button.click()
    assert dock.running
    finish(qtbot, dock)
    return dock


def said(dock: Step, kind: str = "error") -> str:
    """What a dock's panel says in messages of a kind."""
    return " ".join(dock.panel.messages.texts(kind))
