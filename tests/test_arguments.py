"""Public functions take what data scientists have, and refuse all else in a sentence that names the argument."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_nanoseg as ns

LABELS = np.zeros((96, 128), np.uint16)
LABELS[8:20, 8:20], LABELS[60:80, 60:80], LABELS[66:86, 20:40] = 2, 7, 3
GREY = np.where(LABELS > 0, 200, 50).astype(np.uint8)
IMAGE = ns.Image(GREY, "YX", ns.Calibration.of(2.0), "a.tif")
FOUND = ns.Instances.from_labels(LABELS)


def test_numpy_takes_images_particles_and_volumes() -> None:
    np.testing.assert_array_equal(np.asarray(FOUND), LABELS)
    assert (FOUND.ndim, FOUND.dtype, np.asarray(FOUND).dtype) == (2, np.int32, np.int32)
    assert np.asarray(FOUND, np.uint8).dtype == np.uint8
    assert np.asarray(IMAGE) is GREY
    assert (IMAGE.shape, IMAGE.ndim, IMAGE.dtype) == ((96, 128), 2, np.uint8)
    assert np.asarray(IMAGE, float).dtype == float
    volume = ns.Volume(np.stack([GREY, GREY]))
    np.testing.assert_array_equal(np.asarray(volume), [GREY, GREY])
    assert (volume.shape, volume.ndim, volume.dtype) == ((2, 96, 128), 3, np.uint8)


def test_numpy_copies_when_it_is_asked_to() -> None:
    copied = np.array(IMAGE)
    assert copied is not GREY
    assert not np.shares_memory(copied, GREY)
    assert np.array(IMAGE, copy=False) is GREY
    for one in (FOUND, ns.Image(GREY.astype(float))):
        with pytest.raises(ValueError, match="copy"):
            np.array(one, np.int64, copy=False)


def test_a_lazy_image_is_read_for_numpy() -> None:
    import dask.array as da

    np.testing.assert_array_equal(np.asarray(ns.Image(da.from_array(GREY))), GREY)


def test_labels_are_read_as_particles_and_written_from_them(tmp_path: Path) -> None:
    ns.write_labels(tmp_path / "a.tif", FOUND, ns.Calibration.of(3.0))
    read = ns.read_labels(tmp_path / "a.tif")
    assert isinstance(read, ns.Instances)
    np.testing.assert_array_equal(np.asarray(read), LABELS)
    assert ns.evaluate(read, LABELS).f1 == ns.evaluate(LABELS, read).f1 == 1
    assert ns.measure(read).equals(ns.measure(LABELS))
    ns.write_image(tmp_path / "g.tif", GREY)
    np.testing.assert_array_equal(ns.read_image(tmp_path / "g.tif"), GREY)


def test_a_model_takes_fields_by_name() -> None:
    model, config = ns.load_model("threshold"), ns.SegmentConfig(min_area=200)
    assert len(model.segment(IMAGE)) == 3
    assert len(model.segment(GREY, config)) == 2
    assert len(model.segment(GREY, min_area=200)) == 2
    assert len(model.segment(GREY, config, min_area=1)) == 3
    assert len(model.segment(IMAGE, invert="no", baseline={"method": "otsu"}, tile=256)) == 3
    assert len(model.segment(ns.Volume(np.stack([GREY, GREY])))) == 6


def test_functions_take_fields_of_their_configs_by_name(tmp_path: Path) -> None:
    darker = ns.optical_density(GREY, percentile=60).image.data
    np.testing.assert_array_equal(darker, ns.optical_density(GREY, ns.DensityConfig(percentile=60)).image.data)
    config = ns.DamageConfig(window=20, stride=4)
    classes = (LABELS > 0).astype(np.uint8)[None]
    assert ns.damage(classes, config=config, window=30).config == ns.DamageConfig(window=30, stride=4)
    agreements = ns.agreement(LABELS, LABELS, pixel_size_nm=2.0, exclude_border=False)
    assert agreements["area"].unit == "nm²"
    GREY.tofile(tmp_path / "v.raw")
    assert ns.open_volume(tmp_path / "v.raw", shape=(2, 48, 128), dtype="uint8").shape == (2, 48, 128)
    nanowires = ns.NanowireConfig(height=64, width=64)
    assert next(ns.generate(nanowires, width=80, pixel_size_nm=20.0, length_nm=400.0)).image.shape == (64, 80)
    assert ns.measure(LABELS, pixel_size_nm=2.0).equals(ns.measure(LABELS, ns.Calibration.of(2.0)))


def model() -> Any:
    return ns.load_model("threshold")


TABLE = ns.measure(LABELS)
WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: ns.measure(LABELS, 2.5), r"measure: 'calibration' is 2.5, which is not a Calibration; .*Calibration.of"),
    (lambda: ns.measure(LABELS, min_area=5), r"measure has no argument 'min_area'"),
    (lambda: ns.measure(LABELS, pixel_size=5), r"no argument 'pixel_size' \(did you mean 'pixel_size_nm'\?\)"),
    (lambda: ns.measure(LABELS, pixel_size_nm="2"), r"measure: 'pixel_size_nm' is '2', which is not a number"),
    (lambda: ns.measure(LABELS, ns.Calibration.of(1), pixel_size_nm=2), r"both 'calibration' and 'pixel_size_nm'"),
    (lambda: ns.measure("labels.tif"), r"measure: 'instances' is 'labels.tif', .*read_labels\(\) first"),
    (lambda: ns.measure(Path("labels.tif")), r"measure: 'instances' is 'labels.tif', .*read_labels\(\) first"),
    (lambda: ns.measure(IMAGE), r"measure: 'instances' is Image\(.*which is not Instances or a label image"),
    (lambda: ns.measure(GREY / 3), r"measure: 'instances' is an array of shape \(96, 128\) and type float64"),
    (lambda: ns.measure(None), r"measure: 'instances' is None"),
    (lambda: ns.measure(5), r"measure: 'instances' is 5"),
    (lambda: ns.measure([[1, 2], [3]]), r"measure: 'instances' is \[\[1, 2\], \[3\]\]"),
    (lambda: ns.measure(LABELS, image="a.tif"), r"measure: 'image' is 'a.tif', .*read_image\(\) first"),
    (lambda: ns.measure(LABELS, image=FOUND), r"measure: 'image' is Instances\("),
    (lambda: ns.evaluate(LABELS, "b.tif"), r"evaluate: 'prediction' is 'b.tif'"),
    (lambda: ns.evaluate(IMAGE, LABELS), r"evaluate: 'truth' is Image\("),
    (lambda: ns.evaluate(LABELS, LABELS, "high"), r"evaluate: 'iou_threshold' is 'high', which is not a number"),
    (lambda: ns.evaluate(LABELS, LABELS, iou=0.7), r"'iou' \(did you mean 'iou_threshold'\?\)"),
    (lambda: ns.evaluate(LABELS, LABELS, size_limits=5), r"'size_limits' is 5, which is not two numbers"),
    (lambda: ns.evaluate(LABELS, LABELS, size_limits=("a", "b")), r"'size_limits' is 'a', which is not a number"),
    (lambda: ns.evaluate(LABELS, LABELS, max_detections="all"), r"'max_detections' is 'all'"),
    (lambda: ns.evaluate(LABELS, LABELS, calibration=2), r"evaluate: 'calibration' is 2"),
    (lambda: ns.agreement(LABELS, LABELS, iou=0.7), r"agreement: the field 'iou' is unknown"),
    (lambda: ns.agreement(LABELS, 3), r"agreement: 'prediction' is 3"),
    (lambda: ns.agreement(LABELS, LABELS, 0.5), r"agreement: 'config' is 0.5, which is not a EvaluateConfig"),
    (lambda: ns.agreement(LABELS, LABELS, calibration=0.5), r"agreement: 'calibration' is 0.5"),
    (lambda: model().segment(GREY, diametre=58), r"segment: the field 'diametre' is unknown.*'diameter'"),
    (lambda: model().segment(GREY, diameter=-3), r"segment: the field 'diameter' is -3: it must be more than 0"),
    (lambda: model().segment(GREY, 58), r"segment: 'config' is 58, which is not a SegmentConfig; give fields by name"),
    (lambda: model().segment("a.tif"), r"segment: 'image' is 'a.tif', .*read_image\(\) first"),
    (lambda: model().segment(FOUND), r"segment: 'image' is Instances\("),
    (lambda: model().segment(None), r"segment: 'image' is None"),
    (lambda: ns.optical_density(GREY, percentil=9), r"'percentil' is unknown.*'percentile'"),
    (lambda: ns.optical_density("a.tif"), r"optical_density: 'image' is 'a.tif'"),
    (lambda: ns.damage(LABELS[None], windows=9), r"damage: the field 'windows' is unknown.*'window'"),
    (lambda: ns.damage("classes.tif"), r"damage: 'classes' is 'classes.tif', .*open_volume\(\)"),
    (lambda: ns.damage(LABELS[None], "mask.tif"), r"damage: 'particle' is 'mask.tif'"),
    (lambda: ns.generate({"width": 3}), r"generate: 'config' is \{'width': 3\}, which is not a CutPasteConfig"),
    (lambda: ns.generate(ns.NanowireConfig(), wide=3), r"NanowireConfig: the field 'wide' is unknown"),
    (lambda: ns.generate(ns.CutPasteConfig(), 3), r"generate: 'sources' is 3"),
    (lambda: ns.fit_nanowires("images"), r"fit_nanowires: 'images' is 'images'"),
    (lambda: ns.fit_nanowires([FOUND]), r"fit_nanowires: 'images': one of them is Instances"),
    (lambda: ns.fit_nanowires([IMAGE], 3), r"fit_nanowires: 'annotated' is 3"),
    (lambda: ns.open_volume("a.raw", shap=(1, 2, 3)), r"open_volume: the field 'shap' is unknown.*'shape'"),
    (lambda: ns.open_volume(GREY), r"open_volume: 'path' is an array"),
    (lambda: ns.open_dataset(3), r"open_dataset: 'folder' is 3, which is not a path"),
    (lambda: ns.open_class_maps(3, ns.UNetConfig()), r"open_class_maps: 'folder' is 3"),
    (lambda: ns.open_class_maps("a", "unet"), r"open_class_maps: 'network' is 'unet', which is not a UNetConfig"),
    (lambda: ns.read_image(3), r"read_image: 'path' is 3, which is not a path"),
    (lambda: ns.read_labels(GREY), r"read_labels: 'path' is an array of shape \(96, 128\)"),
    (lambda: ns.load_model(None), r"load_model: 'name_or_path' is None"),
    (lambda: ns.write_image(GREY, "a.tif"), r"write_image: 'path' is an array"),
    (lambda: ns.write_image("a.tif", FOUND), r"write_image: 'image' is Instances\("),
    (lambda: ns.write_labels(FOUND, "a.tif"), r"write_labels: 'path' is Instances\("),
    (lambda: ns.write_labels("a.tif", LABELS, 2.5), r"write_labels: 'calibration' is 2.5"),
    (lambda: ns.write_volume("a.tif", GREY), r"write_volume: 'volume' is an array"),
    (lambda: ns.write_sample("a", FOUND), r"write_sample: 'sample' is Instances\("),
    (lambda: ns.size_summary(LABELS), r"'table' is an array .*which measure\(\) makes"),
    (lambda: ns.distribution_figure(TABLE.drop(columns="touches_border")), r"'table' has no column 'touches_border'"),
    (lambda: ns.evaluate_pixels("a", LABELS), r"evaluate_pixels: 'truth' is 'a'"),
    (lambda: ns.evaluate_pixels(LABELS, LABELS, "2"), r"evaluate_pixels: 'tolerance' is '2', which is not a number"),
    (lambda: ns.overlay_figure("a.tif", LABELS, LABELS, ns.evaluate(LABELS, LABELS)), r"'image' is 'a.tif'"),
    (lambda: ns.overlay_figure(IMAGE, LABELS, LABELS, 3), r"'evaluation' is 3, which is not what evaluate\(\) gives"),
    (lambda: ns.agreement_figure(3), r"'agreements' is 3"),
    (lambda: ns.damage_figures(3), r"'damage' is 3"),
    (lambda: ns.write_figure(3, "x.png"), r"'figure' is 3, which is not a figure of matplotlib"),
    (lambda: ns.write_table(3, "x.csv"), r"'table' is 3, which is not a table of pandas"),
    (lambda: ns.write_table(TABLE, 3), r"write_table: 'path' is 3"),
    (lambda: ns.read_job(3), r"read_job: 'path' is 3"),
    (lambda: ns.pool(ns.evaluate(LABELS, LABELS)), r"pool: 'evaluations' is Evaluation\(.*which is not a list"),
    (lambda: ns.pool([3]), r"pool: 'evaluations': one of them is 3"),
    (lambda: ns.pool_pixels([3]), r"one of them is 3, which is not a list of what evaluate_pixels"),
    (lambda: ns.pool_agreement([3]), r"pool_agreement: 'several': one of them is 3"),
    (lambda: ns.damage(LABELS[None], write=3), r"damage: 'write' is 3"),
    (lambda: ns.optical_density(GREY, region="r"), r"optical_density: 'region' is 'r'"),
    (lambda: list(ns.generate(ns.CutPasteConfig(), [3])), r"generate: 'sources': one of them is 3"),
    (lambda: ns.Image("a.tif"), r"Image: 'data' is 'a.tif', which is not an array"),
    (lambda: ns.Image([[1, 2]]), r"Image: 'data' is \[\[1, 2\]\]"),
    (lambda: ns.Image(GREY, calibration=2.5), r"Image: 'calibration' is 2.5, .*Calibration.of\(2.5\)"),
    (lambda: ns.Volume("a.tif"), r"Volume: 'data' is 'a.tif'"),
    (lambda: ns.Volume(GREY[None], 2.5), r"Volume: 'calibration' is 2.5"),
    (lambda: ns.Sample(GREY, FOUND), r"Sample: 'image' is an array .*Image\(array\)"),
    (lambda: ns.Sample(IMAGE, LABELS), r"Sample: 'instances' is an array .*from_labels"),
    (lambda: ns.Sample(IMAGE, FOUND, "known"), r"Sample: 'known' is 'known'"),
    (lambda: ns.ClassSample(IMAGE, "c"), r"ClassSample: 'classes' is 'c'"),
    (lambda: ns.Calibration(2.5), r"Calibration: 'pixel_size_nm' is 2.5, .*Calibration.of"),
    (lambda: ns.Calibration(("a", "b")), r"a size of 'pixel_size_nm' is 'a', which is not a number"),
    (lambda: ns.Calibration.of("wide"), r"Calibration.of: 'size' is 'wide'"),
    (lambda: ns.Calibration.of(2.5, 3), r"Calibration.of: 'unit' is 3"),
    (lambda: ns.Instances.from_polygons("abc", (3, 4)), r"An outline is 'a', which is not an array of vertices"),
    (lambda: ns.Instances.from_labels(LABELS, scores="x"), r"One of scores, classes and ids is 'x'"),
]


@pytest.mark.parametrize(("call", "sentence"), WRONG)
def test_what_a_function_cannot_take_is_named(call: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ns.NanosegError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith((".", "?"))


def test_pixels_of_particles_are_compared() -> None:
    assert ns.evaluate_pixels(FOUND, LABELS).f1 == 1
