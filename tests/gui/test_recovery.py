"""What was drawn in a window that crashed comes back in the next."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

napari = pytest.importorskip("napari")

from napari.components import ViewerModel  # noqa: E402
from napari.layers import Image, Labels  # noqa: E402
from qtpy.QtWidgets import QLabel, QPushButton  # noqa: E402

from napari_nanoseg._gui.offers import Offers  # noqa: E402
from napari_nanoseg._gui.recovery import Recovery, recovery_of  # noqa: E402
from napari_nanoseg._gui.session import session_of  # noqa: E402
from napari_nanoseg.io.recovery import leftovers  # noqa: E402

CRASHES = """
import os, sys
import numpy as np
from napari.components import ViewerModel
from qtpy.QtCore import QCoreApplication
from qtpy.QtTest import QTest
from napari_nanoseg._gui import recovery
from napari_nanoseg._gui.session import session_of
from napari_nanoseg.io.places import recovery_folder

application = QCoreApplication([])
recovery.SETTLED_MS = 20
viewer = ViewerModel()
viewer.add_image(np.eye(90), name="wires", metadata={"source": sys.argv[2]})
layer = viewer.add_labels(np.zeros((90, 90), np.int32), name="drawn ü", scale=(2.5, 2.5), units="nm")
session = session_of(viewer)
session.put("image", viewer.layers["wires"])
session.put("particles", layer)
recovery.recovery_of(session)
for label in range(1, 5):
    corner = 20 * label
    layer.paint_polygon([[corner, 5], [corner, 15], [corner + 9, 15], [corner + 9, 5]], label)
    written = len(list(recovery_folder().rglob("*.npz")))
    for _ in range(500):
        QTest.qWait(10)
        if len(list(recovery_folder().rglob("*.npz"))) > written:
            break
