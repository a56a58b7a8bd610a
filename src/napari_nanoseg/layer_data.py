"""From images, volumes and particles to napari's LayerData (data, options, kind of layer), without napari.

Every layer gets scale, units, axis labels and translation: one layer without units beside another in nanometres
switches unit-aware rendering off for the whole viewer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.errors import NanosegError, unsuitable
from napari_nanoseg.layer_space import DROPPED, Layer, axes_of, level_0, on, space_of

if TYPE_CHECKING:
    from pandas import DataFrame

LayerData = tuple[Any, dict[str, Any], Literal["image", "labels", "shapes"]]

METADATA = "nanoseg"
"""Key of a layer's metadata under which its instances and its run record are kept."""
NO_VIEWER = "a viewer of napari; napari.Viewer() makes one"
OUTLINE_WIDTH = 3
"""Of labels, px."""
LARGEST_OUTLINED = 2**21
"""Pixels of a plane on which particles are drawn as outlines: napari needs 0.16 s for 2048 x 2048 at every change."""
EDGE = 1.0
"""Width of outlines, px of the image."""


class Pixels(Protocol):
    """What a layer takes from an image."""

    @property
    def data(self) -> Any:
        """Its array."""

    @property
    def axes(self) -> str:
        """One capital letter for each."""

    @property
    def calibration(self) -> Calibration:
        """Its pixel size."""

    @property
    def source(self) -> str:
        """Where it came from."""


class Particles(Protocol):
    """What layers take from instances."""

    @property
    def ids(self) -> NDArray[np.int32]:
        """Their labels."""

    @property
    def scores(self) -> NDArray[np.float32]:
        """How sure the model was of each."""

    @property
    def classes(self) -> NDArray[np.int32]:
        """The class of each."""

    @property
    def areas(self) -> NDArray[np.int64]:
        """Pixels of each."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of their image."""

    @property
    def overlaps(self) -> NDArray[np.bool_]:
        """Which share pixels with others."""

    def planes(self) -> Iterable[Any]:
        """Slice by slice."""

    def to_labels(self) -> NDArray[np.int32]:
        """As a label image."""


@dataclass(frozen=True, eq=False)
class Outline:
    """The outline of one particle, in one slice of a stack.

    Parameters
    ----------
    label : int
        Its number.
    vertices : float64 array, shape (K, 2) or (K, 3)
        (row, column) or (slice, row, column), px.
    """

    label: int
    vertices: NDArray[np.float64]


def outlines_of_overlapping(instances: Particles) -> tuple[Outline, ...]:
    """Outlines of the pieces and holes of those particles that share pixels with another one, slice by slice."""
    found: list[Outline] = []
    for number, plane in enumerate(instances.planes()):
        chosen = plane[plane.overlaps]
        for label, rings in zip(chosen.ids.tolist(), chosen.to_rings(), strict=True):
            for vertices in rings:
                if len(instances.shape) == 3:
                    vertices = np.column_stack([np.full(len(vertices), float(number)), vertices])
                found.append(Outline(label, vertices))
    return tuple(found)


def image_layer(image: Pixels, name: str, *, visible: bool = True) -> LayerData:
    """Image layer of a micrograph or stack; channels other than red, green, blue become a leading axis."""
    data, axes = image.data, image.axes.lower()
    rgb = axes.endswith("c") and data.shape[-1] in (3, 4)
    if axes.endswith("c"):
        axes = axes[:-1]
        if not rgb:
            data, axes = np.moveaxis(data, -1, 0), "c" + axes
    options = {"name": name, "visible": visible, "rgb": rgb, "metadata": {"source": image.source}}
    return data, {**options, **space_of(image.calibration, axes)}, "image"


