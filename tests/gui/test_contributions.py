"""What the manifest offers works from the file to the layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dask.array
import h5py
import numpy as np
import pytest
import zarr

from napari_nanoseg import Calibration, NanosegError, Volume, read_image, write_volume
from napari_nanoseg.io.sample_data import sample_data

pytest.importorskip("napari")

from napari.components import ViewerModel
from npe2 import PluginManager, PluginManifest

from napari_nanoseg._gui import contributions

MANIFEST = Path(contributions.__file__).parents[1] / "napari.yaml"


@pytest.fixture
def plugins() -> PluginManager:
    manager = PluginManager()
    manager.register(PluginManifest.from_file(MANIFEST))
    manager.activate("napari-nanoseg")
    return manager


def opened(plugins: PluginManager, path: Path) -> Any:
    """What napari gets when it opens a path: of the first reader that takes it."""
    for reader in plugins.iter_compatible_readers([str(path)]):
        function = reader.exec(kwargs={"path": [str(path)], "stack": False, "_registry": plugins.commands})
        if function is not None:
            return function([str(path)], stack=False)
    return None


def test_every_command_of_the_manifest_can_be_imported() -> None:
    PluginManifest.from_file(MANIFEST).validate_imports()


def test_sample_keys_differ_from_command_names() -> None:
    contributed = PluginManifest.from_file(MANIFEST).contributions
    keys = {sample.key for sample in contributed.sample_data or ()}
    assert not keys & {command.id.split(".")[1] for command in contributed.commands or ()}


@pytest.mark.parametrize(("key", "particles"), [("micrograph", None), ("annotated", 8), ("truth", 80)])
def test_sample_data_opens_with_its_scale(plugins: PluginManager, key: str, particles: int | None) -> None:
    viewer = ViewerModel()
    _, samples = next(iter(plugins.iter_sample_data()))
    sample = next(each for each in samples if each.key == key)
    for data, options, kind in sample.open(_registry=plugins.commands):
        getattr(viewer, f"add_{kind}")(data, **options)
    assert all(layer.scale.tolist() == [2.5, 2.5] for layer in viewer.layers)
    assert viewer.layers[0].data.shape == (768, 1024)
    if particles is not None:
        assert viewer.layers[1].data.max() == particles


def test_the_sample_network_opens_with_its_overlaps(plugins: PluginManager) -> None:
    viewer = ViewerModel()
    _, samples = next(iter(plugins.iter_sample_data()))
    sample = next(each for each in samples if each.key == "network")
    for data, options, kind in sample.open(_registry=plugins.commands):
        getattr(viewer, f"add_{kind}")(data, **options)
    image, labels, outlines = viewer.layers
    assert image.data.shape == labels.data.shape == (512, 512)
    assert all(layer.scale.tolist() == [10, 10] for layer in viewer.layers)
    assert 25 < len(outlines.data) < labels.data.max() == 43


def test_the_sample_cathode_opens_with_its_classes(plugins: PluginManager) -> None:
    viewer = ViewerModel()
    _, samples = next(iter(plugins.iter_sample_data()))
    sample = next(each for each in samples if each.key == "cathode")
    for data, options, kind in sample.open(_registry=plugins.commands):
        getattr(viewer, f"add_{kind}")(data, **options)
    volume, classes = viewer.layers
    assert volume.data.shape == classes.data.shape == (32, 144, 144)
    assert all(layer.scale.tolist() == [140, 140, 140] for layer in viewer.layers)
    assert classes.features["class"].tolist() == ["crack", "void", "carbon/binder", "particle"]
    assert not classes.visible


def test_a_micrograph_keeps_its_pixel_size(plugins: PluginManager) -> None:
    [(data, options, kind)] = opened(plugins, sample_data() / "particles.tif")
    assert (kind, options["scale"], options["units"]) == ("image", (2.5, 2.5), ("nm", "nm"))
    np.testing.assert_array_equal(data, read_image(sample_data() / "particles.tif").data)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    """A volume that becomes several resolutions."""
    return Volume(np.arange(3 * 600 * 40, dtype=np.uint32).reshape(3, 600, 40), Calibration((80.0, 20.0, 20.0)))


@pytest.mark.parametrize("name", ["scan.ome.zarr", "scan.h5", "scan.raw"])
def test_a_volume_opens_with_its_scale_and_nothing_is_read(
    plugins: PluginManager, tmp_path: Path, volume: Volume, name: str
) -> None:
    path = tmp_path / name
    if name == "scan.h5":
        with h5py.File(path, "w") as file:
            file["data"] = volume.data
            file["data"].attrs["element_size_um"] = [0.08, 0.02, 0.02]
    elif name == "scan.raw":
        path.write_bytes(np.asarray(volume.data).tobytes())
        path.with_suffix(".yaml").write_text("{shape: [3, 600, 40], dtype: uint32, voxel_size_nm: [80, 20, 20]}")
    else:
        write_volume(path, volume)
    viewer = ViewerModel()
    [(data, options, kind)] = opened(plugins, path)
    assert kind == "image"
    layer = viewer.add_image(data, **options)
    assert layer.scale.tolist() == [80, 20, 20]
    assert layer.multiscale == (name == "scan.ome.zarr")
    viewer.dims.set_point(0, 80)
    full = layer.data[0] if layer.multiscale else layer.data
    assert isinstance(full, dask.array.Array)
    np.testing.assert_array_equal(np.asarray(full[1]), volume.data[1])


def test_a_class_map_opens_as_labels_with_names(plugins: PluginManager, tmp_path: Path) -> None:
    labels = np.zeros((4, 20, 20), np.uint8)
    labels[:, 5:9] = 2
    path = tmp_path / "classes.ome.zarr"
    write_volume(path, Volume(labels), {1: "crack", 2: "particle"})
    [(data, options, kind)] = opened(plugins, path)
    assert (kind, options["name"]) == ("labels", "classes")
    layer = ViewerModel().add_labels(data, **options)
    np.testing.assert_array_equal(np.asarray(layer.data), labels)
    assert layer.features["class"].tolist() == ["crack", "particle"]


def test_what_is_no_volume_is_left_to_other_readers(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "plane.zarr", data=np.zeros((9, 9)))
    (tmp_path / "nothing.raw").write_bytes(b"1")
    for name in ("plane.zarr", "nothing.raw"):
        assert contributions.volume_reader(str(tmp_path / name)) is None


def test_a_large_stack_is_not_read_as_a_whole(tmp_path: Path, volume: Volume, monkeypatch: pytest.MonkeyPatch) -> None:
    write_volume(tmp_path / "scan.tif", volume)
    monkeypatch.setattr(contributions, "LARGE", 100)
    reader = contributions.image_reader(str(tmp_path / "scan.tif"))
    assert reader is not None
    [(data, options, _)] = reader(str(tmp_path / "scan.tif"))
    assert isinstance(data, dask.array.Array)
    assert options["scale"] == (80, 20, 20)


def test_only_dataset_folders_are_claimed(tmp_path: Path) -> None:
    assert contributions.dataset_reader(str(tmp_path)) is None
    reader = contributions.dataset_reader([str(sample_data() / "annotated")])
    assert reader is not None
    kinds = [kind for _, _, kind in reader([str(sample_data() / "annotated")])]
    assert kinds == ["image", "labels", "labels"]


def test_a_dataset_of_too_many_images_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contributions, "MOST_IMAGES", 0)
    folder = str(sample_data() / "annotated")
    reader = contributions.dataset_reader(folder)
    assert reader is not None
    with pytest.raises(NanosegError, match="1 images, too many layers"):
        reader(folder)


def test_only_coco_files_are_claimed_and_their_objects_shown(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"a": 1}')
    assert contributions.coco_reader(str(other)) is None
    coco = {
        "images": [{"id": 1, "file_name": "wires.tif", "height": 30, "width": 40}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[5, 5, 15, 5, 15, 25, 5, 25]]}],
        "categories": [{"id": 1, "name": "particle"}],
    }
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(coco))
    reader = contributions.coco_reader(str(path))
    assert reader is not None
    [(labels, options, kind)] = reader(str(path))
    assert kind == "labels"
    assert options["name"] == "wires: annotated"
    assert labels.shape == (30, 40)
    assert np.count_nonzero(labels) == 10 * 20

    del coco["images"][0]["height"]
    path.write_text(json.dumps(coco))
    with pytest.raises(NanosegError, match="height and width of wires"):
        reader(str(path))
