"""Volumes as layers that are read while they are looked at, and layers as volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer
from napari.utils.colormaps import CyclicLabelColormap

from napari_nanoseg._gui.layers.reading import as_array, kind_of
from napari_nanoseg._gui.layers.space import calibration_of
from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.volume import VolumeConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.volumes import open_volume
from napari_nanoseg.io.volumes.ome_zarr import is_zarr, open_levels
from napari_nanoseg.layer_data import METADATA, LayerData, lazy
from napari_nanoseg.layer_space import DROPPED, axes_of, level_0, on, space_of
from napari_nanoseg.samples import Sliceable, Volume

CLASS_COLOURS = {
    "crack": (0.84, 0.37, 0.0, 1.0),
    "void": (0.0, 0.45, 0.7, 0.6),
    "carbon/binder": (0.94, 0.89, 0.26, 0.35),
    "particle": (0.0, 0.62, 0.45, 0.25),
}
"""Colours of Okabe and Ito; the larger a class usually is, the more is seen through it."""
OTHER_COLOUR = (0.8, 0.47, 0.65, 0.6)
OPENED, CLASSES = "opened", "classes"
"""Among what is kept in a layer's metadata."""
MOST_LOOKED_AT = 5
"""Slices from which the contrast of a map is taken."""


@dataclass(frozen=True, eq=False)
class Opened:
    """Where the data of a layer lie; kept in the layer's metadata.

    Parameters
    ----------
    path : Path
    config : VolumeConfig
        How the file was taken for a volume.
    data : array
        What the layer showed then.
    """

    path: Path
    config: VolumeConfig
    data: Any


@dataclass(frozen=True, eq=False)
class Given:
    """The volume of a layer, and where it may have come from.

    Parameters
    ----------
    name : str
        Of the layer.
    volume : Volume
        Nothing of it is read yet.
    origins : tuple of Path
        Files that may hold the same voxels.
    opened : Opened, optional
        The file that surely does.
    """

    name: str
    volume: Volume
    origins: tuple[Path, ...] = ()
    opened: Opened | None = None


def volume_layer(path: Path, config: VolumeConfig | None = None) -> LayerData:
    """Layer of a volume in a file or folder, of which only what is shown is read.

    Returns
    -------
    LayerData
        An image; of a class map of OME-Zarr, labels.

    Raises
    ------
    NanosegError
        As :func:`~napari_nanoseg.open_volume`.
    """
    config = config or VolumeConfig()
    levels, calibration, names = _levels(path, config)
    name = path.name.removesuffix(".zarr").removesuffix(".ome") if path.is_dir() else path.stem
    opened = Opened(path, config, levels[0])
    if names is not None:
        return _shown(levels), _class_options(name, names, opened, levels) | space_of(calibration, "zyx"), "labels"
    kept = {"source": str(path), METADATA: {OPENED: opened}}
    options = {"name": name, "metadata": kept, **_many(levels)}
    return _shown(levels), {**options, **space_of(calibration, "zyx")}, "image"


def class_map_layer(path: Path, names: Sequence[str], place: Layer, name: str) -> LayerData:
    """Labels layer of a class map that lies on a disk.

    Parameters
    ----------
    path : Path
    names : sequence of str
        Of the values 1, 2, ...
    place : Layer
        The volume's.
    name : str
        Of the layer.
    """
    levels, _, _ = _levels(path, VolumeConfig())
    levels, space = _placed(levels, place)
    opened = Opened(path, VolumeConfig(), levels[0])
    return _shown(levels), _class_options(name, dict(enumerate(names, 1)), opened, levels) | space, "labels"


def classes_of(layer: Layer) -> tuple[str, ...] | None:
    """Names of the classes of a layer that we made of a class map; None of any other."""
    kept = layer.metadata.get(METADATA)
    return kept.get(CLASSES) if isinstance(kept, dict) else None


def map_layer(
    path: Path, place: Layer, name: str, *, colours: str, shown: tuple[float, float], visible: bool
) -> LayerData:
    """Image layer of a map that lies on a disk, above the volume, translucent.

    Parameters
    ----------
    path : Path
        As many slices as the volume, and as many rows and columns or fewer.
    place : Layer
        The volume's.
    name : str
        Of the layer.
    colours : str
        Name of a colour map.
    shown : pair of float
        Values with the first and the last colour.
    visible : bool
        Whether the layer is shown at first.
    """
    levels, _, _ = _levels(path, VolumeConfig())
    levels, space = _placed(levels, place)
    options = {"name": name, "colormap": colours, "contrast_limits": shown, "opacity": 0.5, "visible": visible}
    options |= {"metadata": {"nanoseg_roles": ("map",)}, **_many(levels)}
    return _shown(levels), {**options, **space}, "image"


