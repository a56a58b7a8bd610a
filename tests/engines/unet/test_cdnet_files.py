"""CDNet's models: numbers of the original, files in all shapes, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from napari_nanoseg.cli import app
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.engines.unet.model import UNetModel
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.model_library import export_model, import_model
from napari_nanoseg.samples import Image


def logits(model: UNetModel) -> torch.Tensor:
    with torch.inference_mode():
        return model.network(torch.linspace(0, 1, 32 * 48).reshape(1, 1, 32, 48))


@pytest.mark.parametrize("part", ["", "u-net.json", "u_net1.hdf5"])
def test_the_reference_is_reproduced(shared_data: Path, part: str) -> None:
    folder = shared_data / "reference_models" / "cdnet"
    with np.load(folder / "reference.npz") as file:
        image, expected = file["image"], file["probability"]
    model = load_model(folder / part)
    assert isinstance(model, UNetModel)
    assert model.card.network.filters == 8
    with torch.inference_mode():
        found = model.network.probabilities(model.network(torch.from_numpy(image)[None, None]))[0, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)
    kept = model.detect(Image(image), SegmentConfig(device="cpu"))
    np.testing.assert_allclose(kept.probabilities[0] / 255, expected, atol=0.5 / 255 + 1e-4)
    np.testing.assert_array_equal(kept.instances().to_labels(), expected >= 127.5 / 255)


def test_eight_bits_are_seen_as_numbers_from_0_to_1_and_others_by_percentiles(cdnet, write_cdnet, tmp_path):
    model = load_model(write_cdnet(cdnet(), tmp_path / "m"))
    image = np.random.default_rng(0).integers(20, 200, (32, 48)).astype(np.uint8)

    def found(pixels: np.ndarray) -> np.ndarray:
        return model.detect(Image(pixels), SegmentConfig(device="cpu")).probabilities

    as_it_is = found(image)
    np.testing.assert_array_equal(found(image.astype(np.float32) / 255), as_it_is)
    assert (found(image.astype(np.uint16)) != as_it_is).any()
    np.testing.assert_array_equal(found(image.astype(np.uint16) * 100), found(image.astype(np.uint16)))


@pytest.mark.parametrize("keras", [2, 3])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("filters", "levels", "described"), [(4, 4, True), (6, 2, False)])
def test_any_width_and_layout(cdnet, write_cdnet, tmp_path, keras, whole, filters, levels, described):
    network = cdnet(filters, levels)
    folder = write_cdnet(network, tmp_path / "model", described=described, keras=keras, whole=whole)
    model = load_model(folder)
    assert model.card.network == network.config
    torch.testing.assert_close(logits(model), logits(UNetModel(network, model.card)), rtol=0, atol=0)


@pytest.mark.parametrize("source", ["", "u-net.json", "u_net1.hdf5", "zip"])
def test_the_library_takes_it(cdnet, write_cdnet, tmp_path, source):
    folder = write_cdnet(cdnet(), tmp_path / "cracks")
    (folder / "notes.txt").write_text("not part of it")
    path = export_model(folder, tmp_path / "cracks.zip") if source == "zip" else folder / source
    imported = import_model(path, tmp_path / "library", "mine" if source == "u_net1.hdf5" else None)
    assert imported.name == ("mine" if source == "u_net1.hdf5" else "cracks")
    assert sorted(file.name for file in imported.iterdir()) == ["u-net.json", "u_net1.hdf5"]
    assert torch.equal(logits(load_model(imported)), logits(load_model(folder)))
    if source == "zip":
        with pytest.raises(NanosegError, match="import it first"):
            load_model(path)


def test_commands_know_it(cdnet, write_cdnet, tmp_path):
    folder = write_cdnet(cdnet(), tmp_path / "library" / "cracks")

    def said(*words: str) -> str:
        result = CliRunner().invoke(app, [*words])
        assert result.exit_code == 0, result.output
        return result.output

    library = ("--folder", str(folder.parent))
    assert "cracks: U-Net, in the original's format" in said("models", "list", *library)
    shown = said("models", "show", "cracks", *library)
    assert "Network: U-Net 2D, 2 levels, 4 filters, classes crack, in CDNet's format" in shown
    assert "Files: ok" in shown
    said("convert", str(folder), "--out", str(tmp_path / "own"))
    own = load_model(tmp_path / "own")
    assert own.card.keep_8_bit
    assert torch.equal(logits(own), logits(load_model(folder)))
    assert "Network: U-Net 2D, 2 levels, 4 filters, classes crack\n" in said("models", "show", str(tmp_path / "own"))


def cut_off(folder: Path) -> None:
    path = folder / "u_net1.hdf5"
    path.write_bytes(path.read_bytes()[:-3000])


def cut_off_description(folder: Path) -> None:
    path = folder / "u-net.json"
    path.write_text(path.read_text()[:500])


def no_weights(folder: Path) -> None:
    (folder / "u_net1.hdf5").unlink()


def two_weights(folder: Path) -> None:
    shutil.copy(folder / "u_net1.hdf5", folder / "u_net2.hdf5")


def change(folder: Path, layer: str, values: np.ndarray) -> None:
    with h5py.File(folder / "u_net1.hdf5", "a") as file:
        del file[f"{layer}/{layer}/kernel:0"]
        file[f"{layer}/{layer}/kernel:0"] = values


def colours(folder: Path) -> None:
    change(folder, "conv2d", np.zeros((3, 3, 3, 4), np.float32))


def another_width_inside(folder: Path) -> None:
    change(folder, "conv2d_3", np.zeros((3, 3, 8, 9), np.float32))


def not_numbers(folder: Path) -> None:
    change(folder, "conv2d_3", np.full((3, 3, 8, 8), np.nan, np.float32))


def endless(folder: Path) -> None:
    with h5py.File(folder / "u_net1.hdf5", "a") as file:
        del file["conv2d_3/conv2d_3/kernel:0"]
        file.create_dataset("conv2d_3/conv2d_3/kernel:0", (3, 3, 1 << 20, 1 << 20), np.float32, chunks=(3, 3, 8, 8))


def a_layer_less(folder: Path) -> None:
    with h5py.File(folder / "u_net1.hdf5", "a") as file:
        file.attrs["layer_names"] = file.attrs["layer_names"][:-1]


def described_otherwise(folder: Path, kind: str, **config: object) -> None:
    path = folder / "u-net.json"
    model = json.loads(path.read_text())
    layer = [one for one in model["config"]["layers"] if one["class_name"] == kind][-1]
    layer["config"].update(config)
    if not config:
        layer["inbound_nodes"][0].reverse()
    path.write_text(json.dumps(model))


def other_activation(folder: Path) -> None:
    described_otherwise(folder, "Conv2D", activation="softmax")


def other_interpolation(folder: Path) -> None:
    described_otherwise(folder, "UpSampling2D", interpolation="bilinear")


def other_order(folder: Path) -> None:
    described_otherwise(folder, "Concatenate")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (cut_off, "damaged"),
        (cut_off_description, "u-net.json: it is damaged"),
        (no_weights, "is not a model that can be used"),
        (two_weights, "2 files of weights"),
        (colours, "3 channels"),
        (another_width_inside, "another network"),
        (not_numbers, "NaN or infinite"),
        (endless, "declares .* bytes of weights"),
        (a_layer_less, "another network"),
        (other_activation, "the activation of 'conv2d_13' is softmax"),
        (other_interpolation, "interpolation"),
        (other_order, "inputs of 'concatenate_1' are in another order"),
    ],
)
def test_other_and_damaged_files_are_refused_in_a_sentence(cdnet, write_cdnet, tmp_path, damage, words):
    folder = write_cdnet(cdnet(), tmp_path / "model")
    damage(folder)
    with pytest.raises(NanosegError, match=words) as refused:
        load_model(folder)
    assert "\n" not in str(refused.value)


def test_the_description_of_another_model_beside_it(cdnet, write_cdnet, tmp_path):
    folder = write_cdnet(cdnet(), tmp_path / "model")
    deeper = write_cdnet(cdnet(levels=3), tmp_path / "deeper")
    shutil.copy(deeper / "u-net.json", folder)
    with pytest.raises(NanosegError, match="do not belong together"):
        load_model(folder)
    with pytest.raises(NanosegError, match="do not belong together"):
        import_model(folder, tmp_path / "library")
    assert not (tmp_path / "library").exists()
