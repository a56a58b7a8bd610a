"""Making the network that a file describes, unless it is far larger than its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from napari_nanoseg.errors import NanosegError

UNQUESTIONED = 256 << 20
"""Bytes of a network that is made in any case: what is then wrong with the weights is told by their names."""

_Network = TypeVar("_Network", bound=nn.Module)


def made(make: Callable[[], _Network], stored: int, where: Path) -> _Network:
    """Make a network after :func:`check_size`."""
    check_size(make, stored, where)
    return make()


def check_size(make: Callable[[], nn.Module], stored: int, where: Path) -> None:
    """Compare the size of a network with that of its weights, before its memory is taken.

    Parameters
    ----------
    make : callable
    stored : int
        Bytes of the file of its weights.
    where : Path
        The model, for sentences.

    Raises
    ------
    NanosegError
        When the network needs more than 256 MB and more than twice what the file has.
    """
    with torch.device("meta"):
        needed = sum(tensor.numel() * tensor.element_size() for tensor in make().state_dict().values())
    if needed > max(UNQUESTIONED, 2 * stored):
        raise NanosegError(
            f"{where} describes a network with {needed >> 20} MB of weights, but its weights have {stored >> 20} MB; "
            "they do not belong together, copy the whole model again."
        )
