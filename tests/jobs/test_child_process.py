"""A job in a child process is the same job: same events, same result, and it ends when told, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
from followed import events_of, leave_at

from napari_nanoseg.config.evaluate import EvaluateJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Cancelled, Epoch, Event, JobResult, Notice, Progress, Stage, listening
from napari_nanoseg.jobs import child_process
from napari_nanoseg.jobs.child_process import follow_child, run_in_child
from napari_nanoseg.jobs.failures import JobCrashError
from napari_nanoseg.jobs.run import run_job

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups are POSIX")

EVENTS: list[Event] = [
    Stage("reading", "Reading Größe 1 µm"),
    Progress(1, 3, "images"),
    Notice("5 Partikel berühren den Rand"),
    Epoch(1, 9, {"prob": 0.5}, {"f1": 0.25}, 1.5, 12.0, None),
]
RESULT = JobResult({"f1": 0.5, "count": 3, "name": "Größe"}, {"table": "a b/tablé.csv"})


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Crash logs of a test stay in its folder."""
    folder = tmp_path / "logs"
    monkeypatch.setattr("platformdirs.user_log_path", lambda _: folder)
    return folder


def child(body: str, folder: Path) -> list[str]:
    """A command that runs a job, given as its body, as `nanoseg run --events` does."""
    script = folder / "Kind mit Größe.py"
    head = "import os, subprocess, sys, time\nfrom napari_nanoseg.events import *\n"
    tail = "\nfrom napari_nanoseg.jobs.child_events import speak\nsys.exit(speak(job))\n"
    script.write_text(head + "def job():\n" + textwrap.indent(textwrap.dedent(body), "    ") + tail, encoding="utf-8")
    return [sys.executable, str(script)]


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds (a zombie has ended)."""
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


def test_events_and_result_are_those_of_the_job(tmp_path: Path) -> None:
    body = f"""
    for event in {EVENTS!r}:
        tell(event)
    return JobResult({RESULT.figures!r}, {RESULT.files!r})
    """
    assert events_of(lambda: follow_child(child(body, tmp_path))) == (EVENTS, RESULT)


def test_what_libraries_print_does_not_disturb(tmp_path: Path) -> None:
    body = """
    print("a library speaks")
    tell(Stage("one", "One"))
    os.write(1, b"a compiled library speaks\\n")
    subprocess.run([sys.executable, "-c", "print('a program speaks'); input"], check=True)
    assert sys.stdin.read() == ""
    return JobResult()
    """
    assert events_of(lambda: follow_child(child(body, tmp_path))) == ([Stage("one", "One")], JobResult())


def test_the_users_errors_are_sentences(tmp_path: Path) -> None:
    body = """
    tell(Stage("one", "One"))
    from napari_nanoseg.errors import NanosegError
    raise NanosegError("The image 'Größe.tif' is empty; choose another.")
    """
    with pytest.raises(NanosegError, match=r"^The image 'Größe.tif' is empty; choose another.$"):
        follow_child(child(body, tmp_path))


def test_a_bug_says_where_its_log_is(tmp_path: Path, logs: Path) -> None:
    with pytest.raises(JobCrashError, match=r"bug.*ZeroDivisionError") as caught:
        follow_child(child("tell(Stage('one', str(1 / 0)))", tmp_path))
    (log,) = logs.iterdir()
    assert str(log) in str(caught.value)
    assert "1 / 0" in log.read_text(encoding="utf-8")


def test_no_memory_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NanosegError, match="memory"):
        follow_child(child("tell(Stage('one', 'One')); raise MemoryError", tmp_path))


@posix
@pytest.mark.parametrize("how", ["SIGKILL", "SIGSEGV"])
def test_a_killed_child_is_a_sentence_with_its_last_words(tmp_path: Path, logs: Path, how: str) -> None:
    body = f"""
    print("reading the last tile", file=sys.stderr)
    tell(Stage("pid", str(os.getpid())))
    os.kill(os.getpid(), {int(getattr(signal, how))})
    """
    events: list[Event] = []
    with pytest.raises(JobCrashError, match=f"{how}.*reading the last tile.*{logs}"), listening(events.append):
        follow_child(child(body, tmp_path))
    assert len(events) == 1


@posix
def test_an_exit_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(JobCrashError, match="exit status 3"):
        follow_child(child("tell(Stage('one', 'One')); os._exit(3)", tmp_path))


SLOW = """
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
try:
    tell(Stage("pids", f"{os.getpid()} {worker.pid}"))
    while True:
        time.sleep(0.05)
        tell(Progress(1, 2, "steps"))
