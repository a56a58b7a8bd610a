"""What goes wrong in practice is one sentence with exit code 2, and what was there stays as it was."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
import tifffile
import torch
from followed import events_of, leave_at
from numpy.typing import NDArray
from typer.testing import CliRunner

from napari_nanoseg.cli import app, commands
from napari_nanoseg.config.convert import ConvertJob
from napari_nanoseg.config.evaluate import EvaluateJob
from napari_nanoseg.config.generate import CutPasteConfig, GenerateJob
from napari_nanoseg.config.jobs import AnyJob
from napari_nanoseg.config.measure import MeasureJob
from napari_nanoseg.config.segment import SegmentConfig, SegmentJob
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.engines.stardist import predict
from napari_nanoseg.engines.stardist.network import StarDistNet
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice, Progress
from napari_nanoseg.io.datasets import open_dataset
from napari_nanoseg.io.images import read_label_array
from napari_nanoseg.io.run_record import sha256
from napari_nanoseg.jobs.run import run_job
from napari_nanoseg.samples import Sample

TINY = TrainConfig(
    engine=StarDistConfig(unet_n_filter_base=4, unet_n_depth=2, net_conv_after_unet=16, n_rays=16),
    steps=3, steps_per_epoch=2, batch_size=2, patch_size=64, working_diameter=16, workers=0, device="cpu",
    optimize_thresholds=False,
)  # fmt: skip
SMALL = CutPasteConfig(height=96, width=96)
JARGON = re.compile(
    r"Traceback|Errno|<class|<PosixPath|array\(|np\.|torch|\bNone\b|state_dict|object at 0x|codec", re.I
)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings run in this process; that a child says the same is shown elsewhere."""
    monkeypatch.setattr(commands, "execute", run_job)


def disc(shape: tuple[int, int], middle: tuple[float, float], radius: float) -> NDArray[np.int32]:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return ((rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 < radius**2).astype(np.int32)


def micrograph(labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).normal(60, 6, labels.shape)
    return (noise + 110 * (labels > 0)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("Größe 1 µm")


@pytest.fixture(scope="module")
def dataset(folder: Path, make_sample: Callable[..., Sample]) -> Path:
    sample = make_sample("a", 0, shape=(96, 96))
    return annotated(folder / "gut ü", sample.image.data, sample.instances.to_labels())


def annotated(folder: Path, image: NDArray[np.generic], labels: NDArray[np.generic] | None) -> Path:
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    tifffile.imwrite(folder / "images" / "a b.tif", image)
    if labels is not None:
        tifffile.imwrite(folder / "masks" / "a b.tif", labels)
    return folder


@pytest.fixture(scope="module")
def image(dataset: Path) -> Path:
    return dataset / "images" / "a.tif" if (dataset / "images" / "a.tif").exists() else dataset / "images" / "a b.tif"


def sentence(*arguments: str | Path) -> str:
    """Run a command that must fail; return what it says, which must be one sentence."""
    result = CliRunner().invoke(app, [str(argument) for argument in (*arguments, "--json")])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    said = result.stderr.strip().splitlines()[-1]
    assert said.startswith("Error: ")
    assert said.endswith("."), said
    assert not JARGON.search(said), said
    assert [line for line in result.stderr.splitlines() if line.startswith("Error")] == [said]
    return said


def left_over(folder: Path) -> list[Path]:
    return list(folder.rglob(".nanoseg-*"))


# --- annotations -----------------------------------------------------------------------------------------------------

DISC = disc((96, 96), (48, 48), 10)
BORDER = sum(k * disc((96, 96), at, 12) for k, at in enumerate([(0, 20), (95, 60), (50, 0), (40, 95)], 1))


@pytest.mark.parametrize(
    ("image", "labels", "words"),
    [
        (micrograph(DISC), None, "has no annotation"),
        (micrograph(DISC), 0 * DISC, "has a particle"),
        (micrograph(DISC), DISC[:80], r"shape \(80, 96\)"),
        (micrograph(BORDER), BORDER, "cut by the border"),
        (micrograph(DISC), disc((96, 96), (48, 48), 1), "too small"),
        (micrograph(DISC), DISC / 2, "fractions"),
        (0 * DISC.astype(np.uint8) + 7, DISC, "same value 7 everywhere"),
        (np.where(DISC, np.nan, 1).astype(np.float32), DISC, "NaN"),
        (micrograph(DISC).astype(np.complex64), DISC, "not grey values"),
    ],
    ids=["none", "empty", "other shape", "all at the border", "one pixel", "fractions", "constant", "NaN", "complex"],
)
def test_annotations_from_which_nothing_can_be_made(tmp_path, image, labels, words):
    source = annotated(tmp_path / "Quelle ä", image, labels)
    before = sha256(source)
    out = tmp_path / "out"
    assert re.search(words, sentence("generate", "cutpaste", "--source", source, "--out", out, "--count", "1"))
    if "too small" not in words:  # at working scale it is large enough
        (tmp_path / "tiny.yaml").write_text(TINY.to_yaml())
        assert re.search(words, sentence("train", "stardist", source, "--config", tmp_path / "tiny.yaml", "--out", out))
    assert sha256(source) == before
    assert not [path for path in out.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--width-nm", "0"], "width_nm.* more than 0.*--width-nm"),
        (["--length-nm", "90000"], "9000 px but the images only 96 x 96 px"),
        (["--length-nm", "0.5", "--width-nm", "0.09"], "all lengths are in nm"),
        (["--wires", "0", "0"], "nothing to draw"),
        (["--wires", "300", "300", "--deposition", "settled", "--depth", "30"], r"Only \d+ of 300 objects fit"),
        (["--wires", "9", "3"], "begins at 9 and ends at 3"),
        (["--sem-edges", "x", "1"], "must be a number"),
        (["--preset", "gold"], "V2O5 STXM"),
    ],
)
def test_nanowires_that_cannot_be_drawn(tmp_path, options, words):
    small = [] if "--length-nm" in options else ["--length-nm", "500"]
    size = ["--height", "96", "--width", "96", "--count", "1", *small]
    assert re.search(words, sentence("generate", "nanowires", "--out", tmp_path / "out", *size, *options))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        (micrograph(DISC), DISC),
        (micrograph(disc((16, 16), (8, 8), 5)), disc((16, 16), (8, 8), 5)),
        (micrograph(disc((96, 96), (48, 48), 40)), disc((96, 96), (48, 48), 40)),
        (np.random.default_rng(0).integers(0, 255, (96, 96)).astype(np.uint8), DISC),
        (micrograph(DISC).astype(np.uint16) * 200, DISC),
    ],
    ids=["one particle", "16 x 16", "larger than half", "noise", "16 bits"],
)
def test_little_is_enough(tmp_path, image, labels):
    source = annotated(tmp_path / "Quelle ä", image, labels)
    events = events_of(
        lambda: run_job(GenerateJob(config=SMALL, source=source, out=tmp_path / "made", count=1, workers=1))
    )[0]
    assert any(isinstance(event, Notice) and "one particle" in event.message for event in events)
    assert len(open_dataset(tmp_path / "made")) == 1
    run_job(TrainJob(config=TINY, dataset=source, out=tmp_path / "m"))
    job = SegmentJob(model=tmp_path / "m", images=(source,), out=tmp_path / "labels")
    job = job.model_copy(update={"images": (source / "images",)})
    run_job(job)
    assert read_label_array(tmp_path / "labels" / "a b.tif").shape == labels.shape


