"""Make the sample cathode: ``python tools/make_sample_cathode.py`` writes sample_data/cathode, always the same files.

It comes from the project's own generator of cathode phantoms: a small volume whose classes are known, with cracks that
become more with depth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from napari_nanoseg.config.cathode import CathodeConfig, DepthProfile
from napari_nanoseg.generators.cathode.generator import Cathode
from napari_nanoseg.io.images import write_image, write_labels

CONFIG = CathodeConfig(
    depth=32, height=144, width=144, pixel_size_nm=140.0, seed=7,
    damage=DepthProfile(form="linear", first=0.04, last=0.14), crack_width_nm=(140.0, 420.0),
)  # fmt: skip


def main() -> None:
    """Write volume and class map into the folder of the package."""
    home = Path(__file__).parents[1] / "src" / "napari_nanoseg" / "sample_data" / "cathode"
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=home, help="folder to write to")
    out = parser.parse_args().out
    phantom = Cathode(CONFIG).phantom(0)
    write_image(out / "cathode.tif", phantom.image)
    write_labels(out / "classes.tif", phantom.classes, phantom.image.calibration)


if __name__ == "__main__":
    main()
