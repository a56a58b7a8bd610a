"""How results show themselves: in one line, and in notebooks with a small picture and a table of figures.

NumPy is imported where it is used: the command line, which loads the types of this package, starts without it.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from html import escape
from io import BytesIO
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LONGEST = 119
"""Characters of a line."""
SIDE = 256
"""Of the pictures, px, at most."""
LARGEST_SIDE = 8192
"""Of the window that is read from a disk for a picture, px, at most."""
MOST_ROWS = 40
"""Of a table; what does not fit is counted."""
COLOURS = (
    (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167),
)  # fmt: skip
"""Black, for what is no object, and Okabe and Ito's colours (jfly.uni-koeln.de/color), which objects take in turn."""


class Shown:
    """An object that shows itself in one line and in notebooks; what cannot be shown is left out, never an error."""

    __slots__ = ()

    def _line(self) -> str:
        """Say what it is, in a few words: what stands in the brackets of its ``repr``."""
        return ""

    def _rows(self) -> Mapping[str, Any]:
        """Give what notebooks list below the line: values by name."""
        return {}

    def _picture(self) -> NDArray[np.uint8] | None:
        """Draw it small: rows and columns of at most :data:`SIDE`, grey or (red, green, blue)."""
        return None

    def __repr__(self) -> str:
        name = type(self).__name__
        try:
            line = " ".join(self._line().split())
        except Exception:  # a debugger shows objects that are half made or whose file is gone
            line = "..."
        room = LONGEST - len(name) - 2
        return f"{name}({line if len(line) <= room else f'{line[: room - 4]} ...'})"

    def _repr_html_(self) -> str:
        parts = [f"<div><code>{escape(repr(self))}</code></div>"]
        for make in (self._picture_html, self._table_html):
            try:
                parts.append(make())
            except Exception:
                continue
        return f"<div>{''.join(parts)}</div>"

    def _picture_html(self) -> str:
        picture = self._picture()
        if picture is None:
            return ""
        from PIL import Image

        file = BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        return f'<img alt="" src="data:image/png;base64,{b64encode(file.getvalue()).decode()}"/>'

    def _table_html(self) -> str:
        rows = [(str(name), _text(value)) for name, value in self._rows().items()]
        if not rows:
            return ""
        cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows[:MOST_ROWS])
        more = f"<div>and {len(rows) - MOST_ROWS} more</div>" if len(rows) > MOST_ROWS else ""
        return f"<table>{cells}</table>{more}"


def counted(number: int, what: str) -> str:
    """Write a number of things: '1 particle', '1,024 particles'."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def extent(shape: Iterable[int], unit: str = "px") -> str:
    """Write the shape of an image: '1024 x 1280 px'."""
    return f"{' x '.join(map(str, shape))} {unit}"


def named(source: object) -> str:
    """Quote a name or the last part of a path."""
    text = str(source)
    return repr(text.replace("\\", "/").rstrip("/").rpartition("/")[2] or text)


def step_for(shape: Iterable[int]) -> int:
    """Find of how many pixels one is shown."""
    return max(1, -(-max(shape) // SIDE))


def middle_of(size: int) -> slice:
    """Choose the pixels of an axis that are read from a disk for a small picture: all, unless there are very many."""
    return slice(max(0, (size - LARGEST_SIDE) // 2), min(size, (size + LARGEST_SIDE) // 2))


def small_grey(pixels: Any) -> NDArray[np.uint8]:
    """Draw an image, (Y, X) or (Y, X, C), small, from some of its pixels, between its 0.5 and 99.5 percentiles."""
    import numpy as np

    step = step_for(pixels.shape[:2])
    picked = np.asarray(pixels[::step, ::step], dtype=np.float64)
    if picked.ndim == 3 and picked.shape[2] != 3:
        picked = picked[..., :3] if picked.shape[2] > 3 else picked.mean(axis=2)
    finite = picked[np.isfinite(picked)]
    low, high = np.percentile(finite, (0.5, 99.5)) if finite.size else (0.0, 1.0)
    scaled = np.clip((np.nan_to_num(picked) - low) / max(high - low, np.finfo(float).tiny), 0, 1)
    return (255 * scaled).round().astype(np.uint8)


def coloured(labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Give every label above 0 a colour; those below and 0 are black."""
    import numpy as np

    return np.array(COLOURS, np.uint8)[np.where(labels > 0, (labels - 1) % (len(COLOURS) - 1) + 1, 0)]


def outlined(grey: NDArray[np.uint8], labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Draw the outlines of labels over a small picture of the same size."""
    import numpy as np

    picture = grey if grey.ndim == 3 else np.repeat(grey[..., None], 3, axis=2)
    padded = np.pad(labels, 1, mode="edge")
    edge = np.zeros(labels.shape, bool)
    for rows, columns in ((0, 1), (2, 1), (1, 0), (1, 2)):
        beside = padded[rows : rows + labels.shape[0], columns : columns + labels.shape[1]]
        edge |= beside != labels
    edge &= labels > 0
    picture[edge] = coloured(labels)[edge]
    return picture


def bar(parts: Iterable[tuple[int, tuple[int, int, int]]]) -> NDArray[np.uint8] | None:
    """Draw counts as a bar of pieces as long as they are many; None when all are 0."""
    import numpy as np

    counts, colours = zip(*parts, strict=True)
    total = sum(counts)
    if not total:
        return None
    ends = np.round(np.cumsum(counts) * SIDE / total).astype(int)
    which = np.searchsorted(ends, np.arange(SIDE), side="right")
    return np.repeat(np.array(colours, np.uint8)[which][None], 16, axis=0)


def brief(value: Any) -> str:
    """Write a figure: whole numbers in full, others with three digits, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, Real) and not isinstance(value, Integral):
        return f"{value:.3g}"
    return str(value)


def figures_line(figures: Mapping[str, Any]) -> str:
    """Write figures in a line: 'f1 0.93, particles 80'; nested ones are left out."""
    plain = {name: value for name, value in figures.items() if not isinstance(value, Mapping | list | tuple)}
    return ", ".join(f"{name} {brief(value)}" for name, value in plain.items())


def _text(value: Any) -> str:
    text = f"{len(value)} values" if isinstance(value, Mapping) else brief(value)
    return text if len(text) <= 200 else f"{text[:196]} ..."
