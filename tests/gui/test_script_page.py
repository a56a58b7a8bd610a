"""The page about scripts shows what works."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

napari = pytest.importorskip("napari")

import napari_nanoseg as ns  # noqa: E402
from napari_nanoseg.io.sample_data import sample_data  # noqa: E402

PAGE = Path(__file__).parents[2] / "docs" / "napari_script.md"


@pytest.mark.gui
def test_the_code_of_the_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], qtbot: Any
) -> None:
    session, dock, results = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(session, names)
    assert capsys.readouterr().out == "81 particles found\n80 particles measured\n"
    assert len((tmp_path / "particles.csv").read_text(encoding="utf-8").splitlines()) == 81
    assert len(ns.read_labels(tmp_path / "particles.tif")) == 80
    assert ns.read_image(tmp_path / "session.png").data.std() > 10

    shutil.copy(sample_data() / "particles.tif", tmp_path / "a.tif")
    shutil.copy(sample_data() / "particles_truth.tif", tmp_path / "truth.tif")
    exec(results, names)
    viewer = names["viewer"]
    try:
        assert {layer.scale[0] for layer in viewer.layers} == {2.5}
        assert sum(layer.name.startswith(("found: ", "not there: ", "missed: ")) for layer in viewer.layers) == 3
        exec(dock, names)
    finally:
        viewer.close()


def test_the_table_of_docks_is_true(qtbot: Any) -> None:
    rows = re.findall(r"^\| [^|]+ \| `ns\.(\w+)` \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.M)
    assert {name for name, _ in rows} == {name for name in ns.__all__ if name.endswith("Dock")}
    for name, told in rows:
        dock = getattr(ns, name)(napari.components.ViewerModel())
        qtbot.addWidget(dock)
        own = set(dock._own_settings())
        if name == "GenerateDock":
            dock.set(generator="Nanowires")
            own |= set(dock._own_settings())
        assert set(re.findall(r"`(\w+)`", told)) == own, name
