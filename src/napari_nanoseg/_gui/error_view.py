"""The result of a comparison in the viewer and in the dock: layers, legend, figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from napari.components import ViewerModel
from napari.layers import Labels, Layer
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QPixmap
from qtpy.QtWidgets import QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_nanoseg._gui.comparing import Compared
from napari_nanoseg._gui.layers import LayerData, in_colours, labels_layer
from napari_nanoseg._gui.words import WordLabel
from napari_nanoseg.evaluation.coco import BOX_FIGURES, MASK_FIGURES
from napari_nanoseg.evaluation.error_map import COLOURS, TITLES
from napari_nanoseg.evaluation.figures import FIGURES, NOT_JUDGED, Figure

KINDS = {"true_positives": "TP", "false_positives": "FP", "false_negatives": "FN"}
PIXELS = "pixels"
KEY = "nanoseg_comparison"
"""Metadata of the layers of a comparison: which of them it is."""
OUTLINE = 2
PIXEL_COLOURS = tuple(COLOURS[kind] for kind in KINDS)
"""Of the pixel map's values BOTH, ONLY_PREDICTED and ONLY_TRUE, which are 1, 2 and 3."""
SHOWN = (
    "precision",
    "recall",
    "f1",
    "accuracy",
    "panoptic_quality",
    "mean_matched_iou",
    "foreground_accuracy",
    "recall_complete",
    "recall_border",
)
NO_SCORES = (
    "No average precision (AP): the prediction has no scores. Particles of the Segment step and of COCO files have "
    "them, as long as nobody paints in their layer."
)


def show_comparison(viewer: ViewerModel, compared: Compared) -> Iterator[None]:
    """Add the layers of a comparison one after the other, or put them in place of those that are shown.

    They are ``true_positives``, ``false_positives``, ``false_negatives`` and ``pixels`` (not visible at first). The
    first time, the two layers that were compared are hidden: their colours would cover those of the comparison.
    """
    active = viewer.layers.selection.active
    before = comparison_layers(viewer)
    if not before:
        compared.truth.visible = compared.prediction.visible = False
    for kind, (data, options, layer_type) in _layers(compared).items():
        made = Layer.create(data, options, layer_type)
        assert isinstance(made, Labels)
        old = before.get(kind)
        yield
        if old is not None and old not in viewer.layers:  # removed meanwhile
            old = None
        if old is not None:
            made.visible, made.contour, made.opacity = old.visible, old.contour, old.opacity
            place = viewer.layers.index(old)
            viewer.layers.remove(old)
            viewer.layers.insert(place, made)
        else:
            viewer.add_layer(made)
        made.name = options["name"]
        yield
        if old is None and kind != PIXELS:
            made.contour, made.opacity = OUTLINE, 1.0
            yield
    if active is not None and active in viewer.layers:
        viewer.layers.selection.active = active


def comparison_layers(viewer: ViewerModel) -> dict[str, Labels]:
    """Layers of the comparison that is shown, by kind."""
    return {layer.metadata[KEY]: layer for layer in viewer.layers if KEY in layer.metadata}


def _layers(compared: Compared) -> dict[str, LayerData]:
    """Layers from the bottom up."""
    figures, particles = compared.comparison.evaluation.figures(), compared.particles
    found = {PIXELS: labels_layer(compared.pixels, compared.truth, "pixels: right and wrong", visible=False)}
    found[PIXELS][1]["colormap"] = in_colours(*PIXEL_COLOURS)
    for kind, labels in compared.errors._asdict().items():
        rows = particles[particles["outcome"] == KINDS[kind]][["label", "outcome", "iou", "partner"]]
        table = rows if rows["label"].is_unique else None
        name = TITLES[kind].format(figures[kind])
        found[kind] = labels_layer(labels, compared.truth, name, table=table, colour=COLOURS[kind])
    for kind, (_, options, _) in found.items():
        options["metadata"] |= {KEY: kind, "nanoseg_roles": ("comparison",)}
    return found


def explain_particle(compared: Compared, kind: str, label: int, plane: int | None) -> str:
    """Say in one sentence what became of a particle."""
    if kind == "false_negatives":
        return f"True particle {label} was missed: no predicted particle reaches the IoU threshold with it."
    if kind == "false_positives":
        return f"Predicted particle {label} is not there: no true particle reaches the IoU threshold with it."
    rows = compared.particles
    row = rows[(rows["outcome"] == "TP") & (rows["label"] == label) & (rows["slice"] == (plane or 0))].iloc[0]
    return f"Predicted particle {label} is true particle {row['partner']}: IoU {row['iou']:.3f}."


