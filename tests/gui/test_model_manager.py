"""The menu beside the list of models: what it offers, does and refuses, and which model is chosen afterwards."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from panels import finish, said
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QInputDialog, QMessageBox

from napari_nanoseg._gui.model_manager import Card
from napari_nanoseg._gui.segment import Segment
from napari_nanoseg._gui.settings import Settings
from napari_nanoseg._gui.start_from import StartFrom
from napari_nanoseg.io.model_library import export_model
from napari_nanoseg.io.recent_models import recent_models, remember_model

Answer = Callable[..., None]


@pytest.fixture(autouse=True)
def library(
    tmp_path: Path, write_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, without_starter: None
) -> Path:
    """The folder of models in the preferences, with two models."""
    chosen = Settings("cpu", tmp_path / "Modelle", 0)
    for module in ("segment", "model_picker", "model_manager", "start_from"):
        monkeypatch.setattr(f"napari_nanoseg._gui.{module}.settings", lambda: chosen)
    for name in ("gold", "silver"):
        write_model(chosen.models / name)
    return chosen.models


@pytest.fixture
def dock(qtbot: QtBot) -> Segment:
    made = Segment(ViewerModel())
    qtbot.addWidget(made)
    return made


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Answer the questions to come."""

    def give(*, name: str | None = None, sure: bool = True, opened: object = "", saved: object = "") -> None:
        button = QMessageBox.StandardButton.Yes if sure else QMessageBox.StandardButton.No
        monkeypatch.setattr(QMessageBox, "question", lambda *_, **__: button)
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(opened), ""))
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(saved), ""))

        def text(*_: object, text: str) -> tuple[str, bool]:
            return text if name is None else name, True

        monkeypatch.setattr(QInputDialog, "getText", text)

    return give


def names(dock: Segment) -> list[str]:
    return [dock.models.itemText(index) for index in range(dock.models.count() - 3)]


def offered(dock: Segment) -> list[str]:
    dock.manager.refresh()
    menu = dock.manager.menu()
    assert menu is not None
    return [action.text() for action in menu.actions() if action.isEnabled() and action.text()]


def test_only_what_can_be_done_is_offered(
    dock: Segment, library: Path, tmp_path: Path, write_model: Callable[..., Path]
) -> None:
    assert dock.session.model == library / "gold"
    assert offered(dock) == ["Show card", "Rename…", "Remove…", "Import…", "Export…"]
    dock.models.choose(write_model(tmp_path / "elsewhere" / "copper"))
    assert offered(dock) == ["Show card", "Import…", "Export…"]


def test_without_a_model_only_import_is_offered(library: Path, qtbot: QtBot) -> None:
    library.rename(library.with_name("away"))
    dock = Segment(ViewerModel())
    qtbot.addWidget(dock)
    assert offered(dock) == ["Import…"]


