"""What every column of the table of particles is, for people: titles, units, definitions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from napari_nanoseg.measurement.particles import POWER, in_nm


@dataclass(frozen=True)
class Column:
    """One column: its title, what it is (as in ``docs/measuring.md``), and its unit ("" for none)."""

    title: str
    meaning: str
    unit: str = ""


_PLAIN = {
    "image": Column("Image", "file stem; only when several label images are measured"),
    "slice": Column("Slice", "slice of the stack or time point, counted from 0; only for stacks"),
    "label": Column("Label", "the particle's id: its number in the label image"),
    "class": Column("Class", "class number, 0 where there are no classes"),
    "score": Column("Score", "how sure the model was, 0 to 1; 1 where nothing is known"),
    "centroid_row": Column("Centroid row", "mean row of its pixels", "px"),
    "centroid_column": Column("Centroid column", "mean column of its pixels", "px"),
    "area": Column("Area", "area A of its mask", "px²"),
    "equivalent_diameter": Column("Equivalent diameter", "diameter of the disc of the same area", "px"),
    "rectangle_length": Column("Rectangle length", "long side of the rectangle of least area around the outline", "px"),
    "rectangle_width": Column("Rectangle width", "short side of the rectangle of least area around the outline", "px"),
    "aspect_ratio": Column("Aspect ratio", "rectangle_length / rectangle_width, at least 1"),
    "feret_max": Column("Feret max", "largest distance of two parallel tangents of the outline", "px"),
    "feret_min": Column("Feret min", "smallest distance of two parallel tangents of the outline", "px"),
    "perimeter": Column("Perimeter", "length of the outline, holes included", "px"),
    "circularity": Column("Circularity", "4 π A / perimeter², at most 1; 1 for a disc"),
    "solidity": Column("Solidity", "A / area of the convex hull, in pixel centres; 1 for a convex particle"),
    "extent": Column("Extent", "A / area of the axis-parallel bounding box"),
    "orientation_deg": Column("Orientation", "direction of the long axis, counter-clockwise from the horizontal", "°"),
    "touches_border": Column("At border", "the particle reaches the edge of the image and may be cut off there"),
    "overlapping": Column("Overlapping", "it shares pixels with another particle; they count for both"),
    "mean_intensity": Column(
        "Mean intensity", "mean grey value of its pixels (of all channels); only with a micrograph"
    ),
}
_CALIBRATED = {
    in_nm(name): replace(_PLAIN[name], unit=_PLAIN[name].unit.replace("px", "nm")) for name in _PLAIN if name in POWER
}
COLUMNS: dict[str, Column] = _PLAIN | _CALIBRATED
"""Every column that :func:`~napari_nanoseg.measurement.particles.measure` and its job can write, by name."""

_PLAIN_NAMES = {in_nm(name): name for name in POWER}
_FIRST = ("image", "slice", "label", "equivalent_diameter")
_LAST = ("centroid_row", "centroid_column", "class", "score")


def heading(name: str) -> str:
    """Title and unit of a column; the name itself for a column that is not ours."""
    column = COLUMNS.get(name)
    if column is None:
        return name
    return f"{column.title} ({column.unit})" if column.unit else column.title


def definition(name: str) -> str:
    """Explain a column in one sentence; "" for a column that is not ours."""
    column = COLUMNS.get(name)
    if column is None:
        return ""
    unit = f", in {'degrees' if column.unit == '°' else column.unit}" if column.unit else ""
    return f"{column.meaning[:1].upper()}{column.meaning[1:]}{unit}."


def reading_order(names: Iterable[str]) -> list[str]:
    """Names in the order in which people look at them: sizes first, positions last, and pixels after nanometres."""
    names = list(names)

    def rank(name: str) -> int:
        plain = _PLAIN_NAMES.get(name, name)
        if name in POWER and in_nm(name) in names:
            return 40
        if plain in _FIRST:
            return _FIRST.index(plain)
        if plain in POWER:
            return 10
        return 30 if name in _LAST else 20

    return sorted(names, key=rank)
