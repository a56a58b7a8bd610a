"""Optical density of transmission images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.arguments import as_image, as_labels
from napari_nanoseg.config.density import DensityConfig
from napari_nanoseg.display import Shown, brief
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Progress, tell
from napari_nanoseg.greyness import refuse_grey
from napari_nanoseg.progress import Show, shown
from napari_nanoseg.samples import Image

FloatImage = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class OpticalDensity(Shown):
    """The optical density of a transmission image, and how it was found.

    Parameters
    ----------
    image : Image
        -ln(I / I0), float32, with the axes and the pixel size of the transmission image.
    incident : float64 array, shape (planes,)
        I0 of every slice, dark level subtracted; with a reference, its mean.
    raised : int64 array, shape (planes,)
        Pixels of every slice that were darker than the least intensity and count as that.
    not_positive : int64 array, shape (planes,)
        Those of them whose intensity is zero or negative.
    mended : int
        Pixels of the reference that are zero or negative, in whose place its median was taken.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> beam = np.full((2, 64, 64), 1000.0)
    >>> found = ns.optical_density(beam, percentile=95)
    >>> found.image
    Image(2 x 64 x 64 px, float32, ZYX, 'the array')
    >>> found.incident
    array([1000., 1000.])
    """

    image: Image
    incident: NDArray[np.float64]
    raised: NDArray[np.int64]
    not_positive: NDArray[np.int64]
    mended: int

    def _line(self) -> str:
        levels = sorted({brief(self.incident.min()), brief(self.incident.max())}, key=float)
        return f"{self.image._line()}; I0 {' to '.join(levels)}"

    def _rows(self) -> dict[str, Any]:
        return {
            "mean density": float(self.image.data.mean()),
            "raised pixels": int(self.raised.sum()),
            "zero or negative": int(self.not_positive.sum()),
        }

    def _picture(self) -> NDArray[np.uint8] | None:
        return self.image._picture()

    def notices(self) -> list[str]:
        """What the user should know, one sentence each; empty when every pixel was as it should be.

        Examples
        --------
        >>> import numpy as np
        >>> import napari_nanoseg as ns
        >>> beam = np.full((64, 64), 1000.0)
        >>> beam[0, 0] = 0
        >>> print(*ns.optical_density(beam).notices())
        the array: raised to the least intensity: 1 of 4096 pixels (0.024 %), 1 of them zero or negative.
        """
        said = []
        if self.raised.any():
            raised, total = int(self.raised.sum()), self.image.data.size
            said.append(
                f"{self.image.source}: raised to the least intensity: {raised} of {total} pixels "
                f"({100 * raised / total:.2g} %), {int(self.not_positive.sum())} of them zero or negative."
            )
        if self.mended:
            said.append(
                f"{self.image.source}: zero or negative in the reference and taken as its median: {self.mended} of its "
                "pixels."
            )
        return said


def optical_density(
    image: Image | NDArray[Any],
    config: DensityConfig | None = None,
    *,
    region: NDArray[Any] | None = None,
    reference: Image | NDArray[Any] | None = None,
    progress: Show = True,
    **fields: Any,
) -> OpticalDensity:
    """Turn transmission into optical density, -ln(I / I0) (Beer-Lambert, natural logarithm).

    Parameters
    ----------
    image : Image or array, shape (Y, X) or (Z, Y, X)
        Intensities; of a stack, such as one slice per photon energy, every slice has its own I0. A lazy image is read
        slice by slice.
    config : DensityConfig, optional
        Where I0 comes from, the dark level, and what becomes of zero and negative intensities.
    region : array, shape (Y, X) or (Z, Y, X), optional
        I0 is the mean of the pixels where it is above 0; what is marked in one slice of a stack counts for all.
    reference : Image or array, shape (Y, X) or (Z, Y, X), optional
        I0 of every pixel: an image without the sample, of one slice or as many as `image`. Zero and negative pixels
        in it count as the median of the others in their slice.
    progress : bool or callable
        True shows a bar in terminals and notebooks, unless the work is short; False nothing; a callable is given
        every event.
    **fields
        Fields of :class:`DensityConfig`, which override those of `config`.

    Returns
    -------
    OpticalDensity

    Raises
    ------
    NanosegError
        For colours, NaN or infinite pixels, a region outside the image, a reference of another shape, more than one of
        region and reference, an I0 that is not positive, or arguments of a wrong type or name.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_nanoseg as ns
    >>> beam = np.full((64, 64), 1000.0)
    >>> beam[20:40, 20:40] *= np.exp(-0.5)
    >>> found = ns.optical_density(beam, rows=(0, 10), columns=(0, 64))
    >>> float(found.image.data[30, 30])
    0.5
    """
    config = DensityConfig.combined(config, fields, "optical_density")
    image = _grey(as_image(image, "optical_density: 'image'"))
    if reference is not None:
        reference = _grey(as_image(reference, "optical_density: 'reference'", "the reference"))
    marked = _region(image, config, region)
    if reference is not None:
        _check_reference(image, reference, marked)
    with shown(progress):
        return _slice_by_slice(image, config, marked, reference)


def _slice_by_slice(
    image: Image, config: DensityConfig, marked: NDArray[np.bool_] | None, reference: Image | None
) -> OpticalDensity:
    """Beside images and result, some floating-point copies of one slice are in memory."""
    density = np.empty((image.planes, *image.plane_shape), np.float32)
    incident = np.empty(image.planes)
    raised, not_positive = np.zeros(image.planes, np.int64), np.zeros(image.planes, np.int64)
    mended = 0
    for number in range(image.planes):
        where = f"{image.source}, slice {number}" if image.planes > 1 else image.source
        pixels = _intensities(image, number, config.dark, where)
        if reference is None:
            level = _level(pixels, config, marked, where)
        elif number == 0 or reference.planes > 1:
            level, count = _levels(reference, number, config.dark)
            mended += count
        with np.errstate(over="ignore"):
            incident[number] = np.mean(level)
        raised[number], not_positive[number] = _density(pixels, level, config, density[number], where)
        tell(Progress(number + 1, image.planes, "slices"))
    made = Image(density.reshape(image.data.shape), image.axes, image.calibration, image.source)
    return OpticalDensity(made, incident, raised, not_positive, mended)


def _grey(image: Image) -> Image:
    if image.axes.endswith("C"):
        raise NanosegError(
            f"{image.source} has colours, from which no intensity can be told; give the grey image that was recorded."
        )
    return image


def _region(image: Image, config: DensityConfig, region: NDArray[Any] | None) -> NDArray[np.bool_] | None:
    """Where I0 is taken from; None when there is no region."""
    spans = {"rows": config.rows, "columns": config.columns}
    if region is None and not any(spans.values()):
        return None
    shape = image.plane_shape
    if region is None:
        places = []
        for (name, span), size in zip(spans.items(), shape, strict=True):
            start, stop = span or (0, size)
            if stop > size:
                raise NanosegError(
                    f"{image.source} has {size} {name}, but I0 is to be taken from the {name} {start} to {stop}; "
                    "choose a region inside the image."
                )
            places.append(slice(start, stop))
        marked = np.zeros(shape, bool)
        marked[tuple(places)] = True
        return marked
    if any(spans.values()):
        raise NanosegError(f"{image.source}: I0 is to come from a drawn region and from rows or columns; give one.")
    region = as_labels(region, "optical_density: 'region'")
    refuse_grey(region, "optical_density: 'region'")
    marked = region > 0
    if marked.shape[-2:] != shape or marked.ndim not in (2, 3):
        raise NanosegError(
            f"The region has the shape {marked.shape} but {image.source} {shape}; mark the region in this image."
        )
    marked = np.asarray(marked.reshape(-1, *shape).any(axis=0))
    if not marked.any():
        raise NanosegError(f"The region for I0 of {image.source} is empty; mark some background without sample.")
    return marked


def _check_reference(image: Image, reference: Image, marked: NDArray[np.bool_] | None) -> None:
    if marked is not None:
        raise NanosegError(
            f"{image.source}: I0 is to come from a region and from {reference.source}; give one of them."
        )
    if reference.plane_shape != image.plane_shape or reference.planes not in (1, image.planes):
        raise NanosegError(
            f"The reference {reference.source} has {_by(reference)} pixels but {image.source} {_by(image)}; give an "
            "image without sample of the same size, for a stack one slice or as many."
        )


def _intensities(image: Image, number: int, dark: float, where: str) -> FloatImage:
    pixels = image.plane(number).data.astype(np.float64)
    bad = pixels.size - int(np.count_nonzero(np.isfinite(pixels)))
    if bad:
        raise NanosegError(f"{where} has {bad} pixels that are NaN or infinite; replace them first.")
    pixels -= dark
    return pixels


def _level(pixels: FloatImage, config: DensityConfig, marked: NDArray[np.bool_] | None, where: str) -> FloatImage:
    """I0 of one slice."""
    with np.errstate(over="ignore", invalid="ignore"):  # told below
        level = (
            np.percentile(_means(pixels, config.averaging), config.percentile)
            if marked is None
            else pixels[marked].mean()
        )
    if not 0 < level < np.inf:
        better = "a higher percentile, a region" if marked is None else "another region"
        raise NanosegError(
            f"I0 of {where} is {level:g}, but it must be positive and finite; choose {better} or a reference image, or "
            "correct the dark level."
        )
    return np.asarray(level, np.float64)


def _means(pixels: FloatImage, side: int) -> FloatImage:
    """Means of whole squares; of smaller squares where the image is smaller than one."""
    side = min(side, *pixels.shape)
    rows, columns = (size // side for size in pixels.shape)
    whole = pixels[: rows * side, : columns * side]
    means: FloatImage = whole.reshape(rows, side, columns, side).mean(axis=(1, 3))
    return means


def _levels(reference: Image, number: int, dark: float) -> tuple[FloatImage, int]:
    """I0 of every pixel of one slice, and how many the reference does not have."""
    where = f"{reference.source}, slice {number}" if reference.planes > 1 else reference.source
    levels = _intensities(reference, number, dark, where)
    missing = levels <= 0
    count = int(np.count_nonzero(missing))
    if count == levels.size:
        raise NanosegError(
            f"The reference {where} has no positive pixel, so no I0; choose another, or correct the dark level."
        )
    if count:
        levels[missing] = np.median(levels[~missing])
    return levels, count


def _density(
    pixels: FloatImage, level: FloatImage, config: DensityConfig, out: NDArray[np.float32], where: str
) -> tuple[int, int]:
    """Write the density of one slice; gives how many pixels were raised, and how many of them are not positive.

    A difference of logarithms, since I / I0 of the largest and smallest numbers would be infinite.
    """
    dark = pixels <= 0
    not_positive = int(np.count_nonzero(dark))
    if config.floor is None and not_positive:
        if not_positive == pixels.size:
            raise NanosegError(
                f"{where} has no positive intensity; correct the dark level, or give a least transmission."
            )
        pixels[dark] = pixels[~dark].min()
    logarithms = np.full(pixels.shape, -np.inf)
    np.log(pixels, out=logarithms, where=pixels > 0)
    density = np.subtract(np.log(level), logarithms, out=logarithms)
    raised = not_positive
    if config.floor is not None:
        most = -np.log(config.floor)
        raised = int(np.count_nonzero(density > most))
        np.minimum(density, most, out=density)
    if config.clip:
        np.maximum(density, 0, out=density)
    out[...] = density
    return raised, not_positive


def _by(image: Image) -> str:
    return " x ".join(str(size) for size in image.data.shape)
