"""Slabs computed by the workers of a dask cluster, which open model and volume by their paths."""

from __future__ import annotations

from pathlib import Path
from threading import local
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.volume import VolumeConfig
from napari_nanoseg.engines.predictor import Predictor, SlabPredictor
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.volumes import open_volume
from napari_nanoseg.jobs.slabs import Pending, Pool, Slab

TIMEOUT_S = 10
"""How long the scheduler may take to answer."""
_own = local()
"""What a thread of a worker keeps for its next slab."""


class Cluster(Pool):
    """A dask cluster; every slab is a task, and its classes come back here.

    Parameters
    ----------
    address : str
        Of the scheduler.
    predictor : Predictor
        Pickled; weights are loaded by the workers.
    path : Path
        Of the volume, absolute.
    config : VolumeConfig
    at_once : int, optional
        Slabs that are computed at the same time; one per worker when not given.

    Raises
    ------
    NanosegError
        When dask.distributed is not installed, nobody answers at the address, or there is no worker.
    """

    def __init__(
        self, address: str, predictor: Predictor, path: Path, config: VolumeConfig, at_once: int | None = None
    ):
        try:
            import distributed
        except ImportError as error:
            raise NanosegError(
                "A cluster needs a further package: run 'pip install napari-nanoseg[cluster]', or leave it out."
            ) from error
        try:
            self._client: Any = distributed.Client(address, timeout=TIMEOUT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise NanosegError(
                f"No dask scheduler answers at {address}; check the address, such as tcp://host:8786."
            ) from error
        workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        if not workers:
            self._client.close()
            raise NanosegError(f"The dask cluster at {address} has no workers; start some first.")
        self.at_once = at_once or workers
        self._work = predictor, path, config

    def submit(self, slab: Slab) -> Pending:
        """Begin with a slab."""
        task: Pending = self._client.submit(_computed, *self._work, slab, pure=False)
        return _Task(task)

    def close(self) -> None:
        """Leave the cluster; tasks that nobody waits for are dropped."""
        self._client.close()


class _Task:
    """A task whose failure is a sentence where the cluster is the reason."""

    def __init__(self, future: Any):
        self._future = future
        self.done, self.cancel = future.done, future.cancel

    def result(self) -> Any:
        from distributed import CancelledError, KilledWorker

        try:
            return self._future.result()
        except (KilledWorker, CancelledError, ImportError) as error:
            raise NanosegError(
                f"The dask cluster could not compute a slab ({type(error).__name__}); see that its workers have "
                "the same NanoSeg and enough memory, and run the job again: it goes on."
            ) from error


def _computed(predictor: Predictor, path: Path, config: VolumeConfig, slab: Slab) -> NDArray[np.uint8]:
    """What a worker does."""
    made = predictor, path, config
    if getattr(_own, "made", None) != made:
        _own.slabs, _own.made = predictor.on(open_volume(path, config)), made
    slabs: SlabPredictor = _own.slabs
    return slabs.class_map(*slab)
