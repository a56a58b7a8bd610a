"""A run record holds all that is needed to make the result again."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import Field

from napari_nanoseg.config.base import Config
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.run_record import run_record, sha256, write_run_record


class Example(Config):
    folder: Path = Path("Größe 1")
    sizes: tuple[float, float] = Field((0.5, 2.0))


def test_a_record_is_complete_and_comes_back_from_yaml(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"content")
    started = datetime(2024, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    figures = {"f1": np.float32(0.5), "sizes": np.arange(3), "ap": {"50": 0.25}, "file": Path("x"), "pair": (1, None)}
    record = run_record(Example(), [tmp_path / "a.tif"], seed=7, device="cpu", figures=figures, started=started)
    assert record["config"] == {"folder": "Größe 1", "sizes": [0.5, 2.0]}
    assert record["inputs"] == {str(tmp_path / "a.tif"): hashlib.sha256(b"content").hexdigest()}
    assert record["started"] == "2024-05-01T10:00:00+00:00"
    assert datetime.fromisoformat(record["finished"]) <= datetime.now(UTC)
    assert (record["seed"], record["device"]) == (7, "cpu")
    assert record["versions"]["numpy"] == np.__version__
    assert set(record["versions"]) >= {"python", "napari-nanoseg", "scipy", "scikit-image", "stardist", "torch"}
    assert record["figures"] == {"f1": 0.5, "sizes": [0, 1, 2], "ap": {"50": 0.25}, "file": "x", "pair": [1, None]}
    write_run_record(tmp_path / "run.yaml", record)
    again = yaml.safe_load((tmp_path / "run.yaml").read_text(encoding="utf-8"))
    assert again == record
    assert Example.parse(again["config"]) == Example()


def test_the_hash_of_a_folder_changes_with_names_and_contents_only(tmp_path: Path) -> None:
    for copy in ("one", "two"):
        (tmp_path / copy / "ä b").mkdir(parents=True)
        for name in ("x.tif", "ä b/y.tif"):
            (tmp_path / copy / name).write_text(name)
    assert sha256(tmp_path / "one") == sha256(tmp_path / "two")
    (tmp_path / "two" / ".DS_Store").write_text("left by the system")
    assert sha256(tmp_path / "one") == sha256(tmp_path / "two")
    (tmp_path / "two" / "x.tif").write_text("other")
    assert sha256(tmp_path / "one") != sha256(tmp_path / "two")
    (tmp_path / "one" / "x.tif").rename(tmp_path / "one" / "z.tif")
    (tmp_path / "two" / "x.tif").write_text("x.tif")
    assert sha256(tmp_path / "one") != sha256(tmp_path / "two")


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(NanosegError, match="There is no file or folder"):
        run_record(Example(), [tmp_path / "gone.tif"])


def test_nothing_heavy_is_imported_for_a_record() -> None:
    code = (
        "import sys; from napari_nanoseg.io.run_record import run_record; "
        "from napari_nanoseg.config.base import Config; "
        "run_record(Config(), []); sys.exit(bool({'torch', 'stardist', 'skimage', 'qtpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
