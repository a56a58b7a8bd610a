"""What killed processes leave is removed, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from napari_nanoseg.io.atomic import write_text
from napari_nanoseg.io.leftovers import hidden_beside, is_empty, visible

KILLED = """
import os, sys
from pathlib import Path
from napari_nanoseg.io.atomic import atomic_folder, atomic_path
folder = Path(sys.argv[1])
with atomic_path(folder / "a.txt") as file, atomic_folder(folder / "b") as inside:
    file.write_text("half")
    (inside / "c.txt").write_text("half")
    os._exit(9)
"""


def test_what_a_killed_process_left_is_removed_when_another_writes_there(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False).returncode == 9
    assert len(list(tmp_path.iterdir())) == 2
    assert is_empty(tmp_path)
    write_text(tmp_path / "a.txt", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert not is_empty(tmp_path)


def test_what_another_may_still_be_writing_stays(tmp_path: Path) -> None:
    where, number = hidden_beside(tmp_path / "a.txt").name.split("-")[1], "0" * 32
    folder = tmp_path / "folder"
    folder.mkdir()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True) as running:
        stay = {
            f".nanoseg-{where}-{running.pid}-{number}.txt",
            f".nanoseg-01234567-999999999-{number}.txt",  # of another computer
            ".nanoseg-training.json",
            f"nanoseg-{where}-999999999-{number}.txt",
        }
        for name in (*stay, f".nanoseg-{where}-999999999-{number}.txt"):
            (folder / name).touch()
        write_text(folder / "b.txt", "whole")
        assert {path.name for path in folder.iterdir()} == {*stay, "b.txt"}
        running.communicate("")


def test_sentences_name_what_people_see(tmp_path: Path) -> None:
    hidden = hidden_beside(tmp_path / "model")
    assert visible(hidden / "weights.h5") == tmp_path
    assert visible(tmp_path / "model" / "weights.h5") == tmp_path / "model" / "weights.h5"
