"""A job that is killed right before any renaming or removal is done again by the same job, as if nothing had been."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tifffile
from followed import events_of, leave_at
from scipy.ndimage import label

from napari_nanoseg import (
    Calibration,
    CracksConfig,
    DamageConfig,
    Image,
    Instances,
    NanosegError,
    Sample,
    Volume,
    write_volume,
)
from napari_nanoseg.config.cathode import CathodeJob
from napari_nanoseg.config.convert import ConvertJob
from napari_nanoseg.config.cracks import CracksJob
from napari_nanoseg.config.generate import GenerateJob
from napari_nanoseg.config.jobs import AnyJob
from napari_nanoseg.config.measure import MeasureJob
from napari_nanoseg.config.nanowires import NanowiresJob
from napari_nanoseg.config.segment import SegmentJob
from napari_nanoseg.events import Cancelled, Event, Notice, Progress, listening
from napari_nanoseg.io import leftovers, processes
from napari_nanoseg.io.datasets import write_sample
from napari_nanoseg.io.images import read_image, write_image
from napari_nanoseg.io.processes import WORKING
from napari_nanoseg.jobs.class_map import PART
from napari_nanoseg.jobs.run import run_job

STEPS = ("replace", "rename", "link", "rmdir")
AFTERWARDS = (*STEPS, "unlink", "remove")
"""What the clean-up of a killed process does not come to do."""


HALF = Progress(8, 16, "slices")
"""Of the class map of a scan."""


class Killed(BaseException):
    """Stands for the end of the process."""


@contextmanager
def killed_at(number: int, *, thorough: bool) -> Iterator[None]:
    """End what is done in the block before step `number`; nothing is renamed or removed from there on.

    A thorough killer also comes between the chunks of a Zarr, each of which is written to a file that ends in
    .partial, and while folders are being removed.
    """
    original, done = {name: getattr(os, name) for name in AFTERWARDS}, 0

    def counted(name: str) -> Callable[..., Any]:
        def step(*args: Any, **options: Any) -> Any:
            nonlocal done
            done += name in STEPS and (thorough or not (name == "rmdir" or str(args[0]).endswith(".partial")))
            if done > number:
                raise Killed
            return original[name](*args, **options)

        return step

    with pytest.MonkeyPatch.context() as patch:
        for name in AFTERWARDS:
            patch.setattr(os, name, counted(name))
        yield


@pytest.fixture
def afterwards(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it when a job was killed: its process, which is this one, counts as ended."""

    def ended() -> None:
        leftovers._remove_leftovers.cache_clear()
        monkeypatch.setattr(psutil, "pid_exists", lambda pid: False)
        monkeypatch.setattr(processes, "is_running", lambda pid, started: False)

    return ended


def content(folder: Path) -> dict[str, bytes | None]:
    """All files by name, hidden ones, too; records have times of their own, stacks numbers of their own."""
    found: dict[str, bytes | None] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            whole = tifffile.imread(path).tobytes() if path.suffix == ".tif" else path.read_bytes()
            found[name] = None if name.endswith("run.yaml") else whole
    return found


