"""Thin cracks in real images: train a U-Net on a CPU within 20 minutes of 2 cores, compare with thresholding.

Run ``python benchmarks/cracks_pv.py [--steps N] [--threads N] [--out FOLDER] [--json]``. Images are the 120
training and 40 validation pairs of ``../shared/data/cracks_pv`` (electroluminescence of solar cells; pv-vision). The
validation pairs are looked at once, at the end: thresholds and best weights come from training images that are held
out. F1 is of pixels, 2 px beside each other at most, of all images together; the IoU has no tolerance. Thresholding has
the best of its settings on the training images. On a machine that others use, too, CPU time is what counts: 2,400 s are
20 minutes of 2 cores.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg import load_model, read_image
from napari_nanoseg.config.cracks import CrackThreshold
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.engines.baseline.volume import ThresholdPredictor, find_level
from napari_nanoseg.evaluation.tolerant import PixelEvaluation, evaluate_pixels, pool_pixels
from napari_nanoseg.events import Epoch, Event, Notice, listening
from napari_nanoseg.io.images import read_label_array
from napari_nanoseg.jobs.child_process import run_in_child
from napari_nanoseg.samples import Image, Volume

DATA = Path(__file__).parents[2] / "shared" / "data" / "cracks_pv"
STEPS, QUICK_STEPS = 3000, 4
HELD_OUT = 0.1
BUDGET_S = 2400
THRESHOLDS = [
    CrackThreshold(method=method, percentile=percentile, within=within)
    for (method, percentile), within in product(
        [("otsu", 50.0), *(("percentile", share) for share in (1.0, 2.0, 5.0, 10.0, 20.0))], ("particles", "anywhere")
    )
]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_STEPS} steps: only that it runs")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2, help="one is faster beside other programs")
    parser.add_argument("--out", type=Path, help="keep the model in this folder")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    if not DATA.is_dir():
        print("skipped: the real data (../shared/data/cracks_pv) is not beside this checkout")
        return
    steps = QUICK_STEPS if options.quick else options.steps or STEPS
    few = 4 if options.quick else None
    figures = {"thresholding": thresholding(few)}
    print("thresholding:", json.dumps(figures["thresholding"]), flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        figures["unet"] = unet(options.out or Path(temporary) / "model", steps, options.seed, options.threads, few)
    print("U-Net:", json.dumps(figures["unet"]))
    if options.json:
        print(json.dumps(figures))


def unet(out: Path, steps: int, seed: int, threads: int, few: int | None) -> dict[str, float]:
    """Train on the training pairs, judge on the validation pairs."""
    config = TrainConfig(engine=UNetConfig(), steps=steps, seed=seed, validation_fraction=HELD_OUT, device="cpu")
    began, cpu = time.perf_counter(), cpu_s()
    job = TrainJob(config=config, dataset=DATA / "train", out=out, start_from=None)
    with listening(say):
        run_in_child(job, env={"OMP_NUM_THREADS": str(threads)})
    figures = {"steps": float(steps), "training_s": time.perf_counter() - began, "training_cpu_s": cpu_s() - cpu}
    model = load_model(out)
    found = [evaluate_pixels(truth, model.segment(image).to_labels()) for image, truth in pairs("validation", few)]
    return figures | {"budget_cpu_s": BUDGET_S} | summary(found)


def thresholding(few: int | None) -> dict[str, float]:
    """The setting that is best on the training pairs, judged on the validation pairs."""

    def judged(config: CrackThreshold, part: str) -> list[PixelEvaluation]:
        return [evaluate_pixels(truth, thresholded(image, config)) for image, truth in pairs(part, few)]

    best = max(THRESHOLDS, key=lambda config: pool_pixels(judged(config, "train")).f1)
    print(f"best thresholding of the training images: {best.method}, {best.percentile:g} %, {best.within}")
    return summary(judged(best, "validation"))


def thresholded(image: Image, config: CrackThreshold) -> NDArray[np.bool_]:
    """Dark pixels of an image, with a threshold of its own."""
    volume = Volume(image.data[None], source=image.source)
    predictor = ThresholdPredictor(config, find_level(volume, config))
    return np.asarray(predictor.classify_plane(image.data) == 1)


def pairs(part: str, few: int | None) -> Iterator[tuple[Image, NDArray[np.generic]]]:
    """Images and masks of a part of the data."""
    for path in sorted((DATA / part / "images").iterdir())[:few]:
        yield read_image(path), read_label_array(DATA / part / "masks" / path.name)


def summary(found: list[PixelEvaluation]) -> dict[str, float]:
    """Figures of all images together."""
    together = pool_pixels(found)
    names = ("f1", "precision", "recall", "iou")
    return {name: round(getattr(together, name), 4) for name in names} | {
        "mean_image_f1": round(float(np.mean([one.f1 for one in found])), 4)
    }


def cpu_s() -> float:
    """CPU time of the processes that this one has waited for, s."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def say(event: Event) -> None:
    """Print a training's notices and every fifth epoch to stderr."""
    if isinstance(event, Epoch) and (event.epoch % 5 == 0 or event.epoch == event.epochs):
        validation = {name: round(value, 3) for name, value in event.validation.items()}
        print(f"epoch {event.epoch} of {event.epochs}: {validation}, {event.elapsed_s:.0f} s", file=sys.stderr)
    elif isinstance(event, Notice):
        print(event.message, file=sys.stderr)


if __name__ == "__main__":
    main()
