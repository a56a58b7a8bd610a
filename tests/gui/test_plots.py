"""Curves and figures in a dock: scale, colours of the theme, sharpness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("qtpy")

from qtpy.QtGui import QColor, QImage
from qtpy.QtWidgets import QFileDialog

from napari_nanoseg import measure
from napari_nanoseg._gui.figure_view import FigureView, prepare
from napari_nanoseg._gui.plots import ON_DARK, ON_LIGHT, LossPlot
from napari_nanoseg._gui.ticks import linear_ticks, log_ticks
from napari_nanoseg.events import Epoch
from napari_nanoseg.measurement.distributions import distribution_figure

DARK, LIGHT = "* {background: #23242b; color: #f0f1f2}", "* {background: #ebe7e6; color: #1e1e21}"


def epoch(number: int, loss: float, validation: float, epochs: int = 10) -> Epoch:
    return Epoch(number, epochs, {"loss": loss, "prob": 9.0}, {"loss": validation}, 1.0, 2.0)


@pytest.fixture
def plot(qtbot) -> LossPlot:
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.resize(280, 160)
    return plot


def pixels(image: QImage) -> np.ndarray:
    image = image.convertToFormat(QImage.Format.Format_RGBA8888)
    flat = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    return flat.reshape(image.height(), image.bytesPerLine() // 4, 4)[:, : image.width(), :3].astype(int)


def has(picture: np.ndarray, colour: QColor) -> bool:
    return bool((np.abs(picture - colour.getRgb()[:3]).max(axis=2) < 12).sum() > 10)


def test_both_losses_become_curves(plot) -> None:
    assert plot.curves() == []
    for number in range(1, 4):
        plot.add(epoch(number, 1 / number, np.nan if number == 2 else 2 / number))
    assert plot.curves() == [("training", [(1, 1), (2, 0.5), (3, 1 / 3)]), ("validation", [(1, 2), (3, 2 / 3)])]
    assert "lowest validation 0.6667" in plot.toolTip()
    plot.clear()
    assert plot.curves() == []
    assert "appears here" in plot.toolTip()


def test_a_resumed_training_replaces_what_it_repeats(plot) -> None:
    for number in (1, 2, 3, 2):
        plot.add(epoch(number, number, number))
    assert plot.curves()[0][1] == [(1, 1), (2, 2)]


def test_the_scale_is_logarithmic_when_the_range_asks_for_it(plot) -> None:
    plot.add(epoch(1, 3, 4))
    assert not plot.logarithmic
    plot.add(epoch(2, 0.1, 1))
    assert plot.logarithmic
    plot.add(epoch(3, 0.0, 1))
    assert not plot.logarithmic


@pytest.mark.parametrize(("sheet", "colours"), [(DARK, ON_DARK), (LIGHT, ON_LIGHT)])
def test_the_colours_follow_the_theme(plot, sheet, colours) -> None:
    plot.setStyleSheet(sheet)
    for number in range(1, 6):
        plot.add(epoch(number, 1 / number, 2 / number))
    picture = pixels(plot.grab().toImage())
    for colour in colours:
        assert has(picture, colour)


@pytest.mark.parametrize("losses", [[1.0], [0.0, 0.0], [5.0] * 3, [1e-9, 1e9], [float("inf"), 2.0], [-1.0, 4.0]])
@pytest.mark.parametrize("width", [180, 280, 600])
def test_any_losses_can_be_drawn(plot, losses, width) -> None:
    plot.resize(width, 120)
    empty = pixels(plot.grab().toImage())
    for number, loss in enumerate(losses, start=1):
        plot.add(epoch(number, loss, loss, epochs=1))
    assert (pixels(plot.grab().toImage()) != empty).any()


def test_ticks_are_round_and_few() -> None:
    assert linear_ticks(0.0, 1.0, 6) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert linear_ticks(0.69, 0.97, 4) == [0.7, 0.8, 0.9]
    assert linear_ticks(1, 4, 20, whole=True) == [1, 2, 3, 4]
    assert log_ticks(0.05, 30, 6) == [0.1, 0.3, 1, 3, 10, 30]
    assert log_ticks(1e-9, 1e9, 5) == pytest.approx([1e-9, 1e-5, 1e-1, 1e3, 1e7])


@pytest.fixture
def figure():
    labels = np.zeros((100, 100), int)
    for number in range(1, 9):
        labels[10 * number : 10 * number + number, 5:25] = number
    return prepare(distribution_figure(measure(labels)))


def test_a_figure_is_drawn_for_the_width_it_has(qtbot, figure) -> None:
    view = FigureView()
    qtbot.addWidget(view)
    view.resize(300, 400)
    view.show_figure(figure)
    view.show()
    assert view.heightForWidth(300) == round(300 * 2.9 / 3.5)
    assert view._picture.width() == pytest.approx(300, abs=1)
    first = view._picture.cacheKey()
    view.resize(300, 390)
    view.resize(420, 400)
    assert view._picture.cacheKey() == first
    qtbot.waitUntil(lambda: view._picture.width() >= 419)
    assert figure.dpi == 300
    grabbed = pixels(view.grab().toImage())
    assert (grabbed[2, 210] == 255).all()
    assert grabbed.min() < 60


def test_without_a_figure_nothing_is_shown(qtbot, figure) -> None:
    view = FigureView()
    qtbot.addWidget(view)
    view.show_figure(figure)
    view.show_figure(None)
    assert not view.isVisible()
    assert view.figure is None


@pytest.mark.parametrize(("chosen", "path"), [("a.svg", "a.svg"), ("b", "b.png"), ("d10.5", "d10.5.png"), ("", None)])
def test_saving_is_left_to_the_host(qtbot, figure, monkeypatch, chosen, path) -> None:
    view = FigureView()
    qtbot.addWidget(view)
    view.show_figure(figure)
    asked: list[Path] = []
    view.save_asked.connect(asked.append)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (chosen, ""))
    view.actions()[0].trigger()
    assert asked == ([Path(path)] if path else [])
