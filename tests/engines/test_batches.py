"""Worker processes: the same batches as without, and nobody who waits for one that has died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from napari_nanoseg.engines.batches import AHEAD, Batches, prepared
from napari_nanoseg.errors import NanosegError, WorkerGoneError

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")

MODULE = """
import os, signal, time
import numpy as np
from napari_nanoseg.errors import NanosegError

class Items:
    def __init__(self, does="", at=3, size=1):
        self.does, self.at, self.size = does, at, size

    def __getitem__(self, k):
        if k >= self.at:
            if self.does == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.does == "print":
                os.write(1, b"a compiled library prints")
                print("so does Python")
            if self.does == "sleep":
                time.sleep(100)
            if self.does == "nanoseg":
                raise NanosegError("this is wrong with patch 3")
            if self.does == "memory":
                raise MemoryError
            if self.does == "bug":
                raise Odd(1, 2)
        if self.does.startswith("log "):
            with open(self.does[4:], "a") as log:
                log.write("x")
        return np.full(self.size, k, np.float32), np.zeros((0, 2), bool)

class Odd(Exception):
    def __init__(self, one, two):
        super().__init__("it is odd")
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the user, which only this process's path leads to."""
    (tmp_path / "users_items.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda *args, **options: Batches(__import__("users_items").Items(*args, **options), 2)
    sys.modules.pop("users_items", None)


def workers() -> list[psutil.Process]:
    return psutil.Process().children()


@pytest.mark.parametrize("count", [1, 2])
def test_any_number_of_workers_gives_the_same_batches_in_order(made, count):
    batches = made("print", at=0, size=300_000)  # more than a pipe holds, and prints are no batches
    here, there = (list(prepared(batches, range(2, 9), number)) for number in (0, count))
    assert [int(batch[0][1, 0]) for batch in there] == list(range(5, 18, 2))
    for one, other in zip(here, there, strict=True):
        assert [(part.dtype, part.shape) for part in one] == [(part.dtype, part.shape) for part in other]
        assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))
    assert list(prepared(batches, range(9, 9), count)) == []
    assert not workers()


def test_a_few_batches_are_prepared_ahead_and_no_more(made, tmp_path):
    log = tmp_path / "log.txt"
    with closing(prepared(made(f"log {log}", at=0, size=300_000), range(10_000), 1)) as stream:
        next(stream)
        most = 2 * (1 + AHEAD + 2)  # items: taken, waiting, being read and being written
        began = time.monotonic()
        while log.stat().st_size < most and time.monotonic() < began + 20:
            time.sleep(0.01)
        time.sleep(0.2)
        assert log.stat().st_size == most


@pytest.mark.parametrize(
    ("does", "error", "said"),
    [
        pytest.param("kill", WorkerGoneError, "ended from outside.*resume", marks=posix),
        ("memory", WorkerGoneError, "not enough memory.*resume"),
        ("nanoseg", NanosegError, "^this is wrong with patch 3$"),
        ("bug", RuntimeError, "^Odd: it is odd"),
    ],
)  # fmt: skip
def test_a_worker_that_fails_ends_the_waiting_after_the_batches_it_made(made, does, error, said):
    stream = prepared(made(does, at=3), range(100), 1)
    assert int(next(stream)[0][0, 0]) == 0
    with pytest.raises(error, match=said) as caught:
        next(stream)
    assert not workers()
    if error is RuntimeError:
        assert "users_items.py" in caught.value.__notes__[0], "the traceback of the worker"


def test_closing_ends_a_busy_worker_at_once(made):
    stream = prepared(made("sleep", at=2), range(100), 1)
    next(stream)
    began = time.monotonic()
    stream.close()
    assert time.monotonic() - began < 1
    assert not workers()


def test_a_worker_that_cannot_start_is_a_sentence(made, tmp_path, monkeypatch):
    for program in ("nowhere", ""):
        monkeypatch.setattr(sys, "executable", str(tmp_path / program))
        with pytest.raises(NanosegError, match=r"cannot be started \(.*workers=0"):
            next(prepared(made(), range(3), 1))


def test_a_worker_that_cannot_import_is_a_sentence_with_its_last_words(made, tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise ImportError('DLL load failed')")
    with pytest.raises(WorkerGoneError, match=r"exit status 1 \(ImportError: DLL load failed\)"):
        next(prepared(made(), range(3), 1))


def test_what_cannot_be_handed_over_is_a_sentence(made, monkeypatch):
    with pytest.raises(NanosegError, match=r"another process.*lambda.*workers=0"):
        next(prepared(Batches(made().items, 2, lambda items: items), range(3), 1))
    kind = type(made().items)
    monkeypatch.setattr(sys.modules["__main__"], "Items", kind, raising=False)
    monkeypatch.setattr(kind, "__module__", "__main__")
    with pytest.raises(NanosegError, match=r"another process.*'Items'.*not in the script or notebook.*workers=0"):
        next(prepared(made(), range(3), 1))
    assert not workers()


@posix
def test_a_busy_worker_ends_with_a_parent_that_is_killed(tmp_path, made):
    script = f"""
import sys, psutil
sys.path.insert(0, {str(tmp_path)!r})
import users_items
from napari_nanoseg.engines.batches import Batches, prepared
stream = prepared(Batches(users_items.Items("sleep", at=2), 2), range(100), 1)
next(stream)
print(psutil.Process().children()[0].pid, flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        worker = psutil.Process(int(process.stdout.readline()))
        process.kill()
    assert not psutil.wait_procs([worker], timeout=5)[1]


@posix
def test_ctrl_c_ends_both_and_only_the_parent_says_so(made, tmp_path):
    script = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background ignores it
sys.path.insert(0, {str(tmp_path)!r})
import users_items
from napari_nanoseg.engines.batches import Batches, prepared
stream = prepared(Batches(users_items.Items("sleep", at=2), 2), range(100), 1)
next(stream)
print("waits", flush=True)
try:
    next(stream)
except KeyboardInterrupt:
    print("interrupted")
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert process.communicate(timeout=10) == ("interrupted\n", "")


def test_a_script_that_ends_in_the_middle_ends_without_a_word(made, tmp_path):
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import users_items
from napari_nanoseg.engines.batches import Batches, prepared
stream = prepared(Batches(users_items.Items(size=100_000), 2), range(100), 1)
next(stream)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_arrays_are_not_copied_into_the_pickle():
    from napari_nanoseg.io.pipes import pack

    body, array = pack([np.zeros(10_000)])
    assert len(body) < 1000
    assert len(array) == 80_000
