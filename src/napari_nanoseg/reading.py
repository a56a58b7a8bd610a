"""Reading files of unknown origin: regular files only, and never more than expected."""

from __future__ import annotations

import stat
from pathlib import Path

from napari_nanoseg.errors import NanosegError


def need_file(path: Path, advice: str = "check its name") -> int:
    """Check that there is a regular file at a path, and return its size in bytes.

    A device or a pipe is never opened: reading it could wait for ever or never end.

    Parameters
    ----------
    path : Path
    advice : str
        What to do when there is no file.

    Raises
    ------
    NanosegError
        When it is missing, a folder, a device or a pipe, or its path is not valid.
    """
    try:
        about = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NanosegError(f"There is no file {path}; {advice}.") from error
    except OSError as error:
        raise NanosegError(f"{path} cannot be read ({error.strerror}); check the path and its permissions.") from error
    except ValueError as error:  # NUL, or characters that no file name can have
        raise NanosegError(f"{str(path)!r} is not a valid path; correct it.") from error
    if stat.S_ISDIR(about.st_mode):
        raise NanosegError(f"{path} is a folder; choose a file in it.")
    if not stat.S_ISREG(about.st_mode):
        raise NanosegError(f"{path} is a device or a pipe, not a file; choose a file.")
    return about.st_size


def read_file(path: Path, most: int, advice: str = "choose another file") -> bytes:
    """Read a regular file of limited size.

    Parameters
    ----------
    path : Path
    most : int
        Largest size that is accepted, bytes; it is checked before anything is read.
    advice : str
        What to do when the file is too large or cannot be read.

    Raises
    ------
    NanosegError
        When the file is missing, too large, not a regular file, or cannot be read.
    """
    size = need_file(path)
    if size > most:
        raise NanosegError(f"{path} has {size} bytes, more than the {most} that are read; {advice}.")
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise NanosegError(f"{path} cannot be read ({error.strerror}); check the path and its permissions.") from error
