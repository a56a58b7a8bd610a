"""Write the images of any generator as a data set, on all cores, to be continued at any time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from napari_nanoseg.config.cathode import CathodeJob
from napari_nanoseg.config.generate import GenerateJob
from napari_nanoseg.config.nanowires import NanowiresJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult, Notice, Progress, Stage, in_context, tell
from napari_nanoseg.io.annotations import read_coco
from napari_nanoseg.io.atomic import need_writable, writing
from napari_nanoseg.io.datasets import COCO_NAME, DatasetWriter, write_sample
from napari_nanoseg.io.leftovers import is_empty
from napari_nanoseg.io.outputs import corrected
from napari_nanoseg.io.run_record import read_run_record, run_record, sha256, write_run_record
from napari_nanoseg.jobs.replacing import PART, in_place, moved
from napari_nanoseg.samples import Sample

RECORD = "run.yaml"
PARTS = {"images": (".tif",), "masks": (".tif",), "particles": (".tif",), "known": (".png",), "truth": (".csv",)}
"""Folders of a generated data set, and what they hold."""
AnyGenerateJob = GenerateJob | NanowiresJob | CathodeJob


class Generator(Protocol):
    """Makes numbered samples, the same ones for the same config and sources; may be asked by several threads."""

    @property
    def notices(self) -> Sequence[str]:
        """What the user should know, in sentences."""

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes by their number; none where there is only one."""

    @property
    def in_coco(self) -> bool:
        """Whether masks can overlap or have classes, which only the COCO file keeps."""

    def name(self, index: int) -> str:
        """Stem of the files of image `index`."""

    def sample(self, index: int) -> Sample:
        """Make image `index`."""


class Writer(AbstractContextManager[Any], Protocol):
    """Writes what a generator makes into the folder of a data set; may be asked by several threads in a `with`."""

    @property
    def notices(self) -> Sequence[str]:
        """What the user should know, in sentences."""

    @property
    def images_each(self) -> int:
        """Images that are written for each number."""

    def finished(self, count: int) -> set[int]:
        """Which of the first `count` numbers an earlier run has written."""

    def write(self, index: int) -> int:
        """Make and write number `index`; count its particles."""


