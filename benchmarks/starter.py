"""A model of ``tools/train_starter.py`` on images of papers that it was never trained on.

Run ``python benchmarks/starter.py --model MODEL [--page FILE.png] [--quick] [--json]``. The images are the `held`
and `benchmark` parts of the tool's split; nothing was chosen on them. Each is segmented twice: with the particle
diameter told (that of its truth) and with the diameter that the model estimates itself.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_nanoseg import Instances, evaluate, load_model, read_image, read_labels
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.evaluation.error_map import overlay_figure
from napari_nanoseg.evaluation.matching import Evaluation, pool
from napari_nanoseg.samples import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from train_starter import EMPS, shapes_of, split_papers

THRESHOLDS = 0.5, 0.75
COLUMNS = 6


@dataclass(frozen=True, eq=False)
class Row:
    """One image.

    Parameters
    ----------
    name, shape : str
    image : Image
    truth, prediction : Instances
        Prediction without a diameter.
    told, untold : dict
        Evaluations by IoU threshold.
    """

    name: str
    shape: str
    image: Image
    truth: Instances
    prediction: Instances
    told: dict[float, Evaluation]
    untold: dict[float, Evaluation]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="name or folder; the tool makes one")
    parser.add_argument("--page", type=Path, help="write overlays of all images, best to worst, to this picture")
    parser.add_argument("--quick", action="store_true", help="every eighth image")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    if not EMPS.is_dir():
        print("skipped: the real data (../shared/data/emps) is not beside this checkout")
        return
    if options.model is None:
        print("skipped: no model is named; make one with tools/train_starter.py")
        return
    split = split_papers()
    names = (split["held"] + split["benchmark"])[:: 8 if options.quick else 1]
    shapes = shapes_of(names)
    model = load_model(options.model)
    rows = []
    for name in names:
        image = read_image(EMPS / "images" / f"{name}.png").loaded()
        truth = Instances.from_labels(read_labels(EMPS / "masks" / f"{name}.png"))
        told = model.segment(image, SegmentConfig(diameter=truth.diameter()))
        untold = model.segment(image)
        by = [{level: evaluate(truth, found, level) for level in THRESHOLDS} for found in (told, untold)]
        rows.append(Row(name, shapes[name], image, truth, untold, *by))
        print(f"{name} {shapes[name]:7} told {by[0][0.5].f1:.2f} untold {by[1][0.5].f1:.2f}", file=sys.stderr)
    held = [row for row in rows if row.name in set(split["held"])]
    groups = {"all held papers": held, "one-image papers": [row for row in rows if row not in held]}
    groups |= {shape: [row for row in held if row.shape == shape] for shape in sorted(set(shapes.values()))}
    table = {name: figures(members) for name, members in groups.items() if members}
    header = list(next(iter(table.values())))
    print(f"{'':18}" + "".join(f"{column:>14}" for column in header))
    for name, values in table.items():
        print(f"{name:18}" + "".join(f"{values[column]:14.3f}" for column in header))
    if options.page:
        write_page(sorted(rows, key=lambda row: -row.untold[0.5].f1), options.page)
    if options.json:
        print(json.dumps(table))


def figures(rows: Iterable[Row]) -> dict[str, float]:
    """Figures of a group: counts pooled over its images, and the mean F1 of the images."""
    rows = list(rows)
    values: dict[str, float] = {"images": len(rows), "particles": sum(len(row.truth) for row in rows)}
    for kind in ("told", "untold"):
        for level in THRESHOLDS:
            together = pool(getattr(row, kind)[level] for row in rows)
            values[f"{kind}_f1@{level}"] = together.f1
            if level == 0.5:
                values |= {f"{kind}_prec": together.precision, f"{kind}_recall": together.recall}
                values[f"{kind}_complete"] = together.recall_complete or 0.0
                values[f"{kind}_border"] = together.recall_border or 0.0
        values[f"{kind}_mean_f1"] = float(np.mean([getattr(row, kind)[0.5].f1 for row in rows]))
    return values


def write_page(rows: list[Row], path: Path) -> None:
    """All images with what was found, missed and invented, one page, best to worst."""
    from PIL import Image as Picture

    tiles = []
    for row in rows:
        figure = overlay_figure(row.image, row.truth, row.prediction, row.untold[0.5])
        figure.set_size_inches(3, 3)
        figure.savefig(path.with_suffix(".tile.png"), dpi=100)
        tiles.append(Picture.open(path.with_suffix(".tile.png")).convert("RGB").resize((300, 300)))
        path.with_suffix(".tile.png").unlink()
    page = Picture.new("RGB", (300 * COLUMNS, 300 * -(-len(tiles) // COLUMNS)), "white")
    for index, tile in enumerate(tiles):
        page.paste(tile, (300 * (index % COLUMNS), 300 * (index // COLUMNS)))
    page.save(path)


if __name__ == "__main__":
    main()
