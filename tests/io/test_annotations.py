"""Annotations from other programs become the particles that were drawn."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from roifile import ROI_TYPE, ImagejRoi, roiwrite

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.instances import Instances
from napari_nanoseg.io.annotations import read_coco, read_labels
from napari_nanoseg.io.images import write_labels

SHAPE = (40, 60)


def roi_of(kind: ROI_TYPE, top: int, left: int, bottom: int, right: int) -> ImagejRoi:
    roi = ImagejRoi.frompoints([[left, top], [right, bottom]])
    roi.roitype, roi.top, roi.left, roi.bottom, roi.right = kind, top, left, bottom, right
    roi.n_coordinates, roi.integer_coordinates, roi.subpixel_coordinates = 0, None, None
    return roi


def boxed(row: int, column: int, row_stop: int, column_stop: int) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[row:row_stop, column:column_stop] = True
    return mask


def test_label_images(tmp_path: Path) -> None:
    labels = boxed(2, 3, 9, 12) * 7 + boxed(20, 30, 25, 50) * 300
    for name in ("a.tif", "a.png"):
        write_labels(tmp_path / name, labels)
        assert np.array_equal(read_labels(tmp_path / name, SHAPE).to_labels(), labels)
    np.save(tmp_path / "a.npy", labels)
    assert read_labels(tmp_path / "a.npy", SHAPE).ids.tolist() == [7, 300]


def test_imagej_polygons_go_along_the_corners_of_pixels(tmp_path: Path) -> None:
    roi = ImagejRoi.frompoints([[3, 2], [12, 2], [12, 9], [3, 9]])
    roi.tofile(tmp_path / "größe 1.roi")
    assert np.array_equal(read_labels(tmp_path / "größe 1.roi", SHAPE).to_labels(), boxed(2, 3, 9, 12))


@pytest.mark.parametrize("kind", [ROI_TYPE.FREEHAND, ROI_TYPE.TRACED])
def test_imagej_freehand(tmp_path: Path, kind: ROI_TYPE) -> None:
    roi = ImagejRoi.frompoints(np.array([[3.25, 2.25], [12.25, 2.25], [12.25, 9.25], [3.25, 9.25]], dtype=np.float32))
    roi.roitype = kind
    roi.tofile(tmp_path / "a.roi")
    assert np.array_equal(read_labels(tmp_path / "a.roi", SHAPE).to_labels(), boxed(2, 3, 9, 12))


def test_a_set_of_regions_keeps_overlaps_and_order(tmp_path: Path) -> None:
    rectangle = roi_of(ROI_TYPE.RECT, 2, 3, 20, 12)
    oval = roi_of(ROI_TYPE.OVAL, 10, 5, 30, 45)
    roiwrite(tmp_path / "set.zip", [rectangle, oval], name=["one", "two"])
    instances = read_labels(tmp_path / "set.zip", SHAPE)
    assert instances.overlapping
    assert instances.boxes.tolist() == [[2, 3, 20, 12], [10, 5, 30, 45]]
    assert instances.areas.tolist() == [18 * 9, pytest.approx(math.pi * 10 * 20, rel=0.02)]


def test_other_files_in_a_zip_are_left_alone(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("../one.roi", ImagejRoi.frompoints([[3, 2], [12, 2], [12, 9]]).tobytes())
        archive.writestr("__MACOSX/readme.txt", "x")
    assert len(read_labels(tmp_path / "set.zip", SHAPE)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["set.zip"]
    assert not (tmp_path.parent / "one.roi").exists()


@pytest.mark.parametrize("kind", [ROI_TYPE.LINE, ROI_TYPE.POINT, ROI_TYPE.POLYLINE, ROI_TYPE.ANGLE])
def test_lines_and_points_are_refused_by_name(tmp_path: Path, kind: ROI_TYPE) -> None:
    roi = ImagejRoi.frompoints([[3, 2], [12, 2], [12, 9]])
    roi.roitype = kind
    roiwrite(tmp_path / "set.zip", [roi], name=["scale bar"])
    with pytest.raises(NanosegError, match="the region scale bar"):
        read_labels(tmp_path / "set.zip", SHAPE)


def test_coco_of_one_and_of_many_images(tmp_path: Path) -> None:
    instances = Instances.from_labels(boxed(2, 3, 9, 12) * 7)
    image = {"id": 5, "file_name": "some/folder/a.tif", "height": SHAPE[0], "width": SHAPE[1]}
    content = {"images": [image], "annotations": instances.to_coco(5), "categories": []}
    (tmp_path / "any.json").write_text(json.dumps(content))
    assert np.array_equal(read_labels(tmp_path / "any.json", SHAPE).to_labels(), instances.to_labels())
    content["images"].append({"id": 6, "file_name": "C:\\data\\b.tif"})
    (tmp_path / "b.json").write_text(json.dumps(content))
    assert set(read_coco(tmp_path / "b.json")) == {"a", "b"}
    assert len(read_labels(tmp_path / "b.json", SHAPE)) == 0
    (tmp_path / "any.json").write_text(json.dumps(content))
    with pytest.raises(NanosegError, match="2 images, none called any"):
        read_labels(tmp_path / "any.json", SHAPE)
    with pytest.raises(NanosegError, match="annotates an image of shape"):
        read_coco(tmp_path / "b.json")["a"].instances((3, 4), "b.json")


COCO = {"images": [{"id": 1, "file_name": "a.tif"}], "annotations": []}
BAD = {
    "a.roi": (b"no region", "damaged or holds no ImageJ regions"),
    "a.zip": (b"no archive", "the zip is damaged"),
    "empty.zip": (b"", "empty"),
    "a.json": (b"{", "damaged or not a JSON file .line 1"),
    "list.json": (b"[]", "damaged or another kind of file"),
    "bytes.json": (b"\xff\xfe", "damaged or not UTF-8 text"),
    "twice.json": (json.dumps(COCO | {"images": COCO["images"] * 2}).encode(), "two images called a"),
    "lost.json": (json.dumps(COCO | {"annotations": [{"image_id": 2}]}).encode(), "not a COCO file"),
    "bare.json": (json.dumps(COCO | {"annotations": [{"image_id": 1}]}).encode(), "no readable segmentation"),
    "a.txt": (b"text", "not an image that can be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_annotations_get_one_sentence(tmp_path: Path, name: str) -> None:
    content, sentence = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NanosegError, match=sentence) as caught:
        read_labels(tmp_path / name, SHAPE)
    assert str(tmp_path / name) in str(caught.value)


def test_what_does_not_tell_particles_apart_is_refused(tmp_path: Path) -> None:
    two = boxed(2, 3, 9, 12) | boxed(20, 30, 25, 50)
    write_labels(tmp_path / "a.tif", two * 255)
    with pytest.raises(NanosegError, match="black and white"):
        read_labels(tmp_path / "a.tif", SHAPE)
    write_labels(tmp_path / "a.tif", two * 3)
    assert len(read_labels(tmp_path / "a.tif", SHAPE)) == 1


def test_another_shape_is_refused(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", np.ones((4, 5), dtype=int))
    with pytest.raises(NanosegError, match=r"of shape \(4, 5\), not \(40, 60\)"):
        read_labels(tmp_path / "a.tif", SHAPE)


def test_cellpose_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a_seg.npy", np.array({"masks": np.ones(SHAPE)}))
    with pytest.raises(NanosegError, match="Cellpose"):
        read_labels(tmp_path / "a_seg.npy", SHAPE)
