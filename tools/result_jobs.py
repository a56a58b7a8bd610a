"""Run a job for a recording, as ``nanoseg run JOB.yaml --events`` in a process of its own, and gather what it says."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from result_digests import VOLATILE


def run_job(folder: Path, job: Mapping[str, Any], *, cancel_at: int | None = None) -> dict[str, Any]:
    """Run a job and return its figures, its epochs, what it told, and how it failed.

    Parameters
    ----------
    folder : Path
        Where the job file and the lines of the job are kept.
    job : mapping
        The job's plain values.
    cancel_at : int, optional
        Cancel it when this progress is made in its last unit (steps, slices).
    """
    number = len(list(folder.glob("job*.yaml")))
    file = folder / f"job{number}.yaml"
    file.write_text(yaml.safe_dump(json.loads(json.dumps(dict(job), default=str)), sort_keys=False), encoding="utf-8")
    commands, lines = os.pipe(), os.pipe()
    words = os.open(folder / f"stderr{number}.txt", os.O_WRONLY | os.O_CREAT, 0o644)
    child = multiprocessing.get_context("fork").Process(target=_speak, args=(file, commands[0], lines[1], words))
    child.start()
    for descriptor in (commands[0], lines[1], words):
        os.close(descriptor)
    told: list[dict[str, Any]] = []
    with os.fdopen(lines[0], encoding="utf-8") as said, os.fdopen(commands[1], "wb", buffering=0) as orders:
        for line in said:
            told.append(json.loads(line))
            if cancel_at is not None and told[-1]["type"] == "Progress" and told[-1]["done"] >= cancel_at:
                orders.write(b"cancel\n")
                cancel_at = None
    child.join()
    (folder / f"events{number}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in told), encoding="utf-8")
    return _results(told, child.exitcode)


def _speak(file: Path, commands: int, lines: int, words: int) -> None:
    """Be the process of a job; never returns."""
    for descriptor, place in ((commands, 0), (lines, 1), (words, 2)):
        os.dup2(descriptor, place)
    from napari_nanoseg.cli.app import app

    app(["run", str(file), "--events"])


def _results(told: list[dict[str, Any]], status: int | None) -> dict[str, Any]:
    results: dict[str, Any] = {"exit status": status}
    events: dict[str, list[Any]] = {"Stage": [], "Notice": [], "Progress": [], "Epoch": []}
    for one in told:
        kind = one.pop("type")
        if kind == "JobResult":
            results |= {f"figure {name}": value for name, value in one["figures"].items() if name not in VOLATILE}
            results["files"] = one["files"]
        elif kind == "Failed":
            results["failed"] = one
        elif kind in events:
            events[kind].append({name: value for name, value in one.items() if name not in VOLATILE})
    results["epochs"] = events["Epoch"]
    return results | {
        "told.stages": events["Stage"], "told.notices": events["Notice"], "told.progress": events["Progress"],
    }  # fmt: skip
