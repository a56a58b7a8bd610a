"""Fitting the nanowire generator to a real image, from the Generate dock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QPushButton, QVBoxLayout

from napari_nanoseg._gui.annotation_picker import AnnotationPicker
from napari_nanoseg._gui.fold import Fold
from napari_nanoseg._gui.layers import image_of
from napari_nanoseg._gui.session import Session
from napari_nanoseg._gui.words import WordLabel
from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.errors import NanosegError

WHAT = (
    "Turns grey values, noise, background, sharpness and number of objects until generated images look like this one."
)
SIZES = "Sizes and directions of the outlined wires as well"


@dataclass(frozen=True)
class FittedGenerator:
    """A fit that is done: the config, and what to say about it."""

    config: NanowireConfig
    said: str


class FitFold(Fold):
    """Folded away above the form of the nanowires.

    Parameters
    ----------
    session : Session
    config : callable
        Gives the config that the fit starts from; raises NanosegError when something is wrong with it.
    """

    wanted = Signal()
    """The button was clicked."""

    def __init__(self, session: Session, config: Callable[[], NanowireConfig]) -> None:
        self._session, self._config = session, config
        self.annotation = AnnotationPicker(session)
        self.sizes = QCheckBox(SIZES)
        self.button = QPushButton("Fit")
        super().__init__("Fit to a real image", self._fill_in)
        self.button.clicked.connect(self.wanted)

    def _fill_in(self, column: QVBoxLayout) -> None:
        for widget in (WordLabel(WHAT), self.annotation, self.sizes, self.button):
            column.addWidget(widget)

    def work(self) -> Callable[[], FittedGenerator]:
        """Return the function that does the fit, for a thread.

        Raises
        ------
        NanosegError
            When there is no image, or no outlines where they are wanted, or the form is wrong.
        """
        if self._session.image is None:
            raise NanosegError("No image is open; open the one that generated images should look like.")
        image, config = image_of(self._session.image), self._config()
        samples = [self.annotation.sample()] if self.sizes.isChecked() else None

        def fit() -> FittedGenerator:
            from napari_nanoseg.jobs.fit_nanowires import fit_generator  # here, for the kernels take their time

            result = fit_generator([image], samples, config)
            found = result.agreement
            before, after = found["wasserstein_before"], found["wasserstein_after"]
            return FittedGenerator(
                result.config,
                "The form holds the fitted generator. Mean distance of its grey values from those of the image: "
                f"{after:.3g}, before {before:.3g}.",
            )

        return fit
