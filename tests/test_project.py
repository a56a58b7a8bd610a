"""The package as it is installed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import get_args

import pytest

from napari_nanoseg.config.jobs import AnyJob

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "qtpy", "PyQt6", "PySide6", "napari", "pandas", "skimage", "stardist", "matplotlib", "numba")
NEEDED = (
    "__init__.pyi",
    "napari.yaml",
    "sample_data/particles.tif",
    "sample_data/annotated/known/particles.png",
    "py.typed",
)


@pytest.mark.parametrize("module", ["napari_nanoseg", "napari_nanoseg.cli"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    question = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_every_public_name_can_be_imported() -> None:
    import napari_nanoseg

    for name in napari_nanoseg.__all__:
        assert getattr(napari_nanoseg, name) is not None
    assert {kind.__name__ for kind in get_args(AnyJob)} <= {*napari_nanoseg.__all__}


def test_type_checkers_find_every_public_name() -> None:
    import napari_nanoseg

    stub = ast.parse((Path(napari_nanoseg.__file__).parent / "__init__.pyi").read_text(encoding="utf-8"))
    declared = {
        alias.asname: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert declared == {name: f"napari_nanoseg.{module}" for name, module in napari_nanoseg._PUBLIC.items()}


@pytest.mark.parametrize(
    "page", ["README.md", "sample_data/README.md", *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))]
)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in target]
    assert [target for target in targets if not (ROOT / page).parent.joinpath(target).exists()] == []


def test_the_manifest_at_the_top_is_the_packaged_one() -> None:
    assert (ROOT / "napari.yaml").resolve() == (ROOT / "src" / "napari_nanoseg" / "napari.yaml").resolve()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Wheel (made from the sdist) and sdist."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    answer = subprocess.run(build, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def test_wheel_and_sdist_have_all_they_need(built: tuple[Path, Path]) -> None:
    wheel, sdist = built
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
        entry_points = archive.read(next(name for name in in_wheel if name.endswith("entry_points.txt"))).decode()
    with tarfile.open(sdist) as archive:
        in_sdist = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {f"napari_nanoseg/{name}" for name in NEEDED} <= in_wheel
    assert {f"src/napari_nanoseg/{name}" for name in NEEDED} <= in_sdist
    assert {"tests/test_project.py", "Makefile", "LICENSE", "README.md", "pyproject.toml"} <= in_sdist
    assert "nanoseg = napari_nanoseg.cli:main" in entry_points
    assert "napari-nanoseg = napari_nanoseg:napari.yaml" in entry_points


def test_the_wheel_works_outside_the_checkout(built: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, _ = built
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    question = (
        f"import sys; sys.path.insert(0, {str(site)!r}); import napari_nanoseg as ns; "
        "from napari_nanoseg.io.sample_data import sample_data; "
        "print(ns.__file__, ns.read_image(sample_data() / 'particles.tif').data.shape, sep='|')"
    )
    answer = subprocess.run(
        [sys.executable, "-P", "-c", question], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    where, shape = answer.stdout.strip().split("|")
    assert Path(where).is_relative_to(site)
    assert shape == "(768, 1024)"
