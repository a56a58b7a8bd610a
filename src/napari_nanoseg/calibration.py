"""The only place where pixels become nanometres."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from napari_nanoseg.display import Shown
from napari_nanoseg.errors import NanosegError, need, unsuitable

NM_PER_UNIT = {
    "pm": 1e-3, "angstrom": 0.1, "å": 0.1, "nm": 1.0, "nanometer": 1.0, "nanometre": 1.0,
    "um": 1e3, "µm": 1e3, "μm": 1e3, "micron": 1e3, "microns": 1e3, "micrometer": 1e3, "micrometre": 1e3,
    "mm": 1e6, "millimeter": 1e6, "millimetre": 1e6, "cm": 1e7, "centimeter": 1e7, "inch": 2.54e7,
    "m": 1e9, "meter": 1e9, "metre": 1e9,
}  # fmt: skip
"""Nanometres per length unit, as spelled in image files (lower case)."""
CALIBRATION = "a Calibration; Calibration.of(2.5) is one of 2.5 nm per pixel"
"""What is wanted where something else is given."""


@dataclass(frozen=True, slots=True, repr=False)
class Calibration(Shown):
    """Pixel size of an image, or the fact that it is not known.

    Parameters
    ----------
    pixel_size_nm : tuple of float, optional
        Nanometres per pixel for each spatial axis, in array order (row before column), or None when not known.

    Raises
    ------
    NanosegError
        When a size is not a positive finite number.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> ns.Calibration((2.5, 2.5))
    Calibration(2.5 nm/px)
    >>> ns.Calibration().known
    False
    """

    pixel_size_nm: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.pixel_size_nm is None:
            return
        need(
            self.pixel_size_nm,
            (tuple, list),
            "Calibration: 'pixel_size_nm'",
            "a size for each axis; see Calibration.of",
        )
        for size in self.pixel_size_nm:
            try:
                float(size)
            except (TypeError, ValueError):
                raise unsuitable("Calibration: a size of 'pixel_size_nm'", size, "a number") from None
            if not (math.isfinite(size) and size > 0):
                raise NanosegError(f"The pixel size {size} nm is not a positive number; correct the calibration.")

    @classmethod
    def of(cls, size: float | tuple[float, ...], unit: str = "nm", ndim: int = 2) -> Self:
        """Calibration from a size per pixel in any length unit; one number counts for all `ndim` axes.

        Raises
        ------
        NanosegError
            When the unit is not a length or the size is not positive.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> ns.Calibration.of(2.5)
        Calibration(2.5 nm/px)
        >>> ns.Calibration.of(0.14, "um", ndim=3).pixel_size_nm
        (140.0, 140.0, 140.0)
        """
        need(unit, str, "Calibration.of: 'unit'", "the name of a unit, such as nm or um")
        factor = NM_PER_UNIT.get(unit.strip().lower())
        if factor is None:
            raise NanosegError(f"'{unit}' is not a unit of length; use nm, um or mm.")
        sizes = tuple(size) if isinstance(size, Iterable) and not isinstance(size, str) else (size,) * ndim
        try:
            return cls(tuple(float(value) * factor for value in sizes))
        except (TypeError, ValueError):
            raise unsuitable("Calibration.of: 'size'", size, "a number, or one for each axis") from None

    def _line(self) -> str:
        return self.text or "not known"

    @property
    def text(self) -> str:
        """The pixel size in words, '2.5 nm/px'; empty when it is not known."""
        sizes = self.pixel_size_nm or ()
        same = sizes[:1] if len(set(sizes)) == 1 else sizes
        return f"{' x '.join(f'{size:.4g}' for size in same)} nm/px" if sizes else ""

    @property
    def known(self) -> bool:
        """Whether a pixel size is known."""
        return self.pixel_size_nm is not None

    @property
    def nm_per_pixel(self) -> float:
        """The pixel size in the image plane (the last two axes).

        Raises
        ------
        NanosegError
            When it is not known, or when the two axes differ by more than 0.1 %: lengths would depend on direction.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> ns.Calibration.of(0.0025, "um").nm_per_pixel
        2.5
        """
        if self.pixel_size_nm is None:
            raise NanosegError("The pixel size is not known; give it in nanometres per pixel.")
        row, column = self.pixel_size_nm[-2:] if len(self.pixel_size_nm) > 1 else self.pixel_size_nm * 2
        if abs(row - column) > 1e-3 * max(row, column):
            raise NanosegError(
                f"Pixels of {row:g} x {column:g} nm are not square; resample the image to square pixels first."
            )
        return row

    def zoomed(self, factor: float) -> Calibration:
        """Calibration of the image after it was enlarged `factor` times (pixels become smaller).

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> ns.Calibration.of(2.5).zoomed(2)
        Calibration(1.25 nm/px)
        """
        if self.pixel_size_nm is None:
            return self
        return Calibration(tuple(size / factor for size in self.pixel_size_nm))
