"""A dataset is looked at as a whole: no file hides the others, and every odd one is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from followed import events_of
from typer.testing import CliRunner

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.cli.app import app
from napari_nanoseg.config.check import CheckJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult, Notice, Progress
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.datasets import write_sample
from napari_nanoseg.io.images import write_image, write_labels
from napari_nanoseg.jobs.check import check_job
from napari_nanoseg.samples import Image, Sample

MakeSample = Callable[..., Sample]


@pytest.fixture
def dataset(tmp_path: Path, make_sample: MakeSample) -> Path:
    """Two sound images in a folder whose name is not plain ASCII."""
    folder = tmp_path / "Proben größe 1"
    for seed, name in enumerate("ab"):
        write_sample(folder, make_sample(name, seed))
    return folder


def check(folder: Path) -> JobResult:
    return check_job(CheckJob(dataset=folder))


def sentences(folder: Path, severity: str) -> list[str]:
    return [finding["sentence"] for finding in check(folder).figures["findings"] if finding["severity"] == severity]


def test_nothing_is_said_about_a_sound_dataset(dataset: Path, make_sample: MakeSample) -> None:
    figures = check(dataset).figures
    particles = sum(len(make_sample(name, seed).instances) for seed, name in enumerate("ab"))
    assert figures == {"images": 2, "particles": particles, "problems": 0, "warnings": 0, "findings": []}


@pytest.mark.parametrize("name", ["Thumbs.db", "desktop.ini", ".DS_Store", "._a.tif"])
def test_what_systems_leave_behind_is_not_mentioned(dataset: Path, name: str) -> None:
    for folder in ("images", "masks"):
        (dataset / folder / name).write_bytes(b"\0\1")
    assert check(dataset).figures["findings"] == []


@pytest.mark.parametrize("dtype", [np.int32, np.int16, np.uint16, np.float32, np.bool_])
def test_images_of_any_type_of_numbers_are_fine(dataset: Path, make_sample: MakeSample, dtype: type) -> None:
    sample = make_sample("c", 3)
    pixels = sample.image.data > 110 if dtype is np.bool_ else sample.image.data.astype(dtype)
    write_sample(dataset, replace(sample, image=replace(sample.image, data=pixels)))
    assert check(dataset).figures["problems"] == 0


def test_one_bad_file_does_not_hide_the_others(dataset: Path, make_sample: MakeSample) -> None:
    (dataset / "images" / "a.tif").write_bytes(b"II*\0 damaged")
    (dataset / "masks" / "c.tif").write_bytes(b"")
    write_image(dataset / "images" / "c.tif", make_sample("c", 3).image)
    write_image(dataset / "images" / "d.tif", make_sample("d", 4).image)
    labels = make_sample("e", 5).instances.to_labels()
    labels[labels == 3] = 1
    write_sample(dataset, replace(make_sample("e", 5), instances=Instances.from_labels(labels)))
    problems = sentences(dataset, "problem")
    assert len(problems) == 4
    assert "d.tif has no annotation" in problems[0]
    assert "a.tif is damaged" in problems[1]
    assert "c.tif is empty" in problems[2]
    assert "Label 1 is in 2 pieces" in problems[3]
    found = check(dataset).figures["findings"]
    assert [finding["image"] for finding in found] == ["d", "a", "c", "e"]
    assert found[-1]["label"] == 1
    assert labels[tuple(found[-1]["position"])] == 1


def test_odd_files_are_named(dataset: Path) -> None:
    (dataset / "images" / "notes.docx").write_bytes(b"x")
    (dataset / "masks" / "old").mkdir()
    (dataset / "masks" / "z.tif").write_bytes((dataset / "masks" / "a.tif").read_bytes())
    write_image(dataset / "known" / "y.png", Image(np.eye(9, dtype=bool)))
    (dataset / "images" / "a.png").write_bytes((dataset / "images" / "a.tif").read_bytes())
    warnings = sentences(dataset, "warning")
    for name in ("notes.docx is not used", "old is not used", "z.tif belongs to no image", "y.png belongs to no image"):
        assert any(name in sentence for sentence in warnings), name
    (double,) = sentences(dataset, "problem")
    assert "a.png" in double
    assert "a.tif have the same name" in double
    assert check(dataset).figures["images"] == 2


def test_a_mask_or_known_region_of_another_size_is_a_problem(dataset: Path) -> None:
    write_labels(dataset / "masks" / "a.tif", np.ones((20, 30), np.int32))
    write_image(dataset / "known" / "b.png", Image(np.eye(9, dtype=bool)))
    one, other = sentences(dataset, "problem")
    assert "(20, 30)" in one
    assert "known region" in other


def test_a_damaged_coco_file_and_its_strangers_are_told(dataset: Path) -> None:
    coco = dataset / "annotations.json"
    coco.write_text("{")
    assert "annotations.json: it is damaged or not a JSON file (line 1" in sentences(dataset, "problem")[0]
    coco.write_text(json.dumps({"images": [{"id": 1, "file_name": "z.tif"}], "annotations": []}))
    assert sentences(dataset, "problem") == []
    assert "describes z, but" in sentences(dataset, "warning")[0]


def test_few_particles_count_in_the_whole_dataset(tmp_path: Path, make_sample: MakeSample) -> None:
    for number, kept in enumerate(([0, 1], [2, 3], []), 1):
        sample = make_sample(f"image {number}", number)
        write_sample(tmp_path, replace(sample, instances=sample.instances[np.array(kept, int)]))
    assert "Only 4 particles are outlined in the whole dataset" in " ".join(sentences(tmp_path, "warning"))
    assert "taught as background" in " ".join(sentences(tmp_path, "information"))
    write_sample(tmp_path, make_sample("image 4", 4))
    assert "whole dataset" not in " ".join(sentences(tmp_path, "warning"))


def test_a_dataset_without_particles_is_a_problem(tmp_path: Path, make_sample: MakeSample) -> None:
    sample = make_sample("a", 1)
    write_sample(tmp_path, replace(sample, instances=Instances.empty(sample.image.plane_shape)))
    assert "No particle is outlined in the whole dataset" in sentences(tmp_path, "problem")[0]


def test_pixel_sizes_of_only_some_images_are_a_problem(dataset: Path, make_sample: MakeSample) -> None:
    sample = make_sample("c", 3)
    write_sample(dataset, replace(sample, image=replace(sample.image, calibration=Calibration())))
    (told,) = sentences(dataset, "problem")
    assert "pixel size of some images" in told


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NanosegError, match="no folder 'images'"):
        check(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(NanosegError, match="has no image"):
        check(tmp_path)


def test_findings_come_as_notices_while_it_runs(dataset: Path) -> None:
    (dataset / "images" / "a.tif").write_bytes(b"II*\0 damaged")
    events = events_of(lambda: check_job(CheckJob(dataset=dataset)))[0]
    notices = [event.message for event in events if isinstance(event, Notice)]
    assert len(notices) == 1
    assert notices[0].startswith("Problem in a: ")
    assert [(event.done, event.total) for event in events if isinstance(event, Progress)] == [(1, 2), (2, 2)]


def test_the_command_tells_people_and_programs(dataset: Path) -> None:
    (dataset / "masks" / "z.tif").write_bytes(b"")
    people = CliRunner().invoke(app, ["check", str(dataset)])
    assert people.exit_code == 0
    assert "warnings: 1" in people.stdout
    assert "findings" not in people.stdout
    assert "Warning: " in people.stderr
    assert "z.tif belongs to no image" in people.stderr
    programs = CliRunner().invoke(app, ["check", str(dataset), "--json"])
    (finding,) = json.loads(programs.stdout)["findings"]
    assert finding["severity"] == "warning"
    assert finding["image"] is None


@pytest.fixture
def cracked(tmp_path: Path) -> Path:
    """Two images with a crack each, in masks of 0 and 255."""
    folder = tmp_path / "cracks"
    for seed, name in enumerate("ab"):
        mask = np.zeros((40, 50), np.uint8)
        mask[18:22, 5:45] = 255
        pixels = np.where(mask, 60, 180) + np.random.default_rng(seed).integers(0, 20, mask.shape)
        write_image(folder / "images" / f"{name}.tif", Image(pixels.astype(np.uint8)))
        write_labels(folder / "masks" / f"{name}.tif", mask.astype(np.int32))
    return folder


def check_classes(folder: Path, **values: object) -> JobResult:
    return check_job(CheckJob(dataset=folder, **{"labels": "dense", **values}))


def test_masks_of_classes_are_counted(cracked: Path) -> None:
    figures = check_classes(cracked).figures
    assert figures == {
        "images": 2, "pixels": {"background": 3680, "crack": 320}, "problems": 0, "warnings": 0, "findings": [],
    }  # fmt: skip


def test_what_spoils_a_training_on_classes_is_told(cracked: Path) -> None:
    mask = np.full((40, 50), 255, np.int32)
    mask[20, :] = 0
    write_labels(cracked / "masks" / "a.tif", mask)
    write_labels(cracked / "masks" / "b.tif", np.zeros((40, 50), np.int32))
    (cracked / "masks" / "c.tif").write_bytes(b"")
    (cracked / "images" / "c.tif").write_bytes((cracked / "images" / "a.tif").read_bytes())
    found = {(one["image"], one["severity"]): one["sentence"] for one in check_classes(cracked).figures["findings"]}
    assert "98 % of the pixels are 'crack'; if that is the background, invert" in found["a", "warning"]
    assert "No pixel is of a class" in found["b", "information"]
    assert "c.tif is empty" in found["c", "problem"]
    mixed = check_classes(cracked, classes=("crack", "void")).figures["findings"]
    assert "has the value 255, but dense labels are" in mixed[0]["sentence"]
    assert mixed[-1]["sentence"] == "No pixel is of the class 'void'; label more of it."


def test_scribbles_need_background_and_enough_of_every_class(cracked: Path) -> None:
    for name in "ab":
        mask = np.zeros((40, 50), np.int32)
        mask[20, 5:20] = 2
        write_labels(cracked / "masks" / f"{name}.tif", mask)
    figures = check_classes(cracked, labels="sparse").figures
    assert figures["pixels"] == {"background": 0, "crack": 30}
    assert [(one["severity"], one["sentence"]) for one in figures["findings"]] == [
        ("problem", "No pixel of any mask is background; label some of it."),
        ("warning", "Only 30 pixels are of the class 'crack'; label more of it."),
    ]
    write_labels(cracked / "masks" / "a.tif", np.zeros((40, 50), np.int32))
    assert "Nothing is labelled" in check_classes(cracked, labels="sparse").figures["findings"][0]["sentence"]


def test_stacks_with_classes_are_checked_from_the_command_line(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((3, 20, 30), np.float32)
    write_image(tmp_path / "images" / "z.tif", Image(pixels, "ZYX"))
    write_labels(tmp_path / "masks" / "z.tif", np.tile(np.array([0, 1, 2], np.int32), (3, 20, 10)))
    result = CliRunner().invoke(
        app, ["check", str(tmp_path), "--labels", "dense", "--class", "crack", "--class", "void", "--json"]
    )
    figures = json.loads(result.stdout.splitlines()[-1])
    assert figures["pixels"] == {"background": 600, "crack": 600, "void": 600}
