"""Make the pictures of docs/nanowires.md and docs/cracks.md: ``python tools/make_preset_pictures.py``.

One for every preset of nanowires: left image 0 of the preset as it is written, right with the outlines of its masks.
One of cathodes: slices of phantoms above their classes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from napari_nanoseg import cathode_preset, generate, nanowire_preset
from napari_nanoseg.config.nanowire_presets import PRESETS
from napari_nanoseg.instances import Instances

COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#D55E00", "#CC79A7")
"""Okabe and Ito's, for neighbours to differ."""
GAP, QUALITY = 8, 88
CLASS_COLOURS = np.array([(0, 0, 0), (230, 60, 50), (0, 0, 0), (85, 95, 130), (205, 205, 205)], np.uint8)
"""Of crack, void, carbon/binder and particle, by value."""


def outlined(grey: NDArray[np.uint8], objects: Instances) -> Image.Image:
    """The image with an outline around every mask."""
    picture = Image.fromarray(grey).convert("RGB")
    draw = ImageDraw.Draw(picture)
    for number, polygon in enumerate(objects.to_polygons()):
        points = [(column, row) for row, column in polygon.tolist()]
        draw.line([*points, points[0]], fill=COLOURS[number % len(COLOURS)], width=2)
    return picture


def cathodes() -> Image.Image:
    """Slices near both ends of a phantom with a profile, and of one for training, above their classes."""
    size = {"height": 280, "width": 280, "seed": 1}
    profiled = next(generate(cathode_preset("NMC cracked near the separator", **size)))
    training = next(generate(cathode_preset("NMC training", depth=8, **size)))
    picture = Image.new("RGB", (3 * 280 + 2 * GAP, 2 * 280 + GAP), "white")
    for number, (phantom, z) in enumerate(((profiled, 6), (profiled, 58), (training, 4))):
        left = number * (280 + GAP)
        picture.paste(Image.fromarray(phantom.image.data[z]), (left, 0))
        picture.paste(Image.fromarray(CLASS_COLOURS[phantom.classes[z]]), (left, 280 + GAP))
    return picture


def main() -> None:
    """Write docs/images/nanowires_NAME.jpg and docs/images/cathode_phantom.jpg."""
    folder = Path(__file__).parents[1] / "docs" / "images"
    cathodes().save(folder / "cathode_phantom.jpg", quality=QUALITY)
    for name in PRESETS:
        sample = next(generate(nanowire_preset(name, dtype="uint8", height=400, width=400, seed=1)))
        grey = np.asarray(sample.image.data, np.uint8)
        both = Image.new("RGB", (2 * grey.shape[1] + GAP, grey.shape[0]), "white")
        both.paste(Image.fromarray(grey))
        both.paste(outlined(grey, sample.instances), (grey.shape[1] + GAP, 0))
        both.save(folder / f"nanowires_{name.replace(' ', '_')}.jpg", quality=QUALITY)


if __name__ == "__main__":
    main()
