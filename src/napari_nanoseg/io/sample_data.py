"""The images that come with the package."""

from __future__ import annotations

from pathlib import Path


def sample_data() -> Path:
    """Folder with a micrograph, its ground truth and two data sets (its README says how they were made).

    Returns
    -------
    Path
        Holds ``particles.tif``, ``particles_truth.tif`` and the data sets ``annotated`` (of some particles in it) and
        ``network`` (nanowires with true sizes).
    """
    return Path(__file__).parents[1] / "sample_data"
