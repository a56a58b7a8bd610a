"""What makes a window pause while a job runs in a thread beside it, kept short.

Measured with `benchmarks/responsiveness.py` on two cores:

* napari compiles how it draws labels when the first ones are drawn: 1 to 2 s once after its installation.
* Python's collector walks through all that is loaded, again and again while a job loads more: 0.25 s each time for the
  430,000 objects of napari and torch.
* After each call into OpenGL the window waits for Python's lock until the job's thread hands it over, after 5 ms by
  default: drawing the first progress bar took 0.26 to 0.37 s, with 1 ms less than 0.2 s.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

import numpy as np
from napari.layers import Labels

from napari_nanoseg.events import checkpoint

HAND_OVER_S = 0.001
POLL_S = 0.1


@cache
def shorten_pauses() -> threading.Event:
    """Begin with it, once in a process; the event tells when labels can be drawn without compiling."""
    gc.freeze()
    sys.setswitchinterval(min(sys.getswitchinterval(), HAND_OVER_S))
    compiled = threading.Event()
    # made here, because napari changes the warning filters of the whole program meanwhile; bytes are not compiled for
    layer = Labels(np.zeros((2, 2), np.uint8), name="never shown")
    # no daemon: a compiler that the end of the program stops crashes
    threading.Thread(target=_compile, args=(layer, compiled), name="nanoseg-compiling").start()
    return compiled


def drawable() -> None:
    """Wait until labels can be drawn without compiling; a part of jobs that end with labels."""
    compiled = shorten_pauses()
    while not compiled.wait(POLL_S):
        checkpoint()


def shapes_drawable() -> None:
    """Let napari compile what draws shapes: 4 s once after its installation, 0.7 s in every process; for a thread."""
    with suppress(ImportError):  # napari's own, not public: without it, the first shapes keep the window waiting
        from napari.layers.shapes._accelerated_triangulate_dispatch import warmup_numba_cache

        warmup_numba_cache()


@contextmanager
def importing(name: str) -> Iterator[None]:
    """Import a large module for the first time: the collector rests, and will not look at what is there then."""
    if name in sys.modules:
        yield
        return
    rests = not gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if not rests:
            gc.enable()


def _compile(layer: Labels, compiled: threading.Event) -> None:
    try:
        layer.data = np.zeros((2, 2), np.int32)
    finally:
        compiled.set()
