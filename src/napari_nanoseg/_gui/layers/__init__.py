"""The only place that turns napari's layers into images, instances and samples, and these into layers.

What a layer cannot be taken for is refused in one sentence that names it. `space` knows what the axes of a layer are
and how large its pixels, `reading` takes layers apart, `regions` draws where an annotation is known, `making` makes
layers, `samples` those of annotated images, `volumes` those of volumes and maps that stay on the disk.
"""

from napari_nanoseg._gui.layers.making import (
    ANNOTATED,
    KNOWN_REGION,
    add_table,
    density_layer,
    drawing_layer,
    update_labels,
)
from napari_nanoseg._gui.layers.reading import (
    class_values_of,
    file_of,
    file_stem,
    image_of,
    instances_of,
    labels_of,
    marked_region,
    origins_of,
    record_of,
    sample_of,
    source_of,
    unchanged,
)
from napari_nanoseg._gui.layers.samples import phantom_layers, sample_layers
from napari_nanoseg._gui.layers.space import calibration_of
from napari_nanoseg._gui.layers.volumes import (
    Given,
    class_map_layer,
    classes_of,
    given_by,
    map_contrast,
    map_layer,
    volume_layer,
)
from napari_nanoseg.evaluation.error_map import error_layers
from napari_nanoseg.layer_data import (
    LayerData,
    Outline,
    image_layer,
    in_colours,
    labels_layer,
    outline_colours,
    outline_vertices,
    outlines_layer,
    outlines_of_overlapping,
)

__all__ = [
    "ANNOTATED",
    "KNOWN_REGION",
    "Given",
    "LayerData",
    "Outline",
    "add_table",
    "calibration_of",
    "class_map_layer",
    "class_values_of",
    "classes_of",
    "density_layer",
    "drawing_layer",
    "error_layers",
    "file_of",
    "file_stem",
    "given_by",
    "image_layer",
    "image_of",
    "in_colours",
    "instances_of",
    "labels_layer",
    "labels_of",
    "map_contrast",
    "map_layer",
    "marked_region",
    "origins_of",
    "outline_colours",
    "outline_vertices",
    "outlines_layer",
    "outlines_of_overlapping",
    "phantom_layers",
    "record_of",
    "sample_layers",
    "sample_of",
    "source_of",
    "unchanged",
    "update_labels",
    "volume_layer",
]
