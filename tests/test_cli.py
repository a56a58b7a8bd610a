"""The command line: every field is an option, errors are one sentence, figures are one line of JSON."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_origin

import numpy as np
import pytest
import yaml
from pydantic import BaseModel
from rich.console import Console
from typer.testing import CliRunner, Result

from napari_nanoseg import __version__
from napari_nanoseg.cli import app, commands
from napari_nanoseg.cli.help import is_folded
from napari_nanoseg.cli.outcome import print_result
from napari_nanoseg.cli.progress import follow
from napari_nanoseg.config.command import COMMANDS, Command
from napari_nanoseg.config.jobs import AnyJob, parse_job, read_job
from napari_nanoseg.config.options import Option
from napari_nanoseg.config.train import TrainConfig, usual_for
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Epoch, Event, JobResult, Notice, Progress, Stage, checkpoint, tell
from napari_nanoseg.jobs.doctor import Finding

by_words = pytest.mark.parametrize("command", COMMANDS, ids=[command.words for command in COMMANDS])
SEGMENT = ["segment", "model", "a.tif", "b c.tif", "--out", "out"]
CONVERT = ["convert", "model", "--out", "out"]


def nanoseg(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AnyJob]:
    """The job that a command line describes."""
    jobs: list[AnyJob] = []
    monkeypatch.setattr(commands, "finish", lambda job, as_json, *, quiet: jobs.append(job))

    def parse(*arguments: str) -> AnyJob:
        result = nanoseg(*arguments)
        assert result.exit_code == 0, result.output
        return jobs.pop()

    return parse


@pytest.fixture
def converting(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], JobResult]], None]:
    """Let `nanoseg convert` do something else."""

    def replace(convert: Callable[[], JobResult]) -> None:
        module = ModuleType("convert")
        module.convert_job = lambda _: convert()  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "napari_nanoseg.jobs.convert", module)

    return replace


def typed(option: Option) -> list[str]:
    """What a user types to give an option its default, or something where it has none."""
    value = option.default
    if option.required:
        value = {"--out": "table.csv", "--vary": "seed=1,2"}.get(option.name, "a path")
    if isinstance(value, bool):
        return [option.name if value else option.no]
    if value is None:
        pair = any(get_origin(kind) is tuple and ... not in get_args(kind) for kind in option.types)
        value = ("none",) * option.count if pair else "none"
    values = [str(item) for item in value] if isinstance(value, tuple) else [str(value)]
    if option.positional:
        return values
    if option.repeated:
        return [text for item in values for text in (option.name, item)]
    return [option.name, *values]


def leaves(model: BaseModel, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where the fields lie that were given."""
    for name in model.model_fields_set:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name)


def usual(command: Command) -> set[tuple[str, ...]]:
    """Fields whose defaults depend on the network of the command."""
    config = command.config
    return {("config", name) for name in usual_for(config.engine)} if isinstance(config, TrainConfig) else set()


@by_words
def test_every_option_reaches_its_own_field(command: Command, parsed: Callable[..., AnyJob]) -> None:
    needed = [text for option in command.options if option.required for text in typed(option)]
    job = parsed(*command.words.split(), *needed)
    spelled_out = [option for option in command.options if option.default != ()]
    given = parsed(*command.words.split(), *(text for option in spelled_out for text in typed(option)))
    assert given == job
    without = command.config.unused if isinstance(command.config, TrainConfig) else frozenset()
    silent = {("config", name) for name in without}  # what the network has no use for follows it, without an option
    assert set(leaves(given)) - command.kinds.keys() - silent == {option.path for option in spelled_out}
    names = [option.name for option in command.options]
    assert len(names) == len(set(names))


@by_words
def test_only_what_is_typed_is_set(command: Command, parsed: Callable[..., AnyJob]) -> None:
    needed = [option for option in command.options if option.required]
    job = parsed(*command.words.split(), *(text for option in needed for text in typed(option)))
    assert set(leaves(job)) - command.kinds.keys() - usual(command) == {option.path for option in needed}


