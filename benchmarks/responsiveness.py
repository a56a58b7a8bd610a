"""How long the window stands still while a dock's job runs, beside the same work done in the window's own thread.

Run ``xvfb-run -a python benchmarks/responsiveness.py [--quick] [--json] [--stacks]`` on a quiet machine; it opens a
real napari window. A timer of 10 ms ticks in Qt's event loop from the click to 0.8 s after the end of the job, layers
included; the longest time between two ticks is the longest gap. The reference is the same work called directly
afterwards, in the same process: nothing is imported or compiled any more then, so that it is a lower bound of what a
dock without a thread would block. Two steps belong to napari and cannot be divided from outside, adding a layer of
labels and the first progress bar; the first is measured without us, too.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
TICK_MS, SETTLED_S, LONG_S = 10, 0.8, 0.2
LONGEST_S = 300
"""A job that takes longer has failed."""
SIDE = 2048
OUTLINED = (28, 34, 14, 69, 80, 75, 72, 58)
"""Labels of the sample micrograph's particles that are taken as the annotation."""
CLEAN = ((20, 810, 200, 1010), (100, 205, 380, 345), (420, 475, 570, 740), (690, 190, 755, 410))
"""Rectangles of it in which there is no particle: top, left, bottom, right."""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smaller image, a shorter training")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--stacks", action="store_true", help="what the main thread did in gaps above 0.2 s")
    options = parser.parse_args()
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        sys.exit("There is no display; run it as: xvfb-run -a python benchmarks/responsiveness.py")
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("DATA", "STATE", "CONFIG"):
            os.environ[f"XDG_{kind}_HOME"] = str(Path(folder, kind.lower()))
        bench = Bench(Path(folder), SIDE // 2 if options.quick else SIDE, 60 if options.quick else 250)
        try:
            bench.all()
        finally:
            bench.viewer.close()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{'':<28}{'takes':>8}{'longest gap':>13}{'> 0.2 s':>9}{'direct':>9}{'ratio':>7}")
    for name, one in bench.figures.items():
        print(
            f"{name:<28}{one['seconds']:>6.2f} s{one['longest_gap_s']:>11.2f} s{one['long_gaps']:>9}"
            f"{one['direct_s']:>7.2f} s{one['ratio']:>7.2f}"
        )
        if options.stacks:
            for gap, places in bench.stacks[name]:
                print(f"    {gap:.2f} s: " + "; ".join(f"{count} x {place}" for place, count in places))
    alone = bench.napari_alone_s
    print(f"napari alone, adding one labels layer: {min(alone):.2f} to {max(alone):.2f} s; load {load:.1f} at the end")
    if options.json:
        print(json.dumps({"load": load, "jobs": bench.figures, "napari_alone_s": alone}))


class Watch:
    """Measures the gaps of Qt's event loop, and what the main thread does in long ones."""

    def __init__(self) -> None:
        from qtpy.QtCore import QEventLoop, Qt, QTimer

        self._loop, self._timer = QEventLoop(), QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)
        self._main = threading.get_ident()
        self._last: float | None = None
        self._samples: list[str] = []
        threading.Thread(target=self._look, daemon=True).start()

    def during(self, action: Callable[[], object], over: Callable[[], bool]) -> float:
        """Let Qt run from `action` until `over` has been so for a while; returns the seconds until it was so."""
        from qtpy.QtCore import QTimer

        self.gaps: list[float] = []
        self.stacks: list[tuple[float, list[tuple[str, int]]]] = []
        self._over, self._since, self._acted = over, 0.0, False
        self._began = self._last = time.perf_counter()

        def act() -> None:
            self._began = time.perf_counter()
            action()
            self._acted = True

        self._timer.start()
        QTimer.singleShot(5 * TICK_MS, act)
        self._loop.exec()
        self._timer.stop()
        self._last = None
        return self._since - self._began

    def _tick(self) -> None:
        now = time.perf_counter()
        assert self._last is not None
        gap, self._last = now - self._last, now
        samples, self._samples = self._samples, []
        self.gaps.append(gap)
        if now - self._began > LONGEST_S:
            sys.exit("A job has not ended; run it again with --stacks on a quiet machine.")
        if gap > LONG_S:
            self.stacks.append((gap, Counter(samples).most_common(4)))
        if not self._acted or not self._over():
            self._since = 0.0
        elif not self._since:
            self._since = now
        elif now - self._since > SETTLED_S:
            self._loop.quit()

    def _look(self) -> None:
        while True:
            time.sleep(TICK_MS / 1000)
            last = self._last
            if last is not None and time.perf_counter() - last > 0.05:
                frames = traceback.extract_stack(sys._current_frames()[self._main])
                inner = [f"{Path(f.filename).name}:{f.name}" for f in frames[-3:]]
                ours = [f"{Path(f.filename).name}:{f.name}" for f in frames if "napari_nanoseg" in f.filename]
                self._samples.append(" < ".join([*reversed(inner), *ours[-1:]]))


