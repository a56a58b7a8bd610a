"""Any job file is dispatched to the job it names; a bad one is refused by field."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from followed import events_of

from napari_nanoseg.config.convert import ConvertJob
from napari_nanoseg.config.jobs import JOBS, parse_job, read_job
from napari_nanoseg.config.segment import SegmentConfig, SegmentJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import JobResult, Progress, tell
from napari_nanoseg.jobs.run import run_job


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[ConvertJob]:
    """Replace the conversion by one that only notes its job."""
    done: list[ConvertJob] = []

    def convert_job(job: ConvertJob) -> JobResult:
        tell(Progress(1, 1, "models"))
        done.append(job)
        return JobResult({"models": 1})

    module = ModuleType("convert")
    module.convert_job = convert_job  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "napari_nanoseg.jobs.convert", module)
    return done


def test_a_job_is_followed_and_returns_its_result(converted: list[ConvertJob]) -> None:
    job = ConvertJob(model=Path("model"), out=Path("out"))
    assert events_of(lambda: run_job(job)) == ([Progress(1, 1, "models")], JobResult({"models": 1}))
    assert converted == [job]


@pytest.mark.parametrize("kind", sorted(set(JOBS) - {"convert"}))
def test_every_job_has_its_function(kind: str) -> None:
    module = __import__(f"napari_nanoseg.jobs.{kind}", fromlist=["job"])
    assert callable(getattr(module, f"{kind}_job"))


def test_a_job_file_is_read_back(tmp_path: Path) -> None:
    job = SegmentJob(
        config=SegmentConfig(diameter=12.5), model=Path("Modell Größe"), images=(Path("a b.tif"),), out=Path("out")
    )
    path = tmp_path / "Job für Größe.yaml"
    path.write_text(job.to_yaml(), encoding="utf-8")
    assert read_job(path) == job


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("job: segment\nmodel: m\nimages: [a]\nout: o\ncolour: red", "'colour' is unknown"),
        ("job: segment\nmodel: m\nimages: [a]\nout: o\nconfig: {tile: 1}", "'config.tile' is 1"),
        ("job: segment\nmodel: m\nimages: [a]\nout: o\nconfig: {tiles: 512}", "'config.tiles' is unknown"),
        ("job: segment\nmodel: m\nimages: []\nout: o", "'images'"),
        ("job: segment\nmodel: m\nimages: [a]", "'out' is missing"),
        ("job: dance", "'job' is 'dance'"),
        ("model: m", "'job' is None"),
        ("- one\n- two", "not a job"),
        ("", "not a job"),
        ("job: [", "not a YAML file"),
        ("job: !!python/object/apply:os.getcwd []", "Python objects, which are not read"),
    ],
)
def test_a_bad_job_file_is_one_sentence_that_names_file_and_field(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(NanosegError) as caught:
        read_job(path)
    message = str(caught.value)
    assert str(path) in message
    assert named in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [None, b"job: \xff\xfe"])
def test_an_unreadable_job_file_is_a_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "job.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(NanosegError, match=r"job\.yaml"):
        read_job(path)


def test_values_of_a_form_are_parsed_like_a_file() -> None:
    values = {"job": "convert", "model": "m", "out": "o", "to": "stardist"}
    assert parse_job(values) == ConvertJob(model=Path("m"), out=Path("o"), to="stardist")
