"""The Cracks dock: from a volume to its cracks, its damage and packing, and how these depend on depth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
)

from napari_nanoseg._gui.crack_plots import CrackPlots
from napari_nanoseg._gui.crack_tables import CrackTables
from napari_nanoseg._gui.cracking import (
    Copied,
    Opening,
    Request,
    Results,
    Side,
    copy_results,
    find_cracks_job,
    in_folder,
    open_layer_file,
    run_cracks,
    write_picture,
)
from napari_nanoseg._gui.fold import Fold
from napari_nanoseg._gui.follow import Following, follow
from napari_nanoseg._gui.forms import ConfigForm
from napari_nanoseg._gui.freshness import Freshness, Input, Outdated
from napari_nanoseg._gui.jobs import copy_command
from napari_nanoseg._gui.layers import (
    class_map_layer,
    classes_of,
    file_stem,
    given_by,
    map_layer,
)
from napari_nanoseg._gui.linking import current_plane, look_at
from napari_nanoseg._gui.model_picker import ModelPicker
from napari_nanoseg._gui.overwriting import job_box
from napari_nanoseg._gui.pickers import LayerPicker, PathPicker, narrow
from napari_nanoseg._gui.scripting import Setting, flag_setting, layer_setting, model_setting, path_setting
from napari_nanoseg._gui.settings import settings
from napari_nanoseg._gui.step import Step
from napari_nanoseg._gui.words import WordLabel
from napari_nanoseg.config.base import Config
from napari_nanoseg.config.cracks import CracksConfig, CracksJob
from napari_nanoseg.config.damage import CRACK
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.model_cards import ModelEntry, describe_model
from napari_nanoseg.io.model_library import shipped_name

if TYPE_CHECKING:
    from napari_nanoseg.jobs.cracks import CracksResult

NO_VOLUME = "Open a volume: a TIFF stack, HDF5, OME-Zarr or NPY file, raw voxels, or a folder of slices."
NO_MODEL = "Train a U-Net on some labelled slices first, or choose the model 'threshold', which needs no training."
NO_CLASSES = "No class map is chosen; choose a labels layer that has one, or let a model find the cracks."
BY_MODEL, BY_LAYER = "a model", "a labels layer"
BASELINE = "threshold"
COLOURS = {"damage": "magma", "packing": "viridis"}
BARS = "Colour bars, from 0 to 1: damage is cracks / {whole}, packing is particles / window."


def for_volumes(entry: ModelEntry) -> bool:
    """Whether a model gives the voxels of a volume their classes."""
    return entry.engine == "unet" or shipped_name(entry.path) == BASELINE


class Cracks(Step):
    """Finds the cracks of a volume, or takes those of a labels layer, and shows how the volume is damaged.

    Parameters
    ----------
    napari_viewer : ViewerModel
    """

    title = "Cracks"
    start_text = "Find cracks"
    roles = ("image",)

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.results: Results | None = None
        """What was found last."""
        self.layer: ImageLayer | None = None
        """The volume that it was found in."""
        self._pending: ImageLayer | None = None
        self._made: list[Layer] = []
        """The layers that show the results."""
        self._suggested: Path | None = None
        self._lay_out()
        self.copy_button = self.panel.add_button("Copy as command", self._copy)
        self.save_button = self.panel.add_button("Save as…", self._ask_folder)
        self.save_button.setToolTip("Copy all tables and figures to another folder")
        self.freshness = Freshness(self.session, self._choices, self)
        self._edits = Following(self)
        for picker in (self.image, self.classes, self.particle_mask, self.particle_labels):
            picker.picked.connect(self._follow_layers)
        self.classes.picked.connect(self._name_classes)
        self.source.activated.connect(self._refresh)
        self.models.changed.connect(self._refresh)
        self.form.valueChanged.connect(self._refresh)
        self.out.changed.connect(self._refresh)
        self.open_file.clicked.connect(self._ask_file)
        self.open_folder.clicked.connect(self._ask_volume_folder)
        self.tables.place_chosen.connect(self._look_at)
        self.plots.view.save_asked.connect(self._save_picture)
        self.panel.start_clicked.connect(self._start)
        self.panel.done.connect(self._done)
        self.panel.cancelled.connect(self._say_what_is_kept)
        self.panel.ended.connect(self._refresh)
        self.freshness.changed.connect(self._freshness_changed)
        self.session.changed.connect(self._session_changed)
        follow(self, self.viewer.dims.events.current_step, self._follow_slider)
        self._session_changed("model")
        self._follow_layers()

    def _lay_out(self) -> None:
        self.image = LayerPicker(self.session, "image")
        self.open_file, self.open_folder = QPushButton("Open file…"), QPushButton("Open folder…")
        self.open_file.setToolTip("Open a volume of any size; its slices are read when they are looked at")
        self.open_folder.setToolTip("Open a folder of slices, or of OME-Zarr")
        self.source = QComboBox()
        self.source.addItems([BY_MODEL, BY_LAYER])
        self.source.setToolTip("Who says what is crack")
        narrow(self.source)
        self.models = ModelPicker(self.session, "volume_model", for_volumes)
        self.classes = LayerPicker(self.session, "classes", none="choose a class map")
        self.particle_mask = LayerPicker(self.session, "particle_mask", none="as classes or grey tell")
        self.particle_mask.setToolTip("A mask of the particles, for the packing density; cracks inside count to them")
        self.particle_labels = LayerPicker(self.session, "particle_labels", none="connected pieces")
        self.particle_labels.setToolTip("Which particle is which, for the table of particles")
        self.baseline = QCheckBox("Threshold beside it")
        self.baseline.setToolTip("Do the same with conventional thresholding, to see what the network adds")
        self.out = PathPicker("folder", hint="folder for the results")
        self.overwrite = job_box("overwrite")
        self.form = ConfigForm(CracksConfig(device=settings().device))
        self.outdated = Outdated()
        self.summary, self.plots, self.tables = WordLabel(), CrackPlots(), CrackTables()
        self.summary.hide()
        opening = QHBoxLayout()
        opening.addWidget(self.open_file)
        opening.addWidget(self.open_folder)
        self._rows = QFormLayout()
        self._rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self._rows.addRow("Volume", self.image)
        self._rows.addRow("", opening)
        self._rows.addRow("Cracks by", self.source)
        self._rows.addRow("Model", self.models)
        self._rows.addRow("Class map", self.classes)
        self._rows.addRow("Particles", self.particle_mask)
        self._rows.addRow("Labels", self.particle_labels)
        self._rows.addRow("", self.baseline)
        self._rows.addRow("Results", self.out)
        self._rows.addRow("", self.overwrite)
        self.body.addLayout(self._rows)
        self.settings = Fold("Settings", self._fill_settings)
        for widget in (self.settings, self.outdated, self.summary, self.plots, self.tables):
            self.body.addWidget(widget)
        self.body.addStretch(1)

    def _fill_settings(self, inside: QVBoxLayout) -> None:
        inside.addWidget(self.form)

    @property
    def by_model(self) -> bool:
        """Whether a model is to find the cracks."""
        return self.source.currentText() == BY_MODEL

    def request(self) -> Request:
        """What the dock shows.

        Raises
        ------
        NanosegError
            For the first thing that is missing or wrong.
        """
        session, config = self.session, self.form.value()
        assert isinstance(config, CracksConfig)
        if session.image is None:
            raise NanosegError(NO_VOLUME)
        volume, model, classes = given_by(session.image), None, None
        if self.by_model:
            model = self._model()
        elif session.classes is None:
            raise NanosegError(NO_CLASSES)
        else:
            classes = given_by(session.classes)
        mask, labels = (
            None if layer is None else given_by(layer) for layer in (session.particle_mask, session.particle_labels)
        )
        out = self.out.path
        if out is None:
            raise NanosegError("No folder for the results is chosen; choose one.")
        return Request(
            config, volume, model, classes, mask, labels, self.baseline.isChecked() and not self._is_baseline(model),
            out, self.overwrite.isChecked(), settings().threads, numbered=out == self._suggested,
        )  # fmt: skip

    def _model(self) -> Path:
        entry = self.models.entry
        if entry is None:
            raise NanosegError(NO_MODEL)
        if entry.problem is not None:
            raise NanosegError(entry.problem)
        if not for_volumes(entry):
            raise NanosegError(f"'{entry.name}' gives no classes to voxels; choose a U-Net, or the model '{BASELINE}'.")
        return entry.path

    def _is_baseline(self, model: Path | None) -> bool:
        return model is not None and shipped_name(model) == BASELINE

    def open(self, path: Path) -> None:
        """Open a volume as a layer and choose it."""
        try:
            config = self.form.value()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        assert isinstance(config, CracksConfig)
        if self.panel.start(partial(open_layer_file, path, config.input), f"Opening of {path.name}"):
            self._refresh()

    def _opened(self, layer: Layer) -> None:
        self.viewer.add_layer(layer)
        self.session.put("image" if isinstance(layer, ImageLayer) else "classes", layer)

    def _ask_file(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, "Open a volume", str(Path.home()))
        if chosen:
            self.open(Path(chosen))

    def _ask_volume_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Open a folder of slices, or of OME-Zarr", str(Path.home()))
        if chosen:
            self.open(Path(chosen))

    def _own_settings(self) -> Mapping[str, Setting]:
        return {
            "volume": layer_setting(self.image),
            "model": model_setting(self.models, lambda: self._take_source(BY_MODEL)),
            "classes": layer_setting(
                self.classes, lambda layer: self._take_source(BY_MODEL if layer is None else BY_LAYER)
            ),
            "particle_mask": layer_setting(self.particle_mask),
            "labels": layer_setting(self.particle_labels),
            "baseline": flag_setting(self.baseline),
            "out": path_setting(self.out),
        }

    def _take_source(self, source: str) -> None:
        self.source.setCurrentText(source)
        self._refresh()

    def _shown_config(self) -> Config:
        return self.form.value()

    def _show_config(self, config: CracksConfig) -> None:
        self.form.setValue(config)

    def _result_of(self, made: Results) -> CracksResult:
        return made.found

    def _start(self) -> None:
        try:
            request = self.request()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        if self.panel.start(partial(run_cracks, request), f"Cracks of {request.volume.name}"):
            self._pending = self.session.image
            self.freshness.begin(self._inputs())
            self.offer()
            self._refresh()

    def _inputs(self) -> list[Input]:
        session = self.session
        roles = ("particle_mask", "particle_labels", *(() if self.by_model else ("classes",)))
        aside = ((getattr(session, role), role) for role in roles)
        assert session.image is not None, "a job has a volume"
        return [
            Input(session.image, "image"),
            *(Input(layer, role, main=False) for layer, role in aside if layer is not None),
        ]

    def _choices(self) -> object:
        entry = self.models.entry
        model = entry.path if self.by_model and entry is not None else None
        return self.by_model, model, self.baseline.isChecked(), self.form.value()

    def _copy(self) -> None:
        try:
            request = self.request()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        if self.panel.start(partial(find_cracks_job, request), "Search for the files"):
            self._refresh()

    def _ask_folder(self) -> None:
        if self.results is None:
            return
        chosen = QFileDialog.getExistingDirectory(self, "Copy tables and figures to", str(Path.home()))
        if chosen:
            self.panel.start(partial(copy_results, self.results.job.out, Path(chosen)), "Copying")

    def _save_picture(self, path: Path) -> None:
        picture = self.plots.view.figure
        if isinstance(picture, Figure):
            self.panel.start(partial(write_picture, picture, path), f"Saving of {path.name}")

    def _done(self, result: Results | Opening | CracksJob | Copied | Path) -> None:
        if isinstance(result, Results):
            self._show(result)
        elif isinstance(result, Opening):
            self._opened(Layer.create(*result.layer))
        elif isinstance(result, CracksJob):
            copy_command(result)
            self.panel.say(f"The command is on the clipboard. It writes to {result.out}.")
        elif isinstance(result, Copied):
            self.panel.say(f"{result.files} tables and figures are copied to {result.folder}.")
        else:
            self.panel.say(f"Written: {result}.")

    def _say_what_is_kept(self) -> None:
        """A cancelled job goes on, if it had begun."""
        self.panel.say("Cancelled. Slabs that are finished are kept; 'Find cracks' goes on with the others.")

    def _show(self, results: Results) -> None:
        layer, self._pending = self._pending, None
        assert layer is not None, "a job that ends has begun"
        why = self.freshness.finish()
        if why is not None:
            self._forget()
            self.panel.say(f"The cracks are not shown. {why} Tables, figures and maps are in {results.job.out}.")
            return
        self._hide_layers()
        self.results, self.layer = results, layer
        self.summary.show()
        self.panel.say(f"Class map, maps, tables and figures are in {results.job.out}.")
        self.panel.show_in_turns(self._fill(results, layer))

    def _forget(self) -> None:
        """Take away the results of a volume that was removed or is not chosen any more."""
        self.results = self.layer = None
        self.freshness.forget()
        self.summary.hide()
        self.plots.show_results(None)
        self.tables.show_damage(None)
        self._hide_layers()

    def _hide_layers(self) -> None:
        """Hide the layers of earlier results: they would lie on top of others. Those that are chosen stay."""
        session = self.session
        chosen = (session.classes, session.particle_mask, session.particle_labels)
        for layer in self._made:
            if not any(layer is one for one in chosen):
                layer.visible = False
        self._made = []

    def _freshness_changed(self) -> None:
        if self.freshness.away is not None:
            self._forget()
        self._refresh()

    def _fill(self, results: Results, place: ImageLayer) -> Iterator[None]:
        """Add layers, tables and pictures one after the other, until another volume is chosen."""
        for _ in self._filling(results, place):
            yield
            if self.results is not results:
                self._hide_layers()
                return

    def _filling(self, results: Results, place: ImageLayer) -> Iterator[None]:
        self.plots.show_results(results)
        yield
        self.tables.show_damage(results.main.damage)
        yield
        sides = {"": results.main} | ({} if results.baseline is None else {f"{BASELINE} ": results.baseline})
        for lead, side in sides.items():
            yield from self._add_layers(side, place, lead)
        self.viewer.layers.selection.active = place
        self._follow_slider()
        area = self.findChild(QScrollArea)
        if area is not None:
            area.ensureWidgetVisible(self.plots, 0, 0)
        self.succeed()

    def _add_layers(self, side: Side, place: ImageLayer, lead: str) -> Iterator[None]:
        for name, path in side.maps.items():
            title = f"{place.name}: {lead}{name}"
            told = map_layer(
                path, place, title, colours=COLOURS[name], shown=side.contrast[name],
                visible=name == "damage" and not lead,
            )  # fmt: skip
            layer = Layer.create(*told)
            layer.colorbar.visible = True
            self._put(layer, self.viewer.layers.index(place) + 1)
            yield
        if side.classes is not None:
            title = f"{place.name}: {lead}{', '.join(side.names)}"
            layer = Layer.create(*class_map_layer(side.classes, side.names, place, title))
            layer.visible = not lead
            self._put(layer, len(self.viewer.layers))
            yield

    def _put(self, layer: Layer, place: int) -> None:
        """Add a layer at a place of the list instead of one of the same name, so that maps lie below all classes."""
        earlier = [one for one in self.viewer.layers if one.name == layer.name and _ours(one)]
        self.viewer.layers.insert(place, layer)
        self._made.append(layer)
        for other in earlier:
            self.viewer.layers.remove(other)

    def _look_at(self, place: tuple[float, float | None, float | None]) -> None:
        """Show the slice of a row of a table, and what lies there."""
        if self.layer is not None and self.layer in self.viewer.layers:
            look_at(self.viewer, self.layer, place)

    def _follow_slider(self, _: object = None) -> None:
        layer = self.layer
        number = None if layer is None or layer not in self.viewer.layers else current_plane(self.viewer, layer)
        if number is not None and self.results is not None:
            self.plots.follow(int(np.clip(number, 0, self.results.shape[0] - 1)))

    def _session_changed(self, name: str) -> None:
        """A U-Net that was trained or chosen in another dock is taken here, too."""
        if name == "model" and self.session.model is not None and for_volumes(describe_model(self.session.model)):
            self.models.choose(self.session.model)

    def _name_classes(self, layer: Labels | None) -> None:
        """Take over the names of the classes of a class map that has some."""
        names = None if layer is None else classes_of(layer)
        if names is not None and CRACK in names and self.form.problem() is None:
            config = self.form.value()
            assert isinstance(config, CracksConfig)
            damage = config.damage.model_copy(update={"names": names})
            self.form.setValue(config.model_copy(update={"damage": damage}))

    def _follow_layers(self, _: object = None) -> None:
        """Follow what is changed in the chosen layers, and name a folder after the volume."""
        session = self.session
        layers = (session.image, session.classes, session.particle_mask, session.particle_labels)
        emitters = [
            emitter
            for layer in layers
            if layer is not None
            for emitter in (layer.events.data, layer.events.scale, layer.events.units, layer.events.axis_labels)
        ]
        self._edits.replace(*((emitter, self._refresh) for emitter in emitters))
        if session.image is not None and self.out.path in (None, self._suggested):
            self._suggested = _folder_of(session.image)
            self.out.choose(self._suggested)
        self._refresh()

    def _refresh(self, _: object = None) -> None:
        """Show what belongs to the choice, and what is missing."""
        by_model, entry = self.by_model, self.models.entry
        self._rows.setRowVisible(self.models, by_model)
        self._rows.setRowVisible(self.classes, not by_model)
        self.baseline.setVisible(not by_model or entry is None or not self._is_baseline(entry.path))
        self.panel.start_button.setText(self.start_text if by_model else "Analyse")
        self.hint(NO_VOLUME if self.session.image is None else None)
        problem = self.form.problem()
        self.settings.mark(problem is not None)
        if problem is None:
            try:
                self.request()
            except NanosegError as error:
                problem = str(error)
        self.panel.block(problem)
        ready = not self.panel.running
        self.open_file.setEnabled(ready)
        self.open_folder.setEnabled(ready)
        self.copy_button.setEnabled(problem is None and ready)
        if self.results is not None and self.layer is not None:
            damage = self.results.main.damage
            bars = "" if damage is None else BARS.format(whole=damage.config.normalise)
            self.summary.setText(f"'{self.layer.name}': {sentence(self.results)} {bars}")
            self.plots.view.file_stem = f"{file_stem(self.layer.name)}_cracks"
        self.outdated.say(self.freshness.outdated if ready else None)
        savable = self.freshness.current and ready
        self.save_button.setEnabled(savable)
        self.plots.view.allow_saving(savable)


def sentence(results: Results) -> str:
    """What was found, in words."""
    figures = results.figures
    if "damage" not in figures:
        shares = ", ".join(f"{name} {100 * share:.2g} %" for name, share in figures.get("fraction", {}).items())
        return f"Of the voxels: {shares}." if shares else ""
    damage = figures["damage"]
    text = "Damage unknown" if damage is None else f"Damage {100 * damage:.3g} %"
    if figures.get("packing") is not None:
        text += f", packing {100 * figures['packing']:.3g} %"
    counts = [_number(figures[name], name) for name in ("cracks", "particles") if name in figures]
    return f"{text}; {' and '.join(counts)}." if counts else f"{text}."


def _number(count: int, name: str) -> str:
    return f"{count} {name.removesuffix('s') if count == 1 else name}"


def _folder_of(layer: ImageLayer) -> Path:
    origins = [Path(name) for name in (layer.metadata.get("source"), layer.source.path) if name]
    here = next((path for path in origins if path.exists()), None)
    return in_folder(here if here is not None else Path.home() / file_stem(layer.name))


def _ours(layer: Layer) -> bool:
    return bool(set(layer.metadata.get("nanoseg_roles", ())) & {"classes", "map"})
