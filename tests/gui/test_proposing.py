"""Particles that a model proposes: into an empty annotation only, taken back by one undo, and written nowhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Labels, Layer
from panels import finish, said
from pytestqt.qtbot import QtBot

from napari_nanoseg._gui import propose_button
from napari_nanoseg._gui.annotate import Annotate
from napari_nanoseg._gui.layers import image_layer
from napari_nanoseg._gui.propose_button import ProposeButton
from napari_nanoseg._gui.proposing import PROPOSED_BY
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.events import checkpoint
from napari_nanoseg.io.model_library import starter_folder
from napari_nanoseg.io.recovery import leftovers
from napari_nanoseg.samples import Sample


@pytest.fixture
def sample(make_sample: Callable[..., Sample]) -> Sample:
    return make_sample("a", 7)


@pytest.fixture
def dock(sample: Sample, qtbot: QtBot) -> Annotate:
    """The Annotate dock with a micrograph."""
    viewer = ViewerModel()
    viewer.add_layer(Layer.create(*image_layer(sample.image, "a")))
    made = Annotate(viewer)
    qtbot.addWidget(made)
    made.show()
    return made


def button(dock: Annotate) -> ProposeButton:
    return dock.findChild(ProposeButton)


def propose(dock: Annotate, qtbot: QtBot) -> Labels:
    assert button(dock).isEnabled(), button(dock).toolTip()
    button(dock).click()
    finish(qtbot, dock)
    layer = dock.session.particles
    assert layer is not None
    return layer


def counted(dock: Annotate, words: str, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: words in dock._summary.text(), timeout=20_000)


def test_a_proposal_is_what_the_chosen_model_finds_and_one_undo_takes_it_back(
    dock: Annotate, disc_model: Path, sample: Sample, qtbot: QtBot
) -> None:
    dock.session.put("model", disc_model)
    assert f"'{disc_model.name}'" in button(dock).toolTip()
    layer = propose(dock, qtbot)
    assert layer.name == "a: annotated"
    expected = load_model(disc_model).segment(sample.image).to_labels()
    np.testing.assert_array_equal(layer.data, expected)
    count = len(np.unique(expected)) - 1
    assert f"{count} particles proposed by 'mödel'. Remove wrong ones with D or Delete" in said(dock, "info")
    assert layer.metadata[PROPOSED_BY] == str(disc_model)
    assert layer.selected_label == count + 1
    counted(dock, f"{count} particles", qtbot)
    assert not button(dock).isEnabled()
    assert "is not empty; make a new annotation" in button(dock).toolTip()
    dock._recovery.write_now()
    assert leftovers() == ([], [])
    layer.undo()
    assert not layer.data.any()
    counted(dock, "No particles yet", qtbot)
    assert button(dock).isEnabled()
    layer.redo()
    np.testing.assert_array_equal(layer.data, expected)


def test_without_a_chosen_model_the_starter_proposes(dock: Annotate, qtbot: QtBot) -> None:
    assert dock.session.model is None
    assert "'starter'" in button(dock).toolTip()
    assert propose(dock, qtbot).metadata[PROPOSED_BY] == str(starter_folder())
    assert dock.session.model is None


def test_a_model_that_cannot_be_used_does_not_propose(dock: Annotate, tmp_path: Path) -> None:
    dock.session.put("model", tmp_path / "gone")
    assert "'starter'" in button(dock).toolTip()


@pytest.mark.usefixtures("without_starter")
def test_without_any_model_it_says_what_to_do(qtbot: QtBot, dock: Annotate) -> None:
    dock.session.put("model", None)
    assert not button(dock).isEnabled()
    assert button(dock).toolTip() == "To have particles proposed, choose a model in the Segment step."


def test_what_was_outlined_stays(dock: Annotate, disc_model: Path, sample: Sample, qtbot: QtBot) -> None:
    dock.session.put("model", disc_model)
    labels = dock.viewer.add_labels(np.zeros(sample.image.data.shape, np.int32), name="mine")
    dock.session.put("particles", labels)
    assert button(dock).isEnabled()
    labels.data[5:9, 5:9] = 1  # a script need not say so
    before = labels.data.copy()
    button(dock).click()
    assert said(dock) == "The layer 'mine' is not empty; make a new annotation to have particles proposed."
    assert not dock.running
    np.testing.assert_array_equal(labels.data, before)


def test_nothing_found_leaves_the_layer_empty(dock: Annotate, disc_model: Path, qtbot: QtBot) -> None:
    (image,) = dock.viewer.layers
    image.data = (np.arange(image.data.size).reshape(image.data.shape) % 2).astype(np.uint8)
    dock.session.put("model", disc_model)
    layer = propose(dock, qtbot)
    assert "No particle was found by 'mödel'. Outline them by hand" in said(dock, "info")
    assert not layer.data.any()
    assert PROPOSED_BY not in layer.metadata
    assert button(dock).isEnabled()


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Generator[threading.Event, None, None]:
    """Holds the model back until it is set."""

    go_on, real = threading.Event(), propose_button.propose

    def held(*arguments: Any) -> Any:
        while not go_on.wait(0.01):
            checkpoint()
        return real(*arguments)

    monkeypatch.setattr(propose_button, "propose", held)
    yield go_on
    go_on.set()


def test_a_proposal_for_an_image_that_is_not_chosen_any_more_names_it(
    dock: Annotate, disc_model: Path, sample: Sample, qtbot: QtBot, slowly: threading.Event
) -> None:
    dock.session.put("model", disc_model)
    image = dock.session.image
    button(dock).click()
    other = dock.viewer.add_image(sample.image.data, name="other")
    dock.session.put("image", other)
    slowly.set()
    finish(qtbot, dock)
    assert said(dock, "info").startswith(f"In '{image.name}': ")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("drawn", "is not empty"),
        ("removed", "was removed meanwhile"),
        ("image removed", "was removed meanwhile; choose an image"),
        ("cancelled", "Cancelled."),
        ("small", "cannot hold"),
        ("shape", "has 9 x 9 pixels"),
    ],
)
def test_what_happens_meanwhile_is_said_and_nothing_is_overwritten(
    change: str, words: str, dock: Annotate, disc_model: Path, sample: Sample, qtbot: QtBot, slowly: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    dock.session.put("model", disc_model)
    shape = (9, 9) if change == "shape" else sample.image.data.shape
    layer = dock.viewer.add_labels(np.zeros(shape, np.uint8), name="mine")
    dock.session.put("particles", layer)
    if change == "small":
        monkeypatch.setattr(np, "iinfo", lambda _: type("Small", (), {"max": 3}))
    button(dock).click()
    assert not button(dock).isEnabled()
    if change == "drawn":
        layer.data[5:9, 5:9] = 1
    elif change == "removed":
        dock.viewer.layers.remove(layer)
    elif change == "image removed":
        dock.viewer.layers.remove(dock.session.image)
    elif change == "cancelled":
        dock.panel.cancel_button.click()
    before = layer.data.copy()
    slowly.set()
    finish(qtbot, dock)
    assert words in said(dock) + said(dock, "info")
    np.testing.assert_array_equal(layer.data, before)
