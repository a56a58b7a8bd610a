"""The micrograph that comes with the package."""

from __future__ import annotations

from pathlib import Path


def sample_data() -> Path:
    """Folder with a micrograph, its ground truth and a partly annotated data set (its README says how it was made).

    Returns
    -------
    Path
        Holds ``particles.tif``, ``particles_truth.tif`` and the data set ``annotated``.
    """
    return Path(__file__).parents[1] / "sample_data"
