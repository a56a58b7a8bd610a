"""A model is left alone while a training writes into it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.model_library import list_library, remove_model, rename_model
from napari_nanoseg.io.processes import TRAINING, WORKING, trainer_of, training_in, working_in

HOLD = """
import sys
from pathlib import Path
from napari_nanoseg.io.processes import training_in
with training_in(Path(sys.argv[1])):
    print("holding", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    from napari_nanoseg import load_model

    load_model("watershed").save(tmp_path / "mine")
    return tmp_path / "mine"


def refused(model: Path) -> None:
    for change in (lambda: rename_model("mine", "other", model.parent), lambda: remove_model("mine", model.parent)):
        with pytest.raises(NanosegError, match=r"A training writes into .*mine \(process \d+\)"):
            change()
    assert [entry.name for entry in list_library(model.parent) if entry.path == model] == ["mine"]


def test_while_another_process_trains_it_is_not_renamed_or_removed(model: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(model)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        refused(model)
        with pytest.raises(NanosegError, match="A training writes into"), training_in(model):
            pass
        process.stdin.close()
        process.wait()
    assert not (model / TRAINING).exists()
    assert rename_model("mine", "other", model.parent).name == "other"


def test_while_this_process_trains(model: Path) -> None:
    with training_in(model):
        refused(model)
    assert trainer_of(model) is None


@pytest.mark.parametrize(
    "about", ["", "[]", "{}", json.dumps({"pid": -1, "started": 0}), json.dumps({"pid": 2**70, "started": 0}), "pid"]
)
def test_what_an_ended_training_left_does_not_hold_the_model(model: Path, about: str) -> None:
    text = json.dumps({"pid": psutil.Process().pid, "started": 12.0}) if about == "pid" else about
    (model / TRAINING).write_text(text, encoding="utf-8")
    assert trainer_of(model) is None
    remove_model("mine", model.parent)
    assert not model.exists()


@pytest.mark.parametrize("links", [True, False])
def test_a_job_takes_over_from_one_that_has_ended_and_from_no_other(
    tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refused)
    (tmp_path / WORKING).write_text(json.dumps({"pid": psutil.Process().pid, "started": 12.0}), encoding="utf-8")
    with working_in(tmp_path):
        second = working_in(tmp_path)
        with pytest.raises(NanosegError, match=rf"Another job writes into .* \(process {os.getpid()}\)"):
            second.__enter__()
        assert [path.name for path in tmp_path.iterdir()] == [WORKING]
    assert list(tmp_path.iterdir()) == []


def test_of_jobs_that_begin_at_once_one_gets_the_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD.replace("training_in", "working_in"), str(tmp_path / "out")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    jobs = [subprocess.Popen(command, text=True, **pipes) for _ in range(3)]
    said = [job.stdout.readline() for job in jobs]  # the one that has the folder waits for its stdin
    errors = [job.communicate()[1] for job in jobs]
    assert said.count("holding\n") == 1
    assert sum("Another job writes into" in error for error in errors) == 2