@by_words
def test_help_names_every_option_and_folds_what_few_need(command: Command) -> None:
    words = command.words.split()
    whole, short = (
        CliRunner().invoke(app, [*words, name], env={"TERMINAL_WIDTH": "120"}).stdout for name in ("--help-all", "-h")
    )
    assert short == CliRunner().invoke(app, [*words, "--help"], env={"TERMINAL_WIDTH": "120"}).stdout
    folded = [option for option in command.options if is_folded(option)]
    for option in command.options:
        assert re.search(rf"{option.name}(?![\w-])", whole)
        assert option in folded or option.name in short
    if folded:
        assert len(short.splitlines()) < len(whole.splitlines())
        assert f"{len(folded)} more options: --help-all" in short
    usage = short.split("Usage:")[1].split("[OPTIONS]")[0]
    assert all((option.name in usage) == option.required for option in command.options)


@by_words
def test_the_examples_in_the_help_are_commands(command: Command, parsed: Callable[..., AnyJob]) -> None:
    assert command.examples
    text = CliRunner().invoke(app, [*command.words.split(), "-h"], env={"TERMINAL_WIDTH": "120"}).stdout
    for example in command.examples:
        assert example in text
        program, *words = shlex.split(example)
        assert program == "nanoseg"
        assert command.does(parsed(*words))


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        (["segment"], "", {"starter", "threshold", "watershed"}),
        (["segment", "model", "--invert"], "a", {"auto"}),
        (["seg"], "seg", {"segment"}),
    ],
)
def test_model_names_and_choices_are_completed(words: list[str], incomplete: str, expected: set[str]) -> None:
    typed = ["nanoseg", *words[: len(words) - (words == ["seg"])], incomplete]
    environment = {
        "_NANOSEG_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(typed), "COMP_CWORD": str(len(typed) - 1),
    }  # fmt: skip
    done = CliRunner().invoke(app, [], env=environment, prog_name="nanoseg")
    assert expected <= set(done.output.split())


def test_quiet_says_nothing_but_the_result(converting: Callable[[Callable[[], JobResult]], None]) -> None:
    converting(work)
    result = nanoseg(*CONVERT, "-q")
    assert (result.stdout, result.stderr) == ("f1: 1\n", "")


def test_verbose_shows_the_job_and_where_an_error_arose(
    converting: Callable[[Callable[[], JobResult]], None],
) -> None:
    def convert() -> JobResult:
        raise NanosegError("The model 'm' is broken; train another.")

    converting(convert)
    result = nanoseg(*CONVERT, "-v")
    assert result.exit_code == 2
    assert "job: convert" in result.stderr
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1] == "Error: The model 'm' is broken; train another."


def test_bars_fit_into_80_columns() -> None:
    def long() -> JobResult:
        tell(Stage("segment", f"Segmenting {'/a folder' * 20}."))
        for step in range(1, 4):
            tell(Progress(step, 3, "particles"))
        return JobResult()

    stream = StringIO()
    follow(long, Console(file=stream, force_terminal=True, width=80, color_system=None))
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()).replace("\r", "\n").splitlines()
    assert any("3/3 particles" in line for line in lines)
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("arguments", "path", "value"),
    [
        (["--config", "none"], None, None),
        (["--tile", "512"], "config.tile", 512),
        (["--diameter", "12.5"], "config.diameter", 12.5),
        (["--invert", "yes"], "config.invert", "yes"),
        (["--coco", "Größe µm.json"], "coco", Path("Größe µm.json")),
    ],
)
def test_values_of_segment(arguments: list[str], path: str | None, value: Any, parsed: Callable[..., AnyJob]) -> None:
    if path is None:
        assert "none" in nanoseg(*SEGMENT, *arguments).stderr
        return
    found: Any = parsed(*SEGMENT, *arguments)
    assert found.images == (Path("a.tif"), Path("b c.tif"))
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value


