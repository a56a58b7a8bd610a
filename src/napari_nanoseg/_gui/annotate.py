"""Outlining particles: the first step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import platformdirs
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels
from napari.utils.events import Event as LayerEvent
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QFormLayout, QLabel, QPushButton, QSizePolicy

from napari_nanoseg._gui.annotation_layers import (
    add_slice,
    go_to,
    is_stack,
    make_annotation,
    mark_region,
    mend,
    shown_slice,
    take_slice,
)
from napari_nanoseg._gui.annotation_picker import SETTLED_MS, AnnotationPicker
from napari_nanoseg._gui.dataset_saving import Annotation, Saved, name_in, save
from napari_nanoseg._gui.drawing import KEYS, drawing_of
from napari_nanoseg._gui.findings import Findings
from napari_nanoseg._gui.follow import Following
from napari_nanoseg._gui.latest import Latest
from napari_nanoseg._gui.layers import file_stem
from napari_nanoseg._gui.offers import Offers
from napari_nanoseg._gui.pickers import PathPicker
from napari_nanoseg._gui.propose_button import ProposeButton
from napari_nanoseg._gui.recovery import recovery_of
from napari_nanoseg._gui.scribbling import (
    HINT,
    SavedScribbles,
    Scribbles,
    look_at,
    make_scribbles,
    save_scribbles,
    scribbles_of,
)
from napari_nanoseg._gui.scripting import Setting, flag_setting, path_setting
from napari_nanoseg._gui.step import Step
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import checkpoint
from napari_nanoseg.io.datasets import Dataset, open_dataset
from napari_nanoseg.measurement.annotation import ENOUGH, Finding, check_annotation, describe


@dataclass(frozen=True)
class _Look:
    """What an annotation looks like."""

    summary: str
    findings: list[Finding]
    particles: int


_NOTHING = _Look("", [], 0)


class Annotate(Step):
    """Makes a labels layer for outlines, helps to draw them, checks them and saves them to a dataset."""

    title = "Annotate"
    start_text = "Save to dataset"
    roles = ("image", "particles")

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self._drawing, self._recovery = drawing_of(self.session), recovery_of(self.session)
        self._offers, self._picker = Offers(self.session), AnnotationPicker(self.session)
        self._new = _button(
            "New annotation", "Add an empty labels layer with the pixel size of the image, and draw polygons"
        )
        self._propose = ProposeButton(self.session, self.panel, self._make)
        self._scribble = QCheckBox("Scribble classes, not particles")
        self._scribble.setToolTip(
            "For a U-Net, which gives every pixel a class: strokes on cracks, voids and background in place of outlines"
        )
        self._slice = _button("Take the slice that is shown", "Add the slice of the stack as an image of its own")
        self._automatic = QCheckBox("Next label after every outline")
        self._automatic.setToolTip(
            "A finished polygon ends a particle. With the brush, a stroke that touches the selected particle adds to "
            "it, and one elsewhere begins the next."
        )
        self._automatic.setChecked(self._drawing.automatic)
        self._keys = _text("<br>".join(f"<b>{key}</b>: {meaning}" for key, meaning in KEYS))
        self._region_hint = _text(
            "Not all particles outlined? Draw a rectangle around some background without particles, or around a "
            "region in which all are outlined."
        )
        self._region = _button("Mark background or finished region", "Add a layer for rectangles, and draw them")
        self._summary, self._findings = _text(""), Findings(self.viewer)
        self._mend = _button(
            "Mend pieces and fragments",
            "Give the pieces of a label labels of their own and remove tiny ones; Ctrl+Z takes it back",
        )
        self._folder = PathPicker("folder", hint="folder for annotated images")
        self._edits = Following(self)
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._looks, self._slices = Latest("Look at the annotation", self), Latest("Read a slice", self)
        self._lay_out()
        self._connect()
        self._folder.choose(self.session.dataset or platformdirs.user_documents_path() / "NanoSeg" / "annotated")
        self._offers.look()
        self._chosen("image")

    def _lay_out(self) -> None:
        for widget in (
            self._offers, self._picker, self._scribble, self._new, self._propose, self._slice, self._automatic,
            self._keys, self._region_hint, self._region, self._summary, self._findings, self._mend,
        ):  # fmt: skip
            self.body.addWidget(widget)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("Dataset", self._folder)
        self.body.addLayout(form)

    def _connect(self) -> None:
        self._recovery.failed.connect(self.panel.warn)
        self._offers.said.connect(self.panel.warn)
        self._new.clicked.connect(self._make)
        self._slice.clicked.connect(self._take_slice)
        self._automatic.toggled.connect(self._drawing.set_automatic)
        self._scribble.toggled.connect(self._scribbling_toggled)
        self._region.clicked.connect(lambda: mark_region(self.session))
        self._mend.clicked.connect(self._mend_layer)
        self._findings.chosen.connect(lambda finding: go_to(self.session, finding))
        self._picker.changed.connect(self._look)
        self._settled.timeout.connect(self._look)
        self._looks.done.connect(self._show)
        self._looks.failed.connect(lambda problem: self._show(_Look("", [Finding("problem", problem)], 0)))
        self._slices.done.connect(lambda taken: add_slice(self.session, taken))
        self._slices.failed.connect(self.panel.refuse)
        self.session.changed.connect(self._chosen)
        self.panel.start_clicked.connect(self._save)
        self.panel.done.connect(self._saved)
        self._folder.changed.connect(lambda _: self._allow_saving())

    def _chosen(self, name: str) -> None:
        """Show what can be done with what is chosen."""
        session = self.session
        if name == "dataset" and session.dataset is not None:
            self._folder.choose(session.dataset)
        if name not in ("image", "particles", "region", "whole"):
            return
        if name in self.roles:  # until it is looked at, nothing is known of another annotation
            self._looks.stop()
            self._show(_NOTHING)
        image, particles = session.image, session.particles
        stack, classes = image is not None and is_stack(image), self.scribbling
        self._slice.setVisible(stack and not classes)
        self._propose.setVisible(not classes)
        self._picker.ask_what_is_known(not classes)
        self._new.setText("New scribbles" if classes else "New annotation")
        self._new.setEnabled(image is not None and (classes or not stack))
        self._summary.setVisible(particles is not None)
        for widget in (self._automatic, self._keys, self._region, self._region_hint, self._findings):
            widget.setVisible(particles is not None and not classes)
        self._edits.replace(*(() if particles is None else ((particles.events.set_data, self._redrawn),)))
        self.hint(HINT if classes and image is not None else _what_next(image, particles, stack))
        self._look()

    @property
    def scribbling(self) -> bool:
        """Whether labels say what a pixel is, not whose."""
        return self._scribble.isChecked()

    def _scribbling_toggled(self, on: bool) -> None:
        self._drawing.set_automatic(not on and self._automatic.isChecked())
        self._chosen("image")

    def _redrawn(self, _: LayerEvent) -> None:
        """Of undo, napari tells nothing but that the layer is drawn again."""
        self._settled.start()

    def _make(self) -> None:
        try:
            (make_scribbles if self.scribbling else make_annotation)(self.session)
        except NanosegError as error:
            self.panel.refuse(str(error))

    def _take_slice(self) -> None:
        index = shown_slice(self.session)
        if index is not None:
            self._slices.ask(partial(take_slice, self.session.image, index))

    def _mend_layer(self) -> None:
        layer = self.session.particles
        if layer is not None:
            self.panel.say(f"{mend(layer)} Ctrl+Z in the layer takes it back.")

    def _annotation(self) -> Annotation | None:
        session = self.session
        if session.image is None or session.particles is None:
            return None
        return Annotation(session.image, session.particles, session.region, session.whole)

    def _look(self) -> None:
        """Count and check, in a thread."""
        annotation = self._annotation()
        self._allow_saving()
        if annotation is None:
            self._looks.stop()
            self._show(_NOTHING)
        elif self.scribbling:
            self._looks.ask(partial(look_at, annotation.image, annotation.particles))
        else:
            self._looks.ask(partial(_look, annotation))

    def _show(self, look: _Look | Scribbles) -> None:
        if isinstance(look, Scribbles):
            self._summary.setText(str(look))
            self._mend.setVisible(False)
            if look.usable:
                self.succeed("Train")
            else:
                self.offer()
            return
        self._summary.setText(look.summary)
        self._findings.show_findings(look.findings)
        self._propose.refresh()
        self._mend.setVisible(any(finding.mendable for finding in look.findings))
        usable = look.particles >= ENOUGH and not any(finding.severity == "problem" for finding in look.findings)
        if usable:
            self.succeed("Generate", "Train")
        else:
            self.offer()

    def _allow_saving(self) -> None:
        if self._annotation() is None:
            self.panel.block("To save, choose an image and its annotation.")
        elif self._folder.path is None:
            self.panel.block("To save, choose a folder for the dataset.")
        else:
            self.panel.block(None)

    def _own_settings(self) -> Mapping[str, Setting]:
        return {
            **self._picker.settings(),
            "classes": flag_setting(self._scribble),
            "dataset": path_setting(self._folder),
        }

    def _result_of(self, made: Saved | SavedScribbles) -> Dataset:
        return open_dataset(made.folder)

    def _save(self) -> None:
        annotation, folder = self._annotation(), self._folder.path
        if annotation is None or folder is None:
            return
        try:
            name = name_in(folder, file_stem(annotation.image.name), None if self.scripted else self)
        except (NanosegError, OSError) as error:
            self.panel.refuse(str(error))
            return
        if name is None:
            return
        if self.scribbling:
            try:
                scribbles = scribbles_of(annotation.image, annotation.particles, name)
            except NanosegError as error:
                self.panel.refuse(str(error))
                return
            self.panel.start(partial(save_scribbles, scribbles, folder), f"Saving '{name}'")
        else:
            self.panel.start(partial(save, annotation, name, folder), f"Saving '{name}'")

    def _saved(self, saved: object) -> None:
        if isinstance(saved, SavedScribbles):
            layer = saved.scribbles.layer
            self._recovery.saved(layer, saved.scribbles.values.reshape(layer.data.shape))
            self.session.put("dataset", saved.folder)
            self.panel.say(str(saved))
        if not isinstance(saved, Saved):
            return
        labels = saved.sample.instances.to_labels()
        self._recovery.saved(saved.layer, labels.reshape(saved.layer.data.shape))
        self.session.put("dataset", saved.folder)
        self.panel.say(str(saved))


def _look(annotation: Annotation) -> _Look:
    sample = annotation.sample()
    checkpoint()
    return _Look(describe(sample), check_annotation(sample), len(sample.instances))


def _what_next(image: ImageLayer | None, particles: Labels | None, stack: bool) -> str | None:
    if image is None:
        return "Open a micrograph with File > Open, or take one from File > Open Sample > NanoSeg."
    if stack:
        return f"'{image.name}' is a stack: go to a slice with many particles and take it as an image of its own."
    if particles is None:
        return "Make a new annotation and outline eight or more particles that look different, or have them proposed."
    return None


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button


def _text(text: str) -> QLabel:
    """A label that wraps at any width."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setMinimumWidth(1)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label
