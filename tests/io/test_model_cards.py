"""Models are listed without torch, damaged ones with what is wrong with them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.model_cards import describe_model, list_models, read_card


def write_model(folder: Path, card: ModelCard | str | None = None, weights: bytes | None = b"weights") -> Path:
    folder.mkdir(parents=True)
    card = card or ModelCard(network=StarDistConfig(), weights_sha256=("0" * 64,))
    (folder / "model.yaml").write_text(card if isinstance(card, str) else card.to_yaml(), encoding="utf-8")
    if weights is not None:
        (folder / "weights.safetensors").write_bytes(weights)
    return folder


def write_keras(folder: Path, config: str = '{"n_dim": 2}') -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config)
    (folder / "weights_best.h5").write_bytes(b"")
    return folder


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"inner/{file.name}")
    return target


def test_every_kind_of_model_is_listed_and_nothing_else(tmp_path: Path) -> None:
    write_model(tmp_path / "Wüste")
    zipped(write_keras(tmp_path / "keras"), tmp_path / "packed.zip")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "empty folder").mkdir()
    entries = list_models(tmp_path)
    assert [(entry.name, entry.problem) for entry in entries] == [("keras", None), ("packed", None), ("Wüste", None)]
    assert entries[2].card is not None
    assert entries[0].card is None
    assert list_models(tmp_path / "nowhere") == []
    assert list_models(tmp_path / "notes.txt") == []


def test_a_damaged_model_is_listed_with_what_is_wrong(tmp_path: Path) -> None:
    whole = (write_model(tmp_path / "good") / "model.yaml").read_text()
    write_model(tmp_path / "binary", "\0")
    write_model(tmp_path / "cut", whole[: whole.index("weights_sha256")])
    write_model(tmp_path / "list", "- 1")
    write_model(tmp_path / "no weights", weights=None)
    write_model(tmp_path / "unknown", whole + "surprise: 1\n")
    write_keras(tmp_path / "keras 3-D", '{"n_dim": 3}')
    write_keras(tmp_path / "keras broken", "{")
    zipped(tmp_path / "good", tmp_path / "packed.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("notes.txt", "")
    problems = {entry.name: entry.problem for entry in list_models(tmp_path)}
    assert problems.pop("good") is None
    said = {
        "binary": "not a YAML file", "cut": "cut off", "list": "model.yaml", "no weights": "weights.safetensors",
        "unknown": "surprise", "keras 3-D": "3-D", "keras broken": "config.json", "other": "config.json",
        "packed": "nanoseg models import",
    }  # fmt: skip
    assert problems.keys() == said.keys()
    for name, words in said.items():
        problem = problems[name] or ""
        assert words in problem, problem
        assert str(tmp_path / name) in problem
        assert problem.endswith(".")


def test_a_model_that_vanished_is_described_as_such(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    shutil.rmtree(folder)
    entry = describe_model(folder)
    assert entry.problem == f"There is no model at {folder} any more; choose another."
    (tmp_path / "file.txt").write_text("")
    assert "not a model that can be used" in (describe_model(tmp_path / "file.txt").problem or "")


def test_a_card_is_the_one_that_was_written(tmp_path: Path) -> None:
    card = ModelCard(network=StarDistConfig(), training_diameter=24.5, weights_sha256=("1" * 64,))
    assert read_card(write_model(tmp_path / "model", card)) == card


def test_models_are_listed_without_torch(tmp_path: Path) -> None:
    write_model(tmp_path / "models" / "a")
    script = (
        "import sys, pathlib, json; from napari_nanoseg.io.model_cards import list_models;"
        "names = [entry.name for entry in list_models(pathlib.Path(sys.argv[1]))];"
        "print(json.dumps([names, 'torch' in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "models"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [["a"], False]


@pytest.mark.parametrize(
    ("trained", "pixel", "size", "expected"),
    [(None, None, 2.0, None), (20.0, None, 2.0, 20.0), (20.0, 5.0, None, 20.0), (20.0, 5.0, 2.0, 50.0)],
)
def test_the_expected_diameter_follows_the_pixel_sizes(
    trained: float | None, pixel: float | None, size: float | None, expected: float | None
) -> None:
    card = ModelCard(network=StarDistConfig(), training_diameter=trained, training_pixel_size_nm=pixel)
    assert card.diameter_in(Calibration() if size is None else Calibration.of(size)) == expected


def test_pixels_that_are_not_square_have_no_diameter() -> None:
    card = ModelCard(network=StarDistConfig(), training_diameter=20.0, training_pixel_size_nm=5.0)
    with pytest.raises(NanosegError, match="not square"):
        card.diameter_in(Calibration((2.0, 3.0)))
