"""Models as CDNet leaves them, made of networks of ours; and networks whose result is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest
import torch
from torch import nn

from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.engines.unet.model import UNetModel
from napari_nanoseg.engines.unet.network import UNet

STEEPNESS = 40.0


@pytest.fixture(scope="session")
def passing_model() -> Callable[..., UNetModel]:
    """Maker of models that look at nothing but the pixel itself.

    Class i has the logit 40 (x - 0.5 - 0.25 i), with x from 0 to 1 between the card's percentiles.
    """

    def make(card: dict[str, Any] | None = None, **config: Any) -> UNetModel:
        card = {"percentiles": (0.0, 100.0), **(card or {})}
        network = UNetConfig(**{"filters": 2, "levels": 2, "normalisation": "none", **config})
        model = UNetModel.from_card(ModelCard(network=network, **card))
        for convolution in model.network.convolutions():
            nn.init.zeros_(convolution.weight)
            nn.init.zeros_(convolution.bias)
        middle = (1,) * network.axes
        for name in ("down_0_0", "down_0_1", "merge_0_0", "merge_0_1"):
            seen = network.inputs // 2 if name == "down_0_0" else 0
            model.network.layers[name].conv.weight.data[(0, seen, *middle)] = 1
        kinds = len(network.classes)
        for number in range(kinds):
            output = number + (kinds > 1)
            model.network.out.weight.data[output, 0] = STEEPNESS
            model.network.out.bias.data[output] = -STEEPNESS * (0.5 + 0.25 * number)
        return model

    return make


@pytest.fixture(scope="session")
def random_model() -> Callable[..., UNetModel]:
    """Maker of small models with fresh weights whose probabilities are neither all 0 nor all 1."""

    def make(card: dict[str, Any] | None = None, **config: Any) -> UNetModel:
        torch.manual_seed(0)
        network = UNetConfig(**{"filters": 2, "levels": 2, **config})
        model = UNetModel.from_card(ModelCard(network=network, **(card or {})))
        for name, values in model.network.state_dict().items():
            if name.endswith("running_var"):
                values.uniform_(0.5, 2.0)
        nn.init.zeros_(model.network.out.bias)
        return model

    return make


@pytest.fixture(scope="session")
def cdnet() -> Callable[..., UNet]:
    """Maker of narrow CDNets."""
    return cdnet_of


@pytest.fixture(scope="session")
def write_cdnet() -> Callable[..., Path]:
    """Writer of a network as CDNet's files; see `write`."""
    return write


def cdnet_of(filters: int = 4, levels: int = 2) -> UNet:
    """A narrow CDNet with fresh weights and biases, none of whose channels are dead."""
    torch.manual_seed(1)
    network = UNet(UNetConfig.original().model_copy(update={"filters": filters, "levels": levels})).eval()
    for convolution in network.convolutions():
        nn.init.normal_(convolution.bias, 0.1, 0.05)
    return network


def write(network: UNet, folder: Path, *, described: bool = True, keras: int = 2, whole: bool = False) -> Path:
    """Write its two files; of Keras 2 or 3, and as a file of weights or of a whole model. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    layers = layers_of(network)
    with h5py.File(folder / "u_net1.hdf5", "w") as file:
        group = file.create_group("model_weights") if whole else file
        group.attrs["layer_names"] = [layer["name"].encode() for layer in layers]
        convolutions = iter(network.convolutions())
        for layer in layers:
            inner = group.create_group(layer["name"])
            names = []
            if layer["class_name"] == "Conv2D":
                convolution = next(convolutions)
                kernel, bias = convolution.weight.detach().permute(2, 3, 1, 0), convolution.bias.detach()
                for last, values in (("kernel", kernel), ("bias", bias)):
                    names.append(f"{layer['name']}/{last}" + ":0" * (keras == 2))
                    inner.create_dataset(names[-1], data=values.numpy())
            inner.attrs["weight_names"] = [name.encode() for name in names]
    if described:
        text = json.dumps({"class_name": "Functional", "config": {"name": "model", "layers": layers}})
        (folder / "u-net.json").write_text(text)
    return folder


def layers_of(network: UNet) -> list[dict[str, Any]]:
    """Keras' description of the layers."""
    made: list[dict[str, Any]] = []
    counts: dict[str, int] = {}

    def add(kind: str, stem: str, sources: list[str], **config: Any) -> str:
        number = counts.get(stem, 0)
        counts[stem] = number + 1
        name = f"{stem}_{number}" if number else stem
        inbound = [[[source, 0, 0, {}] for source in sources]] if sources else []
        made.append({"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": inbound})
        return name

    def convolve(source: str, side: int = 3, activation: str = "relu") -> str:
        return add(
            "Conv2D", "conv2d", [source], kernel_size=[side, side], padding="same" if side > 1 else "valid",
            activation=activation,
        )  # fmt: skip

    levels, skips = network.config.levels, []
    last = add("InputLayer", "input", [])
    for level in range(levels + 1):
        if level:
            last = add("MaxPooling2D", "max_pooling2d", [last], pool_size=[2, 2])
        last = convolve(convolve(last))
        if level >= levels - 1:
            last = add("Dropout", "dropout", [last], rate=0.5)
        skips.append(last)
    skips.pop()
    for _ in range(levels):
        up = convolve(add("UpSampling2D", "up_sampling2d", [last], size=[2, 2], interpolation="nearest"), 2)
        last = add("Concatenate", "concatenate", [skips.pop(), up], axis=3)
        last = convolve(convolve(last))
    convolve(convolve(last), 1, "sigmoid")
    return made
