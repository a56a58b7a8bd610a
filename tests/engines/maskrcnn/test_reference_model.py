"""A model trained with Detectron2 must give Detectron2's numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.engines.maskrcnn.model import MaskRCNNModel
from napari_nanoseg.engines.maskrcnn.pixels import batch_of, to_network
from napari_nanoseg.engines.maskrcnn.predict import FULL, find_candidates
from napari_nanoseg.instances import Instances
from napari_nanoseg.samples import Image

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "reference_models" / "detectron2"


@pytest.fixture(scope="module")
def reference(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "ref.npz") as file:
        return dict(file)


@pytest.fixture
def model(folder: Path) -> MaskRCNNModel:
    loaded = load_model(folder)
    assert isinstance(loaded, MaskRCNNModel)
    return loaded


@pytest.fixture
def as_large(model: MaskRCNNModel) -> MaskRCNNModel:
    """The model without resizing to a shortest side."""
    model.network.config = model.network.config.model_copy(update={"min_size_test": 0})
    return model


def rgb(blue_green_red: np.ndarray) -> Image:
    return Image(blue_green_red[..., ::-1], "YXC")


def masks_of(reference: dict[str, np.ndarray], name: str, width: int) -> np.ndarray:
    return np.unpackbits(reference[name], axis=-1)[..., :width].astype(bool)


def full_masks(found: Instances) -> np.ndarray:
    masks = np.zeros((len(found), *found.shape), bool)
    for mask, crop, (r0, c0, r1, c1) in zip(masks, found.masks, found.boxes, strict=True):
        mask[r0:r1, c0:c1] = crop
    return masks


def test_input_features_proposals_and_heads_are_the_originals(as_large, reference):
    network = as_large.network
    batch = batch_of([to_network(reference["image"][..., ::-1], network.config)], network.divisor)
    np.testing.assert_array_equal(batch.numpy(), reference["tensor"])
    with torch.inference_mode():
        maps = network.features(batch)
        np.testing.assert_allclose(maps[1].numpy(), reference["feat_p3"], atol=1e-3)
        np.testing.assert_allclose(maps[4].numpy(), reference["feat_p6"], atol=1e-3)
        proposed = network.proposals(network.anchors(maps), network.rpn(maps), [(250, 310)], train=False)[0]
        np.testing.assert_allclose(proposed.boxes.numpy(), reference["proposals"], atol=1e-3)
        np.testing.assert_allclose(proposed.logits.numpy(), reference["prop_logits"], atol=1e-4)
        logits, deltas = network.box(maps, [proposed.boxes])
        np.testing.assert_allclose(logits.numpy(), reference["cls_logits"], atol=1e-3)
        np.testing.assert_allclose(deltas.numpy(), reference["box_deltas"], atol=1e-3)


@pytest.mark.parametrize(("prefix", "floor"), [("lo", 0.01), ("def", 0.05)])
def test_boxes_scores_and_small_masks_are_the_originals(as_large, reference, prefix, floor):
    found = find_candidates(as_large.network, reference["image"][..., ::-1], CPU, floor=floor, overlap=0.5, most=100)
    np.testing.assert_allclose(found.boxes, reference[f"{prefix}_raw_boxes"], atol=0.05)
    np.testing.assert_allclose(found.scores, reference[f"{prefix}_raw_scores"], atol=1e-4)
    np.testing.assert_array_equal(found.classes, reference[f"{prefix}_raw_classes"])
    np.testing.assert_allclose(found.masks / FULL, reference[f"{prefix}_raw_masks"][:, 0], atol=1e-4)


@pytest.mark.parametrize(
    ("prefix", "image", "floor"),
    [("lo_out", "image", 0.01), ("def_out", "image", 0.05), ("pred2", "image2", None)],
)
def test_objects_are_the_originals_with_and_without_resizing(request, reference, prefix, image, floor):
    model = request.getfixturevalue("model" if image == "image2" else "as_large")
    found = model.segment(rgb(reference[image]), SegmentConfig(probability=floor, device="cpu"))
    masks = masks_of(reference, f"{prefix}_masks", reference[image].shape[1])
    seen = masks.any(axis=(1, 2))  # Detectron2 keeps objects without a single pixel
    assert len(found) == seen.sum()
    np.testing.assert_allclose(found.scores, reference[f"{prefix}_scores"][seen], atol=1e-4)
    agree = (full_masks(found) == masks[seen]).mean(axis=(1, 2))
    assert agree.min() >= 0.999


def test_thresholds_chosen_later_give_what_a_run_with_them_gives(model, reference):
    found = model.detect(rgb(reference["image2"]), SegmentConfig(device="cpu"), 0.02)
    for probability, overlap in ((None, None), (0.3, 0.2), (0.02, 0.7)):
        config = SegmentConfig(probability=probability, overlap=overlap, device="cpu")
        later, now = found.instances(config), model.segment(rgb(reference["image2"]), config)
        np.testing.assert_array_equal(later.scores, now.scores)
        np.testing.assert_array_equal(full_masks(later), full_masks(now))


def test_tiles_give_each_object_once(as_large, reference):
    image = rgb(np.tile(reference["image"], (2, 2, 1)))
    # anchors lie on a grid of up to 64 px, so that windows see not exactly the same and scores differ a little
    whole = as_large.segment(image, SegmentConfig(probability=0.6, overlap=0.2, tile=2048, device="cpu"))
    tiled = as_large.segment(image, SegmentConfig(probability=0.3, overlap=0.2, tile=200, device="cpu"))
    wanted, found = (full_masks(objects).reshape(len(objects), -1).astype(np.float32) for objects in (whole, tiled))
    shared = wanted @ found.T
    share = shared / (wanted.sum(axis=1)[:, None] + found.sum(axis=1) - shared)
    assert len(whole) > 5
    times = (share > 0.5).sum(axis=1)
    assert times.max() == 1
    assert times.mean() > 0.8
