"""Peak memory of the cracks job against the size of the volume: it should not grow with it.

Run ``python benchmarks/cracks_memory.py [--side 2000] [--depths 25 50 100 200] [--quick] [--json]``. Every job is a
process of its own (``nanoseg run``), whose memory is looked at every 10 ms. Voxels are 16-bit, in a TIFF stack with
compression, so that nothing is mapped. The models are the threshold and U-Nets with fresh weights, of two and of three
dimensions.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import tifffile
import yaml
from numpy.typing import NDArray

from napari_nanoseg.config.cracks import CracksConfig, CracksJob
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.engines.unet.model import UNetModel

RADIUS, APART = 90, 220
POLL_S = 0.01
"""The peak that the system itself counts would be that of this process, where it is larger."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=2000)
    parser.add_argument("--depths", type=int, nargs="+", default=[25, 50, 100, 200])
    parser.add_argument("--models", nargs="+", default=["threshold", "2d", "3d"])
    parser.add_argument("--quick", action="store_true", help="512 x 512, 16 and 48 slices")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    side, depths = (512, [16, 48]) if options.quick else (options.side, options.depths)
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        for model in options.models:
            path = Path(model) if model == "threshold" else fresh(folder / model, model)
            for depth in depths:
                volume = folder / f"{depth}.tif"
                if not volume.exists():
                    tifffile.imwrite(
                        volume, slices(depth, side), shape=(depth, side, side), dtype=np.uint16, compression="zlib",
                        compressionargs={"level": 1}, bigtiff=True,
                    )  # fmt: skip
                out = folder / f"{model} {depth}"
                peak, figures = measured(CracksJob(config=CracksConfig(), volume=volume, model=path, out=out), folder)
                rate = figures["megavoxels_per_s"]
                rows.append({"model": model, "shape": [depth, side, side], "peak_gb": peak, "megavoxels_per_s": rate})
                print(f"{model:10} {depth} x {side} x {side}: {peak:.2f} GB, {rate:.1f} megavoxels/s", flush=True)
    if options.json:
        print(json.dumps({"runs": rows}))


def measured(job: CracksJob, folder: Path) -> tuple[float, dict[str, Any]]:
    """Run a job in a process of its own: its peak memory in GB, and the job's figures."""
    (folder / "job.yaml").write_text(job.to_yaml(), encoding="utf-8")
    words = [sys.executable, "-m", "napari_nanoseg", "run", str(folder / "job.yaml")]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak, watched = 0, psutil.Process(process.pid)
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            peak = max(peak, watched.memory_info().rss)
        time.sleep(POLL_S)
    if process.returncode:
        raise SystemExit(f"The job ended with status {process.returncode}.")
    figures: dict[str, Any] = yaml.safe_load((job.out / "run.yaml").read_text(encoding="utf-8"))["figures"]
    return peak / 2**30, figures


def fresh(folder: Path, dimensions: str) -> Path:
    """A small U-Net that has not learned anything."""
    network = UNetConfig.model_validate({"dimensions": dimensions, "filters": 4, "levels": 2})
    UNetModel.from_card(ModelCard(network=network)).save(folder)
    return folder


def slices(depth: int, side: int) -> Iterator[NDArray[np.uint16]]:
    """Bright discs with a dark crack through each, in noise."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side] % APART - APART // 2
    disc = rows**2 + columns**2 < RADIUS**2
    noise = rng.normal(0, 1500, (side, side)).astype(np.float32)
    for number in range(depth):
        crack = np.abs(rows - 20 * np.sin((columns + number) / 15)) < 2
        grey = np.where(disc & ~crack, np.float32(42000), np.float32(15000)) + np.roll(noise, 7 * number, axis=0)
        yield grey.clip(0, 65535).astype(np.uint16)


if __name__ == "__main__":
    main()
