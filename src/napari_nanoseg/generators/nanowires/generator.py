"""The nanowire generator: scenes of physical objects, seen by one of several instruments."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.nanowires import Look, NanowireConfig
from napari_nanoseg.generators.nanowires.checks import check
from napari_nanoseg.generators.nanowires.forms import AGGLOMERATE, CLASSES, CUBE, ROD, SPHERE
from napari_nanoseg.generators.nanowires.looks import LOOKS
from napari_nanoseg.generators.nanowires.looks.view import View, stored
from napari_nanoseg.generators.nanowires.scene import Scene, draw_scene
from napari_nanoseg.generators.nanowires.trace import trace
from napari_nanoseg.generators.nanowires.truth import truth_of
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image, Sample

MIN_PIXELS = 8
"""Fewer pixels than this inside the image are no object."""
SCENE, LOOK = 0, 1
"""Streams of random numbers: looks share their scenes."""


class Nanowires:
    """A generator of annotated images of wires and particles.

    It can be used from several threads: image `index` depends on the config and `index` alone.

    Parameters
    ----------
    config : NanowireConfig

    Raises
    ------
    NanosegError
        When the objects are larger than the image or smaller than a pixel, or do not fit into the space.
    """

    classes = CLASSES
    """Names of the classes of the instances."""

    def __init__(self, config: NanowireConfig) -> None:
        self.config = config
        self.calibration = Calibration((config.pixel_size_nm, config.pixel_size_nm))
        self.notices = check(config)

    @staticmethod
    def name(index: int) -> str:
        """Name of image `index`, its file's stem."""
        return f"nanowires_{index:06d}"

    @property
    def in_coco(self) -> bool:
        """Whether masks can overlap or have classes, which only a COCO file keeps."""
        config = self.config
        others = any(most for _, most in (config.rods, config.spheres, config.cubes, config.agglomerates))
        return config.masks == "whole" or others or config.branched_fraction > 0

    def seen_by(self, look: Look) -> Nanowires:
        """Make the generator of the same objects with another instrument; nothing is tried again."""
        other = copy(self)
        other.config = self.config.model_copy(update={"look": look, "tone": ()})  # tones belong to one instrument
        return other

    def scene(self, index: int) -> Scene:
        """Draw the objects of image `index`."""
        return scene_of(self.config, index)

    def sample(self, index: int) -> Sample:
        """Make image `index` (0 or more).

        Returns
        -------
        Sample
            Its image has the shape, dtype and pixel size of the config; ``truth`` has a row for every instance (see
            :func:`napari_nanoseg.generators.nanowires.truth.truth_of`).
        """
        config, scene = self.config, self.scene(index)
        pixels, (boxes, corners, flat, hits, seen) = rendered(config, index, scene)
        visible = seen / np.maximum(hits, 1)
        keep, instances = self._instances(boxes, corners, flat, visible, scene)
        truth = truth_of(scene, keep, visible[keep], config.pixel_size_nm)
        name = self.name(index)
        return Sample(Image(pixels, "YX", self.calibration, name), instances, None, name, truth)

    def _instances(
        self,
        boxes: NDArray[np.int64],
        corners: NDArray[np.int64],
        flat: NDArray[np.bool_],
        visible: NDArray[np.float64],
        scene: Scene,
    ) -> tuple[NDArray[np.int64], Instances]:
        """Which objects are annotated, and their masks."""
        sizes = corners[:, 2:] - corners[:, :2]
        ends = sizes.prod(1).cumsum()
        keep, masks = [], []
        for number, (box, corner, size, end) in enumerate(zip(boxes, corners, sizes, ends, strict=True)):
            if self.config.masks == "visible" and visible[number] < self.config.min_visible:
                continue
            crop = flat[end - size[0] * size[1] : end].reshape(size)
            crop = crop[box[0] - corner[0] : box[2] - corner[0], box[1] - corner[1] : box[3] - corner[1]]
            if np.count_nonzero(crop) >= MIN_PIXELS:
                keep.append(number)
                masks.append(crop.copy())
        kept = np.array(keep, np.int64)
        return kept, Instances(
            (self.config.height, self.config.width),
            boxes[kept],
            tuple(masks),
            np.ones(len(kept), np.float32),
            np.array([scene.objects[number].form.kind for number in keep], np.int32),
            np.arange(1, len(kept) + 1, dtype=np.int32),
        )


def scene_of(config: NanowireConfig, index: int) -> Scene:
    """Draw the objects of image `index`."""
    return draw_scene(config, np.random.default_rng([config.seed, index, SCENE]))


def rendered(config: NanowireConfig, index: int, scene: Scene) -> tuple[NDArray[Any], tuple[NDArray[Any], ...]]:
    """See the objects of image `index`.

    Returns
    -------
    pixels : array, shape (height, width)
        Of the config's type.
    objects : tuple of arrays
        Boxes, corners, masks, rays and visible rays of the objects (see
        :func:`napari_nanoseg.generators.nanowires.trace.trace`).
    """
    look = LOOKS[config.look]
    rng = np.random.default_rng([config.seed, index, LOOK])
    weights = _absorptions(config, scene, rng)
    total, tops, owners, facing, *objects = trace(
        scene.solids, scene.starts, config.height, config.width, config.rays, look.weights(weights, config, rng),
        config.masks == "visible", look.surface,
    )  # fmt: skip
    view = View(total * config.pixel_size_nm / 1000, tops, owners, facing, scene)
    return stored(look.render(view, config, rng), config), tuple(objects)


def _absorptions(config: NanowireConfig, scene: Scene, rng: np.random.Generator) -> NDArray[np.float64]:
    """Absorption (1/µm) of each object."""
    by_kind = np.array([rng.uniform(*config.wire_absorption)] * len(CLASSES))
    for kind, limits in {
        ROD: config.rod_absorption,
        SPHERE: config.sphere_absorption,
        CUBE: config.cube_absorption,
        AGGLOMERATE: config.agglomerate_absorption,
    }.items():
        by_kind[kind] = rng.uniform(*limits)
    return np.array([by_kind[one.form.kind] for one in scene.objects])
