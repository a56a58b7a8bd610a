"""The model that comes with the package, on images of papers that it was never trained on.

Run ``python benchmarks/starter.py [--model MODEL] [--part held] [--page FILE.png] [--quick] [--json]``. The images are
those of the `held` and `benchmark` parts of the split in ``tools/train_starter.py``; nothing was chosen on them. Each
is segmented with the particle diameter told (that of its truth) and with the one that the model estimates. Beside it,
in the same run, the model `watershed`, which needs no training, with the polarity that suits the truth better, which no
user could know. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg import Instances, evaluate, load_model, read_image, read_labels
from napari_nanoseg.config.segment import LEAST_PROBABILITY, SegmentConfig
from napari_nanoseg.engines.base import Model
from napari_nanoseg.evaluation.coco import average_precision
from napari_nanoseg.evaluation.error_map import overlay_figure
from napari_nanoseg.evaluation.matching import Evaluation
from napari_nanoseg.samples import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from train_starter import EMPS, shapes_of, split_papers

LEVELS = 0.5, 0.75
WITHIN = 1.5, 2.0
WAYS = "told", "estimated"
SHAPES = "sphere", "cube", "rod", "other"
COLUMNS = 6


@dataclass(frozen=True, eq=False)
class Result:
    """What was found in one image.

    Parameters
    ----------
    particles : Instances
    evaluations : dict
        By IoU threshold.
    candidates : Instances
        With the improbable ones, for the average precision.
    diameter : float
        At which it was segmented, px.
    """

    particles: Instances
    evaluations: dict[float, Evaluation]
    candidates: Instances
    diameter: float


@dataclass(frozen=True, eq=False)
class Row:
    """One image.

    Parameters
    ----------
    name, shape : str
    image : Image
    truth : Instances
    results, classical : dict
        With the diameter told and estimated.
    """

    name: str
    shape: str
    image: Image
    truth: Instances
    results: dict[str, Result]
    classical: dict[str, Result]

    @property
    def ratio(self) -> float:
        """Estimated to true diameter."""
        return float(self.results["estimated"].diameter / self.truth.diameter())


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="starter", help="name or folder")
    parser.add_argument("--part", choices=["held", "stop"], default="held", help="stop: to improve the code by")
    parser.add_argument("--page", type=Path, help="write overlays of all images, best to worst, to this picture")
    parser.add_argument("--quick", action="store_true", help="every eighth image")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    if not EMPS.is_dir():
        print("skipped: the real data (../shared/data/emps) is not beside this checkout")
        return
    split = split_papers()
    names = split["stop"] if options.part == "stop" else split["held"] + split["benchmark"]
    names = names[:: 8 if options.quick else 1]
    shapes = shapes_of(names)
    model = load_model(options.model)
    rows = []
    for name in names:
        rows.append(row := examined(model, name, shapes[name]))
        f1 = [row.results[way].evaluations[0.5].f1 for way in WAYS]
        print(f"{name} {row.shape:7} F1 {f1[0]:.2f} {f1[1]:.2f} diameter x {row.ratio:.2f}", file=sys.stderr)
    table = {name: figures(members) for name, members in groups(rows, set(split["benchmark"])).items()}
    write_tables(table)
    if options.page:
        write_page(sorted(rows, key=lambda row: -row.results["estimated"].evaluations[0.5].f1), options.page)
    if options.json:
        print(json.dumps(table))


def examined(model: Model, name: str, shape: str) -> Row:
    """One image of the data set, segmented in all ways."""
    image = read_image(EMPS / "images" / f"{name}.png").loaded()
    truth = read_labels(EMPS / "masks" / f"{name}.png")
    given = {"told": truth.diameter(), "estimated": None}
    results = {way: found_by(model, image, truth, diameter) for way, diameter in given.items()}
    others = {}
    for way, result in results.items():
        sides = classical(image, result.diameter)
        both = [Result(found, evaluations(truth, found), found, result.diameter) for found in sides]
        others[way] = max(both, key=lambda one: one.evaluations[0.5].f1)
    return Row(name, shape, image, truth, results, others)


def found_by(model: Model, image: Image, truth: Instances, diameter: float | None) -> Result:
    """What a model finds: at its own threshold and, for the average precision, above a low one."""
    found = model.detect(image, SegmentConfig(diameter=diameter), floor=LEAST_PROBABILITY)
    particles = found.instances()
    candidates = found.instances(found.config.model_copy(update={"probability": found.floor}))
    seen = found.config.diameter or model.card.working_diameter or truth.diameter()
    return Result(particles, evaluations(truth, particles), candidates, seen)


def evaluations(truth: Instances, found: Instances) -> dict[float, Evaluation]:
    """By IoU threshold."""
    return {level: evaluate(truth, found, level) for level in LEVELS}


def classical(image: Image, diameter: float) -> list[Instances]:
    """What the model without a network finds, for bright and for dark particles of a diameter, px."""
    model = load_model("watershed")
    return [model.segment(image, SegmentConfig(diameter=diameter, invert=invert)) for invert in ("no", "yes")]


def groups(rows: Sequence[Row], of_benchmark: set[str]) -> dict[str, list[Row]]:
    """Images by what a reader wants to know; none of them empty."""
    others = [row for row in rows if row.name not in of_benchmark]
    found = {"all": list(rows), "one-image papers": [row for row in rows if row.name in of_benchmark]}
    found["other papers"] = others
    found |= {f"of these: {shape}": [row for row in others if row.shape == shape] for shape in SHAPES}
    return {name: members for name, members in found.items() if members}


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """All figures of a group of images, for each way and, under ``classical``, for the classical way."""
    ratios = np.array([row.ratio for row in rows])
    off = np.maximum(ratios, 1 / ratios)
    return {
        "images": len(rows),
        "particles": sum(len(row.truth) for row in rows),
        **{way: one_way([(row.truth, row.results[way]) for row in rows]) for way in WAYS},
        "classical": {way: one_way([(row.truth, row.classical[way]) for row in rows]) for way in WAYS},
        "diameter": {
            "median_ratio": float(np.median(ratios)),
            **{f"within_{limit:g}": float(np.mean(off <= limit)) for limit in WITHIN},
        },
    }


def one_way(pairs: Sequence[tuple[Instances, Result]]) -> dict[str, Any]:
    """Precision, recall and F1 pooled and as the mean of the images; of complete and of border particles; AP."""
    values: dict[str, Any] = {}
    for level in LEVELS:
        at = [(truth, result.particles, result.evaluations[level]) for truth, result in pairs]
        each = [rates(*counts(*one, everything)) for one in at]
        means = {key: float(np.mean([one[key] for one in each])) for key in each[0]}
        values[f"{level}"] = {
            "pooled": pooled(at, everything),
            "mean_of_images": means,
            "complete": pooled(at, lambda particles: ~particles.touches_border),
            "border": pooled(at, lambda particles: particles.touches_border),
        }
    pictures = [evaluate(truth, result.candidates).candidates for truth, result in pairs]
    precision = average_precision([candidates for picture in pictures for candidates in picture])
    values |= {name: precision[name] for name in ("ap", "ap50", "ap75")}
    alone = [average_precision(picture)["ap"] for picture in pictures]
    values["ap_mean_of_images"] = float(np.mean(np.array(alone, float)))
    return values


Choice = Callable[[Instances], NDArray[np.bool_]]


def everything(particles: Instances) -> NDArray[np.bool_]:
    """All particles."""
    return np.ones(len(particles), bool)


def counts(truth: Instances, found: Instances, evaluation: Evaluation, choice: Choice) -> tuple[int, int, int]:
    """Found, invented and missed among the chosen particles; a pair is what its true particle is."""
    chosen = truth.ids[choice(truth)]
    right = int(np.isin(evaluation.truth_ids, chosen).sum())
    invented = choice(found) & ~np.isin(found.ids, evaluation.prediction_ids)
    return right, int(invented.sum()), len(chosen) - right


def pooled(at: Iterable[tuple[Instances, Instances, Evaluation]], choice: Choice) -> dict[str, float]:
    """Rates of the added counts of several images."""
    right, invented, missed = np.sum([counts(*one, choice) for one in at], axis=0).tolist()
    return rates(right, invented, missed)


def rates(right: int, invented: int, missed: int) -> dict[str, float]:
    """Precision, recall and F1; 0 where there is nothing to divide by."""
    return {
        "precision": right / max(1, right + invented),
        "recall": right / max(1, right + missed),
        "f1": 2 * right / max(1, 2 * right + invented + missed),
    }


def write_tables(table: dict[str, dict[str, Any]]) -> None:
    """Print the figures as Markdown tables."""
    print("\nPrecision / recall / F1, pooled over the particles of a row's images; AP: mean of IoU 0.5 to 0.95.\n")
    heads = ["images", "number", "particles", "diameter", "IoU 0.5", "IoU 0.75", "AP"]
    heads += ["mean F1 of images, 0.5", "0.75", "mean AP of images"]
    print_head(heads)
    for name, values in table.items():
        for way in WAYS:
            one = values[way]
            means = [number(one[f"{level}"]["mean_of_images"]["f1"]) for level in LEVELS]
            cells = [three(one[f"{level}"]["pooled"]) for level in LEVELS] + [number(one["ap"]), *means]
            print_line([name, values["images"], values["particles"], way, *cells, number(one["ap_mean_of_images"])])
    print("\nParticles that are whole in the image, and those that its border cuts.\n")
    print_head(["images", "diameter", *(f"{kind}, IoU {level}" for kind in ("complete", "border") for level in LEVELS)])
    for name, values in table.items():
        for way in WAYS:
            cells = [three(values[way][f"{level}"][kind]) for kind in ("complete", "border") for level in LEVELS]
            print_line([name, way, *cells])
    print("\nEstimated to true diameter of the images.\n")
    print_head(["images", "median ratio", *(f"within a factor {limit:g}" for limit in WITHIN)])
    for name, values in table.items():
        shares = [f"{values['diameter'][f'within_{limit:g}']:.0%}" for limit in WITHIN]
        print_line([name, f"{values['diameter']['median_ratio']:.2f}", *shares])
    print("\nF1 beside the model watershed, which needs no training and is given the same diameters.\n")
    heads = [f"{head}, IoU {level}" for level in LEVELS for head in ("F1", "watershed", "ratio")]
    print_head(["images", "diameter", *heads])
    for name, values in table.items():
        for way in WAYS:
            cells = []
            for level in LEVELS:
                both = values[way], values["classical"][way]
                ours, theirs = (one[f"{level}"]["pooled"]["f1"] for one in both)
                cells += [number(ours), number(theirs), f"{ours / theirs:.2f}" if theirs else "none found"]
            print_line([name, way, *cells])


def print_head(cells: Sequence[str]) -> None:
    """First two lines of a Markdown table."""
    print_line(cells)
    print("|" + "---|" * len(cells))


def print_line(cells: Iterable[Any]) -> None:
    """One line of a Markdown table."""
    print(f"| {' | '.join(map(str, cells))} |")


def number(value: float) -> str:
    """A rate to three digits."""
    return f"{value:.3f}"


def three(values: dict[str, float]) -> str:
    """Precision, recall and F1."""
    return " / ".join(number(values[key]) for key in ("precision", "recall", "f1"))


def write_page(rows: list[Row], path: Path) -> None:
    """All images with what was found, missed and invented, one page, best to worst."""
    from PIL import Image as Picture

    tiles = []
    for row in rows:
        result = row.results["estimated"]
        figure = overlay_figure(row.image, row.truth, result.particles, result.evaluations[0.5])
        figure.set_size_inches(6, 6)  # the legend has room then
        figure.savefig(path.with_suffix(".tile.png"), dpi=50)
        tiles.append(Picture.open(path.with_suffix(".tile.png")).convert("RGB").resize((300, 300)))
        path.with_suffix(".tile.png").unlink()
    page = Picture.new("RGB", (300 * COLUMNS, 300 * -(-len(tiles) // COLUMNS)), "white")
    for index, tile in enumerate(tiles):
        page.paste(tile, (300 * (index % COLUMNS), 300 * (index // COLUMNS)))
    page.save(path)


if __name__ == "__main__":
    main()
