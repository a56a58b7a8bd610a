"""Options as typer takes them: parameters of a function, and their help."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from napari_nanoseg.config.options import Option

_KINDS = {int: "INT", float: "FLOAT", str: "TEXT", Path: "PATH"}
_LIMITS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def parameters_of(option: Option) -> Iterator[inspect.Parameter]:
    """Give the parameters from which typer makes an option: one, or the two sides of a switch."""
    kind: Any = str
    if option.count == 0:
        kind = bool
    elif option.repeated:
        kind = list[str]
    elif option.count > 1:
        kind = tuple[(str,) * option.count]  # type: ignore[misc]
    metavar = option.name if option.positional else "|".join(_metavar(kind) for kind in option.types)
    if option.positional:
        info: Any = typer.Argument(
            help=_help(option), metavar=metavar, show_default=False, autocompletion=_completion(option)
        )
    else:
        info = typer.Option(
            option.name,
            help=_help(option),
            metavar=None if kind is bool else metavar,
            show_default=False,
            rich_help_panel=option.panel,
            autocompletion=_completion(option),
        )
    yield _parameter(option.key, kind, info)
    if kind is bool:  # hidden: beside its pair, the names are cut off in a help of 80 columns
        yield _parameter(f"{option.key}__no", kind, typer.Option(option.no, hidden=True))


def _completion(option: Option) -> Callable[[str], list[str]] | None:
    """What completes a value: its choices, or the names of the models in the library."""
    choices = list(option.choices)

    def beginning(incomplete: str) -> list[str]:
        return _beginning(choices, incomplete)

    if choices:
        return beginning
    return _models if option.path[-1] in ("model", "start_from") else None


def _models(incomplete: str) -> list[str]:
    from napari_nanoseg.io.model_library import list_library

    return _beginning([entry.name for entry in list_library()], incomplete)


def _beginning(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


def _parameter(name: str, kind: Any, info: Any) -> inspect.Parameter:
    annotation = Annotated[kind | None, info]
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation)


def _help(option: Option) -> str:
    text = option.field.description or ""
    if option.unit:
        text += f" ({option.unit})"
    limits = [
        f"{sign}{getattr(item, name)}"
        for item in option.field.metadata
        for name, sign in _LIMITS.items()
        if isinstance(getattr(item, name, None), (int, float))
    ]
    notes = [f"one of: {', '.join(option.choices)}"] if option.choices else []
    if limits:
        notes.append(", ".join(limits))
    if option.required:
        notes.append("required")
    elif option.default not in (None, (), ""):
        notes.append(f"default: {_shown(option.default)}")
    if option.count == 0:
        notes.append(f"{option.no}: no")
    if notes:
        text += f" [{'; '.join(notes)}]"
    return text.replace("[", r"\[")


def _metavar(kind: Any) -> str:
    if get_origin(kind) is tuple:
        inner = [item for item in get_args(kind) if item is not ...]
        return " ".join(_metavar(item) for item in inner)
    if get_origin(kind) is dict:
        return "FIELD=VALUE,VALUE"
    if get_origin(kind) is Literal:
        return "CHOICE"
    if get_origin(kind) is Annotated:
        return _metavar(get_args(kind)[0])
    return _KINDS.get(kind, "VALUE")


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, (list, tuple)):
        return " ".join(str(item) for item in default)
    return str(default)
