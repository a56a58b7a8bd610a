"""Train a model for particles of any size, shape and contrast on the EMPS data set.

Run ``python tools/train_starter.py --out FOLDER``. The same command goes on with a training that was interrupted.
FOLDER gets the rescaled data (``plain``, ``train``, ``stop``), the split (``split.json``), the models of the first two
stages (``first``, ``second``) and of the last (``model``), which ``nanoseg models import FOLDER/model --name general``
puts into the library. ``--ship`` then makes it the model that comes with the package; the figures in its README.md are
those of ``benchmarks/starter.py``.

Papers, not images, are split: `held` papers are never trained on, among them all of the one-image benchmark; the
figures of the model are measured on them (``benchmarks/starter.py``). `stop` papers choose the best weights and the
thresholds. All images are rescaled so that the median complete particle has the working diameter.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_nanoseg import read_image, read_labels
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.train import SyntheticPatchConfig, TrainConfig, TrainJob
from napari_nanoseg.events import Epoch, Event, Notice, listening
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.atomic import write_text
from napari_nanoseg.io.datasets import write_sample
from napari_nanoseg.io.model_cards import CARD, CHECKPOINT, RUN, WEIGHTS, read_card
from napari_nanoseg.io.model_library import starter_folder
from napari_nanoseg.jobs.child_process import run_in_child
from napari_nanoseg.samples import Image, Sample
from napari_nanoseg.scaling import ScaledView, scaled_labels

EMPS = Path(__file__).parents[2] / "shared" / "data" / "emps"
WORKING_DIAMETER = 32.0
LARGEST_FACTOR = 2.5
"""Particles of fewer than 13 px are not blown up to the working diameter: there is nothing more to see in them."""
HELD_IMAGES, STOP_IMAGES = 60, 20
"""Images at least, besides those of the one-image benchmark."""
SEED = 20

ELONGATED = 1.8
"""Median aspect ratio from which an image counts twice: a fifth of the images, and the hardest."""
TEXTURES = 20
"""Images of nothing but texture, so that the network learns what is no particle."""

FIRST = TrainConfig(
    engine=StarDistConfig(unet_n_filter_base=24),
    synthetic=SyntheticPatchConfig(coverage=(0.1, 0.9), scale=(0.5, 1.8)),
    synthetic_per_real=1,
    working_diameter=None,
    diameter=WORKING_DIAMETER,
    batch_size=8,
    learning_rate=2e-3,
    steps_per_epoch=200,
    scale=(0.5, 1.8),
    invert=0.5,
    intensity=0.7,
    noise=0.08,
    workers=1,
    seed=SEED,
    steps=4500,
)
SECOND = FIRST.model_copy(
    update={
        "steps": 4800,
        "patch_size": 160,
        "batch_size": 6,
        "learning_rate": 1.5e-3,
        "stretch": 2.5,
        "anchor": 0.0,
        "seed": 21,
    }
)
"""Larger patches, in which a whole rod has room, and particles that are stretched to rods."""
THIRD = SECOND.model_copy(update={"steps": 6000, "learning_rate": 1e-3, "stretch": 3.0, "seed": 22})
STAGES = {"first": ("plain", FIRST), "second": ("train", SECOND), "model": ("train", THIRD)}
"""Data set and settings by model. One stage would do; each goes on from what the one before was found to lack."""


def main() -> None:
    """Prepare the data once, then train or go on training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ship", action="store_true", help="put the model into the package")
    options = parser.parse_args()
    if not EMPS.is_dir():
        sys.exit(f"The EMPS data set is not at {EMPS}; put it there.")
    if not (options.out / "split.json").is_file():
        prepare(options.out)
    before: Path | None = None
    for name, (dataset, config) in STAGES.items():
        model = options.out / name
        if not (model / RUN).is_file():
            train(config, options.out / dataset, model, before)
        before = model
    make_general(options.out / "model")
    if options.ship:
        ship(options.out / "model")


def prepare(out: Path) -> None:
    """Write the rescaled images of the split and the textures; the split last, as a sign that all is there."""
    split = split_papers()
    aspects = aspect_ratios()
    for name in split["stop"]:
        write_sample(out / "stop", at_working_scale(name))
    for name in split["train"]:
        sample = at_working_scale(name)
        write_sample(out / "plain", sample)
        write_sample(out / "train", sample)
        if aspects[name] > ELONGATED:
            write_sample(out / "train", replace(sample, name=f"{name}-again"))
    for number in range(TEXTURES):
        write_sample(out / "train", texture(np.random.default_rng((SEED, number)), f"texture-{number}"))
    write_text(out / "split.json", json.dumps(split, indent=1))


