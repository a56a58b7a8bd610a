"""Annotations survive a crash: what is drawn is written down while people draw."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from napari.utils.events import Event as LayerEvent
from numpy.typing import NDArray
from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal

from napari_nanoseg._gui.follow import Following, follow
from napari_nanoseg._gui.latest import Latest
from napari_nanoseg._gui.session import Session
from napari_nanoseg.io.recovery import About, Journal, Leftover

SETTLED_MS = 2000
"""What was drawn is written when nothing else was drawn for so long."""
PLACE = ("scale", "translate", "units", "axis_labels")
"""What a layer is restored with besides its labels, if it is not rotated or sheared."""


class Recovery(QObject):
    """Writes down the unsaved annotations of a session, in a thread.

    Layers that were chosen as the annotation are followed until they leave the viewer. A layer is written from its
    first edit on.

    Parameters
    ----------
    session : Session
    """

    failed = Signal(str)
    """Why nothing can be written."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._journals: dict[Labels, Journal] = {}
        self._edited: set[Labels] = set()
        self._dirty: set[Labels] = set()
        self._edits = Following(self)
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._settled.timeout.connect(self._write)
        self._queue: deque[Callable[[], object]] = deque()
        self._at_work = threading.Lock()
        self._writer = Latest("Keep the annotation", self)
        self._writer.failed.connect(self.failed)
        session.changed.connect(self._chosen)
        follow(self, session.viewer.layers.events.removed, self._removed)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.write_now)
        self._chosen("particles")

    @property
    def _session(self) -> Session:
        """Its parent; a reference of its own would be a cycle, whose end by Python's collector Qt does not survive."""
        session = self.parent()
        assert isinstance(session, Session)
        return session

    def write_now(self) -> None:
        """Write what was drawn since the last time, without waiting for a pause."""
        self._settled.stop()
        self._enqueue()
        self._work()

    def saved(self, layer: Labels, labels: NDArray[Any]) -> None:
        """The labels are safe elsewhere: what is written of them is not needed any more."""
        journal = self._journals.get(layer)
        if journal is None:
            return
        if np.array_equal(layer.data, labels):
            self._edited.discard(layer)
            self._dirty.discard(layer)
            self._queue.append(lambda: journal.drop(labels))
            self._writer.ask(self._work)

    def adopt(self, layer: Labels, leftover: Leftover) -> None:
        """Go on with what another process wrote, now that its labels are in a layer."""
        self._journals[layer] = Journal(leftover.folder)
        self._edited.add(layer)
        self._dirty.add(layer)
        self._watch()
        self._write()

    def _chosen(self, name: str) -> None:
        layer = self._session.particles
        if name != "particles" or layer is None or layer in self._journals:
            return
        if isinstance(layer.data, np.ndarray):
            self._journals[layer] = Journal()
            self._watch()

    def _watch(self) -> None:
        self._edits.replace(
            *(
                (emitter, self._drawn)
                for layer in self._journals
                for emitter in (layer.events.paint, layer.events.data)
            ),
            *((layer.events.set_data, self._shown) for layer in self._journals),
        )

    def _removed(self, event: LayerEvent) -> None:
        """What was drawn in a layer that the user removed is kept for the next start."""
        layer: Layer = event.value
        journal = self._journals.pop(layer, None)
        if journal is not None:
            journal.close()
            self._edited.discard(layer)
            self._dirty.discard(layer)
            self._watch()

    def _drawn(self, event: LayerEvent) -> None:
        self._edited.add(event.source)
        self._shown(event)

    def _shown(self, event: LayerEvent) -> None:
        """Napari says nothing of undo but that it shows the layer again."""
        if event.source in self._edited:
            self._dirty.add(event.source)
            self._settled.start()

    def _write(self) -> None:
        self._enqueue()
        self._writer.ask(self._work)

    def _enqueue(self) -> None:
        for layer in self._dirty:
            self._queue.append(partial(self._journals[layer].write, layer.data, self._about(layer)))
        self._dirty.clear()

    def _work(self) -> None:
        """Do what is in the queue; in whatever thread, one after the other."""
        with self._at_work:
            while self._queue:
                self._queue.popleft()()

    def _about(self, layer: Labels) -> About:
        image = self._session.image
        place = {name: _plain(getattr(layer, name)) for name in PLACE}
        return About(
            name=layer.name,
            image="" if image is None else image.name,
            source="" if image is None else str(image.metadata.get("source") or image.source.path or ""),
            shape=layer.data.shape,
            dtype=str(layer.data.dtype),
            place=place,
        )


def _plain(values: Iterable[Any]) -> list[str] | list[float]:
    """Numbers as numbers, units and names as texts."""
    values = list(values)
    return [float(value) for value in values] if isinstance(values[0], float) else [str(value) for value in values]


def recovery_of(session: Session) -> Recovery:
    """The one that writes down a session's annotations, made when there is none."""
    found: Recovery | None = session.findChild(Recovery)
    return found or Recovery(session)
