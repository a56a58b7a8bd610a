"""Grey images are refused as labels, and nothing else is."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom
from scipy.spatial import cKDTree
from typer.testing import CliRunner

from napari_nanoseg import (
    Instances,
    NanosegError,
    NanowireConfig,
    damage,
    evaluate,
    evaluate_pixels,
    generate,
    measure,
    optical_density,
    read_labels,
)
from napari_nanoseg.cli import app
from napari_nanoseg.greyness import looks_numbered, refuse_grey
from napari_nanoseg.io.images import list_images, read_image, read_label_array, write_image, write_labels

SENTENCE = "looks like a grey image, not like labels .* swapped"


def noise(shape: tuple[int, ...], seed: int, sigma: float) -> NDArray[np.float64]:
    """Values from 0 to 1."""
    values = gaussian_filter(np.random.default_rng(seed).normal(size=shape), sigma)
    return np.asarray((values - values.min()) / np.ptp(values))


def cells(shape: tuple[int, int], count: int, seed: int) -> NDArray[np.int64]:
    """Number of the nearest of some points, from 0."""
    points = np.random.default_rng(seed).uniform(0, shape, (count, 2))
    points = points[np.lexsort((points[:, 1], points[:, 0].astype(int) // 10))]  # as programs number them: row by row
    return np.asarray(cKDTree(points).query(np.indices(shape).reshape(2, -1).T)[1]).reshape(shape)


def refused(image: NDArray[np.generic]) -> bool:
    try:
        refuse_grey(image, "it")
    except NanosegError:
        return True
    return False


@given(
    rows=st.integers(64, 150), columns=st.integers(64, 150), seed=st.integers(0, 9999),
    sigma=st.floats(0, 4), levels=st.sampled_from([100, 128, 255, 4095, 65535]), offset=st.sampled_from([0, 40]),
)  # fmt: skip
@settings(max_examples=300, deadline=None, derandomize=True)
def test_noise_and_smooth_images_are_refused(
    rows: int, columns: int, seed: int, sigma: float, levels: int, offset: int
) -> None:
    assert refused(np.round(noise((rows, columns), seed, sigma) * levels).astype(np.int32) + offset)


@given(angle=st.floats(0, 1.57), rows=st.integers(256, 600), columns=st.integers(256, 600))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_gradients_are_refused(angle: float, rows: int, columns: int) -> None:
    row, column = np.indices((rows, columns))
    ramp = row * np.sin(angle) / rows + column * np.cos(angle) / columns
    assert refused(np.round(255 * ramp / ramp.max()).astype(np.uint8))


@given(
    rows=st.integers(1, 150), columns=st.integers(1, 150), size=st.floats(1.8, 60), seed=st.integers(0, 9999),
    order=st.sampled_from(["by place", "random", "gaps"]), background=st.sampled_from([0, 0.3, 0.6]),
    sigma=st.floats(1, 6), dtype=st.sampled_from([np.uint16, np.int32, np.uint32, np.int64]),
)  # fmt: skip
@example(150, 150, 1.8, 0, "by place", 0.6, 1.0, np.uint16)  # many particles of a few pixels, in several pieces each
@example(150, 150, 60, 0, "by place", 0.6, 1.0, np.uint16)  # few particles in very many pieces
@settings(max_examples=800, deadline=None, derandomize=True)
def test_labels_are_never_refused(
    rows: int, columns: int, size: float, seed: int, order: str, background: float, sigma: float, dtype: type
) -> None:
    shape = rows, columns
    count = max(1, round(rows * columns / size**2))
    numbers = np.arange(1, count + 1)
    if order != "by place":
        numbers = np.random.default_rng(seed).permutation(numbers)
    if order == "gaps":
        numbers = numbers * 3 + 7
    labels = numbers[cells(shape, count, seed)].astype(dtype)
    if background:
        cut = gaussian_filter(np.random.default_rng(seed + 1).normal(size=shape), sigma)
        labels[cut <= np.quantile(cut, background)] = 0
    assert not refused(labels)


@pytest.mark.parametrize("classes", [1, 3, 7, 20])
@pytest.mark.parametrize("sigma", [1.0, 3.0])
def test_class_maps_of_many_pieces_are_not_refused(classes: int, sigma: float) -> None:
    rng = np.random.default_rng(0)
    fields = [gaussian_filter(rng.normal(size=(256, 256)), sigma) for _ in range(classes + 1)]
    assert not refused(np.argmax(fields, axis=0))


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 500), (16, 16), (0, 5, 5), (2, 3, 4, 5)])
def test_what_is_too_small_to_tell_is_not_refused(shape: tuple[int, ...]) -> None:
    assert not refused(np.random.default_rng(0).integers(0, 255, shape, np.uint8))


def test_labels_of_one_pixel_are_not_refused() -> None:
    assert not refused(np.arange(1200).reshape(30, 40))
    labels = np.zeros((300, 300), np.int32)
    labels[::2, ::2] = np.arange(150 * 150).reshape(150, 150) + 1
    assert not refused(labels)


def test_crossing_wires_are_not_refused() -> None:
    config = NanowireConfig(wires=(800, 800), width_nm=30, height=400, width=400)
    assert not refused(next(iter(generate(config))).instances.to_labels())


def test_stacks() -> None:
    labels = np.stack([cells((96, 96), 40, 0) + 1] * 9)
    grey = np.round(noise((9, 96, 96), 0, 1) * 255).astype(np.uint8)
    assert not refused(labels)
    assert refused(grey)
    grey[:6] = 0
    assert refused(grey)


def test_of_a_volume_some_slices_are_read() -> None:
    class Lazy:
        shape, dtype = (10_000, 64, 64), np.dtype(np.uint16)
        read = 0

        def __getitem__(self, where: tuple[slice, slice, slice]) -> NDArray[np.uint16]:
            slices = where[0].stop - where[0].start
            self.read += slices
            return np.zeros((slices, 64, 64), np.uint16)

    lazy = Lazy()
    refuse_grey(lazy, "it")
    assert lazy.read == 3


def test_large_images_take_no_time() -> None:
    labels = np.kron(np.arange(1, 1601).reshape(40, 40), np.ones((100, 100), np.int32)).astype(np.int32)
    image = np.random.default_rng(0).integers(0, 255, (4000, 4000), np.uint8)
    started = time.process_time()
    assert not refused(labels)
    assert refused(image)
    assert time.process_time() - started < 1  # 0.13 s


def test_a_particle_in_the_corner_of_a_large_empty_image_is_found() -> None:
    image = np.zeros((2000, 1500), np.uint8)
    image[1900:1990, 1400:1490] = 100 + noise((90, 90), 0, 1) * 100
    assert refused(image)


@pytest.mark.parametrize("take", [
    Instances.from_labels, measure, lambda grey: evaluate(grey, grey), lambda grey: evaluate_pixels(grey, grey),
    lambda grey: optical_density(np.ones(grey.shape), region=grey),
])  # fmt: skip
def test_functions_refuse_it(take: object) -> None:
    with pytest.raises(NanosegError, match=SENTENCE):
        take((noise((64, 64), 0, 1) * 255).astype(np.uint8))  # type: ignore[operator]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_files_are_refused_by_name(tmp_path, dtype) -> None:
    path = tmp_path / "micrograph.tif"
    write_image(path, np.round(noise((64, 64), 0, 1) * 255).astype(dtype))
    for read in (read_labels, read_label_array):
        with pytest.raises(NanosegError, match=rf"micrograph\.tif {SENTENCE}"):
            read(path)


def real(folder, every: int = 1) -> list[NDArray[np.generic]]:
    images = [read_image(path, flat=True) for path in list_images(folder)[::every]]
    return [image.data for image in images if image.axes == "YX"]


def test_no_real_mask_is_refused(shared_data) -> None:
    masks = [mask for part in ("emps/masks", "cracks_pv/train/masks") for mask in real(shared_data / part, 3)]
    assert len(masks) > 150
    assert not any(refused(mask) for mask in masks)


def test_no_softened_mask_is_refused(shared_data) -> None:
    for mask in [*real(shared_data / "emps/masks", 60), *real(shared_data / "cracks_pv/train/masks", 30)]:
        black_white = np.where(mask > 0, 255.0, 0)
        for sigma in (0.5, 0.8, 1.5):
            assert not refused(np.round(gaussian_filter(black_white, sigma)).astype(np.uint8))
        for order in (1, 3):
            enlarged = zoom(black_white[:120, :120], 3, order=order)
            assert not refused(np.clip(np.round(enlarged), 0, 255).astype(np.uint8))


def test_real_images_are_refused(shared_data) -> None:
    parts = ("emps/images", "cracks_pv/train/images", "nanowires_sem")
    images = [image for part in parts for image in real(shared_data / part, 24)]
    assert len(images) > 15
    for image in images:
        grey = image[:400, :400].astype(float)
        low, high = np.percentile(grey, (50, 70))
        assert refused(image)
        assert refused(np.round(gaussian_filter(grey, 3)).astype(np.uint8))
        assert refused((gaussian_filter(grey, 1) * 200).astype(np.uint16))
        assert refused(np.where(gaussian_filter(grey, 1) < low, 0, grey).astype(np.uint8))
        assert refused(np.minimum(grey, high).astype(np.uint8))
        few = np.floor((grey - grey.min()) / (np.ptp(grey) + 1) * 16).astype(np.uint8)
        assert refused(few) or len(np.unique(few)) < 12


def test_labels_as_image_are_told(tmp_path) -> None:
    labels = np.kron(np.arange(12).reshape(3, 4), np.ones((20, 20), np.int32)).astype(np.uint16)
    for name, image in {"labels": labels, "grey": (noise((64, 64), 0, 1) * 255).astype(np.uint8)}.items():
        write_image(tmp_path / f"{name}.tif", image)
    words = ["segment", "threshold", str(tmp_path / "labels.tif"), str(tmp_path / "grey.tif")]
    result = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert said.count("looks like a label image, not like a micrograph") == 1


def test_no_real_image_looks_like_labels(shared_data) -> None:
    for image in real(shared_data / "emps/images", 12):
        few = image // 16
        for one in (image, np.round(gaussian_filter(image.astype(float), 4)).astype(np.uint8), few):
            assert not looks_numbered(one)
    numbered = [looks_numbered(mask) for mask in real(shared_data / "emps/masks", 12) if mask.max() > 12]
    assert sum(numbered) >= 0.7 * len(numbered) > 5


@pytest.mark.parametrize("given_as", ["classes", "labels"])
def test_cracks_refuse_a_tomogram_as_class_map_or_labels(given_as: str) -> None:
    tomogram = np.round(noise((6, 80, 80), 0, 1) * 255).astype(np.uint8)
    volumes = {"classes": np.zeros((6, 80, 80), np.uint8), "labels": np.ones((6, 80, 80), np.int32)}
    volumes[given_as] = tomogram
    with pytest.raises(NanosegError, match=SENTENCE):
        damage(volumes["classes"], labels=volumes["labels"])


@pytest.fixture
def swapped(tmp_path):
    """A dataset whose folders `images` and `masks` were named the wrong way round."""
    for number in range(2):
        labels = np.zeros((96, 96), np.int32)
        labels[10:30, 10:30], labels[50:80, 40:70], labels[40:60, 80:90] = 1, 2, 3
        grey = np.random.default_rng(number).normal(60 + 100 * (labels > 0), 8).astype(np.uint8)
        write_image(tmp_path / "data" / "masks" / f"{number}.png", grey)
        write_labels(tmp_path / "data" / "images" / f"{number}.png", labels)
    return tmp_path / "data"


@pytest.mark.parametrize("words", [
    "train stardist {data} --out {out}", "train unet {data} --out {out}",
    "generate cutpaste --source {data} --out {out} --count 1",
    "evaluate {data}/images {data}/masks --out {out}", "evaluate {data}/masks {data}/images --out {out}",
    "evaluate {data}/images {data}/masks --tolerance 2 --out {out}", "measure {data}/masks --out {out}/table.csv",
])  # fmt: skip
def test_commands_refuse_swapped_folders(swapped, tmp_path, words) -> None:
    result = CliRunner().invoke(app, words.format(data=swapped, out=tmp_path / "out").split())
    assert result.exit_code != 0
    said = " ".join(result.output.split())
    assert "looks like a grey image, not like labels" in said, result.output
    assert "Traceback" not in said
    assert not [path for path in (tmp_path / "out").rglob("*") if path.suffix in (".csv", ".safetensors", ".tif")]


def test_check_names_the_swapped_masks(swapped) -> None:
    result = CliRunner().invoke(app, ["check", str(swapped)])
    said = " ".join(result.output.split())
    assert said.count("looks like a grey image, not like labels") >= 2, result.output
