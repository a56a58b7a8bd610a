"""What the Generate dock asks of a kind of generator: its source and form, and the job that they make."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from qtpy.QtCore import Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_nanoseg._gui.editors import Combo
from napari_nanoseg._gui.forms import ConfigForm
from napari_nanoseg._gui.preview_making import Question
from napari_nanoseg._gui.scripting import Put, Setting, choice_setting
from napari_nanoseg.config.base import Config
from napari_nanoseg.config.cathode import CathodeJob
from napari_nanoseg.config.generate import GenerateJob
from napari_nanoseg.config.nanowires import NanowiresJob
from napari_nanoseg.samples import Sample

AnyGenerateJob = GenerateJob | NanowiresJob | CathodeJob

DEFAULTS = "general defaults"


@dataclass(frozen=True)
class Order:
    """A dataset that the user asked for.

    Parameters
    ----------
    job : AnyGenerateJob
    sample : Sample, optional
        An annotation from the layers, to be written as the job's source first.
    advice : str
        What to know about the dataset, in a sentence.
    """

    job: AnyGenerateJob
    sample: Sample | None = None
    advice: str = ""


class GeneratorPage(QWidget):
    """A kind of generator: widgets, and what they mean."""

    title: ClassVar[str]
    """What the kind is called."""
    form: ConfigForm
    amount: ConfigForm
    """How many are written; of the job, only this number is shown and used."""

    changed = Signal()
    """Other images would be made, or there is another reason why none can be."""

    def __init__(self) -> None:
        super().__init__()
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Catch up: nothing is computed while the page is hidden."""
        super().showEvent(event)
        self.changed.emit()

    @property
    def missing(self) -> str | None:
        """What to do before the page can be used at all, in one sentence; None: nothing is missing."""
        return None

    @property
    def problem(self) -> str | None:
        """Why no image can be made, in one sentence; None when nothing is wrong."""
        return self.form.problem()

    @abstractmethod
    def question(self) -> Question | None:
        """What the preview is to show, when there is no problem; None while there is no source."""

    @abstractmethod
    def suggestion(self) -> Path | None:
        """Where a new dataset would go, whether something is there or not."""

    @abstractmethod
    def order(self, out: Path, count: int) -> Order:
        """The job that writes `count` images to `out`.

        Raises
        ------
        NanosegError
            When the folder cannot be that of a new dataset.
        """

    def look(self) -> None:
        """Take the source as it is now, also while the page is hidden."""

    def own_settings(self) -> Mapping[str, Setting]:
        """Settings of this kind of generator beside its config, for scripts."""
        return {}

    def ordered(self, order: Order) -> None:
        """Hear that an order is being done."""


def amount_of(job: AnyGenerateJob) -> ConfigForm:
    """Make a form for nothing but the number of what a job writes."""
    return ConfigForm(job, hide=set(type(job).model_fields) - {"count"})


class PresetPage(GeneratorPage):
    """A generator of nothing but numbers, with known objects to start from.

    Parameters
    ----------
    defaults : Config
        Of the generator.
    presets : iterable of str
        Names of what is known.
    preset : callable
        Makes the config of a name.
    """

    def __init__(self, defaults: Config, presets: Iterable[str], preset: Callable[[str], Config]) -> None:
        super().__init__()
        self._defaults, self._preset = defaults, preset
        self.preset = Combo()
        self.preset.addItems([DEFAULTS, *presets])
        self.preset.setToolTip("Fills the form; what is changed afterwards stays yours until you choose again")
        self.form = ConfigForm(defaults)
        row = QFormLayout()
        row.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        row.addRow("Start from", self.preset)
        self.column.addLayout(row)
        self.column.addWidget(self.form)
        self.preset.activated.connect(lambda _: self._fill())
        self.form.valueChanged.connect(self.changed)

    def own_settings(self) -> Mapping[str, Setting]:
        """The preset, which fills the form."""
        return {"preset": self._preset_setting}

    def _preset_setting(self, name: str, value: Any) -> Put:
        choose = choice_setting(self.preset)(name, value)

        def put() -> None:
            choose()
            self._fill()

        return put

    def _fill(self) -> None:
        name = self.preset.currentText()
        self.form.setValue(self._defaults if name == DEFAULTS else self._preset(name))
