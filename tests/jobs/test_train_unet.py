"""U-Nets train as the other networks do, from masks that say what a pixel is, dense or scribbled, flat or deep."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from followed import events_of, leave_at

from napari_nanoseg import load_model
from napari_nanoseg.config.jobs import read_job
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.paths import COCO
from napari_nanoseg.config.sweep import SweepJob
from napari_nanoseg.config.train import SyntheticPatchConfig, TrainConfig, TrainJob
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.tolerant import evaluate_pixels, pool_pixels
from napari_nanoseg.events import Epoch, Event, JobResult, Notice, Progress
from napari_nanoseg.io.class_maps import open_class_maps, write_class_map
from napari_nanoseg.jobs.start import starting_model
from napari_nanoseg.jobs.sweep import figures_of, sweep_job
from napari_nanoseg.jobs.train import held_out, train_job
from napari_nanoseg.samples import Image

SIDE = 64
TINY = UNetConfig(filters=4, levels=2)
CDNET = Path(__file__).parents[3] / "shared" / "data" / "reference_models" / "cdnet"


def cracked(seed: int, depth: int | None = None) -> tuple[Image, np.ndarray]:
    """Dark cracks and a darker void, which is something else, on a grey ground."""
    rng = np.random.default_rng(seed)
    shape = (depth or 1, SIDE, SIDE)
    classes = np.zeros(shape, np.uint8)
    row, column = rng.integers(8, 40, 2)
    classes[:, row : row + 3, 4:60] = 1
    classes[:, 4:60, column : column + 3] = 1
    classes[:, 48:60, 48:60] = 2
    pixels = np.array([150, 90, 30])[classes] + rng.normal(0, 8, shape)
    pixels = pixels.astype(np.uint8)
    return (Image(pixels, "ZYX"), classes) if depth else (Image(pixels[0], "YX"), classes[0])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four images with cracks as 0 and 255, one without any."""
    folder = tmp_path_factory.mktemp("cracks") / "data"
    for seed in range(4):
        image, classes = cracked(seed)
        write_class_map(folder, image, np.where(classes == 1, 255, 0), f"crack {seed}")
    write_class_map(folder, Image(cracked(9)[0].data[:30]), np.zeros((30, SIDE), np.uint8), "empty")
    return folder


def tiny(network: UNetConfig = TINY, **changes) -> TrainConfig:
    values = {
        "engine": network, "steps": 4, "steps_per_epoch": 2, "patch_size": 32, "batch_size": 2, "workers": 0,
        "device": "cpu", "seed": 1, "validation_seed": 0,
    }  # fmt: skip
    return TrainConfig(**(values | changes))


def messages(events: list[Event]) -> str:
    return "\n".join(event.message for event in events if isinstance(event, Notice))


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event], JobResult]:
    out = tmp_path_factory.mktemp("model") / "cracks"
    config = tiny(steps=60, steps_per_epoch=30, learning_rate=0.01, batch_size=4)
    return out, *events_of(lambda: train_job(TrainJob(config=config, dataset=dataset, out=out)))


def test_it_finds_cracks_and_leaves_voids_alone(trained):
    folder, events, result = trained
    assert "Images for training: 4; for validation: 1." in messages(events)
    last = [event for event in events if isinstance(event, Epoch)][-1]
    assert {"loss", "bce", "dice", "centreline"} <= set(last.losses)
    assert {"loss", "f1"} <= set(last.validation)
    assert Path(last.preview).is_file()
    model = load_model(folder)
    assert model.card.class_thresholds == (result.figures["threshold_crack"],)
    assert 0 < result.figures["validation_f1"] <= 1
    evaluations = []
    for seed in (20, 21):
        image, classes = cracked(seed)
        evaluations.append(evaluate_pixels(classes == 1, model.segment(image).to_labels() == 1, 2))
    assert pool_pixels(evaluations).f1 > 0.8


