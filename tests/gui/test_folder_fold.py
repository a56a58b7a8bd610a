"""Many images at once from the Segment dock."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QGuiApplication

from napari_nanoseg import read_labels
from napari_nanoseg._gui.segment import Segment
from napari_nanoseg._gui.session import session_of
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.io.images import read_image, write_image, write_labels
from napari_nanoseg.io.tables import read_table
from napari_nanoseg.samples import Sample


@pytest.fixture
def dock(qtbot: QtBot, disc_model: Path) -> Segment:
    viewer = ViewerModel()
    session_of(viewer).put("model", disc_model)
    dock = Segment(viewer)
    dock._viewer = viewer  # type: ignore[attr-defined]  # the session holds it weakly
    qtbot.addWidget(dock)
    dock.folder.open()
    return dock


@pytest.fixture
def images(tmp_path: Path, make_sample: Callable[..., Sample]) -> Path:
    folder = tmp_path / "grid 3"
    for number, name in enumerate(("a", "b"), 1):
        write_image(folder / f"{name}.tif", make_sample(name, number).image)
    return folder


def test_a_folder_is_segmented_and_measured(dock: Segment, images: Path, disc_model: Path, qtbot: QtBot) -> None:
    dock.folder.images.choose(images)
    assert dock.folder.out.path == images.with_name("grid 3-labels")
    with qtbot.waitSignal(dock.panel.ended, timeout=60_000):
        dock.folder.start_button.click()
    out = images.with_name("grid 3-labels")
    for name in ("a", "b"):
        alone = load_model(disc_model).segment(read_image(images / f"{name}.tif")).to_labels()
        assert (np.asarray(read_labels(out / f"{name}.tif")) == alone).all()
    table = read_table(out / "particles.csv")
    assert set(table["image"]) == {"a", "b"}
    assert "equivalent_diameter_nm" in table
    assert f"{len(table)} particles found in 2 images" in dock.panel.messages.texts("info")[0]


def test_its_command_does_both(dock: Segment, images: Path) -> None:
    dock.folder.images.choose(images)
    dock.folder.copy_button.click()
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    words = shlex.split(clipboard.text())
    first, second = words[: words.index("&&")], words[words.index("&&") + 1 :]
    assert first[:2] == ["nanoseg", "segment"]
    assert str(images) in first
    assert second[:2] == ["nanoseg", "measure"]
    assert second[-1] == str(images.with_name("grid 3-labels") / "particles.csv")


def test_what_is_missing_is_said(dock: Segment, tmp_path: Path, qtbot: QtBot) -> None:
    dock.folder.start_button.click()
    assert "No folder of images is chosen" in dock.panel.messages.texts("error")[0]
    dock.folder.images.choose(tmp_path / "empty")
    with qtbot.waitSignal(dock.panel.failed, timeout=30_000):
        dock.folder.start_button.click()
    assert "There is no image" in dock.panel.messages.texts("error")[0]


def test_a_second_time_corrections_stay_and_all_is_checked_before_the_work(
    dock: Segment, images: Path, qtbot: QtBot
) -> None:
    def started(*, ends: str) -> None:
        with qtbot.waitSignal(getattr(dock.panel, ends), timeout=60_000):
            dock.folder.start_button.click()

    dock.folder.images.choose(images)
    started(ends="done")
    out = images.with_name("grid 3-labels")
    (out / "b.tif").unlink()
    (out / "a.tif").unlink()
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    started(ends="failed")
    assert "particles.csv is there already" in dock.panel.messages.texts("error")[0]
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before, "segmented, and then refused"
    dock.folder.overwrite.setChecked(True)
    started(ends="done")
    labels = np.asarray(read_labels(out / "a.tif"))
    labels[:5, :5] = labels.max() + 1
    write_labels(out / "a.tif", labels)
    mine = (out / "a.tif").read_bytes()
    started(ends="failed")
    assert "a.tif was corrected" in dock.panel.messages.texts("error")[0]
    dock.folder.resume.setChecked(True)
    started(ends="done")
    assert (out / "a.tif").read_bytes() == mine
    assert len(read_table(out / "particles.csv").query("image == 'a'")) == len(np.unique(labels)) - 1


def test_its_command_says_what_the_boxes_say(dock: Segment, images: Path) -> None:
    dock.folder.images.choose(images)
    assert not any(job.overwrite for job in dock.folder.jobs() if job is not None)
    dock.folder.overwrite.setChecked(True)
    dock.folder.copy_button.click()
    clipboard = QGuiApplication.clipboard()
    assert clipboard is not None
    assert shlex.split(clipboard.text()).count("--overwrite") == 2
