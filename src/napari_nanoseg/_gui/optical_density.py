"""The Optical density dock: from a transmission image to the optical density of its sample."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer
from napari.utils.events import EventEmitter
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QHBoxLayout, QPushButton

from napari_nanoseg._gui.densities import (
    FOLDER,
    Made,
    Request,
    SavedDensity,
    Source,
    find_density_job,
    make_density,
    save_density,
)
from napari_nanoseg._gui.density_preview import DensityPreview
from napari_nanoseg._gui.follow import Following, follow
from napari_nanoseg._gui.forms import ConfigForm
from napari_nanoseg._gui.freshness import Freshness, Input, Outdated
from napari_nanoseg._gui.jobs import copy_command
from napari_nanoseg._gui.layers import density_layer, drawing_layer, file_stem, image_of, marked_region, origins_of
from napari_nanoseg._gui.pickers import LayerPicker, narrow
from napari_nanoseg._gui.scripting import Setting, layer_setting
from napari_nanoseg._gui.step import Step
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.density import DensityConfig, DensityJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.layer_space import axes_of
from napari_nanoseg.measurement.density import OpticalDensity

NO_IMAGE = "Open a transmission image with File > Open."
PERCENTILE, REGION, REFERENCE = "a percentile of the image", "a region without sample", "a reference image"
OF_PERCENTILE = ("percentile", "averaging")
"""Fields that count where I0 is a percentile."""
OF_REGION = ("rows", "columns")
"""Fields that the layer of the region stands for."""


class Density(Step):
    """Makes a layer of optical density from an image layer, which stays as it is.

    Parameters
    ----------
    napari_viewer : ViewerModel
    """

    title = "Optical density"
    start_text = "Make optical density"
    roles = ("image",)

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.made: Made | None = None
        """The density that was made last."""
        self.layer: ImageLayer | None = None
        """The layer that shows it."""
        self._source: tuple[ImageLayer, object] | None = None
        """The layer that a density is being made of, and its pixels."""
        self._lay_out()
        self.copy_button = self.panel.add_button("Copy as command", self._copy)
        self.save_button = self.panel.add_button("Save density…", self._ask_path)
        self.freshness = Freshness(self.session, self._choices, self)
        self._edits = Following(self)
        for picker in (self.image, self.region, self.reference):
            picker.picked.connect(self._follow_layers)
        self.incident.activated.connect(self._refresh)
        self.draw_button.clicked.connect(self._draw)
        for form in (self.percentile, self.form):
            form.valueChanged.connect(self._refresh)
        self.panel.start_clicked.connect(self._start)
        self.panel.done.connect(self._done)
        self.panel.ended.connect(self._refresh)
        self.freshness.changed.connect(self._refresh)
        self.go_to.connect(self._take_along)
        follow(self, self.viewer.dims.events.current_step, self._refresh)
        self._follow_layers()

    def _lay_out(self) -> None:
        self.image = LayerPicker(self.session, "image")
        self.incident = QComboBox()
        self.incident.addItems([PERCENTILE, REGION, REFERENCE])
        self.incident.setToolTip("What the intensity I0 of the beam without a sample is taken from")
        narrow(self.incident)
        self.region = LayerPicker(self.session, "background", none="choose or draw one")
        self.draw_button = QPushButton("Draw")
        self.draw_button.setToolTip("Draw rectangles or polygons on the image, where there is no sample")
        self.reference = LayerPicker(self.session, "reference", none="choose an image")
        hidden = (*OF_PERCENTILE, *OF_REGION)
        self.percentile = ConfigForm(DensityConfig, hide=set(DensityConfig.model_fields) - set(OF_PERCENTILE))
        self.form = ConfigForm(DensityConfig, hide=hidden)
        self.preview, self.outdated = DensityPreview(), Outdated()
        self._rows, region = QFormLayout(), QHBoxLayout()
        self._rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        region.addWidget(self.region, 1)
        region.addWidget(self.draw_button)
        self._region_row = region
        self._rows.addRow("Image", self.image)
        self._rows.addRow("I0 from", self.incident)
        self._rows.addRow("Region", region)
        self._rows.addRow("Reference", self.reference)
        self.body.addLayout(self._rows)
        for widget in (self.percentile, self.form, self.preview, self.outdated):
            self.body.addWidget(widget)
        self.body.addStretch(1)

    def request(self) -> Request:
        """What the dock shows.

        Raises
        ------
        NanosegError
            For the first thing that is missing or wrong.
        """
        layer, chosen, config = self.session.image, self.incident.currentText(), self.form.value()
        assert isinstance(config, DensityConfig)
        if layer is None:
            raise NanosegError(NO_IMAGE)
        source = Source(image_of(layer), origins_of(layer))
        if chosen == REGION:
            drawn = self.session.background
            if drawn is None:
                raise NanosegError("No region is chosen; choose a shapes or labels layer, or draw a region.")
            planes, plane = source.image.planes, source.image.plane_shape
            shape = plane if planes == 1 else (planes, *plane)
            return Request(source, config, region=marked_region(drawn, layer, shape), drawn=drawn)
        if chosen == REFERENCE:
            beam = self.session.reference
            if beam is None:
                raise NanosegError("No reference is chosen; open an image without sample and choose it.")
            return Request(source, config, reference=Source(image_of(beam), origins_of(beam)))
        return Request(source, self._shown_config())

    def _own_settings(self) -> Mapping[str, Setting]:
        return {
            "image": layer_setting(self.image),
            "region": layer_setting(self.region, lambda layer: self._take_incident(REGION, layer)),
            "reference": layer_setting(self.reference, lambda layer: self._take_incident(REFERENCE, layer)),
        }

    def _take_incident(self, chosen: str, layer: Layer | None) -> None:
        self.incident.setCurrentText(PERCENTILE if layer is None else chosen)
        self._refresh()

    def _shown_config(self) -> DensityConfig:
        config = self.form.value()
        assert isinstance(config, DensityConfig)
        return config.model_copy(update=self.percentile.value().model_dump(include=set(OF_PERCENTILE)))

    def _show_config(self, config: DensityConfig) -> None:
        self.percentile.setValue(config)
        self.form.setValue(config)

    def _result_of(self, made: Made) -> OpticalDensity:
        return made.density

    def _start(self) -> None:
        try:
            request = self.request()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        layer = self.session.image
        assert layer is not None
        if self.panel.start(partial(make_density, request), f"Optical density of {layer.name}"):
            self._source = layer, layer.data
            roles = {REGION: "background", REFERENCE: "reference"}
            role = roles.get(self.incident.currentText())
            aside = [] if role is None else [Input(getattr(self.session, role), role, main=False)]
            self.freshness.begin([Input(layer, "image"), *aside])
            self.offer()
            self._refresh()

    def _choices(self) -> object:
        incident = self.incident.currentText()
        return incident, self.form.value(), self.percentile.value() if incident == PERCENTILE else None

    def _done(self, result: Made | SavedDensity | DensityJob) -> None:
        if isinstance(result, Made):
            self._show(result)
        elif isinstance(result, DensityJob):
            copy_command(result)
            self.panel.say(f"The command is on the clipboard. It writes to {result.out}.")
        else:
            if self.layer is not None and self.made is result.made:
                self.layer.metadata = {**self.layer.metadata, "source": str(result.path)}
            self.panel.say(f"Written: {result.path}, with its run record beside it.")

    def _show(self, made: Made) -> None:
        """Put the density into the viewer as a new layer, where its image lies."""
        assert self._source is not None
        layer, data = self._source
        self._source = None
        place: Layer | Calibration = layer
        changed = layer not in self.viewer.layers or layer.data is not data
        if changed:
            place = made.request.source.image.calibration
        name = f"{made.request.source.image.source}: optical density"
        self.layer = Layer.create(*density_layer(made.density.image, place, name, record=made.record, shown=made.shown))
        self.layer.contrast_limits_range = made.span
        self.viewer.add_layer(self.layer)
        self.made = made
        self.freshness.finish()
        if changed:
            self.panel.warn(f"The image '{layer.name}' was changed or removed meanwhile; this is the density it had.")
        levels = made.density.incident
        text = f"{levels[0]:.5g}" if len(levels) == 1 else f"{levels.min():.5g} to {levels.max():.5g}"
        self.panel.say(f"'{self.layer.name}' is made, with I0 {text}.")
        self.succeed("Annotate", "Segment")

    def _take_along(self, _: str) -> None:
        """The step that is gone on to works on the density."""
        if self.layer is not None and self.layer in self.viewer.layers:
            self.session.put("image", self.layer)

    def _draw(self) -> None:
        """Add a layer to draw a region in, and choose it."""
        layer = self.session.image
        if layer is None:
            return
        drawn = Layer.create(*drawing_layer(layer, f"I0 region: {layer.name}"))
        self.viewer.add_layer(drawn)
        self.viewer.layers.selection.active = drawn
        drawn.mode = "add_rectangle"
        self.region.choose(drawn)

    def _copy(self) -> None:
        try:
            request = self.request()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        if self.panel.start(partial(find_density_job, request), "Search for the files"):
            self._refresh()

    def _ask_path(self) -> None:
        made = self.made
        if made is None:
            return
        source = made.request.source
        name = source.origins[0].stem if source.origins else file_stem(source.image.source)
        start = str(Path.home() / f"{name}_{FOLDER}.tif")
        chosen, _ = QFileDialog.getSaveFileName(self, "Save the optical density", start, "TIFF (*.tif *.tiff)")
        if not chosen:
            return
        path = Path(chosen)
        path = path if path.suffix.lower() in (".tif", ".tiff") else path.with_name(f"{path.name}.tif")
        others = [*source.origins, *([] if made.request.reference is None else made.request.reference.origins)]
        if any(path.exists() and origin.exists() and path.samefile(origin) for origin in others):
            self.panel.refuse(f"The optical density would replace {path}; choose another folder or name.")
            return
        if self.panel.start(partial(save_density, made, path), f"Saving of {path.name}"):
            self._refresh()

    def _follow_layers(self, _: object = None) -> None:
        """Follow what is changed in the chosen layers."""
        layers = [self.session.image, self.session.background, self.session.reference]
        emitters = [emitter for layer in layers if layer is not None for emitter in _emitters(layer)]
        self._edits.replace(*((emitter, self._refresh) for emitter in emitters))
        self._refresh()

    def _refresh(self, _: object = None) -> None:
        """Show what belongs to the chosen I0, what is missing, and the picture of it."""
        chosen, layer = self.incident.currentText(), self.session.image
        self._rows.setRowVisible(self._region_row, chosen == REGION)
        self._rows.setRowVisible(self.reference, chosen == REFERENCE)
        self.percentile.setVisible(chosen == PERCENTILE)
        self.draw_button.setEnabled(layer is not None)
        self.hint(NO_IMAGE if layer is None else None)
        problem = None
        try:
            self.preview.follow(self.request(), self._seen())
        except NanosegError as error:
            problem = str(error)
            self.preview.refuse("")
        self.panel.block(problem)
        self.copy_button.setEnabled(problem is None and not self.panel.running)
        self.outdated.say(None if self.freshness.away or self.panel.running else self.freshness.outdated)
        self.save_button.setEnabled(self._savable and not self.panel.running)

    @property
    def _savable(self) -> bool:
        """Whether the density is that of what is chosen, or itself chosen."""
        return self.layer in self.viewer.layers and (self.session.image is self.layer or self.freshness.current)

    def _seen(self) -> int:
        """Number of the slice that is seen."""
        layer = self.session.image
        assert layer is not None
        letters = axes_of(layer)
        axis = next((index for index, letter in enumerate(letters) if letter in "ZT"), None)
        if axis is None:
            return 0
        place = layer.world_to_data(np.asarray(self.viewer.dims.point)[-layer.ndim :])[axis]
        return int(np.clip(round(float(place)), 0, layer.data.shape[axis] - 1))


def _emitters(layer: Layer) -> list[EventEmitter]:
    events = layer.events
    return [events.data, events.scale, events.units, *([events.paint] if isinstance(layer, Labels) else [])]
