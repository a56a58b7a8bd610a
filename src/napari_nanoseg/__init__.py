"""napari-nanoseg: from a few outlined particles to a trained network and a calibrated table.

The public functions load on first use (PEP 562): importing the package loads neither torch nor Qt.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any

_PUBLIC = {
    "Agreement": "evaluation.agreement",
    "Calibration": "calibration",
    "CathodeConfig": "config.cathode",
    "ClassSample": "samples",
    "CracksConfig": "config.cracks",
    "CutPasteConfig": "config.generate",
    "Damage": "measurement.damage.analysis",
    "DamageConfig": "config.damage",
    "DensityConfig": "config.density",
    "EvaluateConfig": "config.evaluate",
    "Evaluation": "evaluation.matching",
    "Image": "samples",
    "Instances": "instances",
    "MaskRCNNConfig": "config.maskrcnn",
    "MeasureConfig": "config.measure",
    "NanosegError": "errors",
    "NanowireConfig": "config.nanowires",
    "Phantom": "generators.cathode.phantom",
    "PixelEvaluation": "evaluation.tolerant",
    "Sample": "samples",
    "SegmentConfig": "config.segment",
    "StarDistConfig": "config.stardist",
    "TrainConfig": "config.train",
    "UNetConfig": "config.unet",
    "Volume": "samples",
    "VolumeConfig": "config.volume",
    "agreement": "evaluation.agreement",
    "cathode_preset": "config.cathode",
    "cracks": "jobs.cracks",
    "damage": "measurement.damage.analysis",
    "evaluate": "evaluation.matching",
    "evaluate_pixels": "evaluation.tolerant",
    "fit_nanowires": "jobs.fit_nanowires",
    "generate": "generators.stream",
    "load_model": "engines.library",
    "measure": "measurement.particles",
    "nanowire_preset": "config.nanowires",
    "open_class_maps": "io.class_maps",
    "open_dataset": "io.datasets",
    "open_volume": "io.volumes",
    "optical_density": "measurement.density",
    "pool": "evaluation.matching",
    "pool_agreement": "evaluation.agreement",
    "pool_pixels": "evaluation.tolerant",
    "read_image": "io.images",
    "read_labels": "io.images",
    "run": "jobs.run",
    "train": "jobs.train",
    "write_sample": "io.datasets",
    "write_volume": "io.volumes",
}

__all__ = list(_PUBLIC)
__version__ = version("napari-nanoseg")


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
