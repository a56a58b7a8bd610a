"""NanoSeg's page in napari's Preferences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari.settings import get_plugin_settings

from napari_nanoseg.io.places import models_folder


@dataclass(frozen=True)
class Settings:
    """What the user chose once for all docks.

    Parameters
    ----------
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    models : Path
        The folder that trained models are written to and found in.
    threads : int
        Cores that networks may use; 0: all.
    """

    device: str
    models: Path
    threads: int


def settings() -> Settings:
    """Read the page as it is now."""
    page = get_plugin_settings("napari-nanoseg").general
    folder = page.models_folder.strip()
    return Settings(page.device, Path(folder).expanduser() if folder else models_folder(), page.threads)
