"""Neither removing a layer nor loading a network crashes the window."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("napari")

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.engines.maskrcnn.model import MaskRCNNModel

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


SEGMENTING = """
import sys, time
from pathlib import Path
import napari, numpy as np
from qtpy.QtWidgets import QApplication
from napari_nanoseg._gui.segment import Segment

def settle(seconds, done=lambda: False):
    until = time.monotonic() + seconds
    while time.monotonic() < until and not done():
        QApplication.processEvents()

viewer = napari.Viewer()
viewer.add_image(np.random.default_rng(0).integers(0, 255, (96, 96), np.uint8))
dock = Segment(viewer)
viewer.window.add_dock_widget(dock)
dock.models.choose(Path(sys.argv[1]))
settle(1)
dock.panel.start_clicked.emit()
settle(1)
settle(90, lambda: not dock.panel.running)
settle(1)
print("torchvision" in sys.modules, len(viewer.layers) > 1)
viewer.close()
"""


@pytest.mark.gui
def test_layers_may_be_removed_while_the_dock_is_open() -> None:
    """In a process of its own: the fault would end this one."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "alive"), done.stderr[-2000:]


@pytest.mark.gui
def test_a_network_of_torchvision_may_be_loaded_while_a_window_is_open(tmp_path: Path) -> None:
    """In a process of its own, without what conftest.py keeps away."""
    card = ModelCard(network=MaskRCNNConfig(), working_diameter=16, training_diameter=16)
    MaskRCNNModel.from_card(card).save(tmp_path / "model")
    words = [sys.executable, "-c", SEGMENTING, str(tmp_path / "model")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stdout.strip()) == (0, "True True"), done.stderr[-2000:]