def killed_everywhere(
    job_in: Callable[[Path], AnyJob],
    tmp_path: Path,
    ended: Callable[[], None],
    *,
    thorough: bool = False,
    again: bool = False,
    **change: bool,
) -> int:
    """Kill the job before every step, and do it again; how many steps it has.

    With `again`, a job is killed that was done before in the same folder. `change` are fields of the job that is done
    after that.
    """
    run_job(job_in(tmp_path / "whole"))
    whole = content(tmp_path / "whole")
    for number in count():
        out = tmp_path / str(number)
        if again:
            shutil.copytree(tmp_path / "whole", out)
        try:
            with killed_at(number, thorough=thorough):
                run_job(job_in(out))
        except Killed:
            ended()
            run_job(job_in(out).model_copy(update=change))
            assert content(out) == whole, number
        else:
            return number
    raise AssertionError


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bright particle with a crack, in two slabs."""
    z, row, column = np.indices((16, 40, 48))
    particle = (row - 20) ** 2 + (column - 24) ** 2 + (z - 8) ** 2 < 18**2
    grey = np.where(particle & (np.abs(row - 20) > 1), 170, 60) + np.random.default_rng(0).normal(0, 6, z.shape)
    path = tmp_path_factory.mktemp("scan") / "scan.tif"
    write_volume(path, Volume(grey.astype(np.uint8), Calibration((80.0, 20.0, 20.0))))
    return path


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("discs")
    row, column = np.indices((60, 60))
    for number in range(2):
        grey = np.where((row % 30 - 15) ** 2 + (column % 30 - 15) ** 2 < 80 - 10 * number, 170, 60)
        write_image(folder / f"{number}.tif", Image(grey.astype(np.uint8), "YX", Calibration((2.0, 2.0))))
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def annotated(discs: list[Path]) -> Path:
    folder = discs[0].parent.parent / "annotated"
    image = read_image(discs[0])
    write_sample(folder, Sample(image, Instances.from_labels(label(image.data > 100)[0]), None, "a"))
    return folder


@pytest.fixture(scope="module")
def classes(scan: Path) -> Path:
    run_job(class_map_of(scan, "tiff")(scan.parent))
    return scan.parent / "classes.tif"


def class_map_of(scan: Path, output: Any) -> Callable[[Path], CracksJob]:
    config = CracksConfig(slab=8, output=output, analyse=False)
    return lambda out: CracksJob(config=config, volume=scan, model=Path("threshold"), out=out)


@pytest.mark.parametrize("output", ["ome-zarr", "tiff"])
def test_the_class_map(scan: Path, tmp_path: Path, afterwards: Callable[[], None], output: Any) -> None:
    assert killed_everywhere(class_map_of(scan, output), tmp_path, afterwards, thorough=True) >= 10


def test_a_form_that_was_made_before_is_replaced(scan: Path, tmp_path: Path, afterwards: Callable[[], None]) -> None:
    """The TIFF is there; the other form was cut off; the TIFF is asked for again."""
    run_job(class_map_of(scan, "tiff")(tmp_path))
    whole = content(tmp_path)
    with pytest.raises(Killed), killed_at(4, thorough=False):
        run_job(class_map_of(scan, "ome-zarr")(tmp_path))
    afterwards()
    result = run_job(class_map_of(scan, "tiff")(tmp_path))
    assert content(tmp_path) == whole
    assert result.figures["voxels"] == 16 * 40 * 48


def test_what_zarr_left_of_a_chunk_is_removed(scan: Path, tmp_path: Path) -> None:
    leave_at(lambda event: event == HALF, lambda: run_job(class_map_of(scan, "ome-zarr")(tmp_path)))
    (tmp_path / PART / "0" / "c" / "1" / "0").mkdir(parents=True)
    (tmp_path / PART / "0" / "c" / "1" / "0" / "0.123abc.partial").write_bytes(b"half")
    run_job(class_map_of(scan, "ome-zarr")(tmp_path))
    assert not list(tmp_path.rglob("*.partial"))


KILLED = """
import os, sys
from napari_nanoseg.config.jobs import read_job
from napari_nanoseg.events import Notice
from napari_nanoseg.jobs.run import run_job
rename = os.rename
def ending(*names):
    rename(*names)
    os._exit(9)
