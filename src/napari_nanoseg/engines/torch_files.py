"""Reading files of torch: tensors and plain values only, checked before they are read."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.limits import MOST_WEIGHTS
from napari_nanoseg.io.zips import check_torch_file
from napari_nanoseg.reading import need_file


def load_torch(path: Path, advice: str, most: int = MOST_WEIGHTS) -> Any:
    """Read a file that ``torch.save`` wrote, onto the CPU, without running what a pickle may hold.

    Parameters
    ----------
    path : Path
    advice : str
        What to do when it cannot be read.
    most : int
        Bytes that it may have.

    Raises
    ------
    NanosegError
        When it is missing, damaged, too large, or holds more than numbers.
    """
    need_file(path, advice)
    check_torch_file(path, path, most, advice)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise NanosegError(f"{path} cannot be read ({error.strerror}); check the path and its permissions.") from error
    except pickle.UnpicklingError as error:
        raise NanosegError(
            f"{path} is damaged, or holds more than numbers, which could run any code and is not read; {advice}."
        ) from error
    except Exception as error:  # a damaged file fails with whatever its pickle happens to call
        raise NanosegError(f"{path} is damaged; {advice}.") from error
