"""The cathode generator: phantoms with known cracks."""

from __future__ import annotations

import numpy as np

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.cathode import CathodeConfig
from napari_nanoseg.events import checkpoint
from napari_nanoseg.generators.cathode.checks import check
from napari_nanoseg.generators.cathode.damage import Slice, asked_of, cracks, side_of
from napari_nanoseg.generators.cathode.phantom import Phantom
from napari_nanoseg.generators.cathode.structure import CRACK, draw_structure
from napari_nanoseg.generators.cathode.tomogram import render
from napari_nanoseg.generators.cathode.truth import particle_truth, slice_truth
from napari_nanoseg.samples import Image

LOOK = 1
"""Stream of random numbers of the look: phantoms keep their objects when it changes."""


class Cathode:
    """A generator of phantoms.

    It can be used from several threads: phantom `index` depends on the config and `index` alone.

    Parameters
    ----------
    config : CathodeConfig

    Raises
    ------
    NanosegError
        When particles are larger than the volume or smaller than a voxel, cannot be packed as densely, cannot be
        cracked as much, or the memory does not suffice.
    """

    def __init__(self, config: CathodeConfig) -> None:
        self.config = config
        self.notices = check(config)

    @staticmethod
    def name(index: int) -> str:
        """Name of phantom `index`, its files' stem."""
        return f"cathode_{index:06d}"

    def phantom(self, index: int) -> Phantom:
        """Make phantom `index` (0 or more)."""
        config, name = self.config, self.name(index)
        damages, slopes = asked_of(config, index)
        structure = draw_structure(config, index)
        side, cracked, rows = side_of(config), np.zeros(config.shape, bool), []
        for z in range(config.depth):
            here = Slice.of(structure.particles[z] > 0, side)
            checkpoint()
            cracked[z] = cracks(structure.ease[z], here, damages[z], slopes[z])
            rows.append(slice_truth(cracked[z], here))
        structure.classes[cracked] = CRACK
        profile = {
            "z": np.arange(config.depth),
            "depth_nm": (np.arange(config.depth) + 0.5) * config.pixel_size_nm,
            "asked_damage": damages,
            "asked_slope": slopes,
        } | {column: np.array([row[column] for row in rows]) for column in rows[0]}
        truth = particle_truth(structure.particles, cracked, config.pixel_size_nm)
        rng = np.random.default_rng([config.seed, index, LOOK])
        checkpoint()
        pixels = render(structure.classes, structure.particles, structure.grains, config, rng)
        image = Image(pixels, "ZYX", Calibration.of(config.pixel_size_nm, ndim=3), name)
        return Phantom(image, structure.classes, structure.particles, profile, truth, name)
