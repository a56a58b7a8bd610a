"""Where things lie on this computer when the user names no other place."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def models_folder() -> Path:
    """Folder of the user's models; it need not exist yet."""
    return platformdirs.user_data_path("napari-nanoseg", appauthor=False) / "models"


def recovery_folder() -> Path:
    """Folder of annotations that were not saved yet; it need not exist yet."""
    return platformdirs.user_state_path("napari-nanoseg", appauthor=False) / "recovery"


def state_folder() -> Path:
    """Folder of what is remembered between two sessions; it need not exist yet."""
    return platformdirs.user_state_path("napari-nanoseg", appauthor=False)


def datasets_folder() -> Path:
    """Folder for new datasets, where the user finds them; it need not exist yet."""
    return Path.home() / "nanoseg"


def free_path(path: Path) -> Path:
    """Find a path at which there is nothing: `path`, or the first of it with -2, -3, ... at the end."""
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
