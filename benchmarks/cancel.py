"""How long every kind of job takes from Cancel to its end, at several moments of its run.

Run ``python benchmarks/cancel.py [--quick] [--only NAME ...] [--out FILE.json]``; no screen is needed. Jobs run as
docks run them, in a thread (``_gui/worker.py``), trainings and sweeps in child processes. Each has a process of its own
here: it is cancelled 0.3 s after its first start, while it still imports, runs once to its end, which tells its
duration, and is then cancelled at moments spread over that. A job is over when nothing of it runs any more.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGEST_S = 240.0
"""Of a whole run; a job that takes longer is cancelled then and counts as long as that."""
FIRST_S = 0.3
POLL_S = 0.002
APART = 64
"""Distance of the discs in the large image, px."""
UNET = {"engine": "unet"}
MASKRCNN = {"engine": "maskrcnn", "backbone": "light"}
TRAINING: dict[str, Any] = {"steps": 20, "steps_per_epoch": 10, "device": "cpu"}


@dataclass
class Input:
    """What the jobs work on.

    Parameters
    ----------
    folder : Path
        For everything that is written.
    quick : bool
        Smaller images.
    """

    folder: Path
    quick: bool

    def image(self, side: int) -> Path:
        """A large image of bright discs; its labels are beside it in ``truth``."""
        from napari_nanoseg.calibration import Calibration
        from napari_nanoseg.io.images import write_image, write_labels
        from napari_nanoseg.samples import Image

        side = side // 2 if self.quick else side
        path = self.folder / "image" / "discs.tif"
        pixels, labels = discs(side)
        write_image(path, Image(pixels, "YX", Calibration.of(2.0)))
        write_labels(self.folder / "truth" / "discs.tif", labels, Calibration.of(2.0))
        write_labels(self.folder / "found" / "discs.tif", np.roll(labels, 2, 0), Calibration.of(2.0))
        return path

    def network(self, values: dict[str, Any]) -> Path:
        """A model with weights of no training, which takes as long as a trained one."""
        from napari_nanoseg.config.model_card import ModelCard
        from napari_nanoseg.config.train import TrainConfig
        from napari_nanoseg.engines.maskrcnn.model import MaskRCNNModel
        from napari_nanoseg.engines.unet.model import UNetModel

        card = ModelCard(network=TrainConfig.parse({"engine": values}).engine)
        kind: type[MaskRCNNModel] | type[UNetModel] = UNetModel if values["engine"] == "unet" else MaskRCNNModel
        kind.from_card(card).save(self.folder / "model")
        return self.folder / "model"

    def volume(self) -> Path:
        """The sample cathode, repeated."""
        from napari_nanoseg import open_volume, write_volume
        from napari_nanoseg.samples import Volume

        sample = open_volume(data() / "cathode" / "cathode.tif")
        repeats = (1, 2, 2) if self.quick else (3, 3, 3)
        path = self.folder / "volume.tif"
        write_volume(path, Volume(np.tile(sample.read(0, sample.data.shape[0]), repeats), sample.calibration))
        return path

    def stack(self) -> Path:
        """Transmission of 40 energies."""
        from tifffile import imwrite

        side = 512 if self.quick else 1024
        rng = np.random.default_rng(0)
        (self.folder / "stack").mkdir()
        path = self.folder / "stack" / "transmission.tif"
        one = rng.poisson(900, (side, side)).astype(np.uint16)
        imwrite(path, np.stack([one + energy for energy in range(40)]), photometric="minisblack")
        return path

    def scans(self) -> Path:
        """Generated SEM images of nanowires."""
        from napari_nanoseg import generate, nanowire_preset
        from napari_nanoseg.io.images import write_image

        for number, one in enumerate(islice(generate(nanowire_preset("Ag nanowires SEM", seed=4)), 2)):
            write_image(self.folder / "scans" / f"{number}.tif", one.image)
        return self.folder / "scans"


def data() -> Path:
    """The sample data of the package."""
    from napari_nanoseg.io.sample_data import sample_data

    return sample_data()


def slices(folder: Path) -> Path:
    """Slices of the sample cathode as a dataset of classes."""
    from tifffile import imread, imwrite

    volume, classes = imread(data() / "cathode" / "cathode.tif"), imread(data() / "cathode" / "classes.tif")
    for z in range(0, 32, 4):
        for name, plane in (("images", volume[z]), ("masks", (classes[z] == 1).astype(np.uint8))):
            (folder / "slices" / name).mkdir(parents=True, exist_ok=True)
            imwrite(folder / "slices" / name / f"{z}.tif", plane)
    return folder / "slices"


Job = dict[str, Any]


def train(dataset: Path, engine: Job, **config: Any) -> Job:
    return {"job": "train", "dataset": dataset, "start_from": None, "config": TRAINING | {"engine": engine} | config}


def segment(given: Input, model: str | Path, side: int) -> Job:
    return {"job": "segment", "images": [given.image(side)], "model": model, "config": {"device": "cpu"}}


def measured(given: Input) -> Job:
    given.image(4096)
    return {"job": "measure", "labels": [given.folder / "truth"], "images": [given.folder / "image"]}


def evaluated(given: Input) -> Job:
    given.image(4096)
    return {"job": "evaluate", "truth": given.folder / "truth", "prediction": given.folder / "found",
            "images": [given.folder / "image"]}  # fmt: skip


def cracks(given: Input, model: str | Path) -> Job:
    return {"job": "cracks", "volume": given.volume(), "model": model,
            "config": {"device": "cpu", "output": "tiff", "damage": {"window": 20}}}  # fmt: skip


JOBS: dict[str, Callable[[Input], Job]] = {
    "segment starter": lambda given: segment(given, "starter", 4096),
    "segment watershed": lambda given: segment(given, "watershed", 4096),
    "segment threshold": lambda given: segment(given, "threshold", 8192),
    "segment maskrcnn light": lambda given: segment(given, given.network(MASKRCNN), 1024),
    "segment maskrcnn resnet50": lambda given: segment(given, given.network(MASKRCNN | {"backbone": "resnet50"}), 1024),
    "segment unet": lambda given: segment(given, given.network(UNET), 2048),
    "train stardist": lambda given: train(data() / "annotated", {"engine": "stardist"}),
    "train stardist tuned": lambda given: train(data() / "annotated", {"engine": "stardist"}) | {"start_from": "auto"},
    "train maskrcnn": lambda given: train(data() / "network", MASKRCNN, synthetic_per_real=0),
    "train unet": lambda given: train(slices(given.folder), UNET),
    "sweep unet": lambda given: (
        train(slices(given.folder), UNET, steps=10) | {"job": "sweep", "vary": {"learning_rate": [0.001, 0.002]}}
    ),
    "cracks threshold": lambda given: cracks(given, "threshold"),
    "cracks unet": lambda given: cracks(given, given.network(UNET)),
    "generate cutpaste": lambda given: {"job": "generate", "source": data() / "annotated", "count": 20},
    "generate nanowires": lambda given: {"job": "nanowires", "count": 6, "config": {"height": 1024, "width": 1024}},
    "generate cathode": lambda given: {"job": "cathode", "count": 4},
    "density": lambda given: {"job": "density", "images": [given.stack()]},
    "measure": measured,
    "evaluate": evaluated,
    "fit nanowires": lambda given: {"job": "fit_nanowires", "images": [given.scans()], "preset": "Ag nanowires SEM"},
    "check": lambda given: {"job": "check", "dataset": data() / "network"},
}
OUT = {"measure": "table.csv", "fit_nanowires": "fitted.yaml"}
"""Names of what jobs write that write a file."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller images, fewer moments")
    parser.add_argument("--only", nargs="+", default=list(JOBS), choices=JOBS, metavar="NAME", help="jobs to cancel")
    parser.add_argument("--out", type=Path, help="JSON file for all figures")
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.here, options.quick)))
        return
    print("seconds from Cancel to the end of the job: just after its first start; median and longest of all moments")
    print(f"{'':<27}{'runs, s':>9}{'first':>8}{'median':>8}{'longest':>9}  when that was, and in which stage")
    found: dict[str, dict[str, Any]] = {}
    for name in options.only:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            values = JOBS[name](Input(Path(folder), options.quick))
            Path(folder, "job.json").write_text(json.dumps(values, default=str), encoding="utf-8")
            command = [sys.executable, __file__, "--here", folder, *(["--quick"] if options.quick else [])]
            answer = subprocess.run(command, capture_output=True, text=True)
        if answer.returncode:
            print(f"{name:<27} failed: {answer.stderr.strip().splitlines()[-1]}", flush=True)
            continue
        one = found[name] = json.loads(answer.stdout.splitlines()[-1])
        waits = [run["wait"] for run in one["cancelled"]]
        longest = max(one["cancelled"], key=lambda run: run["wait"])
        print(
            f"{name:<27}{one['seconds']:>9.1f}{waits[0]:>8.2f}{statistics.median(waits):>8.2f}{longest['wait']:>9.2f}"
            f"  {longest['after']:.1f} s, {longest['stage']}",
            flush=True,
        )
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"load {load:.1f} at the end")
    if options.out:
        options.out.write_text(json.dumps(found, indent=1), encoding="utf-8")


