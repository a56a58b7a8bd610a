"""The worker of :mod:`napari_nanoseg.engines.batches`: a process that prepares batches and ends with its parent."""

from __future__ import annotations

import os
import pickle
import signal
import threading
import traceback
from io import FileIO
from typing import cast

import torch

from napari_nanoseg.engines.batches import Batches, not_portable
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.pipes import pack, read, take_streams, write


def main() -> None:
    """Write the batches that stdin asks for to stdout; an exception in place of one is the last.

    The process ends without the tear-down of torch and numba, which takes up to 1.5 s.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent, which hears Ctrl-C as well, decides
    torch.set_num_threads(1)
    output, source = take_streams()
    results, orders = cast(FileIO, output), FileIO(source, "rb")
    try:
        work = _work(orders)
        threading.Thread(target=_end_with_parent, args=(orders,), daemon=True).start()
        if isinstance(work, Exception):
            write(results, pack(work))
        else:
            _prepare(*work, results)
    except (EOFError, OSError):  # of the pipes: the parent is gone
        os._exit(1)
    os._exit(0)


def _work(orders: FileIO) -> tuple[Batches, range] | Exception:
    """What to do, or why it cannot be understood here."""
    try:
        work: tuple[Batches, range] = read(orders)
    except (AttributeError, ImportError, pickle.UnpicklingError) as error:
        return not_portable(error)
    except MemoryError as error:
        return error
    return work


def _prepare(batches: Batches, numbers: range, results: FileIO) -> None:
    for number in numbers:
        try:
            made = pack([tensor.numpy() for tensor in batches.make(number)])
        except Exception as error:
            write(results, pack(_portable(error)))
            return
        write(results, made)


def _portable(error: Exception) -> Exception:
    """An exception as another process can read it; a bug has its traceback with it."""
    if isinstance(error, NanosegError):
        return NanosegError(str(error))
    text = traceback.format_exc()
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(text)
    return error


def _end_with_parent(orders: FileIO) -> None:
    """Wait for the end of stdin, which comes when the parent has died."""
    orders.read(1)
    os._exit(1)