def train(config: TrainConfig, dataset: Path, model: Path, before: Path | None) -> None:
    """Run one stage, from where it was interrupted."""
    job = TrainJob(
        config=config,
        dataset=dataset,
        validation=model.parent / "stop",
        out=model,
        start_from=before,
        resume=(model / CHECKPOINT).is_file(),
    )
    with listening(say):
        run_in_child(job)


def say(event: Event) -> None:
    """Print what a training tells."""
    if isinstance(event, Notice | Epoch):
        print(event, flush=True)


def make_general(model: Path) -> None:
    """Say in the card that the model is for particles of any size and, as half its patches were inverted, contrast."""
    general = {
        "working_diameter": WORKING_DIAMETER,
        "training_diameter": None,
        "training_pixel_size_nm": None,
        "invert": "no",
    }
    write_text(model / CARD, read_card(model).model_copy(update=general).to_yaml())


def ship(model: Path) -> None:
    """Put card and weights into the package, without the paths of this machine."""
    card, target = read_card(model), starter_folder()
    record = card.provenance
    images = {part: len(names) for part, names in json.loads((model.parent / "split.json").read_text()).items()}
    kept = {name: record[name] for name in ("versions", "seed", "device", "finished", "figures")}
    data = f"{images['train']} micrographs of EMPS, stopped by {images['stop']} of other papers"
    kept |= {"config": {"dataset": data, "by": "tools/train_starter.py"}, "inputs": list(record["inputs"].values())}
    target.mkdir(exist_ok=True)
    shutil.copy(model / WEIGHTS, target)
    write_text(target / CARD, card.model_copy(update={"provenance": kept}).to_yaml())


def split_papers() -> dict[str, list[str]]:
    """Names of the images to train on, to stop by, and held back, by source paper."""
    with (EMPS / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (EMPS / "one_image_groups.csv").open() as file:
        benchmark = {row["name"] for row in csv.DictReader(file)}
    papers: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: row["name"]):
        papers.setdefault(row["doi"], []).append(row["name"])
    grouped = [doi for doi, names in papers.items() if benchmark & set(names)]
    others = sorted(set(papers) - set(grouped))
    np.random.default_rng(SEED).shuffle(others)
    split: dict[str, list[str]] = {"held": [], "stop": [], "train": []}
    for doi in others:
        full = {"held": len(split["held"]) >= HELD_IMAGES, "stop": len(split["stop"]) >= STOP_IMAGES, "train": False}
        split[next(part for part, is_full in full.items() if not is_full)].extend(papers[doi])
    split["benchmark"] = [name for doi in grouped for name in papers[doi]]
    return split


def at_working_scale(name: str) -> Sample:
    """An annotated image of the data set, its particles of the working diameter."""
    pixels = read_image(EMPS / "images" / f"{name}.png").loaded().data
    labels = np.asarray(read_labels(EMPS / "masks" / f"{name}.png"))
    factor = min(LARGEST_FACTOR, WORKING_DIAMETER / Instances.from_labels(labels).diameter())
    seen = np.clip(np.rint(ScaledView(pixels, factor).whole()), 0, 255).astype(np.uint8)
    instances = Instances.from_labels(scaled_labels(labels, factor))
    return Sample(Image(seen, "YX", source=name), instances, None, name)


def texture(rng: np.random.Generator, name: str) -> Sample:
    """Filtered noise on an uneven ground, sometimes with a direction: no particle to be seen.

    Structures are smaller than a third or larger than five times the working diameter: round blobs of about its size
    cannot be told from blurred particles.
    """
    from scipy.ndimage import gaussian_filter

    side = 256
    fine = rng.standard_normal((side, side))
    if rng.random() < 0.7:
        width = rng.uniform(0.5, WORKING_DIAMETER / 12)
        fine = gaussian_filter(fine, (width, width * rng.choice([1, 1, 6])))
    coarse = gaussian_filter(rng.standard_normal((side, side)), rng.uniform(1.5, 3) * WORKING_DIAMETER, mode="wrap")
    pixels = fine / fine.std() + rng.uniform(0, 3) * coarse / coarse.std()
    low, high = np.percentile(pixels, (0.5, 99.5))
    seen = np.clip(np.rint((pixels - low) / (high - low) * 255), 0, 255).astype(np.uint8)
    return Sample(Image(seen, "YX", source=name), Instances.from_labels(np.zeros((side, side), np.int32)), None, name)


def aspect_ratios() -> dict[str, float]:
    """Median aspect ratio of each image's particles, as the data set's index has it."""
    with (EMPS / "index.csv").open() as file:
        return {row["name"]: float(row["median_aspect_ratio"]) for row in csv.DictReader(file)}


def shapes_of(names: Sequence[str]) -> dict[str, str]:
    """Shape of each image's particles, as the data set's index has it."""
    with (EMPS / "index.csv").open() as file:
        return {row["name"]: row["shape"] for row in csv.DictReader(file) if row["name"] in set(names)}


if __name__ == "__main__":
    main()
