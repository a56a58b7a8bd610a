"""COCO's average precision of 100 images x 100 particles, and of one image of 5,000, beside faster-coco-eval alone.

Both read the same two COCO files. Ours is what ``nanoseg evaluate`` does, with everything else that it reports but
sizes; theirs is the library as its own documentation calls it, once for masks and once for boxes. Prints seconds (best
of three) and ratios: numbers above 1 say how many times faster we are. The figures have to agree, or the benchmark
ends.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from napari_nanoseg import Instances, evaluate
from napari_nanoseg.config.evaluate import EvaluateConfig, EvaluateJob
from napari_nanoseg.evaluation.coco import BOX_FIGURES, MASK_FIGURES
from napari_nanoseg.evaluation.matching import pool
from napari_nanoseg.io.datasets import write_coco
from napari_nanoseg.jobs.evaluate import evaluate_job

AXES = 8, 200
"""Shortest and longest of the ellipses, px: some are large for COCO."""
Pairs = Sequence[tuple[Instances, Instances]]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a fifth of the images and particles")
    part = 5 if parser.parse_args().quick else 1
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        compare("100 x 100", [pair(rng, 512, 100) for _ in range(100 // part)], Path(folder))
        compare("1 x 5,000", [pair(rng, 4096, 5000 // part)], Path(folder))


def pair(rng: np.random.Generator, side: int, count: int) -> tuple[Instances, Instances]:
    """Ellipses that may overlap; a tenth is missed, a tenth invented, the others are moved a little."""
    truth = ellipses(rng, side, count)
    corners = truth.boxes[:, :2] + rng.integers(-3, 4, (len(truth), 2))
    moved = Instances.from_masks(truth.shape, np.hstack([corners, corners + np.diff(extents(truth), axis=1)[:, 0]]),
                                 truth.masks, rng.random(len(truth)))  # fmt: skip
    tenth = count // 10
    invented = ellipses(rng, side, tenth)
    kept = moved[tenth:]
    return truth, Instances.from_masks(
        truth.shape,
        np.concatenate([kept.boxes, invented.boxes]),
        (*kept.masks, *invented.masks),
        np.concatenate([kept.scores, rng.random(len(invented)) * 0.7]),
    )


def extents(instances: Instances) -> Any:
    """Boxes as pairs of corners."""
    return instances.boxes.reshape(-1, 2, 2)


def ellipses(rng: np.random.Generator, side: int, count: int) -> Instances:
    """Turned ellipses with log-uniform axes, cut at the border of the image."""
    boxes, masks = [], []
    for _ in range(count):
        centre, half = rng.uniform(0, side, 2), np.exp(rng.uniform(np.log(AXES[0]), np.log(AXES[1]), 2)) / 2
        reach = int(half.max()) + 1
        row, column = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        angle = rng.uniform(0, np.pi)
        along, across = np.cos(angle) * column + np.sin(angle) * row, np.cos(angle) * row - np.sin(angle) * column
        masks.append((along / half[0]) ** 2 + (across / half[1]) ** 2 < 1)
        start = centre.astype(int) - reach
        boxes.append([*start, *(start + 2 * reach + 1)])
    return Instances.from_masks((side, side), boxes, masks)


def compare(name: str, pairs: Pairs, folder: Path) -> None:
    """Write the pairs as COCO files, time both ways in turn and print the best of each."""
    files = folder / f"{name} truth.json", folder / f"{name} found.json"
    for path, side in zip(files, zip(*pairs, strict=True), strict=True):
        write_coco(path, {f"{number:03}": instances for number, instances in enumerate(side)})
    job = EvaluateJob(truth=files[0], prediction=files[1], config=EvaluateConfig(compare_sizes=False))
    most = max(len(found) for _, found in pairs)
    ours, theirs, matched, averaged = [], [], [], []
    for _ in range(3):
        seconds, figures = timed(lambda: evaluate_job(job).figures)
        ours.append(seconds)
        seconds, expected = timed(lambda: library(*files, most))
        theirs.append(seconds)
        seconds, evaluation = timed(lambda: pool([evaluate(*pair) for pair in pairs]))
        matched.append(seconds)
        averaged.append(timed(evaluation.figures)[0])
    for figure, value in expected.items():
        if figures[figure] is None or abs(float(figures[figure]) - value) > 1e-9:
            raise SystemExit(f"{figure} of {name}: {figures[figure]} is not {value}")
    shown = ", ".join(f"{figure} {figures[figure]:.3f}" for figure in (*MASK_FIGURES, *BOX_FIGURES[:3]))
    best, their_best = min(ours), min(theirs)
    print(f"{name}: {sum(len(truth) for truth, _ in pairs)} true particles; {shown}")
    print(
        f"  from files: {best:.2f} s, faster-coco-eval: {their_best:.2f} s, ratio {their_best / best:.2f}; "
        f"from instances in memory: {min(matched):.2f} s to match them, {min(averaged):.2f} s for the average precision"
    )


def library(truth: Path, found: Path, most: int) -> dict[str, float]:
    """What faster-coco-eval says about two COCO files; without box sizes, which it takes from boxes, not masks."""
    from faster_coco_eval import COCO, COCOeval_faster

    values: dict[str, float] = {}
    true = COCO(str(truth))
    rows = json.loads(found.read_text("utf-8"))["annotations"]
    for kind, names in (("bbox", BOX_FIGURES[:3]), ("segm", MASK_FIGURES)):
        if kind == "segm":
            for row in rows:
                del row["bbox"]  # or areas would be those of the boxes
        judge = COCOeval_faster(true, true.loadRes(rows), kind, print_function=lambda *_: None)
        judge.params.maxDets = [1, 10, most]
        judge.evaluate()
        judge.accumulate()
        precision = judge.eval["precision"][..., -1]
        numbers = [precision[:, :, :, 0], precision[0, :, :, 0], precision[5, :, :, 0]]
        numbers += [precision[..., size] for size in (1, 2, 3)]
        values |= {name: float(some[some > -1].mean()) for name, some in zip(names, numbers, strict=False)}
    return values


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds one call takes, and its result."""
    start = perf_counter()
    result = function()
    return perf_counter() - start, result


if __name__ == "__main__":
    main()
