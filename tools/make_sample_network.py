"""Make the sample network: ``python tools/make_sample_network.py`` writes sample_data/network, always the same files.

Unlike the sample micrograph, it comes from the project's own generator of nanowires: a dataset of one image whose true
masks, sizes and directions are known.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from napari_nanoseg import NanowireConfig
from napari_nanoseg.generators.nanowires.generator import Nanowires
from napari_nanoseg.io.datasets import DatasetWriter

CONFIG = NanowireConfig(
    look="od", height=512, width=512, pixel_size_nm=10.0, seed=11, wires=(40, 40), length_nm=1400.0, width_nm=110.0,
    width_sd=0.3, cross_sections=("rectangle", "lath", "hexagon"), wire_absorption=(3.0, 9.0), bent_fraction=0.1,
    spheres=(3, 3), sphere_absorption=(2.0, 4.0), dtype="uint8",
)  # fmt: skip


def main() -> None:
    """Write the dataset into the folder of the package."""
    home = Path(__file__).parents[1] / "src" / "napari_nanoseg" / "sample_data" / "network"
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=home, help="folder to write to")
    generator = Nanowires(CONFIG)
    with DatasetWriter(parser.parse_args().out, generator.classes) as dataset:
        dataset.add(replace(generator.sample(0), name="network"))


if __name__ == "__main__":
    main()
