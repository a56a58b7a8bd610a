"""The Train dock: from outlined particles, or a dataset, to a model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QComboBox, QFormLayout, QLayout, QLineEdit, QScrollArea

from napari_nanoseg._gui.annotation_picker import AnnotationPicker
from napari_nanoseg._gui.forms import ConfigForm
from napari_nanoseg._gui.jobs import copy_command
from napari_nanoseg._gui.layers import file_stem, instances_of
from napari_nanoseg._gui.pickers import PathPicker, narrow
from napari_nanoseg._gui.scribbling import Scribbles, scribbles_of
from napari_nanoseg._gui.scripting import Put, Setting, path_setting, text_of
from napari_nanoseg._gui.settings import settings
from napari_nanoseg._gui.start_from import StartFrom, start_name
from napari_nanoseg._gui.step import Step
from napari_nanoseg._gui.sweep_fold import SweepFold
from napari_nanoseg._gui.sweeping import Swept, placed, run_sweep
from napari_nanoseg._gui.training import (
    Plan,
    free_name,
    has_model,
    is_taken,
    model_folder,
    overlap_advice,
    resumable,
    run_training,
    steps_done,
    steps_wanted,
    summary,
    write_annotation,
)
from napari_nanoseg._gui.training_view import TrainingView
from napari_nanoseg._gui.trainings_table import TrainingsTable
from napari_nanoseg.arguments import as_path
from napari_nanoseg.config.base import Config
from napari_nanoseg.config.paths import AUTO, COCO
from napari_nanoseg.config.sweep import SweepJob
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Epoch, Event, JobResult, Progress, Stage
from napari_nanoseg.io.model_cards import ANNOTATED
from napari_nanoseg.io.model_library import find_model
from napari_nanoseg.jobs.start import automatic_start
from napari_nanoseg.samples import Sample

if TYPE_CHECKING:
    from napari_nanoseg.engines.base import Model

LAYERS, DATASET = "outlined particles", "dataset folder"
LARGEST_LOOK = 2**23
"""Pixels of an annotation whose particles are measured while the user looks on: 0.1 s."""
DEFAULT_NAME = "model"


class Train(Step):
    """Trains a network in a process of its own and shows how it goes."""

    title = "Train"
    start_text = "Train"

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.view = TrainingView()
        self.source = QComboBox()
        narrow(self.source)
        self.source.addItems([LAYERS, DATASET])
        self.annotation = AnnotationPicker(self.session)
        self.dataset = PathPicker("folder", hint="folder with images and masks")
        self.name, self.start_from = QLineEdit(), StartFrom()
        self.form = ConfigForm(TrainConfig(device=settings().device))
        self.sweep = SweepFold(lambda: (self._config(), self.start_from.path))
        self.trainings = TrainingsTable()
        self._swept: SweepJob | None = None
        """The sweep that runs."""
        self._named_by_user = False
        self._folder: Path | None = None
        """Of the training that runs or ran last."""
        self._training = False
        self._saved = False
        """Whether this training has left something in the folder."""
        self._lay_out()
        self.resume_button = self.panel.add_button("Resume", self._resume)
        self.copy_button = self.panel.add_button("Copy as command", self._copy)
        self.sweep.start_button.clicked.connect(lambda: self._sweep())
        self.sweep.copy_button.clicked.connect(lambda: self._copy_sweep())
        self.source.activated.connect(lambda _: self._refresh())
        self.annotation.changed.connect(self._look_at_annotation)
        self.dataset.changed.connect(lambda _: self._refresh())
        self.name.textEdited.connect(self._name_edited)
        self.form.valueChanged.connect(self._refresh)
        self.start_from.changed.connect(self._refresh)
        self.session.changed.connect(self._session_changed)
        self.panel.start_clicked.connect(self._start)
        self.panel.said.connect(self._heard)
        self.panel.done.connect(self._done)
        self.panel.failed.connect(lambda _: self._say_what_is_kept())
        self.panel.cancelled.connect(lambda: self._say_what_is_kept("Cancelled. "))
        self.panel.ended.connect(self._ended)
        if self.session.dataset is not None:
            self._session_changed("dataset")
        self._suggest_name()
        self._look_at_annotation()

    def _lay_out(self) -> None:
        self.body.addWidget(self.view)
        self.body.addWidget(self.trainings)
        head = QFormLayout()
        head.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        head.addRow("Train on", self.source)
        self.body.addLayout(head)
        self.body.addWidget(self.annotation)
        self.body.addWidget(self.dataset)
        model = QFormLayout()
        model.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        model.addRow("New model", self.name)
        model.addRow("Start from", self.start_from)
        self.body.addLayout(model)
        self._forms = head, self.annotation.layout(), model
        self.body.addWidget(self.form)
        self.body.addWidget(self.sweep)
        self.body.addStretch(1)

    @property
    def on_layers(self) -> bool:
        """Whether the annotation in the layers is trained on, not a dataset folder."""
        return self.source.currentText() == LAYERS

    def plan(self) -> Plan:
        """What the dock shows, as a training.

        Raises
        ------
        NanosegError
            For the first thing that is missing or wrong.
        """
        chosen, config = settings(), self._config()
        sample = self._annotated(config) if self.on_layers else None
        if sample is None and self.dataset.path is None:
            raise NanosegError("No dataset folder is chosen; choose one, or train on the particles outlined here.")
        out = model_folder(chosen.models, self.name.text())
        dataset = out / ANNOTATED if self.dataset.path is None or sample is not None else self.dataset.path
        job = TrainJob(config=config, dataset=dataset, out=out, start_from=self.start_from.path)
        return Plan(job, sample, chosen.threads)

    def _annotated(self, config: TrainConfig) -> Sample | Scribbles:
        """The annotation in the layers, as the network takes it."""
        image, labels = self.session.image, self.session.particles
        if isinstance(config.engine, UNetConfig) and image is not None and labels is not None:
            scribbles = scribbles_of(image, labels, file_stem(image.name))
            if not scribbles.values.any():
                raise NanosegError("Nothing is labelled; scribble classes in the Annotate step.")
            return scribbles
        sample = self.annotation.sample()
        if not len(sample.instances):
            raise NanosegError("No particle is outlined; outline at least five, better ten, in the Annotate step.")
        return sample

    def _config(self) -> TrainConfig:
        """What the form holds.

        Raises
        ------
        NanosegError
            When that is wrong.
        """
        config = self.form.value()
        assert isinstance(config, TrainConfig)
        return config

    def _own_settings(self) -> Mapping[str, Setting]:
        return {
            **self.annotation.settings(lambda _: self._take_source(LAYERS)),
            "dataset": path_setting(self.dataset, lambda: self._take_source(DATASET)),
            "name": self._name_setting,
            "start_from": self._start_setting,
        }

    def _take_source(self, source: str) -> None:
        self.source.setCurrentText(source)
        self._refresh()

    def _name_setting(self, name: str, value: Any) -> Put:
        text = text_of(name, value)

        def put() -> None:
            self.name.setText(text)
            self._name_edited(text)

        return put

    def _start_setting(self, name: str, value: Any) -> Put:
        """`auto`, None for a new network, or a model by its name or path."""
        path = None if value is None else as_path(value, f"'{name}'")
        if path is not None and path not in (AUTO, COCO):
            path = find_model(path, settings().models)
        return lambda: self.start_from.choose(path)

    def _shown_config(self) -> Config:
        return self._config()

    def _show_config(self, config: TrainConfig) -> None:
        self.form.setValue(config)

    def _result_of(self, made: JobResult) -> Model:
        from napari_nanoseg.engines.library import load_model

        return load_model(Path(made.files["model"]))

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802
        """The font is known now."""
        super().showEvent(event)
        _align(*self._forms)

    def _start(self) -> None:
        try:
            plan = self.plan()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        self._run(plan)

    def _run(self, plan: Plan) -> None:
        if not self.panel.start(partial(run_training, plan), f"Training of {plan.job.out.name}"):
            return
        self._folder, self._training, self._saved = plan.job.out, True, plan.job.resume
        self._show_trainings()
        self._begin_view(resume=plan.job.resume)

    def sweep_job(self) -> SweepJob:
        """What the dock shows, as a sweep.

        Raises
        ------
        NanosegError
            For the first thing that is missing or wrong.
        """
        if self.on_layers:
            raise NanosegError(
                "A sweep compares models on images that are not trained on; choose a dataset folder with two images or "
                f"more under 'Train on {DATASET}'."
            )
        if self.dataset.path is None:
            raise NanosegError("No dataset folder is chosen; choose one.")
        return placed(self.sweep.job(), self.dataset.path, settings().models, self.name.text())

    def _sweep(self) -> None:
        try:
            job = self.sweep_job()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        model = settings().models / self.name.text().strip()
        if not self.panel.start(partial(run_sweep, job, model, settings().threads), f"Sweep for {model.name}"):
            return
        self._swept = job
        self._show_trainings()
        self._begin_view(resume=False)

    def _show_trainings(self) -> None:
        self.trainings.show_sweep(self._swept, self.sweep.variations.labels())

    def _begin_view(self, *, resume: bool) -> None:
        self.offer()
        self.view.begin(resume=resume)
        area = self.findChild(QScrollArea)
        if area is not None and (bar := area.verticalScrollBar()) is not None:
            bar.setValue(0)
        self._refresh()

    def _heard(self, event: Event) -> None:
        self._saved |= isinstance(event, Epoch)
        if self._swept is not None:
            if isinstance(event, Stage) and event.name == "training":
                self.view.begin(resume=False)
            elif isinstance(event, Progress) and event.unit == "trainings":
                self._show_trainings()
        self.view.show_event(event)

    def _resume(self) -> None:
        job = resumable(self._to_resume())
        if job is None:
            self.panel.refuse("The training to go on with is not there any more; start a new one.")
            self._refresh()
            return
        try:
            now = self._config()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        config = job.config.model_copy(update={"device": now.device})
        if steps_done(job.out) >= steps_wanted(job):
            more = now.filled(fine_tuning=job.start_from is not None).steps
            config = config.model_copy(update={"steps": steps_wanted(job) + more})
        self._run(Plan(job.model_copy(update={"config": config}), None, settings().threads))

    def _copy(self) -> None:
        """Copy the command; if the annotation comes from layers, write it first, for the command to read it."""
        try:
            plan = self.plan()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        if plan.sample is None:
            self._copied(plan)
        else:
            self.panel.start(partial(write_annotation, plan), "Writing the annotation")

    def _copy_sweep(self) -> None:
        try:
            job = self.sweep_job()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        copy_command(job)
        self.panel.say("The command is on the clipboard.")

    def _copied(self, plan: Plan) -> None:
        copy_command(plan.job)
        where = "" if plan.sample is None else f" It reads the annotation written to {plan.job.dataset}."
        self.panel.say(f"The command is on the clipboard.{where}")

    def _done(self, result: JobResult | Plan | Swept) -> None:
        if isinstance(result, Swept):
            self._show_trainings()
            self.panel.say(str(result))
            self.session.put("model", result.model)
            self.succeed("Segment")
            return
        if isinstance(result, Plan):
            self._copied(result)
            return
        self.panel.say(summary(result))
        self.session.put("model", self._folder)
        self.succeed("Segment")

    def _say_what_is_kept(self, lead: str = "") -> None:
        folder = self._folder
        if self._swept is not None:
            kept = f"What is finished is kept in {self._swept.out}; running the sweep again goes on with it."
            self.panel.say(lead + (kept if self._swept.out.exists() else "Nothing was trained yet."))
            self._show_trainings()
            return
        if folder is None or not self._training:
            return
        if not has_model(folder):
            gone = self._saved and not folder.exists()
            text = f"The folder {folder} is not there any more." if gone else "No model was made yet."
            self.panel.say(lead + text)
            return
        go_on = " Resume goes on with the training." if resumable(folder) else ""
        self.panel.say(f"{lead}The best model so far is kept in {folder}.{go_on}")
        self.session.put("model", folder)
        self.offer("Segment")

    def _ended(self) -> None:
        self._training, self._swept = False, None
        self._suggest_name()

    def _to_resume(self) -> Path | None:
        """The folder that Resume is about: the one of this name, or trained last, or chosen last."""
        named = settings().models / self.name.text().strip() if self.name.text().strip() else None
        return next((one for one in (named, self._folder, self.session.model) if resumable(one) is not None), None)

    def _name_edited(self, text: str) -> None:
        self._named_by_user = bool(text.strip())
        self._refresh()

    def _suggest_name(self) -> None:
        """Give the new model a free name, made from the image's or the dataset's."""
        models, text = settings().models, self.name.text().strip()
        if not self._named_by_user or is_taken(models / text):
            self._named_by_user = False
            image, dataset = self.session.image, self.dataset.path
            if self.on_layers:
                wish = DEFAULT_NAME if image is None else image.name
            else:
                wish = DEFAULT_NAME if dataset is None else dataset.name
            plain = "".join("_" if sign in '/\\:*?"<>|' else sign for sign in wish).strip(" .")
            self.name.setText(free_name(models, plain or DEFAULT_NAME))
        self.start_from.refresh()
        self._refresh()

    def _session_changed(self, name: str) -> None:
        if name == "dataset" and self.session.dataset is not None:
            self.dataset.choose(self.session.dataset)
            self.source.setCurrentText(DATASET)
        if name in ("image", "dataset") and not self.panel.running:
            self._suggest_name()
        elif name in ("image", "particles", "model"):
            self._refresh()

    def _look_at_annotation(self) -> None:
        """Say what diameter the training will take from the annotation."""
        text, particles = "from the annotation", self.session.particles
        if self.on_layers and particles is not None and math.prod(particles.level_shapes[0]) <= LARGEST_LOOK:
            with suppress(NanosegError):  # said when the user starts
                text = f"{instances_of(particles).diameter():.0f} px, from the annotation"
        self.form.placeholder("diameter", text)
        self._refresh()

    def _refresh(self) -> None:
        """Show what belongs to the choice, and what is missing."""
        self.annotation.setVisible(self.on_layers)
        self.dataset.setVisible(not self.on_layers)
        missing = None
        with suppress(NanosegError):  # said below
            missing = self._look_at_start()
        if self.on_layers and (self.session.image is None or self.session.particles is None):
            missing = "Open an image and outline some particles in the Annotate step, or choose a dataset folder."
        elif not self.on_layers and self.dataset.path is None:
            missing = "Choose a dataset folder: the Generate step makes one."
        self.hint(missing)
        self.panel.block(self.form.problem())
        self.sweep.refresh(running=self.panel.running)
        folder = self._to_resume()
        self.resume_button.setEnabled(folder is not None and not self.panel.running)
        tip = "There is no training to go on with."
        if folder is not None:
            job = resumable(folder)
            finished = job is not None and steps_done(folder) >= steps_wanted(job)
            tip = f"Go on with the training in {folder}"
            tip += ", which is finished, for the number of steps above." if finished else ", with its own settings."
        self.resume_button.setToolTip(tip)
        self.copy_button.setEnabled(not self.panel.running)

    def _look_at_start(self) -> str | None:
        """Show what the training starts from and what open fields mean then; say what it does not use of the form."""
        config = self._config()
        self.annotation.ask_what_is_known(not isinstance(config.engine, UNetConfig))
        automatic = automatic_start(config)
        self.start_from.show_automatic(automatic, config.engine)
        start = automatic if self.start_from.path == AUTO else self.start_from.path
        given = {name: getattr(config, name) for name in ("engine", "optimizer", "batch_size")}
        filled = TrainConfig(**given).filled(fine_tuning=start not in (None, COCO))
        why = "for a new network" if start is None else f"from '{start_name(start)}'"
        self.form.placeholder("steps", f"{filled.steps}, {why}")
        self.form.placeholder("learning_rate", f"{filled.learning_rate:g}, {why}")
        self.form.placeholder("scale", f"{filled.scale[0]:g} to {filled.scale[1]:g}, {why}")
        usual = type(config.engine)()
        own = {name: getattr(config.engine, name) for name in usual.FREE}
        if start in (None, COCO) or config.engine == usual.model_copy(update=own):
            return None if self.on_layers else overlap_advice(config, self.dataset.path)
        return f"The settings of the network are not used: the training keeps the network of '{start.name}'."


def _align(*forms: QLayout | None) -> None:
    """Let the fields of several forms begin at the same place."""
    labels = [
        item.widget()
        for form in forms
        if isinstance(form, QFormLayout)
        for row in range(form.rowCount())
        if (item := form.itemAt(row, QFormLayout.ItemRole.LabelRole)) is not None
    ]
    width = max(label.sizeHint().width() for label in labels if label is not None)
    for label in labels:
        if label is not None:
            label.setMinimumWidth(width)
