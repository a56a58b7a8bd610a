"""Reading files of weights that are pickles, without running what else a pickle can hold."""

from __future__ import annotations

import codecs
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_nanoseg.errors import NanosegError


def _empty_array(kind: type[Any], shape: Any, code: Any) -> Any:
    """An array that its pickle fills afterwards; numpy's own takes any class and any size."""
    if kind is not np.ndarray or tuple(shape) != (0,):
        raise pickle.UnpicklingError("not a plain array")
    return np.empty(0, np.uint8)


def _from_buffer(content: Any, kind: Any, shape: Any, order: str, axes: Any = None) -> Any:
    """An array as protocol 5 writes it."""
    flat = np.frombuffer(content, np.dtype(kind))
    return flat.reshape(shape).transpose(axes) if order == "K" else flat.reshape(shape, order=order)  # type: ignore[call-overload]


def _encoded(text: str, encoding: str) -> bytes:
    """Bytes as Python 2 and old protocols write them."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError("not plain bytes")
    return codecs.latin_1_encode(text)[0]


_CORES = ("numpy.core", "numpy._core")
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encoded,
    **{(f"{core}.multiarray", "_reconstruct"): _empty_array for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): _from_buffer for core in _CORES},
}


class _Arrays(pickle.Unpickler):
    """Knows plain containers and numpy arrays, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name}") from None


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a ``.pth`` or ``.pkl`` of Detectron2 by their names.

    Raises
    ------
    NanosegError
        When the file is damaged, holds anything that could run code, or is not such weights.
    """
    try:
        content = _pickled(path) if path.suffix.lower() == ".pkl" else _torch_file(path)
    except OSError as error:
        raise NanosegError(f"{path} cannot be read ({error.strerror}); check the path and its permissions.") from error
    except pickle.UnpicklingError as error:
        raise NanosegError(
            f"{path} is damaged, or holds more than numbers, which could run any code and is not read; save the "
            "weights alone."
        ) from error
    except (RuntimeError, ValueError, TypeError, EOFError, AttributeError, KeyError, IndexError, MemoryError) as error:
        raise NanosegError(f"{path} is damaged; copy or download it again.") from error
    return _tensors(content, path)


def _pickled(path: Path) -> Any:
    with path.open("rb") as file:
        return _Arrays(file, encoding="latin1").load()


def _torch_file(path: Path) -> Any:
    # Detectron2 also saves numpy arrays, which torch only reads when their parts are named
    arrays: list[Any] = [(allowed, f"{module}.{name}") for (module, name), allowed in _ALLOWED.items()]
    arrays += [type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "u1", "?")]
    with torch.serialization.safe_globals(arrays):
        return torch.load(path, map_location="cpu", weights_only=True)


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
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            tensors[str(name)] = torch.from_numpy(np.array(value))
        elif isinstance(value, Tensor):
            tensors[str(name)] = value
        else:
            raise NanosegError(f"{path}: {name} is not a tensor; choose the weights of a model of Detectron2.")
    return tensors
