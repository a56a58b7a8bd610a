"""The Generate dock's page of the cathode generator: known cathodes to start from, and its form."""

from __future__ import annotations

from pathlib import Path

from napari_nanoseg._gui.generate_page import Order, PresetPage, amount_of
from napari_nanoseg._gui.preview_making import Question
from napari_nanoseg.config.cathode import CathodeConfig, CathodeJob, cathode_preset
from napari_nanoseg.config.cathode_presets import CATHODE_PRESETS
from napari_nanoseg.io.places import datasets_folder


class CathodePage(PresetPage):
    """Cracked particles of a battery cathode, made of nothing but numbers."""

    title = "Cathodes"

    def __init__(self) -> None:
        super().__init__(CathodeConfig(), CATHODE_PRESETS, cathode_preset)
        self.amount = amount_of(CathodeJob(out=Path()))

    def question(self) -> Question:
        """A phantom of the form's config."""
        return Question(None, self._config(), 0)

    def suggestion(self) -> Path:
        """In the user's folder of datasets."""
        return datasets_folder() / "cathodes"

    def order(self, out: Path, count: int) -> Order:
        """The form's config as a job."""
        return Order(CathodeJob(config=self._config(), out=out, count=count), advice="A U-Net learns their cracks.")

    def _config(self) -> CathodeConfig:
        config = self.form.value()
        assert isinstance(config, CathodeConfig)
        return config
