"""Synthetic images made in a thread while a form is edited; only the latest question is answered."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QObject, QTimer, Signal

from napari_nanoseg._gui.latest import Latest
from napari_nanoseg._gui.preview_making import Preview, PreviewMaker, Question

SETTLED_MS = 150
"""A question is asked when no other came for so long."""


class Previews(QObject):
    """Answers questions for previews.

    What is made of the source is kept for the next question (:class:`Preparation`). A question that comes while another
    is being answered takes its place: the older answer is dropped.
    """

    ready = Signal(object)
    """The :class:`Preview` for the latest question."""
    failed = Signal(str)
    """The sentence that says why there is none."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._maker = PreviewMaker()
        self._question: Question | None = None
        self._latest = Latest("Making a preview", self)
        self._latest.done.connect(self._answer)
        self._latest.failed.connect(self._refuse)
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._settled.timeout.connect(self._begin)

    @property
    def busy(self) -> bool:
        """Whether an answer is to come."""
        return self._question is not None

    def ask(self, question: Question) -> None:
        """Ask for an image, soon; takes back what was asked before."""
        self._latest.stop()
        self._question = question
        self._settled.start()

    def drop(self) -> None:
        """Take back what was asked."""
        self._latest.stop()
        self._question = None
        self._settled.stop()

    def _begin(self) -> None:
        assert self._question is not None, "the timer runs while there is a question"
        self._latest.ask(partial(self._maker.make, self._question))

    def _answer(self, preview: Preview) -> None:
        self._question = None
        self.ready.emit(preview)

    def _refuse(self, sentence: str) -> None:
        self._question = None
        self.failed.emit(sentence)