def labels_layer(
    labels: Particles | NDArray[Any],
    place: Calibration | Layer,
    name: str,
    *,
    table: DataFrame | None = None,
    record: Mapping[str, Any] | None = None,
    painted: NDArray[np.int32] | None = None,
    role: str | None = None,
    colour: str | None = None,
    visible: bool = True,
) -> LayerData:
    """Labels layer of particles.

    Parameters
    ----------
    labels : Instances or integer array, shape (Y, X) or (Z, Y, X)
        Where instances overlap, the one with the higher score is seen; the layer remembers the others.
    place : Calibration or layer
        Pixel size of the image that the labels belong to, or its layer: scale, units, translation and the like are
        then those of this layer.
    name : str
        Name of the layer.
    table : pandas.DataFrame, optional
        One row per particle with a column ``label`` (as :func:`napari_nanoseg.measure` makes it); becomes the layer's
        features.
    record : mapping, optional
        Run record of what made the labels; kept in the layer's metadata.
    painted : int32 array, optional
        The instances as a label image, where that was made already (in a thread).
    role : str, optional
        What the docks take the layer for: ``particles``, ``prediction`` or ``truth``.
    colour : str, optional
        One colour for all particles; None gives each its own.
    visible : bool
        Whether the layer is shown at first.
    """
    data = painted if painted is not None else painted_by(labels)
    if isinstance(place, Calibration):
        space = space_of(place, "zyx"[-data.ndim :])
    else:
        data, space = on(place, data)
    options: dict[str, Any] = {"name": name, "visible": visible, "metadata": metadata_of(labels, record)}
    if role is not None:
        options["metadata"]["nanoseg_roles"] = (role,)
    if table is not None:
        options["features"] = features_of(table)
    if colour is not None:
        options["colormap"] = in_colours(colour)
    return data, {**options, **space}, "labels"


def outlines_layer(outlines: Sequence[Outline], labels: Layer, name: str) -> LayerData:
    """Shapes layer with outlines of particles on their labels layer, in the colours of their labels.

    Parameters
    ----------
    outlines : sequence of Outline
    labels : Labels layer
    name : str
        Name of the layer.
    """
    options = {option: getattr(labels, option) for option in ("scale", "translate", "rotate", "shear", "affine")}
    options |= {"units": labels.units, "axis_labels": labels.axis_labels, "ndim": labels.ndim, "name": name}
    style = {"shape_type": "polygon", "edge_width": EDGE, "face_color": "transparent"}
    colours = outline_colours(outlines, labels)
    return outline_vertices(outlines, labels), {**options, **style, "edge_color": colours}, "shapes"


def outline_vertices(outlines: Sequence[Outline], labels: Layer) -> list[NDArray[np.float64]]:
    """Vertices of outlines among the axes of their labels layer, also those of length 1."""
    kept = [index for index, letter in enumerate(axes_of(labels)) if letter != DROPPED]
    placed = []
    for outline in outlines:
        vertices = np.zeros((len(outline.vertices), labels.ndim))
        vertices[:, kept] = outline.vertices
        placed.append(vertices)
    return placed


def outline_colours(outlines: Sequence[Outline], labels: Layer) -> NDArray[np.float32]:
    """Colours of outlines, shape (N, 4): those of their labels."""
    return np.asarray(labels.colormap.map(np.array([outline.label for outline in outlines], np.int32)), np.float32)


def in_colours(*colours: str) -> tuple[str, ...]:
    """Colours that napari makes a cyclic colormap of, which labels take in turn; the background is transparent.

    Not a DirectLabelColormap: the first one that is drawn keeps the window waiting for 3.5 s in every process, because
    numba compiles the type of its dictionary.
    """
    return ("transparent", *colours)


def draw_outlined(layer: Layer) -> None:
    """Draw the labels of a layer as outlines, so that the image below is seen, unless that takes napari too long."""
    rows, columns = level_0(layer).shape[-2:]
    if rows * columns <= LARGEST_OUTLINED:
        layer.contour, layer.opacity = OUTLINE_WIDTH, 1.0


def volume_layer(volume: Any, name: str) -> LayerData:
    """Image layer of a volume, of which only what is shown is read."""
    data = volume.data if isinstance(volume.data, np.ndarray) or hasattr(volume.data, "dask") else lazy(volume.data)
    return data, {"name": name, "metadata": {"source": volume.source}, **space_of(volume.calibration, "zyx")}, "image"


def particles_layer(particles: Particles, place: Calibration | Layer, name: str, table: DataFrame | None) -> LayerData:
    """Labels layer of particles with their table; without one, with their classes, scores and areas."""
    if table is None:
        from pandas import DataFrame

        own = {"class": particles.classes, "score": particles.scores, "area_px": particles.areas}
        table = DataFrame({"label": particles.ids, **own})
    return labels_layer(particles, place, name, table=table)


