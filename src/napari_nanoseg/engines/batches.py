"""Batches of training patches, prepared ahead by worker processes.

A worker runs :mod:`napari_nanoseg.engines.batch_worker`. Those of multiprocessing, and so of torch's DataLoader, import
the user's script again: where it has no ``if __name__ == "__main__"``, each of them would begin the training anew.
"""

from __future__ import annotations

import atexit
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from io import FileIO
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from napari_nanoseg.errors import NanosegError, WorkerGoneError
from napari_nanoseg.events import checkpoint
from napari_nanoseg.io.environment import child_environment
from napari_nanoseg.io.pipes import pack, read, write

AHEAD = 2
"""Batches of a worker that wait here; a third one is being read, and the worker prepares a fourth."""
POLL_S = 0.2
"""How often a worker that is waited for is seen to be alive; Ctrl-C is heard as often on Windows."""
END_S = 1.0
"""How long a worker that is gone may take to be over for the system, too."""


@dataclass(frozen=True)
class Batches:
    """How the batches of a training are made.

    Parameters
    ----------
    items : Dataset
        Training patches with their targets; item `k` must depend on `k` alone.
    size : int
        Items in a batch.
    collate : callable
        From items to the tensors of a batch; by default they are stacked.
    """

    items: Dataset[Any]
    size: int
    collate: Callable[[list[Any]], list[Tensor]] = default_collate

    def make(self, number: int) -> list[Tensor]:
        """Make batch `number`."""
        return self.collate([self.items[k] for k in range(number * self.size, (number + 1) * self.size)])


def prepared(batches: Batches, numbers: range, workers: int) -> Generator[list[Tensor], None, None]:
    """Prepare batches in worker processes, in order; closing the generator ends the workers.

    Parameters
    ----------
    batches : Batches
    numbers : range
        Of the batches to make.
    workers : int
        Number of processes; 0: this process makes every batch when it is asked for.

    Raises
    ------
    WorkerGoneError
        When a worker has died or has not enough memory.
    NanosegError
        When a worker cannot be started or `batches` cannot be handed over to it.
    """
    if not workers:
        yield from map(batches.make, numbers)
        return
    count = min(workers, len(numbers))
    with ExitStack() as stack:
        team = [stack.enter_context(closing(_Worker(batches, numbers[first::count]))) for first in range(count)]
        for turn in range(len(numbers)):
            yield team[turn % count].next()


def not_portable(error: Exception) -> NanosegError:
    """Say that something cannot be handed over to a worker."""
    return NanosegError(
        f"Training patches cannot be prepared in another process ({error}); define your own classes in a module that "
        "can be imported, not in the script or notebook itself, or train with workers=0."
    )


class _Worker:
    """A process that prepares batches; a thread fetches them while this process trains."""

    def __init__(self, batches: Batches, numbers: range):
        try:
            work = pack((batches, numbers))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise not_portable(error) from error
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        try:
            self._process = subprocess.Popen(
                _command(),
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._words,
                env=child_environment(),
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # on Windows, no black window
            )
        except OSError as error:
            self._words.close()
            raise NanosegError(
                f"A process that prepares training patches cannot be started ({error.strerror or error}); train with "
                "workers=0, which needs no such process."
            ) from error
        self._ready = queue.Queue[Any](AHEAD)
        self._fetcher = threading.Thread(target=self._fetch, args=(work,), daemon=True)
        self._fetcher.start()
        # While Python shuts down, the thread could not end any more
        atexit.register(self.close)

    def next(self) -> list[Tensor]:
        """Wait for the next batch."""
        while True:
            status = self._process.poll()
            try:
                found = self._ready.get(timeout=POLL_S)
            except queue.Empty:
                if status:  # even if a process that was forked meanwhile still holds its stdout
                    raise self._death() from None
                checkpoint()
                continue
            if found is None:
                raise self._death()
            if isinstance(found, MemoryError):
                raise WorkerGoneError("had not enough memory") from found
            if isinstance(found, Exception):
                raise found
            return [torch.from_numpy(array) for array in found]

    def close(self) -> None:
        """End the process."""
        atexit.unregister(self.close)
        self._process.kill()
        self._process.wait()
        deadline = time.monotonic() + END_S
        while self._fetcher.is_alive() and time.monotonic() < deadline:
            with suppress(queue.Empty):  # makes room, for which the thread may wait
                self._ready.get_nowait()
            self._fetcher.join(0.01)
        for stream in (self._process.stdin, self._process.stdout, self._words):
            assert stream is not None
            stream.close()

    def _fetch(self, work: list[memoryview]) -> None:
        """Hand the work over and put every batch into the queue, None at the end."""
        try:
            write(cast(FileIO, self._process.stdin), work)
            work.clear()
            while True:
                self._ready.put(read(cast(FileIO, self._process.stdout)))
        except (EOFError, OSError):
            self._ready.put(None)
        except Exception as error:
            self._ready.put(error)

    def _death(self) -> WorkerGoneError:
        """Say how the process ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        status = self._process.returncode
        self._words.seek(0)
        words = self._words.read().decode("utf-8", "replace").strip().splitlines()
        if status is None or status <= 0 or not words:
            return WorkerGoneError()
        return WorkerGoneError(f"ended with the exit status {status} ({words[-1].strip()})")


def _command() -> list[str]:
    """A worker's command; it finds the modules that this process finds, and no others."""
    paths = ascii([path for path in sys.path if isinstance(path, str)])
    start = f"import sys; sys.path[:] = {paths}; from napari_nanoseg.engines.batch_worker import main; main()"
    # -P: a file of the user called random.py in the working directory must not replace the library
    return [sys.executable, "-P", "-X", "faulthandler", "-c", start]