def test_values_of_a_nested_config_have_its_prefix(parsed: Callable[..., AnyJob]) -> None:
    words = (
        "train stardist data --out model --seed 3 --synthetic-seed 4 --grid 4 2 --scale 0.5 2 --no-resume --from old"
    )
    job: Any = parsed(*words.split(), "--no-synthetic-flips", "--synthetic-blending", "hard")
    assert (job.config.seed, job.config.synthetic.seed) == (3, 4)
    assert job.config.engine.grid == (4, 2)
    assert job.config.scale == (0.5, 2.0)
    assert job.config.synthetic.blending == ("hard",)
    assert not job.config.synthetic.flips
    assert job.start_from == Path("old")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([*SEGMENT, "--tile", "1"], "--tile"),
        ([*SEGMENT, "--tile", "big"], "--tile"),
        ([*SEGMENT, "--invert", "perhaps"], "--invert"),
        ([*SEGMENT, "--colour", "red"], "--colour"),
        (["segment", "model", "--out", "out"], "IMAGE"),
        (["segment"], "MODEL"),
        (["train", "stardist", "data"], "--out"),
        (["train", "stardist", "data", "--out", "m", "--synthetic-scale", "2", "1"], "scale"),
        (["run"], "JOB.yaml"),
        (["run", "missing.yaml"], "missing.yaml"),
        (["dance"], "dance"),
    ],
)
def test_bad_input_is_named_and_exits_with_2(arguments: list[str], named: str) -> None:
    result = nanoseg(*arguments)
    assert result.exit_code == 2
    assert named in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


def test_options_override_a_config_file(tmp_path: Path, parsed: Callable[..., AnyJob]) -> None:
    config = tmp_path / "Größe.yaml"
    config.write_text("tile: 512\ndiameter: 20\n")
    job: Any = parsed(*SEGMENT, "--config", str(config), "--diameter", "30")
    assert (job.config.tile, job.config.diameter) == (512, 30)


def test_a_saved_job_is_complete_and_serves_as_config(tmp_path: Path, parsed: Callable[..., AnyJob]) -> None:
    saved = tmp_path / "new folder" / "job.yaml"
    assert nanoseg(*SEGMENT, "--tile", "512", "--save-job", str(saved)).exit_code == 0
    job: Any = parsed(*SEGMENT, "--tile", "512")
    assert read_job(saved) == job
    assert parsed("segment", "--config", str(saved)) == job
    assert parsed("segment", "--config", str(saved), "--out", "elsewhere") == job.model_copy(
        update={"out": Path("elsewhere")}
    )


def test_a_dry_run_prints_the_job(parsed: Callable[..., AnyJob]) -> None:
    result = nanoseg(*SEGMENT, "--dry-run")
    assert parse_job(yaml.safe_load(result.stdout)) == parsed(*SEGMENT)


def test_the_last_line_of_stdout_is_json(converting: Callable[[Callable[[], JobResult]], None]) -> None:
    def convert() -> JobResult:
        print("a library speaks")
        tell(Stage("one", "Stage one of Größe"))
        tell(Progress(1, 2, "images"))
        return JobResult(
            {"f1": np.float32(0.5), "count": np.int64(3), "d50_nm": float("nan"), "range": (1, 2.5)}, {"table": "t.csv"}
        )

    converting(convert)
    result = nanoseg(*CONVERT, "--json")
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    assert json.loads(line) == {
        "f1": 0.5, "count": 3, "d50_nm": None, "range": [1, 2.5], "files": {"table": "t.csv"},
    }  # fmt: skip
    assert "Stage one of Größe" in result.stderr
    assert "a library speaks" in result.stderr


