"""Widgets for values made of others: tuples, lists, and what may be None."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QCheckBox, QFileDialog, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout

from napari_nanoseg._gui.editors import UNSET, Editor, Number, Text
from napari_nanoseg._gui.pickers import expanded
from napari_nanoseg._gui.words import WordLabel


class Several(Editor):
    """Some of several values, in an order; what is checked later comes later."""

    def __init__(self, choices: Sequence[Any]) -> None:
        super().__init__()
        self._chosen: list[Any] = []
        column = QVBoxLayout()
        self._checks = {choice: QCheckBox(str(choice)) for choice in choices}
        for choice, check in self._checks.items():
            check.toggled.connect(lambda on, choice=choice: self._toggle(choice, on))
            column.addWidget(check)
        self._box.addLayout(column)
        self.setFocusProxy(next(iter(self._checks.values())))

    def _toggle(self, choice: Any, on: bool) -> None:
        if not self.signalsBlocked():
            self._chosen = [one for one in self._chosen if one != choice] + ([choice] if on else [])
            self._touch()

    def _show(self, value: Any) -> None:
        self._chosen = [] if value is UNSET else list(value)
        for choice, check in self._checks.items():
            check.setChecked(choice in self._chosen)

    def _read(self) -> tuple[Any, ...]:
        return tuple(self._chosen)


class Numbers(Text):
    """Any number of numbers, separated by commas."""

    def __init__(self, kind: type[int] | type[float]) -> None:
        super().__init__()
        self._kind = kind

    def _show(self, value: Any) -> None:
        super()._show(UNSET if value is UNSET else ", ".join(repr(one) for one in value))

    def _read(self) -> tuple[Any, ...]:
        parts = [part.strip() for part in self.line.text().split(",")]
        return tuple(self._number(part) for part in parts) if any(parts) else ()

    def _number(self, text: str) -> Any:
        try:
            return self._kind(text)
        except ValueError:
            return text


class Texts(Text):
    """Any number of texts, separated by commas; `suggestions` drop down."""

    def _show(self, value: Any) -> None:
        super()._show(UNSET if value is UNSET else ", ".join(value))

    def _read(self) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.line.text().split(",") if part.strip())


class Paths(Editor):
    """Any number of paths, one on each line."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = QPlainTextEdit()
        self._lines.setFixedHeight(4 * self.fontMetrics().lineSpacing() + 8)
        self._lines.setTabChangesFocus(True)
        self._lines.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._lines.setMinimumWidth(60)
        self._lines.textChanged.connect(self._touch)
        button = QPushButton("…")
        button.setToolTip("Add files")
        button.setFixedWidth(30)
        button.clicked.connect(self._ask)
        self._box.addWidget(self._lines)
        self._box.addWidget(button, alignment=Qt.AlignmentFlag.AlignTop)
        self.setFocusProxy(self._lines)

    def _show(self, value: Any) -> None:
        self._lines.setPlainText("" if value is UNSET else "\n".join(str(path) for path in value))

    def _read(self) -> tuple[Path, ...]:
        return tuple(expanded(line.strip()) for line in self._lines.toPlainText().splitlines() if line.strip())

    def _ask(self) -> None:
        chosen, _ = QFileDialog.getOpenFileNames(self, "Add files", str(Path.home()))
        for path in chosen:
            self._lines.appendPlainText(path)


class Row(Editor):
    """A tuple of a fixed length, side by side; two numbers are a range."""

    def __init__(self, editors: Sequence[Editor]) -> None:
        super().__init__()
        self._editors = editors
        self._box.setSpacing(3)
        between = "–" if isinstance(editors[0], Number) else "×"
        for number, editor in enumerate(editors):
            if number:
                self._box.addWidget(QLabel(between))
            if isinstance(editor, Number):
                editor.line.narrow()
            editor.changed.connect(self._touch)
            self._box.addWidget(editor, stretch=1)
        self.setFocusProxy(editors[0])

    def example(self) -> tuple[Any, ...]:
        """One of each."""
        return tuple(editor.example() for editor in self._editors)

    def _show(self, value: Any) -> None:
        for number, editor in enumerate(self._editors):
            editor.put(UNSET if value is UNSET else value[number])

    def _read(self) -> tuple[Any, ...]:
        return tuple(editor.get() for editor in self._editors)


class Maybe(Editor):
    """A check box before another editor; unchecked is None, and a text says what that means."""

    def __init__(self, inner: Editor, start: Any, none: str) -> None:
        super().__init__()
        self._inner, self._start = inner, start
        self._check = QCheckBox()
        self._check.setToolTip("Give a value of your own")
        self._check.toggled.connect(self._switch)
        self._none = _Words(none)
        self._none.clicked.connect(self._check.click)
        inner.changed.connect(self._touch)
        for widget, stretch in ((self._check, 0), (inner, 1), (self._none, 1)):
            self._box.addWidget(widget, stretch)
        self.setFocusProxy(self._check)
        self._reveal()

    def set_none(self, text: str) -> None:
        """Say what None means now; a number at the beginning is what the user starts from."""
        self._none.setText(text)
        number = re.match(r"\d+(\.\d+)?", text)
        if number and isinstance(self._inner, Number):
            self._start = type(self._inner.example())(float(number[0]))

    def _switch(self, on: bool) -> None:
        if on and self._inner.get() is UNSET:
            self._inner.put(self._start)
        self._reveal()
        self._touch()

    def _reveal(self) -> None:
        on = self._check.isChecked()
        self._inner.setVisible(on)
        self._none.setVisible(not on)

    def _show(self, value: Any) -> None:
        empty = value is None or value is UNSET
        self._check.setChecked(not empty)
        self._inner.put(UNSET if empty else value)

    def _read(self) -> Any:
        return self._inner.get() if self._check.isChecked() else None


class _Words(WordLabel):
    """A text that can be clicked."""

    clicked = Signal()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        self.clicked.emit()
        super().mouseReleaseEvent(event)
