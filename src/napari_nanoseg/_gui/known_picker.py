"""Choosing where the truth is complete."""

from __future__ import annotations

from napari.layers import Layer
from napari.utils.events import Event
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QComboBox

from napari_nanoseg._gui.follow import Following, follow
from napari_nanoseg._gui.known_regions import WHOLE, Known, file_beside, known_of, regions_beside
from napari_nanoseg._gui.pickers import narrow
from napari_nanoseg._gui.session import Session


class KnownPicker(QComboBox):
    """Whether every particle of the session's truth is outlined, and if not, where all are.

    It is found out when another truth is chosen and when layers come, until the user chooses.

    Parameters
    ----------
    session : Session
    """

    changed = Signal()
    """Something else is chosen."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._known: Known | None = None
        self._options: list[Known | None] = [None]
        self._by_user = False
        self._names = Following(self)
        narrow(self)
        self.setToolTip(
            "Whether particles without an outline are left in the truth. If so, predicted particles that lie where "
            "nothing is known are not judged."
        )
        for emitter in (session.viewer.layers.events.inserted, session.viewer.layers.events.removed):
            follow(self, emitter, self._refresh)
        session.changed.connect(self._follow)
        self.activated.connect(self._activate)
        self._refresh()

    @property
    def known(self) -> Known | None:
        """Where the truth is complete; None: everywhere."""
        return self._known

    @property
    def layers(self) -> list[Layer]:
        """The layers that can be chosen."""
        return [one.marked for one in self._options if one is not None and isinstance(one.marked, Layer)]

    def choose(self, known: Known | None) -> None:
        """Choose where the truth is complete."""
        self._by_user = True
        self._put(known)

    def _activate(self, index: int) -> None:
        self.choose(self._options[index])

    def _follow(self, name: str) -> None:
        if name == "truth":
            self._by_user = False
        if name in ("truth", "particles", "region", "whole"):
            self._refresh()

    def _refresh(self, _: Event | None = None) -> None:
        """List what can be chosen; find out what is known where the user did not choose, or it is gone."""
        truth = self._session.truth
        layers, file = regions_beside(self._session, truth), None if truth is None else file_beside(truth)
        self._options = [None, Known(), *([] if file is None else [Known(file)]), *map(Known, layers)]
        if self._known not in self._options:
            self._by_user = False
        if self._by_user:
            self._put(self._known)
        else:
            self._put(None if truth is None else known_of(truth, self._session))
        self._names.replace(*((layer.events.name, self._refresh) for layer in layers))

    def _put(self, known: Known | None) -> None:
        before, self._known = self._known, known
        with QSignalBlocker(self):
            self.clear()
            self.addItems([WHOLE if option is None else option.title for option in self._options])
            self.setCurrentIndex(self._options.index(known))
        self.setEnabled(self._session.truth is not None)
        if before != known:
            self.changed.emit()
