"""Many images at once: segmenting, and measure, all images of a folder from the Segment dock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qtpy.QtWidgets import QCheckBox, QFormLayout, QHBoxLayout, QPushButton, QVBoxLayout

from napari_nanoseg._gui.fold import Fold
from napari_nanoseg._gui.jobs import JobPanel, copy_command
from napari_nanoseg._gui.overwriting import job_box
from napari_nanoseg._gui.pickers import PathPicker
from napari_nanoseg._gui.settings import settings
from napari_nanoseg.config.measure import MeasureJob
from napari_nanoseg.config.segment import SegmentConfig, SegmentJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult, checkpoint
from napari_nanoseg.jobs.measure import need_table
from napari_nanoseg.jobs.run import run_job
from napari_nanoseg.jobs.segment import prepared

TABLE = "particles.csv"
Chosen = Callable[[], tuple[Path, SegmentConfig]]


@dataclass(frozen=True)
class FolderResult:
    """What a folder gave; `measured` is None when it was not asked for."""

    segmented: JobResult
    measured: JobResult | None

    def __str__(self) -> str:
        images, particles = self.segmented.figures["images"], self.segmented.figures["particles"]
        folder = Path(next(iter(self.segmented.files.values()))).parent
        table = "" if self.measured is None else f", the table in {self.measured.files['table']}"
        return f"{particles} particles found in {images} images. The labels are in {folder}{table}."


class FolderFold(Fold):
    """Folded away below the form of the Segment dock.

    Parameters
    ----------
    chosen : callable
        Gives the model and the config that the dock shows; raises NanosegError when something is missing.
    panel : JobPanel
        Of the dock.
    """

    def __init__(self, chosen: Chosen, panel: JobPanel) -> None:
        self._chosen, self._panel = chosen, panel
        self.images = PathPicker("folder", hint="folder of images")
        self.out = PathPicker("save", hint="folder for the labels")
        self.measure = QCheckBox(f"Measure them into {TABLE}")
        self.measure.setChecked(True)
        self.resume, self.overwrite = job_box("resume"), job_box("overwrite")
        self.start_button, self.copy_button = QPushButton("Segment folder"), QPushButton("Copy as command")
        super().__init__("Many images", self._fill_in)
        self.images.changed.connect(self._suggest)
        self.start_button.clicked.connect(self._start)
        self.copy_button.clicked.connect(self._copy)

    def _fill_in(self, column: QVBoxLayout) -> None:
        form, row = QFormLayout(), QHBoxLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Images", self.images)
        form.addRow("Labels", self.out)
        row.addWidget(self.start_button)
        row.addWidget(self.copy_button)
        column.addLayout(form)
        for box in (self.measure, self.resume, self.overwrite):
            column.addWidget(box)
        column.addLayout(row)

    def jobs(self) -> tuple[SegmentJob, MeasureJob | None]:
        """What is to be done.

        Raises
        ------
        NanosegError
            For the first thing that is missing.
        """
        model, config = self._chosen()
        if self.images.path is None:
            raise NanosegError("No folder of images is chosen; choose one under 'Many images'.")
        if self.out.path is None:
            raise NanosegError("No folder for the labels is chosen; choose one under 'Many images'.")
        images, out = self.images.path.absolute(), self.out.path.absolute()
        resume, overwrite = self.resume.isChecked(), self.overwrite.isChecked()
        segmenting = SegmentJob(
            config=config, model=model, images=(images,), out=out, resume=resume, overwrite=overwrite
        )
        if not self.measure.isChecked():
            return segmenting, None
        return segmenting, MeasureJob(labels=(out,), images=(images,), out=out / TABLE, overwrite=overwrite)

    def _suggest(self, folder: Path | None) -> None:
        if folder is not None:
            self.out.choose(folder.with_name(f"{folder.name}-labels"))

    def _start(self) -> None:
        try:
            jobs = self.jobs()
        except NanosegError as error:
            self._panel.refuse(str(error))
            return
        work = partial(segment_folder, *jobs, threads=settings().threads)
        self._panel.start(work, f"Segmentation of {jobs[0].images[0].name}")

    def _copy(self) -> None:
        try:
            segmenting, measuring = self.jobs()
        except NanosegError as error:
            self._panel.refuse(str(error))
            return
        copy_command(segmenting, *([] if measuring is None else [measuring]))
        self._panel.say("The command is on the clipboard.")


def segment_folder(segmenting: SegmentJob, measuring: MeasureJob | None, threads: int) -> FolderResult:
    """Segment all images of a folder, and measure them into one table; what is finished stays when it is cancelled."""
    from napari_nanoseg.engines.preload import preload

    preload()
    checkpoint()
    from napari_nanoseg.engines.device import use_threads

    use_threads(threads)
    if measuring is not None:
        prepared(segmenting)
        need_table(measuring)
    segmented = run_job(segmenting)
    if measuring is None:
        return FolderResult(segmented, None)
    return FolderResult(segmented, run_job(measuring))
