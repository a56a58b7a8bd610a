"""Crossing rods, which labels cannot hold: train a light Mask R-CNN on synthetic images alone and test it on others.

Run ``python benchmarks/crossing_rods.py [--steps N] [--minutes M] [--out FOLDER] [--json]``. Rods of 40 to 120 px
length and 6 to 12 px width lie anywhere, absorption adds where they cross, and every mask is whole. 200 images of
256 x 256 px for training, 12 for validation, 40 others for the test. The watershed that is told the true size and
polarity stands beside the network.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.draw import polygon

from napari_nanoseg import evaluate, load_model
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.evaluation.matching import pool
from napari_nanoseg.events import Epoch, Event, Notice, listening
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.datasets import DatasetWriter
from napari_nanoseg.jobs.child_process import run_in_child
from napari_nanoseg.samples import Image, Sample

SIDE, TRAINING, VALIDATION, TEST = 256, 200, 12, 40
RODS, LENGTH, WIDTH = (8, 16), (40.0, 120.0), (6.0, 12.0)


def rods(seed: int) -> Sample:
    """One image, dark rods on a bright ground, and every rod's whole mask."""
    rng = np.random.default_rng(seed)
    masks, density = [], np.zeros((SIDE, SIDE))
    for _ in range(rng.integers(*RODS)):
        length, width, angle = rng.uniform(*LENGTH), rng.uniform(*WIDTH), rng.uniform(0, np.pi)
        along = np.array([np.sin(angle), np.cos(angle)]) * length / 2
        across = np.array([np.cos(angle), -np.sin(angle)]) * width / 2
        corners = rng.uniform(0, SIDE, 2) + np.array([along + across, along - across, -along - across, across - along])
        mask = np.zeros((SIDE, SIDE), bool)
        mask[polygon(corners[:, 0], corners[:, 1], mask.shape)] = True
        if mask.sum() >= 0.5 * WIDTH[0] * LENGTH[0]:
            masks.append(mask)
            density += mask * rng.uniform(0.25, 0.5)
    field = gaussian_filter(rng.normal(size=(SIDE, SIDE)), 40)
    ground = 1 + 0.15 * field / np.abs(field).max()
    image = gaussian_filter(ground * np.exp(-density), rng.uniform(0.5, 1.2))
    image += rng.normal(scale=rng.uniform(0.01, 0.04), size=image.shape)
    boxes = np.tile([0, 0, SIDE, SIDE], (len(masks), 1))
    instances = Instances.from_masks((SIDE, SIDE), boxes, masks)
    pixels = np.clip(image * 180, 0, 255).astype(np.uint8)
    return Sample(Image(pixels, "YX"), instances, None, f"rods_{seed:04d}")


def write(folder: Path, seeds: range) -> None:
    """Write a dataset."""
    with DatasetWriter(folder) as writer:
        for seed in seeds:
            writer.add(rods(seed))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20 steps: only that it runs")
    parser.add_argument("--steps", type=int, help="training steps; none: as a training from scratch has them")
    parser.add_argument("--out", type=Path, help="keep the model in this folder")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        write(folder / "training", range(TRAINING))
        write(folder / "validation", range(TRAINING, TRAINING + VALIDATION))
        config = TrainConfig(
            engine=MaskRCNNConfig(), working_diameter=None, synthetic_per_real=0,
            steps=20 if options.quick else options.steps,
        )  # fmt: skip
        began = time.monotonic()
        job = TrainJob(
            config=config, dataset=folder / "training", validation=folder / "validation", out=folder / "model"
        )
        with listening(say):
            run_in_child(job)
        figures = {"training_minutes": (time.monotonic() - began) / 60} | test(folder / "model")
    for name, value in figures.items():
        print(f"{name:20} {value:.3f}")
    if options.json:
        print(json.dumps(figures))


def test(model: Path) -> dict[str, float]:
    """Figures of the network and of the watershed on images of neither training nor validation.

    Average precision is of everything from a score of 0.05 on, as in COCO; the other figures are at the usual
    threshold.
    """
    truths = [rods(seed) for seed in range(TRAINING + VALIDATION, TRAINING + VALIDATION + TEST)]
    network, watershed = load_model(model), load_model("watershed")
    size = float(np.median([truth.instances.diameter() for truth in truths]))
    began = time.monotonic()
    usual = compare(truths, [network.segment(truth.image) for truth in truths])
    figures = {"s_per_image": (time.monotonic() - began) / len(truths)}
    sure = SegmentConfig(probability=0.05)
    figures |= {name: usual[name] for name in ("precision", "recall", "f1")}
    all_scores = compare(truths, [network.segment(truth.image, sure) for truth in truths])
    figures |= {name: all_scores[name] for name in ("ap50", "ap", "box_ap50", "box_ap")}
    known = SegmentConfig(diameter=size, invert="yes")
    figures["watershed_f1"] = compare(truths, [watershed.segment(truth.image, known) for truth in truths])["f1"]
    return figures


def compare(truths: list[Sample], found: list[Instances]) -> Mapping[str, float]:
    """Figures pooled over images."""
    pairs = zip(truths, found, strict=True)
    figures = pool([evaluate(truth.instances, instances) for truth, instances in pairs]).figures()
    return {name: float(value) for name, value in figures.items() if value is not None}


def say(event: Event) -> None:
    """Print what a training tells."""
    if isinstance(event, Notice):
        print(event.message, flush=True)
    elif isinstance(event, Epoch):
        print(f"epoch {event.epoch} of {event.epochs}: {event.losses} {event.validation}", flush=True)


if __name__ == "__main__":
    main()
