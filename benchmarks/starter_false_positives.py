"""What the model that comes with the package finds where there is no particle; nothing is told.

Run ``python benchmarks/starter_false_positives.py [--model MODEL] [--quick] [--json]``. Ten images: five procedural
textures, none made as those of the training were, and five real ones of cracks in solar cells; and noise in three
sizes. Beside it, on the same images, the model `watershed`, which needs no training, at the same diameter, with the
polarity that gives fewer particles. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from starter import classical

from napari_nanoseg import load_model, read_image
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.samples import Image

CRACKS = Path(__file__).parents[2] / "shared" / "data" / "cracks_pv" / "validation" / "images"
SIDE, SEED = 400, 4711
NOISE_SIDES = 128, 256, 512


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="starter", help="name or folder")
    parser.add_argument("--quick", action="store_true", help="every fourth image")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    model = load_model(options.model)
    images = textures() | cracks() | {f"noise, {side} px": noise(side) for side in NOISE_SIDES}
    counts = {}
    print("\n| image | particles found (there are none) | diameter taken, px | watershed |")
    print("|---|---|---|---|")
    for name in list(images)[:: 4 if options.quick else 1]:
        image = Image(images[name], source=name)
        found = model.detect(image, SegmentConfig())
        diameter = found.config.diameter
        seen = diameter or model.card.working_diameter or 1.0
        classic = min(map(len, classical(image, seen)))
        counts[name] = {"network": len(found.instances()), "watershed": classic}
        taken = "none seen" if diameter is None else f"{diameter:.0f}"
        print(f"| {name} | {counts[name]['network']} | {taken} | {classic} |", flush=True)
    if options.json:
        print(json.dumps(counts))


def textures() -> dict[str, NDArray[np.uint8]]:
    """Fine noise on stains, smoothed noise, stripes, fibres, and a gradient."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(SEED)
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    stains = gaussian_filter(rng.standard_normal((SIDE, SIDE)), 60)
    fibres = np.zeros((SIDE, SIDE))
    for angle, phase in rng.uniform(0, 2 * np.pi, (40, 2)):
        across = np.cos(angle) * rows + np.sin(angle) * columns
        along = np.sin(angle) * rows - np.cos(angle) * columns
        fibres += np.exp(-(((across - 0.3 * np.sin(phase) - 0.02 * np.sin(9 * along + phase)) / 0.004) ** 2))
    return {
        "fine noise on stains": grey(rng.standard_normal((SIDE, SIDE)) + 2 * stains / stains.std()),
        "smoothed noise": grey(gaussian_filter(rng.standard_normal((SIDE, SIDE)), 1.5)),
        "stripes": grey(np.sin(2 * np.pi * 17 * (rows + 0.3 * columns)) + 0.3 * rng.standard_normal((SIDE, SIDE))),
        "fibres": grey(np.minimum(fibres, 1.5) + 0.2 * rng.standard_normal((SIDE, SIDE))),
        "gradient": grey(3 * rows + columns + 0.1 * rng.standard_normal((SIDE, SIDE))),
    }


def cracks() -> dict[str, NDArray[np.uint8]]:
    """Five real images without particles; none where the data is not beside this checkout."""
    if not CRACKS.is_dir():
        print("without the real images: ../shared/data/cracks_pv is not beside this checkout", file=sys.stderr)
    paths = sorted(CRACKS.glob("*.png"))[:40:8]
    return {f"cracks {path.stem}": read_image(path).loaded().data for path in paths}


def noise(side: int) -> NDArray[np.uint8]:
    """Nothing but noise."""
    return grey(np.random.default_rng((SEED, side)).standard_normal((side, side)))


def grey(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """As an 8-bit image."""
    low, high = np.percentile(values, (0.5, 99.5))
    scaled: NDArray[np.float64] = np.clip(np.rint((values - low) / (high - low) * 255), 0, 255)
    return scaled.astype(np.uint8)


if __name__ == "__main__":
    main()