def measure(folder: Path, quick: bool) -> dict[str, Any]:
    """Measure the job of a folder in this process, in which nothing was imported yet."""
    os.environ["QT_QPA_PLATFORM"] = "offscreen"
    os.environ |= {f"XDG_{kind}_HOME": str(folder / "home" / kind.lower()) for kind in ("DATA", "STATE", "CONFIG")}
    from qtpy.QtWidgets import QApplication

    from napari_nanoseg.config.jobs import parse_job

    application = QApplication([])
    assert application is not None
    values = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    numbers = count()

    def cancelled_after(seconds: float) -> dict[str, Any]:
        out = folder / str(next(numbers)) / OUT.get(values["job"], "out")
        return run(parse_job(values if values["job"] == "check" else values | {"out": str(out)}), seconds)

    first = cancelled_after(FIRST_S)
    seconds = cancelled_after(LONGEST_S)["seconds"]
    fractions = (0.2, 0.6, 0.9) if quick else (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.97)
    runs = [first, *(cancelled_after(fraction * seconds) for fraction in fractions)]
    return {"seconds": seconds, "cancelled": [one for one in runs if one["wait"] is not None]}


def run(job: Any, cancel_after: float) -> dict[str, Any]:
    """Run a job in a thread and cancel it.

    Returns
    -------
    dict
        ``seconds`` that it ran; ``wait``, the seconds from Cancel to its end, None where it was over before; ``after``
        how many seconds it was cancelled, and in which ``stage``.
    """
    from qtpy.QtWidgets import QApplication

    from napari_nanoseg._gui.worker import Failure, make_worker
    from napari_nanoseg.events import Stage

    worker = make_worker(lambda: steps(job), job.job)
    began = time.perf_counter()
    cancelled, stage = None, "starting"
    worker.start()
    while not worker.over:
        QApplication.processEvents()
        stage = next((one.name for one in reversed(worker.take()) if isinstance(one, Stage)), stage)
        time.sleep(POLL_S)
        now = time.perf_counter()
        if cancelled is None and now - began > cancel_after:
            worker.quit()
            cancelled = now
    over = time.perf_counter()
    if isinstance(worker.ending, Failure):
        sys.exit(worker.ending.message)
    wait = None if cancelled is None else over - cancelled
    return {"seconds": over - began, "wait": wait, "after": cancel_after, "stage": stage}


def steps(job: Any) -> Any:
    """Run a job as the docks do."""
    if job.job in ("train", "sweep"):
        from napari_nanoseg.jobs.child_process import run_in_child

        return run_in_child(job)
    from napari_nanoseg.jobs.run import run_job as run_here

    return run_here(job)


def discs(side: int) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Bright discs on a grid, in noise, and their labels."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side]
    inside = (rows % APART - APART / 2) ** 2 + (columns % APART - APART / 2) ** 2 < (0.35 * APART) ** 2
    pixels = np.where(inside, 150, 70) + 6 * rng.standard_normal((side, side), np.float32)
    numbers = 1 + rows // APART * (side // APART) + columns // APART
    return np.clip(pixels, 0, 255).astype(np.uint8), np.where(inside, numbers, 0).astype(np.int32)


if __name__ == "__main__":
    main()
