"""Removing a layer does not crash the window."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("napari")

SCRIPT = """
import time
import napari, numpy as np
from qtpy.QtWidgets import QApplication

def settle():
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        QApplication.processEvents()

viewer = napari.Viewer()
viewer.window.add_plugin_dock_widget("napari-nanoseg", "NanoSeg")
for number in range(3):
    lower, upper = viewer.add_image(np.eye(90)), viewer.add_image(np.eye(90))
    settle()
    viewer.layers.remove(lower)
    settle()
    viewer.add_labels(np.eye(90, dtype=int))
    settle()
    viewer.layers.remove(upper)
    settle()
viewer.close()
print("alive")
"""


@pytest.mark.gui
def test_layers_may_be_removed_while_the_dock_is_open() -> None:
    """In a process of its own: the fault would end this one."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "alive"), done.stderr[-2000:]
