"""The Segment dock: from an image and a model to particles, and to other ones with other thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.layers import Layer
from qtpy.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout

from napari_nanoseg._gui.diameter_hint import DiameterHint, Estimate
from napari_nanoseg._gui.folder_fold import FolderFold, FolderResult
from napari_nanoseg._gui.follow import Following
from napari_nanoseg._gui.forms import ConfigForm
from napari_nanoseg._gui.freshness import Freshness, Input, Outdated
from napari_nanoseg._gui.jobs import copy_command
from napari_nanoseg._gui.layers import calibration_of, file_stem, image_of, labels_of, origins_of
from napari_nanoseg._gui.model_manager import ModelManager
from napari_nanoseg._gui.model_picker import ModelPicker
from napari_nanoseg._gui.particle_layer import ParticleLayer
from napari_nanoseg._gui.pickers import LayerPicker
from napari_nanoseg._gui.rethresholding import Rethresholding
from napari_nanoseg._gui.scripting import Setting, layer_setting, model_setting
from napari_nanoseg._gui.segmenting import (
    FileOfImage,
    Request,
    SavedLabels,
    Segmentation,
    find_file,
    job_of,
    save_coco,
    save_image,
    save_labels,
    segment,
)
from napari_nanoseg._gui.settings import settings
from napari_nanoseg._gui.step import Step
from napari_nanoseg._gui.thresholds import Thresholds
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.baseline import BaselineConfig, BaselineWishes
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image

NO_IMAGE = "Open an image with File > Open, or take one from File > Open Sample."
NO_MODEL = "There is no model yet: train one in the Train step, or choose the folder or zip of one above."
POLARITY = {"auto": "auto", "bright": "no", "dark": "yes"}
"""Whether models without a network invert the contrast."""
THRESHOLDS = ("probability", "overlap", "min_area")


class Segment(Step):
    """Finds the particles of an image in a thread, tile by tile."""

    title = "Segment"
    start_text = "Segment"
    roles = ("image",)

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.models, self.image = ModelPicker(self.session), LayerPicker(self.session, "image")
        self.manager = ModelManager(self.models, self.panel)
        self.form = ConfigForm(SegmentConfig(device=settings().device), hide=(*THRESHOLDS, "baseline"))
        self.baseline = ConfigForm(BaselineWishes())
        self.baseline.hide()
        self.diameter = DiameterHint(self.session, self.form)
        self.thresholds = Thresholds()
        self.result: Segmentation | None = None
        """The segmentation whose particles are shown."""
        self._segmented: ImageLayer | None = None
        """The layer that it was made of."""
        self.freshness, self.outdated = Freshness(self.session, self._settings, self), Outdated()
        self._shown = ParticleLayer(self)
        self._offers_training = False
        self._source: tuple[ImageLayer, object, ModelCard | None] | None = None
        self._rethreshold = Rethresholding(self)
        self._image_events = Following(self)
        head = QFormLayout()
        head.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        models = QHBoxLayout()
        models.addWidget(self.models)
        models.addWidget(self.manager)
        head.addRow("Model", models)
        head.addRow("Image", self.image)
        self.body.addLayout(head)
        self.body.addWidget(self.diameter)
        self.body.addWidget(self.form)
        self.body.addWidget(self.baseline)
        self.body.addWidget(self.thresholds)
        self.body.addWidget(self.outdated)
        self.folder = FolderFold(self.chosen, self.panel)
        self.body.addWidget(self.folder)
        self.body.addStretch(1)
        self.copy_button = self.panel.add_button("Copy as command", self._copy)
        self.save_button = self.panel.add_button("Save labels…", self._save_labels)
        self.coco_button = self.panel.add_button("Save as COCO…", self._save_coco)
        self.coco_button.setToolTip("One JSON file that keeps overlaps, whole masks and scores")
        self.save_image_button = self.panel.add_button("Save image…", self._save_image)
        self.save_image_button.setVisible(False)
        self.models.changed.connect(self._refresh)
        self.image.picked.connect(lambda _: self._image_picked())
        self.form.valueChanged.connect(self._refresh)
        self.baseline.valueChanged.connect(self._refresh)
        self.thresholds.changed.connect(self._thresholds_changed)
        self._rethreshold.chosen.connect(self._rethresholded)
        self._rethreshold.measured.connect(self._measured)
        self._rethreshold.failed.connect(self.panel.refuse)
        self._shown.gone.connect(self._refresh)
        self.freshness.changed.connect(self._freshness_changed)
        self.panel.start_clicked.connect(self._start)
        self.panel.done.connect(self._done)
        self.panel.ended.connect(self._refresh)
        self._image_picked()

    def request(self) -> Request:
        """What the dock shows, as a segmentation.

        Raises
        ------
        NanosegError
            For the first thing that is missing or wrong.
        """
        layer = self.session.image
        if layer is None:
            raise NanosegError(NO_IMAGE)
        return Request(image_of(layer), origins_of(layer), *self.chosen(), settings().threads)

    def chosen(self) -> tuple[Path, SegmentConfig]:
        """The model and how it is applied.

        Raises
        ------
        NanosegError
            For the first thing that is missing or wrong.
        """
        entry = self.models.entry
        if entry is None:
            raise NanosegError(NO_MODEL)
        if entry.problem is not None:
            raise NanosegError(entry.problem)
        return entry.path, self._shown_config()

    def _own_settings(self) -> Mapping[str, Setting]:
        return {"model": model_setting(self.models), "image": layer_setting(self.image)}

    def _shown_config(self) -> SegmentConfig:
        config, entry = self.form.value(), self.models.entry
        assert isinstance(config, SegmentConfig)
        wishes = self.baseline.value() if entry is not None and _without_network(entry.card) else BaselineWishes()
        return config.model_copy(update={**self.thresholds.values(), "baseline": wishes})

    def _show_config(self, config: SegmentConfig) -> None:
        self.thresholds.put(config)
        self.baseline.setValue(config.baseline)
        self.form.setValue(config)

    def _result_of(self, made: Segmentation) -> Instances:
        return made.instances

    def _start(self) -> None:
        self.models.refresh()  # the model may be gone by now
        try:
            request = self.request()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        layer = self.session.image
        assert layer is not None
        if self.panel.start(partial(segment, request), f"Segmentation of {layer.name}"):
            entry = self.models.entry
            self._source = layer, layer.data, None if entry is None else entry.card
            self.freshness.begin([Input(layer, "image")])
            self._rethreshold.stop()
            self.offer()
            self._refresh()

    def _settings(self) -> object:
        """All but the thresholds, which act on the result at once."""
        entry = self.models.entry
        if entry is None:
            return None
        return entry.path, self.form.value(), self.baseline.value() if _without_network(entry.card) else None

    @property
    def _elsewhere(self) -> bool:
        """Whether another image is chosen than the one that was segmented."""
        return self.session.image not in (None, self._segmented)

    def _freshness_changed(self) -> None:
        if not self.freshness.current:
            self._rethreshold.stop()
        self._refresh()

    def _done(self, result: object) -> None:
        if isinstance(result, Segmentation):
            self._show(result)
        elif isinstance(result, FileOfImage):
            self._copied(result)
        elif isinstance(result, FolderResult):
            self.panel.say(str(result))
        elif isinstance(result, SavedLabels):
            self.panel.say(f"The particles are in {result.path}, how they were made in the .run.yaml beside it.")

    def _show(self, result: Segmentation) -> None:
        """Put the particles into the viewer, on the image they were found in."""
        assert self._source is not None
        layer, data, card = self._source
        self._source = None
        if card is not None and result.request.config.diameter is None:
            diameter = result.found.config.diameter
            self.diameter.remember(None if diameter is None else Estimate(layer, data, card, diameter))
        place: Layer | Calibration = layer
        if layer not in self.viewer.layers:
            self.panel.warn(f"The image '{layer.name}' was removed meanwhile; its particles are shown all the same.")
        if layer.data is not data:
            self.panel.warn(
                f"The image '{layer.name}' was changed meanwhile; the particles are those of the image as it was."
            )
            place = result.request.image.calibration
        same = self.result is not None and self.result.request.model == result.request.model
        self.panel.show_in_turns(self._add_layer(result, layer, self._shown.show(result, place, layer, again=same)))

    def _add_layer(self, result: Segmentation, layer: ImageLayer, adding: Iterator[None]) -> Iterator[None]:
        yield from adding
        self.result, self._segmented = result, layer
        self.freshness.finish()
        if not self._elsewhere:
            self.session.put("prediction", self._shown.layer)
        self._tell(result)
        self.succeed("Measure", "Compare")
        if self._other_thresholds():  # they were changed while the network ran
            self._thresholds_changed()

    def _tell(self, result: Segmentation) -> None:
        count = len(result.instances)
        where = f" in '{result.request.image.source}'" if self._elsewhere else ""
        if count:
            overlapping = len({outline.label for outline in result.outlines})
            whole = f" {overlapping} overlap and are outlined in a layer of their own." if overlapping else ""
            self.panel.say(f"{count} particle{'s' if count > 1 else ''} found{where}.{whole} {result.device}")
        else:
            lower = "" if result.found.config.probability is None else "Lower the probability, check"
            advice = f"{lower or 'Check'} the particle diameter, or choose another model."
            self.panel.say(f"No particle was found{where}. {advice}")

    def _other_thresholds(self) -> bool:
        wanted = self.thresholds.values()
        return self.result is not None and self.result.request.config.model_dump(include=set(wanted)) != wanted

    def _thresholds_changed(self) -> None:
        if self.result is None or self._shown.layer is None or not self.freshness.current:
            return
        config = self.result.request.config.model_copy(update=self.thresholds.values())
        self._rethreshold.ask(self.result, config)

    def _rethresholded(self, result: Segmentation) -> None:
        if self.result is None or result.found is not self.result.found or self._shown.layer is None:
            return
        painted = self._shown.layer if self._shown.edited else None
        self._shown.replace(result)
        self.result = result
        self._tell(result)
        if painted is not None:
            self.session.put("prediction", self._shown.layer)
            self.panel.warn(
                f"The layer '{painted.name}' was edited and stays as it is; the particles of the other thresholds are "
                "in a new layer."
            )

    def _measured(self, result: Segmentation) -> None:
        if self.result is not None and result.instances is self.result.instances:
            self.result = result
            self._shown.measured(result)

    def _copy(self) -> None:
        try:
            request = self.request()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        self.panel.start(partial(find_file, request), "Looking for the file of the image")

    def _copied(self, found: FileOfImage) -> None:
        if found.path is None:
            self.panel.refuse(
                f"No file holds just the image '{found.request.image.source}' with its pixel size, so that a command "
                "would not give the same labels; save it with 'Save image…' first."
            )
            self.save_image_button.setVisible(True)
            return
        copy_command(job_of(found.request, found.path))
        layer = self.session.image
        if layer is not None and found.path not in origins_of(layer):
            layer.metadata = {**layer.metadata, "source": str(found.path)}
        self.save_image_button.setVisible(False)
        self.panel.say("The command is on the clipboard.")

    def _save_image(self) -> None:
        try:
            request = self.request()
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        path = self._ask_path("Save the image", f"{request.image.source}.tif")
        if path is not None:
            self.panel.start(partial(save_image, request, path), "Saving the image")

    def _save_labels(self) -> None:
        layer, result = self._shown.layer, self.result
        if layer is None or result is None:
            return
        origins = result.request.origins
        name = origins[0].stem if origins else result.request.image.source
        path = self._ask_path("Save the labels", f"{name}.tif")
        if path is None:
            return
        if any(path.exists() and origin.exists() and path.samefile(origin) for origin in origins):
            self.panel.refuse(f"The labels would replace the image {path}; choose another folder or name.")
            return
        try:
            labels, size = labels_of(layer).copy(), calibration_of(layer)  # the user may go on painting
        except NanosegError as error:
            self.panel.refuse(str(error))
            return
        self.panel.start(partial(save_labels, path, labels, size, result, self._shown.edited), "Saving the labels")

    def _save_coco(self) -> None:
        layer, result = self._shown.layer, self.result
        if layer is None or result is None:
            return
        origins = result.request.origins
        name = origins[0].stem if origins else file_stem(result.request.image.source)
        # not asked whether to replace it: a COCO file keeps what it says about other images
        chosen, _ = QFileDialog.getSaveFileName(
            self, "Save as COCO JSON", str(Path.home() / f"{name}.json"), "COCO (*.json)",
            options=QFileDialog.Option.DontConfirmOverwrite,
        )  # fmt: skip
        if chosen:
            path = Path(chosen)
            path = path if path.suffix.lower() == ".json" else path.with_name(f"{path.name}.json")
            work = partial(save_coco, path, name, layer, result, self._shown.edited)
            self.panel.start(work, "Saving the particles")

    def _ask_path(self, title: str, name: str) -> Path | None:
        start = str(Path.home() / name.replace("/", "_"))
        chosen, _ = QFileDialog.getSaveFileName(self, title, start, "TIFF (*.tif *.tiff)")
        if not chosen:
            return None
        path = Path(chosen)
        return path if path.suffix.lower() in (".tif", ".tiff") else path.with_name(f"{path.name}.tif")

    def _image_picked(self) -> None:
        layer = self.session.image
        if layer is None:
            self._image_events.replace()
        else:
            events = (layer.events.scale, layer.events.units, layer.events.data, layer.events.axis_labels)
            self._image_events.replace(*((emitter, self._refresh) for emitter in events))
        self._refresh()

    def _refresh(self, _: object = None) -> None:
        """Show what empty fields mean now, and what is missing."""
        entry, layer = self.models.entry, self.session.image
        image, problem = _image(layer)
        if entry is not None and entry.problem is not None:
            problem = entry.problem
        self.hint(NO_IMAGE if layer is None else NO_MODEL if entry is None else None)
        if (entry is None) != self._offers_training and not self.panel.running:
            self._offers_training = entry is None
            self.offer(*(["Train"] if entry is None else []))
        if problem is None and (layer is None or entry is None):
            problem = NO_IMAGE if layer is None else NO_MODEL
        without = entry is not None and _without_network(entry.card)
        self.baseline.setVisible(without)
        self.panel.block(problem or self.form.problem() or (self.baseline.problem() if without else None))
        ready = problem is None and not self.panel.running
        self.copy_button.setEnabled(ready)
        shown = self._shown.layer is not None and not self.panel.running and not self._elsewhere
        self.outdated.say(self.freshness.outdated if shown else None)
        self.save_button.setEnabled(shown)
        self.coco_button.setEnabled(shown and self.result is not None and len(self.result.instances.shape) == 2)
        if entry is None or entry.problem is not None:
            self.diameter.follow(None, image)
            return
        self.thresholds.set_own(entry.thresholds)
        card = entry.card
        self.diameter.follow(card, image)
        if card is not None and isinstance(card.network, BaselineConfig):
            self.form.placeholder("invert", POLARITY[card.network.polarity])
            self.form.placeholder("border", "not used: there is no network")
            own = dict(card.network)
            for name in BaselineWishes.model_fields:
                self.baseline.placeholder(name, str(own[name]) if name in own else "not used")
            return
        self.form.placeholder("invert", "no" if card is None or card.invert == "no" else "auto")
        self.form.placeholder("border", "0 px" if card is None else f"{card.border} px, the model's own")


def _without_network(card: ModelCard | None) -> bool:
    return card is not None and not card.needs_weights


def _image(layer: ImageLayer | None) -> tuple[Image | None, str | None]:
    """The image of a layer, or why it cannot be used."""
    if layer is None:
        return None, None
    try:
        return image_of(layer), None
    except NanosegError as error:
        return None, str(error)