# --- images and models -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"hello", "not a TIF"), (b"II*\0\x08\0\0\0", "damaged"), (None, "no image")],
    ids=["empty", "text", "cut off", "missing"],
)
def test_files_that_are_no_images(disc_model, tmp_path, content, words):
    path = tmp_path / "Bild ä.tif"
    if content is not None:
        path.write_bytes(content)
    said = sentence("segment", disc_model, path, "--out", tmp_path / "out")
    assert words in said
    assert path.name in said
    assert not (tmp_path / "out").exists()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("name", ["weights.safetensors", "model.yaml"])
@pytest.mark.parametrize("harm", [truncate, Path.unlink, lambda path: path.write_bytes(b"\xff\0")])
def test_a_damaged_model(disc_model, image, tmp_path, name, harm):
    model = tmp_path / "Modell ä"
    shutil.copytree(disc_model, model)
    harm(model / name)
    assert "Modell ä" in sentence("segment", model, image, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["weights_best.h5", "config.json"])
def test_a_damaged_model_of_the_original(shared_data, image, tmp_path, name):
    model = tmp_path / "Keras ä"
    shutil.copytree(shared_data / "reference_models" / "stardist_2d", model)
    truncate(model / name)
    assert name in sentence("segment", model, image, "--out", tmp_path / "out")
    archive = Path(shutil.make_archive(str(tmp_path / "zip"), "zip", shared_data / "reference_models" / "stardist_2d"))
    truncate(archive)
    assert "zip" in sentence("convert", archive, "--out", tmp_path / "out")


def test_models_of_another_kind(image, tmp_path):
    (tmp_path / "text.txt").write_text("hello")
    for model in (tmp_path / "text.txt", tmp_path, image):
        assert "is not a model" in sentence("segment", model, image, "--out", tmp_path / "out")
        assert "is not a model" in sentence("convert", model, "--out", tmp_path / "out")


