"""What forms read from the fields of a config: labels, tooltips, limits, and which widget suits."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from napari_nanoseg._gui.compound_editors import Maybe, Numbers, Paths, Row, Several, Texts
from napari_nanoseg._gui.editors import UNSET, Choice, Editor, Flag, Number, OnePath, Text
from napari_nanoseg._gui.labels import extra_of
from napari_nanoseg._gui.numbers import Limits
from napari_nanoseg._gui.variations import Variations
from napari_nanoseg.config.base import Config


def nested_kinds(field: FieldInfo) -> tuple[type[Config], ...]:
    """The kinds of config that a field may hold; empty where it holds something else."""
    kinds = _members(_plain(field.annotation, [])[0])
    return tuple(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Config))


def title_of(kind: type[Config]) -> str:
    """What people call a kind of config that a field may hold: the title of the field that tells it."""
    return next(field.title or name for name, field in kind.model_fields.items() if is_constant(field))


def is_constant(field: FieldInfo) -> bool:
    """Whether a field only tells what kind of config this is."""
    return get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1


def defaults_of(kind: type[Config]) -> dict[str, Any]:
    return {name: field.get_default(call_default_factory=True) for name, field in kind.model_fields.items()}


def tooltip_of(field: FieldInfo) -> str:
    """Description, range and default, wrapped by Qt because it is rich text."""
    parts = [f"{field.description}." if field.description else ""]
    limits = _limits(field)
    unit = extra_of(field).get("unit", "")
    if limits:
        parts.append(f"Range: {limits} {unit}".rstrip() + ".")
    default = field.get_default(call_default_factory=True)
    if default is not UNSET and default not in (None, "", ()) and not isinstance(default, Config):
        parts.append(f"Default: {_shown(default)} {unit}".rstrip() + ".")
    return f"<qt>{html.escape(' '.join(part for part in parts if part))}</qt>"


def _limits(field: FieldInfo) -> str:
    """The range of a number, or of the numbers of a tuple where it is the same for all."""
    annotation, metadata = _plain(field.annotation, field.metadata)
    kinds = [one for one in _members(annotation) if one is not NoneType]
    inner = [_plain(kind, metadata) for kind in kinds]
    if len(inner) == 1 and get_origin(inner[0][0]) is tuple:
        inner = [_plain(kind, []) for kind in get_args(inner[0][0]) if kind is not ...]
    words = {Limits.of(found).words() for kind, found in inner if kind in (int, float)}
    return words.pop() if len(words) == 1 else ""


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(str(one) for one in value) if isinstance(value, tuple) else str(value)


def editor_of(field: FieldInfo) -> Editor:
    """Make the editor for a field of a config.

    Raises
    ------
    TypeError
        When no editor knows the field's type.
    """
    return _editor(field.annotation, field.metadata, field)


def _members(annotation: Any) -> tuple[Any, ...]:
    """Split a union into its types, None included."""
    if get_origin(annotation) in (Union, UnionType):
        return tuple(member for kind in get_args(annotation) for member in _members(kind))
    return (annotation,)


def _plain(annotation: Any, metadata: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Take the metadata out of annotated types."""
    metadata = list(metadata)
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        for item in more:
            metadata += item.metadata if isinstance(item, FieldInfo) else [item]
    return annotation, metadata


def _editor(annotation: Any, metadata: Sequence[Any], field: FieldInfo) -> Editor:
    annotation, metadata = _plain(annotation, metadata)
    kinds = _members(annotation)
    if NoneType in kinds:
        (kind,) = (one for one in kinds if one is not NoneType)
        return _optional(kind, metadata, field)
    if get_origin(annotation) is Literal:
        return Choice(get_args(annotation))
    if get_origin(annotation) is tuple:
        return _tuple(get_args(annotation), field)
    if get_origin(annotation) is dict:
        return Variations()
    if annotation is bool:
        return Flag()
    if annotation in (int, float):
        return Number(annotation, Limits.of(metadata), extra_of(field))
    if annotation is str:
        return Text(extra_of(field).get("suggestions", ()))
    if annotation is Path:
        return OnePath(_dialog(field))
    raise TypeError(f"no editor for {annotation}")


def _optional(kind: Any, metadata: Sequence[Any], field: FieldInfo) -> Editor:
    none = _none_text(field)
    if get_origin(kind) is Literal:
        return Choice(get_args(kind), none)
    if kind is Path:
        return OnePath(_dialog(field), none)
    inner = _editor(kind, metadata, field)
    start = extra_of(field).get("start", UNSET)
    if start is UNSET and field.default not in (None, UNSET):
        start = field.default
    return Maybe(inner, inner.example() if start is UNSET else start, none)


def _tuple(kinds: tuple[Any, ...], field: FieldInfo) -> Editor:
    if kinds[1:] != (...,):
        return Row([_editor(kind, [], field) for kind in kinds])
    kind, _ = _plain(kinds[0], [])
    if get_origin(kind) is Literal:
        return Several(get_args(kind))
    if kind is Path:
        return Paths()
    if kind in (int, float):
        return Numbers(kind)
    if kind is str:
        return Texts(extra_of(field).get("suggestions", ()))
    raise TypeError(f"no editor for a list of {kind}")


def _dialog(field: FieldInfo) -> Literal["folder", "open"]:
    return "folder" if (field.description or "").startswith("Folder") else "open"


def _none_text(field: FieldInfo) -> str:
    """What None means, as the description says it after ``none:`` or ``empty:``."""
    found = re.search(r"(?:none|empty): ([^;]*)", field.description or "")
    return found[1] if found else "not set"
