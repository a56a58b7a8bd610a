"""Files appear complete or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.leftovers import being_made, hidden_beside, remove, visible

# NumPy's writers raise OSError without a number when the disk takes only a part
_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "your disk quota is used up; free some space or choose another folder",
    errno.EFBIG: "the file is larger than the disk or your account allows; choose another disk",
    errno.EACCES: "you may not write there; choose another folder",
    errno.EPERM: "you may not write there; choose another folder",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOTDIR: "a part of the path is a file; choose another folder",
    errno.ENOTEMPTY: "there is something of that name; choose another name",
    errno.EEXIST: "a part of the path is a file; choose another folder",
    errno.EISDIR: "there is a folder of that name; choose another name",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}
_FAILURES_OF_DISKS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what can go wrong on a disk into one sentence that names `path`.

    Raises
    ------
    NanosegError
        For every OSError in the block, and for errors that a library raises in place of one.
    """
    try:
        yield
    except NanosegError:
        raise
    except Exception as error:
        failure = error if isinstance(error, OSError) else _failure_of_disk(error)
        if failure is None:
            raise
        reason = _REMEDIES.get(failure.errno or errno.ENOSPC, f"{failure.strerror}; choose another folder")
        raise NanosegError(f"Cannot write {visible(path)}: {reason}.") from error


def _failure_of_disk(error: BaseException) -> OSError | None:
    """Find the failure of a disk behind the error of a library: torch raises one while it handles the other."""
    number = getattr(errno, str(error).removeprefix("IO_"), None)  # lxml, for openpyxl: "IO_ENOSPC"
    if isinstance(number, int):
        return OSError(number, os.strerror(number))
    behind = error.__cause__ or error.__context__
    if isinstance(behind, OSError) and behind.errno in _FAILURES_OF_DISKS:
        return behind
    return None if behind is None else _failure_of_disk(behind)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary file to write to; rename it to `path` when the block succeeds, remove it when it fails.

    The temporary file is hidden and lies in the same folder (made when missing), so that renaming is atomic; it has
    the suffix of `path`, for libraries that choose the format by it.

    Raises
    ------
    NanosegError
        When the folder or the disk does not take the file; what was at `path` stays as it was.
    """
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise NanosegError(f"Cannot write {path}: it is a device, not a file; choose another name.")
    temporary = hidden_beside(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.touch(exist_ok=False)
            yield temporary
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give a temporary folder to fill; rename it to `path` when the block succeeds, remove it when it fails.

    The temporary folder is hidden and lies in the same folder (made when missing).

    Raises
    ------
    NanosegError
        When the disk does not take it, or there is something at `path` that is not to be replaced.
    """
    temporary = hidden_beside(path)
    being_made[temporary] = path
    with writing(path):
        try:
            temporary.mkdir(parents=True)
            yield temporary
            if replace:
                replace_folder(temporary, path)
            else:
                temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            del being_made[temporary]


@contextmanager
def filled_folder(path: Path, names: Iterable[str]) -> Iterator[Path]:
    """Give a temporary folder to fill; when the block succeeds, move what it holds into `path`, which may hold more.

    What has the same name there is replaced, folders as a whole. When the block fails, `path` stays as it was.

    Parameters
    ----------
    path : Path
    names : iterable of str
        All that results may be called: earlier ones that are not made anew are removed.

    Raises
    ------
    NanosegError
        When the disk does not take it.
    """
    if not path.is_dir():
        with atomic_folder(path) as folder:
            yield folder
        return
    temporary = hidden_beside(path / "results")
    being_made[temporary] = path
    with writing(path):
        try:
            temporary.mkdir()
            yield temporary
            new = sorted(temporary.iterdir())
            for made in new:
                if made.is_dir():
                    replace_folder(made, path / made.name)
                else:
                    made.replace(path / made.name)
            for name in set(names) - {made.name for made in new}:
                remove(path / name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            del being_made[temporary]


def replace_folder(temporary: Path, path: Path) -> None:
    """Give a folder that is whole its name; what was there is removed once the name is given.

    Raises
    ------
    NanosegError
        When the disk does not take it; then what was there is still there.
    """
    before = hidden_beside(path)
    with writing(path):
        if path.exists():
            path.rename(before)
        try:
            temporary.rename(path)
        except OSError:
            if before.exists():
                before.rename(path)
            raise
    remove(before)


def need_writable(folder: Path) -> None:
    """See that a folder takes a file, or can be made where there is none: before long work, not after it.

    Nothing is made.

    Raises
    ------
    NanosegError
        When it does not.
    """
    with writing(folder):
        place = folder.absolute()
        while not _is_there(place):
            place = place.parent
        if not place.is_dir():
            raise NanosegError(f"Cannot write {folder}: {place} is not a folder; choose another folder.")
        TemporaryFile(dir=place).close()


def _is_there(path: Path) -> bool:
    """Whether something has this name, also a link to nothing; a name that cannot be one is an error."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except ValueError as error:
        raise NanosegError(f"{str(path)!r} cannot be the name of a file; choose another name.") from error
    return True


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write bytes atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
