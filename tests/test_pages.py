"""What the README and the pages of the documentation tell to type works as it stands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml

import napari_nanoseg as ns
from napari_nanoseg.cli import app
from napari_nanoseg.config.model_card import ModelCard

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "src/napari_nanoseg/starter/README.md"]

STEPS = 2
"""Steps of a training that is not told how many, in place of 300 or more: all else is as typed."""
FEW_STEPS = f"""
from napari_nanoseg.config import train

for values in (*train.FROM_SCRATCH.values(), *train.FINE_TUNING.values()):
    values["steps"] = {STEPS}
"""
"""Python runs it when it starts, as ``sitecustomize``."""

SETUPS = {
    "make demo": "it installs what the system lacks; the jobs of the demo are tested in tests/jobs",
    "pip install": "it installs the package, which is there, and then does the whole demo",
}
"""Blocks of the README that are not run, by how they begin, and why."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
    return [Block(page, text.count("\n", 0, match.start()) + 1, *match.groups()) for match in found]


def is_setup(block: Block) -> bool:
    return any(block.code.startswith(words) for words in SETUPS)


README = blocks(ROOT / "README.md")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, in which lie small files of the names that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    image = ns.read_image(ns.sample_data() / "particles.tif")
    truth = np.asarray(ns.read_labels(ns.sample_data() / "particles_truth.tif"))
    middle = np.s_[200:456, 300:556]
    ns.write_image("images/a.tif", ns.Image(image.data[middle], "YX", image.calibration))
    ns.write_labels("truth/a.tif", truth[middle], image.calibration)
    shutil.copytree(ns.sample_data() / "annotated", "annotated")
    scan, classes = (ns.open_volume(ns.sample_data() / "cathode" / f"{name}.tif") for name in ("cathode", "classes"))
    piece = np.s_[:8, :96, :96]
    for place in ("scan.tif", "scribbles/images/a.tif"):
        ns.write_image(place, ns.Image(scan.data[piece], "ZYX", scan.calibration))
    painted = np.where(classes.data[piece] == 1, 2, 1)
    painted[::2] = 0
    ns.write_labels("scribbles/masks/a.tif", painted)
    return tmp_path


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of this process, with `nanoseg` on the path and short trainings."""
    start = tmp_path_factory.mktemp("start")
    (start / "sitecustomize.py").write_text(FEW_STEPS, encoding="utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    modules = os.pathsep.join([str(start), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PATH": path, "PYTHONPATH": modules}


@pytest.mark.parametrize("block", [block for block in README if not is_setup(block)], ids=str)
def test_blocks_of_the_readme_run_as_they_are(block: Block, folder: Path, environment: dict[str, str]) -> None:
    interpreters = {"python": [sys.executable, "-W", "error"], "sh": ["bash", "-e"]}
    program, *options = interpreters[block.language]
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program}")
    script = folder / f"block.{block.language}"
    script.write_text(block.code, encoding="utf-8")
    done = subprocess.run([program, *options, script], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stderr
    assert [name for name in re.findall(r"--out (\S+)", block.code) if not (folder / name).exists()] == []
    if block.language == "python":
        assert float(done.stdout) > 0.8  # F1 of few particles: the two steps change next to nothing of the starter


def test_only_blocks_that_set_a_machine_up_are_not_run() -> None:
    assert [words for words in SETUPS if not any(block.code.startswith(words) for block in README)] == []


IN_CELLS = {
    "cracks.md": {},
    "generator.md": {", 100)": ", 1)"},
    "nanowires.md": {", 100)": ", 1)"},
    "optical_density.md": {},
    "python.md": {"steps=300": f"steps={STEPS}, workers=0"},
}
"""Pages whose Python blocks are run one after the other, as cells of a notebook, and numbers that are smaller then."""
TOO_LONG = {"config = ns.fit_nanowires(": "a minute; tests/jobs/test_fit_nanowires_job.py fits smaller images"}
"""Blocks of these pages that are not run, by how they begin, and why."""


def run_cells(page: str, names: dict[str, Any]) -> None:
    for block in blocks(ROOT / "docs" / page):
        if block.language == "python" and not block.code.startswith(tuple(TOO_LONG)):
            code = block.code
            for long, short in IN_CELLS[page].items():
                code = code.replace(long, short)
            exec(compile(code, str(block), "exec"), names)


def test_every_page_with_python_is_run() -> None:
    # the block of the architecture lists signatures; that of scripts in napari is run by tests/gui/test_script_page.py
    pages = {page.name for page in PAGES if any(block.language == "python" for block in blocks(page))}
    assert pages - {"README.md", "architecture.md", "napari_script.md"} == IN_CELLS.keys()


def test_the_code_of_the_page_about_python_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    for place, name in (("images", "particles.tif"), ("truth", "particles_truth.tif")):
        shutil.copy(ns.sample_data() / name, folder / place / "a.tif")
    names: dict[str, Any] = {}
    run_cells("python.md", names)
    for name in ("image", "particles", "evaluation"):
        assert repr(names[name]) in text
    assert len(names["model"].history) == 1
    assert "did you mean 'diameter'" in capsys.readouterr().out
    written = {path.name for path in folder.iterdir() if path.is_file()} - {"scan.tif"}
    assert written == {"a_labels.tif", "a_copy.tif", "particles.csv", "sizes.png"}


@pytest.mark.parametrize("page", ["generator.md", "nanowires.md"])
def test_the_code_of_the_pages_about_generators_runs(page: str, folder: Path) -> None:
    shutil.copytree("annotated", "my_dataset")
    names: dict[str, Any] = {}
    run_cells(page, names)
    assert len(names["sample"].instances) > 20


def test_the_code_of_the_page_about_optical_density_runs(folder: Path) -> None:
    ns.write_image("stack.tif", np.random.default_rng(0).uniform(900, 1000, (2, 48, 64)).astype(np.float32))
    names: dict[str, Any] = {}
    run_cells("optical_density.md", names)
    assert names["found"].incident == pytest.approx([950, 950], rel=0.01)


def test_the_code_of_the_page_about_cracks_runs(folder: Path) -> None:
    from napari_nanoseg.engines.unet.model import UNetModel

    network = ns.UNetConfig(filters=2, levels=2, classes=("crack", "particle"))
    for name in ("model", "cdnet_folder"):
        UNetModel.from_card(ModelCard(network=network, invert="no")).save(name)
    cracks = np.zeros((16, 64, 64), bool)
    cracks[8, 20:24] = True
    voxels = np.random.default_rng(0).integers(0, 255, (64, 64, 64), np.uint8)
    names: dict[str, Any] = {
        "ns": ns,
        "image": ns.read_image("images/a.tif"),
        "volume": ns.Volume(voxels, ns.Calibration.of(50, ndim=3)),
        "truth": cracks,
        "prediction": np.roll(cracks, 1, axis=1),
        "other": ns.evaluate_pixels(cracks, cracks, tolerance=2),
    }
    run_cells("cracks.md", names)
    assert names["found"].f1 == 1
    assert names["phantom"].profile["damage"].mean() > 0.01


YAML = {
    "command_line.md": [ModelCard, ns.SegmentJob],
    "cracks.md": [ns.VolumeConfig],
    "generator.md": [ns.CutPasteConfig],
}
"""What the YAML blocks of the pages describe."""


def test_the_files_on_the_pages_can_be_read() -> None:
    found = {page.name: [block for block in blocks(page) if block.language == "yaml"] for page in PAGES}
    assert {name: len(several) for name, several in found.items() if several} == {
        name: len(kinds) for name, kinds in YAML.items()
    }
    for name, kinds in YAML.items():
        for kind, block in zip(kinds, found[name], strict=True):
            kind.parse(yaml.safe_load(block.code), str(block))


LEFT_OPEN = re.compile(r"\.\.\.|COMMAND|JOB")
"""What a reader has to fill in."""


def typed(pattern: str) -> list[str]:
    """Commands of all pages that a pattern finds, without comments and pipes."""
    texts = [page.read_text(encoding="utf-8").replace("\\\n", " ") for page in PAGES]
    found = {re.split(r"\s+#|\s\|", line)[0] for text in texts for line in re.findall(pattern, text, re.M)}
    return sorted({" ".join(line.split()) for line in found if not LEFT_OPEN.search(line)})


IN_BLOCKS = typed(r"^nanoseg .*$")
IN_TEXT = typed(r"`(nanoseg [^`\n]+)`")


NANOSEG: Any = typer.main.get_command(app)


def command_of(line: str) -> tuple[Any, list[str]]:
    """The command that a line names, and its arguments."""
    command, words = NANOSEG, shlex.split(line)[1:]
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        command, words = command.commands[words[0]], words[1:]
    return command, words


def parsed(line: str) -> str:
    """Parse a command without running it: what is wrong with it."""
    command, arguments = command_of(line)
    if all(parameter.name != "dry_run" for parameter in command.params):
        command.make_context(line, arguments)
        return ""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as said, pytest.raises(SystemExit) as ended:
        command.main([*arguments, "--dry-run"], line)
    return said.getvalue() if ended.value.code else ""


@pytest.fixture
def fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The config that `nanoseg fit nanowires` writes in the pages."""
    monkeypatch.chdir(tmp_path)
    Path("fitted.yaml").write_text(ns.NanowireConfig().to_yaml(), encoding="utf-8")


@pytest.mark.parametrize("line", IN_BLOCKS)
def test_the_command_line_takes_the_lines_of_blocks(line: str, fitted: None) -> None:
    assert parsed(line) == ""


@pytest.mark.parametrize("line", IN_TEXT)
def test_the_command_line_knows_what_the_text_speaks_of(line: str, fitted: None) -> None:
    command, arguments = command_of(line)
    if not all(word.startswith("-") for word in arguments):
        assert parsed(line) == "" or "is missing; give it a value" in parsed(line)
    known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    assert {word for word in arguments if word.startswith("--")} <= known


def test_the_check_of_commands_finds_mistakes(fitted: None) -> None:
    assert "No such option" in parsed("nanoseg segment model a.tif --out labels --flags")
    assert "must be at least" in parsed("nanoseg train unet slices --out model --steps 0")
    assert len(IN_BLOCKS) > 40
    assert len(IN_TEXT) > 40
