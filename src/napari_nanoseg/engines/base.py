"""What every model is: a way to find particles in any image, with its card; and what networks add, on disk as well."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from napari_nanoseg.arguments import as_image
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.display import Shown
from napari_nanoseg.engines.device import choose_device
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, tell
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.atomic import write_bytes, write_text
from napari_nanoseg.io.limits import MOST_WEIGHTS
from napari_nanoseg.io.model_cards import CARD, HISTORY, WEIGHTS
from napari_nanoseg.io.model_summary import card_in_words, network_in_words
from napari_nanoseg.progress import Show, shown
from napari_nanoseg.reading import read_file
from napari_nanoseg.samples import Image

if TYPE_CHECKING:
    from pandas import DataFrame


class Found(ABC):
    """What a model found in an image or stack, from which thresholds choose without running it again.

    Attributes
    ----------
    config : SegmentConfig
        That of the run, with the model's own thresholds, where it has any, and the estimated particle diameter where
        none was told.
    floor : float
        Lowest probability that can be asked for: less probable objects were not kept.
    """

    config: SegmentConfig
    floor: float

    @abstractmethod
    def instances(self, config: SegmentConfig | None = None) -> Instances:
        """Choose the objects.

        Parameters
        ----------
        config : SegmentConfig, optional
            Only `probability`, `overlap` and `min_area` count; the first two are those of the run where it has none.

        Returns
        -------
        Instances
            The same as of a run with these thresholds, to the pixel.

        Raises
        ------
        NanosegError
            When the probability is below the floor.
        """

    def thresholds(self, config: SegmentConfig) -> tuple[float, float, float]:
        """Least probability, most overlap and least area that a config means."""
        probability = self.config.probability if config.probability is None else config.probability
        overlap = self.config.overlap if config.overlap is None else config.overlap
        assert probability is not None
        assert overlap is not None
        if probability < self.floor:
            raise NanosegError(
                f"Objects less probable than {self.floor:.2g} were not kept; choose a higher probability or segment "
                "again."
            )
        return probability, overlap, config.min_area


class Model(Shown, ABC):
    """A way to find particles, with its card; made by :func:`~napari_nanoseg.engines.library.load_model`.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> model = ns.load_model("starter")
    >>> model
    StarDistModel(StarDist 2-D, 32 rays, 3 levels, 24 filters, 1 channel; particles of any size)
    >>> model.card.for_any_size
    True
    """

    card: ModelCard
    folder: Path | None = None
    """Where the model was loaded from, if that is a folder made by NanoSeg."""

    def _line(self) -> str:
        size = "; particles of any size" if self.card.for_any_size else ""
        return f"{network_in_words(self.card.network)}{size}"

    def _rows(self) -> dict[str, str]:
        return card_in_words(self.card)

    @property
    def history(self) -> DataFrame:
        """The losses and validation scores of every epoch of the training; empty where none are kept.

        Returns
        -------
        DataFrame
            One row per epoch: ``epoch``, ``step``, ``train_...`` and ``validation_...``.

        Raises
        ------
        NanosegError
            When the file is damaged.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> quick = ns.TrainConfig(steps=1, optimize_thresholds=False, workers=0)  # in earnest: ns.TrainConfig()
        >>> model = ns.train(quick, ns.sample_data() / "annotated", "model")
        >>> model.history[["epoch", "step"]]
           epoch  step
        0      1     1
        """
        import pandas as pd

        path = None if self.folder is None else self.folder / HISTORY
        if path is None or not path.is_file():
            return pd.DataFrame()
        try:
            return pd.read_csv(path)
        except (OSError, ValueError) as error:
            raise NanosegError(f"{path} cannot be read ({error}); the model itself works without it.") from error

    @abstractmethod
    def detect(self, image: Image, config: SegmentConfig, floor: float | None = None) -> Found:
        """Look for objects in an image or stack.

        Parameters
        ----------
        image : Image
            Its planes are read one at a time.
        config : SegmentConfig
        floor : float, optional
            Keep what is at least so probable, if that is less than the config or the model asks for; by default, only
            that is kept.

        Raises
        ------
        NanosegError
            When the image does not suit the model.
        """

    def segment(
        self,
        image: Image | np.ndarray[Any, Any],
        config: SegmentConfig | None = None,
        *,
        progress: Show = True,
        **fields: Any,
    ) -> Instances:
        """Segment an image or a stack slice by slice.

        Parameters
        ----------
        image : Image or array
            Axes (Y, X), or (Z, Y, X) for an array of three axes.
        config : SegmentConfig, optional
        progress : bool or callable
            True shows a bar in terminals and notebooks, unless the work is short; False nothing; a callable is given
            every event.
        **fields
            Fields of :class:`SegmentConfig`, such as ``diameter=58``, which override those of `config`.

        Returns
        -------
        Instances
            In full resolution, most probable first.

        Raises
        ------
        NanosegError
            When the image does not suit the model, or arguments are of a wrong type or name.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> image = ns.read_image(ns.sample_data() / "particles.tif")
        >>> model = ns.load_model("starter")
        >>> model.segment(image, diameter=58)
        Instances(81 particles, 768 x 1024 px)
        """
        config = SegmentConfig.combined(config, fields, "segment")
        with shown(progress):
            return self.detect(as_image(image, "segment: 'image'"), config).instances()

    @abstractmethod
    def runs_on(self, wish: str) -> tuple[str, str]:
        """Device that the model computes on when this one is wished for, and why, in one sentence.

        Raises
        ------
        NanosegError
            When the wished device is not there.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> ns.load_model("starter").runs_on("cpu")
        ('cpu', 'Using cpu, as asked.')
        """

    @abstractmethod
    def save(self, folder: str | Path) -> None:
        """Write the model's files into a folder, ``model.yaml`` last.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> ns.load_model("starter").save("copy")
        >>> ns.load_model("copy")
        StarDistModel(StarDist 2-D, 32 rays, 3 levels, 24 filters, 1 channel; particles of any size)
        """

    @classmethod
    @abstractmethod
    def from_card(cls, card: ModelCard) -> Self:
        """A model of this card; of a network, with fresh weights."""


BENEFIT_OF_DOUBT = 0.05
"""How much more probable the objects must be in an inverted image."""
PROBE = 512
"""Side of the middle piece on which both polarities are tried."""
PROBE_PROBABILITY = 0.5
"""A model's own high threshold would hide how doubtful the objects of a wrong polarity are."""


