"""Slabs of a volume, computed here one by one, in threads, or on a cluster."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event as Flag
from threading import local
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.engines.predictor import Predictor, SlabPredictor
from napari_nanoseg.events import Cancelled, Event, Progress, checkpoint, ignore, in_context, listening, tell
from napari_nanoseg.samples import Volume

POLL_S = 0.05
"""How often somebody looks whether a slab is done."""

Slab = tuple[int, int]
"""First slice, and the one after the last."""


class Pending(Protocol):
    """A slab that is being computed somewhere."""

    def done(self) -> bool:
        """Whether there is a result or an error."""

    def result(self) -> Any:
        """The classes; raises the error."""

    def cancel(self) -> Any:
        """Nobody wants it any more."""


class Pool(ABC):
    """Where several slabs are computed at the same time.

    Attributes
    ----------
    at_once : int
    """

    at_once: int

    @abstractmethod
    def submit(self, slab: Slab) -> Pending:
        """Begin with a slab."""

    @abstractmethod
    def close(self) -> None:
        """End, whatever is not done yet."""


class Threads(Pool):
    """Threads of this process.

    Parameters
    ----------
    predictor : Predictor
    volume : Volume
        Every thread reads what it needs.
    at_once : int
    """

    def __init__(self, predictor: Predictor, volume: Volume, at_once: int):
        self.at_once = at_once
        self._predictor, self._volume, self._stop = predictor, volume, Flag()
        self._own = local()
        self._threads = ThreadPoolExecutor(at_once, "slab")

    def submit(self, slab: Slab) -> Pending:
        """Begin with a slab."""
        return self._threads.submit(in_context(self._compute), slab)

    def close(self) -> None:
        """End; what is being computed ends at its next checkpoint."""
        self._stop.set()
        self._threads.shutdown(cancel_futures=True)

    def _compute(self, slab: Slab) -> NDArray[np.uint8]:
        if not hasattr(self._own, "slabs"):
            self._own.slabs = self._predictor.on(self._volume)
        with listening(ignore, self._leave):
            found: NDArray[np.uint8] = self._own.slabs.class_map(*slab)
            return found

    def _leave(self) -> None:
        if self._stop.is_set():
            raise Cancelled


def slabs_of(ends: Sequence[int], most: int) -> list[Slab]:
    """Cut a volume where its predictor likes it, into slabs of at most so many slices as far as that is possible."""
    slabs, start = list[Slab](), 0
    for end, following in zip(ends, [*ends[1:], math.inf], strict=True):
        if following - start > most or following == math.inf:
            slabs.append((start, end))
            start = end
    return slabs


def run_slabs(
    slabs: Sequence[Slab],
    depth: int,
    compute: SlabPredictor | Pool,
    finish: Callable[[Slab, NDArray[np.uint8]], None],
) -> None:
    """Compute slabs; progress counts slices of the whole volume. Leaving it early keeps what was finished.

    Parameters
    ----------
    slabs : sequence of pair of int
        Those that are not done yet.
    depth : int
        Slices of the volume.
    compute : SlabPredictor or Pool
        Slabs are computed here, one after the other; or several at the same time elsewhere.
    finish : callable
        Takes the classes of a slab that is done; called here, one slab at a time, in any order.

    Raises
    ------
    NanosegError
        When a slab cannot be read, computed or written.
    """
    done = depth - sum(stop - start for start, stop in slabs)
    tell(Progress(done, depth, "slices"))
    if isinstance(compute, Pool):
        _run_in(compute, slabs, done, depth, finish)
        return
    for slab in slabs:
        with listening(partial(_tell_of_slab, slab, done, depth)):
            found = compute.class_map(*slab)
        finish(slab, found)
        done += slab[1] - slab[0]
        tell(Progress(done, depth, "slices"))


def _run_in(
    pool: Pool, slabs: Sequence[Slab], done: int, depth: int, finish: Callable[[Slab, NDArray[np.uint8]], None]
) -> None:
    waiting, pending = list(slabs), dict[Slab, Pending]()
    try:
        while waiting or pending:
            while waiting and len(pending) < pool.at_once:
                slab = waiting.pop(0)
                pending[slab] = pool.submit(slab)
            ready = [slab for slab, one in pending.items() if one.done()]
            for slab in ready:
                finish(slab, pending.pop(slab).result())
                done += slab[1] - slab[0]
                tell(Progress(done, depth, "slices"))
            if not ready:
                time.sleep(POLL_S)
                checkpoint()
    finally:
        for one in pending.values():
            one.cancel()
        pool.close()


def _tell_of_slab(slab: Slab, done: int, depth: int, event: Event) -> None:
    """Tell an event of a slab, whose progress becomes that of the volume."""
    if isinstance(event, Progress):
        event = Progress(done + int((slab[1] - slab[0]) * event.done / event.total), depth, "slices")
    tell(event)
