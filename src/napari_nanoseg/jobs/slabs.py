"""Slabs of a volume, computed here one by one, in threads, or on a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event as Flag
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.engines.predictor import Predictor
from napari_nanoseg.events import Event, Progress, Waiting
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


class Pool(Protocol):
    """Where several slabs are computed at the same time."""

    at_once: int

    def submit(self, slab: Slab) -> Pending:
        """Begin with a slab."""

    def close(self) -> None:
        """End, whatever is not done yet."""


class Threads:
    """Threads of this process.

    Parameters
    ----------
    predictor : Predictor
    volume : Volume
        Every thread reads the slab it works on.
    at_once : int
    """

    def __init__(self, predictor: Predictor, volume: Volume, at_once: int):
        self.at_once = at_once
        self._predictor, self._volume, self._stop = predictor, volume, Flag()
        self._threads = ThreadPoolExecutor(at_once, "slab")

    def submit(self, slab: Slab) -> Pending:
        """Begin with a slab."""
        return self._threads.submit(self._compute, slab)

    def close(self) -> None:
        """End; what is being computed ends at its next event."""
        self._stop.set()
        self._threads.shutdown(cancel_futures=True)

    def _compute(self, slab: Slab) -> NDArray[np.uint8] | None:
        with closing(slab_steps(self._predictor, self._volume, slab)) as steps:
            while not self._stop.is_set():
                try:
                    next(steps)
                except StopIteration as stop:
                    found: NDArray[np.uint8] = stop.value
                    return found
        return None


def slab_steps(predictor: Predictor, volume: Volume, slab: Slab) -> Generator[Event, None, NDArray[np.uint8]]:
    """Read a slab with its halo and predict it.

    Returns
    -------
    uint8 array, shape (slices of the slab, Y, X)

    Raises
    ------
    NanosegError
        When the voxels cannot be read or are no numbers.
    """
    first, last = max(0, slab[0] - predictor.halo), min(volume.shape[0], slab[1] + predictor.halo)
    voxels = np.empty((last - first, *volume.shape[1:]), volume.data.dtype)
    for number in range(first, last):
        voxels[number - first] = volume.read(number, number + 1)[0]
        yield Waiting()
    part = Volume(voxels, volume.calibration, volume.source)
    return (yield from predictor.predict(part, slab[0] - first, slab[1] - first))


def run_slabs(
    slabs: Sequence[Slab],
    depth: int,
    compute: Callable[[Slab], Generator[Event, None, NDArray[np.uint8]]] | Pool,
    finish: Callable[[Slab, NDArray[np.uint8]], None],
) -> Generator[Event, None, None]:
    """Compute slabs; progress counts slices of the whole volume. Closing the generator keeps what was finished.

    Parameters
    ----------
    slabs : sequence of pair of int
        Those that are not done yet.
    depth : int
        Slices of the volume.
    compute : callable or Pool
        Gives the steps that compute a slab here; or several are computed elsewhere at the same time.
    finish : callable
        Takes the classes of a slab that is done; called here, one slab at a time, in any order.

    Raises
    ------
    NanosegError
        When a slab cannot be read, computed or written.
    """
    done = depth - sum(stop - start for start, stop in slabs)
    yield Progress(done, depth, "slices")
    if callable(compute):
        for slab in slabs:
            found = yield from _counted(compute(slab), done, slab[1] - slab[0], depth)
            finish(slab, found)
            done += slab[1] - slab[0]
            yield Progress(done, depth, "slices")
        return
    waiting, pending = list(slabs), dict[Slab, Pending]()
    try:
        while waiting or pending:
            while waiting and len(pending) < compute.at_once:
                slab = waiting.pop(0)
                pending[slab] = compute.submit(slab)
            ready = [slab for slab, one in pending.items() if one.done()]
            for slab in ready:
                finish(slab, pending.pop(slab).result())
                done += slab[1] - slab[0]
                yield Progress(done, depth, "slices")
            if not ready:
                time.sleep(POLL_S)
                yield Waiting()
    finally:
        for one in pending.values():
            one.cancel()
        compute.close()


def _counted(
    steps: Generator[Event, None, NDArray[np.uint8]], before: int, slices: int, depth: int
) -> Generator[Event, None, NDArray[np.uint8]]:
    """The events of a slab, whose progress becomes that of the volume."""
    with closing(steps):
        while True:
            try:
                event = next(steps)
            except StopIteration as stop:
                found: NDArray[np.uint8] = stop.value
                return found
            if isinstance(event, Progress):
                event = Progress(before + int(slices * event.done / event.total), depth, "slices")
            yield event
