"""Presets: named values that a job puts below those it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_nanoseg.config.base import Config


def filled(values: Any, presets: Mapping[Any, dict[str, Any]]) -> Any:
    """Put the values of a job's ``preset`` into its ``config``, below what is given, so that it says all without it.

    Values that are no job, or name no known preset, are given back for the job's model to refuse.
    """
    if not isinstance(values, dict) or values.get("preset") not in presets:
        return values
    given = values.get("config") or {}
    if isinstance(given, Config):
        given = given.model_dump(exclude_unset=True)
    if not isinstance(given, dict):
        return values
    return values | {"preset": None, "config": _over(presets[values["preset"]], given)}


def _over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Nested values, those of `above` first."""
    return below | {
        name: _over(below[name], value) if isinstance(value, dict) and isinstance(below.get(name), dict) else value
        for name, value in above.items()
    }
