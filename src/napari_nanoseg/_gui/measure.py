"""The Measure dock: from a labels layer to a table that is linked with it, and its size distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.layers import Labels
from qtpy.QtWidgets import QCheckBox, QFileDialog, QFormLayout, QPushButton, QSizePolicy

from napari_nanoseg._gui.figure_view import FigureView
from napari_nanoseg._gui.forms import ConfigForm
from napari_nanoseg._gui.frame_model import shown
from napari_nanoseg._gui.freshness import Freshness, Input, Outdated
from napari_nanoseg._gui.jobs import copy_command
from napari_nanoseg._gui.layers import calibration_of, file_stem
from napari_nanoseg._gui.layers.calibrating import set_pixel_size
from napari_nanoseg._gui.linking import Clicks, Spotlight, Watch, place_of
from napari_nanoseg._gui.measuring import Measurement, Saved, find_job, measure_layers, save_figure, save_table
from napari_nanoseg._gui.pickers import LayerPicker
from napari_nanoseg._gui.scripting import Put, Setting, find_layer, layer_setting
from napari_nanoseg._gui.step import Step
from napari_nanoseg._gui.table import TableView
from napari_nanoseg._gui.words import WordLabel
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.base import Config
from napari_nanoseg.config.measure import MeasureConfig, MeasureJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.tables import TABLE_SUFFIXES

if TYPE_CHECKING:
    from pandas import DataFrame

ROWS = 12
TABLE_FILES = "CSV (*.csv);;Excel (*.xlsx)"


class Measure(Step):
    """Measures the particles of a layer; table and layer show each other's choice.

    Parameters
    ----------
    napari_viewer : ViewerModel
    """

    title = "Measure"
    start_text = "Measure"
    roles = ("prediction",)

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.measurement: Measurement | None = None
        self._lay_out()
        self.spotlight = Spotlight(self.viewer, self)
        self.clicks = Clicks(self.viewer, self._measured_layers, self._clicked, self)
        self.freshness = Freshness(self.session, self._settings, self)
        self._calibrated = Watch(self, self._refresh)
        self.save_table_button = self.panel.add_button("Save table…", self._ask_table)
        self.save_figure_button = self.panel.add_button("Save figure…", self.figure.ask)
        self.copy_button = self.panel.add_button("Copy as command", self._copy)
        self.labels.picked.connect(self._picked)
        self.image.picked.connect(self._refresh)
        self.intensities.toggled.connect(self._refresh)
        self.form.valueChanged.connect(self._refresh)
        self.use_button.clicked.connect(self._use_pixel_size)
        self.outdated.again.connect(self.measure)
        self.table.selected.connect(self._chosen)
        self.figure.save_asked.connect(self._save_figure)
        self.panel.start_clicked.connect(self.measure)
        self.panel.done.connect(self._done)
        self.panel.ended.connect(self._refresh)
        self.freshness.changed.connect(self._layers_changed)
        self._picked(self.labels.layer)

    def _lay_out(self) -> None:
        self.labels = LayerPicker(self.session, "prediction")
        self.image = LayerPicker(self.session, "image")
        self.intensities = QCheckBox("Intensities in")
        self.intensities.setToolTip("Also give every particle its mean grey value in this image")
        self.intensities.setChecked(True)
        self.form = ConfigForm(MeasureConfig)
        self.form.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self.use_button = QPushButton("Use this pixel size for the layers")
        self.use_button.setToolTip("Scale the layers that lie on the labels, so that the scale bar is right")
        self.summary = WordLabel()
        self.table, self.figure = TableView(), FigureView()
        self.table.setMinimumHeight((ROWS + 3) * self.table.fontMetrics().height())
        self.outdated = Outdated("Measure again")
        rows = QFormLayout()
        rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        rows.addRow("Particles", self.labels)
        rows.addRow(self.intensities, self.image)
        self.body.addLayout(rows)
        for widget in (self.form, self.use_button, self.outdated, self.summary, self.table, self.figure):
            self.body.addWidget(widget)
        self.body.addStretch(1)

    def measure(self) -> None:
        """Measure what is chosen."""
        try:
            labels, image, config = self._request()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        work = partial(measure_layers, labels, image, config)
        if self.panel.start(work, f"Measuring of {labels.name}"):
            images = [] if image is None else [Input(image, "image", main=False)]
            self.freshness.begin([Input(labels, "prediction"), *images])
            self.offer()
            self._refresh()

    def _own_settings(self) -> Mapping[str, Setting]:
        return {"labels": layer_setting(self.labels), "image": self._intensities_setting}

    def _intensities_setting(self, name: str, value: Any) -> Put:
        """None: without intensities."""
        layer = find_layer([None, *self.image.options], name, value)

        def put() -> None:
            self.intensities.setChecked(layer is not None)
            if layer is not None:
                self.image.choose(layer)

        return put

    def _shown_config(self) -> Config:
        return self.form.value()

    def _show_config(self, config: MeasureConfig) -> None:
        self.form.setValue(config)

    def _result_of(self, made: Measurement) -> DataFrame:
        return made.table

    def _settings(self) -> object:
        return self.form.value(), self.intensities.isChecked()

    def _request(self) -> tuple[Labels, Any, MeasureConfig]:
        """What to measure.

        Raises
        ------
        NanosegError
            For the first thing that is missing or wrong.
        """
        labels, config = self.labels.layer, self.form.value()
        assert isinstance(config, MeasureConfig)
        if labels is None:
            raise NanosegError("No labels layer is chosen; segment an image first, or open its labels.")
        return labels, self.image.layer if self.intensities.isChecked() else None, config

    def _done(self, result: Measurement | Saved | MeasureJob) -> None:
        if isinstance(result, Saved):
            self.panel.say(f"Written: {result.path}, with its run record beside it.")
        elif isinstance(result, MeasureJob):
            copy_command(result)
            self.panel.say(f"The command is on the clipboard. It writes {result.out}.")
        elif (why := self.freshness.finish()) is not None:
            self._forget()
            self.panel.say(f"The particles of '{result.labels.name}' are not shown. {why}")
        else:
            self._show(result)

    def _forget(self) -> None:
        """Take away the results of a layer that was removed or is not chosen any more."""
        self.measurement = None
        self.freshness.forget()
        self.spotlight.clear()
        self.table.set_table(None)
        self.figure.show_figure(None)
        self.offer()

    def _show(self, measurement: Measurement) -> None:
        """Show the table, the figures and the distribution; the layer gets the table as its features."""
        self.measurement = measurement
        self.spotlight.clear()
        if not measurement.calibration.known:
            self.panel.warn("The pixel size is not known, so lengths are in pixels. Type it above to get nanometres.")
        if measurement.table["label"].is_unique:
            measurement.labels.features = measurement.table.rename(columns={"label": "index"})
        self.panel.show_in_turns(self._fill(measurement))

    def _fill(self, measurement: Measurement) -> Iterator[None]:
        self.table.set_table(measurement.table)
        yield
        if self.measurement is measurement:  # another layer may have been chosen meanwhile
            self.figure.show_figure(measurement.figure)
            self.succeed("Compare")

    def _measured_layers(self) -> list[Labels]:
        """The layer whose particles have rows."""
        found = self.measurement
        return [] if found is None else [found.labels]

    def _chosen(self, label: int) -> None:
        """Show the particle of the row that was chosen."""
        found, row = self.measurement, self.table.row
        if found is None or row is None:
            return
        place = place_of(found.instances, label, int(row["slice"]) if "slice" in row.index else None)
        if place is not None:
            self.spotlight.show(found.labels, label, place)

    def _clicked(self, layer: Labels, label: int, plane: int | None) -> None:
        """Show the row of the particle that was clicked."""
        found = self.measurement
        place = None if found is None or not label else place_of(found.instances, label, plane)
        if self.table.select(label, plane) and place is not None:
            self.spotlight.show(layer, label, place, move=False)
        else:
            self.spotlight.clear()

    def _picked(self, layer: Labels | None) -> None:
        self._calibrated.watch(layer)
        self._refresh()

    def _layers_changed(self) -> None:
        if self.freshness.away is not None:
            self._forget()
        self._refresh()

    def _use_pixel_size(self) -> None:
        layer, size = self.labels.layer, self._typed_size()
        if layer is not None and size is not None:
            changed = set_pixel_size(self.viewer.layers, layer, size)
            self.panel.say(f"{len(changed)} layers have {size:g} nm per pixel now.")
            self.viewer.reset_view()
            self._refresh()

    def _typed_size(self) -> float | None:
        config = None if self.form.problem() else self.form.value()
        return config.pixel_size_nm if isinstance(config, MeasureConfig) else None

    def _ask_table(self) -> None:
        found = self.measurement
        if found is None:
            return
        name, kind = QFileDialog.getSaveFileName(
            self, "Save the table", f"{file_stem(found.labels.name)}_particles.csv", TABLE_FILES
        )
        if name:
            path = Path(name)
            if path.suffix.lower() not in TABLE_SUFFIXES:
                path = Path(name + (".xlsx" if "xlsx" in kind else ".csv"))
            self._run(partial(save_table, found, path), f"Saving of {path.name}")

    def _save_figure(self, path: Path) -> None:
        if self.measurement is not None:
            self._run(partial(save_figure, self.measurement, path), f"Saving of {path.name}")

    def _copy(self) -> None:
        try:
            request = self._request()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        self._run(partial(find_job, *request), "Search for the files")

    def _run(self, work: Callable[[], Any], title: str) -> None:
        if self.panel.start(work, title):
            self._refresh()

    def _refresh(self, _: object = None) -> None:
        """Show what belongs to what is chosen and measured."""
        layer, found, busy = self.labels.layer, self.measurement, self.panel.running
        if found is not None:
            self.summary.setText(sentence(found))
        self.hint("Segment an image first, or open a labels layer." if layer is None else None)
        self.panel.block("There are no labels to measure." if layer is None else self.form.problem())
        self.image.setEnabled(self.intensities.isChecked() and self.session.image is not None)
        own = Calibration() if layer is None else self._calibration_of(layer)
        self.form.placeholder("pixel_size_nm", _size_text(own))
        typed = self._typed_size()
        differs = not own.known or own.pixel_size_nm is None or abs(own.pixel_size_nm[-1] - (typed or 0)) > 1e-9
        self.use_button.setVisible(layer is not None and typed is not None and differs)
        self.outdated.say(None if busy else self.freshness.outdated)
        for widget in (self.summary, self.table):
            widget.setVisible(found is not None)
        self.figure.file_stem = "" if found is None else f"{file_stem(found.labels.name)}_sizes"
        savable = self.freshness.current and not busy
        self.save_table_button.setEnabled(savable)
        self.save_figure_button.setEnabled(savable and self.figure.figure is not None)
        self.figure.allow_saving(savable)
        self.copy_button.setEnabled(layer is not None and not busy)

    def _calibration_of(self, layer: Labels) -> Calibration:
        """Pixel size of the labels, else of the image; not known where a layer cannot be used."""
        try:
            own = calibration_of(layer)
            image = self.image.layer if self.intensities.isChecked() else None
            return own if own.known or image is None else calibration_of(image)
        except NanosegError:
            return Calibration()


def sentence(measurement: Measurement) -> str:
    """The figures of the size distribution for people."""
    figures, unit = measurement.figures, "nm" if measurement.calibration.known else "px"
    suffix = "_nm" if measurement.calibration.known else ""
    rows, counted, border = len(measurement.table), figures["n"], figures["n_border"]
    stack = "slice" in measurement.table
    each = ", counted in each slice" if stack else ""
    text = f"'{measurement.labels.name}': {rows} {'particle' if rows == 1 else 'particles'}{each}"
    if border:
        text += f", {border} of them at the border"
        text += " and left out below" if measurement.config.exclude_border else ""
    overlapping = int(measurement.table["overlapping"].sum())
    if overlapping:
        text += f"; {overlapping} share pixels with others, which count for both (areas are amodal)"
    if not counted:
        return f"{text}."
    lines = [f"{text}.", f"Equivalent diameter of {counted} in {unit}:"]
    for ending, by in (("", "number"), ("_volume", "volume")):
        values = (shown(figures[f"d{percent}{ending}{suffix}"]) for percent in (10, 50, 90))
        lines.append("D10 {}, D50 {}, D90 {} by {}".format(*values, by))
    return "\n".join(lines)


def _size_text(calibration: Calibration) -> str:
    if calibration.pixel_size_nm is None:
        return "unknown: lengths in pixels"
    return f"{calibration.pixel_size_nm[-1]:g} nm, from the layer"
