"""The button of the Annotate dock that has particles proposed by a model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QPushButton

from napari_nanoseg._gui.annotation_layers import is_stack
from napari_nanoseg._gui.jobs import JobPanel
from napari_nanoseg._gui.proposing import Proposal, check_empty, fill, propose, proposer
from napari_nanoseg._gui.session import Session
from napari_nanoseg._gui.settings import settings
from napari_nanoseg.errors import NanosegError

TIP = (
    "Fill an empty annotation with what the model '{name}' finds, for you to correct; another model can be chosen in "
    "the Segment step"
)


class ProposeButton(QPushButton):
    """Fills an empty annotation of the chosen image, and no other; the tooltip names the model, or what is missing.

    Parameters
    ----------
    session : Session
    panel : JobPanel
        Of the dock: runs the model, and says what came of it.
    make : callable
        Makes an annotation where none is chosen.
    """

    def __init__(self, session: Session, panel: JobPanel, make: Callable[[], object]) -> None:
        super().__init__("Propose particles")
        self._session, self._panel, self._make = session, panel, make
        self._model = proposer(session)
        self.clicked.connect(lambda: self._start())
        session.changed.connect(self._chosen)
        panel.done.connect(self._done)
        panel.ended.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """See whether the annotation may be filled."""
        image, layer, model, why = self._session.image, self._session.particles, self._model, None
        if image is None or is_stack(image):
            why = "To have particles proposed, choose an image that is no stack."
        elif model is None:
            why = "To have particles proposed, choose a model in the Segment step."
        elif layer is not None:
            try:
                check_empty(layer)
            except NanosegError as problem:
                why = str(problem)
        self.setEnabled(why is None and not self._panel.running)
        self.setToolTip(why or TIP.format(name="" if model is None else model.name))

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """There may be other models."""
        super().showEvent(event)
        self._chosen("model")

    def _chosen(self, name: str) -> None:
        if name == "model":
            self._model = proposer(self._session)
        if name in ("model", "image", "particles"):
            self.refresh()

    def _start(self) -> None:
        image, model = self._session.image, self._model
        if self._session.particles is None:
            self._make()
        layer = self._session.particles
        if image is None or layer is None or model is None:
            return
        try:
            check_empty(layer)
        except NanosegError as error:  # drawn since it was looked at
            self._panel.refuse(str(error))
            return
        chosen = settings()
        work = partial(propose, image, layer, model, chosen.device, chosen.threads)
        self._panel.start(work, f"Looking for particles in {image.name}")
        self.refresh()

    def _done(self, result: object) -> None:
        if not isinstance(result, Proposal):
            return
        where = "" if result.image is self._session.image else f"In '{result.image.name}': "
        try:
            self._panel.say(f"{where}{fill(result, self._session)}")
        except NanosegError as error:
            self._panel.refuse(str(error))
