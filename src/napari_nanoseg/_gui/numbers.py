"""A spin box that keeps numbers exactly as they are.

Qt's own boxes round to decimals and end at 32 bits; superqt's box for large integers takes the keyboard focus whenever
its value is set, and changes what is typed out of range without a word.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QValidator, QWheelEvent
from qtpy.QtWidgets import QAbstractSpinBox

DIGITS = 5
"""Characters that are always seen."""


@dataclass(frozen=True)
class Limits:
    """What numbers a field takes.

    Parameters
    ----------
    low, high : float or None
        Ends of the range.
    above, below : bool
        Whether the ends themselves are outside.
    """

    low: float | None = None
    high: float | None = None
    above: bool = False
    below: bool = False

    @classmethod
    def of(cls, metadata: Any) -> Limits:
        """Find the limits (``Ge``, ``Gt``, ``Le``, ``Lt``) in the metadata of a pydantic field."""
        found: dict[str, Any] = {}
        for item in metadata:
            for name in ("ge", "gt"):
                if getattr(item, name, None) is not None:
                    found |= {"low": getattr(item, name), "above": name == "gt"}
            for name in ("le", "lt"):
                if getattr(item, name, None) is not None:
                    found |= {"high": getattr(item, name), "below": name == "lt"}
        return cls(**found)

    def take(self, value: float) -> bool:
        """Whether a number is inside."""
        if self.low is not None and (value < self.low or (self.above and value == self.low)):
            return False
        return self.high is None or not (value > self.high or (self.below and value == self.high))

    def words(self) -> str:
        """The limits as a user reads them; empty when there are none."""
        low = None if self.low is None else f"{'more than' if self.above else 'from'} {self.low:,.15g}"
        high = None if self.high is None else f"{'less than' if self.below else 'to'} {self.high:,.15g}"
        if low is None and high is not None and not self.below:
            high = f"at most {self.high:,.15g}"
        if high is None and low is not None and not self.above:
            low = f"at least {self.low:,.15g}"
        return " ".join(part for part in (low, high) if part)

    def example(self) -> float:
        """A number inside, to begin with when nothing is known."""
        if self.low is not None and self.high is not None and self.high - self.low <= 1:
            return (self.low + self.high) / 2
        return (self.low or 0) + (1 if self.above else 0)


class NumberEdit(QAbstractSpinBox):
    """A line for one number with arrows; its text is the shortest that gives exactly this number.

    Parameters
    ----------
    kind : {int, float}
    limits : Limits
        Where the arrows end. What is typed is not changed: the config refuses it with a reason.
    step : int or float, optional
        Size of a step; None: about a tenth of the number.
    """

    changed = Signal()
    """The text is another one."""

    def __init__(self, kind: type[int] | type[float], limits: Limits, step: float | None = None) -> None:
        super().__init__()
        self._kind, self._limits, self._step = kind, limits, step
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # not by the wheel, which should scroll the dock
        line = self.lineEdit()
        assert line is not None, "Qt gives every spin box a line"
        self._line = line
        line.textChanged.connect(self.changed)

    def narrow(self) -> None:
        """Leave out the arrows and napari's least width, so that two boxes fit side by side; arrow keys still work."""
        self.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        width = self.fontMetrics().horizontalAdvance("0" * DIGITS)
        self.setStyleSheet(f"NumberEdit {{ min-width: {width}px; padding: 1px 4px; }}")

    def get(self) -> Any:
        """The number; the text itself where it is none."""
        text = self.text().strip()
        try:
            return self._kind(text)
        except ValueError:
            return text

    def put(self, value: Any) -> None:
        """Show a number, or nothing for None."""
        with QSignalBlocker(self):
            self._line.setText("" if value is None else repr(value))
            self._line.setCursorPosition(0)

    def stepBy(self, steps: int) -> None:  # noqa: N802
        """Go up or down, as far as the limits allow."""
        value = self.get()
        if isinstance(value, str) or not math.isfinite(value):
            return
        exact = Decimal(repr(value))
        for _ in range(abs(steps)):
            following = exact + self._size(exact, steps < 0).copy_sign(steps)
            if not self._limits.take(float(following)):
                following = self._end(exact, steps < 0)
            exact = following
        self._line.setText(repr(self._kind(exact)))
        self._line.selectAll()

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:  # noqa: N802
        """Which arrows lead somewhere."""
        enabled = QAbstractSpinBox.StepEnabledFlag.StepNone
        value = self.get()
        if isinstance(value, str):
            return enabled
        if self._limits.high is None or value < self._limits.high:
            enabled |= QAbstractSpinBox.StepEnabledFlag.StepUpEnabled
        if self._limits.low is None or value > self._limits.low:
            enabled |= QAbstractSpinBox.StepEnabledFlag.StepDownEnabled
        return enabled

    def validate(self, text: str | None, position: int) -> tuple[QValidator.State, str, int]:
        """Let everything be typed; what is wrong is marked and said."""
        return QValidator.State.Acceptable, text or "", position

    def wheelEvent(self, event: QWheelEvent | None) -> None:  # noqa: N802
        """Turn only what has the focus, else scroll."""
        if event is not None and not self.hasFocus():
            event.ignore()
        else:
            super().wheelEvent(event)

    def _size(self, value: Decimal, down: bool) -> Decimal:
        """A tenth to a hundredth of the value, a power of ten; whole numbers step by one or more."""
        if self._step is not None:
            return Decimal(repr(self._step))
        if value == 0:
            width = self._limits.high if self._limits.high is not None and self._limits.low is not None else 10.0
            size = Decimal(10) ** (math.floor(math.log10(width or 10)) - 1 - (self._kind is int))
        else:
            size = Decimal(10) ** (value.adjusted() - 1)
            if down == (value > 0) and abs(value) == Decimal(10) ** value.adjusted():
                size /= 10  # from a power of ten towards zero, by the step that led to it
        return max(size, Decimal(1)) if self._kind is int else size

    def _end(self, value: Decimal, down: bool) -> Decimal:
        end = self._limits.low if down else self._limits.high
        if end is None or not self._limits.take(end):
            return value
        return Decimal(repr(end))
