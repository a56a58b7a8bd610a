"""Recordings of results, by which a change of the code is judged: they see every bit, and neither times nor places."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest

TOOLS = Path(__file__).parents[1] / "tools"


def module_of(name: str) -> Any:
    spec = spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def digester(tmp_path: Path) -> Any:
    return module_of("result_digests").Digester(tmp_path, {Path("/code"): "PACKAGE"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros(3, np.int32), np.zeros(3, np.int64)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.array([0.0]), np.array([-0.0])),
        ([0.1 + 0.2], [0.3]),
        ({"a": 1}, {"a": 1.0}),
        ({"f1": float("nan")}, {"f1": None}),
        ("a" * 300, "a" * 299 + "b"),
    ],
)
def test_the_smallest_difference_is_seen(digester: Any, one: Any, other: Any) -> None:
    assert digester.value(one) == digester.value(one)
    assert digester.value(one) != digester.value(other)


def test_times_and_places_are_not_seen(digester: Any, tmp_path: Path) -> None:
    def record(started: str, folder: Path, digest: str) -> Any:
        inputs = {str(folder / "model"): digest * 64, "/code/starter": "c" * 64}
        return {"started": started, "inputs": inputs, "note": f"Written to {folder} in 3.{len(digest)} s."}

    other = module_of("result_digests").Digester(tmp_path / "deeper", {Path("/code"): "PACKAGE"})
    first = digester.value(record("today", tmp_path, "a"))
    assert first == other.value(record("tomorrow", tmp_path / "deeper", "b"))
    assert "c" * 64 in json.dumps(digester.value({"/code/starter": "c" * 64}))


@pytest.mark.skipif(os.name == "nt", reason="the recording forks processes")
def test_a_change_of_a_recorded_result_is_told(tmp_path: Path) -> None:
    def tool(*words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, TOOLS / "record_results.py", *words], capture_output=True, text=True)

    words = tmp_path / "a", "--only", "density_rows", "check_classes", "--data", tmp_path / "none"
    done = tool(*words)
    assert done.returncode == 0, done.stderr
    assert "failed" not in done.stdout
    a, b = tmp_path / "a" / "manifest.json", tmp_path / "b.json"
    same = tool("--compare", a, a)
    assert (same.returncode, same.stdout.splitlines()[-1][:7]) == (0, "3 equal"), same.stdout
    manifest = json.loads(a.read_text(encoding="utf-8"))
    manifest["cases"]["density_rows"]["results"]["file transmission.tif"] = "another"
    del manifest["cases"]["check_classes"]
    b.write_text(json.dumps(manifest), encoding="utf-8")
    changed = tool("--compare", a, b)
    assert changed.returncode == 1
    assert "1 equal, 1 different, 1 missing" in changed.stdout
    assert "file transmission.tif" in changed.stdout
    assert tool(*words).returncode == 1, "a folder with results is not written into again"
