"""What people call the fields of configs."""

from __future__ import annotations

from typing import Any

from pydantic.fields import FieldInfo


def label_of(name: str, field: FieldInfo, *, unit: bool = False) -> str:
    """The title of a field, else its name in words; on request with its unit."""
    own = extra_of(field).get("unit")
    words = field.title or name.removesuffix(f"_{own}").replace("_", " ")  # size_nm: the unit is said beside it
    text = words[:1].upper() + words[1:]
    measure = own if unit else None
    return f"{text} ({measure})" if measure else text


def extra_of(field: FieldInfo) -> dict[str, Any]:
    """What a field says about its place in forms (unit, group, advanced, step, start, suggestions)."""
    return dict(field.json_schema_extra) if isinstance(field.json_schema_extra, dict) else {}


def way_label(name: str, fields: tuple[FieldInfo, ...]) -> str:
    """What people call a field of a nested config: the titles of all that it lies in, and its own."""
    return ": ".join(label_of(part, field) for part, field in zip(name.split("."), fields, strict=True))
