"""One widget for each kind of single value that a config can have.

Every editor gives back exactly what was put in until the user changes something: a text that a line cannot show, a path
with a line break and a tuple with duplicates survive.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

from pydantic_core import PydanticUndefined
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLineEdit, QWidget

from napari_nanoseg._gui.numbers import Limits, NumberEdit
from napari_nanoseg._gui.pickers import SHORTEST, PathPicker, narrow

UNSET = PydanticUndefined
"""The value of a field that has no default and was not given yet."""


class Editor(QWidget):
    """A widget for one value.

    Subclasses show a value in `_show` and read it in `_read`.
    """

    changed = Signal()
    """The user changed the value, or :meth:`put` was called with another one."""

    def __init__(self) -> None:
        super().__init__()
        self._given: Any = UNSET
        self._touched = False
        self._box = QHBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)

    def get(self) -> Any:
        """The value; what the user typed where that is none of the right kind; `UNSET` when there is none."""
        return self._read() if self._touched else self._given

    def put(self, value: Any) -> None:
        """Show a value; `UNSET` shows nothing."""
        self._given, self._touched = value, False
        with QSignalBlocker(self):
            self._show(value)

    def example(self) -> Any:
        """A value to begin with when nothing is known; `UNSET` where there is none."""
        return UNSET

    @abstractmethod
    def _show(self, value: Any) -> None:
        """Show a value, or nothing for `UNSET`."""

    @abstractmethod
    def _read(self) -> Any:
        """What is shown, as a value."""

    def _touch(self) -> None:
        if not self.signalsBlocked():
            self._touched = True
            self.changed.emit()


class Number(Editor):
    """An exact number, with arrows unless there are two in a row."""

    def __init__(self, kind: type[int] | type[float], limits: Limits, extra: dict[str, Any]) -> None:
        super().__init__()
        self._limits, self._kind = limits, kind
        self.line = NumberEdit(kind, limits, extra.get("step"))
        self.line.changed.connect(self._touch)
        self._box.addWidget(self.line)
        self.setFocusProxy(self.line)

    def example(self) -> int | float:
        """A number inside the limits."""
        return self._kind(self._limits.example())

    def _show(self, value: Any) -> None:
        self.line.put(None if value is UNSET else value)

    def _read(self) -> Any:
        return self.line.get()


class Flag(Editor):
    """Yes or no."""

    def __init__(self) -> None:
        super().__init__()
        self._check = QCheckBox()
        self._check.toggled.connect(self._touch)
        self._box.addWidget(self._check)
        self._box.addStretch(1)
        self.setFocusProxy(self._check)

    def _show(self, value: Any) -> None:
        self._check.setChecked(value is True)

    def _read(self) -> bool:
        return self._check.isChecked()


class Combo(QComboBox):
    """A combo box that the wheel turns only when it has the focus, and that a long entry does not widen."""

    def __init__(self) -> None:
        super().__init__()
        narrow(self)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        """Scroll the dock unless the user is here."""
        if event is not None and not self.hasFocus():
            event.ignore()
        else:
            super().wheelEvent(event)


class Choice(Editor):
    """One of several values; `none` is the text of an entry for None."""

    def __init__(self, choices: Sequence[Any], none: str | None = None) -> None:
        super().__init__()
        self._choices = [*([None] if none is not None else []), *choices]
        self._combo = Combo()
        texts = [none or "" if choice is None else str(choice) for choice in self._choices]
        self._combo.addItems(texts)
        self._combo.setMinimumContentsLength(min(SHORTEST, max(map(len, texts))))
        self._combo.currentIndexChanged.connect(self._touch)
        self._box.addWidget(self._combo)
        self.setFocusProxy(self._combo)

    def set_none(self, text: str) -> None:
        """Say what None means now."""
        with QSignalBlocker(self._combo):
            self._combo.setItemText(self._choices.index(None), text)

    def _show(self, value: Any) -> None:
        self._combo.setCurrentIndex(-1 if value is UNSET else self._choices.index(value))

    def _read(self) -> Any:
        index = self._combo.currentIndex()
        return self._choices[index] if index >= 0 else UNSET


class Text(Editor):
    """A line of text; `suggestions` drop down."""

    def __init__(self, suggestions: Sequence[str] = ()) -> None:
        super().__init__()
        self.line = QLineEdit()
        if suggestions:
            combo = Combo()
            combo.setEditable(True)
            combo.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
            combo.addItems(list(suggestions))
            combo.setLineEdit(self.line)
            combo.setCompleter(None)  # it would finish "c" to "cpu" while "cuda" is typed
            self._box.addWidget(combo)
        else:
            self._box.addWidget(self.line)
        self.line.textChanged.connect(self._touch)
        self.setFocusProxy(self.line)

    def _show(self, value: Any) -> None:
        self.line.setText("" if value is UNSET else str(value))
        self.line.setCursorPosition(0)

    def _read(self) -> Any:
        return self.line.text().strip()


class OnePath(Editor):
    """A path; `none` is the grey text of an empty line that means None."""

    def __init__(self, kind: Literal["folder", "open"], none: str | None = None) -> None:
        super().__init__()
        self._empty = UNSET if none is None else None
        self._picker = PathPicker(kind, hint=none or "")
        self._picker.changed.connect(lambda _: self._touch())
        self._box.addWidget(self._picker)
        self.setFocusProxy(self._picker)

    def _show(self, value: Any) -> None:
        self._picker.choose(None if value is UNSET else value)

    def _read(self) -> Any:
        path = self._picker.path
        return self._empty if path is None else path
