"""What instruments do to known objects."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nanoseg.config.looks import DetectorConfig, PtychographyConfig, SemConfig, StxmConfig, TemConfig
from napari_nanoseg.config.nanowires import NanowireConfig
from napari_nanoseg.generators.nanowires.generator import Nanowires
from napari_nanoseg.generators.nanowires.looks.detector import clouds, counted, grain, light
from napari_nanoseg.generators.nanowires.looks.stxm import shifted
from napari_nanoseg.samples import Sample

CLEAN = DetectorConfig(photons=(1e9, 1e9), blur=(0, 0), gradient=(0, 0), background=(0, 0))
ZERO = (0.0, 0.0)
SEED = 8
"""With it the wire lies about the middle."""


def lath(look: str, **changes: object) -> Sample:
    """One horizontal flat wire, 300 nm wide and 60 nm thick, that crosses the image of 10 nm pixels."""
    values = {
        "look": look, "height": 120, "width": 200, "depth": 100, "wires": (1, 1), "length_nm": 900, "length_sd": 0,
        "width_nm": 300, "width_sd": 0, "cross_sections": ("lath",), "lath_ratio": (0.2, 0.2), "taper": ZERO,
        "bent_fraction": 0, "orientation": "aligned", "order_parameter": 1, "deposition": "settled", "border": False,
        "wire_absorption": (10, 10), "detector": CLEAN, "seed": SEED,
    }  # fmt: skip
    return Nanowires(NanowireConfig.parse(values | changes)).sample(0)


@pytest.mark.parametrize("expected", [3.0, 150.0, 1000.0])
def test_counts_have_the_mean_and_variance_of_poisson(expected: float) -> None:
    counts = counted(np.full((300, 300), 0.5, np.float32), 2 * expected, np.random.default_rng(0))
    assert counts.mean() == pytest.approx(expected, rel=0.01)
    assert counts.var() == pytest.approx(expected, rel=0.03)
    assert (counts == np.rint(counts)).all()
    assert counts.min() >= 0


def test_random_fields_are_standardised() -> None:
    rng = np.random.default_rng(0)
    for field in (grain((64, 90), 1.5, rng), grain((64, 90), 0, rng), clouds((64, 90), 4, rng)):
        assert field.shape == (64, 90)
        assert (field.mean(), field.std()) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-4))
    beam = light((50, 60), DetectorConfig(gradient=(0.2, 0.2)), rng)
    assert beam.mean() == pytest.approx(1)
    assert 0.15 < np.ptp(beam) < 0.3


def test_lines_are_shifted_by_fractions() -> None:
    pixels = np.arange(40, dtype=np.float32).reshape(4, 10)
    moved = shifted(pixels, np.array([0, 1, -2, 0.5]))
    np.testing.assert_array_equal(moved[0], pixels[0])
    np.testing.assert_array_equal(moved[1], [10, *pixels[1, :-1]])
    np.testing.assert_array_equal(moved[2], [*pixels[2, 2:], 29, 29])
    np.testing.assert_allclose(moved[3, 1:], pixels[3, 1:] - 0.5)


def test_stxm_keeps_optical_density_and_blurs_by_its_spot() -> None:
    still = StxmConfig(spot_nm=(80, 80), line_jitter=ZERO, drift=ZERO, beam_noise=ZERO, glitches=ZERO)
    sample, sharp = lath("stxm", stxm=still), lath("od")
    assert sample.image.data.max() == pytest.approx(0.6, abs=0.01)  # 10 / µm times 60 nm
    assert sharp.image.data.max() == pytest.approx(0.6, abs=0.01)

    def rises(data: np.ndarray) -> int:
        return np.count_nonzero((data[:, 100] > 0.06) & (data[:, 100] < 0.54))

    assert rises(sharp.image.data) <= 2
    assert 8 <= rises(sample.image.data) <= 20  # two edges of 1.1 x 8 px each
    trembling = lath("stxm", stxm=still.model_copy(update={"line_jitter": (3.0, 3.0)}))
    left = sample.instances.boxes[0][1]
    ends = [np.argmax(row > 0.3) for row in trembling.image.data if row.max() > 0.4]
    assert np.std(ends) > 1
    assert np.mean(ends) == pytest.approx(left, abs=2)


def test_ptychography_has_fringes_beside_edges() -> None:
    plain = PtychographyConfig(
        resolution=(2, 2), defocus=(5, 5), phase_mixed=ZERO, raster=ZERO, clouds=ZERO, phase=(1, 1)
    )
    data = lath("ptychography", ptychography=plain).image.data
    flat = np.median(data[data > 0.5])
    assert flat == pytest.approx(0.6, abs=0.08)
    assert data.max() > flat + 0.05
    assert data.min() < -0.02


def test_sem_edges_are_bright_and_the_substrate_beside_them_dark() -> None:
    plain = SemConfig(
        brightness=(0.5, 0.5), substrate=(0.4, 0.4), edges=(0.4, 0.4), shadow=(0.3, 0.3), detector_side=ZERO,
        see_through=ZERO, charging=ZERO, scan_noise=ZERO, noise=ZERO, texture=ZERO, spots=(0, 0),
    )  # fmt: skip
    sample = lath("sem", sem=plain)
    top, left, bottom, right = sample.instances.boxes[0]
    across = sample.image.data[:, (left + right) // 2]
    middle = across[(top + bottom) // 2]
    assert middle == pytest.approx(0.5, abs=0.08)
    assert across[top : top + 2].max() > middle + 0.1
    assert across[top - 2] < 0.4 - 0.02
    assert across[0] == pytest.approx(0.4, abs=0.01)
    charged = lath("sem", sem=plain.model_copy(update={"charging": (0.15, 0.15)}))
    streaks = np.abs(charged.image.data - sample.image.data)
    assert streaks[top + 1 : bottom - 1, right + 3].min() > 0.005
    assert streaks[:, : left - 1].max() < 1e-6
    assert streaks[: top - 1].max() < 1e-6


def test_tem_is_darker_where_more_mass_is() -> None:
    plain = TemConfig(
        mean_free_path_nm=(60, 60), diffraction=ZERO, bend_contours=ZERO, speckle=ZERO, support_grain=ZERO,
        fringe=ZERO, brightness=(0.8, 0.8),
    )  # fmt: skip
    data = lath("tem", tem=plain).image.data
    assert np.median(data) == pytest.approx(0.8, abs=0.01)
    assert data.min() == pytest.approx(0.8 * np.exp(-1), abs=0.01)
