"""`nanoseg models`: the library of models, from a shell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_nanoseg.cli.commands import Json
from napari_nanoseg.cli.outcome import ending, print_json
from napari_nanoseg.io.model_cards import ModelEntry, describe_model, model_name
from napari_nanoseg.io.model_library import (
    export_model,
    find_model,
    import_model,
    list_library,
    remove_model,
    rename_model,
)
from napari_nanoseg.io.model_summary import KINDS, network_in_words, problem_of, summary
from napari_nanoseg.io.places import models_folder

models = typer.Typer(no_args_is_help=True)

Folder = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder of the models; default: the user's.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a model, or its path.", show_default=False)]


@models.command("list")
def list_all(folder: Folder = None, as_json: Json = False) -> None:
    """List the models that can be asked for by name."""
    with ending():
        folder = folder or models_folder()
        entries = list_library(folder)
        if as_json:
            print_json({"folder": folder, "models": [_described(entry) for entry in entries]})
            return
        for entry in entries:
            typer.echo(f"{entry.name}: {_kind(entry) if entry.problem is None else entry.problem}")
        if not entries:
            typer.echo(f"There is no model in {folder} yet.", err=True)


@models.command()
def show(name: Name, folder: Folder = None, as_json: Json = False) -> None:
    """Say what a model is, how it was trained and whether its files are whole."""
    with ending():
        path = find_model(name, folder)
        if as_json:
            entry = describe_model(path)
            card = None if entry.card is None else entry.card.model_dump(mode="json")
            print_json({**_described(entry), "problem": problem_of(path), "card": card})
            return
        for label, text in summary(path).items():
            typer.echo(f"{label}: {text}")


@models.command("import")
def import_one(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Exported zip, model folder, folder or zip of the original StarDist, weights of Detectron2 or CDNet.",
            show_default=False,
        ),
    ],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its name; default: that of the source.")] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Copy a model into the library."""
    with ending():
        _tell(import_model(source, folder, name), as_json)


@models.command("export")
def export_one(
    name: Name,
    target: Annotated[Path, typer.Argument(metavar="FILE.zip", help="Zip to write.", show_default=False)],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file of that name.")] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Write a model into one zip, for another computer."""
    with ending():
        _tell(export_model(find_model(name, folder), target, overwrite=overwrite), as_json)


@models.command("rename")
def rename_one(
    name: Name,
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="Its new name.", show_default=False)],
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Give a model of the library another name."""
    with ending():
        _tell(rename_model(name, new_name, folder), as_json)


@models.command("remove")
def remove_one(
    name: Name,
    annotations: Annotated[
        bool, typer.Option("--annotations", help="Also delete the annotated images in its folder.")
    ] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Delete a model of the library, with all that lies in its folder."""
    with ending():
        _tell(remove_model(name, folder, annotations=annotations), as_json)


def _tell(path: Path, as_json: bool) -> None:
    """Say which model or file a command was about."""
    if as_json:
        print_json({"name": model_name(path), "path": path})
    else:
        typer.echo(path)


def _described(entry: ModelEntry) -> dict[str, object]:
    return {"name": entry.name, "path": entry.path, "problem": entry.problem, "thresholds": entry.thresholds}


def _kind(entry: ModelEntry) -> str:
    kind = KINDS.get(entry.engine or "")
    if entry.card is None:
        return f"{kind}, in the original's format"
    if kind is None:
        return network_in_words(entry.card.network)
    diameter = entry.card.training_diameter
    return kind if diameter is None else f"{kind}, trained on particles of {diameter:.3g} px"
