"""Results show themselves in one line, and in notebooks with a small picture and a table, whatever they hold."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

import napari_nanoseg as ns
from napari_nanoseg.display import COLOURS, SIDE, Shown, bar, brief

GREY = (np.arange(300 * 600) // 3).astype(np.uint16).reshape(300, 600)
LABELS = np.zeros((300, 600), np.int32)
LABELS[30:90, 30:90], LABELS[150:270, 300:420] = 1, 5
NM = ns.Calibration.of(2.5)


def picture_in(html: str) -> NDArray[np.uint8]:
    found = re.search(r'src="data:image/png;base64,([^"]+)"', html)
    assert found is not None
    with PIL.Image.open(BytesIO(b64decode(found[1]))) as picture:
        return np.asarray(picture)


def instances() -> ns.Instances:
    return ns.Instances.from_labels(LABELS)


def phantom() -> ns.Phantom:
    return next(ns.generate(ns.CathodeConfig(depth=32, height=64, width=64)))


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: ns.Image(GREY, "YX", NM, "/data/a.tif"), "Image(300 x 600 px, uint16, YX, 2.5 nm/px, 'a.tif')"),
        (lambda: ns.Image(GREY), "Image(300 x 600 px, uint16, YX, 'image')"),
        (instances, "Instances(2 particles, 300 x 600 px)"),
        (lambda: instances()[0], "Instances(1 particle, 300 x 600 px)"),
        (lambda: ns.Calibration.of((2.0, 3.0)), "Calibration(2 x 3 nm/px)"),
        (lambda: ns.Calibration(), "Calibration(not known)"),
        (lambda: ns.evaluate(LABELS, LABELS * (LABELS < 5)), "Evaluation(F1 0.67: 1 TP, 0 FP, 1 FN at IoU 0.5)"),
        (
            lambda: ns.evaluate_pixels(LABELS, LABELS),
            "PixelEvaluation(F1 1.00: precision 1.00, recall 1.00 within 2 px; IoU 1.00)",
        ),
        (
            lambda: ns.agreement(LABELS, LABELS, pixel_size_nm=10)["equivalent_diameter"],
            "Agreement(equivalent_diameter: median 1.02e+03 nm true (2), 1.02e+03 nm predicted (2); 2 pairs)",
        ),
        (lambda: ns.Volume(np.zeros((2, 3, 4), np.uint8)), "Volume(2 x 3 x 4 px, uint8, ZYX, 'volume')"),
        (lambda: ns.Sample(ns.Image(GREY), instances(), name="s"), "Sample('s', 2 particles, 300 x 600 px)"),
        (
            lambda: ns.Sample(ns.Image(GREY), instances(), LABELS > 0, "s"),
            "Sample('s', 2 particles, 300 x 600 px, 10% known)",
        ),
        (lambda: ns.ClassSample(ns.Image(GREY), LABELS.astype(np.int8) - 1), "ClassSample('sample', 300 x 600 px)"),
        (lambda: ns.optical_density(GREY + 1), "OpticalDensity(300 x 600 px, float32, YX, 'the array'; I0 5.86e+04)"),
        (
            lambda: ns.JobResult({"f1": 0.931, "n": 80, "deep": {}}, {"labels": "x"}),
            "JobResult(files: labels; f1 0.931, n 80)",
        ),
        (lambda: ns.load_model("threshold"), "BaselineModel(Otsu's threshold, no training; particles of any size)"),
        (lambda: ns.load_model("starter"), "StarDistModel(StarDist 2-D, 32 rays, "),
        (phantom, "Phantom('cathode_000000', 32 x 64 x 64 px, "),
        (lambda: ns.damage(np.ones((2, 40, 40), np.uint8), window=20), "Damage(2 slices, window 20 x 20 px; "),
    ],
)  # fmt: skip
def test_a_result_is_one_short_line(make: Callable[[], Any], line: str) -> None:
    made = make()
    assert repr(made).startswith(line)
    assert len(repr(made)) < 120
    assert "\n" not in repr(made)
    assert line.split("(")[0] in made._repr_html_()


def test_datasets_are_one_short_line(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    ns.write_sample(folder, ns.Sample(ns.Image(GREY), instances(), name="s"))
    maps = ns.open_class_maps(folder, ns.UNetConfig())
    for made in (ns.open_dataset(folder), maps):
        assert len(repr(made)) < 120
        assert "masks" in made._repr_html_()
    assert re.fullmatch(r"Dataset\(1 image, '.*long.* \.\.\.\)", repr(ns.open_dataset(folder)))
    assert re.fullmatch(r"ClassMaps\(dense, classes crack; 1 image, '.*long.* \.\.\.\)", repr(maps))


def test_an_image_has_a_small_picture_and_its_particles_their_colours() -> None:
    grey = picture_in(ns.Image(GREY)._repr_html_())
    assert grey.shape == (100, 200)
    assert grey[0, 0] == 0
    assert grey[-1, -1] == 255

    colours = picture_in(instances()._repr_html_())
    expected = LABELS[::3, ::3]
    np.testing.assert_array_equal(colours, np.array(COLOURS)[expected])

    sample = picture_in(ns.Sample(ns.Image(GREY), instances())._repr_html_())
    np.testing.assert_array_equal(sample[10, 10:30], np.tile(COLOURS[1], (20, 1)))
    assert (sample[15, 15] == sample[15, 15, 0]).all()


@pytest.mark.parametrize("step_offset", [0, 1, 2])
def test_small_labels_are_every_so_manieth_pixel(step_offset: int) -> None:
    labels = np.roll(LABELS, step_offset, axis=(0, 1))
    np.testing.assert_array_equal(ns.Instances.from_labels(labels).small_labels(), labels[::3, ::3])
    stack = np.stack([labels * 0, labels, labels * 0])
    np.testing.assert_array_equal(ns.Instances.from_labels(stack).small_labels(), labels[::3, ::3])


def test_colours_and_outlines_of_other_results() -> None:
    assert picture_in(ns.Image(np.dstack([GREY] * 3), "YXC")._repr_html_()).shape == (100, 200, 3)
    evaluation = ns.evaluate(LABELS, LABELS * (LABELS < 5))
    strip = picture_in(evaluation._repr_html_())
    assert strip.shape == (16, SIDE, 3)
    assert [tuple(strip[0, 0]), tuple(strip[0, -1])] == [(86, 180, 233), (204, 121, 167)]
    assert bar([(0, (1, 2, 3))]) is None
    assert picture_in(phantom()._repr_html_()).shape == (32, 64, 3)


class Counting:
    """A volume on a disk that remembers what was read of it."""

    shape, dtype = (1000, 20_000, 20_000), np.dtype(np.uint8)

    def __init__(self) -> None:
        self.read: list[tuple[slice, ...]] = []

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[np.uint8]:
        self.read.append(key)
        return np.zeros([one.stop - one.start for one in key], np.uint8)


def test_of_a_huge_volume_only_a_window_of_the_middle_slice_is_read() -> None:
    data = Counting()
    volume = ns.Volume(data)
    assert repr(volume) == "Volume(1000 x 20000 x 20000 px, uint8, ZYX, 'volume')"
    assert data.read == []
    picture_in(volume._repr_html_())
    assert [(key[0].start, key[0].stop) for key in data.read] == [(500, 501)]
    assert data.read[0][1] == slice(5904, 14096)


def test_of_a_lazy_stack_only_the_middle_is_computed() -> None:
    import dask.array as da

    computed: list[int] = []

    def block(numbers: NDArray[Any]) -> NDArray[Any]:
        computed.append(int(numbers[0, 0, 0]))
        return numbers

    planes = np.broadcast_to(np.arange(9)[:, None, None], (9, 30, 30))
    lazy = da.from_array(planes, chunks=(1, 30, 30)).map_blocks(block, dtype=int, meta=np.zeros((0, 0, 0), int))
    picture_in(ns.Image(lazy, "ZYX")._repr_html_())
    assert set(computed) == {4}


def test_of_a_huge_lazy_image_only_the_middle_is_computed() -> None:
    import dask.array as da

    computed: list[tuple[int, ...]] = []

    def block(zeros: NDArray[Any], block_info: Any = None) -> NDArray[Any]:
        computed.append(block_info[0]["chunk-location"])
        return zeros

    lazy = da.zeros((40_000, 40_000), np.uint8, chunks=(8_000, 8_000)).map_blocks(
        block, dtype=np.uint8, meta=np.zeros((0, 0), np.uint8)
    )
    picture_in(ns.Image(lazy)._repr_html_())
    assert {axis for place in computed for axis in place} == {1, 2, 3}


def test_names_are_escaped() -> None:
    html = ns.Image(GREY, source="<script>alert('a & b')</script>")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


class Broken(Shown):
    """Nothing of it can be shown."""

    def _line(self) -> str:
        raise OSError("gone")

    def _rows(self) -> dict[str, Any]:
        raise OSError("gone")

    def _picture(self) -> NDArray[np.uint8] | None:
        raise OSError("gone")


class Unreadable(Counting):
    """The file is gone."""

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[np.uint8]:
        raise OSError("gone")


def test_showing_never_fails() -> None:
    assert repr(Broken()) == "Broken(...)"
    assert Broken()._repr_html_() == "<div><div><code>Broken(...)</code></div></div>"
    unreadable = ns.Volume(Unreadable())._repr_html_()
    assert "<img" not in unreadable
    assert "<table>" in unreadable
    bare = object.__new__(ns.Image)
    assert repr(bare) == "Image(...)"
    for odd in (ns.Image(np.full((2, 2), np.nan)), ns.Image(np.zeros((1, 1), bool)), ns.Instances.empty((3, 4))):
        assert "<img" in odd._repr_html_()


def test_a_long_table_is_cut() -> None:
    html = ns.JobResult({f"figure {number}": number for number in range(100)})._repr_html_()
    assert html.count("<tr>") == 40
    assert "and 60 more" in html


def test_figures_are_brief() -> None:
    assert [brief(value) for value in (None, 3, 0.93456, np.float32(2), "a")] == ["–", "3", "0.935", "2", "a"]


def test_the_average_precision_is_not_computed_to_be_shown() -> None:
    evaluation = ns.evaluate(LABELS, LABELS)
    evaluation._repr_html_()
    assert "_average_precision" not in vars(evaluation)
