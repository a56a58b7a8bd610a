"""Arguments of public functions: turned into the types that are worked with, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import CALIBRATION, Calibration
from napari_nanoseg.errors import NanosegError, need, need_array, similar, unsuitable
from napari_nanoseg.greyness import refuse_grey
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image, Sample, Volume

if TYPE_CHECKING:
    from pandas import DataFrame

T = TypeVar("T")


def as_path(given: Any, name: str) -> Path:
    """Take a path.

    Parameters
    ----------
    given : str or path
    name : str
        What the caller calls it, for messages.

    Raises
    ------
    NanosegError
        When it is something else.
    """
    if not isinstance(given, str | PathLike):
        raise unsuitable(name, given, "a path")
    return Path(given)


def as_image(given: Any, name: str, source: str = "the array") -> Image:
    """Take a micrograph or a stack.

    Parameters
    ----------
    given : Image, Volume or array, shape (Y, X) or (Z, Y, X)
        A volume is read into memory.
    name : str
        What the caller calls it, for messages.
    source : str
        Of the image that an array becomes.

    Raises
    ------
    NanosegError
        When it is something else.
    """
    if isinstance(given, Image):
        return given
    if isinstance(given, Volume):
        return Image(given.read(0, given.shape[0]), "ZYX", given.calibration, given.source)
    pixels = as_pixels(given, name)
    return Image(pixels, {2: "YX", 3: "ZYX"}.get(pixels.ndim, "?"), source=source)


def as_pixels(given: Any, name: str) -> NDArray[Any]:
    """Take the pixels of an image, of any shape: an :class:`Image` or an array; see :func:`as_image`."""
    if isinstance(given, Image):
        return given.data
    if isinstance(given, Instances | Sample):
        raise unsuitable(name, given, "an Image or an array of its pixels")
    return _array(given, name, "an Image or an array", "read_image")


def as_instances(given: Any, name: str) -> Instances:
    """Take particles.

    Parameters
    ----------
    given : Instances or integer array, shape (Y, X) or (Z, Y, X)
        The particles, or a label image (0 is background).
    name : str
        What the caller calls it, for messages.

    Raises
    ------
    NanosegError
        When it is something else, such as a micrograph.
    """
    if isinstance(given, Instances):
        return given
    if isinstance(given, Image | Sample | Volume):
        raise unsuitable(name, given, "Instances or a label image")
    labels = _array(given, name, "Instances or a label image", "read_labels")
    if labels.dtype.kind not in "iu":
        raise unsuitable(name, labels, "a label image of whole numbers")
    refuse_grey(labels, name)
    return Instances.from_labels(labels)


def as_volume(given: Any, name: str, calibration: Calibration, source: str) -> Volume:
    """Take a volume of any size, of which nothing is read.

    Parameters
    ----------
    given : Volume, Image, Instances or anything that slices as an array does, shape (Z, Y, X)
    name : str
        What the caller calls it, for messages.
    calibration : Calibration
        Of a volume that does not have its own.
    source : str
        What such a volume is called.

    Raises
    ------
    NanosegError
        When it is something else.
    """
    if isinstance(given, Volume):
        return given
    if isinstance(given, Image | Instances):
        return Volume(as_labels(given, name), calibration, source)
    if isinstance(given, str | PathLike):
        raise unsuitable(name, str(given), "a Volume or an array; open the file with open_volume() first")
    need_array(given, name)
    return Volume(given, calibration, source)


def as_labels(given: Any, name: str) -> NDArray[Any]:
    """Take the numbers of a label image or mask of any type: :class:`Instances`, an image or an array."""
    if isinstance(given, Instances):
        return given.to_labels()
    return given.data if isinstance(given, Image) else _array(given, name, "a label image", "read_labels")


def as_calibration(given: Any, name: str) -> Calibration | None:
    """Take a pixel size, or None.

    Parameters
    ----------
    given : Calibration or None
    name : str
        What the caller calls it, for messages.

    Raises
    ------
    NanosegError
        When it is something else.
    """
    if given is None or isinstance(given, Calibration):
        return given
    raise unsuitable(name, given, CALIBRATION)


def as_number(given: Any, name: str) -> float:
    """Take a number; see :func:`as_path`."""
    if isinstance(given, bool) or not isinstance(given, int | float | np.integer | np.floating):
        raise unsuitable(name, given, "a number")
    return float(given)


def as_list(given: Any, kind: type[T], name: str, wanted: str) -> list[T]:
    """Take several things of one kind.

    Parameters
    ----------
    given : iterable
    kind : type
        Of each.
    name : str
        What the caller calls them, for messages.
    wanted : str
        What they should be.

    Raises
    ------
    NanosegError
        When they are something else.
    """
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise unsuitable(name, given, wanted)
    several = list(given)
    for one in several:
        need(one, kind, f"{name}: one of them", wanted)
    return several


def as_table(given: Any, name: str, columns: Sequence[str]) -> DataFrame:
    """Take a table of particles.

    Parameters
    ----------
    given : pandas.DataFrame
    name : str
        What the caller calls it, for messages.
    columns : sequence of str
        It must have.

    Raises
    ------
    NanosegError
        When it is something else, or lacks a column.
    """
    from pandas import DataFrame

    if not isinstance(given, DataFrame):
        raise unsuitable(name, given, "a table of particles, which measure() makes")
    missing = [column for column in columns if column not in given]
    if missing:
        raise NanosegError(f"{name} has no column '{missing[0]}'; give a table that measure() made.")
    return given


def refuse_unknown(where: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse keywords that a function does not have.

    Raises
    ------
    NanosegError
        When there is one; names the most similar one that the function has.
    """
    for name in given:
        raise NanosegError(f"{where} has no argument '{name}'{similar(name, known)}; leave it out or correct its name.")


def _array(given: Any, name: str, wanted: str, reader: str) -> NDArray[Any]:
    if isinstance(given, str | PathLike):
        raise unsuitable(name, str(given), f"{wanted}; read the file with {reader}() first")
    try:
        array = np.asarray(given)
    except NanosegError:
        raise
    except Exception as error:  # whatever the conversion of a foreign object raises
        raise unsuitable(name, given, wanted) from error
    if array.ndim == 0 or array.dtype.kind not in "buifc":
        raise unsuitable(name, given, wanted)
    return array
