"""The evaluate job: pairs by stem, pooled figures, table, overlays and run record."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from followed import events_of
from typer.testing import CliRunner

from napari_nanoseg import (
    Calibration,
    Image,
    Instances,
    NanosegError,
    Sample,
    agreement,
    evaluate,
    pool_agreement,
    read_image,
    write_sample,
)
from napari_nanoseg.cli import app
from napari_nanoseg.config.evaluate import EvaluateConfig, EvaluateJob
from napari_nanoseg.evaluation.error_map import pixel_map
from napari_nanoseg.evaluation.matching import pool
from napari_nanoseg.events import Notice, Progress
from napari_nanoseg.io.datasets import write_coco
from napari_nanoseg.io.images import write_image, write_labels
from napari_nanoseg.io.tables import read_table
from napari_nanoseg.jobs.evaluate import evaluate_job


@pytest.fixture
def pairs(tmp_path):
    """Two images with their predictions, as folders `truth` (a data set) and `prediction`."""
    rng = np.random.default_rng(0)
    found = {}
    for name, shift in (("one", 1), ("two", 6)):
        truth = np.zeros((40, 50), np.int32)
        truth[5:15, 5:15], truth[20:32, 20:32], truth[0:6, 40:50] = 1, 2, 9
        prediction = np.roll(truth, shift, axis=0)
        sample = Sample(Image(rng.random((40, 50))), Instances.from_labels(truth), name=name)
        write_sample(tmp_path / "truth", sample)
        write_labels(tmp_path / "prediction" / f"{name}.tif", prediction)
        found[name] = (truth, prediction)
    return found


def followed(job):
    """All events of a job and its result."""
    return events_of(lambda: evaluate_job(job))


def test_figures_are_pooled_over_pairs_of_the_same_stem(tmp_path, pairs):
    result = evaluate_job(EvaluateJob(truth=tmp_path / "truth", prediction=tmp_path / "prediction"))
    expected = pool([evaluate(*pair) for pair in pairs.values()]).figures()
    sizes = pool_agreement([agreement(*pair) for pair in pairs.values()])
    by_quantity = {name: one.figures() for name, one in sizes.items()}
    assert result.figures == expected | {"images": 2, "agreement": by_quantity}
    assert by_quantity["area"]["n_truth"] == 4
    assert result.files == {}
    assert not (tmp_path / "run.yaml").exists()
    json.dumps(dict(result.figures), allow_nan=False)


def test_out_holds_table_metrics_overlays_and_record(tmp_path, pairs):
    out = tmp_path / "Größe"
    job = EvaluateJob(truth=tmp_path / "truth", prediction=tmp_path / "prediction", out=out)
    events, result = followed(job)
    assert [event for event in events if isinstance(event, Progress)][-1] == Progress(2, 2, "images")
    table = read_table(out / "evaluation.csv").set_index("image")
    for name, pair in pairs.items():
        assert table.loc[name, "f1"] == pytest.approx(evaluate(*pair).f1)
    assert json.loads((out / "metrics.json").read_text()) == result.figures
    assert sorted(path.name for path in (out / "overlays").iterdir()) == ["one.png", "two.png"]
    for name, pair in pairs.items():
        assert np.array_equal(read_image(out / "pixels" / f"{name}.tif").data, pixel_map(*pair))
    sizes = read_table(out / "agreement.csv").set_index("quantity")
    for name, one in result.figures["agreement"].items():
        distance = one["wasserstein"]
        assert sizes.loc[name, "wasserstein"] == pytest.approx(np.nan if distance is None else distance, nan_ok=True)
        assert sizes.loc[name, "pairs"] == one["pairs"]
    assert all((out / f"agreement.{kind}").stat().st_size > 10_000 for kind in ("png", "svg"))
    record = yaml.safe_load((out / "run.yaml").read_text("utf-8"))
    assert len(record["inputs"]) == 6
    assert record["figures"]["f1"] == result.figures["f1"]
    assert EvaluateJob.parse(record["config"]) == job


def test_sizes_are_in_nm_where_all_pixel_sizes_are_known(tmp_path, pairs):
    job = EvaluateJob(truth=tmp_path / "truth" / "masks", prediction=tmp_path / "prediction")

    def area(**config):
        events, result = followed(job.model_copy(update={"config": EvaluateConfig(**config)}))
        said = [event.message for event in events if isinstance(event, Notice) and "in pixels" in event.message]
        return result.figures["agreement"]["area"], said

    in_pixels, said = area()
    assert (in_pixels["unit"], said) == ("px²", [])
    told, _ = area(pixel_size_nm=3.0)
    assert (told["unit"], told["median_truth"]) == ("nm²", 9 * in_pixels["median_truth"])
    write_labels(tmp_path / "truth" / "masks" / "one.tif", pairs["one"][0], Calibration.of(2.0))
    some, said = area()
    assert some == in_pixels
    assert len(said) == 1
    assert "pixel size of two is not known" in said[0]
    write_labels(tmp_path / "prediction" / "two.tif", pairs["two"][1], Calibration.of(4.0))
    every, said = area()
    areas = [400, 576, 1600, 2304]  # 100 and 144 px at 2 and at 4 nm
    assert (every["unit"], every["median_truth"], said) == ("nm²", np.median(areas), [])
    write_labels(tmp_path / "prediction" / "two.tif", pairs["two"][1], Calibration((4.0, 5.0)))
    oblong, said = area()
    assert oblong == in_pixels
    assert "not square" in said[0]
    assert area(exclude_border=False)[0]["n_truth"] == 6
    config = EvaluateConfig(compare_sizes=False)
    events, result = followed(job.model_copy(update={"config": config, "out": tmp_path / "out"}))
    assert "agreement" not in result.figures
    assert not list((tmp_path / "out").glob("agreement*"))
    assert not any("in pixels" in event.message for event in events if isinstance(event, Notice))


def test_the_command_tells_what_python_does(tmp_path, pairs):
    words = ["evaluate", str(tmp_path / "truth"), str(tmp_path / "prediction"), "--pixel-size-nm", "2"]
    told = CliRunner().invoke(app, [*words, "--no-exclude-border", "--least-aspect-ratio", "1", "--json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout.splitlines()[-1])["agreement"]
    config = EvaluateConfig(pixel_size_nm=2.0, exclude_border=False, least_aspect_ratio=1.0)
    sizes = pool_agreement([agreement(*pair, config) for pair in pairs.values()])
    assert found == {name: one.figures() for name, one in sizes.items()}
    lines = CliRunner().invoke(app, words).stdout.splitlines()
    assert any(line.startswith("agreement of area: unit nm², n_truth 4, n_prediction 4") for line in lines)


def test_the_threshold_counts(tmp_path, pairs):
    paths = {"truth": tmp_path / "truth", "prediction": tmp_path / "prediction"}
    low, high = (
        evaluate_job(EvaluateJob(**paths, config={"iou_threshold": threshold})).figures for threshold in (0.2, 0.9)
    )
    assert low["true_positives"] > high["true_positives"]
    assert high["iou_threshold"] == 0.9


def test_two_files_are_compared_whatever_their_names(tmp_path, pairs):
    job = EvaluateJob(truth=tmp_path / "truth" / "masks" / "one.tif", prediction=tmp_path / "prediction" / "two.tif")
    assert evaluate_job(job).figures["true_positives"] == evaluate(pairs["one"][0], pairs["two"][1]).true_positives


def test_overlays_without_a_micrograph(tmp_path, pairs):
    job = EvaluateJob(truth=tmp_path / "truth" / "masks", prediction=tmp_path / "prediction", out=tmp_path / "out")
    evaluate_job(job)
    picture = read_image(tmp_path / "out" / "overlays" / "one.png").data[..., :3]
    sky_blue = (picture == (0x56, 0xB4, 0xE9)).all(axis=-1)
    black = (picture == 0).all(axis=-1)
    assert sky_blue.any()
    assert black.mean() > 0.3


def test_stacks_are_compared_slice_by_slice(tmp_path, pairs):
    truth, prediction = (np.stack([pairs[name][index] for name in ("one", "two")]) for index in (0, 1))
    write_labels(tmp_path / "a.tif", truth)
    write_labels(tmp_path / "b.tif", prediction)
    job = EvaluateJob(truth=tmp_path / "a.tif", prediction=tmp_path / "b.tif", out=tmp_path / "out")
    figures = dict(evaluate_job(job).figures)
    assert (figures.pop("images"), figures.pop("agreement")["area"]["n_truth"]) == (1, 4)
    assert figures == pool([evaluate(*pair) for pair in pairs.values()]).figures()
    assert sorted(path.name for path in (tmp_path / "out" / "overlays").iterdir()) == ["a_0.png", "a_1.png"]
    assert read_image(tmp_path / "out" / "pixels" / "a.tif").data.shape == (2, 40, 50)
    flat = job.model_copy(update={"images": (tmp_path / "truth" / "images" / "one.tif",), "overwrite": True})
    with pytest.raises(NanosegError, match="shape"):
        evaluate_job(flat)


def test_coco_keeps_overlapping_truth_and_prediction(tmp_path):
    square = np.ones((10, 10), bool)
    instances = Instances.from_masks((30, 30), [[5, 5, 15, 15], [7, 7, 17, 17]], [square, square])
    sample = Sample(Image(np.random.default_rng(0).random((30, 30))), instances, name="x")
    write_sample(tmp_path / "set", sample)
    coco = tmp_path / "set" / "annotations.json"
    for truth, prediction in ((tmp_path / "set", coco), (coco, tmp_path / "set")):
        figures = evaluate_job(EvaluateJob(truth=truth, prediction=prediction)).figures
        assert (figures["true_positives"], figures["mean_matched_iou"]) == (2, 1)
    hidden = EvaluateJob(truth=tmp_path / "set", prediction=tmp_path / "set" / "masks")
    assert evaluate_job(hidden).figures["true_positives"] == 1


def scored(labels, scores):
    return Instances.from_labels(labels, scores=scores)


def test_a_coco_file_with_scores_gives_the_average_precision(tmp_path, pairs):
    found = {name: scored(prediction, [0.9, 0.8, 1.0]) for name, (_, prediction) in pairs.items()}
    found["three"], truth = scored(pairs["one"][1], [1.0] * 3), Instances.from_labels(pairs["one"][0])
    write_sample(tmp_path / "truth", Sample(Image(np.eye(40, 50)), truth, name="three"))
    write_coco(tmp_path / "all.json", found)
    job = EvaluateJob(truth=tmp_path / "truth", prediction=tmp_path / "all.json", out=tmp_path / "out")
    events, result = followed(job)
    figures = result.figures
    truths = {name: truth for name, (truth, _) in pairs.items()} | {"three": pairs["one"][0]}
    expected = pool([evaluate(truths[name], found[name]) for name in sorted(truths)])
    assert {name: figures[name] for name in expected.figures()} == expected.figures()
    assert 0 < figures["ap"] < figures["ap50"] < 1
    assert None not in (figures["box_ap"], figures["ap_small"])
    assert not [event for event in events if isinstance(event, Notice)]
    table = read_table(tmp_path / "out" / "evaluation.csv").set_index("image")
    assert table.loc["one", "ap"] == pytest.approx(evaluate(truths["one"], found["one"]).ap)
    in_order = evaluate(truths["three"], scored(pairs["one"][1], [0.9, 0.8, 0.7])).ap
    assert table.loc["three", "ap"] == pytest.approx(in_order)  # scores of 1 are scores beside others
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["box_ap75"] == figures["box_ap75"]


def test_coco_against_coco_keeps_overlaps_on_both_sides_and_needs_no_size_in_the_prediction(tmp_path):
    square = np.ones((10, 10), bool)
    boxes = [[5, 5, 15, 15], [7, 7, 17, 17], [10, 5, 20, 15]]
    for name, scores in (("truth", None), ("found", [0.9, 0.8, 0.7])):
        write_coco(tmp_path / f"{name}.json", {"x": Instances.from_masks((30, 40), boxes, [square] * 3, scores)})
    content = json.loads((tmp_path / "found.json").read_text("utf-8"))
    del content["images"][0]["height"]
    (tmp_path / "found.json").write_text(json.dumps(content), "utf-8")
    job = EvaluateJob(truth=tmp_path / "truth.json", prediction=tmp_path / "found.json")
    figures = evaluate_job(job).figures
    assert {figures[name] for name in ("f1", "foreground_accuracy", "ap", "box_ap", "ap_small")} == {1}


def test_limits_in_nm_need_a_pixel_size(tmp_path, pairs):
    truth, prediction = pairs["one"]
    write_coco(tmp_path / "one.json", {"one": scored(prediction, [0.9, 0.8, 0.7])})
    config = EvaluateConfig(size_limits=(25, 30), size_unit="nm")
    job = EvaluateJob(config=config, truth=tmp_path / "truth" / "masks" / "one.tif", prediction=tmp_path / "one.json")
    with pytest.raises(NanosegError, match=r"one: .*pixel size is not known"):
        evaluate_job(job)
    told = job.model_copy(update={"config": config.model_copy(update={"pixel_size_nm": 2.0})})
    figures = evaluate_job(told).figures
    expected = evaluate(truth, scored(prediction, [0.9, 0.8, 0.7]), size_limits=(12.5, 15)).figures()
    same = ("ap", "ap_small", "ap_medium", "ap_large", "box_ap_small")
    assert [figures[name] for name in same] == [expected[name] for name in same]
    assert figures["ap_large"] is None
    assert figures["ap_small"] is not None
    write_image(tmp_path / "one.tif", Image(np.eye(40, 50), "YX", Calibration.of(2.0)))
    assert evaluate_job(job.model_copy(update={"images": (tmp_path / "one.tif",)})).figures == figures
    write_labels(tmp_path / "truth" / "masks" / "one.tif", truth, Calibration.of(2.0))
    assert evaluate_job(job).figures == figures


def test_a_bad_coco_prediction_is_refused_in_one_sentence(tmp_path, pairs):
    good = {name: scored(prediction, [0.9, 0.8, 0.7]) for name, (_, prediction) in pairs.items()}
    coco = tmp_path / "all.json"

    def refused(match, change):
        coco.unlink(missing_ok=True)
        write_coco(coco, good)
        content = json.loads(coco.read_text("utf-8"))
        instead = change(content)
        coco.write_text(json.dumps(instead if isinstance(instead, list) else content), "utf-8")
        with pytest.raises(NanosegError, match=match):
            evaluate_job(EvaluateJob(truth=tmp_path / "truth", prediction=coco))

    refused(r"all\.json.*one.*2 of 3 COCO annotations have a score", lambda all_: all_["annotations"][0].pop("score"))
    for value in ("sure", [1]):
        refused("score that is not a number", lambda all_, value=value: all_["annotations"][0].update(score=value))
    refused(r"all\.json.*NaN", lambda all_: all_["annotations"][0].update(score=float("nan")))
    refused("category_id that is not", lambda all_: all_["annotations"][4].update(category_id="particle"))
    refused("no prediction called one", lambda all_: all_["images"][0].update(file_name="other.tif"))
    refused(r"all\.json: it is damaged or another kind of file", lambda all_: all_["annotations"])
    refused(r"image of \[40, 50\]", lambda all_: all_["images"][0].update(height=41))
    small = {name: Instances.from_labels(np.eye(9, dtype=int), scores=[0.5]) for name in pairs}
    write_coco(coco, small)
    with pytest.raises(NanosegError, match=r"one: .*\(40, 50\).*\(9, 9\)"):
        evaluate_job(EvaluateJob(truth=tmp_path / "truth", prediction=coco))


@pytest.fixture
def partly(tmp_path):
    """A data set in which one of four particles is outlined, its left half known; a prediction finds five."""
    truth, prediction = np.zeros((2, 40, 60), np.int32)
    truth[5:15, 5:15] = 1
    prediction[5:15, 6:16], prediction[25:35, 40:50], prediction[5:15, 45:55] = 1, 2, 3
    prediction[30:36, 8:14] = 4  # where the truth is known: a false positive
    prediction[18:24, 25:33] = 5  # mostly where it is not known
    known = np.zeros(truth.shape, bool)
    known[:, :28] = True
    image = Image(np.random.default_rng(0).random(truth.shape))
    sample = Sample(image, Instances.from_labels(truth), known, "a")
    write_sample(tmp_path / "annotated", sample)
    write_labels(tmp_path / "prediction" / "a.tif", prediction)
    return truth, prediction, known


@pytest.mark.parametrize("truth", [".", "masks", "masks/a.tif"])
def test_what_lies_where_the_truth_is_not_known_is_not_judged(tmp_path, partly, truth):
    prediction = tmp_path / "prediction" / ("a.tif" if truth.endswith(".tif") else "")
    job = EvaluateJob(truth=tmp_path / "annotated" / truth, prediction=prediction, out=tmp_path / "out")
    events, result = followed(job)
    figures = result.figures
    assert (figures["true_positives"], figures["false_positives"], figures["false_negatives"]) == (1, 1, 0)
    assert figures["not_judged"] == 3
    assert any(isinstance(event, Notice) and "3 predicted particles" in event.message for event in events)
    assert figures["agreement"]["area"]["n_prediction"] == 2
    assert read_table(tmp_path / "out" / "evaluation.csv")["false_positives"].tolist() == [1]


def test_python_judges_where_the_truth_is_known(partly):
    truth, prediction, known = partly
    assert evaluate(truth, prediction).false_positives == 4
    assert evaluate(truth, prediction, known=known).false_positives == 1
    assert evaluate(truth, prediction, known=np.zeros_like(known)).precision == 1  # what is outlined is known
    assert evaluate(np.stack([truth] * 2), np.stack([prediction] * 2), known=known).false_positives == 1  # as a volume
    assert agreement(truth, prediction, known=known)["area"].figures()["n_prediction"] == 2
    with pytest.raises(NanosegError, match=r"known region has the shape \(3, 3\)"):
        evaluate(truth, prediction, known=np.ones((3, 3), bool))


def test_a_prediction_without_truth_is_mentioned(tmp_path, pairs):
    write_labels(tmp_path / "prediction" / "extra.tif", pairs["one"][1])
    job = EvaluateJob(truth=tmp_path / "truth", prediction=tmp_path / "prediction")
    said = [event.message for event in followed(job)[0] if isinstance(event, Notice)]
    assert len(said) == 2
    assert "extra" in said[0]
    assert "no scores" in said[1]


def test_bad_input_is_refused_in_one_sentence(tmp_path, pairs):
    def refused(match, **fields):
        with pytest.raises(NanosegError, match=match):
            evaluate_job(EvaluateJob(**({"truth": tmp_path / "truth"} | fields)))

    refused("gone", prediction=tmp_path / "gone")
    (tmp_path / "prediction" / "two.tif").unlink()
    refused("no prediction called two", prediction=tmp_path / "prediction")
    write_labels(tmp_path / "prediction" / "two.tif", np.ones((3, 3), int))
    refused(r"two: .*\(40, 50\).*\(3, 3\)", prediction=tmp_path / "prediction", out=tmp_path / "out")
    (tmp_path / "prediction" / "two.tif").write_bytes(b"II*\0 cut off")
    refused(r"two\.tif", prediction=tmp_path / "prediction")
    with pytest.raises(NanosegError, match="size_limits"):
        EvaluateJob.parse({"truth": "a", "prediction": "b", "config": {"size_limits": [9, 3]}})
    for threshold in (0, 1, "x"):
        with pytest.raises(NanosegError, match="iou_threshold"):
            EvaluateJob.parse({"truth": "a", "prediction": "b", "config": {"iou_threshold": threshold}})