class SampleWriter:
    """Writes samples, an image and a mask each."""

    images_each = 1

    def __init__(self, generator: Generator, out: Path) -> None:
        self._generator, self._out = generator, out
        # one COCO file for all, at the end
        self._shared = DatasetWriter(out, generator.classes) if generator.in_coco else None

    @property
    def notices(self) -> Sequence[str]:
        """Those of the generator."""
        return self._generator.notices

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the COCO file."""
        if self._shared is not None:
            self._shared.__exit__(kind, error, trace)

    def finished(self, count: int) -> set[int]:
        """Which of the first `count` samples an earlier run has written."""
        names = {self._generator.name(index): index for index in range(count)}
        if self._generator.in_coco:
            path = self._out / COCO_NAME
            names = {name: names[name] for name in names.keys() & (read_coco(path) if path.is_file() else {}).keys()}
        return {index for name, index in names.items() if written(self._out, name)}

    def write(self, index: int) -> int:
        """Make and write sample `index`; count its particles."""
        sample = self._generator.sample(index)
        if self._shared is None:
            write_sample(self._out, sample)
        else:
            self._shared.add(sample)
        return len(sample.instances)


def written(out: Path, stem: str) -> bool:
    """Whether an image and its mask are there."""
    return all((out / folder / f"{stem}.tif").is_file() for folder in ("images", "masks"))


def write_dataset(
    job: AnyGenerateJob, inputs: Sequence[Path], prepare: Callable[[Path], Writer], started: datetime
) -> JobResult:
    """Make images 0 to count - 1 of the config's seed and write them to ``images/`` and ``masks/``.

    The images do not depend on the number of workers. These are threads: the work is done in compiled code that does
    not hold the interpreter's lock, so nothing has to be copied between processes and none can be left behind. Images
    that are there from an earlier run with the same config and source are kept. Leaving it early stops the
    workers after the image each is busy with; what is finished stays.

    Parameters
    ----------
    job : AnyGenerateJob
    inputs : sequence of Path
        What the generator's sources were read from.
    prepare : callable
        Makes the generator and what writes its images into a folder; called when that is known to be usable.
    started : datetime
        For the run record.

    Returns
    -------
    JobResult
        Figures ``images`` (in the folder), ``skipped`` (there before), ``particles`` (in the new ones), ``seconds``
        and ``images_per_second`` (writing included).

    Raises
    ------
    NanosegError
        When the generator cannot be made, when the folder holds something else, or when it cannot be written.
    """
    need_writable(job.out)
    record = run_record(job, inputs, seed=job.config.seed, device="cpu", started=started)
    occupied = None if _goes_on(job, record) else "holds images made with another config or another source"
    with in_place(job, occupied=occupied, strangers=_strangers, inputs=inputs) as placed:
        result = _written(placed, inputs, record, prepare, started)
    return moved(result, placed.out, job.out)


def _written(
    job: AnyGenerateJob,
    inputs: Sequence[Path],
    record: dict[str, Any],
    prepare: Callable[[Path], Writer],
    started: datetime,
) -> JobResult:
    """Write the images that are missing in the folder of the job."""
    earlier = read_run_record(job.out / RECORD)
    writer = prepare(job.out)
    done = writer.finished(job.count)
    for notice in writer.notices:
        tell(Notice(notice))
    with writing(job.out):
        job.out.mkdir(parents=True, exist_ok=True)
    if not (job.out / RECORD).exists():
        write_run_record(job.out / RECORD, record)

    missing = [index for index in range(job.count) if index not in done]
    each = writer.images_each
    tell(Stage("generate", f"Writing {each * len(missing)} of {each * job.count} images to {job.out}."))
    clock = time.perf_counter()
    particles = 0
    with writer:
        for made, found in enumerate(_in_threads(writer.write, missing, job.workers), 1):
            particles += found
            tell(Progress(each * (len(done) + made), each * job.count, "images"))
    seconds = time.perf_counter() - clock
    figures = {
        "images": each * job.count,
        "skipped": each * len(done),
        "particles": particles,
        "seconds": round(seconds, 3),
        "images_per_second": round(each * len(missing) / seconds, 2) if missing else 0.0,
    }
    if missing or not earlier.get("figures"):
        # an image that was there before may have been corrected since
        outputs = {name: sha256(job.out / name) for name in _labels(job.out)} | (earlier.get("outputs") or {})
        about: dict[str, Any] = {"seed": job.config.seed, "device": "cpu", "figures": figures, "started": started}
        write_run_record(job.out / RECORD, run_record(job, inputs, **about, outputs=outputs))
    return JobResult(figures, {"dataset": str(job.out), "run_record": str(job.out / RECORD)})


def _in_threads(work: Callable[[int], int], indices: Iterable[int], workers: int) -> Iterator[int]:
    """Give the results of `work` in order of completion; few tasks wait at a time, and none begins after closing."""
    rest = iter(indices)
    for first in islice(rest, 1):  # alone, as it may have to compile the kernels, which cannot be interrupted
        yield work(first)
    workers = workers or available_cores()
    executor, shared = ThreadPoolExecutor(workers, "nanoseg-generate"), in_context(work)
    try:
        waiting: set[Future[int]] = {executor.submit(shared, index) for index in islice(rest, 2 * workers)}
        while waiting:
            finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                waiting.update(executor.submit(shared, index) for index in islice(rest, 1))
                yield future.result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def available_cores() -> int:
    """Count the cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _goes_on(job: AnyGenerateJob, record: Mapping[str, Any]) -> bool:
    """Whether the folder is free, or has what an earlier run with the same config and source left.

    Raises
    ------
    NanosegError
        When it holds something else than the results of a job of this kind.
    """
    if not job.out.exists() or is_empty(job.out):
        return True
    if not (job.out / RECORD).is_file():
        raise NanosegError(f"{job.out} is not empty and was not made by this job; choose an empty folder.")
    earlier = read_run_record(job.out / RECORD)
    made_by, read = earlier.get("config"), earlier.get("inputs") or {}
    if not isinstance(made_by, dict) or made_by.get("job") != job.job:
        raise NanosegError(f"{job.out} is not empty and was not made by this job; choose an empty folder.")
    same = made_by.get("config") == record["config"]["config"]
    return same and isinstance(read, dict) and list(read.values()) == list(record["inputs"].values())


def _strangers(folder: Path) -> Iterator[Path]:
    """Find what in a folder is no part of a generated data set; labels that were corrected are none."""
    unfinished = folder.suffix == PART and not read_run_record(folder / RECORD).get("figures")
    labels = [] if unfinished else [folder / name for name in _labels(folder)]
    changed = set(corrected(folder / RECORD, labels))
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name in PARTS:
            for file in sorted(path.iterdir()):
                if file.is_dir() or file in changed or file.suffix not in PARTS[path.name]:
                    yield file
        elif path.is_dir() or path.name not in (RECORD, COCO_NAME) or path in changed:
            yield path


def _labels(folder: Path) -> Iterator[str]:
    """Names of the label files of a generated data set, relative to its folder."""
    for pattern in ("masks/*.tif", "particles/*.tif", COCO_NAME):
        yield from (path.relative_to(folder).as_posix() for path in sorted(folder.glob(pattern)))
