"""Which slabs of a volume are done, and for which job: a job that was cancelled goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from napari_nanoseg.documents import read_json
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.atomic import write_text


@dataclass
class Journal:
    """A JSON file beside a result that is written slab by slab.

    Parameters
    ----------
    path : Path
    job : dict
        Plain values: all that the result depends on.
    slabs : dict of int to list of int
        By the first slice of every slab that is done, how many voxels have which value.
    """

    path: Path
    job: dict[str, Any]
    slabs: dict[int, list[int]] = field(default_factory=dict)

    @property
    def voxels(self) -> int:
        """How many voxels are done."""
        return sum(map(sum, self.slabs.values()))

    @classmethod
    def open(cls, path: Path, job: Mapping[str, Any], *, overwrite: bool = False) -> Self:
        """Go on with the journal at a path, or begin one; to overwrite, also in place of one of another job.

        Raises
        ------
        NanosegError
            When it is damaged or of another job, and not to be overwritten.
        """
        plain: dict[str, Any] = json.loads(json.dumps(job))
        if not path.is_file():
            return cls(path, plain)
        try:
            return cls._continued(path, plain)
        except NanosegError:
            if not overwrite:
                raise
            return cls(path, plain)

    @classmethod
    def _continued(cls, path: Path, plain: dict[str, Any]) -> Self:
        advice = "delete it and begin anew, or choose another folder"
        try:
            values = read_json(path, dict, advice=advice)
            slabs = {int(first): [int(count) for count in counts] for first, counts in values["slabs"].items()}
            before = dict(values["job"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NanosegError(f"{path} is damaged; {advice}.") from error
        changed = sorted(name for name in plain.keys() | before.keys() if plain.get(name) != before.get(name))
        if changed:
            raise NanosegError(
                f"{path.parent} holds the result of a job with another {', '.join(changed)}; choose another folder, or "
                "replace existing results (--overwrite)."
            )
        return cls(path, plain, slabs)

    def add(self, first: int, counts: list[int]) -> None:
        """Note that a slab is done.

        Raises
        ------
        NanosegError
            When the disk does not take the file.
        """
        self.slabs[first] = counts
        self.save()

    def save(self) -> None:
        """Write the file."""
        write_text(self.path, json.dumps({"job": self.job, "slabs": self.slabs}, indent=1))
