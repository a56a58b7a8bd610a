"""The models used last, kept in a small file of the user's between two sessions."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from napari_nanoseg.documents import CONFIGS, read_json
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.atomic import write_text
from napari_nanoseg.io.places import state_folder

MOST_RECENT = 8
FILE = "recent_models.json"


def recent_models() -> list[Path]:
    """Models used before, the last one first; they may be gone by now."""
    with suppress(NanosegError, OSError):
        names = read_json(state_folder() / FILE, list, CONFIGS)
        return [Path(name) for name in names if isinstance(name, str)][:MOST_RECENT]
    return []


def remember_model(path: Path) -> None:
    """Put a model first in the list; where the list cannot be written, it is forgotten after this session."""
    _write([path.absolute(), *recent_models()])


def follow_renamed(before: Path, after: Path) -> None:
    """Give a model that was renamed its new name in the list, where it is one of those used last."""
    before, after = before.absolute(), after.absolute()
    models = recent_models()
    if before in models:
        _write([after if path == before else path for path in models])


def _write(models: list[Path]) -> None:
    names = [str(path) for path in dict.fromkeys(models)]
    with suppress(NanosegError):
        write_text(state_folder() / FILE, json.dumps(names[:MOST_RECENT], ensure_ascii=False, indent=1))