def test_it_says_that_validation_images_without_any_crack_judge_badly(dataset, tmp_path):
    chosen = next(seed for seed in range(99) if held_out(5, tiny(validation_seed=seed)) == {4})
    config = tiny(validation_seed=chosen, steps=1)
    events, result = events_of(lambda: train_job(TrainJob(config=config, dataset=dataset, out=tmp_path / "m")))
    assert "No validation image has a pixel of any class" in messages(events)
    assert result.figures["threshold_crack"] == 0.5


@pytest.mark.parametrize("normalisation", ["instance", "batch"])
def test_the_same_seed_gives_the_same_weights_also_when_it_was_cancelled(dataset, tmp_path, normalisation):
    config = tiny(TINY.model_copy(update={"normalisation": normalisation}))
    whole, cut = (TrainJob(config=config, dataset=dataset, out=tmp_path / name) for name in ("whole", "cut"))
    expected = train_job(whole).figures
    met = count(1)
    leave_at(
        lambda event: isinstance(event, Progress) and event.unit == "steps" and next(met) == 3,
        lambda: train_job(cut),
    )
    load_model(cut.out)
    events, result = events_of(lambda: train_job(cut.model_copy(update={"resume": True})))
    assert "Going on after step" in messages(events)
    assert result.figures["validation_loss"] == pytest.approx(expected["validation_loss"], rel=1e-4)
    one, two = (load_model(job.out).network.state_dict() for job in (whole, cut))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=1e-5)


def test_it_goes_on_from_a_model_of_its_own_which_is_at_least_kept(trained, dataset, tmp_path):
    before = trained[0]
    network = UNetConfig(dice=2.0, centreline=0.0)
    job = TrainJob(config=tiny(network, learning_rate=1e-6), dataset=dataset, out=tmp_path / "m", start_from=before)
    events, result = events_of(lambda: train_job(job))
    assert "starts from the model 'cracks'" in messages(events)
    card = load_model(tmp_path / "m").card
    assert (card.network.filters, card.network.levels) == (4, 2), "its network"
    assert (card.network.dice, card.network.centreline) == (2.0, 0.0), "but losses of its own"
    assert result.figures["validation_f1"] == pytest.approx(trained[2].figures["validation_f1"], abs=0.05)
    other = tiny(UNetConfig(classes=("crack", "void")))
    with pytest.raises(NanosegError, match=r"has the classes crack, but crack, void are asked for"):
        train_job(job.model_copy(update={"config": other, "out": tmp_path / "n"}))
    wrong = tiny(MaskRCNNConfig(), patch_size=64)
    with pytest.raises(NanosegError, match="is not a Mask R-CNN model"):
        train_job(job.model_copy(update={"config": wrong, "out": tmp_path / "n"}))


def test_a_training_that_spoils_the_model_leaves_it_as_it_was(trained, dataset, tmp_path):
    spoiling = tiny(learning_rate=1, anchor=0)
    job = TrainJob(config=spoiling, dataset=dataset, out=tmp_path / "m", start_from=trained[0])
    events, _ = events_of(lambda: train_job(job))
    assert "No epoch was better" in messages(events)
    before, after = (load_model(path).network.state_dict() for path in (trained[0], tmp_path / "m"))
    for name in before:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-6)


