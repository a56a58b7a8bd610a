"""Run records: what made a result, complete enough to make it again."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from napari_nanoseg.documents import read_yaml
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import checkpoint
from napari_nanoseg.io.atomic import write_text
from napari_nanoseg.io.leftovers import visible

PACKAGES = ("napari-nanoseg", "numpy", "scipy", "scikit-image", "stardist", "torch")
"""Their versions go into every record; read from the installed metadata, so that nothing is imported."""
BLOCK = 2**24
"""Bytes hashed at once: 0.02 s."""


def run_record(
    config: BaseModel,
    inputs: Iterable[str | Path] | Mapping[Path, str],
    *,
    seed: int | None = None,
    device: str | None = None,
    figures: Mapping[str, Any] | None = None,
    started: datetime | None = None,
    outputs: Mapping[str, str] | None = None,
    pictures: Iterable[str] = (),
) -> dict[str, Any]:
    """Describe a finished run.

    Parameters
    ----------
    config : pydantic model
        The job's config.
    inputs : iterable of path, or mapping of path to str
        Files and folders it read; with their hashes, where these are known.
    seed : int, optional
        Of its random numbers.
    device : str, optional
        What it computed on, such as ``cpu`` or ``cuda:0``.
    figures : mapping, optional
        Its results, by name.
    started : datetime, optional
        When it began, with a time zone; now when not given.
    outputs : mapping of str to str, optional
        Label files that it wrote, relative to the folder of the record, with their hashes: one that has another hash
        was corrected since.
    pictures : iterable of str
        Figures that it wrote there: they are neither images nor labels.

    Returns
    -------
    dict
        Plain values: config, versions, platform, seed, device, inputs (path to SHA-256), started and finished
        (ISO 8601, UTC), figures, and outputs and pictures where there are any.

    Raises
    ------
    NanosegError
        When an input is not there any more.
    """
    finished = datetime.now(UTC)
    out = getattr(config, "out", None)
    if isinstance(out, Path):  # of a job; one that is done again from its record must not overwrite
        changes = {"out": visible(out), "overwrite": False}
        config = config.model_copy(update={name: changes[name] for name in changes.keys() & dict(config).keys()})
    hashes: Mapping[Any, str] = inputs if isinstance(inputs, Mapping) else {}
    record = {
        "config": config.model_dump(mode="json"),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "seed": seed,
        "device": device,
        "inputs": {str(path): hashes.get(path) or sha256(path) for path in inputs},
        "started": (started or finished).astimezone(UTC).isoformat(timespec="seconds"),
        "finished": finished.isoformat(timespec="seconds"),
        "figures": _plain(figures or {}),
        "outputs": dict(outputs or {}),
        "pictures": list(pictures),
    }
    return {name: value for name, value in record.items() if value or name not in ("outputs", "pictures")}


def record_beside(path: Path) -> Path:
    """Where the record of an image or of its labels lies: beside it."""
    return path.with_suffix(".run.yaml")


def read_run_record(path: str | Path) -> dict[str, Any]:
    """Read a record; empty where there is none, or none that can be read."""
    try:
        record = read_yaml(path) if Path(path).is_file() else None
    except NanosegError:
        return {}
    return record if isinstance(record, dict) else {}


def write_run_record(path: str | Path, record: Mapping[str, Any]) -> None:
    """Write a record as YAML, atomically.

    Raises
    ------
    NanosegError
        When the file cannot be written.
    """
    write_text(path, yaml.safe_dump(dict(record), sort_keys=False, allow_unicode=True))


def sha256(path: str | Path) -> str:
    """Hash a file's content, or a folder's sorted relative names and contents (hidden files left out).

    Raises
    ------
    NanosegError
        When there is no such file or folder, or it cannot be read.
    """
    path = Path(path)
    try:
        if path.is_file():
            return _hash_file(path)
        if not path.is_dir():
            raise NanosegError(f"There is no file or folder {path}; check its name.")
        digest = hashlib.sha256()
        for name in sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()):
            if not any(part.startswith(".") for part in name.split("/")):
                content = _hash_file(path / name)
                digest.update(f"{name}\0{content}\n".encode())
        return digest.hexdigest()
    except OSError as error:
        raise NanosegError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            checkpoint()
    return digest.hexdigest()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _plain(value: Any) -> Any:
    """Figures as plain values that YAML can hold (NumPy scalars and arrays, paths, tuples)."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value
