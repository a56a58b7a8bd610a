"""The Generate dock: synthetic training images, seen before they are written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels, Layer
from qtpy.QtWidgets import QFormLayout, QVBoxLayout

from napari_nanoseg._gui.editors import Combo
from napari_nanoseg._gui.fit_fold import FittedGenerator
from napari_nanoseg._gui.forms import ConfigForm
from napari_nanoseg._gui.generate_cathode import CathodePage
from napari_nanoseg._gui.generate_cutpaste import CutPastePage
from napari_nanoseg._gui.generate_nanowires import NanowiresPage
from napari_nanoseg._gui.generate_page import AnyGenerateJob, GeneratorPage, Order
from napari_nanoseg._gui.jobs import copy_command
from napari_nanoseg._gui.layers import phantom_layers, sample_layers
from napari_nanoseg._gui.overwriting import job_box
from napari_nanoseg._gui.pickers import PathPicker
from napari_nanoseg._gui.preview_making import Preview
from napari_nanoseg._gui.preview_panel import PreviewPanel
from napari_nanoseg._gui.scripting import Put, Setting, choice_setting, path_setting
from napari_nanoseg._gui.step import MARGIN, Step
from napari_nanoseg.config.base import Config
from napari_nanoseg.config.generate import GenerateJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult, Stage, tell
from napari_nanoseg.io.datasets import write_sample
from napari_nanoseg.io.places import free_path
from napari_nanoseg.io.run_record import read_run_record
from napari_nanoseg.jobs.run import run_job

EMPTY = "The preview appears here."


@dataclass(frozen=True)
class _Ready:
    """A job whose source is on the disk, for its command."""

    job: AnyGenerateJob


@dataclass(frozen=True)
class _Written:
    """A dataset that was asked for and is there."""

    order: Order
    result: JobResult


class Generate(Step):
    """Choose a generator, see what images it makes, and write a dataset of them.

    Parameters
    ----------
    napari_viewer : ViewerModel
    """

    title = "Generate"
    start_text = "Write dataset"

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self._suggested: Path | None = None
        self.cutpaste, self.nanowires, self.cathode = (
            CutPastePage(self.session), NanowiresPage(self.session), CathodePage()
        )  # fmt: skip
        self._pages: tuple[GeneratorPage, ...] = (self.cutpaste, self.nanowires, self.cathode)
        self._lay_out()
        self.kind.currentIndexChanged.connect(self._choose_kind)
        for page in self._pages:
            page.changed.connect(self._follow)
            page.amount.valueChanged.connect(self._check)
        self.nanowires.fit.wanted.connect(self._fit)
        self.preview.wanted.connect(self._show_layers)
        self.out.changed.connect(self._check)
        self.copy_button = self.panel.add_button("Copy as command", self._copy)
        self.panel.start_clicked.connect(self._write)
        self.panel.done.connect(self._done)
        self._choose_kind()

    def _lay_out(self) -> None:
        self.preview = PreviewPanel()
        self.kind = Combo()
        self.kind.addItems([page.title for page in self._pages])
        above = QFormLayout()
        above.setContentsMargins(MARGIN, MARGIN, MARGIN, 0)
        above.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        above.addRow("Generator", self.kind)
        outer = self.layout()
        assert isinstance(outer, QVBoxLayout), "a step is a column"
        outer.insertLayout(0, above)
        outer.insertWidget(1, self.preview)
        self.out = PathPicker("save", hint="folder of the new dataset")
        where = QFormLayout()
        self.overwrite = job_box("overwrite")
        where.addRow("Dataset", self.out)
        where.addRow("", self.overwrite)
        for widget in (*self._pages, *(page.amount for page in self._pages)):
            self.body.addWidget(widget)
        self.body.addLayout(where)

    @property
    def page(self) -> GeneratorPage:
        """The kind of generator that is chosen."""
        return self._pages[self.kind.currentIndex()]

    @property
    def amount(self) -> ConfigForm:
        """How many images are written, or phantoms."""
        return self.page.amount

    def _choose_kind(self) -> None:
        for page in self._pages:
            page.setVisible(page is self.page)
            page.amount.setVisible(page is self.page)
        self._follow()

    def _follow(self) -> None:
        """Let the preview follow the page that is shown."""
        page = self.page
        if page.isVisible():
            self.hint(page.missing)
            self._suggest()
            problem = page.problem
            question = page.question() if problem is None else None
            if question is None:
                self.preview.refuse(EMPTY if page.missing or problem is None else problem)
            else:
                self.preview.follow(question)
        self._check()

    def _check(self) -> None:
        """Say why nothing can be written yet."""
        why = self.page.problem or self.amount.problem()
        if why is None and self.out.path is None:
            why = "Choose the folder of the new dataset."
        if self.page.missing is not None:
            why = "Outline a few particles first."
        self.panel.block(why)
        self.copy_button.setEnabled(why is None)

    def _suggest(self) -> None:
        """Suggest a new folder, unless the user chose one."""
        wish = self.page.suggestion()
        if wish is None or self.out.path not in (None, self._suggested):
            return
        self._suggested = free_path(wish)
        self.out.choose(self._suggested)

    def _show_layers(self, preview: Preview) -> None:
        name = f"synthetic {self.preview.index}"
        if preview.phantom is None:
            made = sample_layers(replace(preview.sample, name=name))
        else:
            made = phantom_layers(preview.phantom, name)
        layers = [self.viewer.add_layer(Layer.create(*data)) for data in made]
        self.viewer.layers.selection.active = next(layer for layer in layers if isinstance(layer, Labels))

    def _order(self) -> Order | None:
        """What the page and the folder ask for; None, with a sentence, where the folder will not do."""
        amount = self.amount.value()
        assert isinstance(amount, AnyGenerateJob)
        assert self.out.path is not None, "the buttons are disabled without a folder"
        try:
            order = self.page.order(self.out.path, amount.count)
            overwrite = self.overwrite.isChecked()
            return replace(order, job=order.job.model_copy(update={"overwrite": overwrite}))
        except NanosegError as error:
            self.panel.refuse(str(error))
            return None

    def set(self, **values: Any) -> None:
        """Change settings of the dock by name; the generator first, then its preset, then the others.

        Parameters
        ----------
        **values
            As in the other docks.

        Raises
        ------
        NanosegError
            When the dock has no setting of a name, or a value cannot be used; nothing is changed then.
        """
        kind = self.kind.currentText()
        if "generator" in values:
            super().set(generator=values.pop("generator"))
        config = self._shown_config()
        try:
            if "preset" in values:
                super().set(preset=values.pop("preset"))
            super().set(**values)
        except NanosegError:
            self._show_config(config)
            self.kind.setCurrentText(kind)
            raise

    def run(self) -> JobResult:
        """Write the dataset, wait for its end and return its figures and files.

        Raises
        ------
        NanosegError
            With the sentence that the dock shows when it cannot do its work; and when it is cancelled or closed.
        """
        self.page.look()
        self._check()
        result: JobResult = super().run()
        return result

    def _own_settings(self) -> Mapping[str, Setting]:
        return {
            "generator": choice_setting(self.kind),
            **self.page.own_settings(),
            "out": path_setting(self.out),
            "count": self._count_setting,
        }

    def _count_setting(self, name: str, value: Any) -> Put:
        amount = self.amount
        job = amount.value().with_fields(**{name: value})
        return lambda: amount.setValue(job)

    def _shown_config(self) -> Config:
        return self.page.form.value()

    def _show_config(self, config: Config) -> None:
        self.page.form.setValue(config)

    def _result_of(self, made: _Written) -> JobResult:
        return made.result

    def _write(self) -> None:
        order = self._order()
        if order is None:
            return

        def work() -> _Written:
            with _removed_if_unused(order):
                _write_source(order)
                return _Written(order, run_job(order.job))

        if self.panel.start(work, f"Generating {order.job.out.name}"):
            self.offer()
            self.page.ordered(order)

    def _copy(self) -> None:
        order = self._order()
        if order is None:
            return
        if order.sample is None:
            self._done(_Ready(order.job))
            return

        def work() -> _Ready:
            with _removed_if_unused(order):
                _write_source(order)
                return _Ready(order.job)

        if self.panel.start(work, "Writing the annotation"):
            self.page.ordered(order)

    def _fit(self) -> None:
        try:
            work = self.nanowires.fit.work()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        self.panel.start(work, "Fitting the generator")

    def _done(self, done: _Written | _Ready | FittedGenerator) -> None:
        if isinstance(done, FittedGenerator):
            self.nanowires.form.setValue(done.config)
            self.panel.say(done.said)
            return
        if isinstance(done, _Ready):
            copy_command(done.job)
            self.panel.say("The command is on the clipboard; paste it into a terminal.")
            return
        out = Path(done.result.files["dataset"])
        self.panel.say(f"{done.result.figures['images']} images are in {out}. {done.order.advice}".rstrip())
        self.session.put("dataset", out)
        self._suggest()
        self.succeed("Train")


def _write_source(order: Order) -> None:
    """Write the annotation as the dataset that the job reads."""
    if order.sample is not None and isinstance(order.job, GenerateJob):
        tell(Stage("source", f"Writing the annotation to {order.job.source}."))
        write_sample(order.job.source, order.sample)


@contextmanager
def _removed_if_unused(order: Order) -> Iterator[None]:
    """Remove the written annotation again when the job fails or is cancelled before it has begun to write."""
    from napari_nanoseg.jobs.synthesis import RECORD  # here, in the thread: with the kernels it takes half a second

    before = read_run_record(order.job.out / RECORD)
    try:
        yield
    except BaseException:
        unused = read_run_record(order.job.out / RECORD) == before
        if order.sample is not None and isinstance(order.job, GenerateJob) and unused:
            shutil.rmtree(order.job.source, ignore_errors=True)
        raise
