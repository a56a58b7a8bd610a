"""A U-Net on a volume beside MONAI's sliding window with the same network, window and overlap; memory by volume size.

Run ``python benchmarks/unet_inference.py [--quick] [--json]``. Both see the same grey values on the same threads, in
turn in one process; ours also brings them to the network's range and the probabilities to 8 bits. MONAI's windows are
weighted by a Gaussian, ours by trapezoids. Memory is the peak of a process of its own that goes over a volume slab by
slab and keeps nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.engines.unet.model import UNetModel
from napari_nanoseg.engines.unet.predict import LAYOUTS, LEAST_PARTS, Probabilities, Sweep, grid_of, window_side
from napari_nanoseg.engines.unet.volume import VolumePredictor, find_grey
from napari_nanoseg.samples import Volume

CPU = torch.device("cpu")
NETWORKS = {"2d": UNetConfig(), "3d": UNetConfig(dimensions="3d")}
SHAPES = {"2d": (1, 2000, 2000), "3d": (160, 160, 160)}
QUICK = {"2d": (1, 1000, 1000), "3d": (112, 112, 112)}
PLANES = {"2d": 512, "3d": 160}
DEPTHS = {"2d": (16, 48, 144), "3d": (112, 224, 448)}
"""In three dimensions, windows of shallower volumes are smaller."""
SLAB = 16
"""Least depth; slabs end where the predictor says that they end best."""
MEMORY_NETWORKS = {"2d": UNetConfig(), "3d": UNetConfig(dimensions="3d", filters=4)}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller volumes, one round")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--peak", nargs=2, metavar=("NETWORK", "DEPTH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        print(json.dumps(peak(options.peak[0], int(options.peak[1]))))
        return
    figures: dict[str, float] = {}
    for name in NETWORKS:
        figures |= throughput(name, (QUICK if options.quick else SHAPES)[name], 1 if options.quick else 3)
    for name in MEMORY_NETWORKS:
        for depth in DEPTHS[name][: 2 if options.quick else 3]:
            command = [sys.executable, __file__, "--peak", name, str(depth)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            most = json.loads(done.stdout.splitlines()[-1])
            figures[f"{name}_{depth}_slices_peak_gb"] = most
            print(f"{name}, {depth} x {PLANES[name]} x {PLANES[name]}: peak {most:.2f} GB")
    if options.json:
        print(json.dumps(figures))


def throughput(name: str, shape: tuple[int, int, int], rounds: int) -> dict[str, float]:
    """Megavoxels a second in the best of some rounds, ours and MONAI's in turn, and the ratios of time.

    That of processor time is less changed by other programs on the same cores.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai.inferers.utils import sliding_window_inference

    torch.manual_seed(0)
    model = UNetModel.from_card(ModelCard(network=NETWORKS[name]))
    network, axes = model.ready_on(CPU), model.network.config.axes
    side = window_side(model.network.config.filters, axes, 1024, CPU)
    side = side // max(network.divisor) * max(network.divisor)
    shared = side // LEAST_PARTS
    volume = Volume(np.random.default_rng(0).random(shape, np.float32))
    grid = grid_of(network, shape, side, CPU, overlap=shared)
    grey = find_grey(model, volume)
    assert grey is not None
    found = np.zeros((1, *shape), np.uint8)
    batch = torch.from_numpy(grey.seen(volume.read(0, shape[0])))[None]
    batch = (batch[None] if axes == 3 else batch).to(memory_format=LAYOUTS[axes])

    def put(slices: slice, rows: slice, probabilities: Probabilities) -> None:
        found[:, slices, rows] = probabilities

    def ours() -> NDArray[Any]:
        Sweep(network, volume, grid, grey, CPU).run(0, shape[0], put)
        return found / 255

    def monai() -> NDArray[Any]:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = sliding_window_inference(
                batch, (side,) * axes, 1, lambda x: network.probabilities(network(x)), shared / side, "gaussian"
            )
        assert isinstance(result, torch.Tensor)
        return result.numpy().reshape(found.shape)

    results: dict[str, NDArray[Any]] = {}
    times: dict[str, list[tuple[float, float]]] = {"ours": [], "monai": []}
    for _ in range(rounds):
        for kind, work in (("ours", ours), ("monai", monai)):
            began = time.perf_counter(), time.process_time()
            results[kind] = work()
            times[kind].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    megavoxels = float(np.prod(shape)) / 1e6
    best, busy = ({kind: min(each[n] for each in spent) for kind, spent in times.items()} for n in (0, 1))
    difference = float(np.abs(results["ours"] - results["monai"]).mean())
    ratio, processor_ratio = (of["ours"] / of["monai"] for of in (best, busy))
    speeds = {kind: megavoxels / seconds for kind, seconds in best.items()}
    print(f"{name}, {shape}, windows of {side} px that share {shared}, mean difference {difference:.4f}:")
    print(f"  ours {speeds['ours']:.3f}, MONAI {speeds['monai']:.3f} megavoxel/s, time ratio {ratio:.2f}")
    print(f"  ratio of processor time {processor_ratio:.2f}")
    return {
        f"{name}_megavoxel_per_s": speeds["ours"],
        f"{name}_monai_megavoxel_per_s": speeds["monai"],
        f"{name}_ratio": ratio,
        f"{name}_processor_time_ratio": processor_ratio,
        f"{name}_mean_difference": difference,
    }


@dataclass(frozen=True)
class Noise:
    """A volume of any depth whose slices are made when they are asked for."""

    shape: tuple[int, int, int]
    dtype = np.dtype(np.uint16)

    def __getitem__(self, key: tuple[slice, slice, slice]) -> NDArray[Any]:
        z, rows, columns = (range(size)[part] for size, part in zip(self.shape, key, strict=True))
        slices = [np.random.default_rng(at).integers(0, 4000, self.shape[1:], np.uint16) for at in z]
        return np.stack([one[rows.start : rows.stop, columns.start : columns.stop] for one in slices])


def peak(name: str, depth: int) -> float:
    """Most memory of this process in GB, after the classes of every slab of a volume were found."""
    model = UNetModel.from_card(ModelCard(network=MEMORY_NETWORKS[name]))
    volume, config, most = Volume(Noise((depth, PLANES[name], PLANES[name]))), SegmentConfig(device="cpu"), 0
    grey = find_grey(model, volume, config)
    assert grey is not None
    predictor = VolumePredictor(model, volume, grey, config)
    start = 0
    for end in predictor.ends:
        if end - start >= SLAB or end == depth:
            for _ in predictor.class_map(start, end):
                most = max(most, psutil.Process().memory_info().rss)
            start = end
    return most / 2**30


if __name__ == "__main__":
    main()
