"""Many trainings at once: a sweep over lists of values, from the Train dock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout

from napari_nanoseg._gui.editors import UNSET
from napari_nanoseg._gui.fold import Fold
from napari_nanoseg._gui.sweeping import parse_vary
from napari_nanoseg._gui.variations import Variations
from napari_nanoseg._gui.words import WordLabel
from napari_nanoseg.config.sweep import SweepJob
from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.errors import NanosegError

WHAT = (
    "Trains once for every combination of these values and picks the model that finds the held-out images' particles "
    "best."
)


class SweepFold(Fold):
    """Folded away below the form of the Train dock.

    Parameters
    ----------
    chosen : callable
        Gives the config and the start that the dock shows; raises NanosegError when something is wrong with them.
    """

    def __init__(self, chosen: Callable[[], tuple[TrainConfig, Path | None]]) -> None:
        self._chosen = chosen
        self.variations = Variations()
        self.said = WordLabel()
        self.start_button, self.copy_button = QPushButton("Run the sweep"), QPushButton("Copy as command")
        super().__init__("Sweep", self._fill_in)
        self.variations.changed.connect(self.refresh)
        self.refresh()

    def _fill_in(self, column: QVBoxLayout) -> None:
        row = QHBoxLayout()
        row.addWidget(self.start_button)
        row.addWidget(self.copy_button)
        column.addWidget(WordLabel(WHAT))
        column.addWidget(self.variations)
        column.addWidget(self.said)
        column.addLayout(row)

    def job(self) -> SweepJob:
        """The sweep that is asked for, without its folders.

        Raises
        ------
        NanosegError
            For the first thing that is missing or wrong.
        """
        config, start = self._chosen()
        vary = self.variations.get()
        return parse_vary(config, start, {} if vary is UNSET else vary, self.variations.labels())

    def refresh(self, *, running: bool = False) -> None:
        """Show how many trainings there will be, or what is wrong."""
        wrong = True
        try:
            config, _ = self._chosen()
            self.variations.set_config(config)
            if self.variations.get() is UNSET:
                text = ""
            else:
                count = len(self.job().trials())
                text, wrong = f"{count} training{'s' if count > 1 else ''}", False
        except NanosegError as error:
            text = f"⚠ {error}"
        self.said.setText(text)
        self.said.setVisible(bool(text))
        self.mark(wrong and bool(text))
        for button in (self.start_button, self.copy_button):
            button.setEnabled(not wrong and not running)
