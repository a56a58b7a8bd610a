"""What on this machine helps or hinders, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Literal

import platformdirs
import psutil

GIB = 2**30
LEAST_MEMORY_GIB = 4
"""The demo's training peaks at about 2 GiB; napari and the desktop need the rest."""
LEAST_DISK_GIB = 2
QT_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")
NAPARI_FLOOR = (0, 9)
INSTALL = 'pip install "napari-nanoseg[all]"'


@dataclass(frozen=True)
class Finding:
    """One thing looked at: its name, how it is, what was found, and what to do about it (or empty)."""

    name: str
    state: Literal["ok", "warning", "problem"]
    found: str
    advice: str = ""


def examine() -> list[Finding]:
    """Look at Python, torch and GPU, StarDist, napari and Qt, OpenCV, memory, disk, processor and display.

    Returns
    -------
    list of Finding
        Whatever is missing or broken is a finding, never an exception.
    """
    looks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _python, _torch, _gpu, _stardist, _napari, _qt, _opencv, _display, _processor, _memory, _model_folder,
    )  # fmt: skip
    return [finding for look in looks for finding in look()]


def model_folder() -> Path:
    """Folder where models are kept that belong to no project."""
    return platformdirs.user_data_path("napari-nanoseg") / "models"


def _python() -> Iterator[Finding]:
    found = f"Python {platform.python_version()} in {sys.prefix}"
    if sys.prefix == sys.base_prefix and "CONDA_PREFIX" not in os.environ:
        yield Finding(
            "Python", "warning", f"{found}, not a virtual environment",
            "Other programs' packages can break it; make one with 'python -m venv' and install there.",
        )  # fmt: skip
    else:
        yield Finding("Python", "ok", found)


def _torch() -> Iterator[Finding]:
    try:
        from napari_nanoseg.engines.device import choose_device

        reason = choose_device("auto")[1]
    except (ImportError, OSError) as error:
        yield Finding("torch", "problem", f"cannot be loaded: {error}", f"Install it again: {INSTALL}.")
        return
    yield Finding("torch", "ok", f"torch {_version('torch')}. {reason}")


def _gpu() -> Iterator[Finding]:
    names = _nvidia()
    if not names:
        if sys.platform != "darwin":
            yield Finding("GPU", "ok", "no NVIDIA GPU with a driver", "If this machine has one, install its driver.")
        return
    try:
        from napari_nanoseg.engines.device import choose_device

        used = choose_device("auto")[0].type == "cuda"
    except (ImportError, OSError):
        used = False
    found = "; ".join(names)
    if used:
        yield Finding("GPU", "ok", found)
    else:
        yield Finding(
            "GPU", "problem", f"{found}, but torch does not use it",
            "Update the GPU's driver, or install the CUDA build of torch that PyTorch's 'Get started' page gives.",
        )  # fmt: skip


def _nvidia() -> list[str]:
    """Name, memory and driver of each NVIDIA GPU; none when its tool is missing or fails."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    fields = (line.split(", ") for line in answer.splitlines() if line.count(", ") == 2)
    return [f"{name} ({memory}, driver {driver})" for name, memory, driver in fields]


def _stardist() -> Iterator[Finding]:
    try:
        from stardist.lib import stardist2d  # noqa: F401
    except (ImportError, OSError) as error:
        yield Finding("StarDist", "problem", f"its compiled part cannot be loaded: {error}", f"Run {INSTALL}.")
    else:
        yield Finding("StarDist", "ok", f"stardist {_version('stardist')}")


def _napari() -> Iterator[Finding]:
    found = _version("napari")
    if found is None:
        yield Finding("napari", "warning", "not installed", f"For work with the mouse: {INSTALL}.")
    elif tuple(int(part) for part in found.split(".")[:2] if part.isdigit()) < NAPARI_FLOOR:
        floor = ".".join(map(str, NAPARI_FLOOR))
        yield Finding(
            "napari", "problem", f"napari {found}", f"It is too old: pip install --upgrade 'napari>={floor}'."
        )
    else:
        yield Finding("napari", "ok", f"napari {found}")


def _qt() -> Iterator[Finding]:
    found = [f"{name} {number}" for name in QT_BINDINGS if (number := _version(name)) is not None]
    if not found:
        state: Literal["ok", "problem"] = "ok" if _version("napari") is None else "problem"
        yield Finding("Qt", state, "no Qt binding", f"napari cannot open a window without one: {INSTALL}.")
    elif len(found) > 1:
        yield Finding(
            "Qt", "warning", " and ".join(found),
            "Two bindings can crash napari; uninstall one, or choose one with the variable QT_API.",
        )  # fmt: skip
    else:
        yield Finding("Qt", "ok", found[0])


def _opencv() -> Iterator[Finding]:
    owners = [name for name in packages_distributions().get("cv2", []) if not name.endswith("-headless")]
    if owners:
        yield Finding(
            "OpenCV", "problem" if sys.platform.startswith("linux") else "warning", f"{owners[0]} brings its own Qt",
            f"It clashes with napari's: pip uninstall {owners[0]}, then pip install {owners[0]}-headless.",
        )  # fmt: skip
    else:
        yield Finding("OpenCV", "ok", "no OpenCV with a Qt of its own")


def _display() -> Iterator[Finding]:
    if not sys.platform.startswith("linux"):
        return
    shown = next((name for name in ("WAYLAND_DISPLAY", "DISPLAY") if os.environ.get(name)), None)
    if shown is None:
        yield Finding(
            "Display", "warning", "none (DISPLAY is not set)",
            "napari needs one: log in with a desktop, use 'ssh -X', or take pictures under xvfb-run.",
        )  # fmt: skip
    else:
        yield Finding("Display", "ok", f"{shown}={os.environ[shown]}")


def _processor() -> Iterator[Finding]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else psutil.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS")
    if threads is not None and threads.isdigit() and usable is not None and int(threads) < usable:
        yield Finding(
            "Processor", "warning", f"{usable} cores, but OMP_NUM_THREADS={threads}",
            "Training uses fewer cores than it could; unset OMP_NUM_THREADS if nothing else needs it.",
        )  # fmt: skip
    else:
        yield Finding("Processor", "ok", f"{usable} cores")


def _memory() -> Iterator[Finding]:
    memory = psutil.virtual_memory()
    found = f"{memory.available / GIB:.1f} GiB of {memory.total / GIB:.1f} GiB free"
    if memory.available < LEAST_MEMORY_GIB * GIB:
        advice = f"Close other programs: training wants {LEAST_MEMORY_GIB} GiB."
        yield Finding("Memory", "warning", found, advice)
    else:
        yield Finding("Memory", "ok", found)


def _model_folder() -> Iterator[Finding]:
    folder = model_folder()
    existing = next(path for path in (folder, *folder.parents) if path.is_dir())
    try:
        with TemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free
    except OSError as error:
        yield Finding(
            "Model folder", "problem", f"{folder} cannot be written ({error.strerror})",
            f"Give yourself write permission for {existing}, or keep models elsewhere with --out.",
        )  # fmt: skip
        return
    found = f"{folder}, {free / GIB:.1f} GiB free"
    if free < LEAST_DISK_GIB * GIB:
        yield Finding("Model folder", "warning", found, f"Free some space: a project wants {LEAST_DISK_GIB} GiB.")
    else:
        yield Finding("Model folder", "ok", found)


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
