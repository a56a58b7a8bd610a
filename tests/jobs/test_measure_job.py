"""The measure job: files in, table, figure and run record out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from followed import events_of

from napari_nanoseg import Calibration, Image, Instances, NanosegError, Sample, measure, write_sample
from napari_nanoseg import run as ns_run
from napari_nanoseg.config.measure import MeasureConfig, MeasureJob
from napari_nanoseg.events import JobResult, Notice, Progress, Stage
from napari_nanoseg.io.datasets import write_coco
from napari_nanoseg.io.images import write_image, write_labels
from napari_nanoseg.io.tables import read_table
from napari_nanoseg.jobs.measure import measure_job


@pytest.fixture
def labels():
    image = np.zeros((60, 80), np.int32)
    for number, (row, column) in enumerate(((5, 5), (5, 30), (30, 10), (30, 50)), start=1):
        image[row : row + 10 + number, column : column + 12] = 3 * number
    image[-2:, 70:] = 20
    return image


def run(job):
    """All events of a job and its result."""
    return events_of(lambda: measure_job(job))


def notices(events):
    return [event.message for event in events if isinstance(event, Notice)]


def test_one_label_image_with_its_own_pixel_size(tmp_path, labels):
    source = tmp_path / "räume mit ö" / "particles.tif"
    write_labels(source, labels, Calibration.of(2.0))
    before = hashlib.sha256(source.read_bytes()).hexdigest()
    out = tmp_path / "new folder" / "table.csv"
    events, result = run(MeasureJob(labels=(source,), out=out))
    assert isinstance(events[0], Stage)
    assert Progress(1, 1, "images") in events
    assert notices(events) == []
    expected = measure(labels, Calibration.of(2.0))
    table = read_table(out)
    assert list(table.columns) == list(expected.columns)
    for name in expected:
        assert table[name].tolist() == pytest.approx(expected[name].tolist(), rel=1e-12)
    assert isinstance(result, JobResult)
    assert (result.figures["n"], result.figures["n_border"]) == (4, 1)
    assert result.figures["d50_nm"] == pytest.approx(expected["equivalent_diameter_nm"][:4].median())
    json.dumps(dict(result.figures), allow_nan=False)
    assert set(result.files) == {"table", "distribution_png", "distribution_svg", "run_record"}
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "table.csv", "table.csv.run.yaml", "table_distribution.png", "table_distribution.svg",
    ]  # fmt: skip
    assert "Equivalent diameter (nm)" in (out.parent / "table_distribution.svg").read_text("utf-8")
    record = yaml.safe_load((out.parent / "table.csv.run.yaml").read_text("utf-8"))
    assert record["inputs"] == {str(source): before}
    assert record["figures"] == result.figures
    assert MeasureJob.parse(record["config"]).labels == (source,)


def test_a_repeated_run_writes_the_same_bytes(tmp_path, labels):
    write_labels(tmp_path / "a.tif", labels)
    contents = []
    for folder in ("one", "two"):
        result = measure_job(MeasureJob(labels=(tmp_path / "a.tif",), out=tmp_path / folder / "t.csv"))
        names = ("table", "distribution_png", "distribution_svg")
        contents.append([Path(result.files[name]).read_bytes() for name in names])
    assert contents[0] == contents[1]


def test_a_folder_gets_a_column_with_the_image(tmp_path, labels):
    write_labels(tmp_path / "in" / "b.tif", labels)
    write_labels(tmp_path / "in" / "a.png", np.where(labels == 3, 3, 0))
    out = tmp_path / "table.xlsx"
    _events, result = run(MeasureJob(labels=(tmp_path / "in",), config=MeasureConfig(pixel_size_nm=4), out=out))
    table = read_table(out)
    assert table.columns[:2].tolist() == ["image", "label"]
    assert table["image"].tolist() == ["a"] + ["b"] * 5
    assert result.figures["n"] == 5
    assert table["area_nm2"].tolist() == (table["area"] * 16).tolist()


def test_a_dataset_with_overlaps_and_micrographs(tmp_path):
    mask = np.ones((10, 10), bool)
    instances = Instances.from_masks((30, 30), [[5, 5, 15, 15], [10, 10, 20, 20]], [mask, mask])
    micrograph = Image(np.arange(900, dtype=np.uint16).reshape(30, 30), "YX", Calibration.of(0.5))
    write_sample(tmp_path / "set", Sample(micrograph, instances, name="x"))
    job = MeasureJob(labels=(tmp_path / "set",), images=(tmp_path / "set",), out=tmp_path / "t.csv")
    events, _result = run(job)
    table = read_table(tmp_path / "t.csv")
    assert table["area"].tolist() == [100, 100]
    assert table["area_nm2"].tolist() == [25, 25]
    assert table["mean_intensity"][0] == micrograph.data[5:15, 5:15].mean()
    assert notices(events) == []


def test_stacks_are_measured_slice_by_slice_also_beside_images(tmp_path, labels):
    other = np.where(labels == 3, 3, 0)
    write_labels(tmp_path / "in" / "stack.tif", np.stack([labels, other]), Calibration.of(2.0))
    out = tmp_path / "t.csv"
    measure_job(MeasureJob(labels=(tmp_path / "in",), out=out, overwrite=True))
    table = read_table(out)
    assert table.columns[:2].tolist() == ["slice", "label"]
    assert table.equals(measure(np.stack([labels, other]), Calibration.of(2.0)).astype(table.dtypes))
    write_labels(tmp_path / "in" / "plane.tif", labels, Calibration.of(2.0))
    measure_job(MeasureJob(labels=(tmp_path / "in",), out=out, overwrite=True))
    table = read_table(out)
    assert table.columns[:3].tolist() == ["image", "slice", "label"]
    assert table.groupby("image")["slice"].max().to_dict() == {"plane": 0, "stack": 1}


def test_config_beats_label_tags_beat_the_micrograph(tmp_path, labels):
    write_image(tmp_path / "image" / "a.tif", Image(np.arange(4800.0).reshape(60, 80), "YX", Calibration.of(7.0)))
    write_labels(tmp_path / "plain" / "a.png", labels)
    write_labels(tmp_path / "tagged" / "a.tif", labels, Calibration.of(3.0))
    images = (tmp_path / "image" / "a.tif",)

    def size(folder, **config):
        out = tmp_path / "t.csv"
        job = MeasureJob(labels=(tmp_path / folder,), images=images, out=out, config=config, overwrite=True)
        measure_job(job)
        table = read_table(tmp_path / "t.csv")
        return (table["perimeter_nm"] / table["perimeter"])[0]

    assert size("plain") == pytest.approx(7)
    assert size("tagged") == pytest.approx(3)
    assert size("tagged", pixel_size_nm=11) == pytest.approx(11)


def test_what_the_user_should_know_is_said(tmp_path, labels):
    write_labels(tmp_path / "a.png", labels)
    for name in ("other", "third"):
        write_image(tmp_path / "images" / f"{name}.tif", Image(np.arange(4800.0).reshape(60, 80)))
    job = MeasureJob(labels=(tmp_path / "a.png",), images=(tmp_path / "images",), out=tmp_path / "t.csv")
    events, result = run(job)
    said = " ".join(notices(events))
    assert "pixel size is not known" in said
    assert "no labels called other" in said
    assert "a has no micrograph" in said
    assert "d50" in result.figures
    assert "mean_intensity" not in read_table(tmp_path / "t.csv")


def test_one_micrograph_belongs_to_one_label_image_whatever_its_name(tmp_path, labels):
    write_labels(tmp_path / "a_labels.png", labels)
    write_image(tmp_path / "a.tif", Image(np.arange(4800.0).reshape(60, 80), "YX", Calibration.of(2.0)))
    job = MeasureJob(labels=(tmp_path / "a_labels.png",), images=(tmp_path / "a.tif",), out=tmp_path / "t.csv")
    measure_job(job)
    assert {"mean_intensity", "area_nm2"} <= set(read_table(tmp_path / "t.csv"))


def test_no_particles_still_make_a_table(tmp_path):
    write_labels(tmp_path / "a.tif", np.zeros((9, 9), int))
    events, result = run(MeasureJob(labels=(tmp_path / "a.tif",), out=tmp_path / "t.csv"))
    assert result.figures["n"] == 0
    assert len(read_table(tmp_path / "t.csv")) == 0
    assert any("No particle" in message for message in notices(events))
    assert "distribution_png" not in result.files


def refused(match, **fields):
    with pytest.raises(NanosegError, match=match):
        measure_job(MeasureJob(**fields))


def test_bad_input_is_refused_and_nothing_is_written(tmp_path, labels):
    write_labels(tmp_path / "a.tif", labels)
    write_labels(tmp_path / "b" / "a.tif", labels)
    write_labels(tmp_path / "size" / "c.tif", labels, Calibration.of(1.0))
    write_labels(tmp_path / "stack.tif", np.stack([labels, labels]))
    write_image(tmp_path / "grey.tif", Image(np.arange(4800.0).reshape(60, 80)))
    write_image(tmp_path / "small" / "a.tif", Image(np.arange(12.0).reshape(3, 4)))
    (tmp_path / "empty").mkdir()
    before = sorted(tmp_path.rglob("*"))
    a, out = tmp_path / "a.tif", tmp_path / "out" / "t.csv"
    refused("gone.tif", labels=(tmp_path / "gone.tif",), out=out)
    refused("no label images", labels=(tmp_path / "empty",), out=out)
    refused("called a", labels=(a, tmp_path / "b"), out=out)
    refused("called a|same name", labels=(a,), images=(a, tmp_path / "b"), out=out)
    refused("pixel size of a is not known", labels=(a, tmp_path / "size"), out=out)
    refused(r"\(60, 80\).*\(2, 60, 80\)", labels=(tmp_path / "stack.tif",), images=(tmp_path / "grey.tif",), out=out)
    refused(r"a\.tif.*\(3, 4\)", labels=(a,), images=(tmp_path / "small",), out=out)
    refused(r"\.xlsx", labels=(a,), out=tmp_path / "out" / "t.txt")
    assert sorted(tmp_path.rglob("*")) == before
    for wrong in ({"labels": []}, {"labels": ["a"], "config": {"pixel_size_nm": 0}}, {"labels": ["a"], "pixels": 3}):
        with pytest.raises(NanosegError, match=r"labels|pixel_size_nm|pixels"):
            MeasureJob.parse({"out": "t.csv"} | wrong)


def test_the_job_survives_yaml(tmp_path):
    job = MeasureJob(labels=(tmp_path / "a b.tif",), out=tmp_path / "t.csv", config=MeasureConfig(pixel_size_nm=1.5))
    assert MeasureJob.parse(yaml.safe_load(job.to_yaml())) == job


def test_overlapping_particles_of_a_coco_file_are_measured_whole(tmp_path):
    rows, columns = np.mgrid[:31, :31]
    disc = (rows - 15) ** 2 + (columns - 15) ** 2 < 15**2
    discs = Instances.from_masks((50, 70), [(5, 5, 36, 36), (5, 20, 36, 51)], [disc, disc], [0.6, 0.9])
    write_coco(tmp_path / "all.json", {"grains": discs})
    measure_job(MeasureJob(labels=(tmp_path / "all.json",), out=tmp_path / "t.csv"))
    table = read_table(tmp_path / "t.csv")
    area = np.count_nonzero(disc)
    assert table["area"].tolist() == [area, area]
    assert area == pytest.approx(np.pi * 15**2, rel=0.02)
    assert table["score"].tolist() == pytest.approx([0.6, 0.9])
    assert (np.diff(table["centroid_column"]), np.diff(table["centroid_row"])) == ([15], [0])
    write_labels(tmp_path / "labels.tif", discs.to_labels())
    measure_job(MeasureJob(labels=(tmp_path / "labels.tif",), out=tmp_path / "visible.csv"))
    assert read_table(tmp_path / "visible.csv")["area"].tolist() == [np.count_nonzero(discs.to_labels() == 1), area]
    content = json.loads((tmp_path / "all.json").read_text("utf-8"))
    for entry in content["images"]:
        del entry["height"], entry["width"]
    (tmp_path / "all.json").write_text(json.dumps(content), "utf-8")
    write_image(
        tmp_path / "grains.tif", Image(np.arange(50 * 70, dtype=float).reshape(50, 70), "YX", Calibration.of(2))
    )
    job = MeasureJob(labels=(tmp_path / "all.json",), images=(tmp_path / "grains.tif",), out=tmp_path / "sized.csv")
    measure_job(job)
    table = read_table(tmp_path / "sized.csv")
    assert table["area_nm2"].tolist() == [4 * area, 4 * area]
    assert table["mean_intensity"].tolist() == pytest.approx([20 * 70 + 20, 20 * 70 + 35])


def test_a_micrograph_is_not_measured(tmp_path):
    pixels = np.random.default_rng(0).normal(120, 20, (80, 80)).clip(0, 255).astype(np.uint8)
    write_image(tmp_path / "a.tif", pixels)
    out = tmp_path / "table.csv"
    with pytest.raises(NanosegError, match=r"a\.tif looks like a grey image, not like labels .* swapped"):
        ns_run(MeasureJob(labels=(tmp_path / "a.tif",), out=out))
    assert not out.exists()
