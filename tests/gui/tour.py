"""The first segmentation of a newcomer, by mouse and keyboard only: from File > Open Sample to saved results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit, QWidget
from robot import Robot
from skimage.measure import approximate_polygon, find_contours

from napari_nanoseg._gui.compare import Compare
from napari_nanoseg._gui.forms import ConfigForm
from napari_nanoseg._gui.generate import Generate
from napari_nanoseg._gui.measure import Measure
from napari_nanoseg._gui.nanoseg import NanoSeg
from napari_nanoseg._gui.step import Step
from napari_nanoseg._gui.train import Train
from napari_nanoseg.events import Epoch
from napari_nanoseg.io.images import read_labels
from napari_nanoseg.io.sample_data import sample_data

OUTLINED = (28, 34, 14, 69, 80, 75, 72, 58)
"""Labels of the true particles that the newcomer outlines: those of the annotated sample."""
CLEAN = (((20, 810), (200, 1010)), ((100, 205), (380, 345)), ((420, 475), (570, 740)), ((690, 190), (755, 410)))
"""Corners of rectangles of the sample micrograph in which there is no particle."""
TRUTH = "ground truth"


class Tour:
    """One step after the other; every method does what a newcomer does on one page of the NanoSeg dock.

    Parameters
    ----------
    robot : Robot
    results : Path
        Folder for what is saved.
    """

    def __init__(self, robot: Robot, results: Path) -> None:
        self.robot, self.results = robot, results
        self.viewer = robot.viewer

    def page(self, title: str) -> Step:
        """The page of a step, opened with its button."""
        self.robot.click(self.dock, next(b for b in self._buttons() if title in b))
        return self.dock.step(title)

    def open_sample(self) -> None:
        """Open the micrograph and the dock."""
        self.robot.open_menu("File", "Open Sample", "NanoSeg", "SEM micrograph of particles")
        self.robot.wait(lambda: len(self.viewer.layers) == 1, what="the sample")
        self.robot.open_menu("Plugins", "NanoSeg", "NanoSeg")
        (self.dock,) = self.robot.window.findChildren(NanoSeg)
        self.robot.settle(0.3)
        self.viewer.reset_view()
        self.image: Layer = self.viewer.layers[0]
        assert isinstance(self.image, Image)

    def annotate(self) -> None:
        """Outline eight particles and mark background."""
        page = self.page("Annotate")
        self.robot.click(page, "New annotation")
        labels = self.viewer.layers.selection.active
        assert isinstance(labels, Labels)
        truth = read_labels(sample_data() / "particles_truth.tif")
        for label in OUTLINED:
            self.robot.polygon(labels, outline(truth, label))
        assert len(np.unique(labels.data)) == 1 + len(OUTLINED)
        self.robot.click(page, "Mark background")
        region = self.viewer.layers.selection.active
        assert isinstance(region, Shapes)
        for corners in CLEAN:
            self.robot.drag(region, *corners)
        assert len(region.data) == len(CLEAN)
        self.robot.wait(lambda: "8 particles" in self.robot.sentences(page), 5, "the count of particles")
        self.labels = labels
        self.robot.picture("annotate")

    def generate(self, count: int) -> None:
        """Look at a preview, change the form, and write a dataset."""
        page = self.page("Generate")
        assert isinstance(page, Generate)
        robot = self.robot
        robot.wait(lambda: "Image 0: " in robot.sentences(page), 20, "the preview")
        before = robot.sentences(page)
        robot.type_into(editor(page.form, "seed"), "7")
        robot.wait(lambda: robot.sentences(page) != before, 10, "the preview of another seed")
        robot.type_into(editor(page.amount, "count"), str(count))
        page.out.choose(self.results / "synthetic")
        robot.picture("generate")
        robot.click(page, "Write dataset")
        self.finish(page, 60)
        assert len(list((self.results / "synthetic" / "images").iterdir())) == count

    def train(self, name: str, steps: int, source: str) -> None:
        """Train and watch the curves."""
        page = self.page("Train")
        assert isinstance(page, Train)
        robot = self.robot
        page.source.setCurrentText(source)
        page.source.activated.emit(page.source.currentIndex())
        robot.type_into(page.name, name)
        robot.type_into(editor(page.form, "steps"), str(steps))
        robot.click(page, "Train")
        epochs: list[Epoch] = []
        page.panel.said.connect(lambda event: epochs.append(event) if isinstance(event, Epoch) else None)
        robot.wait(lambda: len(epochs) > 1 or not page.running, 240, "two epochs")
        robot.picture("train")
        self.finish(page, 240)

    def segment(self) -> Labels:
        """Find all particles, and move a threshold."""
        page = self.page("Segment")
        self.robot.click(page, "Segment")
        self.finish(page, 90)
        prediction = page.session.prediction
        assert isinstance(prediction, Labels)
        self.robot.picture("segment")
        return prediction

    def measure(self, prediction: Labels) -> Measure:
        """Measure; click a row, click a particle, save the table."""
        page = self.page("Measure")
        assert isinstance(page, Measure)
        robot = self.robot
        robot.click(page, "Measure")
        self.finish(page, 60)
        model = page.table.model()
        assert model is not None
        row = page.table.visualRect(model.index(2, 1))
        robot.reveal(page.table)
        QTest.mouseClick(page.table.viewport(), Qt.MouseButton.LeftButton, pos=row.center())
        robot.settle(0.3)
        robot.picture("measure")
        self.viewer.reset_view()
        self.save(page, "Save table", self.results / "particles.csv")
        return page

    def compare(self) -> Compare:
        """Open the truth, compare, and save what comes out."""
        robot = self.robot
        robot.open_menu("File", "Open Sample", "NanoSeg", "SEM micrograph with ground truth")
        robot.wait(lambda: TRUTH in self.viewer.layers, what="the truth")
        page = self.page("Compare")
        assert isinstance(page, Compare)
        robot.click(page, "Compare")
        self.finish(page, 60)
        robot.picture("compare")
        return page

    def finish(self, page: Step, seconds: float) -> None:
        """Wait until the job of a page has ended well."""
        failures: list[str] = []
        page.panel.failed.connect(failures.append)
        self.robot.wait(lambda: not page.running, seconds, f"the end of {page.title}")
        assert not failures

    def save(self, step: Step, button: str, path: Path) -> None:
        """Click a button that asks for a file, and type the file's name."""
        QTimer.singleShot(100, lambda: _type_path(path))
        self.robot.click(step, button)
        self.robot.wait(path.exists, 20, f"{path}")

    def _buttons(self) -> Iterator[str]:
        yield from (button.text() for button in self.dock._buttons.values())


