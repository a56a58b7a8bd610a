"""Non-maximum suppression that can be left, gone on with, and asked again for another probability."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.engines.stardist.candidates import Candidates
from napari_nanoseg.events import checkpoint

BATCH = 1000
"""Candidates per call of the compiled code, which holds Python's lock: 0.06 to 0.09 s (4 s for all 44,000 at once).

More where many survive already: the survivors are compared with each other in every call.
"""


class Suppression:
    """The candidates of one plane that no more probable one covers.

    The most probable candidate survives and removes all that overlap it too much, then the next one that is left, and
    so on. So whether a candidate survives depends only on more probable ones: survivors for a probability are those of
    a lower one without the less probable. They are found from the most probable down, as far as was asked.

    Parameters
    ----------
    candidates : Candidates
    overlap : float
        Largest allowed intersection over the smaller area of two objects.
    """

    def __init__(self, candidates: Candidates, overlap: float):
        self._sorted = candidates.at(np.argsort(-candidates.prob, kind="stable"))
        self._overlap = overlap
        self._survivors = np.zeros(0, np.int64)
        self._done = 0

    def above(self, probability: float) -> Candidates:
        """Find the survivors above a probability, most probable first."""
        wanted = int(np.count_nonzero(self._sorted.prob > probability))
        while self._done < wanted:
            stop = min(self._done + max(BATCH, 2 * len(self._survivors)), wanted)
            # the survivors so far do not remove each other: with them in front, the batch is judged as in one run
            index = np.concatenate([self._survivors, np.arange(self._done, stop)])
            self._survivors, self._done = index[_survive(self._sorted.at(index), self._overlap)], stop
            checkpoint()
        return self._sorted.at(self._survivors[self._survivors < wanted])


def suppressed(candidates: Candidates, overlap: float) -> Candidates:
    """The candidates left by non-maximum suppression, most probable first."""
    return Suppression(candidates, overlap).above(-1)


def _survive(candidates: Candidates, overlap: float) -> NDArray[np.bool_]:
    survivors: NDArray[np.bool_] = _stardist().non_maximum_suppression_inds(
        candidates.dist, candidates.points, scores=candidates.prob, thresh=overlap, verbose=False
    )
    return survivors


@cache
def _stardist() -> Any:
    """Import stardist's compiled code so that it uses one thread.

    It starts its threads anew for every object: two were slower than one (1.1 s instead of 0.7 s for 14,500
    candidates), and when other programs run, they wait for each other while Python's lock is held (4 s at once). The
    variable is read when the library is loaded; torch has one of its own, which is loaded before.
    """
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        import stardist.nms
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
    return stardist.nms
