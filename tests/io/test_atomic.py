"""Files appear complete or not at all, and the reason is one sentence."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.atomic import atomic_path, write_bytes, write_text


def test_the_file_is_there_only_after_success(tmp_path: Path) -> None:
    path = tmp_path / "Proben größe" / "a b.txt"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".txt"
        assert temporary.name.startswith(".")
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "älter")

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text(encoding="utf-8") == "älter"
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a.bin", b"\r\n\0")
    assert (tmp_path / "a.bin").read_bytes() == b"\r\n\0"


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EROFS, "read-only; choose another folder"),
        (errno.EACCES, "you may not write there; choose another folder"),
        (errno.EIO, "nput/output error; choose another folder"),
    ],
)
def test_each_trouble_of_the_disk_has_its_sentence(tmp_path: Path, number: int, sentence: str) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(NanosegError, match=sentence) as caught, atomic_path(path):
        raise OSError(number, os.strerror(number))
    assert str(path) in str(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_disk_that_fills_while_numpy_writes(tmp_path: Path) -> None:
    with pytest.raises(NanosegError, match="the disk is full"), atomic_path(tmp_path / "a.bin"):
        np.ones(100_000).tofile("/dev/full")
    assert not any(tmp_path.iterdir())


def test_a_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(NanosegError, match="a part of the path is a file"):
        write_text(tmp_path / "file" / "a.txt", "x")
    with pytest.raises(NanosegError, match="a part of the path is a file"):
        write_text(tmp_path / "file" / "deeper" / "a.txt", "x")


def test_a_folder_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(NanosegError, match="there is a folder of that name"):
        write_text(tmp_path / "a.txt", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
