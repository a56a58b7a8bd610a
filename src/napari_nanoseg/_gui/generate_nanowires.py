"""The Generate dock's page of the nanowire generator: known materials to start from, and its form."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QFormLayout

from napari_nanoseg._gui.editors import Combo
from napari_nanoseg._gui.fit_fold import FitFold
from napari_nanoseg._gui.forms import ConfigForm
from napari_nanoseg._gui.generate_page import GeneratorPage, Order
from napari_nanoseg._gui.preview_making import Question
from napari_nanoseg._gui.session import Session
from napari_nanoseg.config.nanowire_presets import PRESETS
from napari_nanoseg.config.nanowires import NanowireConfig, NanowiresJob, nanowire_preset
from napari_nanoseg.io.places import datasets_folder

DEFAULTS = "general defaults"
OVERLAPPING = "Masks overlap where wires cross; a Mask R-CNN learns them whole."


class NanowiresPage(GeneratorPage):
    """Wires and particles made of nothing but numbers.

    Parameters
    ----------
    session : Session
        Has the image that the generator can be fitted to.
    """

    title = "Nanowires"

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.preset = Combo()
        self.preset.addItems([DEFAULTS, *PRESETS])
        self.preset.setToolTip("Fills the form; what is changed afterwards stays yours until you choose again")
        self.form = ConfigForm(NanowireConfig)
        row = QFormLayout()
        row.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        row.addRow("Start from", self.preset)
        self.fit = FitFold(session, self._config)
        self.column.addLayout(row)
        self.column.addWidget(self.fit)
        self.column.addWidget(self.form)
        self.preset.activated.connect(lambda _: self._fill())
        self.form.valueChanged.connect(self.changed)

    def question(self) -> Question:
        """An image of the form's config."""
        return Question(None, self._config(), 0)

    def suggestion(self) -> Path:
        """In the user's folder of datasets."""
        return datasets_folder() / "nanowires"

    def order(self, out: Path, count: int) -> Order:
        """The form's config as a job."""
        config = self._config()
        job = NanowiresJob(config=config, out=out, count=count)
        return Order(job, advice=OVERLAPPING if config.masks == "whole" else "")

    def _fill(self) -> None:
        name = self.preset.currentText()
        self.form.setValue(NanowireConfig() if name == DEFAULTS else nanowire_preset(name))

    def _config(self) -> NanowireConfig:
        config = self.form.value()
        assert isinstance(config, NanowireConfig)
        return config
