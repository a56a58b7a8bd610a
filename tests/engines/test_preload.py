"""Torch's libraries come into the process without torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from napari_nanoseg.engines.preload import preload
preload()
assert "torch" not in sys.modules
with open("/proc/self/maps") as maps:
    assert "libtorch_cpu" in maps.read()
import torch
assert float(torch.ones(2).sum()) == 2
preload()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells what is loaded")
def test_the_libraries_are_loaded_before_torch_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_torch_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_nanoseg.engines import preload

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(preload, "find_spec", lambda name: None)
    monkeypatch.setattr(preload, "ctypes", None)
    preload.preload()
