"""Paths in configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from napari_nanoseg.config.base import Config

_Config = TypeVar("_Config", bound=Config)
AUTO, COCO = Path("auto"), Path("coco")
"""Stand for whatever suits and for published weights, not for a place."""


def absolute(config: _Config) -> _Config:
    """Make all paths of a config absolute, so that it means the same in any working directory."""
    return config.model_copy(update={name: _absolute(value) for name, value in config})


def _absolute(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_absolute(item) for item in value)
    return value.absolute() if isinstance(value, Path) and value not in (AUTO, COCO) else value
