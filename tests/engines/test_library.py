"""Loading a model."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("model", ["starter", "watershed"])
def test_a_model_that_is_no_mask_r_cnn_does_without_torchvision(model: str) -> None:
    script = f"""
import sys
import numpy as np
from napari_nanoseg import load_model
load_model({model!r}).segment(np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8))
assert "torchvision" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
