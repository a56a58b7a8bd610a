"""Paths in configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from napari_nanoseg.config.base import Config

_Config = TypeVar("_Config", bound=Config)
AUTO = Path("auto")
"""Stands for whatever suits, not for a place."""


def absolute(config: _Config) -> _Config:
    """Make all paths of a config absolute, so that it means the same in any working directory."""
    return config.model_copy(update={name: _absolute(value) for name, value in config})


def _absolute(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_absolute(item) for item in value)
    return value.absolute() if isinstance(value, Path) and value != AUTO else value
