"""Patches of class maps: pixels and classes stay together, thin cracks appear, and item k is item k."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.train import FilledTrainConfig, TrainConfig
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.engines.unet.patches import ClassPatches, Stack, cut_up, patch_depth, to_stack
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.samples import UNLABELLED, ClassSample, Image

DIVISOR = 16
CARD = ModelCard(network=UNetConfig(), percentiles=(0.0, 100.0))


def filled(network: UNetConfig, **changes) -> FilledTrainConfig:
    plain = {"intensity": 0.0, "noise": 0.0, "blur": 0.0, "patch_size": 32}
    return TrainConfig(engine=network, **(plain | changes)).filled(fine_tuning=False)


def cracked(depth: int = 1, side: int = 160) -> ClassSample:
    """A crack of two pixels in one corner; where it is, the image is bright."""
    classes = np.zeros((depth, side, side), np.int8)
    classes[depth // 2, 20:22, 10:40] = 1
    pixels = np.where(classes == 1, 200, 20).astype(np.uint8)
    if depth == 1:
        return ClassSample(Image(pixels[0], "YX"), classes[0])
    return ClassSample(Image(pixels, "ZYX"), classes)


def patches(sample: ClassSample, network: UNetConfig, count: int = 60, **changes) -> ClassPatches:
    return ClassPatches(filled(network, **changes), network, [to_stack(sample, CARD)], DIVISOR, count)


NETWORKS = {name: UNetConfig(dimensions=name) for name in ("2d", "2.5d", "3d")}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_pixels_and_classes_of_a_patch_belong_together(network):
    items = patches(cracked(20), network)
    seen = 0
    for index in range(len(items)):
        image, classes = items[index]
        assert image.shape == {"2d": (1, 32, 32), "2.5d": (3, 32, 32), "3d": (1, 32, 32, 32)}[network.dimensions]
        assert classes.shape == image.shape[-network.axes :]
        middle = image[0] if network.dimensions != "2.5d" else image[1]
        cracks = classes == 1
        seen += cracks.any()
        if cracks.any():
            # pixels are interpolated, classes are not
            assert middle[cracks].min() > 0.2
            assert middle[(classes == 0)].max() < 0.8
    assert seen > len(items) / 4, "although the crack is a hundredth of the slice, and in one of twenty"


def test_item_k_depends_on_the_seed_and_on_k_alone():
    network = UNetConfig()
    one, two = patches(cracked(), network), patches(cracked(), network)
    for index in (7, 3):
        for mine, other in zip(one[index], two[index], strict=True):
            np.testing.assert_array_equal(mine, other)
    other = patches(cracked(), network, seed=5)
    assert not np.array_equal(one[7][0], other[7][0])


@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.5, 2.0)])
def test_a_piece_of_the_image_is_as_good_as_all_of_it(scale):
    """Patches come from the part of the image around them; what they show must not depend on that."""
    sample = cracked()
    noise = np.random.default_rng(0).integers(0, 255, sample.image.data.shape, dtype=np.uint8)
    sample = replace(sample, image=Image(noise))
    items = patches(sample, UNetConfig(), scale=scale, stretch=2.0)
    whole = patches(sample, UNetConfig(), scale=scale, stretch=2.0)
    whole._around = lambda stack, layer, _: (stack.grey.seen(stack.pixels[layer]), stack.classes[layer], (0, 0))
    for index in range(30):
        for mine, other in zip(items[index], whole[index], strict=True):
            np.testing.assert_allclose(mine, other, atol=1e-4)


def test_scribbles_on_one_slice_are_found():
    sample = cracked(24)
    classes = np.full_like(sample.classes, UNLABELLED)
    classes[12, 20:22, 10:40], classes[12, 100:102, 100:140] = 1, 0
    for network in NETWORKS.values():
        items = patches(replace(sample, classes=classes), network, 20)
        labelled = [(items[index][1] >= 0).any() for index in range(len(items))]
        assert np.mean(labelled) > 0.8
        assert not any((items[index][1] == 2).any() for index in range(len(items)))


def test_beyond_the_image_nothing_is_known():
    items = patches(cracked(3, side=24), NETWORKS["3d"], 10)
    assert items.depth == 16
    for index in range(10):
        image, classes = items[index]
        assert np.isfinite(image).all()
        assert (classes < 0).any()
        assert ((classes >= 0).any(axis=(1, 2)).sum()) <= 3, "the stack has three slices"


def test_depth_of_patches():
    stacks = [to_stack(cracked(depth), CARD) for depth in (3, 20)]
    config = filled(NETWORKS["3d"], patch_size=64)
    assert patch_depth(config, NETWORKS["3d"], stacks[:1], 16) == 16
    assert patch_depth(config, NETWORKS["3d"], stacks, 16) == 32
    assert patch_depth(filled(NETWORKS["3d"]), NETWORKS["3d"], stacks, 16) == 32
    assert patch_depth(config, UNetConfig(), stacks, 16) == 1


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_pieces_that_judge_suit_the_network_and_hold_the_crack(network):
    stack = to_stack(cracked(20, side=90), CARD)
    pieces = cut_up([stack], filled(network), network, DIVISOR)
    assert sum(int((piece.classes == 1).sum()) for piece in pieces) == 60
    for piece in pieces:
        assert all(side % DIVISOR == 0 for side in piece.image.shape[-network.axes :])
        assert piece.image.shape[0] == network.inputs
        assert (piece.classes >= 0).any()
        image, target = piece.batch()
        assert image.shape[1:] == piece.image.shape
        assert target.shape[1:] == piece.classes.shape
    shown = max(pieces, key=lambda piece: int((piece.classes > 0).sum()))
    pixels, classes, _ = shown.slice_with_most()
    assert pixels.shape == classes.shape
    assert pixels[classes == 1].min() == 1


def test_pieces_are_few_and_most_show_a_class():
    classes = np.zeros((400, 400), np.int8)
    classes[:200] = 1
    stack = to_stack(ClassSample(Image(np.eye(400, dtype=np.uint8)), classes), CARD)
    pieces = cut_up([stack], filled(UNetConfig()), UNetConfig(), DIVISOR)
    assert len(pieces) == 16
    assert sum(bool((piece.classes == 1).any()) for piece in pieces) == 12


def test_an_image_of_one_value_is_refused_and_colours_are_grey():
    with pytest.raises(NanosegError, match="nearly all pixels have the same value"):
        to_stack(ClassSample(Image(np.ones((9, 9))), np.zeros((9, 9), np.int8)), CARD)
    colours = np.stack([np.eye(9), np.zeros((9, 9)), np.eye(9)], axis=-1)
    stack = to_stack(ClassSample(Image(colours, "YXC"), np.eye(9, dtype=np.int8)), CARD)
    assert isinstance(stack, Stack)
    np.testing.assert_allclose(stack.pixels[0], np.eye(9) * 2 / 3, rtol=1e-6)
