"""Hidden files in which something is being written, and what a process that was killed has left of them."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
from contextlib import suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

PREFIX = ".nanoseg-"
"""Of the names of all hidden files and folders that NanoSeg makes."""
_NAME = re.compile(re.escape(PREFIX) + r"(?P<where>[0-9a-f]{8})-(?P<pid>[0-9]{1,9})-[0-9a-f]{32}(\..*)?")
LEFT_BY_SYSTEMS = ("thumbs.db", "desktop.ini", ".ds_store")
"""Files that nobody misses, in lower case."""

being_made: dict[Path, Path] = {}
"""Folders that are being filled, and the names that they will have."""


def hidden_beside(path: Path) -> Path:
    """Make up a hidden name in the folder of `path`, for what is being written or removed; its suffix is the same.

    The name tells the process. The first time that a process asks for a name in a folder, what processes that were
    killed have left there is removed.
    """
    _remove_leftovers(path.parent.absolute())
    return path.with_name(f"{PREFIX}{_where()}-{os.getpid()}-{uuid4().hex}{path.suffix}")


def visible(path: Path) -> Path:
    """Give a path as people know it: what a hidden folder of ours will be called, else the folder that it lies in."""
    hidden = [one for one in (path, *path.parents) if one in being_made or one.name.startswith(PREFIX)]
    if not hidden:
        return path
    target = being_made.get(hidden[-1])
    return hidden[-1].parent if target is None else target / path.relative_to(hidden[-1])


def is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing, or only what a killed process has left."""
    return all(path.name.startswith(PREFIX) for path in folder.iterdir())


def remove(path: Path) -> None:
    """Delete a file or folder as far as the disk lets us."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


@cache
def _remove_leftovers(folder: Path) -> None:
    with suppress(OSError):
        names = [_NAME.fullmatch(name) for name in os.listdir(folder)]
        ours = {name[0]: int(name["pid"]) for name in names if name and name["where"] == _where()}
        if ours:
            import psutil  # here only: most folders have nothing to be removed

            for name, pid in ours.items():
                if not psutil.pid_exists(pid):
                    remove(folder / name)


@cache
def _where() -> str:
    """Name what numbers processes: this computer, or one of its containers; others may write to the same disk."""
    numbered = ""
    with suppress(OSError):  # only Linux has it
        numbered = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{platform.node()} {numbered}".encode()).hexdigest()[:8]
