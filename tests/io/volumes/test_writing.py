"""Volumes are written whole or not at all, at several resolutions, and other programs can read them."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from followed import leave_at
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from napari_nanoseg import Calibration, NanosegError, Volume, open_volume, write_volume
from napari_nanoseg.io.volumes.ome_zarr import open_levels
from napari_nanoseg.io.volumes.pyramid import levels, reduce

NM = Calibration((80.0, 20.0, 20.0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("calibration", [NM, Calibration()])
@pytest.mark.parametrize("name", ["größe.ome.zarr", "größe.tif"])
def test_a_volume_comes_back(tmp_path: Path, name: str, calibration: Calibration, dtype: Any) -> None:
    voxels = np.random.default_rng(0).integers(0, 200, (19, 40, 31)).astype(dtype)
    write_volume(tmp_path / name, Volume(voxels, calibration))
    back = open_volume(tmp_path / name)
    assert back.data.dtype == dtype
    np.testing.assert_array_equal(back.read(0, 19), voxels)
    assert back.calibration.pixel_size_nm == pytest.approx(calibration.pixel_size_nm)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_other_programs_read_the_tiff(tmp_path: Path) -> None:
    voxels = np.arange(20 * 8 * 9, dtype=np.uint16).reshape(20, 8, 9)
    write_volume(tmp_path / "a.tif", Volume(voxels, NM))
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.is_ome
        assert tif.series[0].axes == "ZYX"
        np.testing.assert_array_equal(tif.asarray(), voxels)


@pytest.fixture(scope="module")
def cracked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NDArray[np.uint8]]:
    """Labels with a crack (1) that is one voxel wide, through a particle (2)."""
    labels = np.zeros((10, 1100, 700), np.uint8)
    labels[2:, 100:1000, 100:600] = 2
    labels[:, :, 333] = 1
    path = tmp_path_factory.mktemp("cracked") / "classes.ome.zarr"
    write_volume(path, Volume(labels, NM), {1: "crack", 2: "particle"})
    return path, labels


def test_a_thin_crack_stays_visible_at_every_resolution(cracked: tuple[Path, NDArray[np.uint8]]) -> None:
    path, labels = cracked
    arrays, calibration, names = open_levels(path)
    assert names == {1: "crack", 2: "particle"}
    assert calibration == NM
    assert [array.shape for array in arrays] == [(10, 1100, 700), (10, 550, 350), (10, 275, 175)]
    np.testing.assert_array_equal(arrays[0][:], labels)
    for array, column in zip(arrays, (333, 166, 83), strict=True):
        coarse = np.asarray(array[:])
        assert (coarse[:, :, column] == 1).all()
        assert (np.delete(coarse, column, axis=2) != 1).all()


def test_the_metadata_are_valid_ome_zarr(cracked: tuple[Path, NDArray[np.uint8]]) -> None:
    models = pytest.importorskip("ome_zarr_models")
    group = zarr.open_group(cracked[0], mode="r")
    image = models.open_ome_zarr(group)
    first, _, last = image.attributes.ome.multiscales[0].datasets
    assert [axis.unit for axis in image.attributes.ome.multiscales[0].axes] == ["nanometer"] * 3
    assert first.coordinateTransformations[0].scale == [80, 20, 20]
    assert last.coordinateTransformations[0].scale == [80, 80, 80]
    assert last.coordinateTransformations[1].translation == [0, 30, 30]


@settings(deadline=None)
@given(
    block=arrays(np.uint8, st.tuples(*[st.integers(1, 7)] * 3), elements=st.integers(0, 4)),
    factors=st.tuples(*[st.integers(1, 2)] * 3),
)
def test_labels_are_reduced_to_the_lowest_that_is_there(block: NDArray[np.uint8], factors: tuple[int, ...]) -> None:
    reduced = reduce(block, factors, labels=True)
    for place in np.ndindex(reduced.shape):
        part = block[tuple(slice(one * factor, (one + 1) * factor) for one, factor in zip(place, factors, strict=True))]
        assert reduced[place] == (part[part > 0].min() if part.any() else 0)


def test_grey_values_are_reduced_to_their_mean() -> None:
    block = np.arange(3 * 4 * 4, dtype=np.uint16).reshape(3, 4, 4)
    reduced = reduce(block, (2, 2, 2), labels=False)
    assert reduced.dtype == np.uint16
    assert reduced[0, 0, 0] == round(block[:2, :2, :2].mean())
    assert reduced[1, 1, 1] == round(block[2, 2:, 2:].mean())


def test_voxels_become_cubes_before_all_axes_are_halved() -> None:
    assert levels((200, 4000, 4000), (40.0, 10.0, 10.0)) == [(1, 1, 1), (1, 2, 2), (1, 4, 4), (2, 8, 8)]
    assert levels((1, 600, 20), (1.0, 1.0, 1.0)) == [(1, 1, 1), (1, 2, 2)]
    assert levels((900, 500, 500), (1.0, 1.0, 1.0)) == [(1, 1, 1)]


@pytest.mark.parametrize("name", ["a.ome.zarr", "a.tif"])
def test_what_is_cancelled_or_fails_leaves_nothing(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = Volume(np.zeros((40, 30, 30), np.uint8) + 3)
    leave_at(lambda event: True, lambda: write_volume(tmp_path / name, volume))
    assert list(tmp_path.iterdir()) == []

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zarr.Array, "__setitem__", full)
    monkeypatch.setattr(tifffile.TiffWriter, "write", full)
    with pytest.raises(NanosegError, match="disk is full"):
        write_volume(tmp_path / name, volume)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.ome.zarr").mkdir()
    with pytest.raises(NanosegError, match="choose another name"):
        write_volume(tmp_path / "a.ome.zarr", Volume(np.zeros((2, 3, 4), np.uint8)))
    with pytest.raises(NanosegError, match="neither"):
        write_volume(tmp_path / "a.png", Volume(np.zeros((2, 3, 4), np.uint8)))