def test_weights_of_detectron2_without_their_config_or_of_something_else(image, tmp_path):
    model = tmp_path / "model.pth"
    torch.save({"weights": torch.zeros(3)}, model)
    assert "no config of Detectron2" in sentence("segment", model, image, "--out", tmp_path / "out")
    (tmp_path / "config.yaml").write_text("MODEL: {MASK_ON: true}")
    assert "lack backbone" in sentence("segment", model, image, "--out", tmp_path / "out")
    truncate(model)
    assert "damaged" in sentence("convert", model, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_data_in_a_file_like_a_models(image, tmp_path):
    with h5py.File(tmp_path / "scan.hdf5", "w") as file:
        file["pixels"] = np.zeros((4, 5))
    assert "is not a model" in sentence("segment", tmp_path, image, "--out", tmp_path / "out")
    assert "not CDNet's" in sentence("segment", tmp_path / "scan.hdf5", image, "--out", tmp_path / "out")


# --- memory and disk -------------------------------------------------------------------------------------------------


def test_no_memory_on_the_device_means_smaller_tiles_then_a_sentence(disc_model, make_sample, tmp_path, monkeypatch):
    image = make_sample("x", 5, shape=(400, 300)).image
    model = load_model(disc_model)
    wish = SegmentConfig(device="cpu", invert="no", tile=512)
    whole = model.segment(image, wish).to_labels()
    original, sides = StarDistNet.forward, []

    def short(limit: int) -> None:
        def forward(self, x):
            sides.append(max(x.shape[-2:]))
            if sides[-1] > limit:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return original(self, x)

        monkeypatch.setattr(StarDistNet, "forward", forward)

    short(290)
    events, found = events_of(lambda: model.segment(image, wish))
    np.testing.assert_array_equal(found.to_labels(), whole)
    assert any(isinstance(event, Notice) and "tiles of" in event.message for event in events)
    assert sides[0] > 290 >= sides[-1]
    short(10)
    tifffile.imwrite(tmp_path / "x.tif", image.data)
    assert "memory" in sentence("segment", disc_model, tmp_path / "x.tif", "--invert", "no", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", ["CUDA out of memory.", "DefaultCPUAllocator: can't allocate memory"])
def test_no_memory_for_training(dataset, tmp_path, monkeypatch, words):
    def forward(self, x):
        raise RuntimeError(words)

    monkeypatch.setattr(StarDistNet, "forward", forward)
    with pytest.raises(NanosegError, match="batch_size"):
        run_job(TrainJob(config=TINY, dataset=dataset, out=tmp_path / "m"))
    assert not (tmp_path / "m").exists()


def test_an_image_that_cannot_fit_is_refused_before_the_work(disc_model, image, tmp_path, monkeypatch):
    monkeypatch.setattr(predict, "find_candidates", lambda *_, **__: pytest.fail("began"))
    free = psutil.virtual_memory()._replace(available=2**20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    assert "GB of memory" in sentence("segment", disc_model, image, "--device", "cpu", "--out", tmp_path / "out")


@pytest.fixture
def jobs(dataset: Path, image: Path, disc_model: Path, tmp_path: Path) -> dict[str, AnyJob]:
    """A small job of every kind, each with its own folder `out/<job>`."""
    masks = dataset / "masks"
    out = tmp_path / "out ä"
    return {
        "generate": GenerateJob(config=SMALL, source=dataset, out=out / "generate", count=3, workers=1),
        "train": TrainJob(config=TINY, dataset=dataset, out=out / "train"),
        "segment": SegmentJob(model=disc_model, images=(image,), out=out / "segment", coco=out / "segment" / "c.json"),
        "measure": MeasureJob(labels=(masks,), images=(image,), out=out / "measure" / "t.csv"),
        "evaluate": EvaluateJob(truth=masks, prediction=masks, out=out / "evaluate"),
        "convert": ConvertJob(model=disc_model, to="stardist", out=out / "convert"),
    }


KINDS = ("generate", "train", "segment", "measure", "evaluate", "convert")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_is_full_or_read_only(jobs, dataset, disc_model, tmp_path, monkeypatch, kind, error):
    before = sha256(dataset), sha256(disc_model)
    original = Path.replace

    def replace(self, target):
        if self.name.startswith(".nanoseg-"):
            raise OSError(error, os.strerror(error), str(self))
        return original(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    (tmp_path / "job.yaml").write_text(jobs[kind].to_yaml(), encoding="utf-8")
    said = sentence("run", tmp_path / "job.yaml")
    assert ("full" if error == errno.ENOSPC else "read-only") in said
    assert str(tmp_path / "out ä" / kind) in said
    assert not [path for path in (tmp_path / "out ä").rglob("*") if path.is_file()]
    assert (sha256(dataset), sha256(disc_model)) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_folder_that_is_a_file(jobs, tmp_path, kind):
    (tmp_path / "out ä").write_text("mine")
    (tmp_path / "job.yaml").write_text(jobs[kind].to_yaml(), encoding="utf-8")
    assert "out ä" in sentence("run", tmp_path / "job.yaml")
    assert (tmp_path / "out ä").read_text() == "mine"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there are no devices in /dev")
def test_a_device_is_not_replaced_by_a_file(disc_model, image, tmp_path):
    said = sentence("segment", disc_model, image, "--out", tmp_path, "--coco", "/dev/full")
    assert "device" in said
    assert not Path("/dev/full").is_file()


# --- cancel ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_at_every_event_nothing_is_half_written(jobs, dataset, disc_model, tmp_path, kind):
    before = sha256(dataset), sha256(disc_model)
    job = jobs[kind]
    total = len(events_of(lambda: run_job(job))[0])
    complete = {path.name for path in (tmp_path / "out ä" / kind).rglob("*") if path.is_file()}
    assert total > 0
    chosen = range(total) if kind != "train" else sorted({*range(11), 15, 30, total - 1})
    for stop in chosen:
        shutil.rmtree(tmp_path / "out ä", ignore_errors=True)
        rest = iter(range(stop))
        event = leave_at(lambda _, rest=rest: next(rest, None) is None, lambda: run_job(job))[-1]
        written = [path for path in (tmp_path / "out ä").rglob("*") if path.is_file()]
        assert {path.name for path in written} <= complete, (stop, event)
        assert not left_over(tmp_path), (stop, event)
        for path in written:
            if path.suffix == ".tif":
                tifffile.imread(path)
            elif path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
        if kind == "train" and isinstance(event, Progress):
            load_model(job.out)
        if kind == "convert":
            assert not written
    assert (sha256(dataset), sha256(disc_model)) == before


# --- job files and options -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("job: segment\nmodel: m\nimages: [a]\nout: o\nconfig: {diametre: 3}", r"'config\.diametre' is unknown"),
        ("job: train\ndataset: d\nout: o\nconfig: {steps: 0}", r"'config\.steps' is 0: it must be at least 1"),
        ("job: train\ndataset: d\nout: o\nconfig: {engine: {n_rays: x}}", r"n_rays' is 'x': it must be a whole number"),
        ("job: train\ndataset: d\nout: o\nconfig: {learning_rate: .inf}", r"learning_rate' is inf: .* finite"),
        ("job: train\ndataset: d\nout: o\nconfig: {scale: [2, 1]}", "scale.*swap"),
        ("job: train\ndataset: d\nout: o\nconfig: {device: tpu}", "device' is 'tpu': choose auto, cpu"),
        ("job: train\ndataset: d", "'out' is missing"),
        ("job: segment\nmodel: 3\nimages: [a]\nout: o", "'model' is 3: it must be a path"),
        ("job: dance", "'job' is 'dance'"),
        ("- 1", "not a job"),
        ("", "not a job"),
        ("[1", "not a YAML file"),
    ],
)
def test_a_job_file_names_its_wrong_field(tmp_path, text, words):
    path = tmp_path / "Auftrag ä.yaml"
    path.write_text(text, encoding="utf-8")
    said = sentence("run", path)
    assert re.search(words, said), said
    assert "Auftrag ä.yaml" in said


def test_a_job_file_that_is_no_text(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00\xd8")
    assert "a.yaml" in sentence("run", tmp_path / "a.yaml")
    assert "nowhere" in sentence("run", tmp_path / "nowhere.yaml")
    assert str(tmp_path) in sentence("run", tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--patch-size", "100"], "patch_size of 104"),
        (["--unet-n-depth", "6"], "patch_size of 128"),
        (["--train-shape-completion"], "patch_size of 80"),
        (["--working-diameter", "90"], "patch_size of 96"),
        (["--diameter", "1e9"], "diameter"),
        (["--diameter", "1e-6"], "diameter"),
        (["--n-channel-in", "3"], "3 channels"),
        (["--from", "nowhere"], "no model at nowhere"),
        (["--validation", "nowhere"], "nowhere"),
        (["--device", "cuda:77"], "cuda:77"),
    ],
)
def test_options_that_do_not_suit_the_training(dataset, tmp_path, options, words):
    (tmp_path / "tiny.yaml").write_text(TINY.to_yaml())
    command = ["train", "stardist", dataset, "--config", tmp_path / "tiny.yaml", "--out", tmp_path / "m"]
    assert words in sentence(*command, *options)
    assert not [path for path in (tmp_path / "m").rglob("*") if path.is_file()]
