"""The parent's side: a job in a process of its own, with the same events and result as here.

The child runs the command a user could type, ``nanoseg run JOB.yaml --events``. It leads its own process group, so that
everything it starts (workers that prepare patches) ends with it; it ends itself when its parent dies.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from napari_nanoseg.config.jobs import AnyJob
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Cancelled, Failed, JobResult, checkpoint, from_json, tell
from napari_nanoseg.io.atomic import write_text
from napari_nanoseg.io.environment import child_environment
from napari_nanoseg.jobs.child_events import CANCEL
from napari_nanoseg.jobs.failures import JobCrashError, bug, keep_log

CANCEL_S = 3.0
"""How long a cancelled child has to reach its next event and to clean up; longer than the second between events."""
TERMINATE_S = 1.0
"""How long it has after that to unwind from a KeyboardInterrupt, before it is killed."""
POLL_S = 0.2
"""How often a silent child's job can be left."""

NICENESS = 5
"""Of a child that gives way: a third of the processor's time beside a busy program, all of it beside an idle one."""


def run_in_child(job: AnyJob, *, env: Mapping[str, str] | None = None, gently: bool = False) -> JobResult:
    """Run a job in a child process.

    Parameters
    ----------
    job : AnyJob
        The complete description of the job.
    env : mapping of str to str, optional
        Environment variables of the child, on top of those of this process.
    gently : bool
        Give way to other programs, such as the window that shows the job's progress.

    Returns
    -------
    JobResult
        The same as of :func:`napari_nanoseg.jobs.run.run_job`; the listener is told the same events. The job can be
        left after every `POLL_S` of silence, too. That cancels the job and returns when the child and all it started
        are gone: at once before the job's first event, when there is nothing to keep, later after at most `CANCEL_S` +
        `TERMINATE_S`.

    Raises
    ------
    NanosegError
        While it runs: what the job raised; JobCrashError when the job has a bug or its process died.
    """
    with tempfile.TemporaryDirectory(prefix="nanoseg-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "job.yaml"
        write_text(path, job.to_yaml())
        # -P: a file of the user called random.py in the working directory must not replace the library
        command = [sys.executable, "-P", "-X", "faulthandler", "-m", "napari_nanoseg", "run", str(path), "--events"]
        return follow_child(command, env=env, gently=gently)


def follow_child(command: Sequence[str], *, env: Mapping[str, str] | None = None, gently: bool = False) -> JobResult:
    """Start a command that speaks as :func:`napari_nanoseg.jobs.child_events.speak` does, and tell what it tells."""
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            env={**child_environment(), **(env or {})},
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # on Windows, no black window
        )
        if gently:
            _give_way(process)
        lines: queue.Queue[bytes | None] = queue.Queue()
        reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
        reader.start()
        began = hurry = False
        try:
            while True:
                gone = process.poll() is not None
                try:
                    text = lines.get(timeout=POLL_S)
                except queue.Empty:
                    if gone:  # even if a process it forked still holds its stdout
                        break
                    checkpoint()
                    continue
                if text is None:
                    break
                began = True
                line = from_json(text.decode("utf-8", "replace"))
                if isinstance(line, JobResult):
                    return line
                if isinstance(line, Failed):
                    raise NanosegError(line.message) if line.traceback is None else bug(line.message, line.traceback)
                tell(line)
        except Cancelled:
            hurry = not began  # it still imports: there is nothing to keep
            raise
        finally:
            _end(process, hurry=hurry)
            reader.join(TERMINATE_S)
        words.seek(0)
        raise _death(process.returncode, words.read().decode("utf-8", "replace"))


def _give_way(process: subprocess.Popen[bytes]) -> None:
    """Lower the priority of a child and of all it will start."""
    import psutil

    with suppress(psutil.Error, OSError):
        psutil.Process(process.pid).nice(getattr(psutil, "BELOW_NORMAL_PRIORITY_CLASS", NICENESS))  # Windows has names


def _read(process: subprocess.Popen[bytes], lines: queue.Queue[bytes | None]) -> None:
    """Put every line of the child into the queue, and None at the end."""
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put(None)


def _end(process: subprocess.Popen[bytes], *, hurry: bool) -> None:
    """Ask the child to end, unless in a `hurry`, then make it end, with everything it started."""
    assert process.stdin is not None
    try:
        with suppress(OSError), process.stdin:
            process.stdin.write(CANCEL + b"\n")
        with suppress(subprocess.TimeoutExpired):
            process.wait(0 if hurry else CANCEL_S)
        if not hurry and process.returncode is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(TERMINATE_S)
    finally:
        _kill_family(process)
        process.wait()


def _kill_family(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        import psutil

        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        process.kill()
    else:
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses where only zombies are left
            os.killpg(process.pid, signal.SIGKILL)


def _death(status: int, words: str) -> JobCrashError:
    """Say how a child ended that said nothing itself."""
    how = f"ended with the exit status {status}"
    if status < 0:
        how = f"was ended by the signal {signal.Signals(-status).name}"
    hint = " (the system does this when memory runs out)" if status == -9 else ""
    last = " | ".join(line.strip() for line in words.splitlines()[-3:] if line.strip())
    said = f"; its last words were: {last}; the log is {keep_log(words)}" if last else ""
    return JobCrashError(f"The process of the job {how}{hint}; what it had finished is kept{said}.")
