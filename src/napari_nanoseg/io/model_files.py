"""The files that make a model, out of a folder or a zip: read as a whole, and only when they are whole."""

from __future__ import annotations

import errno
import pickle
import stat
import zipfile
from collections.abc import Callable, Collection, Iterable
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath, PureWindowsPath

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.cdnet_files import CDNET_CONFIG, cdnet_config, cdnet_files, is_cdnet
from napari_nanoseg.io.cdnet_files import chosen_weights as chosen_cdnet_weights
from napari_nanoseg.io.detectron2_config import config_files, read_config
from napari_nanoseg.io.detectron2_files import (
    CONFIG_SUFFIXES,
    WEIGHTS_SUFFIXES,
    chosen_config,
    chosen_weights,
    detectron2_files,
    is_detectron2,
)
from napari_nanoseg.io.hdf5_files import opened_weights
from napari_nanoseg.io.keras_files import DAMAGED, KERAS_CONFIG, KERAS_WEIGHTS, is_keras_weights
from napari_nanoseg.io.limits import MOST_OTHER, MOST_WEIGHTS
from napari_nanoseg.io.model_cards import (
    CARD,
    HISTORY,
    KERAS_THRESHOLDS_FILE,
    NO_MODEL,
    PREVIEW,
    README,
    RUN,
    WEIGHTS,
    check_keras,
    parse_card,
)
from napari_nanoseg.io.zips import check_torch_file, opened_zip, read_entry
from napari_nanoseg.reading import need_file, read_file

OWN = (CARD, WEIGHTS, RUN, HISTORY, PREVIEW, README)
KERAS = (KERAS_CONFIG, KERAS_THRESHOLDS_FILE)

_Entry = tuple[str, int, Callable[[int], bytes]]
"""Name of a file in the model's folder, its size, and how it is read when it has no more than so many bytes."""


def read_model_files(path: Path) -> dict[str, bytes]:
    """Read the files of a model, and check them.

    Parameters
    ----------
    path : Path
        A folder or an exported zip of this project, a folder or zip of the original StarDist, or weights of Detectron2
        or CDNet or the folder of them. Other files in it are left alone.

    Returns
    -------
    dict
        Contents by name, without any folder. Of several weights of the original, the newest is the last.

    Raises
    ------
    NanosegError
        When it is not a model, it is damaged or too large, or a zip has links or paths that lead out of it.
    """
    try:
        if is_detectron2(path) and not _is_own_or_keras(path):
            weights, config = detectron2_files(path)
            files = _taken([_entry(file) for file in (weights, *config_files(config))], path)
        elif is_cdnet(path) and not _is_own_or_keras(path):
            files = _taken([_entry(file) for file in cdnet_files(path) if file is not None], path)
        elif path.is_dir():
            files = _taken(_in_folder(path), path)
        elif path.suffix.lower() == ".zip" and path.is_file():
            with opened_zip(path, path) as archive:
                files = _taken(_in_zip(archive, path), path)
        elif path.exists():
            raise NanosegError(f"{path} {NO_MODEL}")
        else:
            raise NanosegError(f"There is no model at {path}; check the path.")
    except OSError as error:
        reason = error.strerror or "it is damaged"
        raise NanosegError(f"{path} cannot be read ({reason}); check its permissions or copy it again.") from error
    _check(files, path)
    return files


def _in_folder(folder: Path) -> list[_Entry]:
    # the original takes the newest of several weights, so that their order has a meaning
    files = sorted((file for file in folder.iterdir() if file.is_file()), key=lambda file: file.stat().st_mtime_ns)
    return [_entry(file) for file in files]


def _entry(file: Path) -> _Entry:
    return file.name, need_file(file), partial(read_file, file)


def _is_own_or_keras(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (CARD, KERAS_CONFIG))


