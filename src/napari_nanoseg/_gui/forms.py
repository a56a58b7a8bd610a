"""Forms made from configs: labels, tooltips, ranges, units and choices come from the model's fields."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QVBoxLayout, QWidget

from napari_nanoseg._gui.compound_editors import Maybe
from napari_nanoseg._gui.editors import UNSET, Choice, Editor
from napari_nanoseg._gui.fields import (
    defaults_of,
    editor_of,
    is_constant,
    nested_kinds,
    tooltip_of,
)
from napari_nanoseg._gui.fold import Fold
from napari_nanoseg._gui.kinds import COLUMNS, KindBoxes
from napari_nanoseg._gui.labels import extra_of, label_of
from napari_nanoseg._gui.words import WordLabel
from napari_nanoseg.config.base import Config, describe_one
from napari_nanoseg.errors import NanosegError

ADVANCED = "Advanced"
_QUOTED = re.compile(r"'(\w+)'")
WRONG = "QLineEdit, QAbstractSpinBox, QComboBox, QCheckBox { border: 1px solid #D55E00; }"
"""Vermilion of Okabe and Ito around what is refused; the reason stands below it."""


class ConfigForm(QWidget):
    """A form for a config.

    Parameters
    ----------
    config : Config, or subclass of it
        What is shown first; of a class, its defaults. Fields without a default stay empty.
    hide : collection of str
        Names of fields that are not shown and keep their value; those of nested configs with dots.
    parent : QWidget, optional
    """

    valueChanged = Signal()  # noqa: N815 (as in Qt)
    """The form holds something else than before; it may be nothing valid."""

    def __init__(
        self, config: type[Config] | Config, *, hide: Collection[str] = (), parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._kind = config if isinstance(config, type) else type(config)
        self._hide = frozenset(hide)
        self._kept = defaults_of(self._kind) if isinstance(config, type) else dict(config)
        self._editors: dict[str, Editor] = {}
        self._nested: dict[str, ConfigForm] = {}
        self._holders: dict[str, QVBoxLayout] = {}
        """Where the form of a nested config lies."""
        self.kinds = KindBoxes(self._kind, self._hide)
        self.kinds.chosen.connect(self._choose)
        self._labels: dict[str, WordLabel] = {}
        self._reasons: dict[str, WordLabel] = {}
        self._folds: list[tuple[Fold, frozenset[str]]] = []
        self._nones: dict[str, str] = {}
        self._error: ValidationError | None = None
        self._valid: Config | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.kinds)
        self._show_kinds()
        for title, names in self._sections().items():
            if title is None:
                self._fill(column, names)
            else:
                self._fold(column, title, names)
        column.addStretch(1)
        self._check()

    @property
    def kind(self) -> type[Config]:
        """The class of the config."""
        return self._kind

    def value(self) -> Config:
        """The config.

        Raises
        ------
        NanosegError
            With :meth:`problem`.
        """
        if self._valid is None:
            raise NanosegError(self.problem() or "")
        return self._valid

    def setValue(self, config: Config) -> None:  # noqa: N802
        """Show a config; `valueChanged` is emitted once if it is another one."""
        changed = self._valid != config
        self._kept = dict(config)
        for name, editor in self._editors.items():
            editor.put(self._kept[name])
        for name in self._nested:
            self._show_nested(name)
        self._show_kinds()
        self._check()
        if changed:
            self.valueChanged.emit()

    def problem(self) -> str | None:
        """What is wrong first and what to do, in one sentence; None when nothing is."""
        errors = self._errors()
        return self._sentence(errors[0]) if errors else None

    def placeholder(self, field: str, text: str) -> None:
        """Say what None means for an optional field now, such as "57 px, from the annotation".

        Parameters
        ----------
        field : str
            Its name; with dots in a nested config.
        text : str
            A number at its beginning is what the user starts from when giving an own value.
        """
        name, _, rest = field.partition(".")
        self._nones[field] = text
        if rest and name in self._nested:
            self._nested[name].placeholder(rest, text)
        editor = self._editors.get(field)
        if isinstance(editor, Maybe | Choice):
            editor.set_none(text)

    def unfold(self) -> None:
        """Open all sections."""
        for fold, _ in self._folds:
            fold.open()
        for form in self._nested.values():
            form.unfold()

    def editor(self, field: str) -> Editor:
        """The widget of a field (with dots in a nested config); its section must have been opened."""
        name, _, rest = field.partition(".")
        return self._nested[name].editor(rest) if rest else self._editors[name]

    def _sections(self) -> dict[str | None, list[str]]:
        """Names of the fields by the title of their section; None is the front, advanced ones come last."""
        sections: dict[str | None, list[str]] = {None: []}
        late: dict[str | None, list[str]] = {}
        for name, field in self._kind.model_fields.items():
            extra = extra_of(field)
            if name in self._hide or is_constant(field):
                continue
            advanced = bool(extra.get("advanced"))
            title = extra.get("group", ADVANCED if advanced else None)
            if nested_kinds(field):
                title = extra.get("group", label_of(name, field))
            (late if advanced else sections).setdefault(title, []).append(name)
        for title, names in late.items():
            sections.setdefault(title, []).extend(names)
        return sections

    def _fold(self, column: QVBoxLayout, title: str, names: list[str]) -> None:
        fold = Fold(title, lambda inside: self._fill(inside, names))
        field = self._kind.model_fields[names[0]]
        if nested_kinds(field):
            fold.setToolTip(tooltip_of(field))
        self._folds.append((fold, frozenset(names)))
        column.addWidget(fold)

    def _fill(self, column: QVBoxLayout, names: list[str]) -> None:
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        for number, stretch in enumerate(COLUMNS):
            grid.setColumnStretch(number, stretch)
        for name in names:
            if nested_kinds(self._kind.model_fields[name]):
                self._nest(grid, name)
            else:
                self._row(grid, name)
        column.addLayout(grid)
        self._mark()

    def _row(self, grid: QGridLayout, name: str) -> None:
        field = self._kind.model_fields[name]
        label = WordLabel(label_of(name, field, unit=True))
        editor = editor_of(field)
        editor.put(self._kept[name])
        tooltip = tooltip_of(field)
        label.setToolTip(tooltip)
        editor.setToolTip(tooltip)
        label.setBuddy(editor)
        if (target := editor.focusProxy()) is not None:
            target.setAccessibleName(label.text())
        if name in self._nones and isinstance(editor, Maybe | Choice):
            editor.set_none(self._nones[name])
        editor.changed.connect(self._changed)
        reason = WordLabel()
        reason.hide()
        row = grid.rowCount()
        grid.addWidget(label, row, 0)
        grid.addWidget(editor, row, 1)
        grid.addWidget(reason, row + 1, 0, 1, 2)
        self._labels[name], self._editors[name], self._reasons[name] = label, editor, reason

    def _nest(self, grid: QGridLayout, name: str) -> None:
        holder = QVBoxLayout()
        grid.addLayout(holder, grid.rowCount(), 0, 1, 2)
        self._holders[name] = holder
        self._show_nested(name)

    def _show_nested(self, name: str) -> None:
        """Show the value of a nested config, in a new form where it is of another kind."""
        value = self._kept[name]
        kind = self._kind_of(name)
        assert kind is not None
        form = self._nested.get(name)
        if form is not None and form.kind is kind:
            form.blockSignals(True)
            form.setValue(value)
            form.blockSignals(False)
            return
        if form is not None:
            self._holders[name].removeWidget(form)
            form.hide()
            form.deleteLater()
        begin = f"{name}."
        hidden = {one.removeprefix(begin) for one in self._hide if one.startswith(begin)}
        form = ConfigForm(kind if value is UNSET else value, hide=hidden)
        for field, text in self._nones.items():
            if field.startswith(begin):
                form.placeholder(field.removeprefix(begin), text)
        form.valueChanged.connect(lambda: self._nested_changed(name))
        self._nested[name] = form
        self._holders[name].addWidget(form)

    def _kind_of(self, name: str) -> type[Config] | None:
        """The kind of config that a field holds now; None where it holds none."""
        kinds = nested_kinds(self._kind.model_fields[name])
        value = self._kept.get(name)
        return next((kind for kind in kinds if type(value) is kind), kinds[0] if kinds else None)

    def _show_kinds(self) -> None:
        for name in self.kinds.boxes:
            self.kinds.show_kind(name, self._kind_of(name))

    def _choose(self, name: str) -> None:
        """The user chose another kind of config for a field: its defaults, and what depends on it."""
        kind = self.kinds.kind(name)
        if kind is self._kind_of(name):
            return
        before = self._valid
        self._kept[name] = kind()
        if name in self._nested:
            self._show_nested(name)
        self._follow(name, before)

    def _nested_changed(self, name: str) -> None:
        before = self._valid
        self._check()
        self._follow(name, before)

    def _follow(self, name: str, before: Config | None) -> None:
        """Change what depends on a nested config that has changed."""
        inner = self._nested[name]._valid if name in self._nested else self._kept[name]
        if before is not None and inner is not None:
            wanted = before.with_kind(name, inner)
            for other in type(before).model_fields:
                value = getattr(wanted, other)
                if other != name and value != getattr(before, other):
                    self._kept[other] = value
                    if other in self._editors:
                        self._editors[other].put(value)
                    elif other in self._nested:
                        self._show_nested(other)
        self._changed()

    def _values(self) -> dict[str, Any]:
        """What the form holds, valid or not."""
        values = dict(self._kept)
        values |= {name: editor.get() for name, editor in self._editors.items()}
        values |= {name: form._values() for name, form in self._nested.items()}
        return {name: value for name, value in values.items() if value is not UNSET}

    def _changed(self) -> None:
        self._check()
        self.valueChanged.emit()

    def _check(self) -> None:
        try:
            self._valid, self._error = self._kind.model_validate(self._values()), None
        except ValidationError as error:
            self._valid, self._error = None, error
        self._mark()

    def _errors(self) -> list[ErrorDetails]:
        return [] if self._error is None else self._error.errors()

    def _mark(self) -> None:
        """Mark the fields that are refused, with the reason, and the sections that hold them; hide unused ones."""
        unused = frozenset[str]() if self._valid is None else self._valid.unused
        for name, editor in self._editors.items():
            for widget in (self._labels[name], editor):
                widget.setVisible(name not in unused)
        for fold, names in self._folds:
            fold.setVisible(not names <= unused)
        wrong: dict[str, ErrorDetails] = {}
        for error in self._errors():
            for name in [str(error["loc"][0])] if error["loc"] else _QUOTED.findall(error["msg"]):
                wrong.setdefault(name, error)
        for name, editor in self._editors.items():
            if (name in wrong) != bool(editor.styleSheet()):
                editor.setStyleSheet(WRONG if name in wrong else "")
            reason = self._reasons[name]
            reason.setVisible(name in wrong)
            reason.setText(f"⚠ {self._sentence(wrong[name])}" if name in wrong else "")
        for fold, names in self._folds:
            fold.mark(bool(names & wrong.keys()))

    def _sentence(self, error: ErrorDetails) -> str:
        """Say what is wrong, in the words of the labels."""
        kind: type[Config] | None = self._kind
        words: list[str] = []
        for part in error["loc"]:
            field = kind.model_fields.get(str(part)) if kind is not None else None
            if field is None:
                break
            words.append(label_of(str(part), field))
            kind = self._kind_of(str(part)) if len(words) == 1 else next(iter(nested_kinds(field)), None)
        name = f"'{': '.join(words)}'"
        if kind is None or error["type"] != "value_error":
            return f"{describe_one(error, name)}."
        text = _labelled(error["msg"].removeprefix("Value error, "), kind)
        return f"{name}: {text}." if words else f"{text[:1].upper()}{text[1:]}."


def _labelled(message: str, kind: type[Config]) -> str:
    """A sentence with the labels of the fields that it names."""
    fields = kind.model_fields
    return _QUOTED.sub(lambda at: f"'{label_of(at[1], fields[at[1]])}'" if at[1] in fields else at[0], message)
