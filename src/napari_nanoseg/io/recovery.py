"""Unsaved label arrays on disk, written piece by piece while people draw, and found again after a crash.

One folder per array: ``about.json`` says what it is and which process writes it; ``000001.npz``, ``000002.npz``, ...
each hold a box of the array (``start``, ``region``) as it was when it had changed. With ``base`` set, everything
outside of the box is 0; what came before does not count.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_nanoseg.documents import CONFIGS, read_json
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.atomic import atomic_path, write_text
from napari_nanoseg.io.places import recovery_folder
from napari_nanoseg.io.processes import is_running

ABOUT = "about.json"
MOST_PARTS = 20
"""Files of one array; then one takes the place of all."""
MOST_ARRAYS = 20
LONGEST_S = 30 * 86400

_OURS: set[Path] = set()
"""Folders that this process writes to."""


@dataclass(frozen=True, eq=False)
class About:
    """What an unsaved array is.

    Parameters
    ----------
    name : str
        Of the layer.
    image, source : str
        Name of the annotated image, and the path of its file, or empty.
    shape : tuple of int
    dtype : str
    place : mapping
        Scale, units and the like of the layer, as plain values.
    particles : int
        Number of labels.
    written : float
        Seconds since 1970.
    pid, started : int, float
        The process that writes, and when it began: the system gives numbers of ended processes to new ones.
    """

    name: str
    image: str
    source: str
    shape: tuple[int, ...]
    dtype: str
    place: Mapping[str, Any] = field(default_factory=dict)
    particles: int = 0
    written: float = 0.0
    pid: int = 0
    started: float = 0.0


@dataclass(frozen=True, eq=False)
class Leftover:
    """An array that a process left behind when it ended."""

    folder: Path
    about: About


class Journal:
    """Writes down what changes in one array.

    Parameters
    ----------
    folder : Path, optional
        The folder of a leftover to go on with; a new one when not given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or recovery_folder() / uuid4().hex
        self._before: NDArray[Any] | None = None
        self._parts = _parts(self.folder)
        _OURS.add(self.folder)

    def write(self, data: NDArray[Any], about: About) -> bool:
        """Write the part of the array that differs from what was written before.

        Parameters
        ----------
        data : integer array
            May be painted in meanwhile: what is written is what is remembered.
        about : About
            What is known of it; the rest is filled in here.

        Returns
        -------
        bool
            Whether anything had changed.

        Raises
        ------
        NanosegError
            When the disk does not take it; it is tried again with the next change.
        """
        before = self._before
        base = before is None or before.shape != data.shape or before.dtype != data.dtype
        base = base or len(self._parts) >= MOST_PARTS
        if base:
            before = np.zeros_like(data)
        assert before is not None
        changed = _box(before != data)
        if changed is None and not base:
            return False
        box = changed or (slice(0, 0),) * data.ndim
        region = data[box].copy()
        number = int(self._parts[-1].stem) + 1 if self._parts else 1
        part = self.folder / f"{number:06d}.npz"
        before[box] = region
        self._before = None  # until all is on the disk
        self._describe(about, before)
        with atomic_path(part) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, start=[s.start for s in box], region=region, base=base)
        self._before = before
        superseded, self._parts = (self._parts, [part]) if base else ([], [*self._parts, part])
        for old in superseded:
            old.unlink(missing_ok=True)
        return True

    def drop(self, saved: NDArray[Any] | None = None) -> bool:
        """Remove what was written; the next :meth:`write` begins anew.

        Parameters
        ----------
        saved : integer array, optional
            What was saved elsewhere. When something else was written meanwhile, nothing is removed.

        Returns
        -------
        bool
            Whether it is gone.
        """
        if saved is not None and self._before is not None and not np.array_equal(saved, self._before):
            return False
        self._before, self._parts = None, []
        discard(self.folder)
        return True

    def close(self) -> None:
        """Leave what was written to the next one who asks for leftovers."""
        _OURS.discard(self.folder)

    def _describe(self, about: About, data: NDArray[Any]) -> None:
        described = asdict(about) | {
            "shape": data.shape,
            "dtype": str(data.dtype),
            "particles": len(np.unique(data[data > 0])),
            "written": time.time(),
            "pid": os.getpid(),
            "started": psutil.Process().create_time(),
        }
        write_text(self.folder / ABOUT, json.dumps(described))


def leftovers() -> tuple[list[Leftover], list[str]]:
    """Find arrays that ended processes left behind, the latest first; remove what is too old or too much.

    Returns
    -------
    list of Leftover
    list of str
        A sentence for each folder that cannot be read; it is left alone.
    """
    found, problems = [], []
    root = recovery_folder()
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if not folder.is_dir() or folder in _OURS:
            continue
        try:
            about = read_about(folder)
        except NanosegError as error:
            problems.append(str(error))
            continue
        if not _running(about):
            found.append(Leftover(folder, about))
    found.sort(key=lambda leftover: leftover.about.written, reverse=True)
    limit = time.time() - LONGEST_S
    kept = [
        leftover for leftover in found[:MOST_ARRAYS] if leftover.about.written >= limit and leftover.about.particles
    ]
    for leftover in found:
        if leftover not in kept:
            discard(leftover.folder)
    return kept, problems


def read_about(folder: Path) -> About:
    """Read what an unsaved array is.

    Raises
    ------
    NanosegError
        When the file is missing or damaged.
    """
    try:
        values = read_json(folder / ABOUT, dict, CONFIGS)
        about = About(**values)
        np.dtype(about.dtype)
        return About(**values | {"shape": tuple(int(size) for size in about.shape)})
    except (NanosegError, ValueError, TypeError, AttributeError) as error:
        raise NanosegError(
            f"The unsaved annotation in {folder} is damaged and cannot be restored; it is left as it is."
        ) from error


def restore(leftover: Leftover) -> NDArray[Any]:
    """Put the array together.

    Raises
    ------
    NanosegError
        When a file is damaged, or another process restored it meanwhile.
    """
    about = read_about(leftover.folder)
    if leftover.folder not in _OURS and _running(about):
        raise NanosegError(f"The annotation '{about.name}' was restored in another window meanwhile.")
    try:
        labels = np.zeros(about.shape, dtype=about.dtype)
        paths = _parts(leftover.folder)
        if not paths:
            raise FileNotFoundError(leftover.folder)
        for path in paths:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as part:
                start, region = part["start"], part["region"]
                if part["base"]:
                    labels[:] = 0
                box = tuple(slice(int(a), int(a) + size) for a, size in zip(start, region.shape, strict=True))
                labels[box] = region
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise NanosegError(
            f"The unsaved annotation in {leftover.folder} is damaged and cannot be restored; it is left as it is."
        ) from error
    return labels


def discard(folder: Path) -> None:
    """Remove an unsaved array."""
    shutil.rmtree(folder, ignore_errors=True)


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.npz"))


def _running(about: About) -> bool:
    """Whether the process that wrote an array still does; this one knows what it writes."""
    if about.pid == os.getpid():
        return False
    return is_running(about.pid, about.started)


def _box(changed: NDArray[np.bool_]) -> tuple[slice, ...] | None:
    """The box around all that is True; None when nothing is."""
    box = []
    for axis in range(changed.ndim):
        where = np.flatnonzero(changed.any(axis=tuple(other for other in range(changed.ndim) if other != axis)))
        if not where.size:
            return None
        box.append(slice(int(where[0]), int(where[-1]) + 1))
    return tuple(box)
