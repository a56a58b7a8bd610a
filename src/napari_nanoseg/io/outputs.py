"""What a job is going to write: refused before the work where it would replace something or cannot be written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.atomic import atomic_path, need_writable, writing
from napari_nanoseg.io.run_record import read_run_record, sha256, write_run_record

RECORDS = "*.run.yaml"
"""Run records of single files, which lie beside them."""


class Writing(Protocol):
    """A job that writes results."""

    @property
    def job(self) -> str:
        """Its kind."""

    @property
    def overwrite(self) -> bool:
        """Whether it replaces existing results."""


def need_free(
    job: Writing,
    files: Iterable[Path] = (),
    *,
    labels: Mapping[Path, Path] | None = None,
    folders: Iterable[Path] = (),
    records: Iterable[Path] = (),
    added: Iterable[Path] = (),
    inputs: Iterable[Path] = (),
    again: Collection[Path] = (),
) -> None:
    """See that a job can write its results and replaces nothing that it must not: before the work. Nothing is made.

    Parameters
    ----------
    job : Writing
        With its kind, and whether it overwrites.
    files : iterable of Path
        Files that it writes.
    labels : mapping of Path to Path, optional
        Label files that it writes, each with its run record: one that was corrected by hand is never replaced.
    folders : iterable of Path
        Folders that it writes, such as volumes.
    records : iterable of Path
        Run records that it writes beside `files` and `folders`.
    added : iterable of Path
        Files that keep what they hold.
    inputs : iterable of Path
        Files that it reads; these are never replaced.
    again : collection of Path
        Labels that are made again as they are.

    Raises
    ------
    NanosegError
        In one sentence, for the first of: two results of one name, a place that cannot be written, an input, the
        result of another kind of job, labels that were corrected, results that are not to be overwritten.
    """
    labels = labels or {}
    files, folders, records, added = list(files), list(folders), [*records, *labels.values()], list(added)
    results = [*labels, *files, *folders]
    _need_different([*results, *records, *added])
    for path in [*labels, *files, *records, *added]:
        need_place(path)
    for path in folders:
        need_writable(path)
    _need_no_inputs([*labels, *files, *records, *added], folders, list(inputs))
    for record in records:
        need_kind(record, job.job)
    existing = [path for path in results if path.exists()]
    for path in existing:
        if path in labels and not unchanged(path, labels[path]):
            raise NanosegError(
                f"{path} was corrected since NanoSeg wrote it, or not written by it, and is never replaced; move it, "
                "or choose another folder or name."
            )
        if path in folders and not any(record.is_file() for record in records):
            raise NanosegError(f"{path} was not made by this kind of job; move it, or choose another folder.")
        if not job.overwrite and path not in again:
            more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
            kept = ", keep what is done (--resume)" if hasattr(job, "resume") else ""
            raise NanosegError(
                f"{path} is there already{more}; choose another folder or name{kept}, or replace existing results "
                "(--overwrite)."
            )


def need_place(path: Path) -> None:
    """See that a file can be written, whether or not there is one already. Nothing is made.

    Raises
    ------
    NanosegError
        When it cannot.
    """
    need_writable(path.parent)
    with writing(path), suppress(FileNotFoundError):
        path.lstat()  # whose name may be too long
    if path.is_dir():
        raise NanosegError(f"Cannot write {path}: there is a folder of that name; choose another name.")
    if path.exists() and not path.is_file():
        raise NanosegError(f"Cannot write {path}: it is a device, not a file; choose another name.")


def need_new(path: Path, *, overwrite: bool) -> None:
    """See that one file can be written, and is not there already unless it is to be overwritten.

    Raises
    ------
    NanosegError
        When it cannot, or is.
    """
    need_place(path)
    if path.exists() and not overwrite:
        raise NanosegError(f"{path} is there already; choose another name, or replace it (--overwrite).")


def need_kind(record: Path, kind: str) -> None:
    """Refuse to replace the run record of another kind of job: its results would lose what made them.

    Raises
    ------
    NanosegError
        When it is of another kind.
    """
    made_by = _at(read_run_record(record), "config", "job")
    if isinstance(made_by, str) and made_by != kind:
        raise NanosegError(f"{record} is of a result of '{made_by}', not of '{kind}'; choose another folder or name.")


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path is a folder, or lies in it, also by another name."""
    return path.resolve().is_relative_to(folder.resolve())


def unchanged(path: Path, record_path: Path) -> bool:
    """Whether a label file is, byte for byte, what its run record says was written."""
    return not list(corrected(record_path, [path]))


def corrected(record_path: Path, paths: Iterable[Path]) -> Iterator[Path]:
    """Find the label files that are not what their common run record says was written."""
    record = read_run_record(record_path)
    for path in paths:
        name = path.relative_to(record_path.parent).as_posix()
        hashes = [_at(record, key, name) for key in ("outputs", "replaced")]
        if record.get("edited") or not any(hashes) or sha256(path) not in hashes:
            yield path


@contextmanager
def recorded(path: Path, record_path: Path, record: Mapping[str, Any], *, ours: bool = True) -> Iterator[Path]:
    """Give a temporary file for labels; write their run record, with their hash, and then rename the file to `path`.

    The record also has the hash of what it replaces, if that is known to be unchanged: a process that is killed between
    the two leaves labels that are known as they were. Where not all labels in the file are `ours`, it has no hash.

    Raises
    ------
    NanosegError
        When the folder or the disk does not take the files.
    """
    name = path.relative_to(record_path.parent).as_posix()
    replaced = {name: sha256(path)} if path.is_file() and unchanged(path, record_path) else {}
    with atomic_path(path) as temporary:
        yield temporary
        outputs = {"outputs": {name: sha256(temporary)}} if ours else {}
        write_run_record(record_path, {**record, **outputs} | ({"replaced": replaced} if replaced else {}))


def labels_in(folder: Path) -> set[str]:
    """Names of the label files in a folder that run records beside them describe."""
    return {str(name) for record in _records_in(folder) for name in _mapping(record, "outputs")}


def pictures_in(folder: Path) -> set[str]:
    """Names of the figures in a folder that run records beside them describe."""
    listed = [record.get("pictures") for record in _records_in(folder)]
    return {str(name) for names in listed if isinstance(names, list) for name in names}


def _records_in(folder: Path) -> Iterator[dict[str, Any]]:
    return map(read_run_record, sorted(folder.glob(RECORDS)))


def _mapping(record: Mapping[str, Any], key: str) -> dict[Any, Any]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def _at(record: Mapping[str, Any], key: str, name: str) -> Any:
    return _mapping(record, key).get(name)


def _need_different(paths: list[Path]) -> None:
    seen = set[Path]()
    for path in paths:
        if path.absolute() in seen:
            raise NanosegError(f"Two results would be written to {path}; choose another name for one of them.")
        seen.add(path.absolute())


def _need_no_inputs(files: list[Path], folders: list[Path], inputs: list[Path]) -> None:
    read = {_identity(path): path for path in inputs if path.exists()}
    pairs = [(path, read[_identity(path)]) for path in files if path.exists() and _identity(path) in read]
    pairs += [(path, one) for path in folders for one in inputs if is_inside(one, path)]
    for path, one in pairs:
        raise NanosegError(
            f"The result {path} would replace {one}, which this job reads; choose another folder or name."
        )


def _identity(path: Path) -> tuple[int, int]:
    told = path.stat()
    return told.st_dev, told.st_ino
