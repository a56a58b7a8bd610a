"""Other thresholds for a finished segmentation: the labels at once, their measurements when the slider rests."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QObject, QTimer, Signal

from napari_nanoseg._gui.latest import Latest
from napari_nanoseg._gui.segmenting import Segmentation, with_table, with_thresholds
from napari_nanoseg.config.segment import SegmentConfig

REST_MS = 400
"""Particles are measured when no other threshold was chosen for so long: measuring 1000 takes 0.4 s."""


class Rethresholding(QObject):
    """Chooses the particles of a segmentation anew in a thread; only the latest thresholds count.

    Parameters
    ----------
    parent : QObject
        Ends it.
    """

    chosen = Signal(object)
    """The :class:`Segmentation` with other particles, not measured yet."""
    measured = Signal(object)
    """The same one with its table."""
    failed = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._latest = Latest("Thresholds", self)
        self._latest.done.connect(self._done)
        self._latest.failed.connect(self.failed)
        self._unmeasured: Segmentation | None = None
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._measure)

    @property
    def busy(self) -> bool:
        """Whether particles or their measurements are to come."""
        return self._latest.busy or self._rest.isActive()

    def ask(self, result: Segmentation, config: SegmentConfig) -> None:
        """Choose the particles of a result anew; forgets what was asked before."""
        self._rest.stop()
        self._latest.ask(partial(with_thresholds, result, config))

    def stop(self) -> None:
        """Forget all."""
        self._rest.stop()
        self._latest.stop()

    def _done(self, result: Segmentation) -> None:
        if result.table is None:
            self._unmeasured = result
            self._rest.start()
            self.chosen.emit(result)
        else:
            self.measured.emit(result)

    def _measure(self) -> None:
        result, self._unmeasured = self._unmeasured, None
        assert result is not None
        self._latest.ask(partial(with_table, result))
