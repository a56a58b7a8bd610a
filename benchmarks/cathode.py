"""Speed and memory of the cathode generator, and how well what is asked for is found again.

Run ``python benchmarks/cathode.py [--json]`` on a quiet machine. Phantoms of 64 x 256 x 256 voxels one after the other;
the memory is the most that a process of its own had in use, over what it had before, divided by the voxels of a larger
phantom. The errors are those of the preset "NMC cracked near the separator", whose damage and whose slope of damage
against packing change with depth: by the masks themselves, and by the analysis of ``nanoseg cracks``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
import psutil

from napari_nanoseg.config.cathode import CathodeConfig, cathode_preset
from napari_nanoseg.config.damage import DamageConfig
from napari_nanoseg.generators.cathode.generator import Cathode
from napari_nanoseg.generators.cathode.structure import CLASSES
from napari_nanoseg.measurement.damage.analysis import damage

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

CONFIG = CathodeConfig()
LARGE = (128, 384, 384)
"""Shape of the phantom whose memory is measured."""


def _peak_bytes() -> float:
    if os.name == "nt":
        return float(psutil.Process().memory_info().rss)
    import resource

    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _memory(answer: Connection) -> None:
    depth, height, width = LARGE
    Cathode(CONFIG.model_copy(update={"depth": 4})).phantom(0)  # compiles
    generator = Cathode(CONFIG.model_copy(update={"depth": depth, "height": height, "width": width}))
    before = psutil.Process().memory_info().rss
    phantom = generator.phantom(0)
    answer.send((_peak_bytes() - before) / phantom.classes.size)


def bytes_per_voxel() -> float:
    """Most memory while a phantom is made, the phantom included."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_memory, args=(theirs,))
    child.start()
    found = float(ours.recv())
    child.join()
    return found


def recovery(phantoms: int) -> dict[str, float]:
    """Errors of the damage profile and of the slope of damage against packing."""
    config = cathode_preset("NMC cracked near the separator", height=384, width=384)
    generator = Cathode(config)
    names = ("damage", "slope", "found_damage", "found_slope")
    errors: dict[str, list[float]] = {name: [] for name in names}
    signs: list[float] = []
    for index in range(phantoms):
        phantom = generator.phantom(index)
        asked, asked_slope = phantom.profile["asked_damage"], phantom.profile["asked_slope"]
        errors["damage"].append(float(np.abs(phantom.profile["damage"] / asked - 1).max()))
        errors["slope"].append(float(np.abs(phantom.profile["slope"] - asked_slope).mean()))
        analysis = DamageConfig(names=CLASSES, normalise="particle", morphology=False)
        found = damage(
            phantom.classes, labels=phantom.particles, calibration=phantom.image.calibration, config=analysis
        )
        errors["found_damage"].append(float(np.abs(found.profile["damage"] / asked - 1).max()))
        lines = found.correlation[found.correlation["scope"] == "slice"]["slope"].to_numpy()
        errors["found_slope"].append(float(np.abs(lines - asked_slope).mean()))
        clear = np.abs(asked_slope) > 0.05
        signs.append(float((np.sign(lines) == np.sign(asked_slope))[clear].mean()))
    return {
        "largest_error_of_the_damage_percent": round(100 * max(errors["damage"]), 3),
        "mean_error_of_the_slope": round(statistics.mean(errors["slope"]), 4),
        "largest_error_of_the_analysed_damage_percent": round(100 * max(errors["found_damage"]), 3),
        "mean_error_of_the_analysed_slope": round(statistics.mean(errors["found_slope"]), 4),
        "slices_with_the_right_sign_of_the_slope": round(statistics.mean(signs), 3),
    }


def measure(phantoms: int) -> dict[str, float]:
    """Figures of one run; the processor time depends least on what else the machine does."""
    began = time.perf_counter()
    generator = Cathode(CONFIG)
    check = time.perf_counter() - began
    generator.phantom(0)
    walls, spent = [], []
    for index in range(1, phantoms + 1):
        began, cpu = time.perf_counter(), time.process_time()
        generator.phantom(index)
        walls.append(time.perf_counter() - began)
        spent.append(time.process_time() - cpu)
    voxels = float(np.prod(CONFIG.shape))
    return {
        "seconds_of_the_checks": round(check, 2),
        "seconds_per_phantom": round(statistics.median(walls), 2),
        "cpu_seconds_per_phantom": round(statistics.median(spent), 2),
        "megavoxels_per_cpu_second": round(voxels / statistics.median(spent) / 1e6, 2),
        "bytes_per_voxel": round(bytes_per_voxel(), 1),
        **recovery(max(1, phantoms // 3)),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else -1.0,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phantoms", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="only 2 phantoms")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    figures = measure(2 if options.quick else options.phantoms)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:46} {value:g}")


if __name__ == "__main__":
    main()
