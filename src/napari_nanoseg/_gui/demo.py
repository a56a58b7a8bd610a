"""The results of the demo in a napari window: ``python -m napari_nanoseg._gui.demo FOLDER [SCREENSHOT]``."""

from __future__ import annotations

import sys
from pathlib import Path

from napari_nanoseg._gui.layers import ANNOTATED, LayerData, error_layers, image_layer, labels_layer
from napari_nanoseg._gui.show import show
from napari_nanoseg.evaluation.matching import evaluate
from napari_nanoseg.io.annotations import read_labels
from napari_nanoseg.io.datasets import open_dataset
from napari_nanoseg.io.images import read_image
from napari_nanoseg.io.sample_data import sample_data
from napari_nanoseg.io.tables import read_table

PREDICTED = "predicted particles"


def demo_layers(folder: Path) -> tuple[list[LayerData], str]:
    """Layers of all that the demo left in a folder, from the bottom up, and the name of the one with the outlines."""
    data = sample_data()
    image = read_image(data / "particles.tif")
    truth = read_labels(data / "particles_truth.tif")
    prediction = read_labels(folder / "labels" / "particles.tif")
    annotated = open_dataset(data / "annotated")[0].instances
    synthetic = open_dataset(folder / "synthetic")[0]
    calibration = image.calibration
    table = read_table(folder / "table.csv")
    outlined = f"outlined by the user: {len(annotated)}"
    layers = [
        image_layer(synthetic.image, "synthetic micrograph", visible=False),
        labels_layer(synthetic.instances, calibration, "synthetic masks", visible=False),
        image_layer(image, "micrograph"),
        labels_layer(annotated, calibration, outlined, role="particles", colour=ANNOTATED),
        *error_layers(truth, prediction, evaluate(truth, prediction), calibration),
        labels_layer(prediction, calibration, PREDICTED, table=table, role="prediction", visible=False),
    ]
    return layers, outlined


def main() -> None:
    """Show the demo's folder, or write a picture of the window when a second argument names the file."""
    folder, *screenshot = (Path(argument) for argument in sys.argv[1:])
    layers, outlined = demo_layers(folder)
    picture = screenshot[0] if screenshot else None
    show(layers, select=PREDICTED, filled=[outlined], step="Measure", screenshot=picture)


if __name__ == "__main__":
    main()
