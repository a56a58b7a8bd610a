"""Doctor finds what hinders and never fails itself."""

from __future__ import annotations

import builtins
import subprocess
import sys
from collections import namedtuple
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from napari_nanoseg.jobs import doctor

GPU_LINE = "NVIDIA H200, 143771 MiB, 550.54.15\n"


def findings() -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.examine()}


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make modules look as if they were not installed."""
    true_import = builtins.__import__

    def hide(*hidden: str) -> None:
        def blocked(name: str, *args: Any, **kwargs: Any) -> Any:
            if name.split(".")[0] in hidden:
                raise ImportError(f"No module named {name!r}")
            return true_import(name, *args, **kwargs)

        for name in [name for name in sys.modules if name.split(".")[0] in hidden]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.delitem(sys.modules, "napari_nanoseg.engines.device", raising=False)
        monkeypatch.setattr(builtins, "__import__", blocked)

    return hide


def versions(monkeypatch: pytest.MonkeyPatch, **known: str) -> None:
    def version(name: str) -> str:
        if name not in known:
            raise PackageNotFoundError(name)
        return known[name]

    monkeypatch.setattr(doctor, "version", version)


def nvidia_smi(monkeypatch: pytest.MonkeyPatch, answer: str | None) -> None:
    def run(*args: Any, **kwargs: Any) -> Any:
        if answer is None:
            raise FileNotFoundError("nvidia-smi")
        return SimpleNamespace(stdout=answer)

    monkeypatch.setattr(doctor.subprocess, "run", run)


def test_everything_is_looked_at_and_troubles_come_with_advice() -> None:
    found = findings()
    assert {"Python", "torch", "StarDist", "napari", "Qt", "OpenCV", "Processor", "Memory", "Model folder"} <= set(
        found
    )
    assert all(finding.advice for finding in found.values() if finding.state != "ok")
    assert "cpu" in found["torch"].found.lower() or "gpu" in found["torch"].found.lower()


def test_missing_torch_and_stardist_are_problems(without: Any) -> None:
    without("torch", "stardist")
    found = findings()
    assert found["torch"].state == found["StarDist"].state == "problem"
    assert "pip install" in found["torch"].advice


def test_a_gpu_that_torch_does_not_use_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia_smi(monkeypatch, GPU_LINE)
    from napari_nanoseg.engines import device

    monkeypatch.setattr(
        device, "choose_device", lambda wish: (SimpleNamespace(type="cpu"), "Using the CPU: no driver.")
    )
    gpu = findings()["GPU"]
    assert gpu.state == "problem"
    assert "H200" in gpu.found
    assert "550.54.15" in gpu.found
    monkeypatch.setattr(device, "choose_device", lambda wish: (SimpleNamespace(type="cuda"), "Using the GPU."))
    assert findings()["GPU"].state == "ok"


@pytest.mark.parametrize("answer", [None, "", "Failed to initialize NVML\n"])
def test_a_machine_without_gpu_is_fine(monkeypatch: pytest.MonkeyPatch, answer: str | None) -> None:
    nvidia_smi(monkeypatch, answer)
    monkeypatch.setattr(sys, "platform", "linux")
    assert findings()["GPU"].state == "ok"


def test_a_hanging_driver_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*args: Any, **kwargs: Any) -> Any:
        raise subprocess.TimeoutExpired("nvidia-smi", kwargs["timeout"])

    monkeypatch.setattr(doctor.subprocess, "run", run)
    assert "GPU" not in {name for name, finding in findings().items() if finding.state == "problem"}


def test_no_napari_is_a_warning_and_needs_no_qt(monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch)
    found = findings()
    assert (found["napari"].state, found["Qt"].state) == ("warning", "ok")


def test_napari_without_qt_or_too_old_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, napari="0.6.4")
    found = findings()
    assert (found["napari"].state, found["Qt"].state) == ("problem", "problem")
    versions(monkeypatch, napari="0.10.0rc1", PyQt6="6.9")
    found = findings()
    assert (found["napari"].state, found["Qt"].state) == ("ok", "ok")


def test_two_qt_bindings_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    versions(monkeypatch, napari="0.9.2", PyQt6="6.9", PySide6="6.9")
    qt = findings()["Qt"]
    assert qt.state == "warning"
    assert qt.found == "PyQt6 6.9 and PySide6 6.9"


def test_opencv_with_its_own_qt_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "packages_distributions", lambda: {"cv2": ["opencv-contrib-python"]})
    opencv = findings()["OpenCV"]
    assert opencv.state != "ok"
    assert "pip uninstall opencv-contrib-python" in opencv.advice
    monkeypatch.setattr(doctor, "packages_distributions", lambda: {"cv2": ["opencv-python-headless"]})
    assert findings()["OpenCV"].state == "ok"


def test_little_memory_little_disk_and_few_threads_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = namedtuple("memory", "available total")(2**30, 2**33)
    disk = namedtuple("disk", "total used free")(2**40, 2**40, 2**20)
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: disk)
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = findings()
    assert found["Memory"].state == found["Model folder"].state == found["Processor"].state == "warning"
    assert "1.0 GiB of 8.0 GiB" in found["Memory"].found


def test_a_model_folder_that_cannot_be_written_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(**folder: Path) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor, "model_folder", lambda: tmp_path / "new" / "models")
    assert findings()["Model folder"].state == "ok"
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(doctor, "TemporaryFile", refuse)
    found = findings()["Model folder"]
    assert found.state == "problem"
    assert "Permission denied" in found.found


def test_no_display_is_a_warning_on_linux_only(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert findings()["Display"].state == "warning"
    monkeypatch.setenv("DISPLAY", ":1")
    assert findings()["Display"].state == "ok"
    monkeypatch.setattr(sys, "platform", "win32")
    assert "Display" not in findings()