def editor(form: ConfigForm, field: str) -> QWidget:
    """The line of a form into which a value is typed."""
    widget = form.editor(field)
    return widget if isinstance(widget, QLineEdit) else widget.findChild(QLineEdit)


def outline(labels: NDArray[np.int32], label: int) -> list[tuple[float, float]]:
    """A particle's outline in a dozen or so clicks."""
    contour = max(find_contours(labels == label, 0.5), key=len)
    return [(float(row), float(column)) for row, column in approximate_polygon(contour, 1.2)[:-1]]


def _type_path(path: Path) -> None:
    """Type a path into the dialog for files, once it is there."""
    dialogs = [w for w in QApplication.topLevelWidgets() if isinstance(w, QFileDialog) and w.isVisible()]
    line = dialogs[0].findChild(QLineEdit) if dialogs else None
    if line is None:
        QTimer.singleShot(100, lambda: _type_path(path))
        return
    line.setFocus()
    QTest.keyClick(line, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(line, str(path))
    QTimer.singleShot(300, lambda: _accept(dialogs[0]))


def _accept(dialog: QFileDialog) -> None:
    """Press Enter until the dialog has gone: a completer that pops up takes it for itself."""
    popup = QApplication.activePopupWidget()
    if popup is not None:
        popup.hide()
    QTest.keyClick(dialog.findChild(QLineEdit), Qt.Key.Key_Return)
    if dialog.isVisible():
        QTimer.singleShot(300, lambda: _accept(dialog))
