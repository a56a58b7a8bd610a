"""Unsaved arrays come back exactly, whatever moment their process ended at."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io import recovery
from napari_nanoseg.io.recovery import MOST_ARRAYS, MOST_PARTS, About, Journal, Leftover, leftovers, restore

ABOUT = About("particles: annotated", "particles", "", (30, 40), "int32")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "wiederhergestellt ü"
    monkeypatch.setattr(recovery, "recovery_folder", lambda: folder)
    return folder


def left_behind(data: np.ndarray, **about: object) -> Leftover:
    """What a process that has ended left."""
    journal = Journal()
    journal.write(data, ABOUT)
    journal.close()
    path = journal.folder / "about.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": 2**22 + 1} | about))
    return Leftover(journal.folder, recovery.read_about(journal.folder))


def labels(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 9, (30, 40)).astype(np.int32)


@given(
    changes=st.lists(
        st.tuples(st.integers(0, 29), st.integers(0, 39), st.integers(1, 12), st.integers(0, 5)),
        max_size=3 * MOST_PARTS,
    )
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_drawn_comes_back(changes: list[tuple[int, int, int, int]]) -> None:
    journal, data = Journal(), np.zeros((30, 40), np.int32)
    journal.write(data, ABOUT)
    for row, column, size, label in changes:
        before = data.copy()
        data[row : row + size, column : column + size] = label
        assert journal.write(data, ABOUT) == (not np.array_equal(before, data)) or len(changes) >= MOST_PARTS
    np.testing.assert_array_equal(restore(Leftover(journal.folder, ABOUT)), data)
    assert len(list(journal.folder.glob("*.npz"))) <= MOST_PARTS + 1
    journal.drop()
    assert not journal.folder.exists()


def test_only_what_changed_is_written() -> None:
    journal, data = Journal(), np.random.default_rng(0).integers(0, 2**30, (500, 500)).astype(np.int32)
    journal.write(data, ABOUT)
    data[7, 9] += 1
    journal.write(data, ABOUT)
    first, second = sorted(journal.folder.glob("*.npz"))
    assert second.stat().st_size < 0.01 * first.stat().st_size


def test_another_shape_or_type_begins_anew() -> None:
    journal = Journal()
    journal.write(labels(), ABOUT)
    for data in (labels()[:9], labels().astype(np.uint8)):
        journal.write(data, ABOUT)
        restored = restore(Leftover(journal.folder, ABOUT))
        assert restored.dtype == data.dtype
        np.testing.assert_array_equal(restored, data)


def test_a_write_that_failed_is_made_good_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    journal, data = Journal(), labels()
    journal.write(data, ABOUT)
    data[3:9] = 77

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(recovery.np, "savez_compressed", full)
        with pytest.raises(NanosegError, match="disk is full"):
            journal.write(data, ABOUT)
    journal.write(data, ABOUT)
    np.testing.assert_array_equal(restore(Leftover(journal.folder, ABOUT)), data)


def test_leftovers_are_those_of_ended_processes() -> None:
    assert leftovers() == ([], [])
    left_behind(labels(), name="old one")
    running = Journal()
    running.write(labels(), ABOUT)
    other = Journal()
    other.write(labels(), ABOUT)
    other.close()
    about = json.loads((other.folder / "about.json").read_text())
    parent = recovery.psutil.Process(os.getppid())
    (other.folder / "about.json").write_text(
        json.dumps(about | {"pid": parent.pid, "started": parent.create_time()})
    )  # fmt: skip
    assert [leftover.about.name for leftover in leftovers()[0]] == ["old one"]
    with pytest.raises(NanosegError, match="another window"):
        restore(Leftover(other.folder, ABOUT))
    (other.folder / "about.json").write_text(json.dumps(about | {"pid": parent.pid, "started": 1.0}))
    assert len(leftovers()[0]) == 2, "a process that got the number of an ended one is another process"
    running.close()
    assert len(leftovers()[0]) == 3, "of this process, but nobody writes it any more"


def test_a_restored_array_is_gone_on_with_in_its_folder() -> None:
    leftover = left_behind(labels())
    journal, data = Journal(leftover.folder), restore(leftover)
    data[0, 0] = 99
    journal.write(data, ABOUT)
    assert leftovers()[0] == []
    assert [path.parent for path in leftover.folder.parent.rglob("about.json")] == [leftover.folder]
    journal.close()
    np.testing.assert_array_equal(restore(leftovers()[0][0]), data)


def test_only_what_was_saved_is_dropped() -> None:
    journal, data = Journal(), labels()
    journal.write(data, ABOUT)
    saved = data.copy()
    data[0, 0] += 1
    journal.write(data, ABOUT)
    assert not journal.drop(saved)
    assert journal.folder.exists()
    assert journal.drop(data)
    assert not journal.folder.exists()
    journal.write(data, ABOUT)
    np.testing.assert_array_equal(restore(Leftover(journal.folder, ABOUT)), data)


def test_damaged_folders_are_told_and_left_alone(root: Path) -> None:
    bad = left_behind(labels()).folder
    (bad / "about.json").write_text('{"name": 1')
    stranger = root / "stranger"
    stranger.mkdir()
    sound = left_behind(labels())
    found, problems = leftovers()
    assert [leftover.folder for leftover in found] == [sound.folder]
    assert len(problems) == 2
    assert all("damaged" in problem and "left as it is" in problem for problem in problems)
    assert bad.exists()
    assert stranger.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off"])
def test_a_damaged_part_is_a_sentence(content: bytes) -> None:
    leftover = left_behind(labels())
    next(leftover.folder.glob("*.npz")).write_bytes(content)
    with pytest.raises(NanosegError, match="damaged"):
        restore(leftover)
    assert leftover.folder.exists()
    for part in leftover.folder.glob("*.npz"):
        part.unlink()
    with pytest.raises(NanosegError, match="damaged"):
        restore(leftover)


def test_old_ones_too_many_and_empty_ones_are_removed(root: Path) -> None:
    left_behind(labels(), written=time.time() - 31 * 86400)
    left_behind(labels() * 0)
    for number in range(MOST_ARRAYS + 2):
        left_behind(labels(), name=f"{number}", written=time.time() + number)
    found, _ = leftovers()
    assert [leftover.about.name for leftover in found] == [str(n) for n in reversed(range(2, MOST_ARRAYS + 2))]
    assert len(list(root.iterdir())) == MOST_ARRAYS
