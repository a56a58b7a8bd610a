"""`nanoseg models`: the library from a shell, in lines for people and in JSON for programs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from napari_nanoseg.cli import app


@pytest.fixture
def library(
    tmp_path: Path, write_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, without_starter: None
) -> Path:
    """A library with a whole and a damaged model, seen from another folder."""
    folder = tmp_path / "Modelle"
    write_model(folder / "gold", training_diameter=31.25)
    write_model(folder / "silver", training_pixel_size_nm=1.5)
    (folder / "silver" / "weights.safetensors").write_bytes(b"damaged")
    monkeypatch.chdir(tmp_path)
    return folder


def models(library: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["models", *words, "--folder", str(library)])


def as_json(library: Path, *words: str) -> Any:
    result = models(library, *words, "--json")
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    return json.loads(line)


def test_models_are_listed(library: Path, write_model: Callable[..., Path]) -> None:
    (write_model(library / "zinc") / "weights.safetensors").unlink()
    lines = models(library, "list").stdout.splitlines()
    assert lines[:2] == ["gold: StarDist, trained on particles of 31.2 px", "silver: StarDist"]
    assert "zinc: " in lines[2]
    assert "has no weights" in lines[2]
    listed = as_json(library, "list")
    assert listed["folder"] == str(library)
    assert [(one["name"], one["path"]) for one in listed["models"]] == [
        (name, str(library / name)) for name in ("gold", "silver", "zinc")
    ]
    assert listed["models"][0]["problem"] is None
    assert "has no weights" in listed["models"][2]["problem"]


def test_models_without_a_network_are_listed() -> None:
    lines = CliRunner().invoke(app, ["models", "list"]).stdout.splitlines()
    assert "watershed: Otsu's threshold and watershed, no training" in lines
    assert "threshold: Otsu's threshold, no training" in lines
    shown = CliRunner().invoke(app, ["models", "show", "threshold"]).stdout.splitlines()
    assert "Polarity: auto" in shown
    assert "Files: ok" in shown


def test_an_empty_library_is_no_error(tmp_path: Path, library: Path) -> None:
    result = models(tmp_path / "nowhere", "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no model" in result.stderr
    assert as_json(tmp_path / "nowhere", "list") == {"folder": str(tmp_path / "nowhere"), "models": []}


def test_without_a_folder_the_library_is_the_users(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: library.parent / "data")
    library.parent.joinpath("data").mkdir()
    library.rename(library.parent / "data" / "models")
    result = CliRunner().invoke(app, ["models", "list"])
    assert "gold: StarDist" in result.stdout


def test_a_card_is_shown(library: Path) -> None:
    lines = models(library, "show", "gold").stdout.splitlines()
    assert "Training diameter: 31.25 px" in lines
    assert "Files: ok" in lines
    shown = as_json(library, "show", "gold")
    assert shown["card"]["training_diameter"] == 31.25
    assert shown["thresholds"] == {"prob": 0.5, "nms": 0.4}
    assert shown["problem"] is None


def test_damage_is_shown(library: Path) -> None:
    text = models(library, "show", "silver").stdout
    assert "Training pixel size: 1.5 nm" in text
    assert "is damaged: its hash" in text
    assert "is damaged: its hash" in as_json(library, "show", "silver")["problem"]


def test_a_model_goes_out_and_in_again(library: Path, tmp_path: Path) -> None:
    target = tmp_path / "Größe.zip"
    assert models(library, "export", "gold", str(target)).stdout == f"{target}\n"
    assert as_json(library, "import", str(target)) == {"name": "Größe", "path": str(library / "Größe")}
    assert as_json(library, "import", str(target), "--name", "again")["name"] == "again"
    for name in ("Größe", "again"):
        for file in ("model.yaml", "weights.safetensors"):
            assert (library / name / file).read_bytes() == (library / "gold" / file).read_bytes()


def test_a_model_is_renamed_and_removed(library: Path) -> None:
    assert as_json(library, "rename", "gold", "Au")["path"] == str(library / "Au")
    assert models(library, "remove", "Au").exit_code == 0
    assert as_json(library, "remove", "silver") == {"name": "silver", "path": str(library / "silver")}
    assert list(library.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "copper"], "choose one of these: gold, silver"),
        (["export", "silver", "out.zip"], "is damaged"),
        (["export", "gold", "out.tar"], "does not end in .zip"),
        (["import", "gone.zip"], "no model at gone.zip"),
        (["import", "Modelle/gold"], "already a model 'gold'"),
        (["import", "Modelle/gold", "--name", "a/b"], "cannot be a folder"),
        (["rename", "gold", "silver"], "already a model 'silver'"),
        (["remove", "copper"], "choose one of these: gold, silver"),
        (["remove", "."], "not in the library"),
    ],
)
@pytest.mark.parametrize("json_too", [False, True])
def test_what_cannot_be_done_is_one_sentence_with_status_2(
    library: Path, words: list[str], said: str, json_too: bool
) -> None:
    result = models(library, *words, *(["--json"] if json_too else []))
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert said in line
    assert sorted(path.name for path in library.iterdir()) == ["gold", "silver"]


def test_no_command_loads_torch_or_qt(library: Path, tmp_path: Path) -> None:
    commands = [
        ["list"], ["show", "gold"], ["export", "gold", "x.zip"], ["import", "x.zip"], ["rename", "x", "y"],
        ["remove", "y"],
    ]  # fmt: skip
    code = (
        "import sys, json\n"
        "from napari_nanoseg.cli import app\n"
        "for words in json.loads(sys.argv[1]):\n"
        "    app(words, standalone_mode=False)\n"
        "    assert not {'torch', 'qtpy', 'napari'} & set(sys.modules), words\n"
        "print('all done')"
    )
    words = json.dumps([["models", *command, "--folder", str(library)] for command in commands])
    done = subprocess.run([sys.executable, "-c", code, words], check=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "all done"
