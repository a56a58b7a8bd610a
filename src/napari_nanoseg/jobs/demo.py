"""The whole loop on the sample micrograph: a few outlined particles to network, table and error map."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from napari_nanoseg.config.demo import DemoJob
from napari_nanoseg.config.evaluate import EvaluateJob
from napari_nanoseg.config.generate import CutPasteConfig, GenerateJob
from napari_nanoseg.config.jobs import AnyJob, read_job
from napari_nanoseg.config.measure import MeasureJob
from napari_nanoseg.config.segment import SegmentJob
from napari_nanoseg.config.train import TrainConfig, TrainJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult, Notice, Progress, Stage, tell
from napari_nanoseg.io.atomic import write_text
from napari_nanoseg.io.leftovers import is_empty, remove
from napari_nanoseg.io.outputs import unchanged
from napari_nanoseg.io.run_record import record_beside, run_record, write_run_record
from napari_nanoseg.io.sample_data import sample_data
from napari_nanoseg.jobs.child_process import run_in_child
from napari_nanoseg.jobs.run import run_job

MARK = "demo.yaml"  # the job, written first: tells a folder of ours, that may be replaced, from any other
PREVIEWS = 4
VIEWER_SECONDS = 120


def demo_job(job: DemoJob) -> JobResult:
    """Annotate few, generate, train, segment, measure, compare, show; leaves everything in ``job.out``.

    Raises
    ------
    NanosegError
        When the folder holds something else, or a step fails.
    """
    data, out, started = sample_data(), job.out, datetime.now(UTC)
    _make_room(job)
    seconds: dict[str, float] = {}

    def timed(name: str, step: AnyJob, run: Callable[[AnyJob], JobResult] = run_job) -> JobResult:
        began = time.monotonic()
        result = run(step)
        seconds[name] = round(time.monotonic() - began, 1)
        return result

    annotated, micrograph, truth = data / "annotated", data / "particles.tif", data / "particles_truth.tif"
    tell(Stage("annotate", "8 of the particles in the sample micrograph are outlined; nothing else is known."))
    preview = CutPasteConfig(height=768, width=1024, seed=job.seed)
    timed("generate", GenerateJob(config=preview, source=annotated, out=out / "synthetic", count=PREVIEWS, workers=1))
    config = TrainConfig(steps=job.steps, seed=job.seed)
    timed("train", TrainJob(config=config, dataset=annotated, out=out / "model"), run_in_child)
    found = out / "labels" / "all.json"  # label images hold no scores, COCO does
    segment = SegmentJob(model=out / "model", images=(micrograph,), out=out / "labels", coco=found)
    timed("segment", segment)
    labels = out / "labels" / micrograph.with_suffix(".tif").name
    measured = timed("measure", MeasureJob(labels=(found,), images=(micrograph,), out=out / "table.csv"))
    compare = EvaluateJob(truth=truth, prediction=labels, images=(micrograph,), out=out / "comparison")
    compared = timed("evaluate", compare)
    true_sizes = run_job(MeasureJob(labels=(truth,), images=(micrograph,), out=out / "truth" / "table.csv"))
    d50, true_d50 = measured.figures["d50_nm"], true_sizes.figures["d50_nm"]
    figures = {
        "f1": compared.figures["f1"],
        "precision": compared.figures["precision"],
        "recall": compared.figures["recall"],
        "particles": measured.figures["n"] + measured.figures["n_border"],
        "d50_nm": d50,
        "true_d50_nm": true_d50,
        "d50_error_percent": None if d50 is None else 100 * (d50 / true_d50 - 1),
        "seconds": seconds,
    }
    record = run_record(job, [data], seed=job.seed, figures=figures, started=started)
    write_run_record(out / "run.yaml", record)
    files = {"folder": str(out), "table": str(out / "table.csv"), "overlay": str(out / "comparison" / "overlays")}
    _show(job, files)
    return JobResult(figures, files)


def _make_room(job: DemoJob) -> None:
    """Remove an earlier demo; refuse to touch anything else."""
    if job.out.exists() and not job.out.is_dir():
        raise NanosegError(f"{job.out} is a file; choose another folder for the demo.")
    if job.out.is_dir() and not is_empty(job.out):
        if not _is_demo(job.out / MARK):
            raise NanosegError(f"{job.out} holds something else than an earlier demo; choose another folder.")
        for path in (job.out / "labels").glob("*.tif"):
            if not unchanged(path, record_beside(path)):
                raise NanosegError(
                    f"{path} was corrected since the demo made it and is never replaced; move it, or choose another "
                    "folder for the demo."
                )
        for path in job.out.iterdir():
            if path.name != MARK:  # stays, so that a demo that is removed by half is still known as one
                remove(path)
    write_text(job.out / MARK, job.to_yaml())


def _is_demo(mark: Path) -> bool:
    try:
        return isinstance(read_job(mark), DemoJob)
    except NanosegError:
        return False


def _show(job: DemoJob, files: dict[str, str]) -> None:
    """Take a picture of napari with the results, and leave a window open where there is a display.

    napari runs in a process of its own: a missing OpenGL library must not take the results down.
    """
    display = sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if job.show == "none":
        return
    if not display:
        tell(Notice("There is no display, so napari is not shown; 'make demo' takes a picture on a virtual one."))
        return
    command = [sys.executable, "-m", "napari_nanoseg._gui.demo", str(job.out)]
    screenshot = job.out / "napari.png"
    tell(Stage("show", "Showing the results in napari."))
    process = subprocess.Popen([*command, str(screenshot)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        for tenth in range(10 * VIEWER_SECONDS):
            if process.poll() is not None:
                break
            time.sleep(0.1)
            if tenth % 10 == 0:
                tell(Progress(min(tenth // 10, VIEWER_SECONDS), VIEWER_SECONDS, "seconds at most"))
    finally:
        if process.poll() is None:
            process.kill()
        _, errors = process.communicate()
    if process.returncode or not screenshot.is_file():
        last = (errors.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        tell(Notice(f"napari could not show the results ({last}); 'nanoseg doctor' says what is missing."))
        return
    files["screenshot"] = str(screenshot)
    if job.show in ("auto", "window"):
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
