"""The Compare dock: truth and prediction, and where they agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels, Layer
from napari.utils.events import Event as NapariEvent
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QFormLayout, QSizePolicy

from napari_nanoseg._gui.agreement_fold import AgreementFold
from napari_nanoseg._gui.comparing import (
    Compared,
    SavedComparison,
    SavedFigure,
    compare_layers,
    find_comparison_job,
    image_fits,
    known_size,
    save_agreement,
    save_comparison,
)
from napari_nanoseg._gui.error_view import (
    KEY,
    PIXELS,
    Figures,
    Legend,
    Precisions,
    comparison_layers,
    explain_particle,
    show_comparison,
)
from napari_nanoseg._gui.follow import follow
from napari_nanoseg._gui.forms import ConfigForm
from napari_nanoseg._gui.freshness import Freshness, Input, Outdated
from napari_nanoseg._gui.jobs import copy_command
from napari_nanoseg._gui.known_picker import KnownPicker
from napari_nanoseg._gui.known_regions import Known
from napari_nanoseg._gui.layers import file_stem
from napari_nanoseg._gui.linking import Clicks, Spotlight, place_of
from napari_nanoseg._gui.pickers import LayerPicker
from napari_nanoseg._gui.scripting import Put, Setting, find_layer, layer_setting
from napari_nanoseg._gui.step import Step
from napari_nanoseg._gui.words import WordLabel
from napari_nanoseg.config.base import Config
from napari_nanoseg.config.evaluate import EvaluateConfig, EvaluateJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.matching import Evaluation

ON_TOP = ("false_negatives", "true_positives", "false_positives")
"""Layers in which a click looks for a particle, one after the other."""
CLICK = "Click a particle in the image to see what became of it."


class Compare(Step):
    """Compares a prediction with the truth and shows which particles were found, are not there and were missed.

    Parameters
    ----------
    napari_viewer : ViewerModel
    """

    title = "Compare"
    start_text = "Compare"
    roles = ("truth", "prediction")

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.compared: Compared | None = None
        self._hidden: list[Labels] = []
        """Compared layers that are hidden while those of the comparison are shown."""
        self._lay_out()
        self.freshness = Freshness(self.session, self._settings, self)
        self._removal = QTimer(self)
        self._removal.setSingleShot(True)
        self._removal.timeout.connect(self._remove_layers)
        self.spotlight = Spotlight(self.viewer, self)
        self.clicks = Clicks(self.viewer, self._error_layers, self._clicked, self)
        self.save_button = self.panel.add_button("Save…", self._ask_folder)
        self.copy_button = self.panel.add_button("Copy as command", self._copy)
        for picker in (self.truth, self.prediction):
            picker.picked.connect(self._refresh)
        self.known.changed.connect(self._refresh)
        self.form.valueChanged.connect(self._refresh)
        self.agreement.figure.save_asked.connect(self._save_figure)
        self.panel.start_clicked.connect(self.compare)
        self.panel.done.connect(self._done)
        self.panel.ended.connect(self._refresh)
        self.outdated.again.connect(self.compare)
        self.freshness.changed.connect(self._layers_changed)
        follow(self, self.viewer.layers.events.removed, self._removed)
        self._refresh()

    def _lay_out(self) -> None:
        self.truth = LayerPicker(self.session, "truth")
        self.known = KnownPicker(self.session)
        self.prediction = LayerPicker(self.session, "prediction")
        self.form = ConfigForm(EvaluateConfig)
        self.form.placeholder("pixel_size_nm", "from the layers")
        self.form.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.outdated, self.heading = Outdated("Compare again"), WordLabel()
        self.legend, self.figures, self.particle = Legend(), Figures(), WordLabel(CLICK)
        self.precisions, self.agreement = Precisions(), AgreementFold()
        rows = QFormLayout()
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        rows.addRow("Truth", self.truth)
        rows.addRow("Outlined", self.known)
        rows.addRow("Prediction", self.prediction)
        self.body.addLayout(rows)
        for widget in (
            self.form, self.outdated, self.heading, self.legend, self.particle, self.figures, self.precisions,
            self.agreement,
        ):  # fmt: skip
            self.body.addWidget(widget)
        self.body.addStretch(1)

    def compare(self) -> None:
        """Compare what is chosen."""
        try:
            request = self._request()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        truth, prediction, known, config = request
        image = self._image(truth)
        work = partial(compare_layers, truth, prediction, known, image, config)
        if self.panel.start(work, f"Comparison of {prediction.name} with {truth.name}"):
            inputs = [Input(truth, "truth"), Input(prediction, "prediction")]
            if image is not None and not known_size((truth, prediction)).known:
                inputs.append(Input(image, main=False, pixels=False))
            if known is not None and isinstance(known.marked, Layer):
                inputs.append(Input(known.marked, main=False))
            self.freshness.begin(inputs)
            self.offer()
            self._refresh()

    def _own_settings(self) -> Mapping[str, Setting]:
        return {
            "truth": layer_setting(self.truth),
            "prediction": layer_setting(self.prediction),
            "known": self._known_setting,
        }

    def _known_setting(self, name: str, value: Any) -> Put:
        """None: the truth is complete; a layer: it is complete where that is marked."""
        layer = find_layer([None, *self.known.layers], name, value)
        return lambda: self.known.choose(None if layer is None else Known(layer))

    def _shown_config(self) -> Config:
        return self.form.value()

    def _show_config(self, config: EvaluateConfig) -> None:
        self.form.setValue(config)

    def _result_of(self, made: Compared) -> Evaluation:
        return made.comparison.evaluation

    def _settings(self) -> object:
        return self.form.value(), self.known.known

    def _request(self) -> tuple[Labels, Labels, Known | None, EvaluateConfig]:
        """What to compare.

        Raises
        ------
        NanosegError
            For the first thing that is missing or wrong.
        """
        truth, prediction, config = self.truth.layer, self.prediction.layer, self.form.value()
        assert isinstance(config, EvaluateConfig)
        if truth is None or prediction is None:
            raise NanosegError("Two labels layers are needed: the truth, and a prediction to compare with it.")
        if truth is prediction:
            raise NanosegError(f"'{truth.name}' is chosen twice; choose the truth and the prediction.")
        return truth, prediction, self.known.known, config

    def _done(self, result: Compared | SavedComparison | SavedFigure | EvaluateJob) -> None:
        if isinstance(result, SavedFigure):
            self.panel.say(f"Written: {result.path}, with its run record beside it.")
        elif isinstance(result, SavedComparison):
            self.panel.say(f"Written to {result.folder}: table, figures, pictures and run record.")
        elif isinstance(result, EvaluateJob):
            copy_command(result)
            self.panel.say(f"The command is on the clipboard. It writes to {result.out}.")
        else:
            self._show(result)

    def _show(self, compared: Compared) -> None:
        why = self.freshness.finish()
        if why is not None:
            self._forget()
            self.panel.refuse(f"The comparison is not shown. {why}")
            return
        self.compared = compared
        if not comparison_layers(self.viewer):
            self._hidden = [layer for layer in (compared.truth, compared.prediction) if layer.visible]
        self.spotlight.clear()
        self.particle.setText(CLICK)
        figures = compared.comparison.evaluation.figures()
        self.legend.show_counts(figures)
        self.figures.show_figures(figures, compared.not_judged)
        self.precisions.show_precisions(compared)
        self.agreement.show_agreement(compared)
        self.panel.show_in_turns(self._add_layers(compared))

    def _add_layers(self, compared: Compared) -> Iterator[None]:
        for _ in show_comparison(self.viewer, compared):
            yield
            if self.compared is not compared:  # other layers were chosen meanwhile
                self._removal.start()
                return
        self.succeed()

    def _layers_changed(self) -> None:
        if self.freshness.away is not None:
            self._forget()
        self._refresh()

    def _forget(self) -> None:
        """Take away the comparison of layers that were removed or are not chosen any more."""
        self.compared = None
        self.freshness.forget()
        self.spotlight.clear()
        self.agreement.show_agreement(None)
        self.offer()
        self._removal.start()  # not now: napari may be removing other layers

    def _remove_layers(self) -> None:
        """Remove the layers of a comparison that is not shown any more, and show those that they stood for."""
        if self.compared is not None:
            return
        for layer in comparison_layers(self.viewer).values():
            self.viewer.layers.remove(layer)
        hidden, self._hidden = self._hidden, []
        for layer in hidden:
            layer.visible = True

    def _error_layers(self) -> list[Labels]:
        if self.compared is None:
            return []
        shown = comparison_layers(self.viewer)
        return [shown[kind] for kind in ON_TOP if kind in shown]

    def _clicked(self, layer: Labels, label: int, plane: int | None) -> None:
        """Say what became of the particle that was clicked, and box it."""
        found = self.compared
        if found is None or not label:
            self.particle.setText(CLICK)
            self.spotlight.clear()
            return
        kind = str(layer.metadata[KEY])
        text = explain_particle(found, kind, label, plane)
        self.particle.setText(text)
        self.viewer.status = text
        side = found.comparison.truth if kind == "false_negatives" else found.comparison.prediction
        place = place_of(side[plane or 0], label)
        if place is not None:
            self.spotlight.show(layer, label, place._replace(plane=plane), move=False)

    def _removed(self, event: NapariEvent) -> None:
        if event.value.metadata.get(KEY) not in (None, PIXELS):
            self.spotlight.clear()
        self._refresh()

    def _ask_folder(self) -> None:
        found = self.compared
        if found is None:
            return
        # not a dialog for folders: Qt's own takes "/" for a path that is typed quickly, and a new folder is usual here
        name, _ = QFileDialog.getSaveFileName(
            self, "Folder for the comparison", f"{file_stem(found.prediction.name)}_comparison"
        )
        if name and self.panel.start(partial(save_comparison, found, Path(name)), "Saving of the comparison"):
            self._refresh()

    def _save_figure(self, path: Path) -> None:
        found = self.compared
        if found is not None and found.agreement is not None:
            work = partial(save_agreement, found, found.agreement, path)
            if self.panel.start(work, f"Saving of {path.name}"):
                self._refresh()

    def _copy(self) -> None:
        try:
            truth, prediction, known, config = self._request()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        work = partial(find_comparison_job, truth, prediction, known, self._image(truth), config)
        if self.panel.start(work, "Search for the files"):
            self._refresh()

    def _image(self, truth: Labels) -> Layer | None:
        """The micrograph behind the truth: that of the session where it fits, else any layer that does."""
        images = [self.session.image, *self.viewer.layers]
        return next((layer for layer in images if image_fits(layer, truth)), None)

    def _refresh(self, _: object = None) -> None:
        """Show what belongs to what is chosen and compared."""
        truth, prediction, busy = self.truth.layer, self.prediction.layer, self.panel.running
        missing = None
        if truth is None or prediction is None:
            missing = "Open or make two labels layers: the true particles, and a prediction from the Segment step."
        elif truth is prediction:
            missing = f"'{truth.name}' is chosen twice. Choose the layer with the true particles and the prediction."
        self.hint(missing)
        self.panel.block("Choose two different labels layers." if missing else self.form.problem())
        found = self.compared
        for widget in (self.heading, self.legend, self.particle, self.figures, self.precisions):
            widget.setVisible(found is not None)
        if found is not None:
            self.heading.setText(f"'{found.prediction.name}' compared with '{found.truth.name}':")
            self.agreement.figure.file_stem = f"{file_stem(found.prediction.name)}_agreement"
        self.agreement.setVisible(found is not None and found.agreement is not None)
        self.outdated.say(None if busy else self.freshness.outdated)
        savable = self.freshness.current and not busy
        self.agreement.figure.allow_saving(savable)
        self.save_button.setEnabled(savable)
        self.copy_button.setEnabled(missing is None and not busy)
