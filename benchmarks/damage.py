"""Whether the analysis of damage finds what was put into phantoms, how fast it is, and how much memory it takes.

Run ``python benchmarks/damage.py [--json]`` on a quiet machine. Phantoms of cathodes (the preset "NMC cracked near the
separator") whose damage, and whose slope of damage against packing, change with depth: the profile, and the depth at
which the slope turns, from their true classes and from the threshold of the grey values. Speed and memory: all that is
told (maps, cracks, particles) of volumes of one size of slice and growing depth, each in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.cathode import cathode_preset
from napari_nanoseg.config.cracks import CracksConfig
from napari_nanoseg.config.damage import DamageConfig
from napari_nanoseg.generators.cathode.generator import Cathode
from napari_nanoseg.generators.cathode.structure import CLASSES
from napari_nanoseg.io.volumes import write_volume
from napari_nanoseg.jobs.functions import cracks
from napari_nanoseg.measurement.damage.analysis import damage
from napari_nanoseg.samples import Volume

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from napari_nanoseg.generators.cathode.phantom import Phantom

PRESET = "NMC cracked near the separator"
PLAIN = DamageConfig(names=CLASSES, normalise="particle", morphology=False)


def turn_of(depths: NDArray[np.float64], slopes: NDArray[np.float64]) -> float:
    """Where a slope that changes its sign once does so."""
    at = int(np.flatnonzero(slopes[:-1] * slopes[1:] <= 0)[0])
    return float(np.interp(0, np.sort(slopes[at : at + 2]), depths[at : at + 2][np.argsort(slopes[at : at + 2])]))


def thresholded(phantom: Phantom) -> dict[str, Any]:
    """The figures and the profile of the model without a network."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        image = phantom.image
        write_volume(folder / "scan.tif", Volume(image.data, image.calibration))
        result = cracks(
            CracksConfig(damage=PLAIN), folder / "scan.tif", "threshold", folder / "out", progress=False
        ).result
        profile = np.genfromtxt(folder / "out" / "profile.csv", delimiter=",", names=True)
    return {"damage": profile["damage"], **result.figures}


def recovery(phantoms: int, side: int) -> dict[str, float]:
    """Errors of profile and turn."""
    generator = Cathode(cathode_preset(PRESET, height=side, width=side))
    largest, mean, turns, covered, baseline = [], [], [], [], []
    for index in range(phantoms):
        phantom = generator.phantom(index)
        calibration = phantom.image.calibration
        asked = np.asarray(phantom.profile["asked_damage"])
        found = damage(phantom.classes, labels=phantom.particles, calibration=calibration, config=PLAIN)
        errors = np.abs(found.profile["damage"].to_numpy() / asked - 1)
        largest.append(float(errors.max()))
        mean.append(float(errors.mean()))
        depths = np.arange(len(asked), dtype=np.float64)
        expected = turn_of(depths, np.asarray(phantom.profile["asked_slope"]))
        if found.turn is not None:
            turns.append(abs(found.turn.depth - expected) / len(asked))
            covered.append(found.turn.low <= expected <= found.turn.high)
        baseline.append(float(np.abs(thresholded(phantom)["damage"] / asked - 1).mean()))
    return {
        "largest_error_of_the_profile_percent": round(100 * max(largest), 3),
        "mean_error_of_the_profile_percent": round(100 * statistics.mean(mean), 3),
        "turns_found": len(turns) / phantoms,
        "mean_error_of_the_turn_percent_of_the_depth": round(100 * statistics.mean(turns or [1.0]), 2),
        "turns_in_their_interval": round(statistics.mean(covered or [0.0]), 2),
        "mean_error_of_the_profile_by_threshold_percent": round(100 * statistics.mean(baseline), 1),
    }


class Repeated:
    """A volume that repeats a few slices, so that a large one needs no memory."""

    dtype = np.dtype(np.uint8)

    def __init__(self, slices: NDArray[np.uint8], depth: int) -> None:
        self.shape = depth, *slices.shape[1:]
        self._slices = slices

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        numbers = np.arange(*key[0].indices(self.shape[0])) % len(self._slices)
        return np.asarray(self._slices[numbers][:, key[1], key[2]])


def _analysed(answer: Connection, side: int, depth: int) -> None:
    phantom = Cathode(cathode_preset(PRESET, depth=16, height=256, width=256)).phantom(0)
    tiles = -(-side // 256)
    slices = np.tile(phantom.classes, (1, tiles, tiles))[:, :side, :side]
    slices = np.concatenate((slices, slices[::-1]))
    config = DamageConfig(names=CLASSES)
    damage(Repeated(slices, 2), config=config)  # compiles
    began = time.process_time()
    damage(Repeated(slices, depth), config=config, write=lambda name, start, block: None)
    seconds = time.process_time() - began
    answer.send((seconds, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))


def speed(side: int, depths: list[int]) -> dict[str, float]:
    """Megavoxels per second of processor time, and peak memory by depth."""
    context = multiprocessing.get_context("spawn")
    figures: dict[str, float] = {}
    for depth in depths:
        ours, theirs = context.Pipe()
        child = context.Process(target=_analysed, args=(theirs, side, depth))
        child.start()
        seconds, peak = ours.recv()
        child.join()
        figures[f"megavoxels_per_cpu_second_of_{depth}_slices"] = round(side * side * depth / seconds / 1e6, 2)
        figures[f"peak_megabytes_of_{depth}_slices"] = round(peak / 1e6)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phantoms", type=int, default=6)
    parser.add_argument("--side", type=int, default=2000)
    parser.add_argument("--depths", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--quick", action="store_true", help="one phantom, and small volumes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.quick:
        options.phantoms, options.side, options.depths = 1, 512, [16, 32]
    figures = recovery(options.phantoms, 384) | speed(options.side, options.depths)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:50} {value:g}")


if __name__ == "__main__":
    main()
