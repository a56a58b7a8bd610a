"""Segment 16,384 x 16,384 pixels with the model that comes with the package, its diameter not told.

Run ``python benchmarks/large_image.py [--side 16384] [--quick] [--json]``. A job is cancelled between two events, so
the longest time between two is the longest that cancelling takes. Memory is counted above that of the process with the
image and the model in it.
"""

from __future__ import annotations

import argparse
import json
from time import perf_counter

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_nanoseg import load_model
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.events import Event, Progress, Stage, listening
from napari_nanoseg.samples import Image

RADIUS, APART, TILE = 70, 256, 2048


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=16384)
    parser.add_argument("--quick", action="store_true", help="4096 x 4096")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    side = 4096 if options.quick else options.side
    model = load_model("starter")
    image = Image(discs(side), "YX", source=f"{side} x {side} px")
    process = psutil.Process()
    before = peak = process.memory_info().rss
    gaps: dict[str, list[float]] = {}
    stage, first = "start", 0.0
    start = last = perf_counter()

    def leave() -> None:
        nonlocal peak, last
        gaps.setdefault(stage, []).append(perf_counter() - last)
        peak = max(peak, process.memory_info().rss)
        last = perf_counter()

    def listen(event: Event) -> None:
        nonlocal stage, first
        if isinstance(event, Stage):
            stage = event.name
        if isinstance(event, Progress) and not first:
            first = perf_counter() - start

    with listening(listen, leave):
        found = model.segment(image, SegmentConfig())
    gaps["paint"] = [perf_counter() - last]
    values = {
        "side": side,
        "particles": (side // APART) ** 2,
        "found": len(found),
        "first_progress_s": first,
        "seconds": perf_counter() - start,
        "peak_gb": (max(peak, process.memory_info().rss) - before) / 2**30,
        **{f"{name}_s": sum(each) for name, each in gaps.items()},
        **{f"{name}_longest_gap_s": max(each) for name, each in gaps.items()},
    }
    for name, value in values.items():
        print(f"{name:24}{value:10.2f}" if isinstance(value, float) else f"{name:24}{value:10}")
    if options.json:
        print(json.dumps(values))


def discs(side: int) -> NDArray[np.uint8]:
    """Bright shaded discs on a grid, in noise; one piece of the image again and again."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:TILE, :TILE] % APART - APART / 2
    height = np.sqrt(np.maximum(0, 1 - (rows**2 + columns**2) / RADIUS**2))
    pixels = 70 + 60 * (height > 0) + 30 * height + rng.normal(0, 6, height.shape)
    tile = np.clip(pixels, 0, 255).astype(np.uint8)
    return np.tile(tile, (-(-side // TILE), -(-side // TILE)))[:side, :side].copy()


if __name__ == "__main__":
    main()
