"""The page about Python shows what works."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from napari_nanoseg.io.sample_data import sample_data

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def test_the_code_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    monkeypatch.chdir(tmp_path)
    for folder, name in (("images", "particles.tif"), ("truth", "particles_truth.tif")):
        (tmp_path / folder).mkdir()
        shutil.copy(sample_data() / name, tmp_path / folder / "a.tif")
    names: dict[str, Any] = {}
    for block in blocks:
        if "ns.train(" not in block:  # it takes minutes, and the starter seconds
            exec(block.replace('"starter"', '"watershed"'), names)
    assert "did you mean 'diameter'" in capsys.readouterr().out
    assert repr(names["image"]) in PAGE.read_text(encoding="utf-8")
    written = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert written == {"a_labels.tif", "a_copy.tif", "particles.csv", "sizes.png"}
