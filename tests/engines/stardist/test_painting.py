"""Polygons are painted as the original paints them, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from stardist.geometry.geom2d import polygons_to_label_coord

from napari_nanoseg.engines.stardist.painting import painted


@pytest.mark.parametrize("step", [None, 1, 0.5], ids=["anywhere", "on pixels", "between pixels"])
@pytest.mark.parametrize("rays", [3, 8, 32])
def test_the_pixels_are_the_originals(rays: int, step: float | None) -> None:
    rng = np.random.default_rng(rays)
    centres = rng.uniform(-20, 120, (60, 2, 1))
    angles = np.linspace(0, 2 * np.pi, rays, endpoint=False)
    distances = rng.uniform(0.001, 25, (60, 1)) * rng.uniform(0.4, 1.2, (60, rays))
    polygons = np.stack([distances * np.sin(angles), distances * np.cos(angles)], axis=1) + centres
    if step is not None:
        polygons = np.round(polygons / step) * step
    order = rng.permutation(60)
    expected = polygons_to_label_coord(polygons, shape=(90, 110), labels=order)
    assert expected.any()
    np.testing.assert_array_equal(painted(polygons, order + 1, (90, 110)), expected)
