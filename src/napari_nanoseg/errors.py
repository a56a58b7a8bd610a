"""The one exception that users see, and how it speaks of values."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from napari_nanoseg.display import Shown

LONGEST = 60
"""Characters of a value that a sentence shows."""


class NanosegError(Exception):
    """Something the user can mend, in one sentence that says what, where and what to do.

    Every layer raises it for bad input. The command line prints it and returns 2, the docks show it.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> try:
    ...     ns.read_image("missing.tif")
    ... except ns.NanosegError as error:
    ...     print(error)
    There is no file missing.tif; check its name.
    """


class WorkerGoneError(NanosegError):
    """A process that prepares training patches is gone."""

    def __init__(self, how: str = "was ended from outside, as the system does when memory runs out"):
        super().__init__(
            f"A process that prepares training patches {how}; resume the training, with fewer workers or none if it "
            "happens again."
        )


def shown(value: Any) -> str:
    """Write a value for a sentence: short and in one line; of an array its shape and type."""
    if not isinstance(value, Shown) and hasattr(value, "shape") and hasattr(value, "dtype") and value.shape != ():
        return f"an array of shape {tuple(value.shape)} and type {value.dtype}"
    text = " ".join(repr(value).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def unsuitable(name: str, given: Any, wanted: str) -> NanosegError:
    """Make the error that an argument is of a wrong type.

    Parameters
    ----------
    name : str
        What the caller calls the argument.
    given : object
        What it is.
    wanted : str
        What it should be, and where that is of help what to do.
    """
    return NanosegError(f"{name} is {shown(given)}, which is not {wanted}.")


def need(given: Any, kind: type[Any] | tuple[type[Any], ...], name: str, wanted: str) -> None:
    """Refuse an argument that is not of a type; see :func:`unsuitable`.

    Raises
    ------
    NanosegError
        In one sentence.
    """
    if not isinstance(given, kind):
        raise unsuitable(name, given, wanted)


def need_array(given: Any, name: str) -> None:
    """Refuse what has no shape and type of pixels, as arrays have, those on a disk included; see :func:`need`."""
    if not all(hasattr(given, needed) for needed in ("shape", "dtype", "__getitem__")):
        raise unsuitable(name, given, "an array")


def similar(name: str, known: Iterable[str]) -> str:
    """Name the most similar known name, in brackets; empty when there is none."""
    others = [one for one in known if one != name]
    close = get_close_matches(name.lower(), others, n=1) or [one for one in others if name.lower() in one]
    return f" (did you mean '{close[0]}'?)" if close else ""