os.rename = ending
run_job(read_job(sys.argv[1]))
"""


def test_a_process_that_ends_after_it_has_renamed_the_class_map(scan: Path, tmp_path: Path) -> None:
    job = class_map_of(scan, "ome-zarr")(tmp_path / "out")
    (tmp_path / "job.yaml").write_text(job.to_yaml(), encoding="utf-8")
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "job.yaml")], check=False).returncode == 9
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"classes.ome.zarr", "journal.json", WORKING}
    said = events_of(lambda: run_job(job))[0]
    assert any(isinstance(event, Notice) and "is there already" in event.message for event in said)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"classes.ome.zarr", "journal.json", "run.yaml"}


def test_a_second_job_in_the_folder_is_refused(scan: Path, tmp_path: Path) -> None:
    job = class_map_of(scan, "ome-zarr")(tmp_path)
    refused = []

    def again(event: Event) -> None:
        if event == HALF:
            before = content(tmp_path)
            with pytest.raises(NanosegError, match=rf"Another job writes into .* \(process {os.getpid()}\); wait"):
                run_job(job)
            assert content(tmp_path) == before
            refused.append(True)
            raise Cancelled

    with pytest.raises(Cancelled), listening(again):
        run_job(job)
    assert refused == [True]
    run_job(job)
    assert not (tmp_path / WORKING).exists()


@pytest.mark.parametrize("output", ["ome-zarr", "tiff"])
@pytest.mark.parametrize("again", [False, True])
def test_the_maps(
    classes: Path,
    scan: Path,
    tmp_path: Path,
    afterwards: Callable[[], None],
    output: Any,
    again: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_nanoseg.jobs.damage_files.damage_figures", lambda damage: {})
    config = CracksConfig(output=output, damage=DamageConfig(window_um=0.2, names=("crack", "particle")))

    def job(out: Path) -> CracksJob:
        return CracksJob(config=config, volume=scan, classes=classes, out=out)

    assert killed_everywhere(job, tmp_path, afterwards, again=again, overwrite=not again) > 9


@pytest.mark.parametrize("kind", ["cutpaste", "nanowires", "cathode"])
def test_generated_images(annotated: Path, tmp_path: Path, afterwards: Callable[[], None], kind: str) -> None:
    def job(out: Path) -> AnyJob:
        common = {"out": out, "count": 1, "workers": 1}
        if kind == "cutpaste":
            return GenerateJob.parse({**common, "source": annotated, "config": {"height": 48, "width": 48}})
        if kind == "nanowires":
            wires = {"height": 48, "width": 48, "length_nm": 300, "width_nm": 50, "wires": (2, 3)}
            return NanowiresJob.parse({**common, "config": wires})
        phantom = {"depth": 8, "height": 64, "width": 64, "pixel_size_nm": 140.0, "crack_width_nm": (140, 420)}
        phantom |= {"slices": 1}
        return CathodeJob.parse({**common, "config": phantom})

    assert killed_everywhere(job, tmp_path, afterwards) > 3


def test_images_that_replace_others(tmp_path: Path, afterwards: Callable[[], None]) -> None:
    def job(out: Path, seed: int) -> NanowiresJob:
        wires = {"height": 48, "width": 48, "length_nm": 300, "width_nm": 50, "wires": (2, 3), "seed": seed}
        return NanowiresJob.parse({"out": out, "count": 1, "workers": 1, "overwrite": seed == 2, "config": wires})

    for seed in (1, 2):
        run_job(job(tmp_path / str(seed), seed))
    before, whole = content(tmp_path / "1"), content(tmp_path / "2")
    for number in count():
        folder = tmp_path / f"killed {number}"
        out = Path(shutil.copytree(tmp_path / "1", folder / "out"))
        try:
            with killed_at(number, thorough=False):
                run_job(job(out, 2))
        except Killed:
            afterwards()
            assert not out.exists() or content(out) == before
            run_job(job(out, 2))
            assert content(folder) == {f"out/{name}": what for name, what in whole.items()}, number
        else:
            break
    assert number > 5


@pytest.mark.parametrize("change", ["overwrite", "resume"])
def test_segmented_images(discs: list[Path], tmp_path: Path, afterwards: Callable[[], None], change: str) -> None:
    def job(out: Path) -> SegmentJob:
        return SegmentJob(model=Path("watershed"), images=tuple(discs), out=out, coco=out / "all.json")

    assert killed_everywhere(job, tmp_path, afterwards, **{change: True}) > 5


def test_images_that_are_segmented_anew(discs: list[Path], tmp_path: Path, afterwards: Callable[[], None]) -> None:
    def job(out: Path) -> SegmentJob:
        return SegmentJob(model=Path("watershed"), images=tuple(discs), out=out, coco=out / "all.json", overwrite=True)

    assert killed_everywhere(job, tmp_path, afterwards, again=True) > 5


def test_a_table(discs: list[Path], tmp_path: Path, afterwards: Callable[[], None]) -> None:
    labels = tmp_path / "labels"
    run_job(SegmentJob(model=Path("watershed"), images=tuple(discs), out=labels))

    def job(out: Path) -> MeasureJob:
        return MeasureJob(labels=(labels / "0.tif",), images=(discs[0],), out=out / "table.csv")

    assert killed_everywhere(job, tmp_path, afterwards, overwrite=True) > 1


def test_a_converted_model(tmp_path: Path, afterwards: Callable[[], None]) -> None:
    def job(out: Path) -> ConvertJob:
        return ConvertJob(model=Path("starter"), to="stardist", out=out)

    assert killed_everywhere(job, tmp_path, afterwards) > 1
