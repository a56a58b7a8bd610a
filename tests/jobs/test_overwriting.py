"""Results are replaced only where that is asked for, inputs and corrected labels never; bad places are found first."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from scipy.ndimage import label
from typer.testing import CliRunner

from napari_nanoseg import Calibration, Image, Instances, NanosegError, Sample, Volume, run, write_volume
from napari_nanoseg.cli import app
from napari_nanoseg.config.cracks import CracksJob
from napari_nanoseg.config.demo import DemoJob
from napari_nanoseg.config.density import DensityJob
from napari_nanoseg.config.evaluate import EvaluateJob
from napari_nanoseg.config.jobs import AnyJob, parse_job
from napari_nanoseg.config.measure import MeasureJob
from napari_nanoseg.config.segment import SegmentJob
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.train import TrainJob
from napari_nanoseg.events import Event, Progress
from napari_nanoseg.io.datasets import write_coco, write_sample
from napari_nanoseg.io.images import read_image, read_label_array, write_image, write_labels
from napari_nanoseg.io.model_library import export_model, find_model
from napari_nanoseg.jobs import sweep
from napari_nanoseg.jobs.run import run_job

WIRES = {"height": 48, "width": 48, "length_nm": 300, "width_nm": 50, "wires": (2, 3)}
PHANTOM = {
    "depth": 8, "height": 64, "width": 64, "pixel_size_nm": 140.0, "crack_width_nm": (140, 420), "slices": 1,
}  # fmt: skip
TINY = {
    "engine": StarDistConfig(unet_n_filter_base=4, unet_n_depth=2, net_conv_after_unet=16, n_rays=16), "steps": 2,
    "batch_size": 1, "patch_size": 64, "working_diameter": 16.0, "workers": 0, "device": "cpu",
    "optimize_thresholds": False, "synthetic_per_real": 0,
}  # fmt: skip
FIT = {"height": 64, "width": 64, "length_nm": 60, "width_nm": 10, "wires": (2, 3), "dtype": "uint8"}


class Inputs:
    """What the jobs read: small discs."""

    def __init__(self, folder: Path) -> None:
        row, column = np.indices((64, 64))
        self.images, self.labels = folder / "images", folder / "labels"
        self.dataset, self.scan = folder / "annotated", folder / "scan.tif"
        for number in range(2):
            grey = np.where((row % 32 - 16) ** 2 + (column % 32 - 16) ** 2 < 90 - 20 * number, 170, 60)
            grey += np.random.default_rng(number).integers(0, 9, grey.shape)
            image = Image(grey.astype(np.uint8), "YX", Calibration((2.0, 2.0)), str(number))
            write_image(self.images / f"{number}.tif", image)
            found = label(grey > 100)[0]
            write_labels(self.labels / f"{number}.tif", found, image.calibration)
            write_sample(self.dataset, Sample(image, Instances.from_labels(found), None, str(number)))
        z, row, column = np.indices((8, 40, 48))
        grey = np.where((row - 20) ** 2 + (column - 24) ** 2 < 300, 170, 60) - 110 * (np.abs(row - 20) < 2)
        write_volume(self.scan, Volume((grey + z).clip(0, 255).astype(np.uint8), Calibration((80.0, 20.0, 20.0))))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return Inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "run_in_child", run_job)
    monkeypatch.setattr("napari_nanoseg.jobs.damage_files.damage_figures", lambda damage: {})  # which take seconds


def job_of(kind: str, inputs: Inputs, place: Path, *, other: bool = False) -> AnyJob:
    """A job of a kind; the other one gives other results."""
    seed = int(other)
    fields: dict[str, Any] = {
        "segment": {
            "model": "watershed", "images": [inputs.images], "coco": place / "all.json",
            "config": {"diameter": 12.0 + 20 * other},
        },
        "measure": {"labels": [inputs.labels], "out": place / "table.csv", "config": {"pixel_size_nm": 1.0 + other}},
        "evaluate": {
            "truth": inputs.labels / "0.tif", "prediction": inputs.labels / "0.tif",
            "config": {"compare_sizes": not other},
        },
        "density": {"images": [inputs.images], "config": {"percentile": 98.0 - 20 * other}},
        "fit_nanowires": {
            "images": [inputs.images], "out": place / "fit.yaml", "config": FIT | {"seed": seed},
        },
        "generate": {
            "source": inputs.dataset, "count": 2, "workers": 1, "config": {"height": 48, "width": 48, "seed": seed},
        },
        "nanowires": {"count": 1 + other, "workers": 1, "config": WIRES | {"seed": seed}},
        "cathode": {"count": 1, "workers": 1, "config": PHANTOM | {"seed": seed}},
        "convert": {"model": "starter", "to": "nanoseg" if other else "stardist"},
        "train": {"dataset": inputs.dataset, "start_from": None, "config": TINY | {"seed": seed}},
        "sweep": {
            "dataset": inputs.dataset, "start_from": None, "config": TINY | {"seed": seed},
            "vary": {"learning_rate": [0.001 + 0.001 * other]},
        },
        "cracks": {
            "volume": inputs.scan, "model": "threshold",
            "config": {"output": "tiff", "threshold": {"closing": 1 + 2 * other}, "damage": {"window_um": 0.2}},
        },
    }[kind]  # fmt: skip
    return parse_job({"job": kind, "out": place} | fields)


KINDS = (
    "segment", "measure", "evaluate", "density", "fit_nanowires", "generate", "nanowires", "cathode", "convert",
    "train", "sweep", "cracks",
)  # fmt: skip


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def told(folder: Path) -> dict[str, Any]:
    """The files by name; records, cards, tables of times and the like differ from run to run."""
    return {
        name: tifffile.imread(folder / name).tobytes() if name.endswith(".tif") else whole
        for name, whole in content(folder).items()
        if not name.endswith((".yaml", ".pt", "history.csv", "sweep.csv", "journal.json", "preview.png", ".h5"))
    }


@pytest.mark.parametrize("kind", KINDS)
def test_existing_results_are_kept_unless_they_are_overwritten(kind: str, inputs: Inputs, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(job_of(kind, inputs, out), progress=False)
    before = content(out)
    job = job_of(kind, inputs, out, other=True)
    with pytest.raises(NanosegError, match=r"--overwrite"):
        run(job, progress=False)
    assert content(out) == before
    result = run(job.model_copy(update={"overwrite": True}), progress=False)
    assert all(Path(path).exists() for path in result.files.values())
    run(job_of(kind, inputs, tmp_path / "fresh", other=True), progress=False)
    assert content(out).keys() == content(tmp_path / "fresh").keys()
    assert told(out) == told(tmp_path / "fresh")
    assert content(out) != before
    assert {path.name for path in tmp_path.iterdir()} == {"out", "fresh"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_place_is_found_before_the_work_and_nothing_is_left(kind: str, inputs: Inputs, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    for place in (tmp_path / "notes", tmp_path / "notes" / "a" / "b", tmp_path / "gone" / "a", tmp_path / ("n" * 300)):
        events: list[Event] = []
        with pytest.raises(NanosegError, match=r"(another|shorter)"):
            run(job_of(kind, inputs, place), progress=events.append)
        assert not any(isinstance(event, Progress) for event in events)
    assert content(tmp_path) == {"notes": b"mine"}
    assert {path.name for path in tmp_path.iterdir()} == {"notes", "gone"}


@pytest.mark.parametrize("kind", ["generate", "convert", "train", "sweep"])
def test_a_folder_with_anything_else_is_not_replaced(kind: str, inputs: Inputs, tmp_path: Path) -> None:
    run(job_of(kind, inputs, tmp_path / "out"), progress=False)
    (tmp_path / "out" / "thesis.txt").write_text("mine")
    before = content(tmp_path)
    job = job_of(kind, inputs, tmp_path / "out", other=True).model_copy(update={"overwrite": True})
    with pytest.raises(NanosegError, match=r"thesis\.txt was not written by"):
        run(job, progress=False)
    assert content(tmp_path) == before


@pytest.mark.parametrize("kind", ["train", "evaluate", "generate"])
def test_what_fails_later_leaves_the_old_results(kind: str, inputs: Inputs, tmp_path: Path) -> None:
    own = Inputs(tmp_path / "own")
    run(job_of(kind, own, tmp_path / "out"), progress=False)
    before = content(tmp_path / "out")
    write_labels((own.labels if kind == "evaluate" else own.dataset / "masks") / "1.tif", np.ones((9, 9), np.int32))
    job = job_of(kind, own, tmp_path / "out", other=True).model_copy(update={"overwrite": True})
    if isinstance(job, EvaluateJob):
        job = job.model_copy(update={"truth": inputs.labels, "prediction": own.labels})
    with pytest.raises(NanosegError, match=r"shape|differ|px"):
        run(job, progress=False)
    assert content(tmp_path / "out") == before


def test_a_cancelled_training_leaves_the_old_model_and_goes_on_beside_it(inputs: Inputs, tmp_path: Path) -> None:
    run(job_of("train", inputs, tmp_path / "out"), progress=False)
    before = content(tmp_path / "out")
    job = job_of("train", inputs, tmp_path / "out", other=True).model_copy(update={"overwrite": True})

    def stop(event: Event) -> None:
        if isinstance(event, Progress) and event.unit == "steps" and event.done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(job, progress=stop)
    assert content(tmp_path / "out") == before
    assert (tmp_path / "out.part" / "checkpoint.pt").exists()
    run(job.model_copy(update={"resume": True}), progress=False)
    assert not (tmp_path / "out.part").exists()
    again = parse_job(_yaml(tmp_path / "out" / "job.yaml"))
    assert isinstance(again, TrainJob)
    assert (again.out, again.overwrite, again.config.seed) == (tmp_path / "out", False, 1)
    assert _yaml(tmp_path / "out" / "run.yaml")["config"]["out"] == str(tmp_path / "out")


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def corrected(path: Path) -> bytes:
    labels = read_label_array(path)
    labels[:5, :5] = labels.max() + 1
    write_labels(path, labels)
    return path.read_bytes()


@pytest.mark.parametrize("fields", [{}, {"overwrite": True}, {"overwrite": True, "config": {"diameter": 40}}])
def test_corrected_labels_are_never_replaced(fields: dict[str, Any], inputs: Inputs, tmp_path: Path) -> None:
    job = job_of("segment", inputs, tmp_path / "out")
    run(job, progress=False)
    mine = corrected(tmp_path / "out" / "1.tif")
    before = content(tmp_path / "out")
    with pytest.raises(NanosegError, match=r"1\.tif.* never replaced" if fields else "--overwrite"):
        run(job.with_fields(**fields), progress=False)
    assert content(tmp_path / "out") == before
    (tmp_path / "out" / "0.run.yaml").unlink()  # then nothing tells whether it was corrected
    with pytest.raises(NanosegError, match=r"0\.tif.* never replaced"):
        run(job.with_fields(**fields), progress=False)
    assert (tmp_path / "out" / "1.tif").read_bytes() == mine


def test_a_coco_file_that_was_edited_keeps_its_images(inputs: Inputs, tmp_path: Path) -> None:
    coco = tmp_path / "all.json"
    write_coco(coco, {"0": Instances.from_labels(np.ones((64, 64), np.int32))})
    job = SegmentJob(model=Path("watershed"), images=(inputs.images,), out=tmp_path / "out", coco=coco, overwrite=True)
    before = coco.read_bytes()
    with pytest.raises(NanosegError, match=r"all\.json.* never replaced"):
        run(job, progress=False)
    assert coco.read_bytes() == before
    assert not (tmp_path / "out").exists()
    run(job.model_copy(update={"images": (inputs.images / "1.tif",)}), progress=False)
    with pytest.raises(NanosegError, match=r"all\.json.* never replaced"):
        run(job.model_copy(update={"images": (inputs.images / "1.tif",)}), progress=False)


def test_corrected_masks_of_generated_images_are_never_replaced(inputs: Inputs, tmp_path: Path) -> None:
    job = job_of("generate", inputs, tmp_path / "out")
    run(job, progress=False)
    mask = next((tmp_path / "out" / "masks").iterdir())
    mine = corrected(mask)
    run(job.model_copy(update={"count": 3}), progress=False)
    assert mask.read_bytes() == mine
    with pytest.raises(NanosegError, match=mask.name):
        run(job_of("generate", inputs, tmp_path / "out", other=True).model_copy(update={"overwrite": True}))
    assert mask.read_bytes() == mine


def test_resuming_segments_only_what_is_missing_and_keeps_corrections(inputs: Inputs, tmp_path: Path) -> None:
    images = Path(shutil.copytree(inputs.images, tmp_path / "images"))
    job = SegmentJob(model=Path("watershed"), images=(images,), out=tmp_path / "out", resume=True)
    first = run(job, progress=False)
    mine = corrected(tmp_path / "out" / "0.tif")
    shutil.copy(images / "1.tif", images / "2.tif")
    result = run(job, progress=False)
    assert (tmp_path / "out" / "0.tif").read_bytes() == mine
    assert result.files.keys() == {"0", "1", "2"}
    assert result.figures["particles"] > first.figures["particles"]
    shutil.copy(images / "1.tif", images / "0.tif")  # another image under the name
    with pytest.raises(NanosegError, match="never replaced"):
        run(job.model_copy(update={"overwrite": True}), progress=False)
    with pytest.raises(NanosegError, match="--overwrite"):
        run(job.with_fields(config={"diameter": 50}, images=(images / "1.tif",)), progress=False)


def test_own_files_beside_images_are_no_images(inputs: Inputs, tmp_path: Path) -> None:
    for name in ("0", "1"):
        write_image(tmp_path / f"{name}.png", read_image(inputs.images / f"{name}.tif").data)
    segmenting = SegmentJob(model=Path("watershed"), images=(tmp_path,), out=tmp_path)
    measuring = MeasureJob(labels=(tmp_path,), images=(tmp_path,), out=tmp_path / "particles.csv")
    for overwrite in (False, True):
        change = {"overwrite": overwrite}
        assert run(segmenting.model_copy(update=change), progress=False).figures["images"] == 2
        counted = run(measuring.model_copy(update=change), progress=False).figures
        assert counted["n"] + counted["n_border"] > 0
    assert (tmp_path / "particles_distribution.png").exists()
    names = _yaml(tmp_path / "particles.csv.run.yaml")["inputs"]
    assert {Path(name).name for name in names} == {"0.png", "0.tif", "1.png", "1.tif"}


@pytest.mark.parametrize("kind", ["segment", "density", "fit_nanowires"])
def test_inputs_are_never_replaced(kind: str, inputs: Inputs, tmp_path: Path) -> None:
    image = shutil.copy(inputs.images / "0.tif", tmp_path / "0.png" if kind == "fit_nanowires" else tmp_path / "0.tif")
    job = job_of(kind, inputs, tmp_path).model_copy(update={"images": (Path(image),), "overwrite": True})
    if kind == "fit_nanowires":
        job = job.model_copy(update={"out": tmp_path / "0.yaml"})
    before = content(tmp_path)
    with pytest.raises(NanosegError, match=r"would replace .*0\."):
        run(job, progress=False)
    assert content(tmp_path) == before


@pytest.mark.parametrize("kind", ["generate", "train", "sweep", "convert", "evaluate"])
def test_a_folder_that_holds_an_input_is_never_replaced(kind: str, inputs: Inputs, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(job_of(kind, inputs, out), progress=False)
    job = job_of(kind, inputs, out, other=True).model_copy(update={"overwrite": True})
    inside = {
        "generate": {"source": out}, "train": {"start_from": out}, "sweep": {"start_from": out / "best"},
        "convert": {"model": out}, "evaluate": {"truth": out / "pixels"},
    }[kind]  # fmt: skip
    before = content(out)
    with pytest.raises(NanosegError, match="would replace"):
        run(job.model_copy(update=inside), progress=False)
    assert content(out) == before


def test_the_record_of_another_kind_of_job_is_never_replaced(inputs: Inputs, tmp_path: Path) -> None:
    run(job_of("generate", inputs, tmp_path), progress=False)
    before = content(tmp_path)
    job = EvaluateJob(truth=inputs.labels, prediction=inputs.labels, out=tmp_path, overwrite=True)
    with pytest.raises(NanosegError, match="of a result of 'generate'"):
        run(job, progress=False)
    assert content(tmp_path) == before


def test_two_images_of_one_name_are_refused(inputs: Inputs, tmp_path: Path) -> None:
    write_image(tmp_path / "0.png", read_image(inputs.images / "0.tif").data)
    images = (inputs.images / "0.tif", tmp_path / "0.png")
    for job in (
        SegmentJob(model=Path("watershed"), images=images, out=tmp_path / "out", overwrite=True),
        DensityJob(images=images, out=tmp_path / "out", overwrite=True),
    ):
        with pytest.raises(NanosegError, match="would write the same file"):
            run(job, progress=False)
    assert not (tmp_path / "out").exists()


def test_another_analysis_of_the_same_class_map_is_asked_for(inputs: Inputs, tmp_path: Path) -> None:
    job = job_of("cracks", inputs, tmp_path)
    assert isinstance(job, CracksJob)
    run(job, progress=False)
    run(job, progress=False)
    damage = job.config.damage.with_fields(window_um=0.4)
    other = job.model_copy(update={"config": job.config.with_fields(damage=damage)})
    before = content(tmp_path)
    with pytest.raises(NanosegError, match="--overwrite"):
        run(other, progress=False)
    assert content(tmp_path) == before
    result = run(other.model_copy(update={"overwrite": True}), progress=False)
    assert "seconds" not in result.figures, "the class map is made again"


def test_a_demo_with_corrected_labels_is_kept(inputs: Inputs, tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").write_text(DemoJob(out=tmp_path).to_yaml(), encoding="utf-8")
    run(SegmentJob(model=Path("watershed"), images=(inputs.images,), out=tmp_path / "labels"), progress=False)
    mine = corrected(tmp_path / "labels" / "0.tif")
    with pytest.raises(NanosegError, match="corrected"):
        run(DemoJob(out=tmp_path), progress=False)
    assert (tmp_path / "labels" / "0.tif").read_bytes() == mine


def test_files_of_commands_are_not_overwritten(inputs: Inputs, tmp_path: Path) -> None:
    target = tmp_path / "kept.yaml"
    target.write_text("mine", encoding="utf-8")
    words = ["segment", "watershed", str(inputs.images), "--out", str(tmp_path / "out"), "--save-job", str(target)]
    refused = CliRunner().invoke(app, words)
    assert (refused.exit_code, target.read_text("utf-8")) == (2, "mine")
    assert "--overwrite" in refused.stderr
    assert CliRunner().invoke(app, [*words, "--overwrite"]).exit_code == 0
    assert "job: segment" in target.read_text("utf-8")
    exported = tmp_path / "model.zip"
    exported.write_bytes(b"mine")
    words = ["models", "export", "starter", str(exported)]
    assert CliRunner().invoke(app, words).exit_code == 2
    assert exported.read_bytes() == b"mine"
    assert CliRunner().invoke(app, [*words, "--overwrite"]).exit_code == 0
    before = exported.read_bytes()
    with pytest.raises(NanosegError, match="the model itself"):
        export_model(exported, exported, overwrite=True)
    assert exported.read_bytes() == before
    assert find_model(Path("starter")).is_dir()


def test_the_command_overwrites(inputs: Inputs, tmp_path: Path) -> None:
    words = ["measure", str(inputs.labels), "--out", str(tmp_path / "t.csv")]
    assert [CliRunner().invoke(app, words).exit_code for _ in range(2)] == [0, 2]
    assert CliRunner().invoke(app, [*words, "--overwrite"]).exit_code == 0
