"""Comparing pixels of classes: black-and-white masks, several classes, what is written, what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_nanoseg import evaluate_pixels
from napari_nanoseg.cli import app
from napari_nanoseg.config.evaluate import EvaluateJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.images import write_labels
from napari_nanoseg.io.tables import read_table
from napari_nanoseg.jobs.evaluate import evaluate_job


def lines(**rows: int) -> np.ndarray:
    """Lines with a value each: ``r3=255`` is 255 in row 3."""
    image = np.zeros((20, 30), np.int32)
    for row, value in rows.items():
        image[int(row[1:])] = value
    return image


def job(folder, tolerance=1.0, **changes) -> EvaluateJob:
    return EvaluateJob(truth=folder / "truth", prediction=folder / "found", tolerance=tolerance, **changes)


def put(folder, name, truth, found) -> None:
    write_labels(folder / "truth" / f"{name}.tif", truth)
    write_labels(folder / "found" / f"{name}.tif", found)


def test_black_and_white_masks_are_one_class(tmp_path):
    put(tmp_path, "a", lines(r3=255, r9=255), lines(r4=1))
    put(tmp_path, "b", lines(r3=255), lines(r3=1, r15=1))
    figures = evaluate_job(job(tmp_path, out=tmp_path / "out")).figures
    assert (figures["precision"], figures["recall"]) == (2 / 3, 2 / 3)
    assert figures["iou"] == 1 / 5
    assert figures["images"] == 2
    assert list(figures["classes"]) == ["1"]
    table = read_table(tmp_path / "out" / "evaluation.csv")
    assert table["image"].tolist() == ["a", "b"]
    assert table["f1"][0] == evaluate_pixels(lines(r3=255, r9=255), lines(r4=1), 1).f1
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == figures
    assert (tmp_path / "out" / "run.yaml").is_file()


def test_of_several_classes_the_mean_is_told(tmp_path):
    put(tmp_path, "a", lines(r3=1, r9=2), lines(r3=1, r15=2))
    figures = evaluate_job(job(tmp_path)).figures
    assert figures["f1"] == 0.5
    assert (figures["classes"]["1"]["f1"], figures["classes"]["2"]["f1"]) == (1, 0)


def test_the_command(tmp_path):
    put(tmp_path, "a", lines(r3=255), lines(r5=1))
    words = ["evaluate", str(tmp_path / "truth"), str(tmp_path / "found"), "--json", "--tolerance"]
    runner = CliRunner()
    for tolerance, f1 in (("2", 1.0), ("1", 0.0)):
        result = runner.invoke(app, [*words, tolerance])
        assert json.loads(result.stdout.splitlines()[-1])["f1"] == f1


def test_what_cannot_be_compared_is_refused(tmp_path):
    put(tmp_path / "empty", "a", lines(), lines())
    with pytest.raises(NanosegError, match="there is nothing to see"):
        evaluate_job(job(tmp_path / "empty"))
    put(tmp_path / "size", "a", lines(r3=1), lines(r3=1)[:5])
    with pytest.raises(NanosegError, match="a: The truth has the shape"):
        evaluate_job(job(tmp_path / "size"))
