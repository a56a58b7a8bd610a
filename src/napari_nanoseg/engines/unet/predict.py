"""Windows through the network, their probabilities blended: any part of a volume, independent of how it is parted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_nanoseg.engines.unet.grey import Grey
from napari_nanoseg.engines.unet.network import UNet
from napari_nanoseg.engines.unet.windows import Windows, cover, single
from napari_nanoseg.events import Progress, checkpoint, tell
from napari_nanoseg.samples import Volume
from napari_nanoseg.scaling import mirrored

FULL = 255
"""Probability 1 where probabilities are kept as 8 bits."""
LAYER = 25e9
"""Multiplications of the largest layer on a CPU: about half a second of 2 cores, in which nothing can be cancelled."""
ACTIVATIONS = {2: 96e6, 3: 400e6}
"""Bytes of the activations of one window on a CPU, by axes. With 16 filters on one core, windows of 512 px went through
at 0.76 megapixels a second and those of 1024 px at 0.53: memory in large pieces is given back to the system every time.
In three dimensions, cubes of 64 px are 10 % faster than those of 96 px but share far more with their neighbours."""
LAYOUTS = {2: torch.channels_last, 3: torch.channels_last_3d}
"""Order of a network's numbers in memory, by axes: 1.3 and 1.1 times as fast as torch's usual one on a CPU."""
BYTES_PER_FILTER = 24
"""Of a pixel at the top level: skip, both halves of the concatenation, what is made of them, each of 4 bytes, and as
much for what is being computed."""
LARGEST_CUBE = 128
"""Side of the windows of a network of three dimensions."""
LEAST_PARTS = 8
"""Neighbours share at most one part of so many of a window. With CDNet's reference model and windows of 256 px, the
mean difference from an image seen at once was 0.0002 with windows side by side, 0.0001 with 16 to 64 px shared, and
0.00005 with 128 px."""

Probabilities = NDArray[np.uint8]
Sink = Callable[[slice, slice, Probabilities], None]
"""Takes the finished probabilities (C, z, y, X) of a range of slices and of rows."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Windows along the three axes of a volume."""

    depth: Windows
    rows: Windows
    columns: Windows


