"""What an empty particle diameter means, and one click where the particles look otherwise."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from napari.layers import Image as ImageLayer
from napari.layers import Labels
from napari.utils.events import Event as NapariEvent
from numpy.typing import NDArray
from qtpy.QtCore import QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_nanoseg._gui.annotation_picker import SETTLED_MS
from napari_nanoseg._gui.follow import Following
from napari_nanoseg._gui.forms import ConfigForm
from napari_nanoseg._gui.latest import Latest
from napari_nanoseg._gui.layers import image_of, labels_of
from napari_nanoseg._gui.layers.space import apart
from napari_nanoseg._gui.session import Session
from napari_nanoseg._gui.words import WordLabel
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Stage, tell
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image

LARGEST_RATIO = 1.5
"""Of the two diameters, before something is said: a guess is that close in 30 of 42 micrographs."""
POLARITY = {"bright": "brighter", "dark": "darker"}


@dataclass(frozen=True)
class Size:
    """How large the particles of an image seem to be.

    Parameters
    ----------
    diameter : float
        In pixels.
    polarity : {"bright", "dark"} or None
        In comparison with the background; None: from an annotation, which does not say.
    """

    diameter: float
    polarity: Literal["bright", "dark"] | None


@dataclass(frozen=True, eq=False)
class Estimate:
    """What a model for any size took the particles of an image for.

    Parameters
    ----------
    layer : Image layer
    data : array
        That of the layer, then.
    card : ModelCard
        Of the model.
    diameter : float
        In pixels.
    """

    layer: ImageLayer
    data: object
    card: ModelCard
    diameter: float


def empty_diameter(
    card: ModelCard | None, image: Image | None, estimate: float | None = None
) -> tuple[str, float | None]:
    """What an empty particle diameter means for a model and an image, in words; and in pixels where it is only assumed.

    It is assumed where the model knows the size of its particles, but the pixel sizes do not say how large they are in
    the image; and where the model has estimated it.
    """
    if card is not None and card.for_any_size:
        return "estimated from the image" if estimate is None else f"{estimate:.0f} px, estimated", estimate
    if card is None or card.training_diameter is None or card.working_diameter is None:
        return "not rescaled", None
    calibration = Calibration() if image is None else image.calibration
    try:
        diameter = card.diameter_in(calibration)
    except NanosegError:  # said when the user starts
        return "from the pixel sizes", None
    if calibration.known and card.training_pixel_size_nm is not None:
        return f"{diameter:.0f} px, from the pixel sizes", None
    return f"{diameter:.0f} px, as in the training", diameter


class DiameterHint(QWidget):
    """Says so when the particles look much larger or smaller than the model takes them for; a button takes it over.

    The diameter is that of the annotation of the same image, else guessed from the image, in a thread; only while the
    dock is seen. For a model for any size, it is that of the annotation, else what the model estimated.

    Parameters
    ----------
    session : Session
    form : ConfigForm
        Of a :class:`SegmentConfig`: where an empty diameter says what it means, and a click fills it in.
    """

    def __init__(self, session: Session, form: ConfigForm) -> None:
        super().__init__()
        self._session, self._form = session, form
        self._card: ModelCard | None = None
        self._told = False
        self._assumed: float | None = None
        self._estimate: Estimate | None = None
        self._asked: tuple[Any, ...] | None = None
        self._size: Size | None = None
        self.sentence, self.button = WordLabel(), QPushButton()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.sentence)
        column.addWidget(self.button)
        self.button.clicked.connect(self._use)
        self._latest = Latest("Particle size", self)
        self._latest.done.connect(self._found)
        self._latest.failed.connect(lambda _: self._found(None))  # an aid: without a guess, nothing is said
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._settled.timeout.connect(self._look_again)
        self._edits = Following(self)
        session.changed.connect(self._chosen)
        self._watch()
        self._show()

    @property
    def busy(self) -> bool:
        """Whether the particles are being looked at."""
        return self._latest.busy or self._settled.isActive()

    def follow(self, card: ModelCard | None, image: Image | None) -> None:
        """Show what an empty diameter means for a model and an image, and look whether the particles have it."""
        self._card, self._told = card, self._form.editor("diameter").get() is not None
        meaning, self._assumed = empty_diameter(card, image, self._estimated())
        self._form.placeholder("diameter", meaning)
        self._look()
        self._show()

    def remember(self, estimate: Estimate | None) -> None:
        """Keep what a model took the particles of an image for, as long as image and model are chosen; None: forget."""
        self._estimate = estimate

    def _estimated(self) -> float | None:
        """Diameter that the chosen model estimated in the chosen image."""
        estimate, layer = self._estimate, self._session.image
        if estimate is None or layer is None or estimate.layer is not layer or estimate.data is not layer.data:
            return None
        return estimate.diameter if estimate.card == self._card else None

    @property
    def _any_size(self) -> bool:
        return self._card is not None and self._card.for_any_size

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Look at the particles: that is not done while the dock is hidden."""
        super().showEvent(event)
        self._look()

    def _use(self) -> None:
        offered = self._offered()
        if offered is None:
            return
        with suppress(NanosegError):  # the form says what else is wrong
            self._form.setValue(self._form.value().model_copy(update={"diameter": _rounded(offered[0])}))

    def _chosen(self, name: str) -> None:
        if name == "particles":
            self._watch()
            self._look()

    def _watch(self) -> None:
        layer = self._session.particles
        self._edits.replace(*[(one, self._edited) for one in (layer.events.data, layer.events.paint)] if layer else [])

    def _edited(self, _: NapariEvent | None = None) -> None:
        self._settled.start()

    def _look_again(self) -> None:
        self._asked = None
        self._look()

    def _look(self) -> None:
        """Ask for the size of the particles, unless that was done."""
        layer = self._session.image
        if layer is None:
            self._forget()
            return
        any_size = self._any_size
        if self._told or not (any_size or self._assumed is not None) or not self.isVisible():
            return
        particles = self._session.particles
        if particles is self._session.prediction:  # that of a model is no annotation
            particles = None
        asked = (layer, layer.data, particles, any_size)
        if self._asked is not None and all(one is other for one, other in zip(asked, self._asked, strict=True)):
            return
        self._forget()
        try:
            image = image_of(layer)
        except NanosegError:  # the dock says so
            return
        self._asked = asked
        labels = None if particles is None else _labels_on(layer, image, particles)
        self._latest.ask(partial(_find_size, image, labels, guess=not any_size))

    def _forget(self) -> None:
        self._asked, self._size = None, None
        self._latest.stop()
        self._show()

    def _found(self, size: Size | None) -> None:
        self._size = size
        self._show()

    def _offered(self) -> tuple[Size, str] | None:
        """The size that a click takes over, and what is said of it; None: nothing is to be said."""
        size, assumed, any_size = self._size, self._assumed, self._any_size
        if self._told or (size is None and assumed is None):
            return None
        if size is None:
            assert assumed is not None
            return (Size(assumed, None), f"The model took the particles for {assumed:.0f} px.") if any_size else None
        if assumed is None:
            return (size, f"{_looks(size)}; left empty, the diameter is estimated.") if any_size else None
        if any_size:
            return size, f"{_looks(size)}; the model took them for {assumed:.0f} px."
        if max(size.diameter / assumed, assumed / size.diameter) <= LARGEST_RATIO:
            return None
        return size, f"{_looks(size)}; the model takes them for {assumed:.0f} px."

    def _show(self) -> None:
        offered = self._offered()
        if offered is not None:
            size, sentence = offered
            self.sentence.setText(sentence)
            self.button.setText(f"Use {_rounded(size):.0f} px")
        self.sentence.setVisible(offered is not None)
        self.button.setVisible(offered is not None)


