"""Run lengths are those of pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_nanoseg.rle import decode_counts, encode_counts, mask_from_counts, mask_to_counts


def reference_text(counts: list[int]) -> str:
    """``rleToString`` of pycocotools, letter by letter."""
    text = ""
    for index, count in enumerate(counts):
        rest = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            group = rest & 31
            rest >>= 5
            more = rest != -1 if group & 16 else rest != 0
            text += chr((group | 32 if more else group) + 48)
    return text


@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=20))
def test_text_is_that_of_the_reference(counts: list[int]) -> None:
    text = encode_counts(np.array(counts))
    assert text == reference_text(counts)
    assert decode_counts(text).tolist() == counts
    assert decode_counts(text.encode()).tolist() == counts


def test_a_text_of_pycocotools() -> None:
    expected = np.zeros((9, 10), dtype=bool)
    expected[2:5, 1:5] = expected[7:, 8] = True
    mask, (row, column) = mask_from_counts(decode_counts(";3600000P1OSO"), (9, 10))
    full = np.zeros((9, 10), dtype=bool)
    full[row : row + mask.shape[0], column : column + mask.shape[1]] = mask
    assert np.array_equal(full, expected)
    assert encode_counts(mask_to_counts(expected, (0, 0), expected.shape)) == ";3600000P1OSO"


@given(arrays(np.bool_, (4, 3)), st.integers(0, 2), st.integers(0, 2))
def test_runs_go_down_the_columns_of_the_whole_image(mask: np.ndarray, row: int, column: int) -> None:
    full = np.zeros((6, 5), dtype=bool)
    full[row : row + 4, column : column + 3] = mask
    counts = mask_to_counts(mask, (row, column), full.shape)
    values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    assert np.array_equal(values, full.ravel(order="F"))
    assert (counts[1:] > 0).all()


@given(arrays(np.bool_, (5, 4)), st.booleans())
def test_runs_give_back_the_mask_wherever_they_cross_columns(full: np.ndarray, divided: bool) -> None:
    counts = mask_to_counts(full, (0, 0), full.shape)
    if divided and counts.max() > 1:  # runs of length 0 between, as other programs may write them
        longest = int(counts.argmax())
        counts = np.concatenate([counts[:longest], [1, 0, counts[longest] - 1], counts[longest + 1 :]])
    mask, (row, column) = mask_from_counts(counts, full.shape)
    found = np.zeros_like(full)
    found[row : row + mask.shape[0], column : column + mask.shape[1]] = mask
    assert np.array_equal(found, full)


@pytest.mark.parametrize("text", ["", " ", "\x7f", "o", "é", "o" * 20 + "0"])
def test_damaged_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="run lengths"):
        decode_counts(text)
