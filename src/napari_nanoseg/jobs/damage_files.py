"""Files of an analysis of damage."""

from __future__ import annotations

import json
from pathlib import Path

from napari_nanoseg.events import checkpoint
from napari_nanoseg.io.atomic import write_text
from napari_nanoseg.io.figures import write_figure
from napari_nanoseg.io.tables import write_table
from napari_nanoseg.measurement.damage.analysis import Damage
from napari_nanoseg.measurement.damage.figures import damage_figures

PROFILE, FIGURES = "profile.csv", "figures.json"
"""What every analysis leaves."""


def write_damage(damage: Damage, out: Path) -> dict[str, Path]:
    """Write all tables and pictures of an analysis, one after the other.

    Parameters
    ----------
    damage : Damage
    out : Path
        Folder, made when missing.

    Returns
    -------
    dict of str to Path
        ``profile.csv``, ``distribution.csv``, ``figures.json``; ``correlation.csv`` and ``particles.csv`` where there
        are particles; ``components.csv`` and ``directions.csv`` where cracks were measured; every picture as ``.png``
        and ``.svg``, by name.

    Raises
    ------
    NanosegError
        When a file cannot be written.
    """
    tables = {
        "profile": damage.profile,
        "distribution": damage.distribution,
        "correlation": damage.correlation if len(damage.correlation) else None,
        "components": damage.cracks,
        "directions": damage.directions,
        "particles": damage.particles,
    }
    files: dict[str, Path] = {}
    for name, table in tables.items():
        if table is not None:
            checkpoint()
            files[name] = out / f"{name}.csv"
            write_table(table, files[name])
    for name, figure in damage_figures(damage).items():
        for suffix in ("png", "svg"):
            checkpoint()
            files[f"{name}_{suffix}"] = out / f"{name}.{suffix}"
            write_figure(figure, files[f"{name}_{suffix}"])
    files["figures"] = out / FIGURES
    write_text(files["figures"], json.dumps(damage.figures, indent=2) + "\n")
    return files