layer.undo()
QTest.qWait(200)
np.save(sys.argv[1], layer.data)
os._exit(9)
"""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_nanoseg._gui.recovery.SETTLED_MS", 10)


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = ViewerModel()
    image = viewer.add_image(np.random.default_rng(0).random((60, 80)), name="wires")
    layer = viewer.add_labels(np.zeros((60, 80), np.int32), name="drawn", scale=(2.5, 2.5), units="nm")
    session = session_of(viewer)
    session.put("image", image)
    session.put("particles", layer)
    return viewer


def square(layer: Labels, label: int, row: int, column: int) -> None:
    layer.paint_polygon([[row, column], [row, column + 8], [row + 8, column + 8], [row + 8, column]], label)


def written(home: Path) -> list[Path]:
    return list(home.rglob("*.npz"))


def idle(recovery: Recovery) -> bool:
    return not recovery._writer.busy and not recovery._settled.isActive()


def end(viewer: ViewerModel, qtbot: Any) -> None:
    """The window is closed: its layers go."""
    until(qtbot, lambda: idle(recovery_of(session_of(viewer))))
    viewer.layers.clear()


def offers_of(viewer: ViewerModel, qtbot: Any) -> Offers:
    offers = Offers(session_of(viewer))
    qtbot.addWidget(offers)
    offers.look()
    return offers


def until(qtbot: Any, condition: Callable[[], object]) -> None:
    """Wait, also on a busy computer."""
    qtbot.waitUntil(condition, timeout=30_000)


def press(offers: Offers, text: str) -> None:
    next(button for button in offers.findChildren(QPushButton) if button.text() == text).click()


def test_a_killed_process_loses_nothing(tmp_path: Path, qtbot: Any) -> None:
    truth = tmp_path / "truth.npy"
    done = subprocess.run([sys.executable, "-c", CRASHES, str(truth), ""], capture_output=True, text=True, timeout=120)
    assert done.returncode == 9, done.stderr
    viewer = ViewerModel()
    offers = offers_of(viewer, qtbot)
    (text,) = [label.text() for label in offers.findChildren(QLabel)]
    assert text.startswith("The annotation 'drawn ü' from ")
    assert text.endswith("(3 particles) was not saved.")
    with qtbot.waitSignal(offers.said, timeout=30_000) as said:
        press(offers, "Restore")
    assert "Open the image 'wires'" in said.args[0]
    until(qtbot, lambda: "drawn ü" in viewer.layers)
    layer = viewer.layers["drawn ü"]
    np.testing.assert_array_equal(layer.data, np.load(truth))
    assert layer.data.dtype == np.int32
    np.testing.assert_array_equal(layer.scale, (2.5, 2.5))
    assert str(layer.units[0]) == "nanometer"
    assert session_of(viewer).particles is layer
    assert offers.isHidden()
    end(viewer, qtbot)


def test_the_image_comes_back_with_its_annotation(viewer: ViewerModel, qtbot: Any, tmp_path: Path) -> None:
    from napari_nanoseg import Image as OurImage
    from napari_nanoseg.io.images import write_image

    pixels = (255 * viewer.layers["wires"].data).astype(np.uint8)
    write_image(tmp_path / "wires.tif", OurImage(pixels))
    viewer.layers["wires"].metadata["source"] = str(tmp_path / "wires.tif")
    recovery_of(session_of(viewer))
    square(viewer.layers["drawn"], 1, 10, 10)
    end(viewer, qtbot)
    other = ViewerModel()
    offers = offers_of(other, qtbot)
    press(offers, "Restore")
    until(qtbot, lambda: len(other.layers) == 2)
    assert isinstance(other.layers["wires"], Image)
    np.testing.assert_array_equal(other.layers["wires"].data, pixels)
    assert session_of(other).image is other.layers["wires"]
    end(other, qtbot)


def test_nothing_is_written_of_a_layer_that_nobody_draws_in(viewer: ViewerModel, qtbot: Any, home: Path) -> None:
    recovery = recovery_of(session_of(viewer))
    layer = viewer.layers["drawn"]
    layer.contour = 2
    layer.visible = False
    layer.visible = True
    assert idle(recovery)
    square(layer, 1, 5, 5)
    until(qtbot, lambda: len(written(home)) == 1)
    end(viewer, qtbot)


def test_undo_is_written_too(viewer: ViewerModel, qtbot: Any, home: Path) -> None:
    recovery_of(session_of(viewer))
    layer = viewer.layers["drawn"]
    square(layer, 1, 5, 5)
    until(qtbot, lambda: len(written(home)) == 1)
    square(layer, 2, 30, 30)
    until(qtbot, lambda: len(written(home)) == 2)
    layer.undo()
    until(qtbot, lambda: len(written(home)) == 3)
    end(viewer, qtbot)
    (leftover,), _ = leftovers()
    assert leftover.about.particles == 1


def test_what_was_saved_is_not_kept(viewer: ViewerModel, qtbot: Any, home: Path) -> None:
    recovery = recovery_of(session_of(viewer))
    layer = viewer.layers["drawn"]
    square(layer, 1, 5, 5)
    until(qtbot, lambda: len(written(home)) == 1)
    recovery.saved(layer, layer.data * 0)
    until(qtbot, lambda: idle(recovery))
    assert len(written(home)) == 1, "something else was saved"
    recovery.saved(layer, layer.data.copy())
    until(qtbot, lambda: not written(home))
    square(layer, 2, 30, 30)
    until(qtbot, lambda: len(written(home)) == 1)
    end(viewer, qtbot)


def test_what_was_just_drawn_is_written_when_the_application_ends(
    viewer: ViewerModel, qtbot: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_nanoseg._gui.recovery.SETTLED_MS", 10**6)
    recovery = recovery_of(session_of(viewer))
    square(viewer.layers["drawn"], 1, 5, 5)
    assert not written(home)
    recovery.write_now()
    assert len(written(home)) == 1
    end(viewer, qtbot)


def test_discarding_removes_it_for_good(viewer: ViewerModel, qtbot: Any, home: Path) -> None:
    recovery_of(session_of(viewer))
    square(viewer.layers["drawn"], 1, 5, 5)
    until(qtbot, lambda: len(written(home)) == 1)
    end(viewer, qtbot)
    other = ViewerModel()
    offers = offers_of(other, qtbot)
    assert not offers.isHidden()
    press(offers, "Discard")
    assert offers.isHidden()
    assert not written(home)


def test_a_damaged_file_is_one_sentence_and_stays(viewer: ViewerModel, qtbot: Any, home: Path) -> None:
    recovery_of(session_of(viewer))
    square(viewer.layers["drawn"], 1, 5, 5)
    until(qtbot, lambda: len(written(home)) == 1)
    end(viewer, qtbot)
    written(home)[0].write_bytes(b"PK damaged")
    other = ViewerModel()
    offers = offers_of(other, qtbot)
    with qtbot.waitSignal(offers.said, timeout=30_000) as said:
        press(offers, "Restore")
    assert "damaged and cannot be restored" in said.args[0]
    assert written(home)


def test_a_full_disk_is_told(viewer: ViewerModel, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recovery = recovery_of(session_of(viewer))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("napari_nanoseg.io.recovery.np.savez_compressed", full)
    with qtbot.waitSignal(recovery.failed, timeout=30_000) as failed:
        square(viewer.layers["drawn"], 1, 5, 5)
    assert "disk is full" in failed.args[0]
    end(viewer, qtbot)
