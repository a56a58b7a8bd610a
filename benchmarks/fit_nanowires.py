"""Fits of the nanowire generator: to images of its own with hidden parameters, and to real SEM images.

    python benchmarks/fit_nanowires.py [--quick]

Prints for every look what noise, blur and gradient were and what was found, then the distances of histograms and noise
spectra before and after. The real images are those of ../shared/data/nanowires_sem, when they are there.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from pathlib import Path
from typing import Any

from napari_nanoseg.config.nanowires import NanowireConfig, nanowire_preset
from napari_nanoseg.events import Event, Notice, listening
from napari_nanoseg.generators.nanowires.fit.knobs import knobs_of
from napari_nanoseg.generators.stream import generate
from napari_nanoseg.io.images import list_images, read_image
from napari_nanoseg.jobs.fit_nanowires import fit_generator
from napari_nanoseg.samples import Image

REAL = Path(__file__).parents[2] / "shared" / "data" / "nanowires_sem"
REAL_PIXEL_NM = 24.8
"""From the scale bar of most of them."""
XRAYS: dict[str, Any] = {"detector": {"photons": (300, 300), "blur": (1.6, 1.6), "gradient": (0.25, 0.25)}}
SETTLED: dict[str, Any] = {"deposition": "settled"}
HIDDEN: dict[str, dict[str, Any]] = {
    "od": XRAYS,
    "transmission": XRAYS,
    "stxm": XRAYS | {"stxm": {"spot_nm": (60, 60), "beam_noise": (0.03, 0.03)}},
    "ptychography": XRAYS | {"ptychography": {"resolution": (3, 3), "clouds": (0.03, 0.03)}},
    "sem": SETTLED
    | {
        "masks": "visible",
        "detector": {"blur": (1.5, 1.5), "gradient": (0.2, 0.2)},
        "sem": {"noise": (0.09, 0.09), "scan_noise": (0.015, 0.015), "substrate": (0.3, 0.3)},
    },
    "tem": SETTLED
    | {
        "detector": {"photons": (200, 200), "blur": (1.5, 1.5), "gradient": (0.2, 0.2)},
        "tem": {"mean_free_path_nm": (100, 100), "support_grain": (0.05, 0.05), "brightness": (0.6, 0.6)},
    },
}
SHOWN = ("photons", "noise", "blur", "spot_nm", "resolution", "gradient", "scan_noise", "beam_noise", "number")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="optical density only, small images")
    quick = parser.parse_args().quick
    for look in ["od"] if quick else HIDDEN:
        size = {"height": 192, "width": 192, "length_nm": 600, "wires": (10, 10)} if quick else {"wires": (50, 50)}
        known = {"look": look, **size, **{k: v for k, v in HIDDEN[look].items() if k in ("deposition", "masks")}}
        hidden = NanowireConfig.parse(known | HIDDEN[look] | {"seed": 77})
        images = [sample.image for sample in islice(generate(hidden), 4)]
        fitted = fit(look, images, NanowireConfig.parse(known | {"wires": (5, 100)}))
        for knob in knobs_of(hidden, True):
            if knob.name.split(".")[-1] in SHOWN:
                print(f"    {knob.name:24} hidden {knob.middle(hidden):8.4g}  found {knob.middle(fitted):8.4g}")
    if REAL.is_dir() and not quick:
        real = [read_image(path) for path in list_images(REAL)]
        fit("real SEM", real, nanowire_preset("Ag nanowires SEM", pixel_size_nm=REAL_PIXEL_NM))


def fit(name: str, images: list[Image], config: NanowireConfig) -> NanowireConfig:
    start = time.perf_counter()
    with listening(say):
        result = fit_generator(images, None, config)
    figures = ", ".join(f"{key} {value:.4g}" for key, value in result.agreement.items())
    tone = "with" if result.config.tone else "without"
    print(f"{name}: {figures}; {tone} tone curve, {time.perf_counter() - start:.0f} s")
    return result.config


def say(event: Event) -> None:
    if isinstance(event, Notice):
        print(f"    {event.message}")


if __name__ == "__main__":
    main()
