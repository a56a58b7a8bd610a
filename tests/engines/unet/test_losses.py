"""Losses of U-Nets: what is right costs nothing, what is not labelled costs nothing whatever it is."""

from __future__ import annotations

import pytest
import torch

from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.engines.unet.losses import unet_losses

NAMES = ("bce", "dice", "focal", "centreline")
ALL = dict.fromkeys(NAMES, 1.0)
KINDS = {
    "one class": UNetConfig(**ALL),
    "three classes": UNetConfig(classes=("crack", "void", "particle"), **ALL),
    "volume": UNetConfig(dimensions="3d", **ALL),
    "classes in a volume": UNetConfig(dimensions="3d", classes=("crack", "void"), **ALL),
}


def truth_of(config: UNetConfig) -> torch.Tensor:
    """Lines of each class, two items."""
    target = torch.zeros((2, *(8, 24, 24)[-config.axes :]), dtype=torch.int64)
    for number in range(len(config.classes)):
        target[..., 3 + 6 * number : 6 + 6 * number, 2:-2] = number + 1
    return target


def sure(target: torch.Tensor, config: UNetConfig) -> torch.Tensor:
    """Logits of a network that knows the truth."""
    places = torch.nn.functional.one_hot(target, len(config.classes) + 1).movedim(-1, 1).float()
    return (places[:, 1:] if config.outputs == 1 else places) * 60 - 30


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
def test_the_truth_costs_nothing_and_the_opposite_most(config):
    target = truth_of(config)
    right, wrong = sure(target, config), -sure(target, config)
    best, worst = unet_losses(right, target, config), unet_losses(wrong, target, config)
    for name in NAMES:
        assert best[name] == pytest.approx(0, abs=2e-2), name
        assert worst[name] > 0.4, name
    assert worst["loss"] == pytest.approx(float(sum(worst[name] for name in NAMES)))


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
def test_what_is_not_labelled_changes_nothing(config):
    torch.manual_seed(0)
    target = truth_of(config)
    target[..., 10:16] = -1
    target[..., 16:18] = -2
    logits = torch.randn((2, config.outputs, *target.shape[1:]), requires_grad=True)
    losses = unet_losses(logits, target, config)
    other = torch.where((target < 0)[:, None], torch.randn_like(logits) * 9, logits.detach())
    again = unet_losses(other, target, config)
    for name in losses:
        assert float(losses[name].detach()) == pytest.approx(float(again[name]), rel=1e-6), name
    losses["loss"].backward()
    slope = logits.grad.abs().sum(dim=1)
    assert (slope[target < 0] == 0).all()
    assert (slope[target >= 0] > 0).float().mean() > 0.9


def test_cross_entropy_is_the_mean_over_what_is_labelled():
    config = UNetConfig(bce=2.0, dice=0.0, centreline=0.0)
    target = torch.full((1, 4, 4), -1)
    target[0, 0, 0], target[0, 0, 1] = 1, 0
    logits = torch.full((1, 1, 4, 4), 1.5)
    losses = unet_losses(logits, target, config)
    expected = -(torch.sigmoid(torch.tensor(1.5)).log() + torch.sigmoid(torch.tensor(-1.5)).log()) / 2
    assert losses["bce"] == pytest.approx(float(expected))
    assert losses["loss"] == pytest.approx(2 * float(expected))
    assert set(losses) == {"loss", "bce"}


def test_without_any_label_or_any_crack_they_stay_finite():
    for config in KINDS.values():
        shape = (2, *(16, 16, 16)[-config.axes :])
        for target in (torch.full(shape, -1), torch.zeros(shape, dtype=torch.int64)):
            logits = torch.randn((2, config.outputs, *shape[1:]), requires_grad=True)
            loss = unet_losses(logits, target, config)["loss"]
            loss.backward()
            assert torch.isfinite(loss)
            assert torch.isfinite(logits.grad).all()


def test_centre_lines_punish_a_gap_more_than_dice():
    """A gap of a few pixels in a line: few pixels, but the line is not whole any more."""
    config = UNetConfig(bce=0.0, focal=0.0)
    target = torch.zeros((1, 33, 64), dtype=torch.int64)
    target[:, 13:20] = 1
    thin, gap = sure(target, config), sure(target, config)
    thin[:, :, [13, 14, 18, 19]] = -30
    gap[:, :, :, 20:40] = -30
    thinner, parted = (unet_losses(one, target, config) for one in (thin, gap))
    assert thinner["dice"] > parted["dice"], "four of seven rows are missing, or a third of all columns"
    assert thinner["centreline"] < parted["centreline"] / 2
