"""Annotated micrographs as the generator needs them: grey, from black 0 to white 1, with one pixel size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Sample

LUMINANCE = (0.2125, 0.7154, 0.0721)
"""Weights of red, green and blue (ITU-R BT.709, as in scikit-image's ``rgb2gray``)."""


@dataclass(frozen=True, eq=False)
class Source:
    """One micrograph.

    Parameters
    ----------
    grey : float32 array, shape (Y, X)
        Black 0, white 1.
    instances : Instances
        At least one.
    known : bool array, shape (Y, X), optional
        As in :class:`Sample`.
    name : str
    """

    grey: NDArray[np.float32]
    instances: Instances
    known: NDArray[np.bool_] | None
    name: str

    @property
    def particles(self) -> NDArray[np.bool_]:
        """Pixels of annotated particles, shape (Y, X)."""
        covered = np.zeros(self.grey.shape, bool)
        for box, mask in zip(self.instances.boxes, self.instances.masks, strict=True):
            covered[box[0] : box[2], box[1] : box[3]] |= mask
        return covered

    @property
    def coverage(self) -> float | None:
        """Fraction of the image covered by particles; None when it is only partly annotated."""
        return float(self.particles.mean()) if self.known is None else None


def prepare_sources(samples: Sequence[Sample]) -> tuple[list[Source], Calibration]:
    """Check annotated micrographs and bring them to one pixel size, that of the first.

    Samples without particles are left out when others have some.

    Raises
    ------
    NanosegError
        When there is no sample or no particle, or when only some of the pixel sizes are known.
    """
    if not samples:
        raise NanosegError("The cut-and-paste generator has no source; give it at least one annotated micrograph.")
    annotated = [sample for sample in samples if len(sample.instances)]
    if not annotated:
        names = ", ".join(sample.name for sample in samples[:3])
        raise NanosegError(f"{names}: no particle is annotated; outline a few particles first.")
    calibration = annotated[0].image.calibration
    for sample in annotated:
        if sample.image.calibration.known != calibration.known:
            raise NanosegError(
                f"{sample.name} and {annotated[0].name}: only one of them has a pixel size; "
                "calibrate all micrographs or none."
            )
    return [_prepare(sample, calibration) for sample in annotated], calibration


def _prepare(sample: Sample, calibration: Calibration) -> Source:
    source = Source(_grey(sample), sample.instances, sample.known, sample.name)
    if not calibration.known or sample.image.calibration == calibration:
        return source
    factor = sample.image.calibration.nm_per_pixel / calibration.nm_per_pixel
    return source if abs(factor - 1) < 1e-3 else _zoomed(source, factor)


def _grey(sample: Sample) -> NDArray[np.float32]:
    """8-bit images keep their grey values; of others the darkest and brightest pixel become black and white."""
    data: NDArray[Any] = sample.image.data
    if sample.image.axes not in ("YX", "YXC"):
        raise NanosegError(f"{sample.name}: a stack ({sample.image.axes}) cannot be a source; give single micrographs.")
    lowest, highest = (0.0, 255.0) if data.dtype == np.uint8 else (float(data.min()), float(data.max()))
    if not np.isfinite([lowest, highest]).all():
        raise NanosegError(f"{sample.name}: the image contains NaN or infinite pixels; replace them first.")
    if data.min() == data.max():
        raise NanosegError(f"{sample.name}: all pixels have the same value; choose another image.")
    grey = ((data.astype(np.float32) - lowest) / (highest - lowest)).astype(np.float32)
    if grey.ndim == 3:
        colours = grey.shape[2]
        grey = grey[..., :3] @ np.array(LUMINANCE, np.float32) if colours >= 3 else grey[..., 0]
    return np.ascontiguousarray(grey)


def _zoomed(source: Source, factor: float) -> Source:
    from skimage.transform import resize

    shape = tuple(max(1, round(side * factor)) for side in source.grey.shape)
    known = source.known
    return Source(
        resize(source.grey, shape, order=1, anti_aliasing=factor < 1).astype(np.float32),
        Instances.from_labels(resize(source.instances.to_labels(), shape, order=0, anti_aliasing=False)),
        None if known is None else resize(known, shape, order=0, anti_aliasing=False).astype(bool),
        source.name,
    )
