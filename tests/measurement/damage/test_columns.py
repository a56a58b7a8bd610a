"""Every column of the tables of an analysis has a title and a meaning."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nanoseg import Calibration, DamageConfig, damage
from napari_nanoseg.measurement.damage.columns import COLUMNS


@pytest.mark.parametrize("calibration", [Calibration(), Calibration((50.0, 20.0, 20.0))])
@pytest.mark.parametrize("per_slice", [False, True])
def test_columns_are_explained(calibration: Calibration, per_slice: bool) -> None:
    classes = np.zeros((4, 30, 30), np.uint8)
    classes[:, 5:25, 5:25] = 2
    classes[:, 14:16, 8:22] = 1
    config = DamageConfig(names=("crack", "particle"), window=10, per_slice=per_slice)
    found = damage(classes, calibration=calibration, config=config)
    for table in (found.profile, found.correlation, found.cracks, found.particles, found.directions):
        assert table is not None
        assert set(table.columns) <= COLUMNS.keys()
