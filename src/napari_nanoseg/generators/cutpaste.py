"""The cut-and-paste generator: annotated particles on clean backgrounds, randomised, with exact masks.

After UTILE-Gen (Colliard-Granero et al., ACS Nanosci. Au 2023) and Cut, Paste and Learn (Dwibedi et al., ICCV 2017).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.generate import CutPasteConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.generators import kernels
from napari_nanoseg.generators.appearance import Appearance
from napari_nanoseg.generators.backgrounds import cut_background
from napari_nanoseg.generators.preparation import Preparation
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image, Sample

BLENDS = {"hard": kernels.HARD, "feathered": kernels.FEATHERED, "poisson": kernels.POISSON}
PARTLY_ANNOTATED_COVERAGE = 0.5
"""Stands for the coverage of sources of which not every particle is annotated."""
FEW = 4
"""A pool of so few particles is worth a notice."""
FULL = 0.95
"""No image is covered more than this, whatever the range of coverage."""


class CutPaste:
    """A generator of annotated images, prepared once from its sources.

    It can be pickled and used from several threads or processes: image `index` depends on the config, the sources and
    `index` alone.

    Parameters
    ----------
    config : CutPasteConfig
    sources : sequence of Sample, or Preparation
        Annotated micrographs (Y, X) or (Y, X, C); colour becomes luminance. Those with another pixel size are rescaled
        to that of the first. A preparation of them makes the same images, keeps what it has made for the next generator
        and makes backgrounds when they are needed: for previews, in one thread.

    Raises
    ------
    NanosegError
        When there is no source or no particle that may be used, when a partly annotated source has hardly any
        clean background, when the particles do not fit into the images, or when a size in nm is asked for and the
        pixel size is not known.
    """

    classes: tuple[str, ...] = ()
    """All particles are of one class."""

    def __init__(self, config: CutPasteConfig, sources: Sequence[Sample] | Preparation):
        prepared = sources if isinstance(sources, Preparation) else Preparation(sources)
        self.config, self.calibration = config, prepared.calibration
        self.pool = prepared.pool(config)
        self.backgrounds = prepared.backgrounds(config)
        self._coverage = PARTLY_ANNOTATED_COVERAGE if prepared.coverage is None else prepared.coverage
        self._median_px = (
            config.size_median_nm / self.calibration.nm_per_pixel
            if config.size_distribution == "lognormal" and config.size_median_nm is not None
            else None
        )
        self._reach = max(kernels.EDGE_REACH, config.feather[1])
        self._check_sizes()
        if prepared is not sources:
            self.backgrounds.complete()

    @property
    def notices(self) -> list[str]:
        """What the user should know about the sources, in sentences."""
        if len(self.pool) > FEW:
            return []
        particles = "one particle" if len(self.pool) == 1 else f"{len(self.pool)} particles"
        return [f"Only {particles} can be cut from the sources; more outlined particles make better training images."]

    @property
    def in_coco(self) -> bool:
        """Whether masks can overlap, which only a COCO file keeps."""
        return self.config.contrast_mode == "transmission"

    @staticmethod
    def name(index: int) -> str:
        """Name of image `index`, its file's stem."""
        return f"cutpaste_{index:06d}"

    def sample(self, index: int) -> Sample:
        """Make image `index` (0 or more).

        Returns
        -------
        Sample
            Its image has the shape and dtype of the config, the sources' calibration, and `known` None. Masks show
            what is visible of each particle in occlusion, the whole particle in transmission.
        """
        config = self.config
        rng = np.random.default_rng([config.seed, index])
        kind = config.backgrounds[rng.integers(len(config.backgrounds))]
        canvas = self.backgrounds.canvas(kind, int(rng.integers(self.backgrounds.each)))
        canvas = cut_background(canvas, (config.height, config.width), rng)
        appearance = Appearance.draw(config, rng)
        instances = self._paste(canvas, rng)
        pixels = appearance.apply(canvas, config.dtype, rng)
        name = self.name(index)
        return Sample(Image(pixels, "YX", self.calibration, name), instances, None, name)

    def _paste(self, canvas: NDArray[np.float32], rng: np.random.Generator) -> Instances:
        config = self.config
        most, target = self._how_many(canvas.size, rng)
        transmission = config.contrast_mode == "transmission"
        shaded = rng.random() < config.shadow_probability and not transmission
        shadow = rng.uniform(0, config.shadow) * shaded
        draws = self._draw(most, target, shadow > 0, rng)
        limit = rng.choice(config.max_overlap) if config.overlap in ("free", "clustered") else 0.0
        labels, corners, sizes, areas, masks = kernels.compose(
            canvas,
            self.pool.textures,
            self.pool.distances,
            self.pool.offsets,
            self.pool.shapes,
            self.pool.backgrounds,
            draws,
            float(limit),
            1.5 if config.overlap == "none" else 0.0,
            config.clustered_fraction if config.overlap in ("touching", "clustered") else 0.0,
            config.border_particles,
            most,
            float(target),
            shadow,
            self._reach,
            config.poisson_length,
            transmission,
            rng.integers(1, 2**63, 1, np.uint64),
        )
        if transmission:
            return _whole(canvas.shape, corners, sizes, masks)
        return _visible(labels, areas, config.min_visible)

    def _how_many(self, pixels: int, rng: np.random.Generator) -> tuple[int, float]:
        """Draw the number of particles at most, and the covered area (px) at which to stop."""
        config = self.config
        if config.particles_per_image is not None:
            lowest, highest = config.particles_per_image
            return int(rng.integers(lowest, highest + 1)), np.inf
        share = rng.uniform(*(config.coverage or (0, 0))) * (self._coverage if config.coverage_of_source else 1)
        target = min(share, FULL) * pixels
        return int(np.ceil(2 * target / self._mean_area())) + 8, target

    def _mean_area(self) -> float:
        if self._median_px is not None:
            spread = np.log(self.config.size_geometric_sd)
            return float(np.pi / 4 * self._median_px**2 * np.exp(2 * spread**2))
        lowest, highest = self.config.scale
        return float(self.pool.areas.mean() * (lowest**2 + lowest * highest + highest**2) / 3)

    def _draw(self, most: int, target: float, shadow: bool, rng: np.random.Generator) -> kernels.Draws:
        """Draw particles and their transformations; a few more than wanted, as some will find no room."""
        config, pool = self.config, self.pool
        count = most + most // 4 + 4 if most and np.isinf(target) else most
        which = rng.integers(len(pool), size=count)
        diameters = pool.diameters[which]
        if self._median_px is not None:
            scales = self._median_px * config.size_geometric_sd ** rng.standard_normal(count) / diameters
        else:
            scales = rng.uniform(*config.scale, count)
        levels = pool.level(scales)
        entries = pool.entries[which, levels]
        reductions = pool.shapes[pool.entries[which, 0], 0] / pool.shapes[entries, 0]
        reductions = 2.0 ** np.round(np.log2(reductions))
        angles = np.deg2rad(rng.uniform(*config.rotation, count))
        mirrored = np.where(rng.random(count) < 0.5 * config.flips, -1.0, 1.0)
        cosine, sine = np.cos(angles), np.sin(angles)
        turns = np.stack([np.stack([cosine, sine * mirrored], -1), np.stack([-sine, cosine * mirrored], -1)], -2)
        forward = turns * (scales * reductions)[:, None, None]
        inverse = np.linalg.inv(forward) if count else forward
        amplitude = config.elastic * diameters * scales
        number = 2 * np.pi / (diameters * scales)
        waves = np.stack(
            [
                amplitude[:, None] * rng.uniform(-1, 1, (count, 2)),
                number[:, None] * rng.uniform(0.5, 1.5, (count, 2)),
                rng.uniform(0, 2 * np.pi, (count, 2)),
                number[:, None] * rng.uniform(0.5, 1.5, (count, 2)),
                rng.uniform(0, 2 * np.pi, (count, 2)),
            ],
            -1,
        )
        margin = (max(kernels.SHADOW_REACH, self._reach) if shadow else self._reach) + amplitude
        extents = pool.extents(which, turns * scales[:, None, None]) + 2 * margin[:, None]
        blends = np.array([BLENDS[name] for name in config.blending])[rng.integers(len(config.blending), size=count)]
        return kernels.Draws(
            entries,
            inverse.astype(np.float32),
            np.ceil(extents).astype(np.int64),
            (scales * reductions).astype(np.float32),
            waves.astype(np.float32),
            (1 + config.particle_brightness * rng.uniform(-1, 1, count)).astype(np.float32),
            blends,
            rng.uniform(*config.feather, count).astype(np.float32),
        )

    def _check_sizes(self) -> None:
        smallest = float(self.pool.diameters.min() * self.config.scale[0])
        typical = self._median_px or smallest
        side = min(self.config.height, self.config.width)
        if typical > side:
            raise NanosegError(
                f"The smallest pasted particles have a diameter of {typical:.0f} px but the images only {side} px; "
                "make the images larger or the particles smaller (scale)."
            )
        if typical < 3:
            raise NanosegError(
                f"The pasted particles have a diameter of only {typical:.1f} px; use a larger scale, a larger "
                "size_median_nm or a micrograph of higher magnification."
            )


