"""Record what napari-nanoseg computes, to see whether a change of the code changes a result.

Run ``python tools/record_results.py OUT_FOLDER [--only NAME ...]`` with the code to be recorded first on PYTHONPATH
(Linux and macOS; about 10 minutes on one core). It does the named cases of ``result_cases.py`` on the sample data and,
where they are there, the real data in ``../shared/data`` (another folder: --data), every case in a process of its own.
A case writes into OUT_FOLDER/CASE; OUT_FOLDER/manifest.json describes every result by its exact values or their hash.
``--list`` prints the names; a name with * stands for all that match.

``python tools/record_results.py --compare A.json B.json`` compares two manifests: it prints for every case whether it
is equal, different or missing, and ends with the status 1 when one is different or missing. What jobs tell people
while they run (stages, notices, progress) is compared, too, but does not count: sentences may be improved.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from fnmatch import fnmatch
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

TOLD = "told."
"""What the names of results begin with that people read while a job runs."""
LOADED_BEFORE = (
    "matplotlib.figure", "napari_nanoseg.cli", "napari_nanoseg.engines.library", "pandas", "scipy.ndimage",
    "skimage.measure", "tifffile", "torch",
)  # fmt: skip
"""Modules that are imported once for all cases, which saves 3 s for each."""


def main() -> None:
    """Record or compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=Path, help="folder for the results; it must be new or empty")
    parser.add_argument("--only", nargs="+", default=["*"], metavar="NAME", help="cases to do, with those they need")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("A.json", "B.json"))
    options = parser.parse_args()
    if options.compare:
        sys.exit(compare(*(json.loads(path.read_text(encoding="utf-8"))["cases"] for path in options.compare)))
    if options.out is None and not options.list:
        parser.error("give a folder for the results")
    record((options.out or Path()).resolve(), options.data.resolve(), options.only, list_only=options.list)


def record(out: Path, data: Path, only: list[str], *, list_only: bool) -> None:
    """Do the cases and write the manifest after each."""
    # before NumPy and torch are imported; sums must not depend on how many cores there are
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    os.environ |= {f"XDG_{kind}_HOME": str(out / "home" / kind.lower()) for kind in ("DATA", "STATE", "CONFIG")}
    from result_cases import catalogue

    cases = catalogue(out, data)
    names = [name for name in cases if any(fnmatch(name, pattern) for pattern in only)]
    for name in names:  # grows: what a needed case needs comes after it
        names += [needed for needed in cases[name].needs if needed not in names]
    names = [name for name in cases if name in names]
    if list_only:
        print("\n".join(names))
        return
    if out.is_dir() and any(out.iterdir()):
        sys.exit(f"{out} is not empty; give a new folder.")
    for module in LOADED_BEFORE:
        import_module(module)
    import napari_nanoseg

    code = Path(str(napari_nanoseg.__file__)).parent
    context = multiprocessing.get_context("fork")
    manifest: dict[str, Any] = {"code": str(code), "cases": {}}
    print(f"{len(names)} cases with {code}", flush=True)
    for name in names:
        began = time.perf_counter()
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_do, args=(name, out, data, code, there))
        process.start()
        there.close()
        try:
            results = here.recv()
        except EOFError:
            results = {"crash": "the process died"}
        process.join()
        seconds = time.perf_counter() - began
        manifest["cases"][name] = {"seconds": round(seconds, 1), "results": results}
        failed = [f"{key}: {value}" for key, value in results.items() if key.startswith(("crash", "failed"))]
        print(
            f"{name}: {len(results)} results, {seconds:.1f} s" + "".join(f"\n  {line}" for line in failed), flush=True
        )
        text = json.dumps(manifest, indent=1, ensure_ascii=False)
        (out / "manifest.json").write_text(text, encoding="utf-8")


def _do(name: str, out: Path, data: Path, code: Path, answer: Connection) -> None:
    """Do one case in this process and send its results."""
    from result_cases import catalogue
    from result_digests import Digester

    folder = out / name
    folder.mkdir(parents=True)
    os.chdir(folder)
    digester = Digester(out, {code: "PACKAGE", data: "DATA"})
    try:
        values = catalogue(out, data)[name].work(folder)
        results = {key: digester.value(value) for key, value in values.items()}
        if (folder / "out").exists():
            results |= {f"file {key}": value for key, value in digester.files(folder / "out").items()}
    except BaseException:
        results = {"crash": digester.text(traceback.format_exc())[-2000:]}
    answer.send(results)
    answer.close()


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> int:
    """Print how two manifests differ and return the exit status."""
    counts: Counter[str] = Counter()
    results = 0
    for name in dict.fromkeys([*before, *after]):
        if name not in before or name not in after:
            counts["missing"] += 1
            print(f"missing    {name}: only in the {'first' if name in before else 'second'}")
            continue
        old, new = before[name]["results"], after[name]["results"]
        results += len(old)
        unlike = [
            key for key in dict.fromkeys([*old, *new]) if key not in old or key not in new or old[key] != new[key]
        ]
        counted = [key for key in unlike if not key.startswith(TOLD)]
        state = "different" if counted else "equal"
        counts[state] += 1
        print(f"{state:10} {name}: {len(old)} results" + (f", {len(unlike)} differ" if unlike else ""))
        for key in unlike:
            first, second = (json.dumps(one[key], ensure_ascii=False) if key in one else "none" for one in (old, new))
            print(f"             {key}: {first[:160]} | {second[:160]}")
    print(", ".join(f"{counts[state]} {state}" for state in ("equal", "different", "missing")), f"({results} results)")
    return 1 if counts["different"] or counts["missing"] else 0


if __name__ == "__main__":
    main()
