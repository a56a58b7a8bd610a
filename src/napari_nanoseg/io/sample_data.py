"""The images that come with the package."""

from __future__ import annotations

from pathlib import Path


def sample_data() -> Path:
    """Folder with a micrograph, its ground truth, two data sets and a volume (its README says how they were made).

    Returns
    -------
    Path
        Holds ``particles.tif``, ``particles_truth.tif``, the data sets ``annotated`` (of some particles in it) and
        ``network`` (nanowires with true sizes), and in ``cathode`` a volume with its class map.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> ns.read_image(ns.sample_data() / "particles.tif")
    Image(768 x 1024 px, uint8, YX, 2.5 nm/px, 'particles.tif')
    """
    return Path(__file__).parents[1] / "sample_data"
