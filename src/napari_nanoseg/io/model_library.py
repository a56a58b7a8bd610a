"""The user's models by name: a folder of models, and those that come with the package."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.atomic import atomic_folder, atomic_path, writing
from napari_nanoseg.io.leftovers import hidden_beside
from napari_nanoseg.io.model_cards import (
    ANNOTATED,
    NO_MODEL,
    ModelEntry,
    describe_model,
    is_model,
    list_models,
    model_name,
)
from napari_nanoseg.io.model_files import read_model_files
from napari_nanoseg.io.outputs import need_new
from napari_nanoseg.io.places import models_folder
from napari_nanoseg.io.processes import need_no_training
from napari_nanoseg.io.recent_models import follow_renamed

STARTER = "starter"
"""Name of the network that comes with the package; no other model has it."""
BASELINES = ("watershed", "threshold")
"""Names of the models without a network that come with the package; no other model has them."""
WORDS = ("auto", "none")
"""What ``train --from`` takes in place of a name."""
_SIGNS = '/\\:*?"<>|'


def starter_folder() -> Path:
    """Folder of the network that comes with the package."""
    return Path(__file__).parents[1] / STARTER


def baseline_folders() -> dict[str, Path]:
    """Folders of the models without a network that come with the package, by name."""
    return {name: Path(__file__).parents[1] / "baselines" / name for name in BASELINES}


def shipped_name(path: Path) -> str | None:
    """Name of the model at a path if it comes with the package; None for any other."""
    path = path.resolve()
    return next((name for name, folder in _shipped().items() if folder.resolve() == path), None)


def list_library(folder: Path | None = None) -> list[ModelEntry]:
    """Models that can be asked for by name.

    Parameters
    ----------
    folder : Path, optional
        The library; by default the user's.

    Returns
    -------
    list of ModelEntry
        The package's own first, then those of the folder by name. A damaged one is among them with its problem; the
        weights are not looked at.
    """
    shipped = [describe_model(path) for path in _shipped().values() if is_model(path)]
    return shipped + list_models(_library(folder))


def find_model(name_or_path: str | Path, folder: Path | None = None) -> Path:
    """Find the model that a user means.

    Parameters
    ----------
    name_or_path : str or Path
        A model at this path wins over one of this name in the library.
    folder : Path, optional
        The library; by default the user's.

    Returns
    -------
    Path

    Raises
    ------
    NanosegError
        When there is neither; it lists the names that there are.
    """
    path = Path(name_or_path)
    found = path if is_model(path) else _named(path, _library(folder))
    if found is None and not path.exists():
        raise NanosegError(_nothing(path, folder))
    return found or path


def check_model(path: Path) -> None:
    """See that a model is whole: its card and the hash of its weights.

    Raises
    ------
    NanosegError
        When it is damaged, or not a model.
    """
    read_model_files(path)


def export_model(path: Path, zip_path: Path, *, overwrite: bool = False) -> Path:
    """Write a model into one zip: its card, its weights and what says how it was trained.

    Parameters
    ----------
    path : Path
        A model of any kind.
    zip_path : Path
    overwrite : bool
        Replace a file that is there.

    Returns
    -------
    Path
        The zip.

    Raises
    ------
    NanosegError
        When the model is damaged, or the zip cannot be written or is there already.
    """
    if zip_path.suffix.lower() != ".zip":
        raise NanosegError(f"{zip_path} does not end in .zip; choose a name that does.")
    need_new(zip_path, overwrite=overwrite)
    if path.exists() and zip_path.exists() and path.samefile(zip_path):
        raise NanosegError(f"{path} is the model itself; choose another name for the zip.")
    files = read_model_files(path)
    with atomic_path(zip_path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # of one date, so that the same model gives the same bytes
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return zip_path


def import_model(source: Path, folder: Path | None = None, name: str | None = None) -> Path:
    """Copy a model into the library.

    Parameters
    ----------
    source : Path
        An exported zip, a model folder, or a folder or zip of the original StarDist.
    folder : Path, optional
        The library; by default the user's.
    name : str, optional
        By default that of the source.

    Returns
    -------
    Path
        The model's folder in the library.

    Raises
    ------
    NanosegError
        When the source is damaged or not a model, the name cannot be used or is taken; then nothing is written.
    """
    target = _free(model_name(source.absolute()) if name is None else name, _library(folder))
    files = read_model_files(source)
    with atomic_folder(target) as temporary:
        for file, content in files.items():
            (temporary / file).write_bytes(content)
    return target


def rename_model(model: str | Path, name: str, folder: Path | None = None) -> Path:
    """Give a model of the library another name.

    Parameters
    ----------
    model : str or Path
        Its name, or its path in the library.
    name : str
    folder : Path, optional
        The library; by default the user's.

    Returns
    -------
    Path
        Where it lies now.

    Raises
    ------
    NanosegError
        When it is not in the library or comes with the package, a training writes into it, or the name cannot be used
        or is taken.
    """
    path = _owned(model, _library(folder))
    need_no_training(path)
    target = _free(name, path.parent)
    if not path.is_dir():
        target = target.with_name(f"{name}{path.suffix}")
    with writing(target):
        path.rename(target)
    follow_renamed(path, target)
    return target


def remove_model(model: str | Path, folder: Path | None = None, *, annotations: bool = False) -> Path:
    """Delete a model of the library, with all that lies in its folder.

    Parameters
    ----------
    model : str or Path
        Its name, or its path in the library.
    folder : Path, optional
        The library; by default the user's.
    annotations : bool
        Delete annotated images that lie in its folder, too: those that the Train dock took from layers.

    Returns
    -------
    Path
        Where it was.

    Raises
    ------
    NanosegError
        When it is not in the library, comes with the package, a training writes into it, it holds annotated images, or
        it cannot be deleted.
    """
    path = _owned(model, _library(folder))
    need_no_training(path)
    if not annotations and (path / ANNOTATED).exists():
        raise NanosegError(
            f"{path / ANNOTATED} holds the images and outlines that the model was trained from; move them elsewhere, "
            "or say that they may be deleted, too ('--annotations' on the command line)."
        )
    leaving = hidden_beside(path)
    try:
        path.rename(leaving)  # no half of a model is ever seen
        if leaving.is_dir() and not leaving.is_symlink():
            shutil.rmtree(leaving)
        else:
            leaving.unlink()
    except OSError as error:
        raise NanosegError(f"{path} cannot be removed ({error.strerror}); check its permissions.") from error
    return path


def check_name(name: str) -> None:
    """See that a model may have this name.

    Raises
    ------
    NanosegError
        When it is empty, reserved, or cannot be the name of a folder on every system.
    """
    if not name.strip():
        raise NanosegError("The model has no name; give it one.")
    if name.startswith((".", " ")) or name.endswith((".", " ")) or not name.isprintable() or set(_SIGNS) & set(name):
        raise NanosegError(
            f"The model name {name!r} cannot be a folder; leave out a dot or space in front and at its end, and the "
            f"signs {' '.join(_SIGNS)}."
        )
    if name.lower() in (STARTER, *BASELINES):
        raise NanosegError(f"The name '{name}' is kept for a model that comes with NanoSeg; choose another.")
    if name.lower() in WORDS:
        raise NanosegError(f"The name '{name}' has a meaning of its own where a training starts; choose another.")


def _shipped() -> dict[str, Path]:
    return {STARTER: starter_folder()} | baseline_folders()


def _library(folder: Path | None) -> Path:
    return models_folder() if folder is None else folder


def _named(name: Path, folder: Path) -> Path | None:
    """The model of a name, which is no path of several parts."""
    if len(name.parts) != 1:
        return None
    shipped = _shipped().get(str(name))
    places = [folder / name, folder / f"{name}.zip"] if shipped is None else [shipped]
    return next((place for place in places if is_model(place)), None)


def _nothing(path: Path, folder: Path | None) -> str:
    """Why nothing was found, and what there is."""
    if len(path.parts) != 1:
        return f"There is no model at {path}; check the path."
    library = _library(folder)
    names = ", ".join(entry.name for entry in list_library(folder))
    advice = f"choose one of these: {names}" if names else "train one, or import one with 'nanoseg models import'"
    return f"There is no model at {path}, nor one of that name in {library}; {advice}."


def _free(name: str, folder: Path) -> Path:
    """Where a new model of a name goes."""
    check_name(name)
    if any(os.path.lexists(folder / taken) for taken in (name, f"{name}.zip")):
        raise NanosegError(f"There is already a model '{name}' in {folder}; choose another name.")
    return folder / name


def _owned(model: str | Path, folder: Path) -> Path:
    """The model of the library that may be changed."""
    # here a name comes first: a folder of that name where the command is typed is never meant
    path = _named(Path(model), folder) or find_model(model, folder)
    if (shipped := shipped_name(path)) is not None:
        raise NanosegError(f"The model '{shipped}' comes with NanoSeg; it cannot be renamed or removed.")
    if path.name == ".." or path.absolute().parent.resolve() != folder.resolve():
        raise NanosegError(f"{path} is not in the library {folder}; only models there can be renamed and removed.")
    if not is_model(path):
        raise NanosegError(f"{path} {NO_MODEL}")
    return path
