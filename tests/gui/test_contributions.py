"""What the manifest offers works from the file to the layers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_nanoseg import NanosegError, read_image
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


def test_a_micrograph_keeps_its_pixel_size() -> None:
    reader = contributions.image_reader(str(sample_data() / "particles.tif"))
    assert reader is not None
    [(data, options, kind)] = reader(str(sample_data() / "particles.tif"))
    assert (kind, options["scale"], options["units"]) == ("image", (2.5, 2.5), ("nm", "nm"))
    np.testing.assert_array_equal(data, read_image(sample_data() / "particles.tif").data)


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
