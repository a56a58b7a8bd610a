"""Mask R-CNN trains as StarDist does, and keeps overlapping particles apart."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from followed import events_of, leave_at
from skimage.draw import polygon

from napari_nanoseg import load_model
from napari_nanoseg.config.jobs import read_job
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.paths import COCO
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Event, JobResult, Notice, Progress
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.datasets import DatasetWriter
from napari_nanoseg.jobs.start import starting_model
from napari_nanoseg.jobs.train import train_job
from napari_nanoseg.samples import Image, Sample

SIDE = 96
TINY = MaskRCNNConfig(
    fpn_channels=32, box_fc_channels=32, mask_conv_channels=32, mask_conv_count=1, roi_batch_per_image=32,
    anchor_sizes=(16.0, 32.0, 64.0, 128.0, 256.0), rpn_post_nms_topk_train=100,
)  # fmt: skip


def crossing(seed: int) -> Sample:
    """Two bright bars that cross, and one apart; every mask is whole."""
    rng = np.random.default_rng(seed)
    middle = rng.uniform(36, 44, 2)
    masks = []
    for centre, angle in ((middle, 0.2), (middle, 0.2 + np.pi / 2), ((80.0, 60.0), rng.uniform(0, np.pi))):
        along = np.array([np.sin(angle), np.cos(angle)]) * 22
        across = np.array([np.cos(angle), -np.sin(angle)]) * 5
        corners = centre + np.array([along + across, along - across, -along - across, across - along])
        mask = np.zeros((SIDE, SIDE), bool)
        mask[polygon(corners[:, 0], corners[:, 1], mask.shape)] = True
        masks.append(mask)
    pixels = 40 + 70 * np.sum(masks, axis=0) + rng.normal(0, 5, (SIDE, SIDE))
    instances = Instances.from_masks((SIDE, SIDE), np.tile([0, 0, SIDE, SIDE], (3, 1)), masks)
    return Sample(Image(np.clip(pixels, 0, 255).astype(np.uint8), "YX"), instances, None, f"crossing {seed}")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images with crossing bars, and one without any object."""
    folder = tmp_path_factory.mktemp("crossing") / "data"
    with DatasetWriter(folder) as writer:
        for seed in (1, 2):
            writer.add(crossing(seed))
        empty = np.random.default_rng(0).normal(40, 5, (SIDE, SIDE)).astype(np.uint8)
        writer.add(Sample(Image(empty, "YX"), Instances.empty((SIDE, SIDE)), None, "empty"))
    return folder


def tiny(**changes) -> TrainConfig:
    values = {
        "engine": TINY, "steps": 4, "steps_per_epoch": 2, "patch_size": 64, "working_diameter": None, "workers": 0,
        "device": "cpu", "synthetic_per_real": 0, "seed": 1,
    }  # fmt: skip
    return TrainConfig(**(values | changes))


def messages(events: list[Event]) -> str:
    return "\n".join(event.message for event in events if isinstance(event, Notice))


@pytest.fixture(scope="module")
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, JobResult]:
    out = tmp_path_factory.mktemp("model") / "bars"
    config = tiny(patch_size=96)
    return out, train_job(TrainJob(config=config, dataset=dataset, out=out, validation=dataset))


def test_leaves_a_model_that_segments_and_says_how_well(trained):
    folder, result = trained
    model = load_model(folder)
    assert model.card.network.engine == "maskrcnn"
    assert result.figures["steps"] == 4
    assert result.figures["threshold_prob"] == model.card.thresholds["prob"]
    assert (folder / "preview.png").is_file()
    assert model.segment(crossing(9).image).shape == (SIDE, SIDE)


def test_its_model_goes_to_detectron2_and_back(trained, tmp_path):
    from napari_nanoseg.config.convert import ConvertJob
    from napari_nanoseg.jobs.convert import convert_job

    convert_job(ConvertJob(model=trained[0], out=tmp_path / "d2", to="detectron2"))
    ours, back = load_model(trained[0]).network.state_dict(), load_model(tmp_path / "d2").network.state_dict()
    assert all(torch.equal(ours[name], back[name]) for name in ours)


