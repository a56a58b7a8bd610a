"""Which device the networks run on, and why."""

from __future__ import annotations

import psutil
import torch

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice

LEAST_SIDE = 128
"""Of tiles, px."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of a device, or of the computer, is used up."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def need_memory(source: str, needed: float, device: torch.device) -> None:
    """Refuse an image that does not fit into the computer's memory.

    Parameters
    ----------
    source : str
        Of the image.
    needed : float
        Bytes.
    device : torch.device
        Of a GPU, the memory is not asked: smaller tiles are tried when it is used up.

    Raises
    ------
    NanosegError
        When less is free.
    """
    free = psutil.virtual_memory().available
    if device.type == "cpu" and needed > free:
        raise NanosegError(
            f"{source}: about {needed / 2**30:.1f} GB of memory are needed but {free / 2**30:.1f} GB are "
            "free; choose smaller tiles, or a larger particle diameter if it is wrong."
        )


def smaller_tiles(error: BaseException, side: int, device: torch.device, step: int = 1) -> tuple[int, Notice]:
    """Half as large tiles after an error, where it says that the memory is used up, and what to tell of them.

    Parameters
    ----------
    error : Exception
        Raised again when it says anything else.
    side : int
        Of the tiles that were too large, px.
    device : torch.device
    step : int
        The side is a multiple of it.

    Raises
    ------
    NanosegError
        When the tiles are as small as they may be.
    """
    if not out_of_memory(error):
        raise error
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if side <= LEAST_SIDE:
        raise NanosegError(
            f"The memory of the device '{device}' is not enough even for tiles of {side} px; "
            "close other programs or choose the device 'cpu'."
        ) from error
    side = max(LEAST_SIDE, side // 2 // step * step)
    return side, Notice(f"The device '{device}' ran out of memory; trying again with tiles of {side} px.")


def choose_device(wish: str) -> tuple[torch.device, str]:
    """Turn a wish into a device and the reason in one sentence.

    Parameters
    ----------
    wish : str
        ``auto`` (a GPU when there is one), ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.

    Returns
    -------
    device : torch.device
    reason : str
        For people: what is used and why.

    Raises
    ------
    NanosegError
        When the wished device is not there.
    """
    if wish == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda"), f"Using the GPU {torch.cuda.get_device_name()}."
        if torch.backends.mps.is_available():
            return torch.device("mps"), "Using the Apple GPU (mps)."
        if torch.version.cuda is None:
            why = "this torch was installed without GPU support"
        else:
            why = "no NVIDIA GPU or driver was found"
        return torch.device("cpu"), f"Using the CPU: {why}."
    device = torch.device(wish)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise NanosegError(
            f"The device '{wish}' is not there ({torch.cuda.device_count()} GPUs found); "
            "choose another or 'auto', and see 'nanoseg doctor'."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise NanosegError("The device 'mps' is not there; choose 'auto' or 'cpu'.")
    return device, f"Using {wish}, as asked."


def use_threads(count: int) -> None:
    """Let networks use so many cores of this process; 0: as many as torch chooses."""
    if count:
        torch.set_num_threads(count)