class Bench:
    """The jobs of all docks, one after the other, in one window.

    Parameters
    ----------
    folder : Path
        For settings, models and datasets.
    side : int
        Of the segmented image, px.
    steps : int
        Of the training of the model that segments.
    """

    def __init__(self, folder: Path, side: int, steps: int) -> None:
        import napari
        from napari.settings import get_plugin_settings, get_settings

        logging.getLogger("napari").setLevel(logging.ERROR)
        get_settings(folder / "settings.yaml")
        get_plugin_settings(path_dir=folder)
        self.folder, self.side, self.steps = folder, side, steps
        self.figures: dict[str, dict[str, float]] = {}
        self.stacks: dict[str, list[tuple[float, list[tuple[str, int]]]]] = {}
        self.napari_alone_s: list[float] = []
        self.viewer = napari.Viewer()
        self.viewer.window._qt_window.resize(1600, 1000)
        self.watch = Watch()

    def all(self) -> None:
        """Run everything."""
        from napari_nanoseg._gui.session import session_of

        _, self.dock = self.viewer.window.add_plugin_dock_widget("napari-nanoseg", "NanoSeg")
        self.session = session_of(self.viewer)
        image, truth = sample()
        self.image = self.viewer.add_image(image, name="particles")
        self.session.put("image", self.image)
        self.session.put("whole", False)
        annotation = np.where(np.isin(truth, OUTLINED), truth, 0)
        self.session.put("particles", self.viewer.add_labels(annotation, name="annotation"))
        region = self.viewer.add_labels(known(truth), name="particles: known region", visible=False)
        self.session.put("region", region)
        self.watch.during(lambda: None, lambda: True)
        self.generate()
        self.train()
        self.segment(image, truth)
        self.measure()
        self.compare()
        for _ in range(5):
            self.watch.during(lambda: self.viewer.add_labels(self.truth.data), lambda: True)
            self.napari_alone_s.append(max(self.watch.gaps))
            self.viewer.layers.pop()

    def job(self, name: str, action: Callable[[], object], over: Callable[[], bool]) -> None:
        """Measure one job in its dock."""
        seconds = self.watch.during(action, over)
        self.stacks[name] = self.watch.stacks
        gaps = self.watch.gaps
        long = sum(gap > LONG_S for gap in gaps)
        self.figures[name] = {"seconds": seconds, "longest_gap_s": max(gaps), "long_gaps": long}

    def directly(self, name: str, work: Callable[[], T]) -> T:
        """Measure the same work in the main thread, and compare."""
        start = time.perf_counter()
        result = work()
        one = self.figures[name]
        one["direct_s"] = time.perf_counter() - start
        one["ratio"] = one["longest_gap_s"] / one["direct_s"]
        print(f"{name}: {one['longest_gap_s']:.2f} s of {one['seconds']:.2f} s", file=sys.stderr, flush=True)
        return result

    def page(self, title: str) -> Any:
        """The page of a step; it is opened before its job is measured."""
        page = self.dock.step(title)
        self.watch.during(lambda: None, lambda: True)
        return page

    def start(self, name: str, page: Any) -> None:
        """Measure the job of a page from the click of its start button."""
        failures: list[str] = []
        page.panel.failed.connect(failures.append)
        assert page.panel.start_button.isEnabled(), page.panel.start_button.toolTip()
        self.job(name, page.panel.start_button.click, lambda: not page.running)
        assert not failures, failures

    def generate(self) -> None:
        """First preview, and a dataset."""
        from napari_nanoseg._gui.preview_making import PreviewMaker, Question
        from napari_nanoseg.config.generate import GenerateJob
        from napari_nanoseg.io.datasets import write_sample
        from napari_nanoseg.jobs.run import run_job

        pages: list[Any] = []
        self.job(
            "Generate: first preview",
            lambda: pages.append(self.dock.step("Generate")),
            lambda: not pages[0].preview.busy,
        )
        (page,) = pages
        assert page.preview.picture.preview is not None, page.preview.picture.text
        source, config = page.cutpaste.annotation.sample(), page.cutpaste.form.value()
        self.directly("Generate: first preview", lambda: PreviewMaker().make(Question(source, config, 0)))
        page.amount.setValue(page.amount.value().model_copy(update={"count": 20}))
        page.out.choose(self.folder / "written")
        name = "Generate: write 20 images"
        self.start(name, page)
        write_sample(self.folder / "source", source)
        job = GenerateJob(config=config, source=self.folder / "source", out=self.folder / "synthetic", count=20)
        self.directly(name, lambda: run_job(job))

    def train(self) -> None:
        """Forty steps of a small network; then, unmeasured, the model that segments."""
        from napari_nanoseg._gui.training import run_training

        page = self.page("Train")
        page.source.setCurrentIndex(0)
        page.source.activated.emit(0)
        config = page.form.value()
        small = config.engine.model_copy(update={"unet_n_filter_base": 8})
        # the thresholds of so young a network take a minute, and are not what is measured here
        short = {"engine": small, "steps": 40, "optimize_thresholds": False}
        page.form.setValue(config.model_copy(update=short))
        page.name.setText("first")
        name = "Train: 40 steps"
        self.start(name, page)
        page.name.setText("second")
        self.directly(name, lambda: run_training(page.plan()))
        page.name.setText("third")
        page.form.setValue(page.form.value().model_copy(update={"steps": self.steps}))
        plan = page.plan()
        run_training(plan)
        self.session.put("model", plan.job.out)

    def segment(self, image: NDArray[Any], truth: NDArray[np.int32]) -> None:
        """A large image twice, then another threshold."""
        from napari_nanoseg._gui import segmenting

        self.large = self.viewer.add_image(mirrored(image, self.side), name="large")
        self.truth = self.viewer.add_labels(numbered(truth, self.side), name="truth", visible=False)
        for layer in self.viewer.layers[:2]:
            layer.visible = False
        self.session.put("image", self.large)
        page = self.page("Segment")
        page.models.choose(self.session.model)
        for name in ("Segment: first run", "Segment: second run"):
            self.start(name, page)
            self.directly(name, lambda: segmenting.segment(page.request()))
        result = page.result
        print(f"{len(result.instances)} particles in {self.side} x {self.side} px")
        slider, name = page.thresholds.probability.slider, "Segment: other threshold"
        self.job(
            name,
            lambda: slider.setValue(slider.value() + 10),
            lambda: page.result is not result and not page._rethreshold.busy,
        )
        config = page.result.request.config
        self.directly(name, lambda: segmenting.with_table(segmenting.with_thresholds(result, config)))

    def measure(self) -> None:
        """The particles found."""
        from napari_nanoseg._gui.measuring import measure_layers

        page = self.page("Measure")
        self.start("Measure", page)
        self.directly("Measure", lambda: measure_layers(*page._request()))

    def compare(self) -> None:
        """The particles found and the true ones."""
        from napari_nanoseg._gui.comparing import compare_layers

        page = self.page("Compare")
        self.session.put("truth", self.truth)
        self.start("Compare", page)
        truth, prediction, known, config = page._request()
        image = page._image(truth)
        self.directly("Compare", lambda: compare_layers(truth, prediction, known, image, config))