def _in_zip(archive: zipfile.ZipFile, path: Path) -> list[_Entry]:
    """Files beside the card or config that has the shortest path, and below."""
    entries = [(info.filename.replace("\\", "/"), info) for info in archive.infolist()]
    for name, info in entries:
        if stat.S_ISLNK(info.external_attr >> 16) or _leads_out(name):
            raise NanosegError(f"{path} is not taken: its entry '{name}' is a link or leads out of the folder.")
    found = [name for name, _ in entries if name.rsplit("/", 1)[-1] in (CARD, KERAS_CONFIG)] or [
        name for name, _ in entries if name.endswith((*WEIGHTS_SUFFIXES, *KERAS_WEIGHTS))
    ]
    if not found:
        raise NanosegError(f"{path}: there are neither {CARD} nor weights in this zip; it is not a model.")
    root = min(found, key=len).rpartition("/")[0]
    root = f"{root}/" if root else ""
    return [
        (name.removeprefix(root), info.file_size, partial(_unpacked, archive, info, path))
        for name, info in entries
        if name.startswith(root)
    ]


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, most: int) -> bytes:
    return read_entry(archive, entry, most, path)


def _leads_out(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts or bool(PureWindowsPath(name).drive)


def _taken(entries: Iterable[_Entry], path: Path) -> dict[str, bytes]:
    """Contents of those files that belong to a model."""
    known = {entry[0]: entry for entry in entries}
    others: Collection[str]
    if CARD in known:
        weights_of, others = [WEIGHTS], OWN
    elif KERAS_CONFIG in known:
        weights_of, others = [name for name in known if is_keras_weights(name)], KERAS
    elif any(name.endswith(WEIGHTS_SUFFIXES) for name in known):
        weights_of = [chosen_weights(known, path)]
        others = [name for name in known if name.endswith(CONFIG_SUFFIXES) and "/" not in name]
    elif any(is_keras_weights(name) for name in known):
        weights_of, others = [chosen_cdnet_weights(known, path)], [CDNET_CONFIG]
    else:
        raise NanosegError(f"{path} {NO_MODEL}")
    files, left = {}, MOST_WEIGHTS
    for name, size, read in known.values():
        weights = name in weights_of
        if not weights and name not in others:
            continue
        if size > (left if weights else MOST_OTHER):
            most = MOST_WEIGHTS if weights else MOST_OTHER
            raise NanosegError(f"{path}: with {name} it has more than {most >> 20} MB; that is no model for NanoSeg.")
        files[name] = read(left if weights else MOST_OTHER)
        left -= size if weights else 0
    return files


def _check(files: dict[str, bytes], path: Path) -> None:
    """See that the files are a whole model."""
    if CARD in files:
        card = parse_card(files[CARD], path / CARD)
        if not card.needs_weights:
            return
        if WEIGHTS not in files:
            raise NanosegError(f"{path} has no {WEIGHTS}; copy the whole model again.")
        if sha256(files[WEIGHTS]).hexdigest() not in card.weights_sha256:
            raise NanosegError(
                f"{path / WEIGHTS} is damaged: its hash is not the one in {CARD}; copy the whole model again."
            )
        return
    weights = [name for name in files if is_keras_weights(name)]
    if KERAS_CONFIG in files:
        check_keras(files, path)
        if not weights:
            raise NanosegError(f"{path}: there is no weights file (*.h5); copy the whole model again.")
    elif not weights:
        _check_detectron2(files, path)
    for name in weights:
        try:
            with opened_weights(files[name], path / name) as file:
                if KERAS_CONFIG not in files:
                    cdnet_config(file, files.get(CDNET_CONFIG), path)
        except DAMAGED as error:
            raise NanosegError(f"{path}: {name} is damaged; copy the whole model again.") from error


def _check_detectron2(files: dict[str, bytes], path: Path) -> None:
    """See that the config can be used, and the weights are not cut off; they are looked at when they are loaded."""
    weights = chosen_weights(files, path)

    def read(file: Path) -> bytes:
        if file.name not in files:
            raise FileNotFoundError(errno.ENOENT, "it is missing")
        return files[file.name]

    read_config(path / chosen_config(files, weights, path), read)
    content = files[weights]
    check_torch_file(content, path / weights, MOST_WEIGHTS)
    if content[:2] != b"PK" and not weights.endswith(".pth") and content[-1:] != pickle.STOP:
        raise NanosegError(f"{path}: {weights} is damaged; copy or download the whole model again.")
