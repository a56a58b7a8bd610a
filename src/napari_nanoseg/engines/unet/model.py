"""A U-Net: from any image or stack to the class of every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.engines.base import PROBE, PROBE_PROBABILITY, NetworkModel
from napari_nanoseg.engines.contrast import is_flat, to_grey
from napari_nanoseg.engines.device import choose_device, need_memory, smaller_tiles
from napari_nanoseg.engines.unet.cdnet_files import read_cdnet
from napari_nanoseg.engines.unet.found import UNetFound
from napari_nanoseg.engines.unet.grey import Grey, measure_grey
from napari_nanoseg.engines.unet.network import UNet
from napari_nanoseg.engines.unet.predict import (
    BYTES_PER_FILTER,
    FULL,
    LAYOUTS,
    Grid,
    Probabilities,
    Sweep,
    grid_of,
    window_side,
)
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Progress, Stage, tell
from napari_nanoseg.io.model_cards import CDNET_THRESHOLDS
from napari_nanoseg.samples import Image, Volume

UNLIKE = 1.5
"""How many times larger or smaller than in the training pixels may be: trainings vary the scale less."""


class UNetModel(NetworkModel):
    """A U-Net with its card.

    Parameters
    ----------
    network : UNet
    card : ModelCard
    """

    def __init__(self, network: UNet, card: ModelCard):
        self.network: UNet = network
        self.card = card

    @classmethod
    def from_card(cls, card: ModelCard) -> Self:
        """Make a model with fresh weights."""
        assert isinstance(card.network, UNetConfig)
        return cls(UNet(card.network).eval(), card)

    @classmethod
    def from_cdnet(cls, path: Path) -> Self:
        """Read HDF5 weights of CDNet, ``u-net.json`` beside them, or their folder.

        CDNet sees grey values of 8 bits divided by 255; images of other types are brought to 0 to 1 by percentiles,
        except numbers that lie there already.
        """
        network = read_cdnet(path)
        card = ModelCard(
            network=network.config,
            thresholds={"prob": CDNET_THRESHOLDS["prob"], "nms": CDNET_THRESHOLDS["nms"]},
            keep_8_bit=True,
            provenance={"read_from": path.name, "format": "CDNet (Keras)"},
        )
        return cls(network, card)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; the pixels of class i have the value i + 1."""
        return self.network.config.classes

    def least(self, config: SegmentConfig) -> tuple[float, ...]:
        """Least probability of the pixels of each class."""
        if config.probability is not None:
            return (config.probability,) * len(self.classes)
        return self.card.class_thresholds or (self.card.thresholds["prob"],) * len(self.classes)

    def ready_on(self, device: torch.device) -> UNet:
        """The network, or one that gives the same, ready to predict."""
        ready: UNet = self.network.fused().to(device).to(memory_format=LAYOUTS[self.network.config.axes])
        return ready

    def detect(self, image: Image, config: SegmentConfig, floor: float | None = None) -> UNetFound:
        """Find the classes of the pixels of an image or stack; see the base class.

        Of the config, `probability`, `min_area`, `invert`, `border`, `tile` and `device` count. All probabilities are
        kept; `floor` means nothing. A stack of slices is one volume, whose grey values are seen alike everywhere; of a
        time series, each image is for itself. Colours are reduced to their mean.

        Raises
        ------
        NanosegError
            When the network sees several slices and there is one only, a particle diameter is given, or the image
            does not fit into memory.
        """
        device, reason = choose_device(config.device)
        self._check(image, config)
        needed = self._memory(image, config.tile, device)
        tell(Stage("segment", f"Segmenting {image.source} (needs about {needed / 2**30:.2g} GB). {reason}"))
        need_memory(image.source, needed, device)
        self.check_size(image.calibration, image.source)
        least = self.least(config)
        config, _ = self.with_thresholds(config)
        if image.axes[0] == "Z":
            found = self._volume(_as_volume(image), config, device)
            return UNetFound(found, config, least)
        planes = []
        for number in range(image.planes):
            if image.planes > 1:
                tell(Progress(number, image.planes, "slices"))
            plane = image.plane(number)
            volume = Volume(to_grey(plane)[None], source=plane.source)
            is_flat(plane)
            planes.append(self._volume(volume, config, device))
        return UNetFound(np.concatenate(planes, axis=1) if image.axes[0] == "T" else planes[0][:, 0], config, least)

    def find_grey(self, volume: Volume, config: SegmentConfig, device: torch.device) -> Grey | None:
        """Find out which grey values of a volume the network sees as 0 and 1; None: there is nothing to see."""
        grey = measure_grey(volume, self.card)
        if grey is None:
            tell(Notice(f"{volume.source}: all pixels are the same, so there is nothing to see."))
            return None
        surer = partial(self._surer, volume, grey, device)
        return grey.inverted() if self.choose_polarity(volume.source, config, surer) else grey

    def grid(
        self, shape: tuple[int, int, int], config: SegmentConfig, device: torch.device, side: int | None = None
    ) -> Grid:
        """Windows of a volume of this shape, by default with the sides that the config asks for."""
        rim = self.card.border if config.border is None else config.border
        return grid_of(self.network, shape, side or config.tile, device, rim=rim)

    def check_size(self, calibration: Calibration, source: str) -> None:
        """Say that pixels are much smaller or larger than in the training, as images are not rescaled."""
        trained, sizes = self.card.training_pixel_size_nm, calibration.pixel_size_nm
        if trained is not None and sizes is not None and not 1 / UNLIKE < sizes[-1] / trained < UNLIKE:
            tell(
                Notice(
                    f"{source}: a pixel is {sizes[-1]:.3g} nm wide, in the training it was {trained:.3g} nm; the "
                    "network may see little in images at another scale."
                )
            )

    def need_slices(self, slices: int, source: str) -> None:
        """Refuse a single slice where the network sees several.

        Raises
        ------
        NanosegError
        """
        dimensions = self.network.config.dimensions
        if slices == 1 and dimensions != "2d":
            raise NanosegError(
                f"{source}: the model sees several slices at once ({dimensions.upper()}), and this is a single one; "
                "give a stack, or choose a 2D model."
            )

    def _volume(self, volume: Volume, config: SegmentConfig, device: torch.device) -> Probabilities:
        """Probabilities of a volume that fits into memory."""
        found = np.zeros((len(self.classes), *volume.shape), np.uint8)
        grey = self.find_grey(volume, config, device)
        if grey is None:
            return found
        network, side = self.ready_on(device), config.tile
        while True:
            sweep = Sweep(network, volume, self.grid(volume.shape, config, device, side), grey, device)
            try:
                sweep.run(0, volume.shape[0], partial(_put, found))
                return found
            except (MemoryError, RuntimeError) as error:
                side, notice = smaller_tiles(error, side, device, max(network.divisor))
                tell(notice)

    def _surer(self, volume: Volume, grey: Grey, device: torch.device) -> tuple[float, float]:
        """Mean probability of the classes in the middle of a volume as it is, and inverted."""
        network = self.network.config
        deep = {"2d": 1, "2.5d": 2 * network.neighbours + 1, "3d": self.network.divisor[0]}[network.dimensions]
        z, rows, columns = (
            slice(max(0, (size - most) // 2), max(0, (size - most) // 2) + most)
            for size, most in zip(volume.shape, (deep, PROBE, PROBE), strict=True)
        )
        middle = Volume(volume.read(z.start, z.stop, rows, columns), source=volume.source)
        grid = self.grid(middle.shape, SegmentConfig(border=0), device)
        means: list[float] = []
        ready = self.ready_on(device)
        for seen in (grey, grey.inverted()):
            found = np.zeros((len(self.classes), *middle.shape), np.uint8)
            sweep = Sweep(ready, middle, grid, seen, device)
            sweep.run(0, middle.shape[0], partial(_put, found))
            best = found.max(axis=0)
            sure = best[best > PROBE_PROBABILITY * FULL]
            means.append(float(sure.mean()) / FULL if sure.size else 0.0)
        return means[0], means[1]

    def _check(self, image: Image, config: SegmentConfig) -> None:
        self.need_slices(image.planes if image.axes[0] == "Z" else 1, image.source)
        if config.diameter is not None:
            raise NanosegError("A U-Net knows no particle diameter: it sees images as they are; leave it empty.")

    def _memory(self, image: Image, tile: int, device: torch.device) -> float:
        """Estimated bytes: the activations of one window, the sums of a row of windows, probabilities and masks."""
        config, (rows, columns) = self.network.config, image.plane_shape
        deep = image.planes if image.axes[0] in "ZT" else 1
        side = window_side(config.filters, config.axes, tile, device)
        sides = [min(size, side) for size in ((deep, rows, columns) if config.axes == 3 else (1, rows, columns))]
        window = BYTES_PER_FILTER * config.filters * np.prod(sides, dtype=float)
        sums = 8 * len(self.classes) * sides[0] * sides[1] * columns
        return float(window + sums + (2 * len(self.classes) + 4) * deep * rows * columns)


@dataclass(frozen=True, eq=False)
class _Mean:
    """A stack of colours as one of grey values, slice by slice."""

    data: Any
    dtype = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.data.shape[:-1])

    def __getitem__(self, key: Any, /) -> NDArray[np.float32]:
        return np.asarray(np.asarray(self.data[key]).mean(axis=-1, dtype=np.float32))


def _as_volume(image: Image) -> Volume:
    data = _Mean(image.data) if image.axes.endswith("C") else image.data
    return Volume(data, image.calibration, image.source)


def _put(found: Probabilities, slices: slice, rows: slice, probabilities: Probabilities) -> None:
    found[:, slices, rows] = probabilities
