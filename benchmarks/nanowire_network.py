"""From generated nanowires alone to a Mask R-CNN: how well it finds others, and the rods of real micrographs.

Run ``python benchmarks/nanowire_network.py [--preset NAME | --config FILE] [--steps N] [--out FOLDER] [--json]``. 250
generated images for training, 10 for validation, 40 others for the test, all of one preset or of one config (such as
``nanoseg fit nanowires`` writes); the light backbone and the defaults of ``nanoseg train maskrcnn``. Published for
networks trained on 250 to 1000 images of a commercial generator (npj Comput. Mater. 2022): box AP 94.0, mask AP 90.5 on
synthetic test images; those images are not public, so this is an orientation. ``--rods`` also tests on real rods
(``../shared/data/emps``, shape = rod), their size told; ``--overlays FILE.png`` shows what is found in the six
unlabelled SEM images of ``../shared/data/nanowires_sem`` above their data bars, with ``--diameter`` px, else as in
training. ``--agreement FILE.png`` draws the distributions of sizes, shapes and directions of true and found
wires; their distances are among the figures. ``--model FOLDER`` takes a network that was trained before.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from scipy.ndimage import binary_erosion

from napari_nanoseg import evaluate, load_model, read_image, read_labels
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.nanowire_presets import PRESETS
from napari_nanoseg.config.nanowires import NanowiresJob
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.documents import read_yaml
from napari_nanoseg.engines.base import Model
from napari_nanoseg.evaluation.agreement import Agreements, agreement, pool_agreement
from napari_nanoseg.evaluation.agreement_figure import agreement_figure
from napari_nanoseg.evaluation.matching import Evaluation, pool
from napari_nanoseg.events import Epoch, Event, Notice, listening
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.datasets import open_dataset
from napari_nanoseg.io.figures import write_figure
from napari_nanoseg.jobs.child_process import run_in_child
from napari_nanoseg.jobs.nanowires import nanowires_job
from napari_nanoseg.samples import Image

DATA = Path(__file__).parents[2] / "shared" / "data"
EMPS, SEM = DATA / "emps", DATA / "nanowires_sem"
DATA_BAR_FROM = 880
"""Row of the SEM images where their data bar begins."""
DISTRIBUTIONS = "area", "aspect_ratio", "orientation_deg"
COLOURS = (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167)
"""Of Okabe and Ito."""
COUNTS = {"training": 250, "validation": 10, "test": 40}
ALL_SCORES = 0.05
"""From here on, detections count for the average precision, as in COCO."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--preset", choices=list(PRESETS), default="V2O5 ptychography")
    parser.add_argument("--config", type=Path, help="config of the generator, in place of a preset")
    parser.add_argument("--steps", type=int, help="training steps; none: as a training from scratch has them")
    parser.add_argument("--rods", action="store_true", help="also the real rods")
    parser.add_argument("--overlays", type=Path, metavar="FILE", help="picture of what is found in real SEM images")
    parser.add_argument("--diameter", type=float, help="diameter of the wires in the SEM images, px")
    parser.add_argument("--agreement", type=Path, metavar="FILE", help="picture of true and found distributions")
    parser.add_argument("--model", type=Path, help="a trained model; then nothing is trained")
    parser.add_argument("--quick", action="store_true", help="a tenth of the images and 10 steps: only that it runs")
    parser.add_argument("--out", type=Path, help="keep datasets and model in this folder")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        for seed, (name, count) in enumerate(COUNTS.items()):
            count = max(2, count // 10) if options.quick else count
            given = read_yaml(options.config) | {"seed": seed} if options.config else {"seed": seed}
            preset = None if options.config else options.preset
            wires = NanowiresJob.parse({"preset": preset, "config": given, "out": folder / name, "count": count})
            nanowires_job(wires)
        figures = {}
        if options.model is None:
            config = TrainConfig(engine=MaskRCNNConfig(), steps=10 if options.quick else options.steps)
            job = TrainJob(
                config=config, dataset=folder / "training", validation=folder / "validation", out=folder / "model"
            )
            began = time.monotonic()
            with listening(say):
                run_in_child(job)
            figures["training_minutes"] = (time.monotonic() - began) / 60
        model = load_model(options.model or folder / "model")
        if options.overlays is not None and SEM.is_dir():
            draw_overlays(model, options.overlays, options.diameter)
        test = open_dataset(folder / "test")
        found, together = judged(model, ((sample.image, sample.instances) for sample in test), told=False)
        figures |= found
        for name in DISTRIBUTIONS:
            told = together[name].figures()
            figures |= {f"{name}_{what}": number(told[what]) for what in ("ks", "wasserstein", "bias", "spread")}
        if options.agreement is not None:
            write_figure(agreement_figure(together), options.agreement)
        if options.rods and EMPS.is_dir():
            rods, _ = judged(model, real_rods(), told=True)
            figures |= {f"real_rods_{name}": value for name, value in rods.items()}
    for name, value in figures.items():
        print(f"{name:24} {value:.3f}")
    if options.json:
        print(json.dumps(figures))


def judged(
    model: Model, pairs: Iterator[tuple[Image, Instances]], *, told: bool
) -> tuple[dict[str, float], Agreements]:
    """Average precision of all that is found, the other figures and the agreement at the model's own threshold."""
    agreements: list[Agreements] = []
    usual: list[Evaluation] = []
    all_scores: list[Evaluation] = []
    for image, truth in pairs:
        diameter = truth.diameter() if told else None
        for kept, probability in ((usual, None), (all_scores, ALL_SCORES)):
            found = model.segment(image, SegmentConfig(diameter=diameter, probability=probability))
            kept.append(evaluate(truth, found))
            if probability is None:
                agreements.append(agreement(truth, found, calibration=image.calibration))
    precision: Mapping[str, float | None] = pool(all_scores).figures()
    figures = {name: precision[name] for name in ("box_ap", "ap", "box_ap50", "ap50", "ap75")}
    figures |= {name: pool(usual).figures()[name] for name in ("precision", "recall", "f1", "foreground_accuracy")}
    return {name: number(value) for name, value in figures.items()}, pool_agreement(agreements)


def number(value: float | str | None) -> float:
    """A figure; NaN where there is none."""
    return float("nan") if value is None else float(value)


def real_rods() -> Iterator[tuple[Image, Instances]]:
    """Real micrographs of rods, three of them or more, and their outlines."""
    with (EMPS / "index.csv").open() as file:
        names = [row["name"] for row in csv.DictReader(file) if row["shape"] == "rod" and int(row["instances"]) >= 3]
    for name in names:
        labels = np.asarray(read_labels(EMPS / "masks" / f"{name}.png"))
        yield read_image(EMPS / "images" / f"{name}.png"), Instances.from_labels(labels)


def draw_overlays(model: Model, path: Path, diameter: float | None) -> None:
    """Two rows of three images at half their size, with the outline of every wire that is found."""
    rows = []
    names = sorted(SEM.glob("*.tif"))
    for start in range(0, len(names), 3):
        row = []
        for name in names[start : start + 3]:
            whole = read_image(name)
            image = replace(whole, data=whole.data[:DATA_BAR_FROM])
            found = model.segment(image, SegmentConfig(diameter=diameter))
            grey = image.data.astype(np.float32)
            low, high = np.percentile(grey, (0.5, 99.8))
            picture = np.repeat(
                (np.clip((grey - low) / (high - low), 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2
            )
            for number, (box, mask) in enumerate(zip(found.boxes, found.masks, strict=True)):
                edge = mask & ~binary_erosion(mask, iterations=2)
                picture[box[0] : box[2], box[1] : box[3]][edge] = COLOURS[number % len(COLOURS)]
            print(f"{name.name}: {len(found)} wires", flush=True)
            row.append(picture[::2, ::2])
        rows.append(np.concatenate(row, axis=1))
    Picture.fromarray(np.concatenate(rows)).quantize(256).save(path, optimize=True)


def say(event: Event) -> None:
    """Print what a training tells."""
    if isinstance(event, Notice):
        print(event.message, flush=True)
    elif isinstance(event, Epoch):
        print(f"epoch {event.epoch} of {event.epochs}: {event.validation['loss']:.3f}", flush=True)


if __name__ == "__main__":
    main()