def test_the_same_seed_gives_the_same_weights(dataset, tmp_path):
    for name in ("one", "two"):
        train_job(TrainJob(config=tiny(), dataset=dataset, out=tmp_path / name))
    one, two = (load_model(tmp_path / name).network.state_dict() for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(("unit", "occurrence"), [("steps", 1), ("steps", 3), ("validation patches", 1)])
def test_cancelled_anywhere_it_goes_on_as_if_nothing_had_happened(dataset, tmp_path, unit, occurrence):
    whole, cut = (TrainJob(config=tiny(), dataset=dataset, out=tmp_path / name) for name in ("whole", "cut"))
    expected = train_job(whole).figures
    met = count(1)
    leave_at(
        lambda event: isinstance(event, Progress) and event.unit == unit and next(met) == occurrence,
        lambda: train_job(cut),
    )
    load_model(cut.out)
    events, result = events_of(lambda: train_job(cut.model_copy(update={"resume": True})))
    assert "Going on after step" in messages(events)
    assert result.figures["validation_loss"] == pytest.approx(expected["validation_loss"], rel=1e-4)


def test_it_goes_on_from_a_model_of_its_own_which_is_at_least_kept(trained, dataset, tmp_path):
    config = tiny(engine=TINY.model_copy(update={"detections_per_image": 50}), learning_rate=1e-5, patch_size=96)
    job = TrainJob(config=config, dataset=dataset, validation=dataset, out=tmp_path / "m", start_from=trained[0])
    events, result = events_of(lambda: train_job(job))
    assert "starts from the model 'bars'" in messages(events)
    assert result.figures["validation_loss"] <= trained[1].figures["validation_loss"] * 1.0001
    assert load_model(tmp_path / "m").card.network.detections_per_image == 50
    assert read_job(tmp_path / "m" / "job.yaml").config.scale == (0.5, 1.8), "what suits a fine-tuning"


def test_a_model_for_other_classes_gives_all_but_its_last_layers(trained, dataset, tmp_path):
    config = tiny(engine=TINY.model_copy(update={"n_classes": 3}), learning_rate=1e-6)
    train_job(TrainJob(config=config, dataset=dataset, out=tmp_path / "m", start_from=trained[0]))
    before, after = (load_model(path).network.state_dict() for path in (trained[0], tmp_path / "m"))
    name = "backbone.bottom_up.res3.0.conv1.weight"
    torch.testing.assert_close(after[name], before[name], atol=1e-4, rtol=0)
    assert after["roi_heads.box_predictor.cls_score.weight"].shape[0] == 4


def test_without_a_network_a_resnet50_trains_from_scratch_and_says_what_to_do(dataset, tmp_path, monkeypatch):
    def offline(*_: object) -> None:
        raise NanosegError("The weights trained on COCO cannot be downloaded (no network); get the file.")

    monkeypatch.setattr("napari_nanoseg.engines.maskrcnn.coco_weights.read_coco", offline)
    config = tiny(engine=MaskRCNNConfig(backbone="resnet50"), steps=1, batch_size=1)
    events, _ = events_of(lambda: train_job(TrainJob(config=config, dataset=dataset, out=tmp_path / "m")))
    assert "cannot be downloaded (no network); get the file. The training starts from scratch." in messages(events)
    assert load_model(tmp_path / "m").card.network.architecture.norm == "GN", "frozen statistics would be fresh ones"
    with pytest.raises(NanosegError, match="cannot be downloaded"):
        train_job(TrainJob(config=config, dataset=dataset, out=tmp_path / "n", start_from=COCO))
    assert not (tmp_path / "n").exists()


def test_a_resnet50_starts_from_the_file_that_the_user_names(dataset, tmp_path):
    from torchvision.models.detection import maskrcnn_resnet50_fpn

    torch.manual_seed(0)
    original = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=91).state_dict()
    torch.save(original, tmp_path / "coco.pth")
    config = tiny(engine=MaskRCNNConfig(backbone="resnet50"), steps=1, batch_size=1)
    job = TrainJob(config=config, dataset=dataset, out=tmp_path / "m", start_from=tmp_path / "coco.pth")
    events, _ = events_of(lambda: train_job(job))
    assert "weights trained on COCO" in messages(events)
    model = load_model(tmp_path / "m")
    assert (model.card.network.architecture.norm, model.card.network.freeze_at) == ("FrozenBN", 2)
    frozen = original["backbone.body.layer1.0.conv1.weight"]
    assert torch.equal(model.network.state_dict()["backbone.bottom_up.res2.0.conv1.weight"], frozen)
    light = TrainJob(config=tiny(), dataset=dataset, out=tmp_path / "n", start_from=tmp_path / "coco.pth")
    with pytest.raises(NanosegError, match="choose the backbone resnet50"):
        train_job(light)
    stardist = light.model_copy(update={"config": TrainConfig(workers=0)})
    with pytest.raises(NanosegError, match="of a Mask R-CNN"):
        train_job(stardist)


