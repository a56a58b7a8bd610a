"""Reading files of weights that are pickles, without running what else a pickle can hold."""

from __future__ import annotations

import io
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_nanoseg.engines.torch_files import load_torch
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.limits import MOST_WEIGHTS
from napari_nanoseg.reading import read_file

_ADVICE = "save the weights alone, or copy or download them again"


class _Type:
    """Stands for ``numpy.dtype``: types of numbers only, where numpy's own takes any state."""

    def __init__(self, code: str, align: Any = False, copy: Any = False) -> None:
        if not re.fullmatch(r"f[248]|[iu][1248]|b1", code):
            raise pickle.UnpicklingError("not a type of numbers")
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if any(part is not None for part in state[2:5]) or state[1] not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError("not a type of numbers")
        self.order = state[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


class _Array:
    """Stands for ``numpy.ndarray``: has as many numbers as its pickle, where numpy's own takes any size."""

    values: NDArray[Any] | None = None

    def __init__(self, *size: Any) -> None:
        if size:
            raise pickle.UnpicklingError("an array without its numbers")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_columns, content = state
        self.fill(content, kind, shape, "F" if by_columns else "C")

    def fill(self, content: Any, kind: Any, shape: Any, order: str) -> None:
        if isinstance(content, str):  # as Python 2 writes bytes
            content = content.encode("latin-1")
        if not isinstance(kind, _Type) or not isinstance(content, (bytes, bytearray)):
            raise pickle.UnpicklingError("not an array of numbers")
        if min(shape, default=0) < 0 or math.prod(shape) * kind.dtype.itemsize != len(content):
            raise pickle.UnpicklingError("an array of another size than its numbers")
        flat = np.frombuffer(content, kind.dtype).astype(kind.dtype.newbyteorder("="))
        self.values = flat.reshape(shape, order="F" if order == "F" else "C")


def _empty_array(kind: Any, shape: Any, code: Any) -> _Array:
    """An array that its pickle fills afterwards."""
    if kind is not _Array or tuple(shape) != (0,):
        raise pickle.UnpicklingError("not a plain array")
    return _Array()


def _from_buffer(content: Any, kind: Any, shape: Any, order: str, axes: Any = None) -> _Array:
    """An array as protocol 5 writes it."""
    array = _Array()
    array.fill(content, kind, shape, order)
    if order == "K" and array.values is not None:
        array.values = array.values.transpose(axes)
    return array


def _encoded(text: str, encoding: str) -> bytes:
    """Bytes as Python 2 and old protocols write them."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("not plain bytes")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    """No bytes at all, as old protocols write them."""
    return b""


def _ordered(pairs: Any = ()) -> OrderedDict[str, Any]:
    """An ordered dictionary by names."""
    return OrderedDict((_name(name), value) for name, value in pairs)


def _name(key: Any) -> Any:
    """Refuse keys that contain others: for nested ones, looking up a single one can take for ever."""
    if not isinstance(key, (str, bytes, int)):
        raise pickle.UnpicklingError("not a name")
    return key


_CORES = ("numpy.core", "numpy._core")
_NUMPY: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encoded,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
    **{(f"{core}.multiarray", "_reconstruct"): _empty_array for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): _from_buffer for core in _CORES},
}
_ALLOWED = {**_NUMPY, ("collections", "OrderedDict"): _ordered}
_FORBIDDEN = (
    *(pickle.PERSID, pickle.BINPERSID, pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX),
    *(pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
    *(pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET),
)
"""Instructions of pickles that make objects, sets, or ask for what lies elsewhere."""


_Unpickler: Any = pickle._Unpickler


class _Arrays(_Unpickler):  # type: ignore[misc]
    """Knows plain containers and arrays of numbers, and nothing else.

    Python's own implementation, for that in C takes memory for numbers that a pickle only names.
    """

    dispatch = {code: load for code, load in _Unpickler.dispatch.items() if bytes([code]) not in _FORBIDDEN}  # noqa: RUF012

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name}") from None

    def load_build(self) -> None:
        state, filled = self.stack.pop(), self.stack[-1]
        if isinstance(filled, (_Array, _Type)):
            filled.__setstate__(state)
        elif not isinstance(filled, OrderedDict):  # of which only the values count
            raise pickle.UnpicklingError("not an array")

    def load_setitem(self) -> None:
        value, name = self.stack.pop(), self.stack.pop()
        self.stack[-1][_name(name)] = value

    def load_setitems(self) -> None:
        items = self.pop_mark()
        for name, value in zip(items[::2], items[1::2], strict=True):
            self.stack[-1][_name(name)] = value

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({_name(name): value for name, value in zip(items[::2], items[1::2], strict=True)})

    def load_bytearray8(self) -> None:
        self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems
    dispatch[pickle.DICT[0]] = load_dict
    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a ``.pth`` or ``.pkl`` of Detectron2 by their names.

    Raises
    ------
    NanosegError
        When the file is damaged, holds anything that could run code, or is not such weights.
    """
    return _tensors(_pickled(path) if path.suffix.lower() == ".pkl" else _torch_file(path), path)


def _pickled(path: Path) -> Any:
    content = read_file(path, MOST_WEIGHTS)
    try:
        return _Arrays(io.BytesIO(content), encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise NanosegError(
            f"{path} is damaged, or holds more than numbers, which could run any code and is not read; {_ADVICE}."
        ) from error
    except Exception as error:  # a damaged pickle fails with whatever its instructions happen to meet
        raise NanosegError(f"{path} is damaged; copy or download it again.") from error


def _torch_file(path: Path) -> Any:
    # Detectron2 also saves numpy arrays, which torch only reads when their parts are named
    arrays: list[Any] = [(allowed, f"{module}.{name}") for (module, name), allowed in _NUMPY.items()]
    with torch.serialization.safe_globals(arrays):
        return load_torch(path, _ADVICE)


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping):
        raise NanosegError(f"{path} holds no weights by name; choose the weights of a model of Detectron2.")
    state = content.get("model", content)
    if "blobs" in content or not isinstance(state, Mapping) or any(str(name).endswith("_w") for name in state):
        raise NanosegError(
            f"{path} has weights of Caffe2 (by 'blobs'), which cannot be used; load them in Detectron2 and save the "
            "model there."
        )
    tensors: dict[str, Tensor] = {}
    for name, value in state.items():
        if isinstance(value, _Array) and value.values is not None:
            tensors[str(name)] = torch.from_numpy(np.array(value.values))
        elif isinstance(value, Tensor):
            tensors[str(name)] = value
        else:
            raise NanosegError(f"{path}: {name} is not a tensor; choose the weights of a model of Detectron2.")
    return tensors
