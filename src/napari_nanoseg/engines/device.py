"""Which device the networks run on, and why."""

from __future__ import annotations

import torch

from napari_nanoseg.errors import NanosegError


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of a device, or of the computer, is used up."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


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
