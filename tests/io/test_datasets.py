"""Datasets keep what was put into them, and say what is missing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from roifile import ImagejRoi

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.annotations import read_coco
from napari_nanoseg.io.datasets import DatasetWriter, open_dataset, write_sample
from napari_nanoseg.io.images import read_label_array, write_image, write_labels
from napari_nanoseg.io.tables import read_table
from napari_nanoseg.samples import Image, Sample

SHAPE = (32, 48)


def image(seed: int = 0) -> Image:
    data = np.random.default_rng(seed).integers(0, 255, SHAPE, dtype=np.uint8)
    return Image(data, "YX", Calibration((2.5, 2.5)))


def sample(name: str, *, overlap: bool = False, known: bool = False, seed: int = 0) -> Sample:
    full = np.ones((10, 12), dtype=bool)
    shift = 4 if overlap else 15
    instances = Instances.from_masks(
        SHAPE, [[1, 2, 11, 14], [1 + shift, 6, 11 + shift, 18]], [full, full], scores=[0.5, 0.75], ids=[3, 70_000]
    )
    return Sample(image(seed), instances, np.arange(SHAPE[1]) < np.full(SHAPE, 30) if known else None, name)


def equal(one: Sample, other: Sample) -> bool:
    return (
        one.name == other.name
        and np.array_equal(one.image.data, other.image.data)
        and one.image.calibration.pixel_size_nm == pytest.approx(other.image.calibration.pixel_size_nm)
        and one.instances.ids.tolist() == other.instances.ids.tolist()
        and one.instances.boxes.tolist() == other.instances.boxes.tolist()
        and all(np.array_equal(a, b) for a, b in zip(one.instances.masks, other.instances.masks, strict=True))
        and ((one.known is None) == (other.known is None))
        and (one.known is None or np.array_equal(one.known, other.known))
    )


def test_samples_come_back(tmp_path: Path) -> None:
    folder = tmp_path / "Proben größe 1"
    samples = [sample("a.1 ü", seed=1), sample("b", known=True, seed=2), sample("c", overlap=True, seed=3)]
    for one in samples:
        write_sample(folder, one)
    dataset = open_dataset(folder)
    assert dataset.folder == folder
    assert dataset.names == ("a.1 ü", "b", "c")
    assert len(dataset) == 3
    assert all(equal(one, other) for one, other in zip(dataset, samples, strict=True))
    assert equal(dataset[-1], samples[-1])
    with pytest.raises(IndexError):
        dataset[3]


def test_without_overlaps_there_is_no_coco_file(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path) as writer:
        writer.add(sample("a"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "masks"]
    assert read_label_array(tmp_path / "masks" / "a.tif").dtype == np.int32


def test_overlaps_are_kept_with_everything_written_together(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path) as writer:
        for number in range(4):
            writer.add(sample(f"s{number}", overlap=number == 2))
    content = json.loads((tmp_path / "annotations.json").read_text())
    ids = [annotation["id"] for annotation in content["annotations"]]
    assert len(ids) == len(set(ids)) == 8
    assert {entry["file_name"] for entry in content["images"]} == {f"s{number}.tif" for number in range(4)}
    assert content["categories"] == [{"id": 0, "name": "particle"}]
    scores = open_dataset(tmp_path)[2].instances.scores
    assert scores.tolist() == [0.5, 0.75]


def test_classes_are_kept_with_their_names_though_nothing_overlaps(tmp_path: Path) -> None:
    one = sample("a")
    classes = np.arange(1, len(one.instances) + 1, dtype=np.int32)
    with DatasetWriter(tmp_path, ("none", "rod", "wire")) as writer:
        writer.add(replace(one, instances=replace(one.instances, classes=classes)))
    assert open_dataset(tmp_path)[0].instances.classes.tolist() == classes.tolist()
    categories = json.loads((tmp_path / "annotations.json").read_text())["categories"]
    assert [entry["name"] for entry in categories] == ["rod", "wire"][: len(classes)]


def test_true_values_are_a_table_beside_the_image(tmp_path: Path) -> None:
    one = sample("a")
    truth = {"id": one.instances.ids, "length_nm": one.instances.ids / 3}
    write_sample(tmp_path, replace(one, truth=truth))
    table = read_table(tmp_path / "truth" / "a.csv")
    assert table["length_nm"].tolist() == truth["length_nm"].tolist()
    write_sample(tmp_path, one)
    assert not (tmp_path / "truth" / "a.csv").exists()
    with pytest.raises(NanosegError, match="a row for each"):
        replace(one, truth={"id": one.instances.ids[1:]})


def test_a_writer_that_is_stopped_leaves_a_whole_dataset(tmp_path: Path) -> None:
    def stopped() -> None:
        with DatasetWriter(tmp_path) as writer:
            writer.add(sample("a", overlap=True))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert open_dataset(tmp_path)[0].instances.overlapping


def test_writing_a_name_again_replaces_it(tmp_path: Path) -> None:
    write_sample(tmp_path, sample("other", overlap=True))
    write_sample(tmp_path, sample("a", overlap=True, known=True, seed=1))
    again = sample("a", seed=2)
    write_sample(tmp_path, again)
    dataset = open_dataset(tmp_path)
    assert equal(dataset[0], again)
    assert equal(dataset[1], sample("other", overlap=True))
    ids = [annotation["id"] for annotation in json.loads((tmp_path / "annotations.json").read_text())["annotations"]]
    assert len(set(ids)) == 4


def test_a_coco_file_of_someone_else_keeps_its_other_entries(tmp_path: Path) -> None:
    others = {"id": 7, "file_name": "theirs.tif", "height": SHAPE[0], "width": SHAPE[1], "license": 3}
    annotations = sample("theirs").instances.to_coco(7, 40)
    content = {
        "info": {"year": 2020},
        "images": [others],
        "annotations": annotations,
        "categories": [{"id": 0, "name": "rod"}],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    write_sample(tmp_path, sample("mine"))
    after = json.loads((tmp_path / "annotations.json").read_text())
    assert after["info"] == {"year": 2020}
    assert after["images"][0] == others
    assert after["annotations"][:2] == annotations
    assert after["categories"] == [{"id": 0, "name": "rod"}]
    assert len(read_coco(tmp_path / "annotations.json")["mine"].annotations) == 2


def test_a_damaged_coco_file_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "annotations.json").write_text("{")
    with pytest.raises(NanosegError, match="damaged or not a JSON file"):
        write_sample(tmp_path, sample("a"))
    assert (tmp_path / "annotations.json").read_text() == "{"


def test_annotations_may_be_of_other_kinds(tmp_path: Path) -> None:
    for name in ("label", "region", "array"):
        write_image(tmp_path / "images" / f"{name}.png", image())
    (tmp_path / "images" / "Thumbs.db").write_bytes(b"x")
    labels = sample("x").instances.to_labels() % 99
    write_labels(tmp_path / "masks" / "label.png", labels)
    np.save(tmp_path / "masks" / "array.npy", labels)
    ImagejRoi.frompoints([[3, 2], [12, 2], [12, 9], [3, 9]]).tofile(tmp_path / "masks" / "region.roi")
    assert {one.name: len(one.instances) for one in open_dataset(tmp_path)} == {"label": 2, "region": 1, "array": 2}


def test_an_image_without_particles_is_allowed_beside_others(tmp_path: Path) -> None:
    write_sample(tmp_path, Sample(image(), Instances.empty(SHAPE), name="a"))
    with pytest.raises(NanosegError, match="has a particle"):
        open_dataset(tmp_path)
    write_sample(tmp_path, sample("b"))
    assert [len(one.instances) for one in open_dataset(tmp_path)] == [0, 2]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NanosegError, match="no folder 'images'"):
        open_dataset(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(NanosegError, match="has no image"):
        open_dataset(tmp_path)
    write_sample(tmp_path, sample("a"))
    for name in ("b", "c"):
        write_image(tmp_path / "images" / f"{name}.tif", image())
    with pytest.raises(NanosegError, match=r"b\.tif has no annotation \(and 1 more\)"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("folder", ["images", "masks"])
def test_two_files_of_one_name_are_refused(tmp_path: Path, folder: str) -> None:
    write_sample(tmp_path, sample("a"))
    write_image(tmp_path / folder / "a.png", image())
    with pytest.raises(NanosegError, match="have the same name; rename one of them"):
        open_dataset(tmp_path)


def test_other_shapes_and_stacks_are_refused(tmp_path: Path) -> None:
    write_sample(tmp_path, sample("a"))
    write_labels(tmp_path / "masks" / "a.tif", np.ones((5, 6), dtype=int))
    with pytest.raises(NanosegError, match=r"a\.tif annotates an image of shape \(5, 6\)"):
        open_dataset(tmp_path)
    write_image(tmp_path / "images" / "a.tif", Image(np.arange(60.0).reshape(3, 4, 5), "ZYX"))
    with pytest.raises(NanosegError, match="is a stack"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".a"])
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(NanosegError, match="not a file name"):
        write_sample(tmp_path / "data", sample(name))
    assert not any(tmp_path.iterdir())


def test_a_folder_that_takes_no_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(NanosegError, match="a part of the path is a file"):
        write_sample(tmp_path / "file", sample("a"))


def test_emps_is_a_dataset(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "emps")
    assert len(dataset) == 357
    for index in range(0, 357, 60):
        one = dataset[index]
        labels = read_label_array(shared_data / "emps" / "masks" / f"{one.name}.png")
        assert np.array_equal(one.instances.to_labels(), labels)
        assert len(one.instances) == len(np.unique(labels)) - 1
