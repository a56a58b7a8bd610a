"""The child's side: a job that speaks events as JSON lines on stdout and listens for its end on stdin."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

from napari_nanoseg.events import Cancelled, Failed, JobResult, Line, listening, to_json
from napari_nanoseg.io.pipes import take_streams
from napari_nanoseg.jobs.failures import explain

CANCEL = b"cancel"
PATIENCE_S = 0.5
"""How long a cancelled job may take to its next checkpoint before it is interrupted, as by Ctrl-C."""
HARD_STOP_S = 10.0
"""How long a cancelled job may take to its next checkpoint before its process ends itself: the parent may be gone."""


def speak(run: Callable[[], JobResult]) -> int:
    """Run a job as a child process and return its exit status.

    Every event is a line of stdout, and so is the end: a ``JobResult`` or a ``Failed``. A line ``cancel`` on stdin, or
    its end because the parent died, ends the job at its next checkpoint or, when that takes long, interrupts it; then
    there is no last line. Whatever else is printed to stdout, also by compiled libraries, comes out on stderr.

    Parameters
    ----------
    run : callable
        Runs the job.

    Returns
    -------
    int
        0 when it finished, 1 after a bug, 2 for what the user can mend, 130 when it was cancelled.
    """
    protocol, commands = take_streams()
    cancelled, heeded = threading.Event(), threading.Event()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_listen, args=(commands, cancelled, heeded), daemon=True).start()
    with protocol:
        try:
            last = _run(run, cancelled, protocol)
            _say(protocol, last)
        except (Cancelled, KeyboardInterrupt, BrokenPipeError):
            return 130
        finally:
            heeded.set()
    if isinstance(last, JobResult):
        return 0
    return 2 if last.traceback is None else 1


def _listen(commands: int, cancelled: threading.Event, heeded: threading.Event) -> None:
    """Wait for the order to end; then make sure that the process does end."""
    heard = b""
    while CANCEL not in heard.split(b"\n"):
        try:
            chunk = os.read(commands, 4096)
        except OSError:
            break
        if not chunk:
            break
        heard += chunk
    cancelled.set()
    if not heeded.wait(PATIENCE_S):
        _interrupt()
    time.sleep(HARD_STOP_S)
    if sys.platform != "win32" and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(130)


def _interrupt() -> None:
    """Raise KeyboardInterrupt in the main thread, also where it waits for a worker or a file."""
    if sys.platform == "win32":
        _thread.interrupt_main(signal.SIGTERM)
    else:
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGTERM)


def _run(run: Callable[[], JobResult], cancelled: threading.Event, protocol: BinaryIO) -> JobResult | Failed:
    """Write the events of a job; return its last line."""

    def leave() -> None:
        if cancelled.is_set():
            raise Cancelled

    try:
        with listening(partial(_say, protocol), leave):
            return run()
    except BrokenPipeError:
        raise
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            return Failed(f"{type(error).__name__}: {error}", traceback.format_exc())
        return Failed(sentence)


def _say(protocol: BinaryIO, line: Line) -> None:
    protocol.write(to_json(line).encode() + b"\n")