def _visible(labels: NDArray[np.int32], areas: NDArray[np.int64], min_visible: float) -> Instances:
    """Annotate what is visible of each particle; those hidden almost completely are left out."""
    boxes, counts = kernels.bounding_boxes(labels, len(areas))
    keep = np.flatnonzero((counts >= kernels.MIN_PIXELS) & (counts >= min_visible * areas))
    masks = tuple(labels[r0:r1, c0:c1] == k + 1 for k, (r0, c0, r1, c1) in zip(keep, boxes[keep], strict=True))
    return _instances(labels.shape, boxes[keep], masks)


def _whole(
    shape: tuple[int, ...], corners: NDArray[np.int64], sizes: NDArray[np.int64], flat: NDArray[np.bool_]
) -> Instances:
    """Annotate whole particles as far as they lie inside the image, overlaps included."""
    ends = sizes.prod(1).cumsum()
    masks = tuple(part.reshape(size) for part, size in zip(np.split(flat, ends[:-1]), sizes, strict=True))
    return Instances.from_masks(shape, np.concatenate([corners, corners + sizes], 1), masks if len(sizes) else ())


def _instances(shape: tuple[int, ...], boxes: NDArray[np.int64], masks: tuple[NDArray[np.bool_], ...]) -> Instances:
    count = len(masks)
    return Instances(
        shape,
        boxes,
        masks,
        np.ones(count, np.float32),
        np.zeros(count, np.int32),
        np.arange(1, count + 1, dtype=np.int32),
    )