class NetworkModel(Model):
    """A model that is a network, made by training."""

    network: nn.Module

    def with_thresholds(self, config: SegmentConfig) -> tuple[SegmentConfig, float]:
        """The config with the model's own thresholds where it has none, and its probability."""
        probability = self.card.thresholds["prob"] if config.probability is None else config.probability
        overlap = self.card.thresholds["nms"] if config.overlap is None else config.overlap
        return config.model_copy(update={"probability": probability, "overlap": overlap}), probability

    def choose_polarity(self, source: str, config: SegmentConfig, means: Callable[[], tuple[float, float]]) -> bool:
        """Decide whether the contrast of an image is inverted.

        In case of doubt both polarities are tried: that in which the objects found are more probable wins. Their number
        or area misleads: with the wrong polarity, a background can be full of doubtful objects. With StarDist, the mean
        probability was 0.70 to 0.84 in the right and 0.57 to 0.78 in the wrong polarity of 13 real micrographs and
        the sample (at the models' own thresholds, 0.48 to 0.51), and with the benefit of the doubt for the polarity of
        the training the choice was right in all.

        Parameters
        ----------
        source : str
            Of the image.
        config : SegmentConfig
        means : callable
            Finds the mean probability of the objects in the middle of the image as it is, and inverted.
        """
        wish = config.invert or self.card.invert
        if wish != "auto":
            return wish == "yes"
        upright, inverse = means()
        invert = inverse > upright + BENEFIT_OF_DOUBT
        if invert:
            tell(Notice(f"{source}: the contrast is inverted before segmenting (the model is surer so)."))
        return invert

    def runs_on(self, wish: str) -> tuple[str, str]:
        """Device; see the base class."""
        device, reason = choose_device(wish)
        return str(device), reason

    def save(self, folder: str | Path) -> None:
        """Write ``weights.safetensors`` and ``model.yaml`` (last, so that a folder with a card is whole).

        Where there is a model already, its card first gets the hashes of both weights: at any moment, also when the
        process is killed, card and weights belong together.
        """
        folder = Path(folder)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.network.state_dict().items()}
        weights = save_tensors(tensors)
        hashes = (sha256(weights).hexdigest(),)
        self.card = self.card.model_copy(update={"weights_sha256": hashes})
        if (folder / CARD).is_file() and (folder / WEIGHTS).is_file():
            before = sha256((folder / WEIGHTS).read_bytes()).hexdigest()
            both = self.card.model_copy(update={"weights_sha256": (*hashes, before)})
            write_text(folder / CARD, both.to_yaml())
        write_bytes(folder / WEIGHTS, weights)
        write_text(folder / CARD, self.card.to_yaml())


def size_notice(source: str, diameter: float | None) -> Notice:
    """What to tell of the particle diameter of an image that was estimated; None: there was no particle to see."""
    if diameter is None:
        return Notice(
            f"{source}: no particle of any size was seen; give the particle diameter, or choose another model."
        )
    return Notice(f"{source}: the particles are taken to be about {diameter:.0f} px large; give the diameter if not.")


def read_weights(network: nn.Module, folder: Path, expected_sha256: Collection[str]) -> None:
    """Fill a network from ``weights.safetensors``.

    Raises
    ------
    NanosegError
        When the file is missing, damaged, too large, not finite, or of another network.
    """
    path = folder / WEIGHTS
    content = read_file(path, MOST_WEIGHTS, "copy the whole model folder again")
    try:
        if sha256(content).hexdigest() not in expected_sha256:
            raise NanosegError(
                f"{path} is damaged: its hash is not the one in {CARD}; copy the whole model folder again."
            )
        tensors = load_tensors(content)
        network.load_state_dict(tensors)
    except (SafetensorError, KeyError, ValueError):
        reason = "it is damaged"
    except RuntimeError:
        reason = f"it is of another network than {CARD} describes"
    else:
        if all(tensor.isfinite().all() for tensor in tensors.values()):
            return
        reason = "it has values that are NaN or infinite"
    raise NanosegError(f"{path} cannot be used ({reason}); copy the whole model folder again.")


def stacked(slices: Sequence[Instances]) -> Instances:
    """Instances of slices as instances of the stack, one slice thick, with ids in order."""
    shape = (len(slices), *slices[0].shape)
    boxes = [
        np.column_stack([np.full(len(s), z), s.boxes[:, :2], np.full(len(s), z + 1), s.boxes[:, 2:]])
        for z, s in enumerate(slices)
    ]
    masks = tuple(mask[None] for s in slices for mask in s.masks)
    scores = np.concatenate([s.scores for s in slices])
    classes = np.concatenate([s.classes for s in slices])
    return Instances.from_masks(shape, np.concatenate(boxes), masks, scores=scores, classes=classes)
