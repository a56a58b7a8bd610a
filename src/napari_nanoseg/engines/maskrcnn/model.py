"""A Mask R-CNN: from any image to instances in full resolution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.base import PROBE, PROBE_PROBABILITY, NetworkModel, size_notice
from napari_nanoseg.engines.contrast import inverted, is_flat, normalise, strips, to_grey
from napari_nanoseg.engines.device import LEAST_SIDE, choose_device, need_memory, smaller_tiles
from napari_nanoseg.engines.maskrcnn.detectron2_files import read_detectron2, write_detectron2
from napari_nanoseg.engines.maskrcnn.found import Collector, MaskRCNNFound, Plane, Seen
from napari_nanoseg.engines.maskrcnn.network import MaskRCNN
from napari_nanoseg.engines.maskrcnn.pixels import check_channels
from napari_nanoseg.engines.maskrcnn.predict import find_candidates
from napari_nanoseg.engines.maskrcnn.resizing import resized, shortest_edge
from napari_nanoseg.events import Notice, Progress, Stage, checkpoint, tell
from napari_nanoseg.measurement.guess import likely_particles
from napari_nanoseg.samples import Image
from napari_nanoseg.scaling import ScaledView
from napari_nanoseg.tiling import Tile, tiles

STRIDE = 4  # of the largest map of the pyramid
LAYER = 25e9
"""Multiplications of the largest layer on a CPU: about half a second of 2 cores, in which nothing can be cancelled."""
MARGIN, LEAST_MARGIN = 256, 64
"""How far windows reach into their neighbours, px at working scale: particles smaller than that are whole in one."""

Reader = Callable[[Tile], NDArray[np.float32]]
"""Pixels (0 to 255) of a window."""


@dataclass(frozen=True, eq=False)
class _Sight:
    """A plane as the network sees it."""

    read: Reader
    shape: tuple[int, int]
    windows: Callable[[int], list[Tile]]
    """By the side of their own part."""


class MaskRCNNModel(NetworkModel):
    """A Mask R-CNN with its card.

    Parameters
    ----------
    network : MaskRCNN
    card : ModelCard
    """

    def __init__(self, network: MaskRCNN, card: ModelCard):
        self.network: MaskRCNN = network
        self.card = card

    @classmethod
    def from_card(cls, card: ModelCard) -> Self:
        """Make a model with fresh weights."""
        assert isinstance(card.network, MaskRCNNConfig)
        return cls(MaskRCNN(card.network).eval(), card)

    @classmethod
    def from_detectron2(cls, path: Path) -> Self:
        """Read weights of Detectron2, or a folder with them, and the config beside them.

        Images of 8 bits go to the network as they are, as there; others are first brought to 0 to 255 and rounded.
        """
        network = read_detectron2(path)
        config = network.config
        card = ModelCard(
            network=config,
            thresholds={"prob": config.score_threshold, "nms": config.nms_threshold},
            keep_8_bit=True,
            provenance={"read_from": path.name, "format": "Detectron2"},
        )
        return cls(network, card)

    def to_detectron2(self, folder: Path) -> None:
        """Write ``model_final.pth`` and ``config.yaml`` for Detectron2, with the card's thresholds.

        Detectron2 knows neither working scale nor percentiles: images must be rescaled before, so that particles have
        the card's ``working_diameter``, and be of 8 bits.
        """
        thresholds = {"score_threshold": self.card.thresholds["prob"], "nms_threshold": self.card.thresholds["nms"]}
        write_detectron2(self.network.state_dict(), self.network.config.model_copy(update=thresholds), folder)

    def detect(self, image: Image, config: SegmentConfig, floor: float | None = None) -> MaskRCNNFound:
        """Run the network over an image or stack; see the base class."""
        device, reason = choose_device(config.device)
        check_channels(image)
        if config.diameter is None and self.card.for_any_size:
            config = config.model_copy(update={"diameter": self._guessed(image)})
        side = self._side(config.tile, device)
        needed = self._memory(image, config, side)
        tell(Stage("segment", f"Segmenting {image.source} (needs about {needed / 2**30:.2g} GB). {reason}"))
        need_memory(image.source, needed, device)
        config, probability = self.with_thresholds(config)
        collector = Collector(probability, probability if floor is None else floor)
        planes: list[tuple[tuple[int, int], tuple[int, int]]] = []
        for number in range(image.planes):
            if image.planes > 1:
                tell(Progress(number, image.planes, "slices"))
            plane = image.plane(number)
            collector.planes.append([])
            shape = plane.plane_shape
            scaled = shape
            if is_flat(plane):
                tell(Notice(f"{plane.source}: all pixels are the same, so there is no particle."))
            else:
                scaled = self._detect(plane, config, side, collector, device, suppress=floor is None)
            planes.append((scaled, shape))
        return MaskRCNNFound(
            [Plane(seen, *shapes) for seen, shapes in zip(collector.planes, planes, strict=True)],
            self.network.config.detections_per_image,
            image.axes[0] in "ZT",
            config,
            collector.floor,
            suppressed=floor is None,
        )

    def _guessed(self, image: Image) -> float | None:
        """Particle diameter of an image or of the middle plane of a stack by grey values alone, px; None: not known."""
        plane = image.plane(image.planes // 2)
        tell(Stage("size", f"{plane.source}: looking how large the particles are."))
        if is_flat(plane):
            return None
        guess = likely_particles(to_grey(plane))
        diameter = None if guess is None else guess.diameter
        tell(size_notice(plane.source, diameter))
        return diameter

    def _detect(
        self,
        plane: Image,
        config: SegmentConfig,
        side: int,
        collector: Collector,
        device: torch.device,
        *,
        suppress: bool,
    ) -> tuple[int, int]:
        """Run the network over one plane; rows and columns at working scale."""
        network: MaskRCNN = self.network.eval().to(device).to(memory_format=torch.channels_last)
        sight = self._sight(plane, config, invert=False)
        inverse = partial(self._sight, plane, config, invert=True)
        surer = partial(self._surer, sight, inverse, network, device)
        if self.choose_polarity(plane.source, config, surer):
            sight = inverse()
        most = network.config.detections_per_image
        while True:
            windows = sight.windows(side)
            tell(Progress(0, len(windows), "tiles"))
            try:
                for done, window in enumerate(windows, 1):
                    found = find_candidates(
                        network, sight.read(window), device, floor=collector.floor,
                        overlap=config.overlap if suppress else None, most=most,
                    )  # fmt: skip
                    collector.add(Seen(found, window))
                    tell(Progress(done, len(windows), "tiles"))
                break
            except (MemoryError, RuntimeError) as error:
                side, notice = smaller_tiles(error, side, device)
                collector.planes[-1].clear()
                tell(notice)
        return sight.shape

    def _sight(self, plane: Image, config: SegmentConfig, *, invert: bool) -> _Sight:
        network, card = self.network.config, self.card
        as_it_is = card.keep_8_bit and plane.data.dtype == np.uint8
        resize = network.min_size_test > 0 and card.working_diameter is None and config.diameter is None
        view = ScaledView(plane.data, 1.0 if resize else card.scale(plane.calibration, config.diameter))
        normalisation = np.zeros(1, np.float32), np.full(1, 1 / 255, np.float32)
        if not as_it_is:
            clip = card.working_diameter is not None
            view, normalisation = normalise(view, card.percentiles, clip=clip)
        offset, factor = inverted(normalisation) if invert else normalisation
        factor = factor * np.float32(255)

        def read(window: Tile) -> NDArray[np.float32]:
            pixels = view.window(window.rows, window.columns)
            pixels -= offset
            pixels *= factor
            return np.rint(np.clip(pixels, 0, 255, out=pixels), out=pixels) if card.keep_8_bit else pixels

        if resize:
            shape = shortest_edge(view.shape, network.min_size_test, network.max_size_test)
            whole_plane = _whole(read, plane)
            small = resized(whole_plane, shape)
            whole = Tile((0, shape[0]), (0, shape[1]), (0, shape[0]), (0, shape[1]))

            def part(window: Tile) -> NDArray[np.float32]:
                return np.asarray(small[slice(*window.rows), slice(*window.columns)], np.float32)

            return _Sight(part, shape, lambda _: [whole])
        rim = card.border if config.border is None else config.border
        rows, columns = view.shape

        def windows(side: int) -> list[Tile]:
            margin = self._margin(side)
            return [_moved(tile, -rim) for tile in tiles((rows + 2 * rim, columns + 2 * rim), side, margin)]

        return _Sight(read, view.shape, windows)

    def _surer(
        self,
        upright: _Sight,
        inverse: Callable[[], _Sight],
        network: MaskRCNN,
        device: torch.device,
    ) -> tuple[float, float]:
        """Mean probability of the objects in the middle of the image as it is, and inverted."""
        spans = []
        for size in upright.shape:
            start = max(0, (size - PROBE) // 2)
            spans.append((start, min(size, start + PROBE)))
        middle = Tile(spans[0], spans[1], spans[0], spans[1])
        means = []
        for sight in (upright, inverse()):
            found = find_candidates(
                network, sight.read(middle), device, floor=PROBE_PROBABILITY, overlap=self.card.thresholds["nms"],
                most=network.config.detections_per_image,
            )  # fmt: skip
            means.append(float(found.scores.mean()) if len(found) else 0.0)
        return means[0], means[1]

    def _side(self, tile: int, device: torch.device) -> int:
        """Side of the own part of a window; on a CPU, no layer of it takes too long to be waited for."""
        if device.type != "cpu":
            return tile
        channels = self.network.config.architecture.fpn_channels
        window = int(STRIDE * np.sqrt(LAYER / (9 * channels**2)))
        return max(LEAST_SIDE, min(tile, window - 2 * min(self._wanted_margin, window // 6)))

    @property
    def _wanted_margin(self) -> int:
        working = self.card.working_diameter
        return MARGIN if working is None else max(LEAST_MARGIN, min(MARGIN, round(2 * working)))

    def _margin(self, side: int) -> int:
        return min(self._wanted_margin, max(LEAST_MARGIN, side // 4))

    def _memory(self, image: Image, config: SegmentConfig, side: int) -> float:
        """Estimated bytes: the weights, the largest activations of one window, the image and its labels.

        1.2 to 1.9 times what was measured (0.57 GB for 1024 px with the published architecture, 0.43 GB for 4096 px
        with the light one).
        """
        network, shape = self.network.config, image.plane_shape
        if network.min_size_test > 0 and self.card.working_diameter is None and config.diameter is None:
            rows, columns = shortest_edge(shape, network.min_size_test, network.max_size_test)
        else:
            scale = self.card.scale(image.calibration, config.diameter)
            rows, columns = (min(round(size * scale), side + 2 * self._margin(side)) for size in shape)
        widths = network.architecture
        # twice the stem's output, or three of res2 and of the pyramid, all at once
        per_pixel = 2 * widths.stem_channels / 4 + 3 * (widths.res2_channels + widths.fpn_channels) / 16
        weights = sum(parameter.numel() for parameter in self.network.parameters())
        return 4 * (weights + 1.4 * per_pixel * rows * columns) + 16 * shape[0] * shape[1]


def _moved(tile: Tile, by: int) -> Tile:
    spans = (tile.rows, tile.columns, tile.own_rows, tile.own_columns)
    rows, columns, own_rows, own_columns = ((start + by, stop + by) for start, stop in spans)
    return Tile(rows, columns, own_rows, own_columns)


def _whole(read: Reader, plane: Image) -> NDArray[np.uint8]:
    """All pixels of a plane as 8 bits, read strip by strip."""
    wide = (0, plane.plane_shape[1])
    pixels = np.empty(plane.data.shape, np.uint8)
    for rows in strips(plane):
        span = (rows.start, rows.stop)
        pixels[rows] = np.clip(np.rint(read(Tile(span, wide, span, wide))), 0, 255)
        checkpoint()
    return pixels
