"""Folders and zips of the original in all the shapes that are in the wild."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.engines.stardist.keras_files import read_keras, write_keras
from napari_nanoseg.engines.stardist.network import StarDistNet
from napari_nanoseg.errors import NanosegError

SMALL = {"unet_n_filter_base": 4, "net_conv_after_unet": 8, "n_rays": 8}
VARIANTS = {
    "grid 1": StarDistConfig(grid=(1, 1), unet_batch_norm=False, **SMALL),
    "grid 4": StarDistConfig(grid=(4, 4), unet_batch_norm=False, **SMALL),
    "uneven grid": StarDistConfig(grid=(2, 4), unet_batch_norm=False, **SMALL),
    "batch norm": StarDistConfig(unet_batch_norm=True, **SMALL),
    "classes": StarDistConfig(n_classes=3, unet_batch_norm=False, **SMALL),
    "classes, batch norm": StarDistConfig(n_classes=2, unet_batch_norm=True, **SMALL),
    "rgb": StarDistConfig(n_channel_in=3, unet_batch_norm=False, **SMALL),
    "no features": StarDistConfig(unet_batch_norm=False, unet_n_filter_base=4, net_conv_after_unet=0),
    "deep": StarDistConfig(unet_n_depth=2, unet_n_conv_per_depth=3, unet_batch_norm=False, **SMALL),
}


def network_of(config: StarDistConfig) -> StarDistNet:
    torch.manual_seed(3)
    network = StarDistNet(config)
    for name, tensor in network.state_dict().items():
        if "running" in name:
            tensor.uniform_(0.5, 1.5)
    return network.eval()


def outputs(network: StarDistNet) -> list[torch.Tensor]:
    image = torch.linspace(0, 1, 64 * 64 * network.config.n_channel_in).reshape(1, -1, 64, 64)
    with torch.inference_mode():
        return [part for part in network(image) if part is not None]


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
def test_round_trip_gives_the_same_output(config, tmp_path):
    network = network_of(config)
    write_keras(network, {"prob": 0.6, "nms": 0.3}, {}, tmp_path)
    again, thresholds = read_keras(tmp_path)
    assert thresholds == {"prob": 0.6, "nms": 0.3}
    for before, after in zip(outputs(network), outputs(again), strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=0)
    grid = config.grid
    assert outputs(network)[0].shape == (1, 1, 64 // grid[0], 64 // grid[1])


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
def test_no_pixel_influences_the_output_beyond_reach(config):
    network = network_of(config)
    step, reach = max(network.divisor), network.reach
    size = 2 * reach + 4 * step
    image = torch.zeros(1, config.n_channel_in, step, size)
    spot = image.clone()
    spot[..., size // 2] = 1e4
    with torch.inference_mode():
        difference = (network(spot)[1] - network(image)[1]).abs().amax(dim=(0, 1, 2)).numpy()
    touched = np.flatnonzero(difference > 0) * config.grid[1]
    assert touched.size
    assert np.abs(touched - size // 2).max() <= reach


def rename_layers(folder: Path, names: dict[str, str], suffix: str) -> None:
    """Rewrite the weights with other layer names and another ending of the weight names, as other Keras versions do."""
    with h5py.File(folder / "weights_best.h5") as source:
        layers = [name.decode() for name in source.attrs["layer_names"]]
        arrays = {
            layer: {key.split(":")[0]: value[()] for key, value in source[layer][layer].items()} for layer in layers
        }
    with h5py.File(folder / "weights_best.h5", "w") as target:
        target.attrs["layer_names"] = [names.get(layer, layer) for layer in layers]
        for layer in layers:
            name = names.get(layer, layer)
            group = target.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{key}{suffix}" for key in arrays[layer]]
            for key, value in arrays[layer].items():
                group.create_dataset(f"{name}/{key}{suffix}", data=value)


@pytest.mark.parametrize("suffix", ["", ":0"])
def test_layer_names_of_other_keras_versions_are_understood(suffix, tmp_path):
    network = network_of(VARIANTS["batch norm"])
    write_keras(network, {"prob": 0.5, "nms": 0.4}, {}, tmp_path)
    # Keras numbers automatic names by what was built earlier in the same process.
    norms = {f"batch_normalization{f'_{k}' if k else ''}": f"batch_normalization_{k + 40}" for k in range(20)}
    rename_layers(tmp_path, {"conv2d": "conv2d_7", "conv2d_1": "conv2d_8", **norms}, suffix)
    for before, after in zip(outputs(network), outputs(read_keras(tmp_path)[0]), strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_zip_with_a_folder_inside_loads_and_follows_no_path(tmp_path):
    network = network_of(VARIANTS["grid 1"])
    write_keras(network, {"prob": 0.5, "nms": 0.4}, {}, tmp_path / "m")
    archive = tmp_path / "model ö.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in (tmp_path / "m").iterdir():
            file.write(path, f"2D_model/{path.name}")
        file.writestr("../escaped.json", "{}")
    assert load_model(archive).card.network.grid == (1, 1)
    assert not (tmp_path.parent / "escaped.json").exists()


def test_old_config_without_newer_keys_means_the_originals_defaults(tmp_path):
    network = network_of(StarDistConfig.original().model_copy(update={"grid": (1, 1), "unet_n_filter_base": 8}))
    write_keras(network, {"prob": 0.5, "nms": 0.4}, {}, tmp_path)
    path = tmp_path / "config.json"
    kept = {key: value for key, value in json.loads(path.read_text()).items() if key in ("n_dim", "unet_n_filter_base")}
    path.write_text(json.dumps(kept))
    (tmp_path / "thresholds.json").write_text('{"prob": 1.5, "nms": 0.4}')
    again, thresholds = read_keras(tmp_path)
    assert again.config.grid == (1, 1)
    assert again.config.net_conv_after_unet == 128
    assert thresholds == {"prob": 0.5, "nms": 0.4}


def damage_weights(folder: Path) -> None:
    path = folder / "weights_best.h5"
    path.write_bytes(path.read_bytes()[:3000])


def damage_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def other_dimension(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"n_dim": 3}))


def other_backbone(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"backbone": "resnet"}))


def other_width(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"n_rays": 16}))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (damage_weights, "damaged"),
        (damage_config, "config.json: it is damaged"),
        (other_dimension, "3-D StarDist"),
        (other_backbone, "resnet"),
        (other_width, "do not belong together"),
    ],
)
def test_bad_models_are_refused_in_a_sentence(damage, words, tmp_path):
    write_keras(network_of(VARIANTS["grid 1"]), {"prob": 0.5, "nms": 0.4}, {}, tmp_path)
    damage(tmp_path)
    with pytest.raises(NanosegError, match=words):
        load_model(tmp_path)
