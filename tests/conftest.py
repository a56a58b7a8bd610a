"""Fixtures that many tests use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image, Sample

# Optimisers load triton, whose LLVM crashes beside that of Mesa, which draws windows without a graphics card. The
# fixture `disc_model` trains in this process; in napari, a training has a process of its own.
sys.modules["triton"] = None  # type: ignore[assignment]

# Threads that wait for each other, spinning, made tiny trainings 35 times slower while other programs ran.
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real micrographs and reference models, beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real data (../shared/data) is not beside this checkout")
    return SHARED_DATA


def discs(shape: tuple[int, int], radius: float, spacing: int, seed: int) -> NDArray[np.int32]:
    """Labels of discs on a jittered grid that touch neither each other nor the border."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    middles = [
        (row + jitter[0], column + jitter[1])
        for row in range(spacing // 2, shape[0] - spacing // 2 + 1, spacing)
        for column in range(spacing // 2, shape[1] - spacing // 2 + 1, spacing)
        for jitter in [rng.uniform(-2, 2, 2)]
    ]
    for label, (row, column) in enumerate(middles, 1):
        labels[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = label
    return labels


def disc_sample(name: str, seed: int, *, shape: tuple[int, int] = (160, 192), radius: float = 10) -> Sample:
    """A noisy image of bright discs, 2 nm per pixel, all annotated."""
    labels = discs(shape, radius, int(3.2 * radius), seed)
    rng = np.random.default_rng(seed)
    pixels = 60 + 110 * (labels > 0) + rng.normal(0, 6, shape)
    image = Image(np.clip(pixels, 0, 255).astype(np.uint8), "YX", Calibration.of(2.0), name)
    return Sample(image, Instances.from_labels(labels), None, name)


@pytest.fixture(scope="session")
def disc_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a small model, trained for some seconds, that finds bright discs of 20 px."""
    import torch

    from napari_nanoseg.config.stardist import StarDistConfig
    from napari_nanoseg.config.train import TrainConfig
    from napari_nanoseg.engines.stardist.train import train_stardist

    folder = tmp_path_factory.mktemp("disc model") / "mödel"
    config = TrainConfig(
        engine=StarDistConfig(unet_n_filter_base=8, unet_n_depth=2, net_conv_after_unet=16, n_rays=16),
        steps=260, steps_per_epoch=130, batch_size=4, patch_size=64, working_diameter=16, workers=0, learning_rate=4e-3,
        noise=0.02, intensity=0.2,
    )  # fmt: skip
    samples = [disc_sample("a", 1)], [disc_sample("b", 2)]
    model, _ = train_stardist(config, *samples, 0, folder, torch.device("cpu"))
    model.save(folder)
    return folder


@pytest.fixture
def without_starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package came without its models."""
    monkeypatch.setattr("napari_nanoseg.io.model_library.starter_folder", lambda: tmp_path / "no starter")
    monkeypatch.setattr("napari_nanoseg.io.model_library.baseline_folders", dict)


@pytest.fixture(scope="session")
def write_model() -> Callable[..., Path]:
    """Writer of a model folder that is whole but has no network in it: for all that does not load it."""
    from hashlib import sha256

    from napari_nanoseg.config.model_card import ModelCard
    from napari_nanoseg.config.stardist import StarDistConfig

    def write(folder: Path, weights: bytes = b"some weights", **card: object) -> Path:
        folder.mkdir(parents=True)
        described = ModelCard(network=StarDistConfig(), weights_sha256=(sha256(weights).hexdigest(),), **card)
        (folder / "model.yaml").write_text(described.to_yaml(), encoding="utf-8")
        (folder / "weights.safetensors").write_bytes(weights)
        return folder

    return write


@pytest.fixture(scope="session")
def make_sample() -> Callable[..., Sample]:
    """Maker of annotated images: name, seed, shape and radius."""
    return disc_sample
