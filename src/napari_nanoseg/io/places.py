"""Where things lie on this computer when the user names no other place."""

from __future__ import annotations

from pathlib import Path

import platformdirs


def models_folder() -> Path:
    """Folder of the user's models; it need not exist yet."""
    return platformdirs.user_data_path("napari-nanoseg", appauthor=False) / "models"
