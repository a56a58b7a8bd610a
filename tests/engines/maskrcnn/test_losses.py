"""The losses teach what they say: bars that cross are found again, both whole."""

from __future__ import annotations

import numpy as np
import torch

from napari_nanoseg import evaluate
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.engines.augment import OUTSIDE, UNKNOWN
from napari_nanoseg.engines.maskrcnn.losses import maskrcnn_losses
from napari_nanoseg.engines.maskrcnn.model import MaskRCNNModel
from napari_nanoseg.engines.maskrcnn.patches import encode, packed
from napari_nanoseg.engines.maskrcnn.targets import truths_of
from napari_nanoseg.engines.maskrcnn.thresholds import best_score, instances_in, objects_of
from napari_nanoseg.engines.patches import WorkingImage

TINY = MaskRCNNConfig(
    fpn_channels=32, box_fc_channels=32, mask_conv_channels=32, mask_conv_count=1, roi_batch_per_image=32,
    anchor_sizes=(16.0, 32.0, 64.0, 128.0, 256.0), rpn_post_nms_topk_train=100,
)  # fmt: skip
CPU = torch.device("cpu")


def cross() -> WorkingImage:
    """A standing and a lying bar that cross, and a square apart; the bars lie in two layers."""
    labels = np.zeros((64, 64, 2), np.int32)
    labels[8:40, 20:28, 0] = 1
    labels[20:28, 6:44, 1] = 2
    labels[46:60, 46:60, 0] = 3
    pixels = 0.2 + 0.3 * (labels > 0).sum(axis=-1) + np.random.default_rng(0).normal(0, 0.02, (64, 64))
    return WorkingImage(pixels.astype(np.float32), labels, {1: 0, 2: 0, 3: 0})


def test_an_image_is_learnt_by_heart_with_both_bars_whole():
    truth = cross()
    torch.manual_seed(0)
    model = MaskRCNNModel.from_card(ModelCard(network=TINY))
    network = model.network.train()
    image, *targets = packed([encode(TINY, truth.pixels, truth.labels, truth.classes)])
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    history = []
    for _ in range(80):
        losses = maskrcnn_losses(network, image, truths_of(*targets))
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        history.append(float(losses["loss"].detach()))
    assert np.mean(history[-5:]) < 0.4 * history[0]
    network.eval()
    score, f1 = best_score([truth], model, CPU)
    assert f1 == 1
    found = instances_in(truth.pixels, model, CPU, score)
    assert evaluate(objects_of(truth), found).f1 == 1
    assert found.overlapping


def test_every_loss_falls_on_every_part_of_the_network():
    truth = cross()
    network = MaskRCNNModel.from_card(ModelCard(network=TINY)).network.train()
    image, *targets = packed([encode(TINY, truth.pixels, truth.labels, truth.classes)])
    losses = maskrcnn_losses(network, image, truths_of(*targets))
    assert set(losses) == {"objectness", "proposal", "class", "box", "mask", "loss"}
    losses["loss"].backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_an_image_without_objects_has_finite_losses():
    nothing = WorkingImage(np.zeros((64, 64), np.float32), np.zeros((64, 64, 1), np.int32), {})
    network = MaskRCNNModel.from_card(ModelCard(network=TINY)).network.train()
    image, *targets = packed([encode(TINY, nothing.pixels, nothing.labels, {})])
    losses = maskrcnn_losses(network, image, truths_of(*targets))
    losses["loss"].backward()
    assert all(bool(value.isfinite()) for value in losses.values())
    assert losses["box"] == losses["mask"] == losses["proposal"] == 0


def test_objects_cut_by_the_border_of_the_image_are_neither_objects_nor_background():
    truth = cross()
    labels = truth.labels.copy()
    labels[:, :10] = OUTSIDE
    _, masks, classes, known = encode(TINY, truth.pixels, labels, truth.classes)
    assert len(masks) == len(classes) == 2, "the lying bar is cut"
    assert not known[:, :10].any()
    assert not known[20:28, 10:19].any(), "what is left of it"
    assert known[50, 30]


def test_where_nothing_is_known_objects_stay():
    truth = cross()
    labels = truth.labels.copy()
    labels[(labels == 0).all(axis=-1)] = UNKNOWN
    _, masks, _, known = encode(TINY, truth.pixels, labels, truth.classes)
    assert len(masks) == 3
    np.testing.assert_array_equal(known.numpy(), (truth.labels > 0).any(axis=-1))
    np.testing.assert_array_equal(masks.any(dim=0).numpy(), known.numpy())


def test_classes_count_from_one_in_annotations_and_from_nought_in_losses():
    truth = cross()
    two = TINY.model_copy(update={"n_classes": 2})
    _, _, classes, _ = encode(two, truth.pixels, truth.labels, {1: 2, 2: 1, 3: 0})
    assert sorted(classes.tolist()) == [0, 0, 1]