def grid_of(
    network: UNet, shape: tuple[int, int, int], tile: int, device: torch.device, *, rim: int = 0,
    overlap: int | None = None,
) -> Grid:  # fmt: skip
    """Cut a volume into windows.

    Parameters
    ----------
    network : UNet
    shape : tuple of int
        Of the volume.
    tile : int
        Longest side of a window, px; on a CPU and in three dimensions it may be less.
    device : torch.device
    rim : int
        Width of the mirrored rim around each slice, px.
    overlap : int, optional
        Of neighbours, px; by default the network's reach, at most an eighth of a window.
    """
    side = window_side(network.config.filters, network.config.axes, tile, device)
    shared = min(network.reach, side // LEAST_PARTS) if overlap is None else overlap
    step = max(network.divisor)
    rows, columns = (cover(size, side, shared, step, rim) for size in shape[1:])
    return Grid(cover(shape[0], side, shared, step) if network.config.axes == 3 else single(shape[0]), rows, columns)


def window_side(filters: int, axes: int, tile: int, device: torch.device) -> int:
    """Longest side of a window, px: no layer of it takes too long to be waited for, or too much memory, on a CPU."""
    side = tile if axes == 2 else min(tile, LARGEST_CUBE)
    if device.type != "cpu":
        return side
    most = min(LAYER / (3**axes * 2 * filters**2), ACTIVATIONS[axes] / (BYTES_PER_FILTER * filters))
    return min(side, int(most ** (1 / axes)))


class Sweep:
    """Goes over a volume with windows, slab by slab.

    What overlaps the next slab is kept, so that slabs in order whose ends are :meth:`ends` cost nothing extra. Others
    are the same to the last bit.

    Parameters
    ----------
    network : UNet
        In evaluation mode on `device`.
    volume : Volume
    grid : Grid
    grey : Grey
    device : torch.device
    """

    def __init__(self, network: UNet, volume: Volume, grid: Grid, grey: Grey, device: torch.device):
        self.network, self.volume, self.grid, self.grey, self.device = network, volume, grid, grey, device
        self._slices: dict[int, NDArray[Any]] = {}
        self._carried: Tensor | None = None
        self._next: tuple[int, int] | None = None

    def ends(self) -> list[int]:
        """Slices at which slabs end best."""
        depth = self.volume.shape[0]
        return [*(end for end in self.grid.depth.starts if 0 < end < depth), depth]

    @torch.inference_mode()
    def run(self, z0: int, z1: int, sink: Sink) -> None:
        """Find the probabilities of the slices `z0` to `z1` (not included).

        Progress is told after each window.
        """
        depth, rows, columns = self.grid.depth, self.grid.rows, self.grid.columns
        numbers = depth.within(z0, z1)
        overlap, resumed = 0, self._next is not None and self._next[0] == z0
        if resumed:
            assert self._next is not None
            numbers = range(self._next[1], numbers.stop)
            overlap = depth.starts[numbers.start - 1] + depth.length - z0
        self._next = None
        each = len(rows) * len(columns)
        tell(Progress(0, len(numbers) * each, "tiles"))
        for done, number in enumerate(numbers):
            start, final = depth.starts[number], depth.final(number)
            shared = start + depth.length - final
            if shared and self._carried is None:
                self._carried = self._room()
            kept = slice(max(start, z0), min(final, z1))
            for inside, band in self._layer(number, Progress(done * each, len(numbers) * each, "tiles")):
                if overlap:
                    assert self._carried is not None
                    band[:, :overlap] += self._carried[:, :overlap, inside]
                if shared:
                    assert self._carried is not None
                    self._carried[:, :shared, inside] = band[:, final - start :]
                if kept.start < kept.stop:
                    sink(kept, inside, _bytes(band[:, kept.start - start : kept.stop - start]))
            overlap = shared
        if overlap and depth.final(numbers[-1]) == z1:
            self._next = z1, numbers.stop

    def _room(self) -> Tensor:
        """Where the sums of slices wait that the next windows see, too; halves err by less than the result's 8 bits."""
        depth = self.grid.depth
        most = max(start + depth.length - depth.final(number) for number, start in enumerate(depth.starts))
        shape = self.volume.shape[1:]
        return torch.zeros((len(self.network.config.classes), most, *shape), dtype=torch.float16)

    def _layer(self, number: int, progress: Progress) -> Iterator[tuple[slice, Tensor]]:
        """Go over the windows at one depth; yield rows of which all windows have been seen, with their sums."""
        depth, rows, columns = self.grid.depth, self.grid.rows, self.grid.columns
        _, high, wide = self.volume.shape
        sums = torch.zeros((len(self.network.config.classes), depth.length, rows.length, wide))
        for row, top in enumerate(rows.starts):
            block = self._read(depth.starts[number], top)
            checkpoint()
            for column, left in enumerate(columns.starts):
                index = mirrored(np.arange(left, left + columns.length), wide)
                pixels = self.grey.seen(block[..., index])
                found = self._probabilities(pixels)
                weight = depth.weights[number][:, None, None] * rows.weights[row][:, None] * columns.weights[column]
                inside = slice(max(0, -left), min(columns.length, wide - left))
                sums[..., left + inside.start : left + inside.stop].addcmul_(
                    found[..., inside], torch.from_numpy(weight[..., inside])
                )
                done = progress.done + row * len(columns) + column + 1
                tell(Progress(done, progress.total, "tiles"))
            final = rows.final(row)
            inside = slice(max(0, top), min(final, high))
            if inside.start < inside.stop:
                yield inside, sums[:, :, inside.start - top : inside.stop - top]
            left_over = top + rows.length - final
            sums[:, :, :left_over] = sums[:, :, final - top :].clone()
            sums[:, :, left_over:] = 0

    def _read(self, z: int, top: int) -> NDArray[Any]:
        """What the windows at a depth and row see, all columns of the volume."""
        config = self.network.config
        beside = config.neighbours if config.dimensions == "2.5d" else 0
        depth, high, _ = self.volume.shape
        slices = mirrored(np.arange(z - beside, z + self.grid.depth.length + beside), depth)
        rows = mirrored(np.arange(top, top + self.grid.rows.length), high)
        if config.axes == 3:
            z0, y0 = int(slices.min()), int(rows.min())
            block = self.volume.read(z0, int(slices.max()) + 1, slice(y0, int(rows.max()) + 1))
            return block[np.ix_(slices - z0, rows - y0)]
        # whole slices are kept while they are needed: a compressed one is unpacked as a whole for any part of it
        self._slices = {
            at: self._slices[at] if at in self._slices else self.volume.read(at, at + 1)[0]
            for at in set(slices.tolist())
        }
        return np.stack([self._slices[at][rows] for at in slices.tolist()])

    def _probabilities(self, pixels: NDArray[np.float32]) -> Tensor:
        """What the network says of a window: (C, z, y, x), on the CPU."""
        batch = torch.from_numpy(pixels)[None].to(self.device)
        axes = self.network.config.axes
        batch = (batch[None] if axes == 3 else batch).to(memory_format=LAYOUTS[axes])
        found = self.network.probabilities(self.network(batch))[0].float().cpu()
        return found if axes == 3 else found[:, None]


def _bytes(sums: Tensor) -> Probabilities:
    return (sums * FULL + 0.5).to(torch.uint8).numpy()


def class_map(probabilities: Probabilities, least: tuple[float, ...]) -> NDArray[np.uint8]:
    """Class values of pixels: the most probable of the classes that are as probable as asked for.

    Parameters
    ----------
    probabilities : uint8 array, shape (C, ...)
        255 means 1.
    least : tuple of float
        Of each class.

    Returns
    -------
    uint8 array, shape (...)
        0 where there is none, i + 1 for class i.
    """
    values = np.zeros(probabilities.shape[1:], np.uint8)
    best = np.zeros(probabilities.shape[1:], np.uint8)
    for kind, (probable, threshold) in enumerate(zip(probabilities, least, strict=True), 1):
        chosen = (probable > best) & (probable >= np.float32(threshold * FULL))
        values[chosen] = kind
        np.copyto(best, probable, where=chosen)
    return values
