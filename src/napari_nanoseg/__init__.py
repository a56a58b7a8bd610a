"""napari-nanoseg: from a few outlined particles to a trained network and a calibrated table.

The public functions load on first use (PEP 562): importing the package loads neither torch nor Qt. Type checkers and
editors find them in ``__init__.pyi``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

_PUBLIC = {
    "Agreement": "evaluation.agreement",
    "AnnotateDock": "_gui.docks",
    "Calibration": "calibration",
    "CathodeConfig": "config.cathode",
    "CathodeJob": "config.cathode",
    "CheckJob": "config.check",
    "ClassMaps": "io.class_maps",
    "ClassSample": "samples",
    "CompareDock": "_gui.docks",
    "ConvertJob": "config.convert",
    "CracksConfig": "config.cracks",
    "CracksDock": "_gui.docks",
    "CracksJob": "config.cracks",
    "CracksResult": "jobs.cracks",
    "CutPasteConfig": "config.generate",
    "Damage": "measurement.damage.analysis",
    "DamageConfig": "config.damage",
    "Dataset": "io.datasets",
    "DemoJob": "config.demo",
    "DensityConfig": "config.density",
    "DensityDock": "_gui.docks",
    "DensityJob": "config.density",
    "Epoch": "events",
    "EvaluateConfig": "config.evaluate",
    "EvaluateJob": "config.evaluate",
    "Evaluation": "evaluation.matching",
    "FitNanowiresJob": "config.nanowires",
    "GenerateDock": "_gui.docks",
    "GenerateJob": "config.generate",
    "Image": "samples",
    "Instances": "instances",
    "JobResult": "events",
    "MaskRCNNConfig": "config.maskrcnn",
    "MeasureConfig": "config.measure",
    "MeasureDock": "_gui.docks",
    "MeasureJob": "config.measure",
    "Model": "engines.base",
    "NanosegError": "errors",
    "NanowireConfig": "config.nanowires",
    "NanowiresJob": "config.nanowires",
    "Notice": "events",
    "OpticalDensity": "measurement.density",
    "Phantom": "generators.cathode.phantom",
    "PixelEvaluation": "evaluation.tolerant",
    "Progress": "events",
    "Sample": "samples",
    "SegmentConfig": "config.segment",
    "SegmentDock": "_gui.docks",
    "SegmentJob": "config.segment",
    "Stage": "events",
    "StarDistConfig": "config.stardist",
    "SweepJob": "config.sweep",
    "TrainConfig": "config.train",
    "TrainDock": "_gui.docks",
    "TrainJob": "config.train",
    "UNetConfig": "config.unet",
    "Volume": "samples",
    "VolumeConfig": "config.volume",
    "agreement": "evaluation.agreement",
    "agreement_figure": "evaluation.agreement_figure",
    "calibration_of": "_gui.layers.space",
    "cathode_preset": "config.cathode",
    "cracks": "jobs.functions",
    "damage": "measurement.damage.analysis",
    "damage_figures": "measurement.damage.figures",
    "distribution_figure": "measurement.distributions",
    "evaluate": "evaluation.matching",
    "evaluate_pixels": "evaluation.tolerant",
    "fit_nanowires": "jobs.fit_nanowires",
    "from_layer": "_gui.layers.conversion",
    "generate": "generators.stream",
    "load_model": "engines.library",
    "measure": "measurement.particles",
    "nanowire_preset": "config.nanowires",
    "open_class_maps": "io.class_maps",
    "open_dataset": "io.datasets",
    "open_volume": "io.volumes",
    "optical_density": "measurement.density",
    "overlay_figure": "evaluation.error_map",
    "pool": "evaluation.matching",
    "pool_agreement": "evaluation.agreement",
    "pool_pixels": "evaluation.tolerant",
    "read_image": "io.images",
    "read_job": "config.jobs",
    "read_labels": "io.annotations",
    "run": "jobs.functions",
    "sample_data": "io.sample_data",
    "size_summary": "measurement.distributions",
    "to_layer": "_gui.layers.conversion",
    "train": "jobs.functions",
    "write_figure": "io.figures",
    "write_image": "io.images",
    "write_labels": "io.images",
    "write_sample": "io.datasets",
    "write_table": "io.tables",
    "write_volume": "io.volumes",
}

_NAPARI = [name for name, module in _PUBLIC.items() if module.startswith("_gui")]

__all__ = [name for name in _PUBLIC if name not in _NAPARI or find_spec("napari") is not None]
__version__ = version("napari-nanoseg")


def __getattr__(name: str) -> Any:
    module = _PUBLIC.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _NAPARI and find_spec("napari") is None:
        raise AttributeError(
            f"{name} needs napari, which is not installed; install it with: pip install 'napari-nanoseg[all]'"
        )
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
