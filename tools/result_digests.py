"""Digests of results: what of arrays, tables, weights and figures is the same whenever and wherever it was made."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any

import numpy as np

VOLATILE = frozenset({
    "date", "date_captured", "date_created", "elapsed_s", "finished", "images_per_second",
    "megavoxels_per_s", "pid", "platform", "remaining_s", "seconds", "started", "time of the volume", "training_s",
    "uuid", "versions",
})  # fmt: skip
"""Keys and columns whose values say when, where or how fast something was made."""
_DURATION = re.compile(r"\b\d+(?:\.\d+)? (?:s|seconds?|minutes?|hours?)\b")
_UUID = re.compile(r"urn:uuid:[0-9a-f-]{36}")
"""What OME-TIFFs are called, by chance."""
_HASH = re.compile(r"[0-9a-f]{64}")
LONGEST = 200
"""Characters of JSON that a manifest shows in full; longer ones it shows as a hash."""


class Digester:
    """Makes short, comparable descriptions of values and files.

    Parameters
    ----------
    results : Path
        The folder of all results; ``RESULTS`` stands for it wherever a text names it.
    places : mapping of Path to str
        Other folders, and the words that stand for them.
    """

    def __init__(self, results: Path, places: Mapping[Path, str]) -> None:
        words = {str(folder): word for folder, word in places.items()} | {str(results): "RESULTS"}
        self._places = sorted(words.items(), key=lambda place: -len(place[0]))

    def value(self, value: Any) -> Any:
        """Describe a value by JSON that is equal when, and only when, the value is."""
        plain = self._plain(value)
        text = json.dumps(plain, sort_keys=True)
        return plain if len(text) <= LONGEST else f"{type(plain).__name__} {_short(text.encode())}"

    def file(self, path: Path) -> Any:
        """Describe a file by what it holds."""
        return self._content(path.name, path.read_bytes())

    def files(self, folder: Path) -> dict[str, Any]:
        """Describe all files in a folder by their relative paths; a Zarr folder counts as one file."""
        found: dict[str, Any] = {}
        arrays: dict[str, dict[str, str]] = {}
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            head, zarr, inner = name.partition(".zarr/")
            if zarr:
                arrays.setdefault(f"{head}.zarr", {})[inner] = _short(path.read_bytes())
            else:
                found[name] = self.file(path)
        return found | {name: self.value(chunks) for name, chunks in arrays.items()}

    def text(self, text: str) -> str:
        """Take out of a text what is another each time: places, durations, random names."""
        for folder, word in self._places:
            text = text.replace(folder, word)
        return _UUID.sub("#", _DURATION.sub("# s", text))

    def _content(self, name: str, content: bytes) -> Any:
        kind = PurePath(name).suffix.lower()
        reader = {
            ".tif": self._tiff, ".tiff": self._tiff, ".png": self._picture, ".csv": self._table,
            ".xlsx": self._workbook, ".json": self._json, ".yaml": self._yaml, ".npz": self._npz,
            ".safetensors": self._safetensors,
            ".pt": self._torch, ".pth": self._torch, ".h5": self._hdf5, ".hdf5": self._hdf5, ".zip": self._zip,
        }.get(kind)  # fmt: skip
        return f"{len(content)} bytes {_short(content)}" if reader is None else reader(content)

    def _tiff(self, content: bytes) -> Any:
        from tifffile import TiffFile

        with TiffFile(BytesIO(content)) as file:
            tags = {
                name: str(file.pages.first.tags[name].value)
                for name in ("ImageDescription", "XResolution", "YResolution", "ResolutionUnit")
                if name in file.pages.first.tags
            }
            return self.value([file.asarray(), tags])

    def _picture(self, content: bytes) -> Any:
        from PIL import Image

        return self.value(np.asarray(Image.open(BytesIO(content))))

    def _table(self, content: bytes) -> Any:
        return self._rows(list(csv.reader(content.decode("utf-8-sig").splitlines())))

    def _workbook(self, content: bytes) -> Any:
        from pandas import read_excel

        return self.value(read_excel(BytesIO(content), sheet_name=None, header=None))

    def _rows(self, rows: list[list[str]]) -> Any:
        kept = [at for at, name in enumerate(rows[0]) if name not in VOLATILE] if rows else []
        return self.value([[row[at] for at in kept if at < len(row)] for row in rows])

    def _json(self, content: bytes) -> Any:
        return self.value(json.loads(content))

    def _yaml(self, content: bytes) -> Any:
        from yaml import safe_load

        return self.value(safe_load(content))

    def _npz(self, content: bytes) -> Any:
        with np.load(BytesIO(content)) as arrays:
            return self.value(dict(arrays))

    def _safetensors(self, content: bytes) -> Any:
        from safetensors.numpy import load

        return self.value(load(content))

    def _torch(self, content: bytes) -> Any:
        import torch

        return self.value(torch.load(BytesIO(content), map_location="cpu", weights_only=True))

    def _hdf5(self, content: bytes) -> Any:
        import h5py

        found: dict[str, Any] = {}

        def visit(name: str, item: Any) -> None:
            found[name] = [dict(item.attrs), item[()] if isinstance(item, h5py.Dataset) else None]

        with h5py.File(BytesIO(content)) as file:
            file.visititems(visit)
            return self.value([dict(file.attrs), found])

    def _zip(self, content: bytes) -> Any:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            return self.value({name: self._content(name, archive.read(name)) for name in sorted(archive.namelist())})

    def _plain(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int)):
            return value
        if isinstance(value, float):
            return repr(value)  # JSON knows neither NaN nor -0.0 apart
        if isinstance(value, (str, PurePath)):
            return self.text(str(value))
        if isinstance(value, bytes):
            return _short(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): self._plain_under(key, item) for key, item in value.items() if key not in VOLATILE
            }
        if isinstance(value, (set, frozenset)):
            return sorted((self._plain(item) for item in value), key=repr)
        if isinstance(value, (list, tuple)):
            return [self._plain_under(before, item) for before, item in zip([None, *value], value, strict=False)]
        return self._plain_object(value)

    def _plain_under(self, key: Any, value: Any) -> Any:
        """Leave out a hash beside the path of an input that is itself a result, which may have a date in it."""
        is_result = isinstance(value, str) and _HASH.fullmatch(value) and "RESULTS" in self.text(str(key))
        return "hash" if is_result else self._plain(value)

    def _plain_object(self, value: Any) -> Any:
        if hasattr(value, "detach"):  # a tensor
            value = value.detach().cpu().numpy()
        if isinstance(value, np.generic):
            value = value.item()
            return self._plain(value) if isinstance(value, (bool, int, float, str)) else repr(value)
        if isinstance(value, np.ndarray):
            if value.dtype.hasobject:
                return self._plain(value.tolist())
            return f"{value.dtype} {value.shape} {_short(np.ascontiguousarray(value).tobytes())}"
        if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a data frame
            return {str(name): self._plain(np.asarray(value[name])) for name in value.columns}
        if hasattr(value, "model_dump"):
            return self._plain(value.model_dump(mode="json"))
        if is_dataclass(value):
            return {field.name: self._plain(getattr(value, field.name)) for field in fields(value)}
        return self.text(re.sub(r" at 0x[0-9a-f]+", "", repr(value)))


def _short(content: bytes) -> str:
    return sha256(content).hexdigest()[:16]
