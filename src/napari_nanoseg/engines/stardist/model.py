"""A StarDist 2-D model: from any image to instances in full resolution."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from numpy.typing import NDArray

from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.engines.base import PROBE, PROBE_PROBABILITY, NetworkModel, size_notice
from napari_nanoseg.engines.contrast import Normalisation, inverted, is_flat, normalise, to_grey
from napari_nanoseg.engines.device import choose_device, need_memory
from napari_nanoseg.engines.stardist.candidates import Candidates, no_candidates
from napari_nanoseg.engines.stardist.found import Collector, StarDistFound
from napari_nanoseg.engines.stardist.keras_files import read_keras, write_keras
from napari_nanoseg.engines.stardist.network import StarDistNet
from napari_nanoseg.engines.stardist.predict import all_candidates, find_candidates, run_network
from napari_nanoseg.engines.stardist.size import surest, try_diameters
from napari_nanoseg.engines.stardist.suppression import suppressed
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Progress, Stage, tell
from napari_nanoseg.samples import Image
from napari_nanoseg.scaling import ScaledView


class StarDistModel(NetworkModel):
    """A StarDist 2-D network with its card.

    Parameters
    ----------
    network : StarDistNet
    card : ModelCard
    """

    def __init__(self, network: StarDistNet, card: ModelCard):
        self.network: StarDistNet = network
        self.card = card

    @classmethod
    def from_card(cls, card: ModelCard) -> Self:
        """Make a model with fresh weights."""
        assert isinstance(card.network, StarDistConfig)
        return cls(StarDistNet(card.network).eval(), card)

    @classmethod
    def from_keras(cls, path: Path) -> Self:
        """Read a model folder or zip of the original implementation."""
        network, thresholds = read_keras(path)
        card = ModelCard(
            network=network.config,
            thresholds={"prob": thresholds["prob"], "nms": thresholds["nms"]},
            provenance={"read_from": path.name, "format": "StarDist (Keras)"},
        )
        return cls(network, card)

    def to_keras(self, folder: Path) -> None:
        """Write a model folder for the original implementation.

        The original knows neither working scale nor rim nor inversion: images must be rescaled before, so that
        particles have the card's ``working_diameter``.
        """
        write_keras(self.network, {name: float(value) for name, value in self.card.thresholds.items()}, {}, folder)

    def detect(self, image: Image, config: SegmentConfig, floor: float | None = None) -> StarDistFound:
        """Run the network over an image or stack; see the base class."""
        device, reason = choose_device(config.device)
        if config.diameter is None and self.card.for_any_size:
            config = config.model_copy(update={"diameter": self._estimated(image, device)})
        needed = self._memory(image.plane_shape, self.card.scale(image.calibration, config.diameter), config.tile)
        tell(Stage("segment", f"Segmenting {image.source} (needs about {needed / 2**30:.2g} GB). {reason}"))
        need_memory(image.source, needed, device)
        config, probability = self.with_thresholds(config)
        collector = Collector(probability, probability if floor is None else floor)
        for number in range(image.planes):
            if image.planes > 1:
                tell(Progress(number, image.planes, "slices"))
            plane = image.plane(number)
            pixels = self._channels(plane)
            view = ScaledView(pixels, self.card.scale(plane.calibration, config.diameter))
            if is_flat(plane):
                tell(Notice(f"{plane.source}: all pixels are the same, so there is no particle."))
                collector.add(no_candidates(self.network.config))
            else:
                collector.add(self._detect(view, plane.source, config, collector, device))
        return StarDistFound(
            collector.planes,
            view.geometry(),
            image.axes[0] in "ZT",
            config,
            collector.floor,
        )

    def _estimated(self, image: Image, device: torch.device) -> float | None:
        """Particle diameter of an image or of the middle plane of a stack, px; None when it shows no particle."""
        plane = image.plane(image.planes // 2)
        tell(Stage("size", f"{plane.source}: looking how large the particles are."))
        network, working = self._on(device), self.card.working_diameter
        assert working is not None
        if is_flat(plane):
            return None
        pixels = self._channels(plane)
        tries = try_diameters(network, pixels, working, self._prepared, device)
        diameter = surest(tries)
        tell(size_notice(plane.source, diameter))
        return diameter

    def _on(self, device: torch.device) -> StarDistNet:
        """The network, ready to predict."""
        network: StarDistNet = self.network.eval().to(device).to(memory_format=torch.channels_last)
        return network

    def _detect(
        self, view: ScaledView, source: str, config: SegmentConfig, wanted: Collector, device: torch.device
    ) -> Candidates:
        """Run the network over one plane."""
        network = self._on(device)
        view, normalisation = self._prepared(view)
        surer = partial(self._surer, network, view, normalisation, device)
        invert = self.choose_polarity(source, config, surer)
        return find_candidates(
            network,
            view,
            inverted(normalisation) if invert else normalisation,
            probability=wanted.probability,
            border=self.card.border if config.border is None else config.border,
            tile=config.tile,
            device=device,
            floor=wanted.floor,
        )

    def _channels(self, image: Image) -> NDArray[Any]:
        """Pixels with as many channels as the network takes."""
        wanted = self.network.config.n_channel_in
        channels = image.data.shape[-1] if image.axes.endswith("C") else 1
        if wanted == channels:
            return image.data
        if wanted == 1:
            return to_grey(image)
        raise NanosegError(
            f"{image.source}: the model was made for images of {wanted} channels, this one has {channels}; "
            "choose another model or image."
        )

    def _prepared(self, view: ScaledView) -> tuple[ScaledView, Normalisation]:
        """A view without its extreme pixels, and what brings the card's percentiles of it to 0 and 1 (csbdeep).

        Models of the original see the extreme pixels, too.
        """
        clip = self.card.working_diameter is not None
        return normalise(view, self.card.percentiles, clip=clip)

    def _surer(
        self, network: StarDistNet, view: ScaledView, normalisation: Normalisation, device: torch.device
    ) -> tuple[float, float]:
        """Mean probability of the objects in the middle of the image as it is, and inverted."""
        spans = []
        for size, divisor in zip(view.shape, network.divisor, strict=True):
            length = -(-min(size, PROBE) // divisor) * divisor
            start = max(0, (size - length) // 2)
            spans.append((start, start + length))
        pixels = view.window(spans[0], spans[1])
        means = []
        for offset, factor in (normalisation, inverted(normalisation)):
            maps = run_network(network, (pixels - offset) * factor, device)
            found = all_candidates(maps, network.config.grid, PROBE_PROBABILITY)
            kept = suppressed(found, self.card.thresholds["nms"]).prob
            means.append(float(kept.mean()) if len(kept) else 0.0)
        return means[0], means[1]

    def _memory(self, shape: tuple[int, int], scale: float, tile: int) -> float:
        """Estimated bytes: the largest activations of one tile, the image and its labels.

        1.4 times what was measured for 1024 x 1024 and 4096 x 4096 px (0.52 GB with the published architecture).
        """
        config, reach = self.network.config, self.network.reach
        rows, columns = (min(round(size * scale) + reach, tile + 2 * reach) for size in shape)
        before_grid = 2 * config.unet_n_filter_base * rows * columns if self.network.pools else 0
        per_grid_pixel = 4 * config.unet_n_filter_base + config.net_conv_after_unet + 2 * config.n_rays
        on_grid = per_grid_pixel * rows * columns / (config.grid[0] * config.grid[1])
        return 4 * max(before_grid, on_grid) + 16 * shape[0] * shape[1]
