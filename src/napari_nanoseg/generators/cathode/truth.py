"""True values of a phantom, counted in its own masks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.generators.cathode.damage import Slice, line_through, slope_of


def slice_truth(cracked: NDArray[np.bool_], here: Slice) -> dict[str, float]:
    """True values of one slice; see :class:`napari_nanoseg.generators.cathode.phantom.Phantom`."""
    crack, solid = int(np.count_nonzero(cracked)), int(np.count_nonzero(here.solid))
    areas = here.windows.areas[here.counted]
    density = here.windows.counts(cracked)[here.counted] / areas
    slope, correlation = slope_of(cracked, here)
    return {
        "crack_fraction": crack / cracked.size,
        "damage": crack / solid if solid else math.nan,
        "packing": solid / cracked.size,
        "mean_damage_density": float(density.mean()) if density.size else math.nan,
        "slope": slope,
        "correlation": correlation,
        "density_slope": line_through(here.body[here.counted] / areas, density)[0],
    }


def particle_truth(
    particles: NDArray[np.int32], cracked: NDArray[np.bool_], pixel_size_nm: float
) -> dict[str, NDArray[Any]]:
    """True values of the N particles of a volume, numbered from 1.

    Returns
    -------
    dict of arrays, shape (N,)
        ``id``; ``voxels`` in the volume, cracks included; ``crack_voxels``; ``damage``, their quotient; ``z``, ``row``,
        ``column``, the middle of what lies in the volume (px); ``equivalent_diameter_nm`` of the sphere of as many
        voxels; ``complete``, whether it ends inside the volume.
    """
    flat = particles.ravel()
    count = int(flat.max(initial=0)) + 1
    voxels = np.bincount(flat, minlength=count)[1:]
    crack = np.bincount(flat[cracked.ravel()], minlength=count)[1:]
    middles = []
    for axis, size in enumerate(particles.shape):
        shape = [1, 1, 1]
        shape[axis] = size
        places = np.broadcast_to(np.arange(size, dtype=np.float32).reshape(shape), particles.shape)
        middles.append(np.bincount(flat, places.ravel(), minlength=count)[1:] / voxels)
    complete = np.ones(count, bool)
    for axis in range(3):
        for end in (0, -1):
            complete[np.unique(particles.take(end, axis))] = False
    return {
        "id": np.arange(1, count),
        "voxels": voxels,
        "crack_voxels": crack,
        "damage": crack / voxels,
        "z": middles[0],
        "row": middles[1],
        "column": middles[2],
        "equivalent_diameter_nm": np.cbrt(6 / math.pi * voxels) * pixel_size_nm,
        "complete": complete[1:],
    }