def _looks(size: Size) -> str:
    large = f"about {_rounded(size):.0f} px large"
    if size.polarity is None:
        return f"The outlined particles are {large}"
    return f"The particles look {large} and {POLARITY[size.polarity]} than the background"


def _rounded(size: Size) -> float:
    """Whole pixels; of a guess two digits."""
    return float(max(1, round(size.diameter) if size.polarity is None else round(float(f"{size.diameter:.2g}"))))


def _labels_on(layer: ImageLayer, image: Image, particles: Labels) -> NDArray[Any] | None:
    """The outlined particles, if they lie on the pixels of the image."""
    try:
        labels = labels_of(particles)
    except NanosegError:
        return None
    return labels if labels.shape[-2:] == image.plane_shape and apart(layer, particles) <= 0.5 else None


def _find_size(image: Image, labels: NDArray[Any] | None, *, guess: bool) -> Size | None:
    """Take the size from the annotation, else guess it, if wanted."""
    tell(Stage("size", "Looking how large the particles are."))
    if labels is not None and (size := _annotated(labels)) is not None:
        return size
    if not guess:
        return None
    from napari_nanoseg.measurement.guess import guess_particles

    tell(Stage("size", "Looking how large the particles are."))
    guessed = guess_particles(image.plane(image.planes // 2))
    return None if guessed is None else Size(guessed.diameter, guessed.polarity)


def _annotated(labels: NDArray[Any]) -> Size | None:
    """Median diameter of outlined particles; of a stack, of those of the middle one of its annotated slices."""
    planes = labels if labels.ndim == 3 else labels[None]
    annotated = [plane for plane in planes if plane.any()]
    if not annotated:
        return None
    return Size(Instances.from_labels(annotated[len(annotated) // 2]).diameter(), None)