def test_without_json_figures_are_lines(converting: Callable[[Callable[[], JobResult]], None]) -> None:
    def convert() -> JobResult:
        tell(Notice("nothing special"))
        return JobResult({"f1": 0.512345, "count": 3}, {"table": "t.csv"})

    converting(convert)
    result = nanoseg(*CONVERT)
    assert result.stdout.splitlines() == ["f1: 0.5123", "count: 3", "table: t.csv"]


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (NanosegError("The model 'm' is broken; train another."), 2, "Error: The model 'm' is broken; train another."),
        (PermissionError(13, "Permission denied", "/x/ä.tif"), 2, "'/x/ä.tif' cannot be used: Permission denied"),
        (MemoryError(), 2, "memory"),
        (KeyboardInterrupt(), 130, "Cancelled"),
        (ZeroDivisionError("division by zero"), 1, "bug"),
    ],
)
def test_errors_are_sentences_with_a_status(
    error: BaseException,
    status: int,
    sentence: str,
    converting: Callable[[Callable[[], JobResult]], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platformdirs.user_log_path", lambda _: tmp_path)

    def convert() -> JobResult:
        tell(Stage("one", "One"))
        raise error

    converting(convert)
    result = nanoseg(*CONVERT, "--json")
    assert result.exit_code == status
    assert sentence in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert len(list(tmp_path.iterdir())) == (1 if status == 1 else 0)


def test_ctrl_c_closes_the_job(tmp_path: Path) -> None:
    script = tmp_path / "nanoseg.py"
    script.write_text(
        "import signal, sys, time, types\n"
        # a shell starts its background jobs, such as these tests on a build machine, with Ctrl-C ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from napari_nanoseg.events import Stage, tell\n"
        "def convert_job(job):\n"
        "    try:\n"
        "        while True:\n"
        "            tell(Stage('one', 'One'))\n"
        "            time.sleep(0.05)\n"
        "    finally:\n"
        "        open(job.out, 'w').close()\n"
        "sys.modules['napari_nanoseg.jobs.convert'] = types.SimpleNamespace(convert_job=convert_job)\n"
        "from napari_nanoseg.cli import main\n"
        "main()\n"
    )
    out = tmp_path / "closed"
    command = [sys.executable, str(script), "convert", "m", "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "One\n"
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("Cancelled")
    assert out.exists()


def work() -> JobResult:
    tell(Stage("train", "Training [bold] on 3 images"))
    for step in range(1, 101):
        tell(Progress(step, 100, "steps"))
        checkpoint()
    tell(Notice("the GPU is busy"))
    tell(Epoch(1, 20, {"prob": 0.25}, {"f1": 0.875}, 10.0, 3725.0))
    return JobResult({"f1": 1.0})


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_every_kind_of_event(terminal: bool) -> None:
    stream = StringIO()
    result = follow(work, Console(file=stream, force_terminal=terminal, width=150))
    assert result == JobResult({"f1": 1.0})
    text = stream.getvalue()
    for part in (
        "Training [bold] on 3 images",
        "Note: the GPU is busy",
        "Epoch 1 of 20",
        "prob 0.25",
        "f1 0.875",
        "1:02:05",
    ):
        assert part in text
    if not terminal:
        assert len(text.splitlines()) == 13


def test_a_display_that_fails_closes_the_job() -> None:
    closed = []

    def convert() -> JobResult:
        event: Event = Stage("one", "One")
        try:
            while True:
                tell(event)
        finally:
            closed.append(True)

    class Broken(StringIO):
        def write(self, text: str) -> int:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(convert, Console(file=Broken()))
    assert closed == [True]


def test_doctor_says_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Finding("GPU", "problem", "too old", "Update the driver."), Finding("Qt", "ok", "PyQt6 6.9")]
    monkeypatch.setattr("napari_nanoseg.jobs.doctor.examine", lambda: found)
    result = nanoseg("doctor")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["problem GPU: too old -> Update the driver.", "ok      Qt: PyQt6 6.9"]
    assert json.loads(nanoseg("doctor", "--json").stdout)["findings"][0]["advice"] == "Update the driver."


def test_version() -> None:
    assert nanoseg("--version").stdout == f"nanoseg {__version__}\n"


def test_the_command_line_loads_neither_torch_nor_qt_nor_pandas() -> None:
    code = "import sys, napari_nanoseg.cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "qtpy", "napari", "pandas", "scipy", "skimage", "numpy"} & set(done.stdout.split())


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "napari_nanoseg", "dance"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Usage: nanoseg" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes of a POSIX shell")
@pytest.mark.parametrize("words", ["models list", "segment a b.tif --out out --dry-run", "doctor --json"])
def test_a_reader_that_has_had_enough_ends_a_command_quietly(words: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "napari_nanoseg", *words.split()]
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 141


def test_figures_of_every_form_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    table = {"area": {"ks": 0.25, "unit": ""}, "length": {"ks": None}}
    figures = {"f1": 0.5, "seconds": {"train": 80.0, "segment": 2.5}, "agreement": table, "rows": [{"a": 1}]}
    print_result(JobResult(figures, {"folder": "out"}), as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "f1: 0.5",
        "seconds: train 80, segment 2.5",
        "agreement of area: ks 0.25",
        "agreement of length: ks not known",
        "folder: out",
    ]
