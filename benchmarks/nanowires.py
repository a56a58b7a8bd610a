"""Speed and memory of the nanowire generator: images of 512 x 512 with 60 wires as optical density, on two workers.

Run ``python benchmarks/nanowires.py [--json]`` on a quiet machine. The ratio is that of the time of a voxel ray-sum of
the same scenes (512 x 512 x 200 voxels, each wire filled inside its own box by compiled code, then summed along the
beam) to the time of the closed form with as many rays, one per pixel.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
from numba import njit
from numpy.typing import NDArray

from napari_nanoseg.config.nanowires import Look, NanowireConfig
from napari_nanoseg.generators.nanowires.generator import Nanowires
from napari_nanoseg.generators.nanowires.rays import bounds
from napari_nanoseg.generators.nanowires.scene import Scene
from napari_nanoseg.generators.nanowires.solids import Solids
from napari_nanoseg.generators.nanowires.trace import trace

WORKERS = 2
CONFIG = NanowireConfig(wires=(60, 60))
LOOKS: tuple[Look, ...] = ("od", "transmission", "ptychography", "stxm", "sem", "tem")


@njit(cache=True, nogil=True)
def _fill(solids: Solids, volume: NDArray[np.float32]) -> None:
    """Add 1 to the voxels (row, column, z) whose middle lies in a solid."""
    height, width, depth = volume.shape
    for p in range(solids.centres.shape[0]):
        r0, c0, r1, c1 = bounds(solids, p, p + 1, height, width)
        bottom, top = np.inf, -np.inf
        for corner in solids.boxes[p]:
            bottom, top = min(bottom, corner[2]), max(top, corner[2])
        z0 = max(0, int(np.floor(bottom + solids.centres[p, 2])))
        z1 = min(depth, int(np.ceil(top + solids.centres[p, 2])))
        q = solids.quadrics[p]
        for r in range(r0, r1):
            y = r - solids.centres[p, 1]
            for c in range(c0, c1):
                x = c - solids.centres[p, 0]
                for k in range(z0, z1):
                    z = k + 0.5 - solids.centres[p, 2]
                    inside = True
                    for side in range(solids.sides[p]):
                        plane = solids.planes[p, side]
                        if plane[0] * x + plane[1] * y + plane[2] * z > plane[3]:
                            inside = False
                            break
                    if inside and solids.rounds[p]:
                        value = q[0] * x * x + q[1] * y * y + q[2] * z * z
                        value += 2 * (q[3] * x * y + q[4] * x * z + q[5] * y * z + q[6] * x + q[7] * y + q[8] * z)
                        inside = value <= 1
                    if inside:
                        volume[r, c, k] += 1


def voxels(scene: Scene, config: NanowireConfig) -> NDArray[np.float32]:
    """Path lengths (px) as sums over a volume."""
    volume = np.zeros((config.height, config.width, config.depth), np.float32)
    _fill(scene.solids, volume)
    return np.asarray(volume.sum(2))


def rays(scene: Scene, config: NanowireConfig, per_side: int) -> NDArray[np.float64]:
    """Path lengths (px) in closed form."""
    weights = np.ones(len(scene.objects))
    traced = trace(scene.solids, scene.starts, config.height, config.width, per_side, weights, False, False)
    return np.asarray(traced[0])


def seconds(work: Callable[[int], object], repeats: int) -> float:
    """Median processor time of one call, which is given its number."""
    times = []
    for number in range(repeats):
        began = time.process_time()
        work(number)
        times.append(time.process_time() - began)
    return statistics.median(times)


def measure(images: int) -> dict[str, float]:
    """Figures of one run; the processor time per image depends least on what else the machine does."""
    generator = Nanowires(CONFIG)
    generator.sample(0)
    began, spent = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(WORKERS) as pool:
        wires = sum(pool.map(lambda index: len(generator.sample(index).instances), range(1, images + 1)))
    rate = images / (time.perf_counter() - began)
    processor = (time.process_time() - spent) / images
    peak = _peak_bytes()
    scenes = [generator.scene(index) for index in range(min(images, 10))]
    voxels(scenes[0], CONFIG)
    by_voxels = seconds(lambda number: voxels(scenes[number], CONFIG), len(scenes))
    by_rays = seconds(lambda number: rays(scenes[number], CONFIG, 1), len(scenes))
    figures = {
        "images_per_second": round(rate, 1),
        "cpu_ms_per_image": round(1e3 * processor, 1),
        "wires_per_image": round(wires / images, 1),
        "workers": WORKERS,
        "peak_memory_mb": round(peak / 2**20),
        "voxel_ray_sum_ms": round(1e3 * by_voxels, 1),
        "closed_form_ms": round(1e3 * by_rays, 1),
        "ratio_of_voxels_to_closed_form": round(by_voxels / by_rays, 1),
    }
    for look in LOOKS:
        other = Nanowires(CONFIG.model_copy(update={"look": look}))
        other.sample(0)
        figures[f"cpu_ms_{look}"] = round(1e3 * seconds(other.sample, min(images, 10)), 1)
    return figures | {"load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else -1.0}


def _peak_bytes() -> float:
    if os.name == "nt":
        return float(psutil.Process().memory_info().rss)
    import resource

    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="only 20 images")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    figures = measure(20 if options.quick else options.images)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:32} {value:g}")


if __name__ == "__main__":
    main()
