"""The layers: sizes, where Keras pads, where dropout acts, how far a pixel counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from followed import places_to_leave

from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.engines.unet.network import UNet
from napari_nanoseg.errors import NanosegError

VARIANTS = {
    "one class": UNetConfig(filters=2, normalisation="batch"),
    "classes": UNetConfig(filters=2, levels=2, classes=("crack", "void", "particle"), normalisation="batch"),
    "neighbours": UNetConfig(filters=2, levels=3, dimensions="2.5d", neighbours=2, normalisation="batch"),
    "volume": UNetConfig(filters=2, levels=2, dimensions="3d", classes=("crack", "void"), normalisation="batch"),
    "original": UNetConfig.original().model_copy(update={"filters": 4}),
    "instance": UNetConfig(filters=2, levels=1),
    "group": UNetConfig(filters=6, levels=1, dimensions="3d", normalisation="group"),
}


def network_of(config: UNetConfig) -> UNet:
    torch.manual_seed(0)
    network = UNet(config)
    for name, values in network.state_dict().items():
        if name.endswith("running_var"):
            values.uniform_(0.5, 2.0)
        elif name.endswith(("bias", "running_mean")):
            values.normal_(0, 0.1)
    return network.eval()


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
@torch.inference_mode()
def test_sides_stay_and_probabilities_are_of_the_classes(config):
    network = network_of(config)
    sides = [2 * side for side in network.divisor]
    batch = torch.rand(2, config.inputs, *sides)
    logits = network(batch)
    assert logits.shape == (2, config.outputs, *sides)
    found = network.probabilities(logits)
    assert found.shape == (2, len(config.classes), *sides)
    assert found.min() >= 0
    assert found.sum(dim=1).max() <= 1 + 1e-6
    assert places_to_leave(lambda: network(batch)) == 5 * config.levels + 2
    torch.testing.assert_close(network.fused()(batch), logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
@torch.inference_mode()
def test_the_smallest_input_is_as_large_as_the_divisor(config):
    network = network_of(config)
    assert torch.isfinite(network(torch.rand(1, config.inputs, *network.divisor))).all()


@pytest.mark.parametrize("config", list(VARIANTS.values())[:5], ids=list(VARIANTS)[:5])
@torch.inference_mode()
def test_no_pixel_influences_the_output_beyond_reach(config):
    network = network_of(config)
    step, reach = network.divisor[0], network.reach
    size = 2 * reach + 4 * step
    image = torch.zeros(1, config.inputs, *[step] * (config.axes - 1), size)
    spot = image.clone()
    spot[..., size // 2] = 1e4
    touched = torch.nonzero((network(spot) - network(image)).abs().flatten(0, -2).amax(dim=0))
    assert len(touched)
    assert (touched - size // 2).abs().max() <= reach


def test_an_even_kernel_sees_what_comes_after_as_in_keras():
    layer = network_of(UNetConfig(filters=1, levels=1, normalisation="none")).layers["up_0"]
    torch.nn.init.ones_(layer.conv.weight)
    torch.nn.init.zeros_(layer.conv.bias)
    spot = torch.zeros(1, 2, 4, 4)
    spot[0, 0, 2, 2] = 1
    with torch.inference_mode():
        seen = layer(spot)[0, 0].numpy()
    expected = np.zeros((4, 4), np.float32)
    expected[1:3, 1:3] = 1
    np.testing.assert_array_equal(seen, expected)


def test_dropout_is_on_the_two_deepest_levels_and_the_skip_between():
    network = UNet(UNetConfig(filters=2, levels=3, dropout=0.999999)).train()
    dropped, joined = [], []
    network.dropout.register_forward_hook(lambda _, __, out: dropped.append(out.shape[1]))
    network.layers["merge_2_0"].register_forward_pre_hook(lambda _, inputs: joined.append(inputs[0]))
    network(torch.rand(1, 1, 16, 16))
    assert dropped == [8, 16]
    assert not joined[0][:, :8].any()  # the skip comes first


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"classes": ("crack", "crack")}, "same name"),
        ({"classes": ()}, "classes"),
        ({"classes": (" ",)}, "classes"),
        ({"head": "cdnet", "classes": ("a", "b")}, "one class"),
        ({"bce": 0, "dice": 0, "centreline": 0}, "weight 0"),
    ],
)
def test_a_network_that_cannot_be_built_is_refused(values, words):
    with pytest.raises(NanosegError, match=words):
        UNetConfig.parse(values)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize(("dimensions", "usual"), [("2d", torch.nn.InstanceNorm2d), ("3d", torch.nn.InstanceNorm3d)])
def test_instance_normalisation_is_that_of_torch(dimensions, usual, images):
    network = UNet(UNetConfig(filters=4, levels=1, dimensions=dimensions))
    own = network.layers["down_0_0"].norm
    other = usual(4, affine=True)
    torch.nn.init.uniform_(own.weight, 0.5, 2)
    torch.nn.init.uniform_(own.bias)
    other.load_state_dict(own.state_dict())
    results = []
    for layer in (own, other):
        torch.manual_seed(1)
        x = torch.randn(images, 4, *[6] * network.config.axes, requires_grad=True)
        found = layer(x * 3 + 1)
        found.pow(3).sum().backward()
        results.append((found.detach(), x.grad, layer.weight.grad, layer.bias.grad))
    for mine, torchs in zip(*results, strict=True):
        torch.testing.assert_close(mine, torchs, rtol=1e-4, atol=1e-4)
