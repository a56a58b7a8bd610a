"""Make the pictures of docs/nanowires.md: ``python tools/make_preset_pictures.py`` writes one for every preset.

Left image 0 of the preset as it is written, right with the outlines of its masks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from napari_nanoseg import generate, nanowire_preset
from napari_nanoseg.config.nanowire_presets import PRESETS
from napari_nanoseg.instances import Instances

COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#D55E00", "#CC79A7")
"""Okabe and Ito's, for neighbours to differ."""
GAP, QUALITY = 8, 88


def outlined(grey: NDArray[np.uint8], objects: Instances) -> Image.Image:
    """The image with an outline around every mask."""
    picture = Image.fromarray(grey).convert("RGB")
    draw = ImageDraw.Draw(picture)
    for number, polygon in enumerate(objects.to_polygons()):
        points = [(column, row) for row, column in polygon.tolist()]
        draw.line([*points, points[0]], fill=COLOURS[number % len(COLOURS)], width=2)
    return picture


def main() -> None:
    """Write docs/images/nanowires_NAME.jpg."""
    folder = Path(__file__).parents[1] / "docs" / "images"
    for name in PRESETS:
        sample = next(generate(nanowire_preset(name, dtype="uint8", height=400, width=400, seed=1)))
        grey = np.asarray(sample.image.data, np.uint8)
        both = Image.new("RGB", (2 * grey.shape[1] + GAP, grey.shape[0]), "white")
        both.paste(Image.fromarray(grey))
        both.paste(outlined(grey, sample.instances), (grey.shape[1] + GAP, 0))
        both.save(folder / f"nanowires_{name.replace(' ', '_')}.jpg", quality=QUALITY)


if __name__ == "__main__":
    main()
