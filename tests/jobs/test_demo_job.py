"""The demo: that every step works on what the one before it left; how good the result is, `make demo` tells."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml
from followed import events_of, leave_at

from napari_nanoseg.config.demo import DemoJob
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Stage
from napari_nanoseg.io.datasets import open_dataset
from napari_nanoseg.io.images import read_label_array
from napari_nanoseg.jobs import demo
from napari_nanoseg.jobs.run import run_job


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training so short that nothing is learned, in this process."""

    def config(**values) -> TrainConfig:
        engine = StarDistConfig(unet_n_filter_base=4, unet_n_depth=2, net_conv_after_unet=16, n_rays=16)
        return TrainConfig(engine=engine, patch_size=64, working_diameter=16, batch_size=1, workers=0, **values)

    monkeypatch.setattr(demo, "TrainConfig", config)
    monkeypatch.setattr(demo, "run_in_child", run_job)


def test_leaves_everything_it_promises_and_replaces_only_itself(tiny, tmp_path):
    job = DemoJob(out=tmp_path / "Vorführung 1", steps=2, show="none")
    events, result = events_of(lambda: demo.demo_job(job))
    stages = [event.name for event in events if isinstance(event, Stage)]
    order = [stages.index(name) for name in ("annotate", "generate", "train", "segment", "measure", "evaluate")]
    assert order == sorted(order)
    assert len(open_dataset(job.out / "synthetic")) == demo.PREVIEWS
    for name in ("model/model.yaml", "model/preview.png", "table.csv", "labels/particles.run.yaml",
                 "comparison/overlays", "comparison/metrics.json", "run.yaml"):  # fmt: skip
        assert (job.out / name).exists(), name
    labels = read_label_array(job.out / "labels" / "particles.tif")
    assert result.figures["particles"] == labels.max()
    assert 0 <= result.figures["f1"] <= 1
    assert math.isfinite(result.figures["true_d50_nm"])
    assert set(result.figures["seconds"]) == {"generate", "train", "segment", "measure", "evaluate"}
    record = yaml.safe_load((job.out / "run.yaml").read_text(encoding="utf-8"))
    assert DemoJob.parse(record["config"]) == job
    assert record["figures"]["f1"] == result.figures["f1"]

    (job.out / "of an earlier demo").touch()
    leave_at(lambda event: True, lambda: demo.demo_job(job))
    assert [path.name for path in job.out.iterdir()] == [demo.MARK]


def test_refuses_a_folder_of_something_else(tiny, tmp_path):
    (tmp_path / "thesis.txt").write_text("do not touch")
    for out in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(NanosegError, match="choose another folder"):
            demo.demo_job(DemoJob(out=out, show="none"))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_job_file_of_another_kind_does_not_make_a_folder_its_own(tiny, tmp_path: Path):
    (tmp_path / demo.MARK).write_text("job: segment\nmodel: m\nimages: [a.tif]\nout: here\n")
    (tmp_path / "thesis.txt").write_text("do not touch")
    with pytest.raises(NanosegError, match="choose another folder"):
        demo.demo_job(DemoJob(out=tmp_path, show="none"))
    assert (tmp_path / "thesis.txt").exists()
