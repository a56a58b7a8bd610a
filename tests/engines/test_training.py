"""Training: that it learns, that it can be stopped, killed and resumed, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from followed import events_of, leave_at

from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.engines.anchor import Anchor
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.engines.stardist.model import StarDistModel
from napari_nanoseg.engines.stardist.train import train_stardist
from napari_nanoseg.engines.training import CHECKPOINT
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.evaluation.matching import evaluate
from napari_nanoseg.events import Epoch, Notice, Progress

CPU = torch.device("cpu")
TINY = StarDistConfig(unet_n_filter_base=4, unet_n_depth=2, net_conv_after_unet=16, n_rays=16)


def config(**changes) -> TrainConfig:
    values = {
        "engine": TINY,
        "steps": 6,
        "steps_per_epoch": 2,
        "batch_size": 2,
        "patch_size": 64,
        "working_diameter": 16.0,
        "workers": 0,
        "optimize_thresholds": False,
    }
    return TrainConfig(**(values | changes))


@pytest.fixture(scope="module")
def trained(make_sample, tmp_path_factory):
    """A model trained for a few seconds, enough for bright discs."""
    out = tmp_path_factory.mktemp("trained") / "model"
    wish = config(
        engine=TINY.model_copy(update={"unet_n_filter_base": 8}),
        steps=220,
        steps_per_epoch=110,
        batch_size=4,
        learning_rate=4e-3,
        optimize_thresholds=True,
    )
    model, figures = train_stardist(wish, [make_sample("a", 1)], [make_sample("b", 2)], 2, out, CPU)
    model.save(out)
    return out, figures


def test_it_learns_to_find_particles_it_has_not_seen(trained, make_sample):
    folder, figures = trained
    unseen = make_sample("c", 3)
    found = load_model(folder).segment(unseen.image)
    assert evaluate(unseen.instances, found).f1 > 0.9
    assert figures["validation_accuracy"] > 0.6


@pytest.mark.parametrize("zoom", [0.5, 3])
def test_particles_of_another_size_are_found_when_the_diameter_is_told(trained, make_sample, zoom):
    # 10 and 60 px instead of 20.
    other = make_sample("d", 4, shape=(int(160 * zoom), int(192 * zoom)), radius=10 * zoom)
    model = load_model(trained[0])
    told = model.segment(other.image.data, SegmentConfig(diameter=20 * zoom))
    assert evaluate(other.instances, told).f1 > 0.85


def test_pixel_sizes_tell_the_diameter(trained, make_sample):
    from dataclasses import replace

    from napari_nanoseg.calibration import Calibration

    other = make_sample("e", 5, shape=(480, 576), radius=30)
    image = replace(other.image, calibration=Calibration.of(2 / 3))
    assert evaluate(other.instances, load_model(trained[0]).segment(image)).f1 > 0.85


def test_inverted_contrast_is_noticed(trained, make_sample):
    unseen = make_sample("f", 6)
    inverted = 255 - unseen.image.data
    model = load_model(trained[0])
    assert evaluate(unseen.instances, model.segment(inverted)).f1 > 0.9
    assert evaluate(unseen.instances, model.segment(inverted, SegmentConfig(invert="no"))).f1 < 0.5


def test_tiles_change_nothing(trained, make_sample):
    image = make_sample("g", 7, shape=(700, 500)).image
    model = load_model(trained[0])
    whole = model.segment(image, SegmentConfig(tile=2048)).to_labels()
    np.testing.assert_array_equal(model.segment(image, SegmentConfig(tile=128)).to_labels(), whole)


def test_a_stack_is_segmented_slice_by_slice(trained, make_sample):
    first, second = make_sample("h", 8), make_sample("i", 9)
    model = load_model(trained[0])
    stack = model.segment(np.stack([first.image.data, second.image.data]))
    assert stack.shape == (2, 160, 192)
    assert len(stack) == len(model.segment(first.image.data)) + len(model.segment(second.image.data))


def weights(folder) -> dict[str, torch.Tensor]:
    return load_model(folder).network.state_dict()


def test_a_cancelled_training_keeps_a_model_and_resumes_to_the_same_result(make_sample, tmp_path):
    samples = [make_sample("a", 1)]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train_stardist(config(), samples, [], 1, whole, CPU)
    leave_at(lambda event: event == Progress(3, 6, "steps"), lambda: train_stardist(config(), samples, [], 1, cut, CPU))
    assert isinstance(load_model(cut), StarDistModel)
    resumed, _ = events_of(lambda: train_stardist(config(), samples, [], 1, cut, CPU, resume=True))
    steps = [e.done for e in resumed if isinstance(e, Progress) and e.unit == "steps"]
    assert steps == [4, 5, 6]
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(weights(cut)[name], tensor, rtol=1e-3, atol=1e-5, msg=name)


def test_cancelled_in_the_first_epoch_still_leaves_a_model(make_sample, tmp_path):
    leave_at(
        lambda event: isinstance(event, Progress) and event.unit == "steps",
        lambda: train_stardist(config(steps_per_epoch=5), [make_sample("a", 1)], [], 1, tmp_path / "m", CPU),
    )
    assert len(load_model(tmp_path / "m").network.state_dict())


def test_epochs_tell_losses_and_time_left(make_sample, tmp_path):
    events, _ = events_of(lambda: train_stardist(config(), [make_sample("a", 1)], [], 1, tmp_path / "m", CPU))
    epochs = [event for event in events if isinstance(event, Epoch)]
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
    assert epochs[-1].remaining_s == 0
    assert {"loss", "prob", "dist"} <= epochs[0].losses.keys()
    assert epochs[0].validation["loss"] > 0
    assert any(isinstance(event, Notice) and "validation" in event.message for event in events)


def test_patience_ends_the_training(make_sample, tmp_path):
    # With a vanishing learning rate nothing gets better, except by batch normalisation's statistics.
    wish = config(
        engine=TINY.model_copy(update={"unet_batch_norm": False}), steps=40, steps_per_epoch=1, patience=2,
        learning_rate=1e-30, schedule="constant",
    )  # fmt: skip
    events, _ = events_of(lambda: train_stardist(wish, [make_sample("a", 1)], [], 0, tmp_path / "m", CPU))
    assert sum(isinstance(event, Epoch) for event in events) == 3


def test_resuming_with_other_settings_names_them(make_sample, tmp_path):
    samples = [make_sample("a", 1)]
    train_stardist(config(), samples, [], 0, tmp_path / "m", CPU)
    with pytest.raises(NanosegError, match="learning_rate"):
        train_stardist(config(learning_rate=0.1), samples, [], 0, tmp_path / "m", CPU, resume=True)


def test_a_training_that_an_earlier_version_began_goes_on(make_sample, tmp_path):
    samples, out = [make_sample("a", 1)], tmp_path / "m"
    train_stardist(config(steps=2), samples, [], 0, out, CPU)
    content = torch.load(out / CHECKPOINT, weights_only=True)
    for name in ("stretch", "anchor"):
        del content["config"][name]
    torch.save(content, out / CHECKPOINT)
    _, figures = train_stardist(config(steps=4), samples, [], 0, out, CPU, resume=True)
    assert figures["steps"] == 4
    with pytest.raises(NanosegError, match="another value of stretch"):
        train_stardist(config(steps=6, stretch=2.0), samples, [], 0, out, CPU, resume=True)


def test_a_damaged_checkpoint_is_refused(make_sample, tmp_path):
    samples = [make_sample("a", 1)]
    train_stardist(config(), samples, [], 0, tmp_path / "m", CPU)
    path = tmp_path / "m" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(NanosegError, match=r"checkpoint\.pt: the file is damaged"):
        train_stardist(config(), samples, [], 0, tmp_path / "m", CPU, resume=True)


def test_starting_from_a_model_keeps_its_architecture(trained, make_sample, tmp_path):
    start = load_model(trained[0])
    assert isinstance(start, StarDistModel)
    wish = config(engine=StarDistConfig(), steps=2)
    model, _ = train_stardist(wish, [make_sample("a", 1)], [], 0, tmp_path / "m", CPU, start_from=start)
    assert model.network.config.unet_n_filter_base == 8


def test_a_training_that_makes_a_model_worse_leaves_it_as_it_was(trained, make_sample, tmp_path):
    start = load_model(trained[0])
    before = {name: tensor.clone() for name, tensor in start.network.state_dict().items()}
    wish = config(steps=4, learning_rate=1.0)
    samples = [make_sample("a", 1)], [make_sample("b", 2)]
    events, _ = events_of(lambda: train_stardist(wish, *samples, 0, tmp_path / "m", CPU, start_from=start))
    assert any("No epoch was better" in event.message for event in events if isinstance(event, Notice))
    after = load_model(tmp_path / "m").network.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items() if "running" not in name)


def test_a_damaged_or_foreign_weights_file_is_refused(trained, tmp_path):
    import shutil

    shutil.copytree(trained[0], tmp_path / "m")
    path = tmp_path / "m" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(NanosegError, match="damaged"):
        load_model(tmp_path / "m")
    path.unlink()
    with pytest.raises(NanosegError, match=r"no file .*copy the whole model"):
        load_model(tmp_path / "m")


def test_what_is_not_a_model_is_refused(tmp_path):
    with pytest.raises(NanosegError, match="no model"):
        load_model(tmp_path / "nowhere")
    (tmp_path / "text.txt").write_text("x")
    with pytest.raises(NanosegError, match="not a model"):
        load_model(tmp_path / "text.txt")
    with pytest.raises(NanosegError, match="not a model"):
        load_model(tmp_path)


def test_an_anchored_result_lies_between_start_and_training():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    anchor = Anchor(network, 0.25)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor += 4
    anchor.settle()
    for name, tensor in anchor.result.state_dict().items():
        torch.testing.assert_close(tensor, start[name] + 3 if tensor.is_floating_point() else start[name])


def test_thresholds_are_drawn_back_to_those_of_the_start(trained, make_sample, tmp_path):
    start = load_model(trained[0])
    start.card = start.card.model_copy(update={"thresholds": {"prob": 0.9, "nms": 0.9}})
    own, drawn = (
        train_stardist(
                config(steps=2, optimize_thresholds=True, anchor=share),
                [make_sample("a", 1)], [make_sample("b", 2)], 0, tmp_path / str(share), CPU, start_from=start,
            )[0].card.thresholds
        for share in (0.0, 0.5)
    )  # fmt: skip
    assert own["prob"] < 0.85
    assert drawn["prob"] == pytest.approx((own["prob"] + 0.9) / 2, abs=0.1)


def test_without_images_to_choose_by_the_thresholds_of_the_start_are_kept(trained, make_sample, tmp_path):
    start = load_model(trained[0])
    start.card = start.card.model_copy(update={"thresholds": {"prob": 0.87, "nms": 0.33}})
    model, figures = train_stardist(
            config(steps=2, optimize_thresholds=True), [make_sample("a", 1)], [], 0, tmp_path / "m", CPU,
            start_from=start,
        )  # fmt: skip
    assert model.card.thresholds == {"prob": 0.87, "nms": 0.33}
    assert figures["threshold_prob"] == 0.87


def test_fine_tuning_keeps_the_statistics_of_the_normalisation(trained, make_sample, tmp_path):
    start = load_model(trained[0])
    before = {name: tensor.clone() for name, tensor in start.network.state_dict().items()}

    def statistics_change(anchor):
        out = tmp_path / str(anchor)
        short = config(steps=2, anchor=anchor)
        train_stardist(short, [make_sample("a", 1)], [], 0, out, CPU, start_from=load_model(trained[0]))
        after = torch.load(out / "checkpoint.pt", weights_only=True)["network"]
        return not all(torch.equal(after[name], tensor) for name, tensor in before.items() if "running" in name)

    assert not statistics_change(0.5)
    assert statistics_change(0.0)
