"""The cracks job: the same class map whatever is cancelled, wherever it is computed, and however it is stored."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
import zarr
from followed import events_of, leave_at
from numpy.typing import NDArray
from typer.testing import CliRunner

from napari_nanoseg import (
    Calibration,
    CracksConfig,
    NanosegError,
    Volume,
    VolumeConfig,
    open_volume,
    write_volume,
)
from napari_nanoseg.cli import app
from napari_nanoseg.config.cracks import CracksJob, CrackThreshold
from napari_nanoseg.config.jobs import parse_job
from napari_nanoseg.engines.baseline.volume import ThresholdPredictor, ThresholdSlabs
from napari_nanoseg.events import Event, JobResult, Notice, Progress, Stage
from napari_nanoseg.jobs.cracks import cracks_job
from napari_nanoseg.jobs.run import run_job
from napari_nanoseg.jobs.slabs import slabs_of

NM = Calibration((80.0, 20.0, 20.0))
DEPTH = 28
EIGHT = CracksConfig(slab=8, analyse=False)


def cracks(config: CracksConfig, volume: Path, model: str, out: Path) -> JobResult:
    return cracks_job(CracksJob(config=config, volume=volume, model=Path(model), out=out))


def cracked() -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A bright particle in a dark matrix, through which a crack goes that is three voxels wide."""
    rng = np.random.default_rng(0)
    z, row, column = np.indices((DEPTH, 90, 100))
    particle = (row - 45) ** 2 + (column - 50) ** 2 + (z - 14) ** 2 < 40**2
    crack = particle & (np.abs(row - 45 - np.round(4 * np.sin(column / 15))) < 2)
    grey = np.where(particle & ~crack, 170, 60) + rng.normal(0, 6, particle.shape)
    return grey.astype(np.uint8), crack


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("Größe 1 µm") / "scan.tif"
    write_volume(path, Volume(cracked()[0], NM))
    return path


@pytest.fixture(scope="module")
def whole(volume: Path) -> NDArray[np.uint8]:
    """The class map of a job that was left alone."""
    out = volume.parent / "whole"
    cracks(EIGHT, volume, "threshold", out)
    return open_volume(out / "classes.ome.zarr").read(0, DEPTH)


def classes_in(folder: Path) -> NDArray[Any]:
    return open_volume(folder / "classes.ome.zarr").read(0, DEPTH)


def test_the_threshold_finds_the_crack_of_a_particle(volume: Path, whole: NDArray[np.uint8]) -> None:
    grey, crack = cracked()
    assert (whole[crack] == 1).mean() > 0.97
    assert crack[whole == 1].mean() > 0.97
    assert (whole[grey > 115] == 2).mean() > 0.99
    record = yaml.safe_load((volume.parent / "whole" / "run.yaml").read_text(encoding="utf-8"))
    figures = record["figures"]
    assert figures["voxels"] == grey.size
    assert figures["fraction"] == {"crack": (whole == 1).mean(), "particle": (whole == 2).mean()}
    assert 75 < figures["threshold"] < 155
    assert figures["megavoxels_per_s"] > 0
    assert isinstance(parse_job(record["config"]), CracksJob)
    assert open_volume(volume.parent / "whole" / "classes.ome.zarr").calibration == NM


def test_the_command_prints_figures_and_writes_the_same(volume: Path, whole: NDArray[np.uint8], tmp_path: Path) -> None:
    words = ["cracks", str(volume), "--model", "threshold", "--out", str(tmp_path / "out"), "--slab", "8", "--json"]
    result = CliRunner().invoke(app, [*words, "--voxel-size-nm", "1", "2", "2"])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout.splitlines()[-1])
    assert figures["fraction"]["crack"] == (whole == 1).mean()
    np.testing.assert_array_equal(classes_in(tmp_path / "out"), whole)
    assert open_volume(figures["files"]["classes"]).calibration.pixel_size_nm == (1, 2, 2)
    again = CliRunner().invoke(app, [*words[:-1], "--voxel-size-nm", "1", "2", "2"])
    assert again.exit_code == 0
    assert "is there already" in again.output


