"""Sizes and shapes against figures known from geometry, and against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from followed import events_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from skimage.measure import perimeter_crofton, regionprops
from skimage.morphology import convex_hull_image

from napari_nanoseg import Calibration, Image, Instances, NanosegError, measure
from napari_nanoseg.io.images import read_label_array

MASKS = arrays(bool, st.tuples(st.integers(1, 14), st.integers(1, 14))).filter(lambda mask: mask.any())


def one(mask: NDArray[np.bool_], **arguments):
    """The only row of the table of one object, which lies off the border."""
    return measure(np.pad(mask, 3).astype(np.uint8), **arguments).iloc[0]


def rotated_rectangle(length: float, width: float, degrees: float, centre=(0.0, 0.0)) -> NDArray[np.bool_]:
    """A rectangle whose long side points `degrees` counter-clockwise from the column axis."""
    half = int(np.hypot(length, width) / 2) + 2
    row, column = np.mgrid[-half : half + 1, -half : half + 1] - np.reshape(centre, (2, 1, 1))
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    along, across = cos * column - sin * row, sin * column + cos * row
    return (np.abs(along) <= length / 2) & (np.abs(across) <= width / 2)


def disc(radius: float) -> NDArray[np.bool_]:
    half = int(radius) + 1
    row, column = np.mgrid[-half : half + 1, -half : half + 1]
    return row**2 + column**2 <= radius**2


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (9, 1), (5, 12), (40, 7), (8, 8)])
def test_axis_parallel_rectangles_measure_exactly(height, width):
    row = one(np.ones((height, width), bool))
    assert row["area"] == height * width
    assert row["rectangle_length"] == max(height, width)
    assert row["rectangle_width"] == min(height, width)
    assert row["aspect_ratio"] == max(height, width) / min(height, width)
    assert row["feret_max"] == pytest.approx(np.hypot(height, width), abs=0.75)
    assert row["feret_min"] == min(height, width)
    assert row["solidity"] == row["extent"] == 1
    assert row["centroid_row"] == 3 + (height - 1) / 2
    assert row["centroid_column"] == 3 + (width - 1) / 2
    assert row["orientation_deg"] == (90 if height > width else 0)


@pytest.mark.parametrize("radius", [8, 20.3, 60])
def test_discs(radius):
    row = one(disc(radius))
    assert row["equivalent_diameter"] == pytest.approx(2 * radius, rel=0.02)
    for name in ("rectangle_length", "rectangle_width", "feret_max", "feret_min"):
        assert row[name] == pytest.approx(2 * radius, abs=1)
    assert row["perimeter"] == pytest.approx(2 * np.pi * radius, rel=0.05)
    assert 0.9 < row["circularity"] <= 1
    assert row["solidity"] == 1
    assert row["aspect_ratio"] < 1.06


@pytest.mark.parametrize("degrees", [0, 10, 30, 45, 63.4, 90, 120, 170])
def test_rotated_rectangles(degrees):
    row = one(rotated_rectangle(60.5, 20.5, degrees))
    assert row["rectangle_length"] == pytest.approx(60.5, abs=1)
    assert row["rectangle_width"] == pytest.approx(20.5, abs=1)
    assert row["feret_max"] == pytest.approx(np.hypot(60.5, 20.5), abs=1)
    assert row["feret_min"] == pytest.approx(20.5, abs=1)
    assert row["perimeter"] == pytest.approx(160, rel=0.08)
    assert abs((row["orientation_deg"] - degrees + 90) % 180 - 90) < 0.5


def test_lengths_are_right_on_average_wherever_the_particle_lies():
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(80):
        length = rng.uniform(10, 60)
        width, degrees = rng.uniform(5, length), rng.uniform(0, 180)
        row = one(rotated_rectangle(length, width, degrees, tuple(rng.random(2))))
        true = length, width, np.hypot(length, width), width
        errors.append(
            np.subtract(row[["rectangle_length", "rectangle_width", "feret_max", "feret_min"]].tolist(), true)
        )
    assert (np.abs(np.mean(errors, axis=0)) < 0.9).all()
    assert (np.abs(errors) < 2).all()


def test_a_diagonal_line_is_one_pixel_diagonal_wide():
    row = one(np.eye(9, dtype=bool))
    assert row["rectangle_length"] == pytest.approx(9 * np.sqrt(2), abs=0.75)
    assert row["rectangle_width"] == pytest.approx(np.sqrt(0.5))
    assert row["orientation_deg"] == 135


def test_mirroring_turns_the_orientation():
    up = one(rotated_rectangle(40, 10, 30))["orientation_deg"]
    down = one(rotated_rectangle(40, 10, 30)[::-1])["orientation_deg"]
    assert up == pytest.approx(180 - down)


def test_a_hole_counts_for_area_and_perimeter_but_not_for_the_outline():
    full, ring = np.ones((21, 21), bool), np.ones((21, 21), bool)
    ring[6:15, 6:15] = False
    solid, hollow = one(full), one(ring)
    assert hollow["area"] == solid["area"] - 81
    assert hollow["feret_max"] == solid["feret_max"]
    assert hollow["rectangle_length"] == solid["rectangle_length"] == 21
    assert hollow["perimeter"] == pytest.approx(solid["perimeter"] * (1 + 9 / 21), rel=0.02)
    assert hollow["solidity"] == pytest.approx((441 - 81) / 441)


def test_an_object_in_two_pieces_is_one_row():
    mask = np.zeros((4, 30), bool)
    mask[:, :4] = mask[:, 26:] = True
    row = one(mask)
    assert row["area"] == 32
    assert row["rectangle_length"] == 30
    assert row["rectangle_width"] == 4
    assert row["solidity"] == pytest.approx(32 / 120)


def test_pieces_above_each_other():
    mask = np.zeros((30, 4), bool)
    mask[:4, 1:3] = mask[26:] = True
    row = one(mask)
    assert (row["rectangle_length"], row["rectangle_width"], row["orientation_deg"]) == (30, 4, 90)


def three_pixels() -> NDArray[np.bool_]:
    """The smallest Feret diameter lies across no edge of the hull, because pixels have corners of their own."""
    mask = np.zeros((7, 8), bool)
    mask[[0, 4, 6], [0, 5, 3]] = True
    return mask


@settings(max_examples=60, deadline=None)
@given(MASKS)
@example(three_pixels())
def test_any_mask_agrees_with_scikit_image_and_with_geometry(mask):
    row, padded = one(mask), np.pad(mask, 3)
    region = regionprops(padded.astype(np.uint8))[0]
    assert row["area"] == region.area
    assert (row["centroid_row"], row["centroid_column"]) == pytest.approx(region.centroid)
    assert row["extent"] == pytest.approx(region.extent)
    assert row["perimeter"] == pytest.approx(perimeter_crofton(padded, directions=4))
    assert row["rectangle_width"] <= row["rectangle_length"] <= row["feret_max"] + 1e-9
    assert row["feret_min"] <= row["rectangle_width"] + 1e-9
    assert 0 < row["solidity"] <= 1
    assert 0 <= row["orientation_deg"] < 180
    rows, columns = np.nonzero(mask)
    if np.linalg.matrix_rank(np.stack((rows - rows[0], columns - columns[0]))) == 2:
        assert row["solidity"] == pytest.approx(mask.sum() / convex_hull_image(padded, offset_coordinates=False).sum())
    else:
        steps = np.gcd(np.ptp(rows), np.ptp(columns)) + 1
        assert row["solidity"] == pytest.approx(mask.sum() / steps)


@settings(max_examples=40, deadline=None)
@given(MASKS, st.integers(1, 3))
def test_turning_by_90_degrees_changes_only_the_orientation(mask, turns):
    before, after = one(mask), one(np.rot90(mask, turns))
    for name in ("area", "feret_max", "feret_min", "rectangle_length", "perimeter", "solidity", "circularity"):
        assert after[name] == pytest.approx(before[name])


@settings(max_examples=30, deadline=None)
@given(MASKS)
def test_nanometres_are_pixels_times_the_pixel_size(mask):
    row = one(mask, calibration=Calibration.of(2.5))
    assert row["area_nm2"] == pytest.approx(row["area"] * 6.25)
    for name in ("equivalent_diameter", "rectangle_length", "rectangle_width", "feret_max", "feret_min", "perimeter"):
        assert row[f"{name}_nm"] == pytest.approx(row[name] * 2.5)


def test_overlapping_masks_are_measured_whole():
    boxes = [[2, 2, 12, 12], [7, 7, 17, 17]]
    instances = Instances.from_masks((20, 20), boxes, [np.ones((10, 10), bool)] * 2, scores=[0.5, 0.9], classes=[3, 4])
    table = measure(instances)
    assert table["area"].tolist() == [100, 100]
    assert table["score"].tolist() == pytest.approx([0.5, 0.9])
    assert table["class"].tolist() == [3, 4]
    assert table["label"].tolist() == instances.ids.tolist()


def test_ids_borders_and_intensities():
    labels = np.zeros((10, 12), np.uint16)
    labels[0:2, 3:5], labels[4:6, 4:8] = 40, 7
    image = np.arange(120, dtype=np.uint8).reshape(10, 12)
    table = measure(labels, image=image).set_index("label")
    assert sorted(table.index) == [7, 40]
    assert table["touches_border"].to_dict() == {7: False, 40: True}
    for label in (7, 40):
        assert table.loc[label, "mean_intensity"] == pytest.approx(image[labels == label].mean())
    assert labels.dtype == np.uint16
    assert "area_nm2" not in table


def test_the_micrograph_brings_its_pixel_size_and_its_channels():
    labels = np.ones((4, 4), np.uint8)
    colours = np.stack([np.full((4, 4), value, float) for value in (1, 2, 6)], axis=2)
    image = Image(colours, "YXC", Calibration.of(3.0))
    row = measure(labels, image=image).iloc[0]
    assert row["mean_intensity"] == 3
    assert row["area_nm2"] == 16 * 9
    assert measure(labels, Calibration.of(1.0), image).iloc[0]["area_nm2"] == 16


def test_no_particles_give_an_empty_table_with_all_columns():
    full = measure(np.ones((3, 3), int), Calibration.of(1.0), np.zeros((3, 3)))
    empty = measure(Instances.empty((3, 3)), Calibration.of(1.0), np.zeros((3, 3)))
    assert len(empty) == 0
    assert list(empty.columns) == list(full.columns)
    assert next(iter(full.columns)) == "label"
    assert (empty.dtypes == full.dtypes).all()


@pytest.mark.parametrize("channels", [(), (3,)])
def test_every_slice_of_a_stack_is_measured_on_its_own(channels):
    rng = np.random.default_rng(0)
    labels = np.zeros((3, 20, 30), np.uint16)
    labels[0, 2:9, 3:8], labels[0, 5:9, 20:30] = 7, 4
    labels[2, 2:5, 3:9] = 7
    image = Image(rng.random((3, 20, 30, *channels)), "ZYX" + "C" * len(channels), Calibration((9.0, 2.0, 2.0)))
    table = measure(labels, image=image)
    assert next(iter(table.columns)) == "slice"
    assert table[["slice", "label"]].to_numpy().tolist() == [[0, 4], [0, 7], [2, 7]]
    for number in (0, 2):
        alone = measure(labels[number], Calibration.of(2.0), image.data[number])
        found = table[table["slice"] == number].drop(columns="slice").reset_index(drop=True)
        assert found.equals(alone)
    assert measure(Instances.from_labels(labels), image=image).equals(table)
    assert table["touches_border"].tolist() == [True, False, False]


def test_an_empty_stack_gives_an_empty_table():
    full, empty = measure(np.ones((2, 3, 3), int)), measure(np.zeros((2, 3, 3), int))
    assert len(empty) == 0
    assert list(empty.columns) == list(full.columns)
    assert (empty.dtypes == full.dtypes).all()


def test_measuring_can_be_followed():
    labels = np.arange(1200).reshape(30, 40)
    events, table = events_of(lambda: measure(labels))
    assert [event.done for event in events] == [*range(100, 1200, 100), 1199]
    assert {event.total for event in events} == {1199}
    assert table["label"].tolist() == list(range(1, 1200))


def test_bad_input_is_refused_in_one_sentence():
    labels = np.ones((4, 4), int)
    with pytest.raises(NanosegError, match="not square"):
        measure(labels, Calibration((1.0, 2.0)))
    with pytest.raises(NanosegError, match="give an image or one stack"):
        measure(np.ones((2, 2, 4, 4), int))
    with pytest.raises(NanosegError, match=r"shape \(4, 4\) but the labels \(2, 4, 4\)"):
        measure(np.ones((2, 4, 4), int), image=np.ones((4, 4)))
    with pytest.raises(NanosegError, match=r"shape \(4, 5\)"):
        measure(labels, image=np.ones((4, 5)))
    with pytest.raises(NanosegError, match="whole numbers"):
        measure(labels * 0.5)


def test_real_particles_agree_with_scikit_image(shared_data):
    labels = read_label_array(sorted((shared_data / "emps" / "masks").glob("*.png"))[5])
    table = measure(labels)
    regions = regionprops(labels)
    assert table["label"].tolist() == [region.label for region in regions]
    assert table["area"].tolist() == [region.area for region in regions]
    large = [index for index, region in enumerate(regions) if region.area > 100]
    assert large
    for index in large:
        row, region = table.iloc[index], regions[index]
        assert row["feret_max"] == pytest.approx(region.feret_diameter_max, abs=1)
        if region.eccentricity > 0.6:
            scikit = (np.degrees(region.orientation) + 90) % 180
            assert abs((row["orientation_deg"] - scikit + 90) % 180 - 90) < 1
