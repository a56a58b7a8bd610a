"""How the nanowire generator's instruments see: ranges from which every image draws its own microscope."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from napari_nanoseg.config.base import Config
from napari_nanoseg.config.generate import Fraction, Positive

Amount = Annotated[float, Field(ge=0, le=1000)]


class Ranges(Config):
    """A config whose pairs of numbers are ranges."""

    @model_validator(mode="after")
    def _upwards(self) -> Self:
        for name, value in self:
            if isinstance(value, tuple) and len(value) == 2 and all(isinstance(one, (int, float)) for one in value):
                low, high = value
                if low > high:
                    raise ValueError(f"the range '{name}' begins at {low:g} and ends at {high:g}; swap the two")
        return self


def ranged(low: float, high: float, description: str, unit: str = "", **more: Any) -> Any:
    """A field that is a range of numbers, `low` to `high` by default."""
    return Field((low, high), description=f"Range of {description}", json_schema_extra={"unit": unit}, **more)


class DetectorConfig(Ranges):
    """What all instruments do: light, blur and noise."""

    photons: tuple[Positive, Positive] = ranged(
        1000, 20000, "the photons (electrons) of a pixel without object, drawn evenly on a logarithmic scale; few mean "
        "much noise", title="Photons per pixel",
    )  # fmt: skip
    blur: tuple[Amount, Amount] = ranged(0.4, 1.0, "the standard deviation of the detector's blur", "px")
    gradient: tuple[Fraction, Fraction] = ranged(0, 0.1, "the change of the beam's intensity across the image")
    background: tuple[Amount, Amount] = ranged(0, 0.1, "the optical density of the support", title="Support")


class PtychographyConfig(Ranges):
    """X-ray ptychography: a phase object, reconstructed from a band of frequencies."""

    resolution: tuple[Positive, Positive] = ranged(1.2, 2.5, "the smallest half period that is resolved", "px")
    phase: tuple[Amount, Amount] = ranged(0.5, 2, "the phase shift per optical density", "rad")
    defocus: tuple[Amount, Amount] = ranged(1, 8, "the width of the first fringe left by the propagation", "px")
    phase_mixed: tuple[Fraction, Fraction] = ranged(0, 0.3, "the part of the phase in the image", title="Phase")
    raster: tuple[Amount, Amount] = ranged(0, 0.02, "the amplitude of the pattern of the scan steps")
    raster_period: tuple[Positive, Positive] = ranged(12, 40, "the distance of the scan steps", "px")
    clouds: tuple[Amount, Amount] = ranged(0.01, 0.05, "the standard deviation of slow artefacts, in optical density")


class StxmConfig(Ranges):
    """Scanning transmission X-ray microscopy: a spot that goes line by line."""

    spot_nm: tuple[Positive, Positive] = ranged(25, 45, "the width of the spot (FWHM)", "nm", title="Spot")
    line_jitter: tuple[Amount, Amount] = ranged(0.05, 0.4, "the standard deviation of the offsets of lines", "px")
    drift: tuple[Amount, Amount] = ranged(
        0, 1, "the drift from the first to the last line; masks do not follow it", "px"
    )
    beam_noise: tuple[Fraction, Fraction] = ranged(0.002, 0.015, "the relative changes of the beam between lines")
    glitches: tuple[Fraction, Fraction] = ranged(0, 0.01, "the fraction of lines in which the beam dropped")


class SemConfig(Ranges):
    """Secondary electrons: bright edges, shadows, what lies on top is seen."""

    brightness: tuple[Fraction, Fraction] = ranged(0.5, 0.75, "the grey value of flat faces of wires")
    substrate: tuple[Fraction, Fraction] = ranged(0.3, 0.45, "the grey value of the substrate")
    edges: tuple[Amount, Amount] = ranged(0.2, 0.6, "the brightening of edges and steep faces")
    edge_width: tuple[Positive, Positive] = ranged(0.6, 1.5, "the escape depth at edges", "px")
    shadow: tuple[Fraction, Fraction] = ranged(0.1, 0.4, "the darkening beside and below objects")
    shadow_width: tuple[Positive, Positive] = ranged(2, 6, "the reach of shadows", "px")
    detector_side: tuple[Fraction, Fraction] = ranged(0, 0.3, "the difference between faces to and from the detector")
    see_through: tuple[Fraction, Fraction] = ranged(0, 0.25, "the brightness of what lies below, as at high voltage")
    charging: tuple[Fraction, Fraction] = ranged(0, 0.15, "streaks that trail bright objects along the scan")
    scan_noise: tuple[Fraction, Fraction] = ranged(0.002, 0.01, "the standard deviation of the offsets of lines")
    noise: tuple[Fraction, Fraction] = ranged(0.02, 0.06, "the standard deviation of shot noise where it is white")
    texture: tuple[Fraction, Fraction] = ranged(0.005, 0.02, "the standard deviation of the substrate's texture")
    texture_size: tuple[Positive, Positive] = ranged(0.6, 2.5, "the size of the substrate's grains", "px")
    spots: tuple[Annotated[int, Field(ge=0, le=1000)], Annotated[int, Field(ge=0, le=1000)]] = ranged(
        0, 12, "the number of dust spots on the substrate"
    )


class TemConfig(Ranges):
    """Transmission electron microscopy, bright field: mass-thickness, diffraction, a grainy support."""

    mean_free_path_nm: tuple[Positive, Positive] = ranged(
        40, 90, "the thickness that lets 1/e of the electrons pass", "nm", title="Mean free path"
    )
    diffraction: tuple[Amount, Amount] = ranged(
        0.1, 0.5, "the spread of the absorption between objects, by their orientation"
    )
    bend_contours: tuple[Fraction, Fraction] = ranged(0, 0.25, "the darkness of bands across objects")
    speckle: tuple[Fraction, Fraction] = ranged(0.02, 0.08, "the standard deviation of speckle inside objects")
    support_grain: tuple[Fraction, Fraction] = ranged(0.01, 0.04, "the standard deviation of the support's grain")
    grain_size: tuple[Positive, Positive] = ranged(0.8, 1.6, "the size of grains", "px")
    fringe: tuple[Fraction, Fraction] = ranged(0, 0.15, "the strength of the fringe at edges, out of focus")
    brightness: tuple[Fraction, Fraction] = ranged(0.6, 0.85, "the grey value of the support")
