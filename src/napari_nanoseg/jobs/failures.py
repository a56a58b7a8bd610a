"""Errors that end a job: a sentence for what the user can mend, a log file for the rest."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path

import platformdirs

from napari_nanoseg.errors import NanosegError


class JobCrashError(NanosegError):
    """A job ended for a reason the user did not cause: a bug, or its process was ended from outside."""


def explain(error: BaseException) -> str | None:
    """Say in one sentence what the user can mend, or return None when the error is a bug."""
    if isinstance(error, NanosegError):
        return str(error)
    if isinstance(error, MemoryError):
        return (
            "The memory of this computer is used up; close other programs or choose smaller images, tiles or batches."
        )
    if isinstance(error, RuntimeError) and "out of memory" in str(error).lower():  # torch's, without importing torch
        return "The memory of the GPU is used up; close other programs, or choose smaller tiles or batches or the CPU."
    if isinstance(error, OSError) and error.strerror:
        where = f"'{error.filename}'" if error.filename else "A file or folder"
        return f"{where} cannot be used: {error.strerror}; check the path, the permissions and the free space."
    return None


def bug(message: str, log: str) -> JobCrashError:
    """Keep the log of a crash in a file and return the error that names it; of a long message, its last line."""
    last = (message.strip().splitlines() or ["no message"])[-1]
    return JobCrashError(f"This is a bug in NanoSeg ({last}); please report it with the log {keep_log(log)}.")


def keep_log(text: str) -> Path:
    """Write the log of a crash to the user's folder for logs, or to a temporary one, and return its path."""
    name = f"crash-{datetime.now():%Y%m%d-%H%M%S-%f}.log"
    for folder in (platformdirs.user_log_path("napari-nanoseg"), Path(tempfile.gettempdir())):
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError:
            continue
        return path
    return Path("(no folder could be written)")
