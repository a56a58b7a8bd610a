"""Figures, out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nanoseg.arguments import as_path
from napari_nanoseg.errors import unsuitable
from napari_nanoseg.io.atomic import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_figure(figure: Figure, path: str | Path) -> None:
    """Write a figure atomically; the same figure always gives the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Drawn at its own resolution.
    path : str or Path
        Ends in ``.png``, ``.svg`` (text stays text) or ``.pdf``.

    Raises
    ------
    NanosegError
        When the file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> import napari_nanoseg as ns
    >>> truth = ns.read_labels(ns.sample_data() / "particles_truth.tif")
    >>> ns.write_figure(ns.distribution_figure(ns.measure(truth)), "sizes.png")
    >>> Path("sizes.png").is_file()
    True
    """
    from matplotlib import rc_context

    if not hasattr(figure, "savefig"):
        raise unsuitable("write_figure: 'figure'", figure, "a figure of matplotlib")
    path = as_path(path, "write_figure: 'path'")
    metadata: dict[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(path.suffix, {})
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "nanoseg"}
    with rc_context(style), atomic_path(path) as temporary:
        figure.savefig(temporary, metadata=metadata)