def test_weights_of_coco_are_tried_for_the_network_that_they_fit(tmp_path):
    def start(network: MaskRCNNConfig) -> Path | None:
        return starting_model(TrainJob(config=TrainConfig(engine=network), dataset=tmp_path, out=tmp_path / "m"))

    assert start(MaskRCNNConfig(backbone="resnet50", n_classes=3)) == COCO
    assert start(MaskRCNNConfig(backbone="resnet50", fpn_channels=128)) is None
    assert start(MaskRCNNConfig(backbone="resnet101")) is None
    assert start(MaskRCNNConfig()) is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"patch_size": 72}, "choose a patch_size of 96"), ({"patch_size": 32, "working_diameter": 40}, "of 64")],
)
def test_patches_that_do_not_suit_are_refused(dataset, tmp_path, changes, sentence):
    with pytest.raises(NanosegError, match=sentence):
        train_job(TrainJob(config=tiny(**changes), dataset=dataset, out=tmp_path / "m"))
    assert not (tmp_path / "m").exists()


def test_defaults_are_those_of_the_network():
    light, published = (TrainConfig(engine=MaskRCNNConfig(backbone=name)) for name in ("light", "resnet50"))
    assert (light.optimizer, light.batch_size, light.patch_size) == ("adam", 2, 256)
    assert published.optimizer == "sgd"
    rates = [published.model_copy(update={"batch_size": size}).filled(fine_tuning=False) for size in (2, 16)]
    assert [config.learning_rate for config in rates] == [0.0025, 0.02], "as published, with the batch"
    assert TrainConfig(engine=MaskRCNNConfig(), batch_size=7).batch_size == 7
    assert TrainConfig(batch_size=7).with_kind("engine", MaskRCNNConfig()).batch_size == 7
    assert TrainConfig().with_kind("engine", MaskRCNNConfig()) == light
    assert TrainConfig.parse(published.model_dump(mode="json")) == published
    with pytest.raises(NanosegError, match="the engine must be one of stardist, maskrcnn"):
        TrainConfig.parse({"engine": {"engine": "yolo"}})


def test_one_pixel_is_an_object(dataset, tmp_path):
    truth = crossing(3)
    masks = [*truth.instances.masks, np.ones((1, 1), bool)]
    boxes = np.concatenate([truth.instances.boxes, [[50, 40, 51, 41]]])
    sample = Sample(truth.image, Instances.from_masks((SIDE, SIDE), boxes, masks), None, "pixel")
    with DatasetWriter(tmp_path / "data") as writer:
        writer.add(sample)
    config = tiny(steps=2, patch_size=96)
    result = train_job(TrainJob(config=config, dataset=tmp_path / "data", out=tmp_path / "m"))
    assert np.isfinite(result.figures["validation_loss"])
    load_model(tmp_path / "m").segment(truth.image, SegmentConfig(probability=0.3))