@pytest.mark.parametrize("output", ["ome-zarr", "tiff"])
@pytest.mark.parametrize("slabs", [0, 1, 3, 4])
def test_a_job_that_was_cancelled_goes_on(
    volume: Path, whole: NDArray[np.uint8], tmp_path: Path, slabs: int, output: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = CracksJob(
        config=CracksConfig(slab=8, analyse=False, output=output), volume=volume, model=Path("threshold"), out=tmp_path
    )
    stages: list[str] = []

    def enough(event: Event) -> bool:
        if isinstance(event, Stage):
            stages.append(event.name)
        done = isinstance(event, Progress) and event.done > 8 * slabs
        return ("predict" in stages and done) or "write" in stages  # when all four are done, it writes

    leave_at(enough, lambda: run_job(job))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classes.ome.zarr.part", "journal.json"]
    computed = []
    original = ThresholdSlabs.class_map
    monkeypatch.setattr(
        ThresholdSlabs, "class_map", lambda self, z0, z1: (computed.append(z0), original(self, z0, z1))[1]
    )
    result = run_job(job)
    assert computed == list(range(8 * slabs, DEPTH, 8))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [{"ome-zarr": "classes.ome.zarr", "tiff": "classes.tif"}[output], "journal.json", "run.yaml"]
    )
    back = open_volume(result.files["classes"])
    np.testing.assert_array_equal(back.read(0, DEPTH), whole)
    assert back.calibration == NM
    assert result.figures["fraction"]["crack"] == (whole == 1).mean()


@pytest.mark.parametrize("config", [{"workers": 3}, {"slab": 16}, {"slab": 1024}])
def test_slabs_and_threads_change_nothing(
    volume: Path, whole: NDArray[np.uint8], tmp_path: Path, config: dict[str, Any]
) -> None:
    cracks(CracksConfig(**{"slab": 8, "analyse": False, **config}), volume, "threshold", tmp_path)
    np.testing.assert_array_equal(classes_in(tmp_path), whole)


def test_threads_can_be_cancelled_and_go_on(volume: Path, whole: NDArray[np.uint8], tmp_path: Path) -> None:
    leave_at(
        lambda event: isinstance(event, Progress) and event.total == DEPTH and event.done in (8, 4),
        lambda: cracks(CracksConfig(slab=8, analyse=False, workers=2), volume, "threshold", tmp_path),
    )
    cracks(EIGHT, volume, "threshold", tmp_path)
    np.testing.assert_array_equal(classes_in(tmp_path), whole)


def test_a_bad_slab_in_a_thread_is_told_and_the_others_are_kept(tmp_path: Path) -> None:
    grey = cracked()[0].astype(np.float32)
    grey[20, 3, 3] = np.nan
    np.save(tmp_path / "scan.npy", grey)
    config = CracksConfig(slab=8, analyse=False, workers=2, threshold=CrackThreshold(method="value", value=115))
    with pytest.raises(NanosegError, match="slices 20 to 20 have voxels that are NaN"):
        cracks(config, tmp_path / "scan.npy", "threshold", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "journal.json").read_text())["slabs"].keys() >= {"0"}


@pytest.fixture(scope="module")
def cluster() -> Generator[str, None, None]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, protocol="tcp"
    ) as local:
        yield local.scheduler_address


def test_a_cluster_gives_the_same(volume: Path, whole: NDArray[np.uint8], tmp_path: Path, cluster: str) -> None:
    cracks(CracksConfig(slab=8, analyse=False, cluster=cluster, workers=2), volume, "threshold", tmp_path)
    np.testing.assert_array_equal(classes_in(tmp_path), whole)


