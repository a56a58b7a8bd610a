"""Every format gives back the voxels and the voxel size that were written; what is wrong is one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
import yaml
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow

from napari_nanoseg import NanosegError, Volume, VolumeConfig, open_volume

VOXELS = np.random.default_rng(0).integers(0, 60000, (13, 20, 30)).astype(np.uint16)
NM = (50.0, 20.0, 10.0)


def write_imagej(path: Path) -> Path:
    metadata = {"axes": "ZYX", "spacing": 0.05, "unit": "um"}
    tifffile.imwrite(path, VOXELS, imagej=True, metadata=metadata, resolution=(100, 50))
    return path


def write_ome(path: Path, **options: Any) -> Path:
    metadata: dict[str, Any] = {"axes": "ZYX"}
    for axis, size in zip("ZYX", NM, strict=True):
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "nm"}
    tifffile.imwrite(path, VOXELS, ome=True, metadata=metadata, **options)
    return path


def write_folder(path: Path, suffix: str = ".png", voxels: NDArray[Any] = VOXELS) -> Path:
    path.mkdir()
    for number, plane in enumerate(voxels):  # slice 2 comes before slice 10
        if suffix == ".png":
            Pillow.fromarray(plane).save(path / f"Schicht {number}.png")
        else:
            tifffile.imwrite(path / f"Schicht {number}.tif", plane)
    return path


def write_hdf5(path: Path, **more: NDArray[Any]) -> Path:
    with h5py.File(path, "w") as file:
        file["exchange/data"] = VOXELS[None, ..., None]
        file["exchange/data"].attrs["element_size_um"] = [size / 1000 for size in NM]
        file["angles"] = np.arange(5)
        for name, array in more.items():
            file[name] = array
    return path


def write_ome_zarr(path: Path, zarr_format: Any) -> Path:
    group = zarr.create_group(path, zarr_format=zarr_format)
    array = group.create_array("full", shape=(1, *VOXELS.shape), dtype=VOXELS.dtype, chunks=(1, 4, 8, 8))
    array[0] = VOXELS
    axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space", "unit": "micrometer"} for n in "zyx")]
    scale = [{"type": "scale", "scale": [1.0, *(size / 500 for size in NM)]}]
    image = {
        "axes": axes,
        "datasets": [{"path": "full", "coordinateTransformations": scale}],
        "coordinateTransformations": [{"type": "scale", "scale": [1.0, 0.5, 0.5, 0.5]}],
    }
    group.attrs.update({"multiscales": [image]} if zarr_format == 2 else {"ome": {"multiscales": [image]}})
    return path


def write_raw(path: Path, described: str = ".yaml") -> Path:
    path.write_bytes(b"header" + VOXELS.astype(">u2").tobytes())
    told = {"shape": list(VOXELS.shape), "dtype": "uint16", "byte_order": "big", "offset": 6, "voxel_size_nm": NM}
    text = json.dumps(told)
    path.with_suffix(described).write_text(text if described == ".json" else yaml.safe_dump(json.loads(text)))
    return path


def write_npy(path: Path) -> Path:
    np.save(path, VOXELS)
    return path


def write_plain_zarr(path: Path) -> Path:
    zarr.create_array(path, data=VOXELS)
    return path


WRITERS: dict[str, tuple[Callable[[Path], Path], bool]] = {
    "imagej.tif": (write_imagej, True),
    "ome.tif": (write_ome, True),
    "compressed.tif": (lambda path: write_ome(path, compression="zlib", bigtiff=True, tile=(16, 16)), True),
    "big endian.tif": (lambda path: write_ome(path, byteorder=">"), True),
    "folder of png": (write_folder, False),
    "folder of tiff": (lambda path: write_folder(path, ".tif"), False),
    "scan.h5": (write_hdf5, True),
    "two.ome.zarr": (lambda path: write_ome_zarr(path, 2), True),
    "three.ome.zarr": (lambda path: write_ome_zarr(path, 3), True),
    "plain.zarr": (write_plain_zarr, False),
    "scan.raw": (write_raw, True),
    "scan.vol": (lambda path: write_raw(path, ".json"), True),
    "scan.npy": (write_npy, False),
}


@pytest.mark.parametrize("name", WRITERS)
def test_voxels_and_their_size_come_back(tmp_path: Path, name: str) -> None:
    write, calibrated = WRITERS[name]
    volume = open_volume(write(tmp_path / name))
    assert volume.shape == VOXELS.shape
    assert volume.data.dtype == np.uint16
    np.testing.assert_array_equal(volume.read(0, 13), VOXELS)
    np.testing.assert_array_equal(volume.read(3, 5, slice(2, 19), slice(7, 8)), VOXELS[3:5, 2:19, 7:8])
    sizes = volume.calibration.pixel_size_nm
    assert (sizes == pytest.approx(NM)) if calibrated else sizes is None
    told = open_volume(tmp_path / name, VolumeConfig(voxel_size_nm=(1, 2, 3)))
    assert told.calibration.pixel_size_nm == (1, 2, 3)


@pytest.fixture(scope="module")
def lazy(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    return open_volume(write_npy(tmp_path_factory.mktemp("lazy") / "scan.npy"))


def keys(size: int) -> st.SearchStrategy[Any]:
    return st.integers(-size, size - 1) | st.slices(size)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(key=st.tuples(*map(keys, VOXELS.shape)), count=st.integers(1, 3))
def test_lazy_voxels_are_sliced_as_numpy_does(lazy: Volume, key: tuple[Any, ...], count: int) -> None:
    np.testing.assert_array_equal(lazy.data[key[:count]], VOXELS[key[:count]])
    np.testing.assert_array_equal(lazy.data[..., key[2]], VOXELS[..., key[2]])
    np.testing.assert_array_equal(np.asarray(lazy.data), VOXELS)


def test_slices_of_a_tiff_are_read_from_many_threads(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    volume = open_volume(write_ome(tmp_path / "a.tif", compression="zlib"))
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda z: volume.data[z], list(range(13)) * 4))
    np.testing.assert_array_equal(read, np.concatenate([VOXELS] * 4))


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.8, 0.93, 0.98])
@pytest.mark.parametrize("name", ["imagej.tif", "compressed.tif", "ome.tif", "scan.h5", "scan.raw", "scan.npy"])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, name: str, kept: float) -> None:
    path = WRITERS[name][0](tmp_path / name)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(NanosegError, match=r"cut off|copy the file|cannot be read"):
        open_volume(path).read(0, 13)


def single(path: Path) -> Path:
    tifffile.imwrite(path, VOXELS[0])
    return path


def colours(path: Path) -> Path:
    tifffile.imwrite(path, np.zeros((4, 8, 9, 3), np.uint8), photometric="rgb")
    return path


def unequal(path: Path) -> Path:
    with tifffile.TiffWriter(path) as tif:
        for size in (8, 8, 9):
            tif.write(np.zeros((size, 8), np.uint8))
    return path


def unequal_folder(path: Path) -> Path:
    write_folder(path)
    Pillow.fromarray(VOXELS[0, :5]).save(path / "Schicht 7.png")
    return path


def hyperstack(path: Path) -> Path:
    tifffile.imwrite(path, np.zeros((2, 3, 8, 9), np.uint8), imagej=True, metadata={"axes": "TZYX"})
    return path


def text(path: Path) -> Path:
    path.write_text("nothing")
    return path


def empty_folder(path: Path) -> Path:
    path.mkdir()
    return path


def damaged_zarr(path: Path) -> Path:
    path.mkdir()
    (path / "zarr.json").write_text("{")
    return path


def undescribed(path: Path) -> Path:
    path.write_bytes(VOXELS.tobytes())
    path.with_suffix(".yaml").write_text("shape: [13, 20, 30]")
    return path


def missing(path: Path) -> Path:
    return path


BAD: dict[str, tuple[Callable[[Path], Path], dict[str, Any], str]] = {
    "single.tif": (single, {}, "single image, not a volume"),
    "picture.png": (lambda path: (Pillow.fromarray(VOXELS[0]).save(path), path)[1], {}, "single image, not a volume"),
    "colours.tif": (colours, {}, "colours"),
    "unequal.tif": (unequal, {}, "different sizes"),
    "unequal folder": (unequal_folder, {}, "5 x 30 pixels, but Schicht 0.png 20 x 30"),
    "hyperstack.tif": (hyperstack, {}, "4 dimensions"),
    "notes.txt": (text, {}, "not a volume that can be read"),
    "empty folder": (empty_folder, {}, "no image"),
    "damaged.zarr": (damaged_zarr, {}, "damaged"),
    "two.h5": (lambda path: write_hdf5(path, second=VOXELS), {}, "several volumes"),
    "one.h5": (write_hdf5, {"dataset": "other"}, "its volumes are exchange/data"),
    "angles.h5": (write_hdf5, {"dataset": "angles"}, "not a volume"),
    "one.zarr": (lambda path: write_ome_zarr(path, 3), {"dataset": "other"}, "nothing at 'other'"),
    "type.raw": (undescribed, {}, "dtype of the raw voxels is not told"),
    "size.raw": (undescribed, {"dtype": "uint8"}, "has 15600 bytes, but 13 x 20 x 30 voxels of uint8 need 7800"),
    "flat.npy": (lambda path: (np.save(path, VOXELS[0]), path)[1], {}, "not a volume"),
    "missing.tif": (missing, {}, "no file"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_volume_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    write, config, words = BAD[name]
    with pytest.raises(NanosegError, match=words) as error:
        open_volume(write(tmp_path / name), VolumeConfig(**config))
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


def test_voxels_that_are_nan_are_refused_where_they_are_read(tmp_path: Path) -> None:
    voxels = np.zeros((4, 5, 6), np.float32)
    voxels[2, 1, 1] = np.nan
    np.save(tmp_path / "nan.npy", voxels)
    volume = open_volume(tmp_path / "nan.npy")
    assert volume.read(0, 2).shape == (2, 5, 6)
    with pytest.raises(NanosegError, match="slices 2 to 3 have voxels that are NaN"):
        volume.read(2, 4)


def test_a_slice_of_another_type_is_refused_where_it_is_read(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "slices", ".tif")
    tifffile.imwrite(folder / "Schicht 4.tif", VOXELS[4].astype(np.uint8))
    volume = open_volume(folder)
    np.testing.assert_array_equal(volume.read(0, 4), VOXELS[:4])
    with pytest.raises(NanosegError, match="save all slices with one type"):
        volume.read(4, 5)
