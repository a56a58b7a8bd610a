"""Loading torch beside a window that must go on drawing, and must not end.

This module must not import torch: it is imported and called first.
"""

from __future__ import annotations

import ctypes
import os
import sys
from importlib.util import find_spec
from pathlib import Path

LIBRARIES = ("global_deps", "cpu", "cuda", "python")
"""In the order of their dependencies; the CUDA ones are in no CPU-only installation."""


MAPS = Path("/proc/self/maps")
"""What Linux has loaded into this process."""


def preload() -> None:
    """Load torch's shared libraries without holding Python's lock (the GIL), so that the import after it is short.

    Importing torch alone stops all other threads for 0.4 s at once (2 cores, files in memory; 1.6 s from the disk),
    because the interpreter holds its lock while the system loads 2 GB of libraries; after this function, for 0.08 to
    0.11 s. To be called in a worker thread. Does nothing on Windows, where the libraries are found in another way, when
    torch is imported already, or when it is not there.
    """
    _keep_triton_out()
    if sys.platform == "win32" or "torch" in sys.modules:
        return
    found = find_spec("torch")
    if found is None or found.origin is None:
        return
    folder = Path(found.origin).parent / "lib"
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    # Called as a foreign function, dlopen runs without the lock; ctypes.CDLL(path) would keep it
    system = ctypes.CDLL(None)
    system.dlopen.restype = ctypes.c_void_p
    system.dlopen.argtypes = (ctypes.c_char_p, ctypes.c_int)
    for name in LIBRARIES:
        path = folder / f"libtorch_{name}{suffix}"
        if path.is_file():  # a library that cannot be loaded says why when torch is imported
            system.dlopen(os.fsencode(path), os.RTLD_NOW | (os.RTLD_GLOBAL if name == "global_deps" else os.RTLD_LOCAL))


def _keep_triton_out() -> None:
    """Let torch do without triton where Mesa, which draws windows without a graphics card, has brought its LLVM.

    Triton has an LLVM of its own; loading it beside the other ends the process, unsaved work included. torchvision
    imports it; only compiled networks need it, and nothing here compiles any.
    """
    if (
        "triton" not in sys.modules
        and MAPS.is_file()
        and "libLLVM" in MAPS.read_text(encoding="utf-8", errors="replace")
    ):
        sys.modules["triton"] = None  # type: ignore[assignment]
