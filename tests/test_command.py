"""The command of a job does that job: what the command line makes of it is equal."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from napari_nanoseg.cli import app, commands
from napari_nanoseg.config.command import COMMANDS, Command, command
from napari_nanoseg.config.generate import CutPasteConfig, GenerateJob
from napari_nanoseg.config.jobs import AnyJob
from napari_nanoseg.config.options import Option
from napari_nanoseg.config.paths import absolute
from napari_nanoseg.config.segment import SegmentConfig, SegmentJob
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.train import TrainConfig, TrainJob

NAMES = st.text(st.characters(exclude_characters="/\0\n\r", exclude_categories=["Cs"]), min_size=1, max_size=8)
VARIED = [
    {"seed": (1, 2), "learning_rate": (1e-3, None, 1 / 3)},
    {"scale": ((0.5, 1.5), None), "mixed_precision": (True, False)},
    {"synthetic.blending": (("hard", "poisson"), ("hard",)), "engine.grid": ((2, 2), (4, 4))},
]
PATHS = NAMES.map(lambda name: Path("/data") / name)


def parsed(text: str, monkeypatch: pytest.MonkeyPatch) -> AnyJob:
    """The job that the command line makes of a command."""
    jobs: list[AnyJob] = []
    monkeypatch.setattr(commands, "finish", lambda job, as_json, *, quiet: jobs.append(job))
    program, *words = shlex.split(text)
    result = CliRunner().invoke(app, words)
    assert program == "nanoseg"
    assert result.exit_code == 0, f"{text}\n{result.output}"
    return jobs.pop()


def values(kind: Any, option: Option) -> st.SearchStrategy[Any]:
    """Values of a type, some of them beyond the option's limits."""
    if kind is type(None):
        return st.none()
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(0, 300)
    if kind is float:
        return st.floats(0, 1e6, allow_subnormal=False) | st.sampled_from([1e-7, 0.1, 1 / 3])
    if kind is Path:
        return PATHS
    if kind is str:
        return st.sampled_from(["cpu", "cuda:1"]) if "device" in option.path else NAMES
    if get_origin(kind) is dict:
        return st.sampled_from(VARIED)
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        if ... in inner:
            return st.lists(values(inner[0], option), max_size=3).map(tuple)
        return st.tuples(*(values(item, option) for item in inner))
    if get_origin(kind) is Union or (get_args(kind) and not hasattr(kind, "__metadata__")):
        return st.one_of(*(values(item, option) for item in get_args(kind)))
    return values(get_args(kind)[0], option)  # Annotated


@st.composite
def jobs_of(draw: st.DrawFn, kind: Command) -> AnyJob:
    """A job with some fields changed that belong together."""
    given: dict[str, Any] = {}
    job: AnyJob | None = None
    options = [option for option in kind.options if option.required]
    options += draw(st.lists(st.sampled_from(kind.options), max_size=6, unique_by=lambda option: option.path))
    for option in options:
        changed = _with(given, option.path, draw(values(option.field.annotation, option)))
        try:
            job = kind.job.model_validate(changed)
        except ValidationError as error:
            if all(problem["type"] == "missing" for problem in error.errors()):
                given = changed
            continue
        given = changed
    if job is None:  # a required field had a value it does not take
        least = {
            "images": [Path("/data/a.tif")],
            "labels": [Path("/data/a.tif")],
            "out": Path("/data/out.csv"),
            "vary": VARIED[0],
        }
        missing = {option.path[0]: Path("/data/x") for option in options if option.required}
        job = kind.job.model_validate({**missing, **{key: least[key] for key in least if key in missing}})
    return job


def _with(nested: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    if len(path) == 1:
        return {**nested, path[0]: value}
    return {**nested, path[0]: _with(nested.get(path[0], {}), path[1:], value)}


@pytest.mark.parametrize("kind", COMMANDS, ids=[kind.words for kind in COMMANDS])
def test_the_command_line_makes_the_same_job(kind: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(jobs_of(kind))
    def check(job: AnyJob) -> None:
        assert parsed(command(job), monkeypatch) == absolute(job)

    check()


@pytest.mark.parametrize("prefix", ["--help", "-1", "none", "a b", "$HOME", "'", "Größe µm", "--"])
def test_odd_texts_stay_what_they_are(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig(engine=StarDistConfig(unet_prefix=prefix))
    job = TrainJob(config=config, dataset=Path(f"/data/{prefix}"), out=Path("/out"))
    assert parsed(command(job), monkeypatch) == job


def test_only_what_differs_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = TrainConfig(
        steps=300, working_diameter=None, synthetic=TrainConfig().synthetic.model_copy(update={"flips": False})
    )
    job = TrainJob(config=config, dataset=Path("a b"), out=Path("/m"), start_from=Path("/old"), resume=True)
    monkeypatch.chdir(tmp_path)
    assert command(job) == (
        f"nanoseg train stardist '{tmp_path}/a b' --out /m --from /old --resume "
        "--steps 300 --working-diameter none --no-synthetic-flips"
    )


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("backbone", ["light", "resnet50"])
def test_defaults_that_depend_on_the_network(monkeypatch: pytest.MonkeyPatch, backbone: str, optimizer: str) -> None:
    config = TrainConfig.parse({"engine": {"engine": "maskrcnn", "backbone": backbone}, "optimizer": optimizer})
    job = TrainJob(config=config, dataset=Path("/data/a"), out=Path("/data/b"))
    assert command(job).startswith("nanoseg train maskrcnn /data/a")
    assert parsed(command(job), monkeypatch) == job


def test_arguments_and_repeated_options(monkeypatch: pytest.MonkeyPatch) -> None:
    config = CutPasteConfig(coverage=None, particles_per_image=(1, 2), blending=("hard", "poisson"))
    job = GenerateJob(config=config, source=Path("/s"), out=Path("/o"))
    assert command(job) == (
        "nanoseg generate cutpaste --source /s --out /o --particles-per-image 1 2 --coverage none none "
        "--blending hard --blending poisson"
    )
    images = SegmentJob(config=SegmentConfig(), model=Path("/m"), images=(Path("/a.tif"), Path("/b")), out=Path("/o"))
    assert command(images) == "nanoseg segment /m /a.tif /b --out /o"