class Legend(QWidget):
    """Three colours and how many particles have each."""

    def __init__(self) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        self._texts: dict[str, QLabel] = {}
        for row, kind in enumerate(KINDS):
            square = QPixmap(12, 12)
            square.fill(QColor(COLOURS[kind]))
            mark, text = QLabel(), QLabel()
            mark.setPixmap(square)
            mark.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
            text.setToolTip(tip(kind))
            grid.addWidget(mark, row, 0)
            grid.addWidget(text, row, 1)
            self._texts[kind] = text

    def show_counts(self, figures: dict[str, Any]) -> None:
        """Show the numbers of a comparison."""
        for kind, text in self._texts.items():
            text.setText(TITLES[kind].format(figures[kind]))


class Figures(QWidget):
    """The figures of a comparison; their tooltips define them."""

    def __init__(self) -> None:
        super().__init__()
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(1, 1)
        self._values: dict[str, QLabel] = {}
        for row, (name, figure) in enumerate(
            ({name: FIGURES[name] for name in SHOWN} | {"not_judged": NOT_JUDGED}).items()
        ):
            title, value = QLabel(figure.title), QLabel()
            value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            for label in (title, value):
                label.setToolTip(tip_of(figure))
            grid.addWidget(title, row, 0)
            grid.addWidget(value, row, 1)
            self._values[name] = value
        self._only_known = title, value

    def show_figures(self, figures: dict[str, Any], not_judged: int | None) -> None:
        """Show the figures of a comparison, and the number of particles left out where not all is known."""
        for name in SHOWN:
            value = figures[name]
            self._values[name].setText("no such particle" if value is None else f"{value:.3f}")
        self._values["not_judged"].setText("" if not_judged is None else str(not_judged))
        for label in self._only_known:
            label.setVisible(not_judged is not None)

    def text_of(self, name: str) -> str:
        """What is shown of a figure."""
        return self._values[name].text()


class Precisions(QWidget):
    """Average precision of masks and of boxes; the titles of sizes name the limits."""

    def __init__(self) -> None:
        super().__init__()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self.missing, self.table = WordLabel(NO_SCORES), QWidget()
        column.addWidget(self.missing)
        column.addWidget(self.table)
        grid = QGridLayout(self.table)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        grid.setColumnStretch(2, 1)
        for place, head in enumerate(("Average precision", "Masks", "Boxes")):
            grid.addWidget(QLabel(head), 0, place)
        self._titles: list[QLabel] = []
        self._values: dict[str, QLabel] = {}
        for row, names in enumerate(zip(MASK_FIGURES, BOX_FIGURES, strict=True), start=1):
            title = QLabel(FIGURES[names[0]].title)
            title.setToolTip(tip(names[0]))
            grid.addWidget(title, row, 0)
            self._titles.append(title)
            for place, name in enumerate(names, start=1):
                value = QLabel()
                value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
                value.setToolTip(tip(name))
                grid.addWidget(value, row, place)
                self._values[name] = value

    def show_precisions(self, compared: Compared) -> None:
        """Show the average precision of a comparison, or why there is none."""
        evaluation = compared.comparison.evaluation
        self.missing.setVisible(not evaluation.scored)
        self.table.setVisible(evaluation.scored)
        (small, large), unit = compared.config.size_limits, compared.config.size_unit
        sizes = f"Small (≤ {small:g} {unit})", "Medium", f"Large (≥ {large:g} {unit})"
        for title, text in zip(self._titles[-3:], sizes, strict=True):
            title.setText(text)
        figures = evaluation.figures()
        for name, label in self._values.items():
            value = figures[name]
            label.setText("none" if value is None else f"{value:.3f}")

    def text_of(self, name: str) -> str:
        """What is shown of a figure."""
        return self._values[name].text()


def tip(name: str) -> str:
    """Tooltip that defines a figure of all comparisons."""
    return tip_of(FIGURES[name])


def tip_of(figure: Figure) -> str:
    """Tooltip that defines a figure."""
    meaning = figure.meaning
    return f"<p>{meaning[:1].upper()}{meaning[1:]}.</p>"
