"""What cannot be made is refused before the first image, in a sentence that says what would do."""

from __future__ import annotations

import math

import numpy as np

from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.generators.nanowires.scene import draw_scene

TRIAL = 2
"""Stream of random numbers of the scene that is tried."""
ENOUGH = 0.9
"""A space that takes this fraction of the objects is not too small."""


def check(config: NanowireConfig) -> list[str]:
    """Refuse impossible sizes and densities; give what the user should know otherwise.

    Raises
    ------
    NanosegError
        When objects are smaller than a pixel or larger than the image, when there are none, or when they do not fit
        into the space.
    """
    counts = (config.wires, config.rods, config.spheres, config.cubes, config.agglomerates)
    if not any(most for _, most in counts):
        raise NanosegError("There is nothing to draw: all numbers of objects are 0; set the number of wires.")
    if config.wires[1]:
        length = config.length_nm if config.aspect_ratio is None else config.aspect_ratio * config.width_nm
        _check_size("wires", length, config.width_nm, config)
        if config.aspect_ratio is None and length < config.width_nm:
            raise NanosegError(
                f"The wires are {config.width_nm:g} nm wide but only {length:g} nm long; swap length and width, or "
                "give both in nm."
            )
    if any(most for _, most in counts[1:]):
        _check_size("particles", config.particle_size_nm, config.particle_size_nm, config)
    return _check_density(config)


def _check_size(what: str, length: float, width: float, config: NanowireConfig) -> None:
    pixel, sides = config.pixel_size_nm, (config.height, config.width)
    if width < pixel:
        raise NanosegError(
            f"The {what} have a width of {width:g} nm, less than one pixel of {pixel:g} nm; all lengths are in nm, so "
            "give larger ones or a smaller pixel size."
        )
    largest = math.hypot(*sides) if config.border else float(max(sides))
    if length > largest * pixel:
        raise NanosegError(
            f"The {what} have a length of {length / pixel:.0f} px but the images only {sides[0]} x {sides[1]} px; make "
            "the images or the pixels larger or the objects shorter (lengths are in nm)."
        )
    thinnest = width * (min(config.thickness_ratio[0], config.lath_ratio[0]) if what == "wires" else 1)
    if config.deposition != "random" and thinnest > config.depth * pixel:
        raise NanosegError(
            f"The {what} are {thinnest / pixel:.0f} px thick but the space only {config.depth} px deep; make it deeper."
        )


def _check_density(config: NanowireConfig) -> list[str]:
    """Try the largest numbers of objects; branches are left out, as they find room on their wires."""
    rng = np.random.default_rng([config.seed, 0, TRIAL])
    scene = draw_scene(config.model_copy(update={"branched_fraction": 0.0}), rng, most=True)
    fit = len(scene.objects)
    if config.deposition == "random":
        where = "the image when it may not cut them"
        space, filled = config.height * config.width * config.depth, sum(one.form.volume for one in scene.objects)
        if filled > space:
            raise NanosegError(
                f"{fit} objects have more volume than the space; {int(fit * space / filled)} would fill it completely: "
                "take fewer or a larger depth."
            )
    elif config.deposition == "settled":
        where = f"a depth of {config.depth} px when they may not go through each other"
    else:
        where = f"{config.layers} layer{'s' if config.layers > 1 else ''} when they may not go through each other"
    if fit < ENOUGH * scene.wanted:
        raise NanosegError(f"Only {fit} of {scene.wanted} objects fit into {where}; take fewer or make more room.")
    return [f"About {fit} of {scene.wanted} objects fit into {where}."] if fit < scene.wanted else []
