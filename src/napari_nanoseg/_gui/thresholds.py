"""Sliders for what counts as a particle; they work on a finished result, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QFormLayout, QGridLayout, QSlider, QToolButton, QWidget

from napari_nanoseg.config.segment import LEAST_PROBABILITY, SegmentConfig

STEPS = 100
"""Of a slider from 0 to 1."""
SPIN_CHARACTERS = 7
ABOUT = "≈"
"""Before a model's own threshold, which has more digits than are shown."""


class Threshold(QWidget):
    """A number from 0 to 1, by slider or typed; or the model's own.

    Parameters
    ----------
    least : float
        Lowest number to choose.
    tooltip : str
    """

    changed = Signal()

    def __init__(self, least: float, tooltip: str) -> None:
        super().__init__()
        self._own = 0.5
        self._chosen: float | None = None
        self._typed = False
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(round(least * STEPS), STEPS)
        self.spin = QDoubleSpinBox()
        self.spin.setRange(least, 1)
        self.spin.setSingleStep(1 / STEPS)
        self.spin.setDecimals(2)
        self.spin.setKeyboardTracking(False)
        self.spin.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)  # the slider is beside it, at 300 px too
        self.spin.setMaximumWidth(SPIN_CHARACTERS * self.fontMetrics().averageCharWidth())
        self.reset = QToolButton()
        self.reset.setText("↺")
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.slider, 0, 0)
        layout.addWidget(self.spin, 0, 1)
        layout.addWidget(self.reset, 0, 2)
        layout.setColumnStretch(0, 1)
        for widget in (self, self.slider, self.spin):
            widget.setToolTip(tooltip)
        self.setFocusProxy(self.slider)
        self.slider.valueChanged.connect(lambda value: self._choose(value / STEPS))
        self.spin.valueChanged.connect(self._choose)
        line = self.spin.lineEdit()
        assert line is not None, "Qt gives every spin box a line"
        line.textEdited.connect(self._type)
        self.spin.editingFinished.connect(self._take_typed)
        self.reset.clicked.connect(lambda: self._choose(None))
        self._show()

    @property
    def value(self) -> float | None:
        """What is chosen; None for the model's own."""
        return self._chosen

    def put(self, value: float | None) -> None:
        """Choose a number with all its digits; None for the model's own."""
        if value != self._chosen:
            self._chosen = value
            self._show()
            self.changed.emit()

    def set_own(self, value: float) -> None:
        """Take over the model's own threshold."""
        self._own = value
        self._show()

    def _choose(self, value: float | None) -> None:
        if value != self._chosen:
            self._chosen = None if value is None else round(value, 2)
            self._show()
            self.changed.emit()

    def _type(self) -> None:
        self._typed = True

    def _take_typed(self) -> None:
        """Take what was typed also where it looks like the model's own, which has more digits."""
        typed, self._typed = self._typed, False
        if typed:
            self._choose(self.spin.value())

    def _show(self) -> None:
        value = self._own if self._chosen is None else self._chosen
        with QSignalBlocker(self.slider), QSignalBlocker(self.spin):
            self.slider.setValue(round(value * STEPS))
            self.spin.setPrefix("" if value == round(value, 2) else ABOUT)
            self.spin.setValue(value)
        self.reset.setEnabled(self._chosen is not None)
        self.reset.setToolTip(f"The model's own: {self._own:.15g}")


class Thresholds(QWidget):
    """Least probability, most overlap and least area of a particle."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        fields = SegmentConfig.model_fields
        self.probability = Threshold(LEAST_PROBABILITY, "Particles that the model is less sure of are left out.")
        self.overlap = Threshold(0, "Of two particles that overlap more, the less probable one is left out.")
        self.min_area = QDoubleSpinBox()
        self.min_area.setRange(0, 1e9)
        self.min_area.setDecimals(0)
        self.min_area.setSuffix(" px")
        self.min_area.setKeyboardTracking(False)
        self.min_area.setToolTip(f"{fields['min_area'].description}; smaller ones are left out.")
        self._own = True
        self._form = form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Probability", self.probability)
        form.addRow("Overlap", self.overlap)
        form.addRow("Least area", self.min_area)
        self.probability.changed.connect(self.changed)
        self.overlap.changed.connect(self.changed)
        self.min_area.valueChanged.connect(lambda _: self.changed.emit())

    def values(self) -> dict[str, Any]:
        """Values of the fields of :class:`SegmentConfig` that are chosen here."""
        return {
            "probability": self.probability.value if self._own else None,
            "overlap": self.overlap.value if self._own else None,
            "min_area": float(self.min_area.value()),
        }

    def put(self, config: SegmentConfig) -> None:
        """Show the thresholds of a config."""
        self.probability.put(config.probability)
        self.overlap.put(config.overlap)
        self.min_area.setDecimals(0 if config.min_area.is_integer() else 2)
        self.min_area.setValue(config.min_area)

    def set_own(self, thresholds: Mapping[str, float] | None) -> None:
        """Take over a model's own thresholds; None: it knows neither probabilities nor overlaps, so none are shown."""
        self._own = thresholds is not None
        for editor in (self.probability, self.overlap):
            self._form.setRowVisible(editor, self._own)
        if thresholds is not None:
            self.probability.set_own(thresholds["prob"])
            self.overlap.set_own(thresholds["nms"])
