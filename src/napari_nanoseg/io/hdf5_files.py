"""Reading HDF5 of unknown origin: only data that lie in the file itself, and no more of them than the file has."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.limits import MOST_WEIGHTS
from napari_nanoseg.reading import need_file

if TYPE_CHECKING:
    import h5py

MOST_OBJECTS, DEEPEST = 10_000, 50
"""Groups and data sets of a file of weights, and groups within each other; those of Keras have some hundred, and 5."""
MOST_LINKS = 32
"""Links that lead from one to the next."""


@contextmanager
def opened_weights(source: Path | bytes, where: Path) -> Iterator[h5py.File]:
    """Open a file of weights that is checked as a whole.

    Parameters
    ----------
    source : Path or bytes
        The file, or its content.
    where : Path
        The file, for sentences.

    Raises
    ------
    NanosegError
        When it has links, data in other files, compressed data, more objects or data than weights have, or declares
        more than it has.
    OSError
        When it is damaged.
    """
    import h5py

    size = need_file(source) if isinstance(source, Path) else len(source)
    if size > MOST_WEIGHTS:
        raise NanosegError(f"{where} has {size >> 20} MB, more than the {MOST_WEIGHTS >> 20} MB that weights may have.")
    with h5py.File(source if isinstance(source, Path) else io.BytesIO(source), "r") as file:
        declared = 0
        for name, item in _objects(file, where):
            if isinstance(item, h5py.Dataset):
                need_own_data(item, where, name)
                if item.id.get_create_plist().get_nfilters():
                    raise NanosegError(f"{where}: {name} is compressed, as weights of Keras never are; save them anew.")
                declared += item.size * item.dtype.itemsize if item.shape is not None else 0
        if declared > size:
            raise NanosegError(
                f"{where} declares {declared} bytes of weights and has {size}; copy or download the model again."
            )
        yield file


def need_own_data(dataset: h5py.Dataset, where: Path, name: str) -> None:
    """Refuse a data set whose values lie in other files.

    Raises
    ------
    NanosegError
        When they do.
    """
    if dataset.is_virtual or dataset.id.get_create_plist().get_external_count():
        raise NanosegError(
            f"{where}: the values of {name} lie in other files, which are not read; save them in one file (h5repack)."
        )


def own_dataset(file: h5py.File, name: str, where: Path) -> Any:
    """Look up what a name stands for, without following a link into another file.

    Returns
    -------
    h5py.Dataset, h5py.Group or None
        None where there is nothing of the name.

    Raises
    ------
    NanosegError
        When a link leads into another file.
    """
    import h5py

    parts, found, links = name.split("/"), file["/"], 0
    while parts:
        part = parts.pop(0)
        if part in ("", "."):
            continue
        link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
        if isinstance(link, h5py.ExternalLink):
            raise NanosegError(f"{where}: {name} lies in another file, {link.filename}; open that file.")
        if isinstance(link, h5py.SoftLink):
            links += 1
            if links > MOST_LINKS:
                return None
            found = file["/"] if link.path.startswith("/") else found
            parts = [*link.path.split("/"), *parts]
        elif link is None:
            return None
        else:
            found = found[part]
    return found


def own_group(file: h5py.File, name: str) -> h5py.Group:
    """A group of the file itself, or the whole file where there is none of the name."""
    import h5py

    return file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else file


def _objects(file: h5py.File, where: Path) -> Iterator[tuple[str, Any]]:
    """All groups and data sets, each once."""
    import h5py

    waiting, seen = [("", file["/"], 0)], set()
    while waiting:
        path, group, depth = waiting.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise NanosegError(f"{where}: {path}/{name} is a link, which is not followed; save the weights anew.")
            item = group[name]
            place = h5py.h5o.get_info(item.id).addr
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > MOST_OBJECTS or depth > DEEPEST:
                raise NanosegError(f"{where} has more groups and data sets than weights have; choose another file.")
            yield f"{path}/{name}", item
            if isinstance(item, h5py.Group):
                waiting.append((f"{path}/{name}", item, depth + 1))