def map_contrast(path: Path) -> tuple[float, float]:
    """Values of a map for the first and the last colour: 0, and what 99.8 % of the windows of some slices have."""
    volume = open_volume(path)
    numbers = np.unique(np.linspace(0, volume.shape[0] - 1, MOST_LOOKED_AT).astype(int))
    step = max(1, max(volume.shape[1:]) // 512)
    some = np.stack([np.asarray(volume.data[one : one + 1])[0, ::step, ::step] for one in numbers.tolist()])
    high = float(np.percentile(some, 99.8))
    return 0.0, high if high > 0 else max(float(some.max()), 1.0)


def given_by(layer: Layer) -> Given:
    """Take the volume of an image or labels layer, without reading it.

    Raises
    ------
    NanosegError
        When it is a single image, has colours, channels or times, or too many dimensions.
    """
    letters, colours = axes_of(layer), bool(getattr(layer, "rgb", False))
    letters = letters.replace(DROPPED, "")
    if letters != "ZYX" or colours:
        what = "has colours" if colours else _kinds(letters)
        raise NanosegError(
            f"The layer '{layer.name}' {what}, but a volume is a stack of grey slices (Z, Y, X); choose such a layer."
        )
    if not isinstance(layer, ImageLayer | Labels):
        raise NanosegError(f"The layer '{layer.name}' is {kind_of(layer)}; choose one with voxels.")
    data = as_array(level_0(layer))
    data = data.reshape([size for size in data.shape if size != 1]) if data.ndim > 3 else data
    kept = layer.metadata.get(METADATA)
    opened = kept.get(OPENED) if isinstance(kept, dict) else None
    if not isinstance(opened, Opened) or opened.data is not level_0(layer):
        opened = None
    calibration = calibration_of(layer)
    sizes = calibration.pixel_size_nm
    volume = Volume(data, calibration if sizes is not None and len(sizes) == 3 else Calibration(), layer.name)
    names = (layer.metadata.get("source"), layer.source.path)
    return Given(layer.name, volume, tuple(dict.fromkeys(Path(name) for name in names if name)), opened)


def _kinds(letters: str) -> str:
    if letters == "YX":
        return "is a single 2-D image"
    return "has channels" if "C" in letters else "is a time series"


def _levels(path: Path, config: VolumeConfig) -> tuple[list[Any], Calibration, dict[int, str] | None]:
    """All resolutions of a volume as arrays that are read when they are looked at, the full one first, and classes."""
    volume = open_volume(path, config)
    levels: list[Sliceable] = [volume.data]
    names = None
    if path.is_dir() and is_zarr(path):
        levels, _, names = open_levels(path, config.dataset)
    return [lazy(level) for level in levels], volume.calibration, names


def _class_options(name: str, names: Mapping[int, str], opened: Opened, levels: list[Any]) -> dict[str, Any]:
    """What a layer of classes has; the names are its features."""
    from pandas import DataFrame

    told = [names.get(value, "") for value in range(1, max(names, default=0) + 1)]
    colours = [CLASS_COLOURS.get(one, OTHER_COLOUR) for one in told]
    kept = {OPENED: opened, CLASSES: tuple(told)}
    return {
        "name": name,
        "metadata": {"source": str(opened.path), METADATA: kept, "nanoseg_roles": ("classes",)},
        "features": DataFrame({"index": list(names), "class": list(names.values())}),
        "colormap": CyclicLabelColormap(colors=np.array([(0.0, 0.0, 0.0, 0.0), *colours])),
        "opacity": 0.9,
        **_many(levels),
    }


def _shown(levels: list[Any]) -> Any:
    return levels if len(levels) > 1 else levels[0]


def _many(levels: list[Any]) -> dict[str, bool]:
    return {"multiscale": len(levels) > 1}


def _placed(levels: list[Any], place: Layer) -> tuple[list[Any], dict[str, Any]]:
    """Levels with the axes of a volume's layer, and options that put them where it lies."""
    wanted = [size for size in level_0(place).shape if size != 1]
    placed = [on(place, level) for level in levels]
    space = placed[0][1]
    strides = [size / own for size, own in zip(wanted, levels[0].shape, strict=True)]
    if max(strides) >= 1.5:  # a map with fewer windows than pixels; the first lies half a stride from the edge
        letters = axes_of(place).replace("C", "")
        factors = iter([round(stride) for stride in strides])
        steps = np.array([1.0 if letter == DROPPED else next(factors) for letter in letters])
        scale = np.asarray(space["scale"])
        space = {**space, "scale": scale * steps, "translate": space["translate"] + scale * (steps // 2)}
    return [level for level, _ in placed], space
