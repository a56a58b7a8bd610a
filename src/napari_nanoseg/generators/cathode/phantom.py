"""A phantom: a volume, the class of every voxel, its particles, and the true damage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.display import Shown, coloured, counted, extent, small_grey, step_for
from napari_nanoseg.generators.cathode.structure import CRACK
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image, Sample


@dataclass(frozen=True, eq=False, repr=False)
class Phantom(Shown):
    """A synthetic tomogram of a cathode with everything that is true of it.

    Parameters
    ----------
    image : Image
        Axes ``ZYX``; z = 0 is at the current collector, the last slice at the separator.
    classes : uint8 array, shape (Z, Y, X)
        1 crack, 2 void, 3 carbon/binder, 4 particle; every voxel has one.
    particles : int32 array, shape (Z, Y, X)
        Number of the particle, from 1, its cracks included; 0 between particles.
    profile : mapping of str to arrays, shape (Z,)
        ``z``; ``depth_nm``, of the slice's middle; ``asked_damage``, ``asked_slope``; what the masks have:
        ``crack_fraction`` of the slice, ``damage``, the cracked part of the particles' area (cracks included),
        ``packing``, the particles' part of the slice (cracks included). Then of windows inside the slice that hold
        particle: ``mean_damage_density``, their mean crack fraction; ``slope`` and ``correlation`` of the line through
        the damage of their particles against their packing; ``density_slope``, the same for their crack fraction.
        NaN where no window fits.
    truth : mapping of str to arrays, shape (N,)
        What :func:`napari_nanoseg.generators.cathode.truth.particle_truth` tells of each particle.
    name : str
        File stem.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> phantom = next(ns.generate(ns.CathodeConfig(depth=16, height=64, width=64, seed=1)))
    >>> phantom.image.shape, phantom.classes.dtype
    ((16, 64, 64), dtype('uint8'))
    >>> len(phantom.profile["damage"])
    16
    """

    image: Image
    classes: NDArray[np.uint8]
    particles: NDArray[np.int32]
    profile: Mapping[str, NDArray[Any]]
    truth: Mapping[str, NDArray[Any]]
    name: str

    def _line(self) -> str:
        size = self.image.calibration.text
        particles = counted(int(self.particles.max(initial=0)), "particle")
        return f"{self.name!r}, {extent(self.classes.shape)}, {particles}{f', {size}' if size else ''}"

    def _rows(self) -> dict[str, Any]:
        return {name: float(np.nanmean(self.profile[name])) for name in ("damage", "packing")}

    def _picture(self) -> NDArray[np.uint8] | None:
        """Draw grey values and classes of the middle slice side by side."""
        middle = len(self.classes) // 2
        step = 2 * step_for(self.classes.shape[1:])
        grey = small_grey(self.image.data[middle, ::step, ::step])
        return np.hstack([np.repeat(grey[..., None], 3, axis=2), coloured(self.classes[middle, ::step, ::step])])

    def mask(self, kind: Literal["crack", "classes"]) -> NDArray[np.uint8]:
        """What a network is to learn: 1 for crack and 0 else, or the values of all classes; shape (Z, Y, X).

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> phantom = next(ns.generate(ns.CathodeConfig(depth=16, height=64, width=64, seed=1)))
        >>> np.unique(phantom.mask("crack"))
        array([0, 1], dtype=uint8)
        >>> np.unique(phantom.mask("classes"))
        array([1, 2, 3, 4], dtype=uint8)
        """
        return (self.classes == CRACK).astype(np.uint8) if kind == "crack" else self.classes

    def slice(self, z: int, kind: Literal["crack", "classes"] = "crack") -> Sample:
        """One slice as a sample; the ids of its instances are the values of its mask.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> phantom = next(ns.generate(ns.CathodeConfig(depth=16, height=64, width=64, seed=1)))
        >>> phantom.slice(15)
        Sample('cathode_000000_z0015', 1 particle, 64 x 64 px)
        """
        return Sample(self.image.plane(z), Instances.from_labels(self.mask(kind)[z]), name=slice_name(self.name, z))


def slice_name(name: str, z: int) -> str:
    """File stem of a slice."""
    return f"{name}_z{z:04d}"