def place_for(image: Any, shape: tuple[int, ...], viewer: Any = None, where: str = "add_to") -> Calibration | Layer:
    """Find where labels lie.

    Parameters
    ----------
    image : Image, Volume, layer, Calibration or None
        The image of the labels, or its pixel size. None: the uppermost image layer of the viewer that has their shape;
        without one, the pixel size is not known.
    shape : tuple of int
        Of the labels.
    viewer : ViewerModel, optional
    where : str
        The function that was called, for messages.

    Raises
    ------
    NanosegError
        When the image is something else, or of another shape.
    """
    if viewer is not None and not hasattr(viewer, "layers"):
        raise unsuitable(f"{where}: 'viewer'", viewer, NO_VIEWER)
    if image is None:
        layers = [] if viewer is None else list(viewer.layers)
        return next((layer for layer in reversed(layers) if _shape_below(layer) == shape), Calibration())
    if isinstance(image, Calibration):
        return image
    if isinstance(getattr(image, "calibration", None), Calibration):
        colours = getattr(image, "axes", "").endswith("C")
        found = tuple(image.shape[:-1] if colours else image.shape)
        place, name = image.calibration, image.source
    elif hasattr(image, "axis_labels") and hasattr(image, "data"):
        letters = axes_of(image)
        found = tuple(size for size, letter in zip(level_0(image).shape, letters, strict=False) if letter in "ZTYX")
        place, name = image, image.name
    else:
        raise unsuitable(f"{where}: 'image'", image, "an Image, a Volume, an image layer or a Calibration")
    if found != shape:
        raise NanosegError(
            f"{where}: '{name}' has the shape {found} but the particles {shape}; give the image of these particles."
        )
    return place


def _shape_below(layer: Layer) -> tuple[int, ...] | None:
    """Slices, rows and columns of an image layer; None of other layers."""
    if getattr(layer, "rgb", None) is None:
        return None
    try:
        letters = axes_of(layer)
    except NanosegError:
        return None
    return tuple(size for size, letter in zip(level_0(layer).shape, letters, strict=False) if letter in "ZTYX")


def stem_of(source: str) -> str:
    """What a layer of an image is called."""
    return PurePath(source).stem or source


def add(viewer: Any, described: LayerData, options: Mapping[str, Any]) -> Layer:
    """Add a layer to a viewer.

    Parameters
    ----------
    viewer : ViewerModel
    described : LayerData
    options : mapping
        Of napari's layer, instead of our own.

    Raises
    ------
    NanosegError
        When the viewer is none, or has no such option.
    """
    data, own, kind = described
    make = getattr(viewer, f"add_{kind}", None)
    if make is None:
        raise unsuitable("add_to: 'viewer'", viewer, NO_VIEWER)
    try:
        return make(data, **{**own, **options})
    except TypeError as error:
        raise NanosegError(f"add_to: napari does not take these options for its {kind} layers: {error}.") from error


def add_particles(viewer: Any, described: LayerData, particles: Particles, options: Mapping[str, Any]) -> Layer:
    """Add a layer of particles, drawn as outlines, and above it a layer that outlines those that overlap, if any do.

    Returns
    -------
    Labels layer
    """
    layer = add(viewer, described, options)
    if "opacity" not in options:
        draw_outlined(layer)
    outlines = outlines_of_overlapping(particles)
    if outlines:
        add(viewer, outlines_layer(outlines, layer, f"{layer.name}: overlaps"), {})
        viewer.layers.selection.active = layer
    return layer


def painted_by(labels: Particles | NDArray[Any]) -> NDArray[Any]:
    """The label image of particles."""
    return labels if isinstance(labels, np.ndarray) else labels.to_labels()


def features_of(table: DataFrame) -> DataFrame:
    """The table with the column by which napari finds the row of a label."""
    return table.rename(columns={"label": "index"})


def metadata_of(labels: Particles | NDArray[Any], record: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a layer of labels remembers: its particles, and the run record of what made them."""
    kept: dict[str, Any] = {} if isinstance(labels, np.ndarray) else {"instances": labels}
    return {METADATA: kept | ({} if record is None else {"record": dict(record)})}


def lazy(voxels: Any) -> Any:
    """As what napari slices best: without asking for more than it shows."""
    from dask.array import from_array

    chunks = getattr(voxels, "chunks", None) or (1, *voxels.shape[1:])
    meta = np.empty((0, 0, 0), voxels.dtype)
    return from_array(voxels, chunks, name=False, asarray=True, meta=meta)  # type: ignore[no-untyped-call]
