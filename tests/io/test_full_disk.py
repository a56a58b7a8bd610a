"""A disk that takes no more ends in one sentence, whichever library writes, and leaves nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="this system has no limit to the size of files, which stands for a full disk")

WRITERS = """
import json, resource, sys
from pathlib import Path
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from napari_nanoseg import Image, Volume, load_model, write_volume
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.engines.maskrcnn.detectron2_files import write_detectron2
from napari_nanoseg.engines.training import State, _save
from napari_nanoseg.io.figures import write_figure
from napari_nanoseg.io.images import write_image
from napari_nanoseg.io.model_library import export_model, find_model, import_model
from napari_nanoseg.io.tables import write_table
from napari_nanoseg.jobs.failures import explain

out = Path(sys.argv[1])
noise = np.random.default_rng(0).integers(0, 255, (8, 90, 90), dtype=np.uint8)
table = pd.DataFrame(np.random.default_rng(0).random((900, 6)))
figure = Figure()
figure.add_subplot().plot(noise[0])
starter, folder = load_model("starter"), find_model(Path("starter"))
network = torch.nn.Linear(90, 90)
optimizer = torch.optim.Adam(network.parameters())
writers = {
    "checkpoint": lambda path: _save(path, network, optimizer, State(), TrainConfig()),
    "detectron2": lambda path: write_detectron2({"w": network.weight}, MaskRCNNConfig(), path),
    "own": starter.save,
    "model.zip": lambda path: export_model(folder, path),
    "imported": lambda path: import_model(folder, path.parent, path.name),
    "image.tif": lambda path: write_image(path, Image(noise[0])),
    "image.png": lambda path: write_image(path, Image(noise[0])),
    "stack.tif": lambda path: write_volume(path, Volume(noise)),
    "stack.zarr": lambda path: write_volume(path, Volume(noise)),
    "figure.png": lambda path: write_figure(figure, path),
    "figure.svg": lambda path: write_figure(figure, path),
    "figure.pdf": lambda path: write_figure(figure, path),
    "table.csv": lambda path: write_table(table, path),
    "table.xlsx": lambda path: write_table(table, path),
    "keras": starter.to_keras,
}
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
for name, write in writers.items():
    place = out / name
    place.mkdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    try:
        write(place / name)
        said = "written"
    except Exception as error:
        said = explain(error) or "bug: " + repr(error)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    print(json.dumps([name, said]), flush=True)
"""
NAMES = (
    "checkpoint", "detectron2", "own", "model.zip", "imported", "image.tif", "image.png", "stack.tif", "stack.zarr",
    "figure.png", "figure.svg", "figure.pdf", "table.csv", "table.xlsx", "keras",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("full disk")


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, str]:
    """What each writer says; a process of its own, for HDF5 has ended it."""
    process = subprocess.run(
        [sys.executable, "-c", WRITERS, str(folder)], check=False, stdout=subprocess.PIPE, text=True
    )
    return dict(json.loads(line) for line in process.stdout.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_is_told_in_a_sentence(said: dict[str, str], folder: Path, name: str) -> None:
    assert name in said, "the process ended"
    assert said[name].startswith(f"Cannot write {folder / name}")
    assert said[name].endswith("the file is larger than the disk or your account allows; choose another disk.")
    assert [path for path in (folder / name).rglob("*") if path.is_file()] == []
