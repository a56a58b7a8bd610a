"""The Generate dock: synthetic training images from few outlined particles, seen before they are written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer
from numpy.typing import NDArray
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFormLayout, QLabel, QVBoxLayout

from napari_nanoseg._gui.annotation_picker import AnnotationPicker
from napari_nanoseg._gui.editors import Combo
from napari_nanoseg._gui.forms import ConfigForm
from napari_nanoseg._gui.jobs import copy_command
from napari_nanoseg._gui.layers import sample_layers
from napari_nanoseg._gui.pickers import PathPicker
from napari_nanoseg._gui.preview_panel import PreviewPanel
from napari_nanoseg._gui.previews import Preview
from napari_nanoseg._gui.step import Step
from napari_nanoseg.config.generate import CutPasteConfig, GenerateJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Event, JobResult, Stage
from napari_nanoseg.io.datasets import write_sample
from napari_nanoseg.io.places import datasets_folder, free_path
from napari_nanoseg.jobs.run import run
from napari_nanoseg.samples import Sample

LAYERS, FOLDER = "the annotation in the layers", "a dataset folder"
EMPTY = "The preview appears here."


@dataclass(frozen=True)
class _Ready:
    """A job whose source is on the disk, for its command."""

    job: GenerateJob


class Generate(Step):
    """Cut particles from an annotation, see what images they make, and write a dataset of them.

    Parameters
    ----------
    napari_viewer : ViewerModel
    """

    title = "Generate"
    start_text = "Write dataset"

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self._source: Sample | Path | None = None
        self._why: str | None = None
        self._stale = True
        self._suggested: Path | None = None
        self._written: tuple[Sample, Path, Path] | None = None
        self._lay_out()
        self.annotation.changed.connect(self._take_source)
        self.folder.changed.connect(self._take_source)
        self.kind.currentIndexChanged.connect(self._choose_kind)
        self.form.valueChanged.connect(self._follow)
        self.preview.wanted.connect(self._show_layers)
        self.amount.valueChanged.connect(self._check)
        self.out.changed.connect(self._check)
        self.copy_button = self.panel.add_button("Copy as command", self._copy)
        self.panel.start_clicked.connect(self._write)
        self.panel.done.connect(self._done)
        self.session.changed.connect(self._chosen)
        self._choose_kind()

    def _lay_out(self) -> None:
        self.preview = PreviewPanel()
        outer = self.layout()
        assert isinstance(outer, QVBoxLayout), "a step is a column"
        outer.insertWidget(0, self.preview)
        self.kind = Combo()
        self.kind.addItems([LAYERS, FOLDER])
        self.annotation = AnnotationPicker(self.session)
        self.folder = PathPicker("folder", hint="folder with images and masks")
        self.form = ConfigForm(CutPasteConfig)
        nowhere = Path()
        self.amount = ConfigForm(
            GenerateJob(source=nowhere, out=nowhere), hide={"config", "source", "out", "workers"}
        )  # only its number of images is shown and used
        self.out = PathPicker("save", hint="folder of the new dataset")
        where = QFormLayout()
        where.addRow("Dataset", self.out)
        self.body.addWidget(QLabel("Cut particles from"))
        for widget in (self.kind, self.annotation, self.folder, self.form, self.amount):
            self.body.addWidget(widget)
        self.body.addLayout(where)

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """Look at the source again: nothing is computed while the dock is hidden."""
        super().showEvent(event)
        if self._stale:
            self._take_source()

    def _choose_kind(self) -> None:
        layers = self.kind.currentIndex() == 0
        self.annotation.setVisible(layers)
        self.folder.setVisible(not layers)
        self._take_source()

    def _chosen(self, name: str) -> None:
        if name in ("image", "particles"):
            self._take_source()

    def _take_source(self) -> None:
        """Take the source as it is now; say what is missing."""
        self._stale = not self.isVisible()
        if self._stale:
            return
        try:
            self._source, self._why = self._read_source(), None
        except NanosegError as error:
            self._source, self._why = None, str(error)
        self.hint(self._why if self._is_empty() else None)
        self._suggest()
        self._follow()

    def _read_source(self) -> Sample | Path:
        if self.kind.currentIndex() == 0:
            sample = self.annotation.sample()
            return self._source if isinstance(self._source, Sample) and _same(self._source, sample) else sample
        if self.folder.path is None:
            raise NanosegError("Choose the folder of a dataset, or the annotation in the layers.")
        return self.folder.path

    def _follow(self) -> None:
        """Let the preview follow the form and the source."""
        problem = self._why or self.form.problem()
        if self._source is None or problem is not None:
            self.preview.refuse(EMPTY if self._is_empty() or problem is None else problem)
        else:
            self.preview.follow(self._source, self._config())
        self._check()

    def _is_empty(self) -> bool:
        """Whether there is nothing yet to take particles from."""
        return self.kind.currentIndex() == 0 and (self.session.image is None or self.session.particles is None)

    def _config(self) -> CutPasteConfig:
        config = self.form.value()
        assert isinstance(config, CutPasteConfig)
        return config

    def _check(self) -> None:
        """Say why nothing can be written yet."""
        why = self._why or self.form.problem() or self.amount.problem()
        if why is None and self.out.path is None:
            why = "Choose the folder of the new dataset."
        if self._is_empty():
            why = "Outline a few particles first."
        self.panel.block(why)
        self.copy_button.setEnabled(why is None)

    def _suggest(self) -> None:
        """Suggest a new folder, unless the user chose one."""
        if self._source is None or self.out.path not in (None, self._suggested):
            return
        source = self._source
        if isinstance(source, Path):
            beside = source.absolute().parent
            folder = beside if os.access(beside, os.W_OK) else datasets_folder()
        else:
            folder = datasets_folder()
        self._suggested = free_path(folder / f"{source.name or 'dataset'}-synthetic")
        self.out.choose(self._suggested)

    def _show_layers(self, preview: Preview) -> None:
        named = replace(preview.sample, name=f"synthetic {self.preview.index}")
        for data in sample_layers(named):
            self.viewer.add_layer(Layer.create(*data))

    def _job(self, source: Path) -> GenerateJob:
        amount = self.amount.value()
        assert isinstance(amount, GenerateJob)
        assert self.out.path is not None
        return GenerateJob(config=self._config(), source=source, out=self.out.path, count=amount.count)

    def _write(self) -> None:
        job = self._planned()
        if job is None:
            return
        sample = self._unwritten(job)

        def steps() -> Generator[Event, None, JobResult]:
            with _removed_if_unused(job, sample):
                yield from _write_source(job, sample)
                return (yield from run(job))

        if self.panel.start(steps, f"Generating {job.out.name}"):
            self.offer()
            self._remember(job)

    def _copy(self) -> None:
        job = self._planned()
        if job is None:
            return
        sample = self._unwritten(job)
        if sample is None:
            self._done(_Ready(job))
            return

        def steps() -> Generator[Event, None, _Ready]:
            with _removed_if_unused(job, sample):
                yield from _write_source(job, sample)
                return _Ready(job)

        if self.panel.start(steps, "Writing the annotation"):
            self._remember(job)

    def _planned(self) -> GenerateJob | None:
        """The job as the form has it; an annotation of the layers gets a folder of its own beside the new dataset."""
        out, source = self.out.path, self._source
        assert source is not None
        assert out is not None
        if isinstance(source, Path):
            if out.resolve() == source.resolve():
                self.panel.refuse(f"{out} is the source; choose another folder for the new dataset.")
                return None
            return self._job(source)
        if self._written is not None and self._written[:2] == (source, out) and self._written[2].is_dir():
            return self._job(self._written[2])
        return self._job(free_path(out.with_name(f"{out.name}-source")))

    def _unwritten(self, job: GenerateJob) -> Sample | None:
        """The annotation of the layers, unless the source of the job is on the disk."""
        on_disk = self._written is not None and self._written[2] == job.source and job.source.is_dir()
        return None if on_disk or isinstance(self._source, Path) else self._source

    def _remember(self, job: GenerateJob) -> None:
        if isinstance(self._source, Sample):
            self._written = (self._source, job.out, job.source)

    def _done(self, result: JobResult | _Ready) -> None:
        if isinstance(result, _Ready):
            copy_command(result.job)
            self.panel.say("The command is on the clipboard; paste it into a terminal.")
            return
        out = Path(result.files["dataset"])
        self.panel.say(f"{result.figures['images']} images are in {out}.")
        self.session.put("dataset", out)
        self._suggest()
        self.succeed("Train")


def _same(one: Sample, other: Sample) -> bool:
    """Whether two annotated images are the same to the generator."""
    return (
        (one.name, one.image.axes, one.image.calibration, one.image.data.dtype)
        == (other.name, other.image.axes, other.image.calibration, other.image.data.dtype)
        and _same_pixels(one.image.data, other.image.data)
        and (one.known is None) == (other.known is None)
        and (one.known is None or other.known is None or np.array_equal(one.known, other.known))
        and np.array_equal(one.instances.boxes, other.instances.boxes)
        and all(map(np.array_equal, one.instances.masks, other.instances.masks))
    )


def _same_pixels(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether two arrays hold the same; those in the same place need not be compared: 15 to 60 ms for 4096 x 4096."""
    return one.__array_interface__ == other.__array_interface__ or np.array_equal(one, other)


def _write_source(job: GenerateJob, sample: Sample | None) -> Iterator[Event]:
    """Write the annotation as the dataset that the job reads."""
    if sample is not None:
        yield Stage("source", f"Writing the annotation to {job.source}.")
        write_sample(job.source, sample)


@contextmanager
def _removed_if_unused(job: GenerateJob, sample: Sample | None) -> Iterator[None]:
    """Remove the written annotation again when the job fails or is cancelled before it has begun to write."""
    try:
        yield
    except BaseException:
        from napari_nanoseg.jobs.synthesis import RECORD  # here, in the thread: with the kernels it takes half a second

        if sample is not None and not (job.out / RECORD).exists():
            shutil.rmtree(job.source, ignore_errors=True)
        raise