finally:
    open("closed.txt", "w").close()
"""


@posix
def test_closing_cancels_and_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, _ = leave_at(lambda event: isinstance(event, Progress), lambda: follow_child(child(SLOW, tmp_path)))
    assert all(gone(int(pid)) for pid in first.message.split())
    assert (tmp_path / "closed.txt").exists(), "the job was not closed but killed"


@posix
@pytest.mark.parametrize("deaf", [False, True])
def test_a_job_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaf: bool) -> None:
    monkeypatch.setattr(child_process, "CANCEL_S", 0.3)
    monkeypatch.setattr(child_process, "TERMINATE_S", 0.3)
    monkeypatch.chdir(tmp_path)
    body = f"""
    import signal
    tell(Stage("pid", str(os.getpid())))
    if {deaf}:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        tell(Progress(1, 2, "steps"))
        time.sleep(100)
    finally:
        open("closed.txt", "w").close()
    """
    first, _ = leave_at(lambda event: isinstance(event, Progress), lambda: follow_child(child(body, tmp_path)))
    assert gone(int(first.message))
    assert (tmp_path / "closed.txt").exists() is not deaf


@posix
def test_a_forked_worker_that_holds_the_pipe_does_not_block(tmp_path: Path) -> None:
    body = """
    pid = os.fork()
    if pid == 0:
        time.sleep(100)
    tell(Stage("pid", str(pid)))
    os._exit(5)
    """
    events: list[Event] = []
    with pytest.raises(JobCrashError, match="exit status 5"), listening(events.append):
        follow_child(child(body, tmp_path))
    (first,) = events
    assert isinstance(first, Stage)
    assert gone(int(first.message))


@posix
def test_a_job_that_waits_long_is_interrupted_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(child_process.subprocess.Popen, "terminate", lambda _: pytest.fail("not before CANCEL_S"))
    body = """
    try:
        tell(Stage("one", "One"))
        time.sleep(100)
    except KeyboardInterrupt:
        open("interrupted.txt", "w").close()
        raise
    """

    def a_little_later(event: Event) -> bool:
        time.sleep(0.2)
        return True

    leave_at(a_little_later, lambda: follow_child(child(body, tmp_path)))
    assert (tmp_path / "interrupted.txt").exists()


def test_a_silent_child_can_be_closed(tmp_path: Path) -> None:
    events: list[Event] = []
    places: list[int] = []

    def leave() -> None:
        places.append(len(events))
        if places.count(1) == 2:  # an event is such a place, too
            raise Cancelled

    with pytest.raises(Cancelled), listening(events.append, leave):
        follow_child(child("tell(Stage('one', 'One')); time.sleep(100)", tmp_path))
    assert events == [Stage("one", "One")]


@posix
def test_a_child_that_still_imports_ends_without_being_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "CANCEL_S", 60.0)
    ready, command = tmp_path / "ready", child("tell(Stage('one', 'One'))", tmp_path)
    script = Path(command[1])
    script.write_text(f"import time\nopen({str(ready)!r}, 'w').close()\ntime.sleep(100)\n" + script.read_text("utf-8"))
    began: list[float] = []

    def leave() -> None:
        if ready.exists():
            began.append(time.monotonic())
            raise Cancelled

    with pytest.raises(Cancelled), listening(lambda event: pytest.fail("it began"), leave):
        follow_child(command)
    assert time.monotonic() - began[0] < 30, "it waited for the child"


@posix
def test_the_childs_life_ends_with_its_parents(tmp_path: Path) -> None:
    command = child(SLOW, tmp_path)
    parent = tmp_path / "parent.py"
    parent.write_text(
        "from napari_nanoseg.events import Stage, listening\n"
        "from napari_nanoseg.jobs.child_process import follow_child\n"
        "def say(event):\n"
        "    if isinstance(event, Stage):\n"
        "        print(event.message, flush=True)\n"
        "with listening(say):\n"
        f"    follow_child({command!r})\n"
    )
    with subprocess.Popen([sys.executable, str(parent)], stdout=subprocess.PIPE, cwd=tmp_path, text=True) as process:
        assert process.stdout is not None
        pid, worker = map(int, process.stdout.readline().split())
        process.kill()
    assert gone(pid)
    assert (tmp_path / "closed.txt").exists()
    os.kill(worker, signal.SIGKILL)


@posix
def test_a_child_that_hangs_ends_itself_and_its_workers_when_the_parent_dies(tmp_path: Path) -> None:
    body = """
    import signal
    from napari_nanoseg.jobs import child_events
    child_events.PATIENCE_S = child_events.HARD_STOP_S = 0.3
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    tell(Stage("pids", f"{os.getpid()} {worker.pid}"))
    time.sleep(100)
    """
    process = subprocess.Popen(
        child(body, tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        pids = process.stdout.readline().decode().split('"')[-2].split()
        process.stdin.close()
        assert process.wait(10) == -signal.SIGKILL
    assert all(gone(int(pid)) for pid in pids)


def test_the_environment_reaches_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "12345")
    names = ["COLOUR", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"]
    body = f"tell(Stage('one', 'One')); return JobResult({{name: os.environ.get(name) for name in {names}}})"
    figures = follow_child(child(body, tmp_path), env={"COLOUR": "blau"}).figures
    kept = str(1 << 30) if sys.platform == "linux" else None
    assert figures == {"COLOUR": "blau", "MALLOC_TRIM_THRESHOLD_": "12345", "MALLOC_MMAP_THRESHOLD_": kept}


@posix
def test_a_gentle_child_gives_way(tmp_path: Path) -> None:
    body = "tell(Stage('one', 'One')); return JobResult({'nice': os.nice(0)})"
    command = child(body, tmp_path)
    normal = os.nice(0)
    assert follow_child(command).figures == {"nice": normal}
    assert follow_child(command, gently=True).figures == {"nice": max(normal, child_process.NICENESS)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working and temporary folder with a difficult name, and a file in it that is called like a library."""
    folder = tmp_path / "Größe 1 µm"
    folder.mkdir()
    (folder / "random.py").write_text("raise RuntimeError('not the library')")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_a_real_job_is_the_same_here_and_in_a_child(folder: Path) -> None:
    labels = np.zeros((30, 40), np.uint16)
    labels[5:15, 5:15], labels[20:25, 20:35] = 1, 2
    tifffile.imwrite("Wahrheit.tif", labels)
    tifffile.imwrite("gefunden ä.tif", np.roll(labels, 1, axis=0))
    job = EvaluateJob(truth=Path("Wahrheit.tif"), prediction=Path("gefunden ä.tif"))
    here = events_of(lambda: run_job(job))
    assert here[1].figures["true_positives"] == 2
    assert events_of(lambda: run_in_child(job)) == here
    assert len(list(folder.iterdir())) == 3, "the job file was left behind"


def test_the_error_of_a_real_job_comes_back(folder: Path) -> None:
    job = EvaluateJob(truth=folder / "keine Wahrheit.tif", prediction=folder / "nichts.tif")
    with pytest.raises(NanosegError, match="keine Wahrheit") as caught:
        run_in_child(job)
    assert not isinstance(caught.value, JobCrashError)
    assert len(list(folder.iterdir())) == 1
