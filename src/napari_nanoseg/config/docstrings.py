"""Docstrings of configs, made from their fields."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

HEADING = "\n\nParameters\n----------\n"
EXAMPLES = "\n\nExamples\n--------\n"
"""Heading of the section that stays the last one, as numpydoc wants it."""
WIDTH = 108
"""Characters of a line of a description."""
LIMITS = {"gt": "above {}", "ge": "at least {}", "lt": "below {}", "le": "at most {}"}
"""Attributes of the limits of a field, in words."""


def with_parameters(text: str, fields: Mapping[str, FieldInfo]) -> str:
    """Add a numpydoc section with the type, default, description, unit and range of every field to a docstring.

    Parameters
    ----------
    text : str
        The docstring; a section that it already has is replaced, its examples stay at the end.
    fields : mapping of str to FieldInfo
        Of the config.
    """
    entries = "\n".join(_entry(name, field) for name, field in fields.items())
    said, examples, code = inspect.cleandoc(text).partition(EXAMPLES)
    return f"{said.partition(HEADING)[0]}{HEADING}{entries}{examples}{code}\n"


def _entry(name: str, field: FieldInfo) -> str:
    default = "" if field.default is PydanticUndefined else f", default {_default(field.default)}"
    extra = field.json_schema_extra
    unit = extra.get("unit") if isinstance(extra, dict) else None
    said = [field.description or field.title or "", "" if unit is None else f"unit: {unit}", _range(field)]
    lines = _lines("; ".join(part for part in said if part))
    return "\n    ".join([f"{name} : {_type(field.annotation)}{default}", *lines])


def _lines(text: str) -> list[str]:
    """Break a text into lines; :mod:`textwrap` would take 8 ms of every import of the package for all configs."""
    lines = []
    while len(text) > WIDTH and (end := text.rfind(" ", 0, WIDTH + 1)) > 0:
        lines.append(text[:end])
        text = text[end + 1 :]
    return [*lines, text] if text else lines


def _default(value: Any) -> str:
    return f"{type(value).__name__}()" if isinstance(value, BaseModel) else repr(value)


def _range(field: FieldInfo) -> str:
    limits = (
        words.format(value if isinstance(value, int) else f"{value:g}")
        for limit in field.metadata
        for name, words in LIMITS.items()
        if isinstance(value := getattr(limit, name, None), int | float)
    )
    return " and ".join(limits)


def _type(kind: Any) -> str:
    """Write a type as numpydoc does."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _type(inner[0])
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_type(one) for one in inner)
    if origin is Literal:
        return f"{{{', '.join(map(repr, inner))}}}"
    if origin is tuple:
        several = inner[-1] is Ellipsis or len(set(map(_type, inner))) == 1
        count = "" if inner[-1] is Ellipsis else f"{len(inner)} "
        return f"tuple of {count}{_type(inner[0])}" if several else f"tuple of {', '.join(map(_type, inner))}"
    if kind is type(None):
        return "None"
    if kind is Path:
        return "path"
    return str(getattr(kind, "__name__", kind))
