"""Annotations that spoil a training are told in sentences, with the place; sound ones pass without a word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from napari_nanoseg import Calibration, Image, Instances, Sample
from napari_nanoseg.io.annotations import read_labels
from napari_nanoseg.io.datasets import open_dataset
from napari_nanoseg.io.images import read_image
from napari_nanoseg.io.sample_data import sample_data
from napari_nanoseg.measurement.annotation import Finding, check_annotation, describe
from napari_nanoseg.measurement.pieces import Pieces, fragment_limit, mended

SHAPE = (160, 192)


def squares(size: int = 12, spacing: int = 24) -> NDArray[np.int32]:
    """Labels of squares on a grid, from 1 on, none at the border."""
    labels = np.zeros(SHAPE, np.int32)
    corners = [
        (row, column)
        for row in range(6, SHAPE[0] - size, spacing)
        for column in range(6, SHAPE[1] - size, spacing)
    ]  # fmt: skip
    for label, (row, column) in enumerate(corners, 1):
        labels[row : row + size, column : column + size] = label
    return labels


def sample(labels: NDArray[np.int32], known: NDArray[np.bool_] | None = None, *, grey: int = 100) -> Sample:
    """All that is labelled is brighter by `grey` than the noisy rest."""
    pixels = 60 + grey * (labels > 0) + np.random.default_rng(0).normal(0, 5, labels.shape)
    return Sample(Image(pixels.astype(np.float32)), Instances.from_labels(labels), known, "a")


def found(kind: str, checked: Sample) -> list[Finding]:
    return [finding for finding in check_annotation(checked) if finding.kind == kind]


def only(kind: str, checked: Sample) -> Finding:
    (finding,) = found(kind, checked)
    return finding


def test_nothing_is_said_about_sound_annotations() -> None:
    assert check_annotation(sample(squares())) == []
    truth = read_labels(sample_data() / "particles_truth.tif")
    assert check_annotation(Sample(read_image(sample_data() / "particles.tif"), truth)) == []
    assert check_annotation(open_dataset(sample_data() / "annotated")[0]) == []


def test_no_particle_and_too_few_are_told() -> None:
    labels = squares()
    assert only("none", sample(labels * 0)).severity == "problem"
    four = only("few", sample(labels * (labels <= 4)))
    assert "Only 4 particles" in four.sentence
    assert "5" in four.sentence
    assert not found("few", sample(labels * (labels <= 5)))


def test_fragments_are_found_where_they_are() -> None:
    labels = squares()
    labels[100, 7:9] = 99
    dot = only("fragment", sample(labels))
    assert (dot.severity, dot.label, dot.position) == ("problem", 99, (100, 7))
    assert "only 2 pixels" in dot.sentence
    assert "row 100, column 7" in dot.sentence
    assert dot.mendable


def test_particles_of_a_few_pixels_are_no_fragments_among_their_like() -> None:
    assert not found("fragment", sample(squares(size=2, spacing=8)))


def test_one_label_for_two_particles_is_named_with_the_place_of_the_other() -> None:
    labels = squares()
    labels[labels == 5] = 2
    two = only("pieces", sample(labels))
    assert (two.severity, two.label) == ("problem", 2)
    row, column = two.position or (0, 0)
    assert labels[int(row), int(column)] == 2
    assert "label 2 is in 2 pieces" in two.sentence.lower()
    assert two.mendable


def test_pieces_that_meet_at_a_corner_are_one() -> None:
    labels = squares()
    labels[labels == 1] = 0
    labels[6:12, 6:12] = labels[12:18, 12:18] = 1
    assert not found("pieces", sample(labels))


def test_holes_are_found() -> None:
    labels = squares()
    labels[10:13, 11:13] = 0
    hole = only("holes", sample(labels))
    assert (hole.label, hole.position) == (1, (11, 11))
    assert not hole.mendable


def test_particles_that_all_touch_the_border_are_told_and_no_sizes_compared() -> None:
    labels = np.zeros(SHAPE, np.int32)
    for label in range(1, 7):
        labels[: 4 * label, 24 * label : 24 * label + 12] = label
    checked = sample(labels)
    assert "touch the border" in only("border", checked).sentence
    assert not found("sizes", checked)


def test_sizes_that_differ_too_much_for_one_scale_are_told() -> None:
    labels = squares()
    labels[54:, :] = 0
    labels[70:150, 20:100] = 90
    labels[70:90, 120:140] = 91
    factor = only("sizes", sample(labels))
    assert "a factor of 6.7" in factor.sentence
    assert factor.label == 1
    labels[70:150, 20:100] = 0
    assert not found("sizes", sample(labels))


def test_what_stardist_cannot_draw_is_told() -> None:
    labels = squares(size=16)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    distance = np.hypot(rows - 100, columns - 100)
    labels[distance < 44] = 0
    labels[(abs(distance - 30) < 6) & (columns < 110)] = 77
    bent = only("shape", sample(labels))
    assert (bent.severity, bent.label) == ("information", 77)
    row, column = bent.position or (0, 0)
    assert labels[int(row), int(column)] == 77


def test_unmarked_particles_are_noticed_by_their_grey_values() -> None:
    annotated = open_dataset(sample_data() / "annotated")[0]
    told = only("unmarked", replace(annotated, known=None))
    assert told.severity == "warning"
    assert "as bright as the particles" in told.sentence
    image = Image(255 - annotated.image.data)
    assert "as dark as the particles" in only("unmarked", Sample(image, annotated.instances)).sentence


def test_a_sparse_annotation_without_look_alikes_is_only_mentioned() -> None:
    labels = squares(size=6) * (squares(size=6) <= 8)
    told = only("unmarked", sample(labels))
    assert told.severity == "information"
    assert not found("unmarked", sample(labels, known=np.ones(SHAPE, bool)))


def test_a_known_region_needs_background() -> None:
    labels = squares()
    lacking = only("background", sample(labels, known=labels > 0))
    assert lacking.severity == "problem"
    assert "no background" in lacking.sentence
    known = labels > 0
    known[:, :24] = True
    assert not found("background", sample(labels, known=known))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_pixels_without_a_value_are_found_and_particles_still_checked(value: float) -> None:
    labels = squares()
    labels[100, 7:9] = 99
    checked = sample(labels)
    checked.image.data[3, 4] = value
    told = only("image", checked)
    assert told.position == (3, 4)
    assert "1 pixel that is NaN or infinite" in told.sentence
    assert found("fragment", checked)


def test_an_image_without_content_is_a_problem() -> None:
    checked = sample(squares())
    checked.image.data[:] = 7
    assert "same value 7.0 everywhere" in only("image", checked).sentence


def test_colours_are_looked_at_as_grey_values() -> None:
    labels = squares()
    pixels = np.repeat((60 + 100 * (labels > 0))[..., None], 3, axis=-1).astype(np.uint8)
    assert check_annotation(Sample(Image(pixels, "YXC"), Instances.from_labels(labels))) == []


def test_many_findings_of_a_kind_are_counted_and_the_worst_come_first() -> None:
    labels = squares()
    labels[8:10, 8:10] = 0
    rows, columns = np.nonzero(labels > 30)
    labels[rows[rows % 12 == 0], columns[rows % 12 == 0]] = 0
    told = check_annotation(sample(labels))
    parted = [finding for finding in told if finding.kind == "pieces"]
    assert len(parted) == 6
    assert "more labels are in pieces" in parted[-1].sentence
    assert parted[-1].position is None
    severities = [finding.severity for finding in told]
    assert severities == sorted(severities, key=("problem", "warning", "information").index)


def test_one_line_sums_up_number_size_and_contrast() -> None:
    labels = squares()
    eight = sample(labels * (labels <= 8))
    assert describe(eight) == "8 particles, median diameter 13.5 px, brighter than their surroundings"
    calibrated = Image(-eight.image.data, calibration=Calibration.of(2.0))
    assert (
        describe(Sample(calibrated, eight.instances))
        == "8 particles, median diameter 13.5 px (27.1 nm), darker than their surroundings"
    )
    assert describe(sample(labels * (labels == 3))).startswith("1 particle, diameter 13.5 px, brighter than its")
    assert describe(sample(labels * 0)) == "No particles yet"
    mixed = np.where(labels % 2, -1, 1) * eight.image.data
    assert "some brighter, some darker" in describe(Sample(Image(mixed), Instances.from_labels(labels)))
    oblong = replace(eight.image, calibration=Calibration((2.0, 3.0)))
    assert "nm" not in describe(Sample(oblong, eight.instances))


def test_mending_parts_labels_and_removes_fragments() -> None:
    labels = squares().astype(np.uint16)
    labels[labels == 5] = 2
    labels[100, 7:9] = 99
    labels[8:12, 0:2] = 3
    before = labels.copy()
    new, done = mended(labels)
    np.testing.assert_array_equal(labels, before)
    assert new.dtype == labels.dtype
    assert done == "1 piece got a label of its own and 2 fragments were removed."
    pieces = before == 2
    assert sorted(np.unique(new[pieces])) == [2, 100]
    assert not new[100, 7:9].any()
    assert not new[8:12, 0:2].any()
    assert not [finding for finding in check_annotation(sample(new.astype(np.int32))) if finding.mendable]
    again, nothing = mended(new)
    np.testing.assert_array_equal(again, new)
    assert nothing == "There is nothing to mend."


def test_an_empty_annotation_is_mended_to_itself() -> None:
    new, done = mended(np.zeros(SHAPE, np.int32))
    assert not new.any()
    assert done == "There is nothing to mend."


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_pieces_and_holes_are_those_that_numbering_finds(mask: NDArray[np.bool_]) -> None:
    from skimage.measure import euler_number, label

    tight = Instances.from_labels(mask.astype(np.uint8))
    if not len(tight):
        return
    pieces = Pieces(tight.masks[0])
    count = label(tight.masks[0], connectivity=2).max()
    assert len(pieces.areas) == count
    assert pieces.areas.sum() == tight.masks[0].sum()
    assert count - pieces.holes == euler_number(tight.masks[0], connectivity=2)
    if pieces.holes:
        assert not tight.masks[0][tuple(pieces.hole())]


@given(arrays(np.int32, (12, 12), elements=st.integers(0, 4)))
def test_what_is_mended_needs_no_second_time(labels: NDArray[np.int32]) -> None:
    new, _ = mended(labels)
    assert all(len(Pieces(mask).areas) == 1 for mask in Instances.from_labels(new).masks)
    kept = new > 0
    np.testing.assert_array_equal(kept, kept & (labels > 0))
    before = Instances.from_labels(labels)
    if len(before):
        largest = np.array([Pieces(mask).areas.max() for mask in before.masks])
        assert all(Instances.from_labels(new).areas >= fragment_limit(largest))
