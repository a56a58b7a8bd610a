"""The same work from Python, from the command line and from a saved job file gives the same bytes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import napari_nanoseg as ns
from napari_nanoseg.cli import app
from napari_nanoseg.config.generate import CutPasteConfig
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.io.datasets import open_dataset, write_sample
from napari_nanoseg.io.images import read_label_array, write_image
from napari_nanoseg.samples import Sample


def nanoseg(*arguments: str | Path) -> None:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output


def twice(command: list[str | Path], job_file: Path, outs: tuple[Path, Path]) -> None:
    """Run a command as typed, and again from the job file it saves, into two folders."""
    nanoseg(*command, "--out", outs[0])
    nanoseg(*command, "--out", outs[1], "--save-job", job_file)
    assert not outs[1].exists()
    nanoseg("run", job_file)


def content(folder: Path, pattern: str) -> dict[str, bytes]:
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob(pattern)}
    assert files
    return files


@pytest.fixture(scope="module")
def dataset(make_sample: Callable[..., Sample], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "Größe 1 µm"
    for seed, name in enumerate(["a", "b ü"]):
        write_sample(folder, make_sample(name, seed, shape=(96, 128)))
    return folder


def test_generate(dataset, tmp_path):
    size = ["--height", "96", "--width", "112", "--seed", "3", "--count", "4"]
    outs = tmp_path / "typed ü", tmp_path / "from file"
    twice(["generate", "cutpaste", "--source", dataset, *size], tmp_path / "job ä.yaml", outs)
    assert content(outs[0], "*.tif") == content(outs[1], "*.tif")
    here = ns.generate(CutPasteConfig(height=96, width=112, seed=3), dataset)
    for written, made in zip(open_dataset(outs[0]), here, strict=False):
        np.testing.assert_array_equal(written.image.data, made.image.data)
        np.testing.assert_array_equal(written.instances.to_labels(), made.instances.to_labels())


@pytest.mark.parametrize("options", [{}, {"diameter": "30", "probability": "0.3", "tile": "128"}], ids=["", "options"])
def test_segment(disc_model, make_sample: Callable[..., Sample], tmp_path, options):
    image = tmp_path / "Größe 1 µm.tif"
    write_image(image, make_sample("x", 7).image)
    outs = tmp_path / "typed ü", tmp_path / "from file"
    typed = [word for name, value in options.items() for word in (f"--{name}", value)]
    twice(["segment", disc_model, image, *typed], tmp_path / "job ä.yaml", outs)
    assert content(outs[0], "*.tif") == content(outs[1], "*.tif")
    found = ns.load_model(disc_model).segment(ns.read_image(image), SegmentConfig.parse(options))
    assert len(found) > 0
    np.testing.assert_array_equal(read_label_array(outs[0] / image.name), found.to_labels())


def test_train(dataset, make_sample: Callable[..., Sample], tmp_path):
    config = TrainConfig(
        engine=StarDistConfig(unet_n_filter_base=4, unet_n_depth=2, net_conv_after_unet=16, n_rays=16),
        steps=20, steps_per_epoch=10, batch_size=2, patch_size=64, working_diameter=16, synthetic_per_real=1, workers=0,
    )  # fmt: skip
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    outs = tmp_path / "typed ü", tmp_path / "from file"
    twice(["train", "stardist", dataset, "--config", tmp_path / "config.yaml"], tmp_path / "job ä.yaml", outs)
    # A script of its own, as a user has it: within a long test run, buffers lie elsewhere and sums round differently.
    script = (
        "import sys, yaml, napari_nanoseg as ns\n"
        "config = ns.TrainConfig.parse(yaml.safe_load(open(sys.argv[1], encoding='utf-8')))\n"
        "ns.train(config, sys.argv[2], sys.argv[3])\n"
    )
    command = [sys.executable, "-c", script, tmp_path / "config.yaml", dataset, tmp_path / "here"]
    subprocess.run(command, check=True, capture_output=True)
    image = make_sample("x", 7, shape=(64, 64)).image
    wish = SegmentConfig(probability=0)
    labels = [ns.load_model(folder).segment(image, wish).to_labels() for folder in (*outs, tmp_path / "here")]
    assert labels[0].max() > 0
    for folder, found in zip((*outs, tmp_path / "here"), labels, strict=True):
        assert found.tobytes() == labels[0].tobytes(), folder.name
        assert content(folder, "*.safetensors") == content(outs[0], "*.safetensors"), folder.name
