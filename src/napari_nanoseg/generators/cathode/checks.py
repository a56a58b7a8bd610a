"""What cannot be made is refused before the first phantom, in a sentence that says what would do."""

from __future__ import annotations

from napari_nanoseg.config.cathode import CathodeConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.generators.cathode.damage import side_of
from napari_nanoseg.generators.cathode.fields import FAR
from napari_nanoseg.generators.cathode.structure import draw_structure, pack_for

BYTES_PER_VOXEL = 40
"""Most memory while a phantom is made; ``benchmarks/cathode.py`` measures 37."""
TRIAL_DIAMETERS, TRIAL_SLICES = 4, 8
"""Size of the phantom that is tried, in diameters of the largest particle along rows and columns."""
ENOUGH = 0.98
"""A packing that reaches this part of the asked one is not too loose."""


def check(config: CathodeConfig) -> list[str]:
    """Refuse impossible sizes and packings; give what the user should know otherwise.

    Raises
    ------
    NanosegError
        When particles, grains or cracks are smaller than a voxel, particles larger than a slice, or cracks wider than
        particles; when the volume does not fit into the memory; when the particles cannot fill their part of it or
        crack as much.
    """
    pixel = config.pixel_size_nm
    for what, size in (
        ("particles", config.particle_diameter_nm[0]),
        ("grains", config.grain_nm),
        ("large voids", config.void_diameter_nm[0]),
        ("cracks", config.crack_width_nm[1]),
    ):
        if size < pixel:
            raise NanosegError(
                f"The {what} have a size of {size:g} nm, less than one voxel of {pixel:g} nm; all lengths are in nm, "
                "so give larger ones or a smaller pixel size."
            )
    largest = config.particle_diameter_nm[1] / pixel
    if largest > min(config.height, config.width):
        raise NanosegError(
            f"The particles have a diameter of up to {largest:.0f} px but the slices only {config.height} x "
            f"{config.width} px; make the slices or the pixels larger or the particles smaller (lengths are in nm)."
        )
    for what, size, limit, of_what in (
        ("grains", config.grain_nm, config.particle_diameter_nm[0] / 2, "half of the smallest particle's diameter"),
        ("cracks", config.crack_width_nm[1], config.grain_nm, "the size of the grains that they run between"),
    ):
        if size > limit:
            raise NanosegError(
                f"The {what} are {size:g} nm wide, more than {limit:g} nm, {of_what}; make them smaller."
            )
    _check_memory(config)
    most = pack_for(config, 0)[1]
    if most < ENOUGH * config.packing:
        raise NanosegError(
            f"The particles cannot fill {config.packing:g} of the volume, only about {most:.2f} with gaps of "
            f"{config.gap_nm[0]:g} to {config.gap_nm[1]:g} nm and large voids of {config.large_voids:g}; ask for a "
            "looser packing, or for narrower gaps and fewer voids."
        )
    _check_damage(config)
    if any(config.slope.over(config.depth)) and side_of(config) > min(config.height, config.width):
        return ["No window fits into a slice, so the slope of damage and packing is met only roughly."]
    return []


def _check_damage(config: CathodeConfig) -> None:
    """Compare the damage with what can crack in a small phantom."""
    asked = max(config.damage_scale) * max(config.damage.over(config.depth))
    side = round(TRIAL_DIAMETERS * config.particle_diameter_nm[1] / config.pixel_size_nm)
    small = {
        "depth": min(config.depth, TRIAL_SLICES),
        "height": min(config.height, side),
        "width": min(config.width, side),
    }
    trial = draw_structure(config.model_copy(update=small), 0)
    most = float((trial.ease[trial.particles > 0] < FAR).mean()) if trial.particles.any() else 1.0
    if asked > most:
        raise NanosegError(
            f"Cracks of {config.crack_width_nm[0]:g} to {config.crack_width_nm[1]:g} nm can take only about {most:.2f} "
            f"of the particles but a damage of {asked:g} is asked for; make them wider, or "
            "let them part particles into more pieces."
        )


def _check_memory(config: CathodeConfig) -> None:
    import psutil

    needed = BYTES_PER_VOXEL * config.depth * config.height * config.width
    there = psutil.virtual_memory().available
    if needed > there:
        raise NanosegError(
            f"A phantom of {config.depth} x {config.height} x {config.width} voxels needs {needed / 2**30:.1f} GiB of "
            f"memory but {there / 2**30:.1f} GiB are free; make smaller phantoms."
        )