def test_the_shipped_model_is_listed_first_and_not_to_be_changed(
    library: Path, tmp_path: Path, write_model: Callable[..., Path], qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter = write_model(tmp_path / "package" / "starter")
    monkeypatch.setattr("napari_nanoseg.io.model_library.starter_folder", lambda: starter)
    dock, start = Segment(ViewerModel()), StartFrom()
    qtbot.addWidget(dock)
    qtbot.addWidget(start)
    assert names(dock) == ["starter (any particles)", "gold", "silver"]
    models = [start.itemText(index) for index in range(start.count())]
    assert models[models.index("starter") :][:3] == ["starter", "gold", "silver"]
    dock.models.choose(starter)
    assert offered(dock) == ["Show card", "Import…", "Export…"]


def test_the_card_can_be_read_and_selected(dock: Segment, qtbot: QtBot) -> None:
    dock.show()
    dock.manager.show_action.trigger()
    (card,) = dock.manager.findChildren(Card)
    assert card.isVisible()
    text = card.text.toPlainText()
    assert "Name: gold" in text
    assert "Files: ok" in text
    assert card.text.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse
    with qtbot.waitSignal(card.destroyed):
        card.close()


def test_a_renamed_model_stays_chosen(dock: Segment, library: Path, answer: Answer, qtbot: QtBot) -> None:
    other = Segment(dock.viewer)
    qtbot.addWidget(other)
    answer(name=" Größe ")
    dock.manager.rename_action.trigger()
    assert dock.session.model == library / "Größe"
    assert dock.models.currentText() == other.models.currentText() == "Größe"
    assert names(dock) == ["Größe", "silver"]
    assert dock.models.entry is not None
    assert dock.models.entry.problem is None
    assert said(dock) == ""


def test_a_renamed_model_is_still_the_one_used_last(dock: Segment, library: Path, answer: Answer, qtbot: QtBot) -> None:
    for name in ("Größe", "silver", "gold"):  # the first of them is gone
        remember_model(library / name)
    answer(name="Größe")
    dock.manager.rename_action.trigger()
    assert recent_models() == [library / "Größe", library / "silver"]
    answer(name="copper")
    dock.models.choose(library / "silver")
    dock.manager.rename_action.trigger()
    assert recent_models() == [library / "Größe", library / "copper"]
    other = Segment(ViewerModel())
    qtbot.addWidget(other)
    assert other.session.model == library / "Größe"


def test_a_name_that_is_taken_is_refused_in_the_dock(dock: Segment, library: Path, answer: Answer) -> None:
    answer(name="silver")
    dock.manager.rename_action.trigger()
    assert "already a model 'silver'" in said(dock)
    assert dock.session.model == library / "gold"
    answer(name="copper")
    dock.manager.rename_action.trigger()
    assert said(dock) == ""  # the error is not of this any more


def test_a_model_is_removed_only_when_the_user_is_sure(dock: Segment, library: Path, answer: Answer) -> None:
    answer(sure=False)
    dock.manager.remove_action.trigger()
    assert (library / "gold").is_dir()
    answer(sure=True)
    dock.manager.remove_action.trigger()
    assert not (library / "gold").exists()
    assert dock.session.model == library / "silver"
    assert names(dock) == ["silver"]
    dock.manager.remove_action.trigger()
    assert dock.session.model is None
    assert dock.models.entry is None
    assert offered(dock) == ["Import…"]
    dock.manager.remove_action.trigger()
    assert said(dock) == ""


def test_a_model_that_vanished_meanwhile_is_an_error_in_the_dock(dock: Segment, library: Path, answer: Answer) -> None:
    (library / "gold").rename(library / "moved")
    answer()
    dock.manager.remove_action.trigger()
    assert "no model at" in said(dock)
    assert (library / "moved").is_dir()


def test_a_model_is_imported_and_chosen(
    dock: Segment, library: Path, tmp_path: Path, answer: Answer, qtbot: QtBot
) -> None:
    source = export_model(library / "silver", tmp_path / "gold.zip")
    answer(opened=source)
    dock.manager.import_action.trigger()
    finish(qtbot, dock)
    assert dock.session.model == library / "gold-2"  # the name that was offered is free
    assert dock.models.currentText() == "gold-2"
    assert "gold-2" in said(dock, "info")
    answer(opened=library / "silver" / "model.yaml", name="copy")  # a file of a model stands for its folder
    dock.manager.import_action.trigger()
    finish(qtbot, dock)
    assert dock.session.model == library / "copy"


def test_a_model_that_cannot_be_imported_is_an_error_in_the_dock(
    dock: Segment, library: Path, tmp_path: Path, answer: Answer, qtbot: QtBot
) -> None:
    whole = export_model(library / "silver", tmp_path / "whole.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:-30])
    answer(opened=tmp_path / "cut.zip")
    dock.manager.import_action.trigger()
    finish(qtbot, dock)
    assert "cut.zip: the zip is damaged" in said(dock)
    assert dock.session.model == library / "gold"
    assert sorted(path.name for path in library.iterdir()) == ["gold", "silver"]


def test_a_model_is_exported(dock: Segment, tmp_path: Path, answer: Answer, qtbot: QtBot) -> None:
    answer(saved=tmp_path / "v1.2")
    dock.manager.export_action.trigger()
    finish(qtbot, dock)
    with zipfile.ZipFile(tmp_path / "v1.2.zip") as archive:
        assert set(archive.namelist()) == {"model.yaml", "weights.safetensors"}
    assert "v1.2.zip" in said(dock, "info")
