"""The second stage of the cracks job: maps, tables and pictures of a class map, made or given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
import zarr
from followed import events_of, leave_at
from typer.testing import CliRunner

from napari_nanoseg import (
    Calibration,
    CracksConfig,
    DamageConfig,
    NanosegError,
    Volume,
    damage,
    open_volume,
    write_volume,
)
from napari_nanoseg.cli import app
from napari_nanoseg.config.cracks import CracksJob
from napari_nanoseg.events import Notice, Progress, Stage
from napari_nanoseg.jobs.run import run_job

NM = Calibration((80.0, 40.0, 20.0))
SHAPE = 11, 60, 90
PICTURES = ("profile", "distribution", "correlation", "slope", "cracks")


def scan():
    """Grey values of bright discs with dark cracks, and the class map: crack 1, particle 2."""
    rng = np.random.default_rng(0)
    _, row, column = np.indices(SHAPE)
    body = ((row - 30) ** 2 + (column % 45 - 22) ** 2 < 18**2) | ((row < 8) & (column > 60))
    crack = body & (np.abs(row - 30 - np.round(3 * np.sin(column / 6))) < 2) & (np.indices(SHAPE)[0] > 2)
    grey = np.where(body & ~crack, 170, 60) + rng.normal(0, 6, SHAPE)
    return grey.astype(np.uint8), np.where(crack, 1, 2 * body).astype(np.uint8)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan")
    grey, classes = scan()
    write_volume(folder / "scan.tif", Volume(grey, NM))
    write_volume(folder / "classes.tif", Volume(classes, NM))
    return folder


CONFIG = CracksConfig(slab=8, damage=DamageConfig(names=("crack", "particle"), window_um=0.4))


def plain():
    """Without names of classes."""
    return CONFIG.model_copy(update={"damage": CONFIG.damage.model_copy(update={"names": ("crack",)})})


def job_of(files, out, **values):
    given = {"config": CONFIG, "volume": files / "scan.tif", "out": out} | values
    return CracksJob(**given)


@pytest.mark.parametrize("output", ["ome-zarr", "tiff"])
def test_a_class_map_that_is_there(files, tmp_path, output):
    config = CONFIG.model_copy(update={"output": output})
    result = run_job(job_of(files, tmp_path, config=config, classes=files / "classes.tif"))
    maps = {}
    expected = damage(
        scan()[1], calibration=NM, config=CONFIG.damage, write=lambda name, _, block: maps.setdefault(name, block)
    )
    assert result.figures == expected.figures
    assert (result.figures["window_rows"], result.figures["window_columns"]) == (10, 20)
    for name in ("damage", "packing"):
        written = open_volume(result.files[name])
        assert written.calibration == NM
        np.testing.assert_array_equal(written.read(0, SHAPE[0]), maps[name])
    for name, table in {
        "profile": expected.profile,
        "components": expected.cracks,
        "particles": expected.particles,
    }.items():
        pd.testing.assert_frame_equal(pd.read_csv(result.files[name]), table.reset_index(drop=True), check_dtype=False)
    for name in PICTURES:
        for suffix in ("png", "svg"):
            assert Path(result.files[f"{name}_{suffix}"]).stat().st_size > 1000
    record = yaml.safe_load((tmp_path / "run.yaml").read_text(encoding="utf-8"))
    assert record["figures"]["damage"] == pytest.approx(result.figures["damage"])
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_model_and_baseline_side_by_side(files, tmp_path):
    job = job_of(files, tmp_path, model=Path("threshold"), baseline=True)
    events, result = events_of(lambda: run_job(job))
    classes = open_volume(tmp_path / "classes.ome.zarr").read(0, SHAPE[0])
    assert result.figures["crack_voxels"] == (classes == 1).sum() > 0
    assert result.figures["packing"] == pytest.approx((classes > 0).mean())
    assert result.figures["baseline"]["damage"] == result.figures["damage"]
    for folder in (tmp_path, tmp_path / "baseline"):
        for name in ("classes", "damage", "packing"):
            assert open_volume(folder / f"{name}.ome.zarr").shape == SHAPE
        assert (folder / "profile.csv").is_file()
    assert "damage" in [event.name for event in events if isinstance(event, Stage)]
    own = run_job(job_of(files, tmp_path / "own", classes=tmp_path / "classes.ome.zarr", config=plain()))
    assert own.figures["packing"] == result.figures["packing"]  # the names of classes are in the file
    again = run_job(job)  # the class map is not made again, the analysis is
    assert again.figures["damage"] == result.figures["damage"]


def test_a_coarser_map_has_coarser_voxels(files, tmp_path):
    config = CONFIG.model_copy(update={"damage": CONFIG.damage.model_copy(update={"stride": 4})})
    run_job(job_of(files, tmp_path, config=config, classes=files / "classes.tif"))
    written = open_volume(tmp_path / "damage.ome.zarr")
    assert written.shape == (11, 15, 22)
    assert written.calibration == Calibration((80.0, 160.0, 80.0))


def test_labels_and_a_mask_of_particles(files, tmp_path):
    classes = scan()[1]
    labels = (classes > 0) * (1 + (np.indices(SHAPE)[2] > 44)).astype(np.uint16)
    write_volume(tmp_path / "labels.tif", Volume(labels, NM))
    crack = tmp_path / "crack.tif"
    write_volume(crack, Volume((classes == 1).astype(np.uint8) * 255, NM))
    config = CONFIG.model_copy(update={"damage": DamageConfig(window=20)})
    given = {"classes": crack, "labels": tmp_path / "labels.tif", "config": config}
    run_job(job_of(files, tmp_path / "labelled", **given))
    table = pd.read_csv(tmp_path / "labelled" / "particles.csv")
    assert table["particle"].tolist() == [1, 2]
    expected = [(classes == 1)[labels == label].mean() for label in (1, 2)]
    np.testing.assert_allclose(table["crack_fraction"], expected)

    by_mask = run_job(
        job_of(files, tmp_path / "masked", config=config, classes=crack, particle_mask=files / "classes.tif")
    )
    assert by_mask.figures["packing"] == pytest.approx((classes > 0).mean())
    by_grey = run_job(job_of(files, tmp_path / "grey", config=config, classes=crack))
    assert by_grey.figures["packing"] == pytest.approx((classes > 0).mean(), rel=0.02)


def test_a_cancelled_analysis_leaves_no_part_of_a_map(files, tmp_path):
    leave_at(
        lambda event: isinstance(event, Progress) and event.unit == "slices" and event.done > 8,
        lambda: run_job(job_of(files, tmp_path, classes=files / "classes.tif")),
    )
    assert list(tmp_path.iterdir()) == []


def test_no_crack_is_a_notice_and_a_profile_of_zeros(files, tmp_path):
    write_volume(tmp_path / "none.tif", Volume(np.zeros(SHAPE, np.uint8), NM))
    config = CONFIG.model_copy(update={"damage": DamageConfig(window=20)})
    job = job_of(files, tmp_path / "out", classes=tmp_path / "none.tif", config=config)
    assert [
        event
        for event in events_of(lambda: run_job(job))[0]
        if isinstance(event, Notice) and "no crack" in event.message
    ]
    assert (pd.read_csv(tmp_path / "out" / "profile.csv")["damage"] == 0).all()
    assert len(pd.read_csv(tmp_path / "out" / "components.csv")) == 0


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({}, "neither a model nor a class map"),
        ({"model": Path("threshold"), "classes": Path("classes.tif")}, "both"),
        ({"classes": "other.tif"}, "shape"),
    ],
    ids=["no source", "two sources", "another size"],
)
def test_bad_input_is_told_and_leaves_nothing(files, tmp_path, given, match):
    write_volume(tmp_path / "other.tif", Volume(np.zeros((11, 60, 80), np.uint8), NM))
    given = {key: tmp_path / value if value == "other.tif" else value for key, value in given.items()}
    with pytest.raises(NanosegError, match=match):
        run_job(job_of(files, tmp_path / "out", **given))
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_from_the_command_line(files, tmp_path):
    options = f"--classes {files / 'classes.tif'} --name crack --name particle --window 20 --json".split()
    result = CliRunner().invoke(app, ["cracks", str(files / "scan.tif"), *options, "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout.splitlines()[-1])
    crack = scan()[1] == 1
    assert figures["damage"] == pytest.approx(crack.mean())
    group = zarr.open_group(tmp_path / "damage.ome.zarr", mode="r")
    assert group.attrs["ome"]["multiscales"]
