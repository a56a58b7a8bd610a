"""The Python API: long functions return their results and show their progress."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest
import tifffile

import napari_nanoseg as ns


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def volume(tmp_path):
    grey = np.full((4, 32, 32), 200, np.uint8)
    grey[:, 10:13, 4:28] = 20
    tifffile.imwrite(tmp_path / "scan.tif", grey, photometric="minisblack")
    return tmp_path / "scan.tif"


def test_cracks_returns_what_was_found(volume, tmp_path):
    found = ns.cracks(None, str(volume), "threshold", tmp_path / "out", progress=False)
    assert isinstance(found.damage, ns.Damage)
    assert found.result.figures["voxels"] == 4 * 32 * 32
    assert (tmp_path / "out" / "run.yaml").is_file()
    assert len(repr(found)) < 121
    assert "voxels" in found._repr_html_()


def test_fields_are_keywords(volume, tmp_path):
    found = ns.cracks(ns.CracksConfig(), volume, "threshold", tmp_path / "out", progress=False, analyse=False)
    assert found.damage is None
    with pytest.raises(ns.NanosegError, match=r"analyze.*did you mean 'analyse'"):
        ns.cracks(None, volume, "threshold", tmp_path / "no", analyze=False)
    with pytest.raises(ns.NanosegError, match="'dataset'"):
        ns.train(None, 3, tmp_path / "no", start_from=None, progress=False)
    with pytest.raises(ns.NanosegError, match="'job'"):
        ns.run("segment")


def test_run_returns_the_result_of_a_job(volume, tmp_path):
    job = ns.CracksJob(volume=volume, model="threshold", out=tmp_path / "out", config=ns.CracksConfig(analyse=False))
    result = ns.run(job, progress=False)
    assert isinstance(result, ns.JobResult)
    assert result.figures["voxels"] == 4 * 32 * 32


def test_a_callable_is_given_the_events(volume, tmp_path):
    events: list[Any] = []
    ns.cracks(None, volume, "threshold", tmp_path / "out", progress=events.append)
    kinds = {type(event).__name__ for event in events}
    assert {"Stage", "Progress"} <= kinds <= {"Stage", "Progress", "Notice"}


def test_an_error_in_the_callable_ends_the_work_and_is_raised(volume, tmp_path):
    def leave(event: object) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        ns.cracks(None, volume, "threshold", tmp_path / "out", progress=leave)
    assert ns.cracks(None, volume, "threshold", tmp_path / "out", progress=False).damage is not None


def test_other_values_of_progress_are_refused(volume, tmp_path):
    with pytest.raises(ns.NanosegError, match="'progress' is 3"):
        ns.cracks(None, volume, "threshold", tmp_path / "out", progress=3)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("progress", "terminal", "shown"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_bar_is_shown_in_terminals_only(volume, tmp_path, monkeypatch, progress, terminal, shown):
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("napari_nanoseg.progress.DELAY_S", 0)
    ns.cracks(None, volume, "threshold", tmp_path / "out", progress=progress)
    assert ("slices" in stream.getvalue()) == shown


def test_a_model_without_a_training_has_no_history():
    assert ns.load_model("threshold").history.empty
