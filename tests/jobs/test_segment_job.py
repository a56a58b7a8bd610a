"""The segmentation job: a label image and a run record for each image, whatever it is called and stored as."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import yaml
from followed import events_of, leave_at
from PIL import Image as Picture

from napari_nanoseg.config.segment import SegmentConfig, SegmentJob
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.matching import evaluate
from napari_nanoseg.events import Notice, Progress, Stage
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.annotations import read_coco
from napari_nanoseg.io.images import expand, read_image, read_label_array, write_image
from napari_nanoseg.io.run_record import sha256
from napari_nanoseg.jobs.segment import segment_job
from napari_nanoseg.samples import Image, Sample


@pytest.fixture(scope="module")
def sample(make_sample: Callable[..., Sample]) -> Sample:
    return make_sample("unseen", 3, shape=(128, 160))


@pytest.fixture
def images(sample: Sample, tmp_path: Path) -> list[Path]:
    """The same micrograph under difficult names and in several formats."""
    folder = tmp_path / "Bilder für Größe"
    folder.mkdir()
    grey = sample.image.data
    write_image(folder / "Größe 1 µm.tif", sample.image)
    Picture.fromarray(grey).save(folder / "b c.png")
    Picture.fromarray(np.stack([grey] * 3, axis=-1)).save(folder / "rgb.png")
    tinted = np.stack([grey, grey // 2, grey // 3], axis=-1)
    Picture.fromarray(tinted).save(folder / "tinted.png")
    tifffile.imwrite(folder / "sixteen.tif", grey.astype(np.uint16) * 200 + 1000)
    tifffile.imwrite(folder / "float.tif", grey.astype(np.float32) / 255)
    np.save(folder / "array.npy", grey)
    return sorted(folder.iterdir())


def job_of(model: Path, images: list[Path], out: Path, **changes: object) -> SegmentJob:
    return SegmentJob(model=model, images=tuple(images), out=out, config=SegmentConfig(device="cpu"), **changes)


def labels_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.tif"))


def test_every_kind_of_image_gets_its_labels_and_its_record(disc_model, sample, images, tmp_path):
    job = job_of(disc_model, images, tmp_path / "Ergebnis ä")
    events, result = events_of(lambda: segment_job(job))
    assert labels_in(job.out) == sorted(path.stem for path in images)
    for path in images:
        labels = read_label_array(job.out / f"{path.stem}.tif")
        assert labels.shape == sample.image.data.shape
        assert evaluate(sample.instances, Instances.from_labels(labels)).f1 > 0.9, path.name
        record = yaml.safe_load((job.out / f"{path.stem}.run.yaml").read_text(encoding="utf-8"))
        assert SegmentJob.parse(record["config"]) == job
        assert record["inputs"] == {str(path): sha256(path), str(disc_model): sha256(disc_model)}
        assert record["figures"] == {"particles": len(np.unique(labels)) - 1}
        assert record["device"] == "cpu"
    assert result.figures["images"] == len(images)
    assert set(result.files.values()) == {str(job.out / f"{path.stem}.tif") for path in images}
    counts = [event.done for event in events if isinstance(event, Progress) and event.unit == "images"]
    assert counts == list(range(len(images) + 1))


def test_the_diameter_of_every_image_is_in_its_record_and_in_the_figures(disc_model, sample, images, tmp_path):
    any_size = Path(shutil.copytree(disc_model, tmp_path / "any size"))
    card = yaml.safe_load((any_size / "model.yaml").read_text(encoding="utf-8")) | {"training_diameter": None}
    (any_size / "model.yaml").write_text(yaml.safe_dump(card, sort_keys=False), encoding="utf-8")
    given = images[:2]
    estimated, told, own = (
        segment_job(job.model_copy(update={"config": SegmentConfig(device="cpu", diameter=diameter)}))
        for job, diameter in (
            (job_of(any_size, given, tmp_path / "estimated"), None),
            (job_of(any_size, given, tmp_path / "told"), 21),
            (job_of(disc_model, given, tmp_path / "own"), None),
        )
    )  # fmt: skip

    def recorded(out: str) -> list[object]:
        records = [yaml.safe_load((tmp_path / out / f"{path.stem}.run.yaml").read_text("utf-8")) for path in given]
        return [record["figures"].get("diameter_px") for record in records]

    found = recorded("estimated")
    assert found == pytest.approx([20, 20], rel=0.25)
    assert recorded("told") == [21, 21]
    assert recorded("own") == [None, None]
    for result, diameters in ((estimated, found), (told, [21, 21]), (own, [None, None])):
        assert result.figures["diameters"] == [
            {"image": path.stem, "diameter_px": diameter} for path, diameter in zip(given, diameters, strict=True)
        ]


def test_labels_keep_the_pixel_size(disc_model, images, tmp_path):
    (calibrated,) = (path for path in images if path.stem == "Größe 1 µm")
    segment_job(job_of(disc_model, [calibrated], tmp_path))
    assert read_image(tmp_path / calibrated.name).calibration.nm_per_pixel == pytest.approx(2)


def test_a_folder_stands_for_its_images(disc_model, images, tmp_path):
    segment_job(job_of(disc_model, [images[0].parent], tmp_path / "folder"))
    segment_job(job_of(disc_model, images, tmp_path / "files"))
    files = [{path.name: path.read_bytes() for path in (tmp_path / d).glob("*.tif")} for d in ("folder", "files")]
    assert len(files[0]) == len(images)
    assert files[0] == files[1]


def test_a_stack_becomes_a_stack_of_labels(disc_model, make_sample, tmp_path):
    slices = [make_sample("s", seed, shape=(96, 128)) for seed in (4, 5, 6)]
    tifffile.imwrite(
        tmp_path / "stack.tif",
        np.stack([s.image.data for s in slices]),
        photometric="minisblack",
        metadata={"axes": "ZYX"},
    )
    segment_job(job_of(disc_model, [tmp_path / "stack.tif"], tmp_path / "out"))
    with tifffile.TiffFile(tmp_path / "out" / "stack.tif") as file:
        assert file.series[0].axes == "ZYX"
    labels = read_label_array(tmp_path / "out" / "stack.tif")
    assert labels.shape == (3, 96, 128)
    for truth, found in zip(slices, labels, strict=True):
        assert evaluate(truth.instances, Instances.from_labels(found)).f1 > 0.9
    numbers = [set(np.unique(found[found > 0]).tolist()) for found in labels]
    assert len(set.union(*numbers)) == sum(map(len, numbers))


def test_coco_holds_the_same_objects_for_all_images(disc_model, images, tmp_path):
    coco = tmp_path / "alle Objekte.json"
    result = segment_job(job_of(disc_model, images[:2], tmp_path / "out", coco=coco))
    assert result.files["coco"] == str(coco)
    found = read_coco(coco)
    assert set(found) == {path.stem for path in images[:2]}
    for name, entry in found.items():
        labels = read_label_array(tmp_path / "out" / f"{name}.tif")
        objects = entry.instances(labels.shape, name)
        assert sorted(objects.areas) == sorted(Instances.from_labels(labels).areas)
        assert (objects.scores < 1).all()
    assert len(json.loads(coco.read_text(encoding="utf-8"))["annotations"]) == result.figures["particles"]


def test_a_stack_cannot_be_in_a_coco_file_and_is_refused_before_any_work(disc_model, sample, images, tmp_path):
    stack = tmp_path / "stack.tif"
    tifffile.imwrite(stack, np.stack([sample.image.data] * 2), photometric="minisblack", metadata={"axes": "ZYX"})
    job = job_of(disc_model, [images[0], stack], tmp_path / "out", coco=tmp_path / "all.json")
    with pytest.raises(NanosegError, match=r"stack\.tif.*COCO"):
        segment_job(job)
    assert not (tmp_path / "out" / "stack.tif").exists()


def test_cancelled_after_the_first_image_it_keeps_that_one_whole(disc_model, images, tmp_path):
    coco = tmp_path / "all.json"
    job = job_of(disc_model, images, tmp_path / "out", coco=coco)
    leave_at(
        lambda event: isinstance(event, Stage) and event.name == "segment" and bool(labels_in(job.out)),
        lambda: segment_job(job),
    )
    first = images[0].stem
    assert {path.name for path in job.out.iterdir()} == {f"{first}.tif", f"{first}.run.yaml"}
    assert set(read_coco(coco)) == {first}
    read_label_array(job.out / f"{first}.tif")


def test_an_image_without_particles_is_noticed_and_gets_empty_labels(disc_model, tmp_path):
    noise = np.random.default_rng(0).normal(100, 5, (96, 96)).clip(0, 255).astype(np.uint8)
    write_image(tmp_path / "leer.tif", Image(noise))
    config = SegmentConfig(device="cpu", probability=1)
    job = SegmentJob(model=disc_model, images=(tmp_path / "leer.tif",), out=tmp_path / "out", config=config)
    events, result = events_of(lambda: segment_job(job))
    assert any(isinstance(event, Notice) and "leer.tif: no particle" in event.message for event in events)
    assert result.figures["particles"] == 0
    assert not read_label_array(tmp_path / "out" / "leer.tif").any()


@pytest.mark.parametrize("stem", ["overflow", "second"])
def test_a_bad_image_keeps_what_was_finished_before_it(disc_model, images, tmp_path, stem):
    bad = tmp_path / f"{stem}.tif"
    bad.write_bytes(b"II*\0 this is no TIFF")
    job = job_of(disc_model, [images[0], bad, images[1]], tmp_path / "out", coco=tmp_path / "all.json")
    with pytest.raises(NanosegError, match=f"{stem}.tif"):
        segment_job(job)
    assert labels_in(job.out) == [images[0].stem]
    assert set(read_coco(tmp_path / "all.json")) == {images[0].stem}


def test_results_never_replace_the_images_they_come_from(disc_model, images):
    tif = next(path for path in images if path.suffix == ".tif")
    before = tif.read_bytes()
    with pytest.raises(NanosegError, match="would replace"):
        segment_job(job_of(disc_model, [tif], tif.parent))
    assert tif.read_bytes() == before
    assert not tif.with_suffix(".run.yaml").exists()


def test_one_label_image_for_two_images_is_refused(disc_model, images, tmp_path):
    other = tmp_path / images[0].with_suffix(".jpg").name
    shutil.copy(images[0], other)
    with pytest.raises(NanosegError, match="would write the same file"):
        segment_job(job_of(disc_model, [images[0], other], tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_same_image_named_twice_is_segmented_once(images):
    assert expand((images[0], images[0].parent, images[0])) == images


def test_missing_images_and_empty_folders_are_refused(tmp_path):
    with pytest.raises(NanosegError, match=r"no image .*nowhere\.tif"):
        expand((tmp_path / "nowhere.tif",))
    with pytest.raises(NanosegError, match="no image in"):
        expand((tmp_path,))


def test_the_model_is_left_as_it_was(disc_model, images, tmp_path):
    before = sha256(disc_model)
    segment_job(job_of(disc_model, images[:1], tmp_path))
    assert sha256(disc_model) == before
    assert load_model(disc_model).card.weights_sha256


def test_a_model_is_asked_for_by_its_name_and_recorded_with_its_path(disc_model, images, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_nanoseg.io.model_library.models_folder", lambda: tmp_path / "library")
    discs = shutil.copytree(disc_model, tmp_path / "library" / "discs")
    monkeypatch.chdir(tmp_path)
    segment_job(job_of(Path("discs"), images[:1], tmp_path / "named"))
    segment_job(job_of(discs, images[:1], tmp_path / "by path"))
    name = images[0].stem
    labels = [read_label_array(tmp_path / out / f"{name}.tif") for out in ("named", "by path")]
    np.testing.assert_array_equal(*labels)
    record = yaml.safe_load((tmp_path / "named" / f"{name}.run.yaml").read_text(encoding="utf-8"))
    assert record["inputs"][str(discs)] == sha256(discs)
    assert record["config"]["model"] == str(discs)
    with pytest.raises(NanosegError, match="choose one of these: starter, watershed, threshold, discs"):
        segment_job(job_of(Path("disks"), images[:1], tmp_path / "unknown"))
    assert not (tmp_path / "unknown").exists()


def test_a_network_says_that_it_has_no_use_for_parameters_of_a_watershed(disc_model, images, tmp_path):
    job = job_of(disc_model, images[:1], tmp_path)
    assert not [event for event in events_of(lambda: segment_job(job))[0] if isinstance(event, Notice)]
    wishes = SegmentConfig.parse({"baseline": {"smoothing": 3.0}}, "options")
    told = job.model_copy(update={"config": wishes, "overwrite": True})
    (notice,) = [event for event in events_of(lambda: segment_job(told))[0] if isinstance(event, Notice)]
    assert "are not used" in notice.message


@pytest.mark.parametrize("model", ["starter", "watershed"])
def test_an_image_of_one_value_does_not_end_a_batch(model, images, tmp_path):
    flat = tmp_path / "flat.tif"
    write_image(flat, Image(np.full((60, 70), 9, np.uint8)))
    events, result = events_of(
        lambda: segment_job(SegmentJob(model=Path(model), images=(flat, images[0]), out=tmp_path / "out"))
    )
    said = [event.message for event in events if isinstance(event, Notice)]
    assert any("flat" in text and "all pixels are the same" in text for text in said)
    assert result.figures["images"] == 2
    empty = read_label_array(tmp_path / "out" / "flat.tif")
    assert empty.shape == (60, 70)
    assert not empty.any()
