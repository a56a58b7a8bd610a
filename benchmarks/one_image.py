"""The published worst case on real images: train from one annotated micrograph, segment others of the same paper.

Run ``python benchmarks/one_image.py [--steps N] [--group NAME] [--seed N] [--out FOLDER] [--json]``. Groups and images
are those of ``../shared/data/emps/one_image_groups.csv``; the network never sees a target image. The particle diameter
on the targets is not told: it is taken to be that of the source, as for micrographs of one series. UTILE-Gen reports an
F1 of 73, 92 and 77 % for three such classes of its own images (one real image and 50 synthetic ones); those images are
not public, so the figures stand beside ours only as an orientation.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_nanoseg import evaluate, load_model, read_image, read_labels
from napari_nanoseg.config.paths import AUTO
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.evaluation.error_map import overlay_figure
from napari_nanoseg.evaluation.matching import pool
from napari_nanoseg.events import Epoch, Event, Notice, listening
from napari_nanoseg.io.figures import write_figure
from napari_nanoseg.io.model_library import STARTER
from napari_nanoseg.jobs.child_process import run_in_child

EMPS = Path(__file__).parents[2] / "shared" / "data" / "emps"
PUBLISHED = "UTILE-Gen on its own three classes: 0.73, 0.92, 0.77"
QUICK_STEPS = 50
STARTS = {"starter": (AUTO, None), "scratch": (None, 2200)}
"""What a training starts from, and its steps; None: its own default."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_STEPS} steps on one group: only that it runs")
    parser.add_argument("--start", choices=STARTS, default="starter", help="what the trainings start from")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--group", action="append", help="only this group; may be repeated")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training")
    parser.add_argument("--out", type=Path, help="keep models and overlays in this folder")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    if not EMPS.is_dir():
        print("skipped: the real data (../shared/data/emps) is not beside this checkout")
        return
    groups = read_groups()
    chosen = options.group or (["spheres"] if options.quick else list(groups))
    start, usual = STARTS[options.start]
    steps = QUICK_STEPS if options.quick else options.steps or usual
    rows = {}
    with tempfile.TemporaryDirectory() as temporary:
        out = options.out or Path(temporary)
        for name in chosen:
            rows[name] = run_group(*groups[name], start, steps, options.seed, out / name)
            print(name, json.dumps({key: round(value, 3) for key, value in rows[name].items()}), flush=True)
    mean = float(np.mean([row["f1"] for row in rows.values()]))
    print(f"mean F1 {mean:.3f}, from {options.start}; {PUBLISHED}")
    if options.json:
        print(json.dumps({"mean_f1": mean, "groups": rows}))


def read_groups() -> dict[str, tuple[str, list[str]]]:
    """Source and targets of each group."""
    groups: dict[str, tuple[str, list[str]]] = {}
    with (EMPS / "one_image_groups.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name in dict.fromkeys(row["group"] for row in rows):
        of_group = [row for row in rows if row["group"] == name]
        source = next(row["name"] for row in of_group if row["role"] == "source")
        groups[name] = source, [row["name"] for row in of_group if row["role"] == "target"]
    return groups


def run_group(
    source: str, targets: list[str], start: Path | None, steps: int | None, seed: int, out: Path
) -> dict[str, float]:
    """Train from one image and compare the predictions on the others with their truth."""
    dataset = out / "dataset"
    for kind in ("images", "masks"):
        (dataset / kind).mkdir(parents=True, exist_ok=True)
        shutil.copy(EMPS / kind / f"{source}.png", dataset / kind)
    shutil.rmtree(out / "model", ignore_errors=True)
    began = time.perf_counter()
    config = TrainConfig(steps=steps, seed=seed)
    with listening(say):
        run_in_child(TrainJob(config=config, dataset=dataset, out=out / "model", start_from=start))
    training_s = time.perf_counter() - began
    model, before = load_model(out / "model"), None if start is None else load_model(STARTER)
    told, untold, unchanged = [], [], []
    for target in targets:
        image = read_image(EMPS / "images" / f"{target}.png")
        truth = read_labels(EMPS / "masks" / f"{target}.png")
        prediction = model.segment(image)
        untold.append(evaluate(truth, prediction))
        diameter = truth.diameter()
        told.append(evaluate(truth, model.segment(image, SegmentConfig(diameter=diameter))))
        if before is not None:
            unchanged.append(evaluate(truth, before.segment(image)))
        write_figure(overlay_figure(image, truth, prediction, untold[-1]), out / f"{target}.png")
    figures = pool(untold).figures()
    keys = ("f1", "precision", "recall", "recall_complete", "recall_border", "mean_matched_iou")
    return {
        # None where there is no particle at the border
        **{key: float(value) for key in keys if (value := figures[key]) is not None},
        "worst_image_f1": min(one.f1 for one in untold),
        "f1_diameter_told": pool(told).f1,
        **({"f1_of_the_starter": pool(unchanged).f1} if unchanged else {}),
        "training_s": training_s,
    }


def say(event: Event) -> None:
    """Print a training's notices and every fifth epoch to stderr."""
    if isinstance(event, Notice) or (isinstance(event, Epoch) and event.epoch % 5 == 0):
        print(event, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
