"""Annotations that earlier windows left unsaved, to restore or to discard."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from napari.layers import Labels, Layer
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_nanoseg._gui.latest import Latest
from napari_nanoseg._gui.layers import image_layer
from napari_nanoseg._gui.recovery import recovery_of
from napari_nanoseg._gui.session import Session
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.images import read_image
from napari_nanoseg.io.recovery import About, Leftover, discard, leftovers, restore
from napari_nanoseg.samples import Image


class Offers(QWidget):
    """Offers the annotations that earlier windows left unsaved, each with Restore and Discard.

    Parameters
    ----------
    session : Session
    """

    said = Signal(str)
    """What the user should know: a damaged file, an image to open."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._rows: dict[Leftover, QWidget] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._restoring: Leftover | None = None
        self._reader = Latest("Restore an annotation", self)
        self._reader.done.connect(self._restored)
        self._reader.failed.connect(self._failed)

    def look(self) -> None:
        """Look for annotations left unsaved; tells of damaged ones."""
        found, problems = leftovers()
        for leftover in found:
            self._offer(leftover)
        self.setVisible(bool(self._rows))
        for problem in problems:
            self.said.emit(problem)

    def _offer(self, leftover: Leftover) -> None:
        about = leftover.about
        row, text = QWidget(), QLabel()
        count = f"{about.particles} particle{'s' if about.particles != 1 else ''}"
        text.setText(f"The annotation '{about.name}' from {_when(about.written)} ({count}) was not saved.")
        text.setWordWrap(True)
        text.setMinimumWidth(1)
        text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        give, drop = QPushButton("Restore"), QPushButton("Discard")
        give.clicked.connect(lambda: self._restore(leftover))
        drop.clicked.connect(lambda: self._discard(leftover))
        buttons = QHBoxLayout()
        buttons.addWidget(give)
        buttons.addWidget(drop)
        layout = QVBoxLayout(row)
        layout.setContentsMargins(0, 0, 0, 6)
        layout.addWidget(text)
        layout.addLayout(buttons)
        self._layout.addWidget(row)
        self._rows[leftover] = row

    def _restore(self, leftover: Leftover) -> None:
        if self._restoring is not None:
            return
        self._restoring = leftover
        opened = any(layer.name == leftover.about.image for layer in self._session.viewer.layers)
        self._reader.ask(partial(_read, leftover, not opened))

    def _restored(self, found: tuple[NDArray[Any], Image | None]) -> None:
        leftover, self._restoring = self._restoring, None
        assert leftover is not None
        labels, image = found
        viewer, about = self._session.viewer, leftover.about
        if image is not None:
            picture = viewer.add_layer(Layer.create(*image_layer(image, about.image)))
            self._session.put("image", picture)
        elif about.image and not any(layer.name == about.image for layer in viewer.layers):
            self.said.emit(f"Open the image '{about.image}' to go on with the restored annotation.")
        layer = Labels(labels, name=about.name, metadata={"nanoseg_roles": ("particles",)}, **about.place)
        viewer.add_layer(layer)
        self._session.put("particles", layer)
        recovery_of(self._session).adopt(layer, leftover)
        self._remove(leftover)

    def _failed(self, problem: str) -> None:
        leftover, self._restoring = self._restoring, None
        self.said.emit(problem)
        if leftover is not None:
            self._remove(leftover)

    def _discard(self, leftover: Leftover) -> None:
        discard(leftover.folder)
        self._remove(leftover)

    def _remove(self, leftover: Leftover) -> None:
        row = self._rows.pop(leftover)
        self._layout.removeWidget(row)
        row.deleteLater()
        self.setVisible(bool(self._rows))


def _read(leftover: Leftover, with_image: bool) -> tuple[NDArray[Any], Image | None]:
    return restore(leftover), _image(leftover.about) if with_image else None


def _image(about: About) -> Image | None:
    """The image that was annotated, when its file is still there."""
    try:
        image = read_image(about.source) if about.source else None
    except NanosegError:
        return None
    return image if image is not None and image.plane_shape == tuple(about.shape) else None


def _when(seconds: float) -> str:
    """A time as people say it: 21:14, or with the day when it is not today."""
    then = datetime.fromtimestamp(seconds)
    return f"{then:%H:%M}" if then.date() == datetime.now().date() else f"{then.day} {then:%B, %H:%M}"
