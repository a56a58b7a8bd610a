"""A window with results in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread

from napari_nanoseg import NanosegError

pytest.importorskip("napari")

from napari_nanoseg._gui.contributions import sample_annotated
from napari_nanoseg._gui.show import show


@pytest.mark.gui
def test_the_picture_of_the_window_shows_the_particles(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    show(sample_annotated(), select="particles: annotated", filled=["particles: annotated"], screenshot=picture)
    pixels = imread(picture)[..., :3].astype(int)
    assert pixels.shape[0] > 500
    assert pixels.shape[1] > 800
    # eight particles of 57 pixels make 2.7 % of the micrograph, which fills about half of the window
    yellow = (pixels[..., 0] > 130) & (pixels[..., 1] > 120) & (pixels[..., 2] < 0.6 * pixels[..., 1])
    assert 0.005 < np.mean(yellow) < 0.05
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


@pytest.mark.gui
def test_a_picture_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NanosegError, match="Cannot write"):
        show(sample_annotated(), screenshot=tmp_path / "file" / "picture.png")
