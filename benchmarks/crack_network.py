"""From phantoms of cathodes alone to a U-Net: cracks and damage over depth that it finds in other phantoms.

Run ``python benchmarks/crack_network.py [--steps N] [--out FOLDER] [--json]``. Trained on 320 slices of 40 phantoms of
the preset "NMC training"; tested on phantoms of "NMC cracked near the separator" with other seeds, which it has not
seen. The IoU is of all crack voxels of all test phantoms. The error of the profile is the mean of |found - true| over
the mean true damage (cracks per window of 50 px) of a phantom. Beside it stands the threshold of the grey values, which
also calls gaps between particles cracks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_nanoseg.config.cathode import CathodeJob, cathode_preset
from napari_nanoseg.config.cracks import CracksConfig
from napari_nanoseg.config.damage import DamageConfig
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.events import Epoch, Event, Notice, listening
from napari_nanoseg.generators.cathode.generator import Cathode
from napari_nanoseg.io.volumes import open_volume, write_volume
from napari_nanoseg.jobs.cathode import cathode_job
from napari_nanoseg.jobs.child_process import run_in_child
from napari_nanoseg.jobs.functions import cracks
from napari_nanoseg.measurement.damage.analysis import damage
from napari_nanoseg.samples import Volume

TRAINING, TESTED = "NMC training", "NMC cracked near the separator"
PHANTOMS, SIDE, TEST_SEED = 40, 384, 1000
CRACKS_ALONE = DamageConfig(morphology=False)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, help="training steps; none: as a training from scratch has them")
    parser.add_argument("--phantoms", type=int, default=4, help="phantoms for the test")
    parser.add_argument("--quick", action="store_true", help="two phantoms and 4 steps: only that it runs")
    parser.add_argument("--out", type=Path, help="keep dataset, model and class maps in this folder")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = options.out or Path(temporary)
        count = 2 if options.quick else PHANTOMS
        cathode_job(CathodeJob(config=cathode_preset(TRAINING), count=count, out=out / "training"))
        config = TrainConfig(engine=UNetConfig(), steps=4 if options.quick else options.steps)
        began = time.perf_counter()
        with listening(say):
            run_in_child(TrainJob(config=config, dataset=out / "training", out=out / "model", start_from=None))
        figures: dict[str, Any] = {"training_s": time.perf_counter() - began}
        figures |= tested(out, 1 if options.quick else options.phantoms)
    for name, value in figures.items():
        print(f"{name:32} {value:.3f}")
    if options.json:
        print(json.dumps(figures))


def tested(out: Path, phantoms: int) -> dict[str, float]:
    """IoU of cracks and error of the profile, of the network and of the threshold."""
    generator = Cathode(cathode_preset(TESTED, height=SIDE, width=SIDE, seed=TEST_SEED))
    both: dict[str, list[tuple[int, int, float]]] = {"network": [], "threshold": []}
    for index in range(phantoms):
        phantom = generator.phantom(index)
        truth = phantom.classes == 1
        scan = out / f"scan_{index}.tif"
        write_volume(scan, Volume(phantom.image.data, phantom.image.calibration))
        for name, model in (("network", out / "model"), ("threshold", "threshold")):
            folder = out / f"{name}_{index}"
            cracks(CracksConfig(analyse=False), scan, model, folder, progress=False)
            found = open_volume(folder / "classes.ome.zarr").read(0, len(truth)) == 1
            both[name].append((int((found & truth).sum()), int((found | truth).sum()), profile_error(found, truth)))
    figures = {}
    for name, rows in both.items():
        figures[f"{name}_crack_iou"] = sum(row[0] for row in rows) / sum(row[1] for row in rows)
        figures[f"{name}_profile_error"] = statistics.mean(row[2] for row in rows)
    return figures


def profile_error(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Mean difference of two profiles of damage, as a part of the mean true damage."""
    profiles = [damage(one, config=CRACKS_ALONE).profile["damage"].to_numpy() for one in (found, truth)]
    return float(np.abs(profiles[0] - profiles[1]).mean() / profiles[1].mean())


def say(event: Event) -> None:
    """Print what a training tells."""
    if isinstance(event, Notice):
        print(event.message, flush=True)
    elif isinstance(event, Epoch):
        print(f"epoch {event.epoch} of {event.epochs}: {event.validation['loss']:.3f}", flush=True)


if __name__ == "__main__":
    main()