def sample() -> tuple[NDArray[Any], NDArray[np.int32]]:
    """The sample micrograph and its particles."""
    from napari_nanoseg.io.images import read_image, read_label_array
    from napari_nanoseg.io.sample_data import sample_data

    image = read_image(sample_data() / "particles.tif").loaded()
    return np.asarray(image.data), np.asarray(read_label_array(sample_data() / "particles_truth.tif"))


def known(truth: NDArray[np.int32]) -> NDArray[np.int32]:
    """Where the annotation can be trusted: the outlined particles, and rectangles without particles."""
    region = np.isin(truth, OUTLINED)
    for top, left, bottom, right in CLEAN:
        region[top:bottom, left:right] = True
    return region.astype(np.int32)


def mirrored(image: NDArray[Any], side: int) -> NDArray[Any]:
    """An image continued by its mirror images."""
    tall = np.concatenate([image, image[::-1]])
    block = np.concatenate([tall, tall[:, ::-1]], axis=1)
    repeats = [-(-side // length) for length in block.shape]
    return np.ascontiguousarray(np.tile(block, repeats)[:side, :side])


def numbered(labels: NDArray[np.int32], side: int) -> NDArray[np.int32]:
    """Labels continued in the same way, every particle with a label of its own."""
    from skimage.measure import label

    return np.asarray(label(mirrored(labels, side), connectivity=1), np.int32)


if __name__ == "__main__":
    main()