def test_a_cluster_that_was_cancelled_goes_on_here(
    volume: Path, whole: NDArray[np.uint8], tmp_path: Path, cluster: str
) -> None:
    leave_at(
        lambda event: isinstance(event, Progress) and event.total == DEPTH and event.done in (8, 4),
        lambda: cracks(CracksConfig(slab=8, analyse=False, cluster=cluster), volume, "threshold", tmp_path),
    )
    cracks(EIGHT, volume, "threshold", tmp_path)
    np.testing.assert_array_equal(classes_in(tmp_path), whole)


def test_what_fails_on_a_cluster_is_the_same_sentence(tmp_path: Path, cluster: str) -> None:
    np.save(tmp_path / "scan.npy", np.full((8, 9, 9), np.nan))
    config = CracksConfig(analyse=False, cluster=cluster, threshold=CrackThreshold(method="value", value=1))
    with pytest.raises(NanosegError, match="NaN or infinite"):
        cracks(config, tmp_path / "scan.npy", "threshold", tmp_path / "out")


def test_a_cluster_that_is_not_there_is_told(volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_nanoseg.jobs.cluster.TIMEOUT_S", 0.3)
    for address in ("tcp://127.0.0.1:9", "nonsense://x"):
        with pytest.raises(NanosegError, match="No dask scheduler answers"):
            cracks(CracksConfig(analyse=False, cluster=address), volume, "threshold", tmp_path)


def test_a_full_disk_keeps_what_is_finished(
    volume: Path, whole: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = zarr.Array.__setitem__

    def until_full(self: Any, key: Any, value: Any) -> None:
        if isinstance(key, tuple) and key[0].start == 16:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(self, key, value)

    monkeypatch.setattr(zarr.Array, "__setitem__", until_full)
    with pytest.raises(NanosegError, match="the disk is full"):
        cracks(EIGHT, volume, "threshold", tmp_path)
    monkeypatch.undo()
    assert list(json.loads((tmp_path / "journal.json").read_text())["slabs"]) == ["0", "8"]
    events, _ = events_of(lambda: cracks(EIGHT, volume, "threshold", tmp_path))
    assert any(isinstance(event, Notice) and "2 of 4 slabs are done" in event.message for event in events)
    np.testing.assert_array_equal(classes_in(tmp_path), whole)


def test_the_folder_of_another_job_is_refused(volume: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cracks(EIGHT, volume, "threshold", out)
    before = (out / "journal.json").read_bytes()
    other = CracksConfig(slab=8, analyse=False, threshold=CrackThreshold(closing=3))
    with pytest.raises(NanosegError, match="a job with another threshold; choose another folder"):
        cracks(other, volume, "threshold", out)
    copy = tmp_path / "copy.tif"
    shutil.copy(volume, copy)
    with pytest.raises(NanosegError, match="another time of the volume, volume"):
        cracks(EIGHT, copy, "threshold", out)
    assert (out / "journal.json").read_bytes() == before
    (out / "journal.json").write_text("{")
    with pytest.raises(NanosegError, match="damaged"):
        cracks(EIGHT, volume, "threshold", out)
    (out / "journal.json").unlink()
    with pytest.raises(NanosegError, match="choose another folder"):
        cracks(EIGHT, volume, "threshold", out)


@pytest.mark.parametrize(
    ("voxels", "config", "words"),
    [
        (np.zeros((9, 9), np.uint8), {}, "single image, not a volume"),
        (np.full((9, 9, 9), 7, np.uint16), {}, "same value 7 everywhere"),
        (np.full((9, 9, 9), 7, np.float32), {}, "same value 7 everywhere"),
        (np.full((9, 9, 9), np.nan, np.float32), {}, "NaN or infinite"),
    ],
)
def test_a_volume_that_does_not_suit_is_refused(
    tmp_path: Path, voxels: NDArray[Any], config: dict[str, Any], words: str
) -> None:
    tifffile.imwrite(tmp_path / "scan.tif", voxels)
    words_given = ["cracks", str(tmp_path / "scan.tif"), "--model", "threshold", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, words_given)
    assert result.exit_code == 2
    assert words in result.stderr.replace("\n", " ")
    assert not list(tmp_path.glob("out/classes*"))


def test_a_model_of_another_kind_is_refused(volume: Path, tmp_path: Path) -> None:
    with pytest.raises(NanosegError, match="choose a U-Net, or 'threshold'"):
        cracks(EIGHT, volume, "starter", tmp_path)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("polarity", ["bright", "dark"])
def test_every_type_gives_the_same_classes(
    tmp_path: Path,
    whole: NDArray[np.uint8],
    dtype: Any,
    polarity: Any,
) -> None:
    from napari_nanoseg.engines.baseline.volume import find_level

    grey = cracked()[0].astype(dtype)
    if polarity == "dark":
        grey = (200 - grey.astype(np.int64)).clip(0).astype(dtype)
    source = Volume(grey)
    config = CrackThreshold(polarity=polarity)
    _, level = events_of(lambda: find_level(source, config))
    _, found = events_of(lambda: ThresholdPredictor(config, level).on(source).class_map(0, DEPTH))
    assert (found != whole).mean() < 2e-3
    level = find_level(source, CrackThreshold(method="percentile", percentile=30))
    assert level == pytest.approx(np.percentile(grey, 30), abs=1)


def test_a_particle_near_the_rim_of_the_image_does_not_grow_to_it() -> None:
    grey = np.zeros((1, 40, 40), np.uint8)
    grey[0, 3:30, 5:] = 200
    grey[0, 3:30, 20:23] = 10
    found = ThresholdPredictor(CrackThreshold(), 100).on(Volume(grey)).class_map(0, 1)
    assert (found[0, 3:30, 20:23] == 1).all()
    assert np.count_nonzero(found == 1) == 3 * 27


@pytest.fixture(scope="module", params=["2d", "2.5d", "3d"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny U-Net with fresh weights."""
    import torch

    from napari_nanoseg.config.model_card import ModelCard
    from napari_nanoseg.config.unet import UNetConfig
    from napari_nanoseg.engines.unet.model import UNetModel

    folder = tmp_path_factory.mktemp("network") / request.param
    torch.manual_seed(1)
    config = UNetConfig(dimensions=request.param, filters=2, levels=2, classes=("crack", "void"))
    UNetModel.from_card(ModelCard(network=config, invert="no")).save(folder)
    return folder


def test_a_network_gives_the_same_in_any_slabs_anywhere(
    volume: Path, network: Path, tmp_path: Path, cluster: str
) -> None:
    ways = {"one": {"slab": 1024}, "eight": {"slab": 8}, "threads": {"workers": 2}, "cluster": {"cluster": cluster}}
    maps = {}
    for name, way in ways.items():
        config = CracksConfig(**{"slab": 8, "tile": 128, "probability": 0.3, "analyse": False, **way})
        result = cracks(config, volume, network, tmp_path / name)
        assert result.figures["fraction"].keys() == {"crack", "void"}
        maps[name] = classes_in(tmp_path / name)
    assert len(np.unique(maps["one"])) > 1
    for found in maps.values():
        np.testing.assert_array_equal(found, maps["one"])


def test_slabs_end_where_the_predictor_likes_it() -> None:
    assert slabs_of(range(1, 21), 8) == [(0, 8), (8, 16), (16, 20)]
    assert slabs_of([24, 48, 60], 16) == [(0, 24), (24, 48), (48, 60)]
    assert slabs_of([10, 20, 30, 40, 45], 25) == [(0, 20), (20, 45)]
    assert slabs_of([5], 8) == [(0, 5)]


def test_what_the_config_says_of_the_file_is_used(tmp_path: Path, whole: NDArray[np.uint8]) -> None:
    cracked()[0].tofile(tmp_path / "scan.raw")
    told = VolumeConfig(shape=(DEPTH, 90, 100), dtype="uint8", voxel_size_nm=(80, 20, 20))
    cracks(CracksConfig(slab=8, analyse=False, input=told), tmp_path / "scan.raw", "threshold", tmp_path / "out")
    np.testing.assert_array_equal(classes_in(tmp_path / "out"), whole)
