"""What can be done with the models of the library, in a menu beside their list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtGui import QAction, QTextOption
from qtpy.QtWidgets import QDialog, QFileDialog, QInputDialog, QMenu, QMessageBox, QTextEdit, QToolButton, QVBoxLayout

from napari_nanoseg._gui.jobs import JobPanel
from napari_nanoseg._gui.model_picker import FILE, ModelPicker, ask_for_model
from napari_nanoseg._gui.settings import settings
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Stage, tell
from napari_nanoseg.io.model_cards import ANNOTATED, model_name
from napari_nanoseg.io.model_library import export_model, import_model, remove_model, rename_model
from napari_nanoseg.io.model_summary import summary
from napari_nanoseg.io.places import free_path


@dataclass(frozen=True)
class Imported:
    """A model that is new in the library."""

    path: Path


@dataclass(frozen=True)
class Exported:
    """A zip that was written."""

    path: Path


class ModelManager(QToolButton):
    """A button with a menu.

    Parameters
    ----------
    picker : ModelPicker
        Its model is what the menu is about.
    panel : JobPanel
        Of the dock: copies models, and shows what went wrong.
    """

    def __init__(self, picker: ModelPicker, panel: JobPanel) -> None:
        super().__init__()
        self._picker, self._panel = picker, panel
        self.setText("…")
        self.setToolTip("Manage the models")
        self.setAccessibleName("manage the models")
        self.setStyleSheet("QToolButton::menu-indicator { image: none }")  # it would cover the text
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self)
        self.show_action = _add(menu, "Show card", self._show)
        self.rename_action = _add(menu, "Rename…", self._rename)
        self.remove_action = _add(menu, "Remove…", self._remove)
        menu.addSeparator()
        self.import_action = _add(menu, "Import…", self._import)
        self.export_action = _add(menu, "Export…", self._export)
        menu.aboutToShow.connect(self.refresh)
        self.setMenu(menu)
        panel.done.connect(self._done)
        self.refresh()

    def refresh(self) -> None:
        """Offer what can be done now: only models in the library are renamed and removed."""
        path, free = self._path, not self._panel.running
        mine = path is not None and path.parent == settings().models
        self.show_action.setEnabled(path is not None)
        self.rename_action.setEnabled(mine and free)
        self.remove_action.setEnabled(mine and free)
        self.import_action.setEnabled(free)
        self.export_action.setEnabled(path is not None and free)

    @property
    def _path(self) -> Path | None:
        entry = self._picker.entry
        return None if entry is None else entry.path

    def _show(self) -> None:
        if (path := self._path) is not None:
            Card(self, model_name(path), summary(path)).open()

    def _rename(self) -> None:
        if (path := self._path) is None:
            return
        name, agreed = QInputDialog.getText(self, "Rename the model", "New name", text=model_name(path))
        if agreed and name.strip() != model_name(path):
            self._change(lambda: self._picker.choose(rename_model(path, name.strip(), settings().models)))

    def _remove(self) -> None:
        if (path := self._path) is None:
            return
        yes, no = QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.No
        outlines = " and the annotated images it was trained from" if (path / ANNOTATED).exists() else ""
        text = f"Delete the model '{model_name(path)}'{outlines}, with all files in {path}?"
        if QMessageBox.question(self, "NanoSeg", text, yes | no, no) == yes:
            self._change(lambda: self._picker.forget(remove_model(path, settings().models, annotations=True)))

    def _change(self, change: Callable[[], None]) -> None:
        try:
            change()
        except NanosegError as error:
            self._panel.refuse(str(error))
        else:
            self._panel.refuse("")

    def _import(self) -> None:
        source = ask_for_model(self, FILE, Path.home())
        if source is None:
            return
        models = settings().models
        free = free_path(models / model_name(source)).name
        name, agreed = QInputDialog.getText(self, "Import a model", "Its name", text=free)
        if agreed:
            self._panel.start(partial(import_into, source, models, name.strip()), f"Importing {source.name}")

    def _export(self) -> None:
        if (path := self._path) is None:
            return
        start = str(Path.home() / f"{model_name(path)}.zip")
        chosen, _ = QFileDialog.getSaveFileName(self, "Export the model", start, "Zip (*.zip)")
        if chosen:
            target = Path(chosen)
            target = target if target.suffix.lower() == ".zip" else target.with_name(f"{target.name}.zip")
            self._panel.start(partial(export_as_zip, path, target), f"Exporting {model_name(path)}")

    def _done(self, result: object) -> None:
        if isinstance(result, Imported):
            self._picker.choose(result.path)
            self._panel.say(f"The model '{result.path.name}' is in the library.")
        elif isinstance(result, Exported):
            self._panel.say(f"The model is in {result.path}.")


class Card(QDialog):
    """What is known about a model, as text that can be selected.

    Parameters
    ----------
    parent : ModelManager
    name : str
        Of the model.
    lines : dict
        Texts by their label.
    """

    def __init__(self, parent: ModelManager, name: str, lines: dict[str, str]) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(f"Model {name}")
        self.text = QTextEdit()
        self.text.setReadOnly(True)
        self.text.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.text.setPlainText("\n".join(f"{label}: {text}" for label, text in lines.items()))
        self.text.setAccessibleName("card of the model")
        QVBoxLayout(self).addWidget(self.text)
        self.resize(480, 320)


def import_into(source: Path, models: Path, name: str) -> Imported:
    """Copy a model into the library."""
    tell(Stage("import", f"Importing {source}."))
    return Imported(import_model(source, models, name))


def export_as_zip(path: Path, target: Path) -> Exported:
    """Write a model into a zip."""
    tell(Stage("export", f"Writing {target}."))
    return Exported(export_model(path, target, overwrite=True))  # the dialog has asked


def _add(menu: QMenu, text: str, slot: Callable[[], None]) -> QAction:
    action = QAction(text, menu)
    action.triggered.connect(lambda: slot())
    menu.addAction(action)
    return action
