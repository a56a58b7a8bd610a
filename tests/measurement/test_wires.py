"""Outlined wires whose sizes and directions are known."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.generators.stream import generate
from napari_nanoseg.instances import Instances
from napari_nanoseg.measurement.wires import measure_wires
from napari_nanoseg.samples import Image, Sample


def strip(length: float, width: float, degrees: float, sagitta: float = 0.0) -> np.ndarray:
    """Mask (200, 200) of a wire in the middle; its line is a parabola with this sagitta."""
    rows, columns = np.mgrid[:200, :200] - 99.5
    angle = math.radians(degrees)
    along = columns * math.cos(angle) - rows * math.sin(angle)
    across = columns * math.sin(angle) + rows * math.cos(angle)
    line = sagitta * (1 - (2 * along / length) ** 2)
    return (np.abs(along) <= length / 2) & (np.abs(across - line) <= width / 2)


def sample(*masks: np.ndarray, pixel: float | None = 2.0, known: np.ndarray | None = None) -> Sample:
    shape = masks[0].shape
    boxes = np.array([[0, 0, *shape]] * len(masks))
    calibration = Calibration() if pixel is None else Calibration.of(pixel)
    image = Image(np.zeros(shape, np.uint8), "YX", calibration)
    return Sample(image, Instances.from_masks(shape, boxes, masks), known)


@settings(max_examples=40, deadline=None)
@given(st.floats(30, 150), st.floats(4, 12), st.floats(0, 179), st.floats(0, 12))
def test_length_width_and_bending_of_any_wire(length: float, width: float, degrees: float, sagitta: float) -> None:
    sagitta = min(sagitta, 0.1 * length)
    mask = strip(length, width, degrees, sagitta)
    wires = measure_wires([sample(mask)])
    arc = length * (1 + 8 / 3 * (sagitta / length) ** 2)
    assert wires.length == pytest.approx(2 * arc, rel=0.04, abs=5)
    drawn = np.count_nonzero(mask) / arc  # a strip along an axis may be drawn a pixel wider or narrower than asked
    assert wires.width == pytest.approx(2 * drawn, rel=0.1, abs=1.5)
    assert (wires.length_sd, wires.width_sd) == (None, None)
    if sagitta > 2 + 0.03 * length:
        assert wires.bent == 1
    if sagitta == 0:
        assert wires.bent == 0
        assert abs((wires.direction - degrees + 90) % 180 - 90) < 3


def test_what_the_border_cuts_is_counted_but_not_measured() -> None:
    inside, cut = strip(60, 6, 20), np.roll(strip(60, 6, 90), 100, axis=0)
    wires = measure_wires([sample(inside, cut)])
    assert (wires.measured, wires.cut) == (1, 1)
    assert wires.length == pytest.approx(120, rel=0.05)
    assert measure_wires([sample(cut)]) is None


def test_only_the_known_region_counts_as_area() -> None:
    mask = strip(60, 6, 0)
    known = np.zeros(mask.shape, bool)
    known[50:150] = True
    whole, part = measure_wires([sample(mask)]), measure_wires([sample(mask, known=known)])
    assert part.per_area == pytest.approx(2 * whole.per_area)


def test_a_generated_network_is_measured_as_it_was_made() -> None:
    config = NanowireConfig(
        wires=(25, 25), length_nm=1400, length_sd=0.3, width_nm=90, width_sd=0.2, tilt_sd=0, bent_fraction=0,
        orientation="aligned", direction=30, order_parameter=0.7,
    )  # fmt: skip
    wires = measure_wires(islice(generate(config), 4))
    assert wires.length == pytest.approx(1400, rel=0.08)
    assert wires.width == pytest.approx(90, rel=0.08)
    assert wires.length_sd == pytest.approx(0.3, abs=0.08)
    assert wires.width_sd == pytest.approx(0.2, abs=0.05)
    assert wires.per_area == pytest.approx(25 / 5120**2, rel=0.2)
    assert wires.aligned
    assert wires.order == pytest.approx(0.7, abs=0.12)
    assert wires.direction == pytest.approx(30, abs=6)
