"""The model trained with the original Keras implementation must give the original's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.engines.stardist.candidates import outlines, paint
from napari_nanoseg.engines.stardist.losses import stardist_losses
from napari_nanoseg.engines.stardist.model import StarDistModel
from napari_nanoseg.engines.stardist.predict import find_candidates, run_network
from napari_nanoseg.engines.stardist.suppression import suppressed
from napari_nanoseg.samples import Image
from napari_nanoseg.scaling import ScaledView

CPU = torch.device("cpu")
AS_IT_IS = (np.float32(0), np.float32(1))


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "reference_models" / "stardist_2d"


@pytest.fixture(scope="module")
def model(folder: Path) -> StarDistModel:
    loaded = load_model(folder)
    assert isinstance(loaded, StarDistModel)
    return loaded


@pytest.fixture(scope="module")
def reference(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "reference.npz") as file:
        return dict(file)


def test_probability_and_distances_are_the_originals(model, reference):
    prob, dist, _ = run_network(model.network, reference["img"], CPU)
    np.testing.assert_allclose(prob, reference["prob"], atol=1e-5)
    np.testing.assert_allclose(np.maximum(dist, 1e-3), reference["dist"], atol=1e-4)


@pytest.mark.parametrize("prefix", ["", "odd_"])
@pytest.mark.parametrize("tile", [1024, 128, 64])
def test_points_and_labels_are_the_originals_however_the_image_is_tiled(model, reference, prefix, tile):
    view = ScaledView(reference[f"{prefix}img"])
    candidates = find_candidates(
        model.network,
        view,
        AS_IT_IS,
        probability=float(reference["prob_thresh"]),
        border=0,
        tile=tile,
        device=CPU,
    )
    kept = suppressed(candidates, float(reference["nms_thresh"]))
    np.testing.assert_array_equal(kept.points, reference[f"{prefix}points"])
    np.testing.assert_array_equal(paint(kept, view).to_labels(), reference[f"{prefix}labels"])
    if prefix == "":
        np.testing.assert_allclose(kept.prob, reference["det_prob"], atol=1e-5)
        np.testing.assert_allclose(outlines(kept, view), reference["coord"], atol=1e-3)


def test_segment_with_the_models_own_thresholds_gives_the_originals_labels(model, reference):
    # The reference image is already normalised; csbdeep's percentiles of it are what `segment` maps to 0 and 1.
    low, high = np.percentile(reference["img"], (1, 99.8))
    again = (reference["img"] - low) / (high - low)
    instances = model.segment(Image(reference["img"]))
    direct = find_candidates(
        model.network,
        ScaledView(again.astype(np.float32)),
        AS_IT_IS,
        probability=model.card.thresholds["prob"],
        border=0,
        tile=1024,
        device=CPU,
    )
    assert len(instances) == len(suppressed(direct, model.card.thresholds["nms"]))
    assert (instances.to_labels() > 0).mean() == pytest.approx((reference["labels"] > 0).mean(), abs=0.01)


def test_losses_are_those_keras_reports(model, reference):
    def channels_first(name: str) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(reference[name].transpose(0, 3, 1, 2)))

    prob, dist = channels_first("batch_prob"), channels_first("batch_dist")
    with torch.inference_mode():
        output = model.network(channels_first("batch_x"))
    losses = stardist_losses(output, (prob, dist[:, :-1], dist[:, -1:], prob[:, :0]), model.network.config)
    found = [float(losses[name]) for name in ("loss", "prob", "dist")]
    np.testing.assert_allclose(found, reference["batch_losses"][:3], rtol=1e-4)


def test_export_has_the_same_weights_and_settings(model, folder, tmp_path):
    import h5py

    model.to_keras(tmp_path / "exported")
    with h5py.File(folder / "weights_best.h5") as before, h5py.File(tmp_path / "exported/weights_best.h5") as after:
        layers = [name for name in before.attrs["layer_names"] if len(before[name].attrs["weight_names"])]
        assert [name.decode() for name in after.attrs["layer_names"]] == layers
        for layer in layers:
            for kind in ("kernel", "bias"):
                np.testing.assert_array_equal(before[layer][f"{layer}/{kind}"], after[layer][f"{layer}/{kind}:0"])
    again = load_model(tmp_path / "exported")
    assert again.card.thresholds == model.card.thresholds
    assert again.card.network == model.card.network


def test_own_format_gives_the_same_result(model, reference, tmp_path):
    model.save(tmp_path / "own model ü")
    image = Image(reference["img"])
    again = load_model(tmp_path / "own model ü").segment(image, SegmentConfig(probability=0.5, overlap=0.4))
    before = model.segment(image, SegmentConfig(probability=0.5, overlap=0.4))
    np.testing.assert_array_equal(again.to_labels(), before.to_labels())