@pytest.mark.skipif(not CDNET.is_dir(), reason="../shared/data/reference_models/cdnet is not beside this checkout")
def test_it_goes_on_from_a_model_of_cdnet(dataset, tmp_path):
    job = TrainJob(config=tiny(UNetConfig(), steps=2, learning_rate=1e-6), dataset=dataset, out=tmp_path / "m")
    train_job(job.model_copy(update={"start_from": CDNET}))
    before, after = load_model(CDNET), load_model(tmp_path / "m")
    assert after.card.network.head == "cdnet"
    assert after.card.keep_8_bit
    for one, two in zip(before.network.parameters(), after.network.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dimensions", ["2d", "2.5d", "3d"])
def test_scribbles_on_one_slice_of_a_stack_are_enough(tmp_path, dimensions):
    image, classes = cracked(3, depth=6)
    scribbles = np.zeros_like(classes)
    scribbles[2] = np.array([1, 2, 3])[classes[2]]
    scribbles[2, :30] = 0
    write_class_map(tmp_path / "data", image, scribbles, "stack")
    network = UNetConfig(filters=2, levels=1, dimensions=dimensions, labels="sparse", classes=("crack", "void"))
    config = tiny(network, steps=2)
    events, result = events_of(
        lambda: train_job(TrainJob(config=config, dataset=tmp_path / "data", out=tmp_path / "m"))
    )
    assert "which flatters" in messages(events)
    assert {"threshold_crack", "threshold_void"} <= set(result.figures)
    found = load_model(tmp_path / "m").segment(image)
    assert found.shape == classes.shape
    assert set(found.ids.tolist()) <= {1, 2}


def refused(folder: Path, out: Path, sentence: str, network: UNetConfig = TINY, **changes) -> None:
    with pytest.raises(NanosegError, match=sentence):
        train_job(TrainJob(config=tiny(network, **changes), dataset=folder, out=out))
    assert not out.exists() or not any(out.iterdir())


def test_what_cannot_be_learned_from_is_refused(dataset, tmp_path):
    image, classes = cracked(0)
    write_class_map(tmp_path / "empty", image, np.zeros_like(classes), "a")
    refused(tmp_path / "empty", tmp_path / "m", "No mask in .* has the class 'crack'")
    write_class_map(tmp_path / "size", image, classes[:50], "a")
    refused(tmp_path / "size", tmp_path / "m", r"labels an image of shape \(50, 64\), not \(64, 64\)")
    refused(dataset, tmp_path / "m", "is a 2-D image", UNetConfig(filters=2, levels=1, dimensions="3d"))
    refused(dataset, tmp_path / "m", "choose a patch_size of 64", UNetConfig(filters=2, levels=5), patch_size=48)


@pytest.mark.parametrize(
    "given",
    [
        {"diameter": 30.0}, {"working_diameter": 32.0}, {"synthetic_per_real": 2},
        {"synthetic": SyntheticPatchConfig(coverage=(0.1, 0.2))},
    ],
)  # fmt: skip
def test_nothing_is_asked_about_particles(given):
    with pytest.raises(NanosegError, match=f"'{next(iter(given))}' is about particles"):
        TrainConfig.parse({"engine": UNetConfig(), **given})
    particles = TrainConfig(**given)
    assert particles.with_kind("engine", UNetConfig()) == TrainConfig(engine=UNetConfig())


def test_defaults_are_those_of_the_network():
    flat, deep = TrainConfig(engine=UNetConfig()), TrainConfig(engine=UNetConfig(dimensions="3d"))
    assert flat.working_diameter is None
    assert deep.patch_size < flat.patch_size
    assert flat.with_kind("engine", deep.engine) == deep
    assert deep.with_kind("engine", MaskRCNNConfig()) == TrainConfig(engine=MaskRCNNConfig())
    assert TrainConfig.parse(flat.model_dump(mode="json")) == flat
    assert starting_model(TrainJob(config=flat, dataset=Path("a"), out=Path("b"))) is None
    with pytest.raises(NanosegError, match="of a Mask R-CNN; train one"):
        train_job(TrainJob(config=flat, dataset=Path("a"), out=Path("b"), start_from=COCO))


def test_a_sweep_judges_pixels(dataset, tmp_path):
    config = tiny(UNetConfig(filters=2, levels=1), steps=1)
    job = SweepJob(config=config, dataset=dataset, out=tmp_path / "s", start_from=None, vary=["engine.dice=0,1"])
    with pytest.raises(NanosegError, match="there is no field 'diameter'"):
        SweepJob.parse({**job.model_dump(), "vary": ["diameter=3,4"]})
    result = sweep_job(job)
    assert figures_of(config) == ("f1", "precision", "recall", "iou")
    assert result.figures["trainings"] == 2
    assert all(0 <= result.figures[name] <= 1 for name in figures_of(config))
    assert load_model(tmp_path / "s" / "best").card.network.engine == "unet"
    assert read_job(tmp_path / "s" / "job.yaml").config == config
    assert len(open_class_maps(dataset, config.engine)) == 5
