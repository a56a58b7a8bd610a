"""Masks that say what a pixel is: their values, stacks, scribbles, outlines, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.class_maps import open_class_maps, write_class_map
from napari_nanoseg.io.datasets import write_sample
from napari_nanoseg.io.images import write_image
from napari_nanoseg.samples import UNLABELLED, Image, Sample

SHAPE = (12, 16)
SPARSE = UNetConfig(labels="sparse")


def image(*shape: int) -> Image:
    data = np.random.default_rng(0).integers(0, 255, shape or SHAPE, dtype=np.uint8)
    return Image(data, "ZYX"[-data.ndim :])


def mask(**values: int) -> np.ndarray:
    """A mask with a row of each value: ``r3=255`` is 255 in row 3."""
    made = np.zeros(SHAPE, np.int32)
    for row, value in values.items():
        made[int(row[1:])] = value
    return made


@pytest.mark.parametrize("value", [1, 7, 255])
def test_with_a_single_class_every_value_is_it(tmp_path: Path, value: int) -> None:
    write_class_map(tmp_path, image(), mask(r3=value), "a")
    (sample,) = open_class_maps(tmp_path, UNetConfig())
    assert sample.classes.dtype == np.int8
    np.testing.assert_array_equal(sample.classes, mask(r3=1))


def test_black_and_white_png_masks_do(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.png", image())
    write_image(tmp_path / "masks" / "a.png", Image(mask(r3=1) > 0))
    np.testing.assert_array_equal(open_class_maps(tmp_path, UNetConfig())[0].classes, mask(r3=1))


def test_scribbles_leave_the_rest_unlabelled(tmp_path: Path) -> None:
    write_class_map(tmp_path, image(), mask(r3=1, r5=2), "a")
    classes = open_class_maps(tmp_path, SPARSE)[0].classes
    assert (classes[3] == 0).all()
    assert (classes[5] == 1).all()
    assert (np.delete(classes, (3, 5), axis=0) == UNLABELLED).all()


def test_several_classes_and_a_stack(tmp_path: Path) -> None:
    network = UNetConfig(classes=("crack", "void"), dimensions="3d")
    values = np.stack([mask(r1=1), mask(), mask(r2=2)])
    write_class_map(tmp_path, image(3, *SHAPE), values, "a")
    (sample,) = open_class_maps(tmp_path, network)
    np.testing.assert_array_equal(sample.classes, values)
    assert sample.image.planes == 3


def test_objects_give_their_class_and_what_is_known(tmp_path: Path) -> None:
    boxes, full = [[1, 1, 4, 4], [6, 6, 9, 9]], np.ones((3, 3), bool)
    instances = Instances.from_masks(SHAPE, boxes, [full, full], classes=[1, 0])
    known = np.zeros(SHAPE, bool)
    known[:, :8] = True
    write_sample(tmp_path, Sample(image(), instances, known, "a"))
    classes = open_class_maps(tmp_path, UNetConfig(classes=("crack", "void")))[0].classes
    assert classes[2, 2] == 2
    assert classes[7, 7] == 1
    assert classes[7, 8] == 1, "labelled, so known"
    assert classes[0, 0] == 0
    assert classes[0, 12] == UNLABELLED


def refused(folder: Path, network: UNetConfig, sentence: str) -> None:
    with pytest.raises(NanosegError, match=sentence):
        list(open_class_maps(folder, network))


def test_what_cannot_be_learned_from_is_refused(tmp_path: Path) -> None:
    write_class_map(tmp_path / "empty", image(), mask(), "a")
    refused(tmp_path / "empty", UNetConfig(), r"No mask in .* has the class 'crack' \(value 1 or more\)")
    write_class_map(tmp_path / "one", image(), mask(r1=1), "a")
    refused(tmp_path / "one", UNetConfig(classes=("crack", "void")), r"has the class 'void' \(value 2\)")
    refused(tmp_path / "one", SPARSE, r"has the class 'crack' \(value 2\)")
    write_class_map(tmp_path / "crack", image(), mask(r1=2), "a")
    refused(tmp_path / "crack", SPARSE, r"has any background \(value 1\)")
    write_class_map(tmp_path / "more", image(), mask(r1=1, r2=2, r3=3), "a")
    refused(tmp_path / "more", SPARSE, r"a.tif has the value 3, but sparse labels are 0 \(unlabelled\), 1 \(back")
    refused(tmp_path / "more", UNetConfig(classes=("crack", "void")), r"dense labels are .* 1 \(crack\), 2 \(void\)")
    write_class_map(tmp_path / "less", image(), mask(r1=-1), "a")
    refused(tmp_path / "less", UNetConfig(), "the value -1")


def test_a_mask_of_another_size_and_a_plane_for_a_volume_are_refused(tmp_path: Path) -> None:
    write_class_map(tmp_path / "size", image(), mask(r1=1)[:5], "a")
    refused(tmp_path / "size", UNetConfig(), r"a.tif labels an image of shape \(5, 16\), not \(12, 16\)")
    write_class_map(tmp_path / "flat", image(), mask(r1=1), "a")
    refused(tmp_path / "flat", UNetConfig(dimensions="3d"), "is a 2-D image, but a network of the dimensions 3d")
    refused(tmp_path / "flat", UNetConfig(dimensions="2.5d"), "needs stacks")
    write_class_map(tmp_path / "stack", image(3, *SHAPE), mask(r1=1), "a")
    refused(tmp_path / "stack", UNetConfig(), r"not \(3, 12, 16\)")
