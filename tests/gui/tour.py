"""The first segmentation of a newcomer, by mouse and keyboard only: from File > Open Sample to saved results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QCheckBox, QFileDialog, QLineEdit, QWidget
from robot import Robot
from skimage.measure import approximate_polygon, find_contours

from napari_nanoseg._gui.compare import Compare
from napari_nanoseg._gui.forms import ConfigForm
from napari_nanoseg._gui.generate import Generate
from napari_nanoseg._gui.measure import Measure
from napari_nanoseg._gui.nanoseg import NanoSeg
from napari_nanoseg._gui.segment import Segment
from napari_nanoseg._gui.step import Step
from napari_nanoseg._gui.train import Train
from napari_nanoseg.events import Epoch
from napari_nanoseg.io.images import read_label_array
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

    def all(self, steps: int, images: int = 20) -> None:
        """Go through everything.

        Parameters
        ----------
        steps : int
            Of the training.
        images : int
            Number of synthetic images.
        """
        self.open_sample()
        self.annotate()
        self.generate(images)
        self.train("spheres", steps)
        self.segment()
        self.measure()
        self.compare()

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
        truth = read_label_array(sample_data() / "particles_truth.tif")
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
        robot.type_into(editor(page.cutpaste.form, "seed"), "7")
        robot.wait(lambda: robot.sentences(page) != before, 10, "the preview of another seed")
        robot.type_into(editor(page.amount, "count"), str(count))
        robot.type_into(page.out.findChild(QLineEdit), str(self.results / "synthetic"))
        robot.picture("generate")
        robot.click(page, "Write dataset")
        self.finish(page, 60)
        assert len(list((self.results / "synthetic" / "images").iterdir())) == count

    def train(self, name: str, steps: int) -> None:
        """Train on the outlined particles and watch the curves."""
        page = self.page("Train")
        assert isinstance(page, Train)
        robot = self.robot
        robot.reveal(page.source)
        QTest.keyClick(page.source, Qt.Key.Key_Home)  # from the dataset just written back to the layers
        robot.settle()
        robot.type_into(page.name, name)
        own = robot.find(page.form.editor("steps"), QCheckBox)  # in place of what suits the start
        robot.reveal(own)
        QTest.keyClick(own, Qt.Key.Key_Space)
        robot.type_into(editor(page.form, "steps"), str(steps))
        robot.click(page, "Train")
        epochs: list[Epoch] = []
        page.panel.said.connect(lambda event: epochs.append(event) if isinstance(event, Epoch) else None)
        robot.wait(lambda: len(epochs) > 1 or not page.running, 240, "two epochs")
        robot.picture("train")
        self.finish(page, 240)

    def segment(self) -> Labels:
        """Find all particles, and move a threshold there and back."""
        page = self.page("Segment")
        assert isinstance(page, Segment)
        robot = self.robot
        robot.click(page, "Segment")
        self.finish(page, 90)
        prediction = page.session.prediction
        assert isinstance(prediction, Labels)
        found = number_of(prediction)
        slider = page.thresholds.probability.slider
        robot.reveal(slider)
        slider.setFocus()
        QTest.keyClick(slider, Qt.Key.Key_End)  # nothing is as probable as that
        robot.wait(lambda: number_of(prediction) < found / 2, 20, "fewer particles")
        QTest.mouseClick(page.thresholds.probability.reset, Qt.MouseButton.LeftButton)
        robot.wait(lambda: number_of(prediction) == found, 20, "the particles of the model's own threshold")
        robot.picture("segment")
        return prediction

    def measure(self) -> Measure:
        """Measure; click a row, click a particle, save the table."""
        page = self.page("Measure")
        assert isinstance(page, Measure)
        robot = self.robot
        robot.click(page, "Measure")
        self.finish(page, 60)
        model = page.table.model()
        viewport = page.table.viewport()
        assert model is not None
        assert viewport is not None
        robot.reveal(page.table)
        before = self.viewer.scene.camera.zoom
        QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=page.table.visualRect(model.index(2, 1)).center())
        robot.settle(0.3)
        row = page.table.row
        assert row is not None
        assert self.viewer.scene.camera.zoom > 1.5 * before
        robot.picture("measure")
        self.viewer.reset_view()
        robot.settle(0.3)
        table, labels = page.table.table, page.session.prediction
        assert table is not None
        assert labels is not None
        other = table[table["label"] != row["label"]].sort_values("area").iloc[-1]
        self.viewer.layers.selection.active = labels
        robot.click_at(labels, other["centroid_row"], other["centroid_column"])
        robot.settle(0.3)
        chosen = page.table.row
        assert chosen is not None
        assert chosen["label"] == other["label"]
        self.save(page, "Save table", self.results / "particles.csv")
        self.save(page, "Save table", self.results / "particles.xlsx")
        return page

    def compare(self) -> Compare:
        """Open the truth, compare, click a particle, and save what comes out."""
        robot = self.robot
        robot.open_menu("File", "Open Sample", "NanoSeg", "SEM micrograph with ground truth")
        robot.wait(lambda: TRUTH in self.viewer.layers, what="the truth")
        page = self.page("Compare")
        assert isinstance(page, Compare)
        robot.click(page, "Compare")
        self.finish(page, 60)
        robot.settle(0.3)
        truth = read_label_array(sample_data() / "particles_truth.tif")
        rows, columns = np.nonzero(truth == OUTLINED[2])
        robot.click_at(self.image, rows.mean(), columns.mean())
        robot.settle(0.3)
        robot.picture("compare")
        folder = self.results / "comparison"
        self.save(page, "Save…", folder, folder / "metrics.json")
        return page

    def finish(self, page: Step, seconds: float) -> None:
        """Wait until the job of a page has ended well."""
        failures: list[str] = []
        page.panel.failed.connect(failures.append)
        self.robot.wait(lambda: not page.running, seconds, f"the end of {page.title}")
        assert not failures

    def save(self, step: Step, button: str, path: Path, written: Path | None = None) -> None:
        """Click a button that asks for a file or folder, and type its name."""
        QTimer.singleShot(100, lambda: _type_path(path))
        self.robot.click(step, button)
        self.robot.wait((written or path).exists, 20, f"{written or path}")
        self.finish(step, 20)

    def _buttons(self) -> Iterator[str]:
        yield from (button.text() for button in self.dock._buttons.values())


def editor(form: ConfigForm, field: str) -> QWidget:
    """The line of a form into which a value is typed."""
    widget = form.editor(field)
    return widget if isinstance(widget, QLineEdit) else widget.findChild(QLineEdit)


def number_of(labels: Labels) -> int:
    """Count the particles of a layer."""
    return len(np.unique(labels.data)) - 1


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
    line.setCompleter(None)  # it pops up when it has read the folder, at any time, and takes Enter for itself
    line.setFocus()
    QTest.keyClick(line, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(line, str(path))
    QTimer.singleShot(200, lambda: _accept(dialogs[0], line))


def _accept(dialog: QFileDialog, line: QLineEdit) -> None:
    """Press Enter until the dialog has gone: it does not heed the key while it reads a folder."""
    QTest.keyClick(line, Qt.Key.Key_Return)
    if dialog.isVisible():
        QTimer.singleShot(300, lambda: _accept(dialog, line))
