"""The Generate dock's page of the nanowire generator: known materials to start from, and its form."""

from __future__ import annotations

from pathlib import Path

from napari_nanoseg._gui.fit_fold import FitFold
from napari_nanoseg._gui.generate_page import Order, PresetPage, amount_of
from napari_nanoseg._gui.preview_making import Question
from napari_nanoseg._gui.session import Session
from napari_nanoseg.config.nanowire_presets import PRESETS
from napari_nanoseg.config.nanowires import NanowireConfig, NanowiresJob, nanowire_preset
from napari_nanoseg.io.places import datasets_folder

OVERLAPPING = "Masks overlap where wires cross; a Mask R-CNN learns them whole."


class NanowiresPage(PresetPage):
    """Wires and particles made of nothing but numbers.

    Parameters
    ----------
    session : Session
        Has the image that the generator can be fitted to.
    """

    title = "Nanowires"

    def __init__(self, session: Session) -> None:
        super().__init__(NanowireConfig(), PRESETS, nanowire_preset)
        self.amount = amount_of(NanowiresJob(out=Path()))
        self.fit = FitFold(session, self._config)
        self.column.insertWidget(1, self.fit)

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

    def _config(self) -> NanowireConfig:
        config = self.form.value()
        assert isinstance(config, NanowireConfig)
        return config
