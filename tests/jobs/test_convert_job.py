"""Converting models between formats loses nothing, and refuses what it cannot do before it writes anything."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from followed import events_of

from napari_nanoseg.config.convert import ConvertJob
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice
from napari_nanoseg.io.run_record import sha256
from napari_nanoseg.jobs.convert import convert_job
from napari_nanoseg.samples import Sample


def same_weights(one: Path, other: Path) -> bool:
    first, second = (
        # The count of batches is not in Keras' files and not used.
        {name: tensor for name, tensor in load_model(path).network.state_dict().items() if "num_batches" not in name}
        for path in (one, other)
    )
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_to_the_original_format_and_back_keeps_weights_and_thresholds(disc_model, tmp_path):
    keras, back = tmp_path / "für Keras", tmp_path / "zurück"
    events = events_of(lambda: convert_job(ConvertJob(model=disc_model, out=keras, to="stardist")))[0]
    assert any(
        isinstance(event, Notice) and "rescale" in event.message and "16 px" in event.message for event in events
    )
    convert_job(ConvertJob(model=keras, out=back, to="nanoseg"))
    assert same_weights(disc_model, keras)
    assert same_weights(disc_model, back)
    assert load_model(back).card.thresholds == pytest.approx(load_model(disc_model).card.thresholds)
    record = yaml.safe_load((back / "run.yaml").read_text(encoding="utf-8"))
    assert record["inputs"] == {str(keras): sha256(keras)}


def test_the_converted_model_finds_the_same_objects(disc_model, make_sample: Callable[..., Sample], tmp_path):
    convert_job(ConvertJob(model=disc_model, out=tmp_path / "keras", to="stardist"))
    # Particles of the diameter at which the network works, since the original format has no scale.
    image = make_sample("x", 4, shape=(96, 128), radius=8).image.data
    wish = {"device": "cpu", "border": 0, "invert": "no"}
    own = load_model(disc_model).segment(image, SegmentConfig(diameter=16, **wish))
    keras = load_model(tmp_path / "keras").segment(image, SegmentConfig(**wish))
    assert len(own) > 5
    np.testing.assert_array_equal(own.to_labels(), keras.to_labels())


def test_a_model_of_the_original_gets_our_format(shared_data, tmp_path):
    start = shared_data / "reference_models" / "stardist_2d"
    convert_job(ConvertJob(model=start, out=tmp_path / "own", to="nanoseg"))
    convert_job(ConvertJob(model=tmp_path / "own", out=tmp_path / "keras", to="stardist"))
    assert same_weights(start, tmp_path / "own")
    assert same_weights(start, tmp_path / "keras")


@pytest.mark.parametrize("to", ["nanoseg", "stardist"])
def test_what_is_in_the_folder_stays(disc_model, tmp_path, to):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("do not touch")
    (tmp_path / "file").write_text("do not touch")
    for out in (tmp_path / "full", tmp_path / "file", disc_model):
        before = sha256(out)
        with pytest.raises(NanosegError, match="choose another"):
            convert_job(ConvertJob(model=disc_model, out=out, to=to))
        assert sha256(out) == before


def test_what_is_no_model_leaves_no_folder(disc_model, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(disc_model, broken)
    (broken / "weights.safetensors").write_bytes(b"x")
    for model in (broken, tmp_path / "nowhere", tmp_path):
        with pytest.raises(NanosegError, match=str(model)):
            convert_job(ConvertJob(model=model, out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_model_of_the_library_is_converted_by_its_name(disc_model, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_nanoseg.io.model_library.models_folder", lambda: tmp_path / "library")
    discs = shutil.copytree(disc_model, tmp_path / "library" / "discs")
    monkeypatch.chdir(tmp_path)
    convert_job(ConvertJob(model=Path("discs"), out=tmp_path / "out"))
    assert same_weights(disc_model, tmp_path / "out")
    record = yaml.safe_load((tmp_path / "out" / "run.yaml").read_text(encoding="utf-8"))
    assert record["inputs"] == {str(discs): sha256(discs)}


FULL = """
import resource, sys
from napari_nanoseg.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.argv = ["nanoseg", "convert", "starter", "--to", sys.argv[1], "--out", sys.argv[2]]
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are POSIX")
def test_a_disk_that_is_full_ends_in_a_sentence(tmp_path):
    """Every file may have 100 kB, as if there were no more on the disk; HDF5 ended the process then."""
    out = tmp_path / "out"
    command = [sys.executable, "-c", FULL, "stardist", str(out)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Cannot write" in ended.stderr
    assert "choose another disk" in ended.stderr
    assert not out.exists()
