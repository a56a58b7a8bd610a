"""What tests with widgets and windows need."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

# robot.py and tour.py become importable: pytest's importlib mode leaves sys.path alone
sys.path.append(str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _screen(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("gui") and sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        pytest.skip("there is no screen; run under xvfb-run (make test does)")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folders (models, recovered annotations, settings) of this test's own."""
    folder = tmp_path / "home"
    for kind in ("DATA", "STATE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(folder / kind.lower()))
    return folder


@pytest.fixture(autouse=True, scope="session")
def _settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """napari's and our preferences as a new user has them; they are read once per process."""
    pytest.importorskip("napari")
    from napari.settings import get_plugin_settings, get_settings

    folder = tmp_path_factory.mktemp("napari settings")
    get_settings(folder / "settings.yaml")
    get_plugin_settings(path_dir=folder)
