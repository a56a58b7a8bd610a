"""Speed and memory of the cut-and-paste generator: images of 1024 x 1024 with 100 particles on two workers.

Run ``python benchmarks/generator.py [--json]`` on a quiet machine. The source is the project's sample micrograph.
UTILE-Gen made 1.7 such images per second on a machine of the same kind.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from scipy.ndimage import gaussian_filter

import napari_nanoseg
from napari_nanoseg.config.generate import CutPasteConfig
from napari_nanoseg.generators.cutpaste import CutPaste
from napari_nanoseg.io.datasets import open_dataset

SAMPLE = Path(napari_nanoseg.__file__).parent / "sample_data" / "annotated"
WORKERS = 2


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of one call."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def measure(source: Path, images: int) -> dict[str, float]:
    """Figures of one run; the processor time per image depends least on what else the machine does."""
    began = time.perf_counter()
    sources = list(open_dataset(source))
    generator = CutPaste(CutPasteConfig(particles_per_image=(100, 100)), sources)
    preparation = time.perf_counter() - began
    sample = generator.sample(0)
    began, spent = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(WORKERS) as pool:
        particles = sum(pool.map(lambda index: len(generator.sample(index).instances), range(1, images + 1)))
    rate = images / (time.perf_counter() - began)
    processor = (time.process_time() - spent) / images
    single = seconds(lambda: generator.sample(1), 15)
    blur = seconds(lambda: gaussian_filter(sample.image.data, 1.0), 15)
    patches = CutPaste(CutPasteConfig(height=128, width=128, particles_per_image=(16, 16), scale=(0.4, 0.8)), sources)
    patches.sample(0)
    return {
        "images_per_second": round(rate, 1),
        "cpu_ms_per_image": round(1e3 * processor, 1),
        "particles_per_image": round(particles / images, 1),
        "workers": WORKERS,
        "peak_memory_mb": round(psutil.Process().memory_info().rss / 2**20)
        if os.name == "nt"
        else round(_peak_bytes() / 2**20),
        "preparation_s": round(preparation, 2),
        "ms_per_image_on_one_core": round(1e3 * single, 1),
        "ratio_to_gaussian_filter": round(single / blur, 2),
        "ms_per_patch_of_128": round(1e3 * seconds(lambda: patches.sample(1), 50), 2),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else -1.0,
    }


def _peak_bytes() -> float:
    import resource

    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=SAMPLE, help="data set to cut the particles from")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="only 20 images")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    figures = measure(options.source, 20 if options.quick else options.images)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:28} {value:g}")


if __name__ == "__main__":
    main()
