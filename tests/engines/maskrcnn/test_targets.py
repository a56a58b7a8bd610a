"""What anchors and proposals are told, on boxes whose answer is known."""

from __future__ import annotations

import pytest
import torch

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.engines.maskrcnn.boxes import BoxCoder
from napari_nanoseg.engines.maskrcnn.losses import maskrcnn_losses
from napari_nanoseg.engines.maskrcnn.network import MaskRCNN
from napari_nanoseg.engines.maskrcnn.targets import (
    BACKGROUND,
    IGNORED,
    OBJECT,
    boxes_of,
    mask_targets,
    matched,
    sampled,
    truths_of,
    without_unknown,
)  # fmt: skip

SQUARE = torch.tensor([[10.0, 10, 30, 30]])


def test_an_anchor_equal_to_the_truth_is_an_object_without_changes():
    far = torch.tensor([[60.0, 60, 80, 80]])
    half = torch.tensor([[10.0, 10, 30, 20]])
    index, label = matched(torch.cat([SQUARE, far, half]), SQUARE, 0.3, 0.7, low_quality=True)
    assert label.tolist() == [OBJECT, BACKGROUND, IGNORED]
    assert not BoxCoder(1, 1, 1, 1).deltas(SQUARE, SQUARE[index[:1]]).any()


def test_the_best_anchor_of_an_object_counts_however_bad():
    small = torch.tensor([[10.0, 10, 14, 14], [50.0, 50, 60, 60]])
    assert matched(small, SQUARE, 0.3, 0.7, low_quality=True)[1].tolist() == [OBJECT, BACKGROUND]
    assert matched(small, SQUARE, 0.5, 0.5, low_quality=False)[1].tolist() == [BACKGROUND, BACKGROUND]


def test_boxes_and_masks_of_one_pixel_and_of_crossing_objects():
    masks = torch.zeros((3, 40, 40), dtype=torch.bool)
    masks[0, 7, 9] = masks[1, 10:20, :] = masks[2, :, 10:20] = True
    boxes = boxes_of(masks)
    assert boxes.tolist() == [[9, 7, 10, 8], [0, 10, 40, 20], [10, 0, 20, 40]]
    assert mask_targets(masks, boxes, 28)[1:].all()
    assert mask_targets(masks, boxes, 28)[0].any()
    assert boxes_of(masks[:0]).shape == (0, 4)


def test_sampling_keeps_the_share_and_repeats_with_the_seed():
    label = torch.cat([torch.full((50,), OBJECT), torch.full((300,), BACKGROUND), torch.full((9,), IGNORED)])
    torch.manual_seed(1)
    positive, negative = sampled(label, 64, 0.25)
    assert len(positive) == 16
    assert len(negative) == 48
    assert (label[negative] == BACKGROUND).all()
    torch.manual_seed(1)
    assert torch.equal(sampled(label, 64, 0.25)[0], positive)


def test_background_is_not_learned_where_the_truth_is_unknown():
    known = torch.zeros((64, 64), dtype=torch.bool)
    label = torch.tensor([BACKGROUND])
    assert without_unknown(label, SQUARE, known).item() == IGNORED
    assert without_unknown(label, SQUARE, ~known).item() == BACKGROUND


@pytest.mark.parametrize("objects", [0, 1])
def test_losses_are_finite_and_reach_the_backbone(objects):
    torch.manual_seed(0)
    network = MaskRCNN(MaskRCNNConfig())
    masks = torch.zeros((objects, 64, 64), dtype=torch.bool)
    masks[:, 10:40, 20:50] = True
    none = torch.zeros(objects, dtype=torch.long)
    losses = maskrcnn_losses(
        network, torch.randn(1, 3, 64, 64), truths_of(masks, none, none, torch.ones((1, 64, 64), dtype=torch.bool))
    )
    losses["loss"].backward()
    assert all(value.isfinite() for value in losses.values())
    assert (losses["mask"] > 0) == bool(objects)
    assert network.backbone.bottom_up.stem.conv1.weight.grad.abs().sum() > 0
