"""Whether the result that a dock shows is still that of the layers and settings that are chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
from napari.layers import Labels, Layer
from napari.utils.events import Event, EventEmitter
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_nanoseg._gui.follow import Following, follow
from napari_nanoseg._gui.session import Session
from napari_nanoseg._gui.words import WordLabel
from napari_nanoseg.errors import NanosegError

SETTLED_MS = 300
"""Labels are compared with what they were when nothing was drawn anew for so long."""
LARGEST_LOOK = 2**22
"""Pixels of a labels layer that are compared: 16 ms. Larger ones tell of painting, but not of Ctrl+Z."""


@dataclass(frozen=True, eq=False)
class Input:
    """A layer that a result is made of.

    Parameters
    ----------
    layer : Layer
    role : str, optional
        The attribute of the session that names it; None: nobody chooses it.
    main : bool
        Whether the result belongs to it, so that it leaves with the layer; otherwise it is only outdated.
    pixels : bool
        Whether its pixels count, and not only their size.
    """

    layer: Layer
    role: str | None = None
    main: bool = True
    pixels: bool = True


@dataclass(eq=False)
class _Basis:
    """What one result is made of, as it was when its job began."""

    inputs: tuple[Input, ...]
    settings: object
    edited: set[Layer] = field(default_factory=set)
    spaces: list[tuple[object, ...]] = field(init=False)
    contents: list[int | None] = field(init=False)

    def __post_init__(self) -> None:
        self.spaces = [_space(one.layer) for one in self.inputs]
        self.contents = [_content(one.layer) for one in self.inputs]

    def look(self) -> None:
        """Find what was edited without an event of its own."""
        for one, content in zip(self.inputs, self.contents, strict=True):
            if one.layer not in self.edited and _content(one.layer) != content:
                self.edited.add(one.layer)


class Freshness(QObject):
    """Follows the layers of a result from the start of its job for as long as the result is shown.

    Parameters
    ----------
    session : Session
    settings : callable
        Gives what else a result depends on, to be compared with ``==``; may raise a `NanosegError` while something is
        being typed.
    parent : QWidget
        The dock.
    """

    changed = Signal()
    """Something about the layers of the result, or about what is chosen, has changed."""

    def __init__(self, session: Session, settings: Callable[[], object], parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._settings = session, settings
        self._running: _Basis | None = None
        self._shown: _Basis | None = None
        self._edits = Following(self)
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._settled.timeout.connect(self._look)
        session.changed.connect(self._tell)
        follow(self, session.viewer.layers.events.removed, self._tell)

    def begin(self, inputs: Sequence[Input]) -> None:
        """Remember what a job is made of that begins now; the result that is shown stays until the job's end."""
        self._running = _Basis(tuple(inputs), self._settings())
        self._follow()

    def finish(self) -> str | None:
        """Follow the result of the job in place of the one before.

        Returns
        -------
        str or None
            Why it cannot be shown, as in `away`.
        """
        basis, self._running = self._running, None
        assert basis is not None, "a job that ends has begun"
        self._shown = basis
        self._follow()
        return self.away

    def forget(self) -> None:
        """Nothing is shown any more."""
        self._shown = None
        self._follow()

    @property
    def current(self) -> bool:
        """Whether a result is shown, and is what the job would give now."""
        return self._shown is not None and self.away is None and self.outdated is None

    @property
    def away(self) -> str | None:
        """Why the main layers of the result are not those that are chosen, as a sentence; None where they are."""
        return None if self._shown is None else self._why_away(self._shown)

    @property
    def outdated(self) -> str | None:
        """Why the job would give another result now, as a sentence; None where it would not, or nothing is shown."""
        if self._shown is None:
            return None
        reasons = [self._why_outdated(self._shown, index) for index in range(len(self._shown.inputs))]
        try:
            if self._settings() != self._shown.settings:
                reasons.append("the settings were changed")
        except NanosegError:
            pass  # the form says so
        return next((f"The result is outdated: {reason}." for reason in reasons if reason is not None), None)

    def _why_away(self, basis: _Basis) -> str | None:
        for one in (one for one in basis.inputs if one.main):
            if not self._open(one.layer):
                return f"The layer '{one.layer.name}' was removed."
            chosen = None if one.role is None else getattr(self._session, one.role)
            if chosen is not None and chosen is not one.layer:
                return f"Another layer than '{one.layer.name}' is chosen now."
        return None

    def _why_outdated(self, basis: _Basis, index: int) -> str | None:
        one = basis.inputs[index]
        name = one.layer.name
        if one.pixels and not self._open(one.layer):
            return f"'{name}' was removed"
        if one.role is not None and getattr(self._session, one.role) is not one.layer:
            return f"another layer than '{name}' was chosen"
        if one.pixels and one.layer in basis.edited:
            return f"'{name}' was edited"
        if _space(one.layer) != basis.spaces[index]:
            return f"the pixel size or the axes of '{name}' were changed"
        return None

    def _open(self, layer: Layer) -> bool:
        return layer in self._session.viewer.layers

    def _follow(self) -> None:
        """Follow the layers of the result that is shown and of that which is on its way."""
        bases = [basis for basis in (self._running, self._shown) if basis is not None]
        layers = dict.fromkeys(one.layer for basis in bases for one in basis.inputs)
        self._edits.replace(*(connection for layer in layers for connection in self._connections(layer)))

    def _connections(self, layer: Layer) -> list[tuple[EventEmitter, Callable[..., None]]]:
        events: Any = layer.events
        edits, others = [events.data], [events.scale, events.units, events.axis_labels, events.name]
        redrawn = []
        if isinstance(layer, Labels):
            edits += [events.paint, events.labels_update]
            redrawn = [events.set_data]  # all that napari tells of undo
        return [
            *((emitter, self._edited) for emitter in edits),
            *((emitter, self._tell) for emitter in others),
            *((emitter, self._redrawn) for emitter in redrawn),
        ]

    def _redrawn(self, _: Event) -> None:
        self._settled.start()

    def _look(self) -> None:
        for basis in (self._running, self._shown):
            if basis is not None:
                basis.look()
        self._tell()

    def _edited(self, event: Event) -> None:
        for basis in (self._running, self._shown):
            if basis is not None:
                basis.edited.add(event.source)
        self._tell()

    def _tell(self, _: object = None) -> None:
        self.changed.emit()


class Outdated(QWidget):
    """The line that says that a result is old, and offers to make it again.

    Parameters
    ----------
    again : str, optional
        Text of a button; None: there is none.
    """

    again = Signal()
    """The user wants the result made again."""

    def __init__(self, again: str | None = None) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._line = WordLabel()
        layout.addWidget(self._line)
        if again is not None:
            button = QPushButton(again)
            button.clicked.connect(lambda: self.again.emit())
            layout.addWidget(button)
        self.setVisible(False)

    @property
    def text(self) -> str:
        """What is said."""
        return self._line.text()

    def say(self, why: str | None) -> None:
        """Say why a result is old; None hides the line."""
        self._line.setText(why or "")
        self.setVisible(why is not None)


def _space(layer: Layer) -> tuple[object, ...]:
    """What says how large the pixels are, and what the axes."""
    return tuple(layer.scale), layer.units, layer.axis_labels


def _content(layer: Layer) -> int | None:
    """A number that tells whether labels are as they were; None for what is too large or not in memory."""
    data = layer.data
    if not isinstance(layer, Labels) or not isinstance(data, np.ndarray) or data.size > LARGEST_LOOK:
        return None
    return crc32(np.ascontiguousarray(data).data)
