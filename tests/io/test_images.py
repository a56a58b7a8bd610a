"""Every kind of file gives the image that was saved, and every broken one a sentence."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.images import list_images, read_image, read_label_array, write_image, write_labels
from napari_nanoseg.samples import Image

GREY = np.random.default_rng(0).integers(0, 255, (30, 40), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 255, (30, 40, 3), dtype=np.uint8)
DTYPES = [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float16, np.float32, np.float64, np.int64]
SHAPES = {"YX": (30, 40), "ZYX": (4, 30, 40), "TYX": (4, 30, 40), "YXC": (30, 40, 3), "ZYXC": (4, 30, 40, 3)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axes", SHAPES)
def test_what_is_written_comes_back(tmp_path: Path, dtype: type, axes: str) -> None:
    path = tmp_path / "Größe 1" / "Bild.tif"
    data = np.random.default_rng(0).integers(0, 100, SHAPES[axes]).astype(dtype)
    sizes = (30.0, 1.5, 1.5) if "Z" in axes else (1.5, 2.5)
    write_image(path, Image(data, axes, Calibration(sizes)))
    image = read_image(path)
    assert np.array_equal(image.data, data)
    assert image.axes == axes
    assert image.calibration.pixel_size_nm == pytest.approx(sizes)
    assert image.source == str(path)


def test_the_same_pixels_give_the_same_file(tmp_path: Path) -> None:
    for name in ("a.tif", "b.tif"):
        write_image(tmp_path / name, Image(GREY, "YX", Calibration((2.0, 2.0))))
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_an_unknown_pixel_size_stays_unknown(tmp_path: Path) -> None:
    write_image(tmp_path / "a.tif", Image(GREY))
    assert not read_image(tmp_path / "a.tif").calibration.known


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"ome": True}, {"bigtiff": True}, {"byteorder": ">"},
                                     {"compression": "zlib", "tile": (16, 16)}])  # fmt: skip
@pytest.mark.parametrize(
    "data", [GREY, GREY.astype(np.uint16) * 200, GREY.astype(np.float32) / 7], ids=lambda d: d.dtype
)
def test_tiff_of_every_kind(tmp_path: Path, data: np.ndarray, options: dict) -> None:
    tifffile.imwrite(tmp_path / "a.tif", data, **options)
    image = read_image(tmp_path / "a.tif")
    assert np.array_equal(image.data, data)
    assert image.data.dtype == data.dtype
    assert image.axes == "YX"


@pytest.mark.parametrize(("axes", "expected"), [("ZYX", "ZYX"), ("TYX", "TYX"), ("CYX", "YXC")])
def test_imagej_stacks(tmp_path: Path, axes: str, expected: str) -> None:
    data = np.random.default_rng(0).integers(0, 255, (5, 30, 40), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", data, imagej=True, metadata={"axes": axes})
    image = read_image(tmp_path / "a.tif")
    assert image.axes == expected
    assert np.array_equal(image.data, data if expected[-1] != "C" else np.moveaxis(data, 0, -1))
    assert image.plane_shape == (30, 40)


def test_planar_colours_and_plain_pages(tmp_path: Path) -> None:
    planar = np.moveaxis(COLOUR, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", planar, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_image(tmp_path / "a.tif").data, COLOUR)
    with tifffile.TiffWriter(tmp_path / "b.tif") as tif:
        for plane in planar:
            tif.write(plane, metadata=None)
    assert read_image(tmp_path / "b.tif").axes == "ZYX"


def test_black_and_white(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY > 99)
    assert np.array_equal(read_image(tmp_path / "a.tif").data, GREY > 99)
    Pillow.fromarray(GREY > 99).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png").data, GREY > 99)
    write_image(tmp_path / "b.png", Image(GREY > 99))
    assert np.array_equal(read_label_array(tmp_path / "b.png"), np.where(GREY > 99, 255, 0))


@pytest.mark.parametrize("scale", [1, 257])
def test_png_with_8_and_16_bits(tmp_path: Path, scale: int) -> None:
    for data, axes in ((GREY, "YX"), (COLOUR, "YXC")):
        data = data.astype(np.uint16) * scale if scale > 1 else data
        write_image(tmp_path / "a.png", Image(data, axes, Calibration((1.0, 1.0))))
        image = read_image(tmp_path / "a.png")
        assert np.array_equal(image.data, data)
        assert image.data.dtype == data.dtype
        assert not image.calibration.known


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [(mode, suffix) for mode in ("L", "LA", "RGB", "RGBA", "P") for suffix in (".png", ".tif")]
    + [(mode, ".bmp") for mode in ("L", "RGB", "P")],
)
def test_grey_values_stored_as_colours_have_one_channel(tmp_path: Path, mode: str, suffix: str) -> None:
    Pillow.fromarray(GREY).convert(mode).save(tmp_path / f"a{suffix}")
    image = read_image(tmp_path / f"a{suffix}")
    assert np.array_equal(image.data, GREY)
    assert image.axes == "YX"


def test_jpeg(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(60), np.arange(80)).astype(np.uint8)
    for mode in ("L", "RGB"):
        Pillow.fromarray(smooth).convert(mode).save(tmp_path / "a.jpg", quality=95)
        image = read_image(tmp_path / "a.jpg")
        assert image.axes == "YX"
        assert np.abs(image.data.astype(int) - smooth).max() <= 4


def test_real_colours_stay(tmp_path: Path) -> None:
    alpha = np.dstack([COLOUR, GREY])
    Pillow.fromarray(COLOUR).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").axes == "YXC"
    Pillow.fromarray(alpha).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").data.shape == (30, 40, 4)


def test_the_content_counts_not_the_suffix(tmp_path: Path) -> None:
    Pillow.fromarray(GREY).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.tif")
    assert np.array_equal(read_image(tmp_path / "a.tif").data, GREY)


@pytest.mark.parametrize(("shape", "axes"), [((30, 40), "YX"), ((5, 30, 40), "ZYX"), ((30, 40, 3), "YXC"),
                                             ((1, 30, 40), "YX"), ((2, 30, 40, 3), "ZYXC")])  # fmt: skip
def test_npy(tmp_path: Path, shape: tuple[int, ...], axes: str) -> None:
    data = np.random.default_rng(0).normal(size=shape)
    np.save(tmp_path / "a.npy", data)
    image = read_image(tmp_path / "a.npy")
    assert image.axes == axes
    assert np.array_equal(image.data.ravel(), data.ravel())


@pytest.mark.parametrize("suffix", [".tif", ".png"])
@pytest.mark.parametrize("largest", [0, 1, 300, 65535])
def test_labels_come_back(tmp_path: Path, suffix: str, largest: int) -> None:
    labels = np.zeros((20, 30), dtype=np.int64)
    labels[3:5, 4:9] = largest
    write_labels(tmp_path / f"a{suffix}", labels, Calibration((2.0, 2.0)))
    read = read_label_array(tmp_path / f"a{suffix}")
    assert np.array_equal(read, labels)
    assert read.dtype == (np.int32 if suffix == ".tif" else np.uint16)


def test_label_files_are_small_and_calibrated(tmp_path: Path) -> None:
    labels = np.zeros((1000, 1000), dtype=np.int32)
    labels[3:500, 4:900] = 70_000
    write_labels(tmp_path / "a.tif", labels, Calibration((2.0, 2.0)))
    assert (tmp_path / "a.tif").stat().st_size < 50_000
    assert read_image(tmp_path / "a.tif").calibration.nm_per_pixel == pytest.approx(2.0)
    volume = np.stack([labels, labels])
    write_labels(tmp_path / "b.tif", volume)
    assert np.array_equal(read_label_array(tmp_path / "b.tif"), volume)


def test_labels_in_palettes_and_whole_floats(tmp_path: Path) -> None:
    picture = Pillow.frombytes("P", (40, 30), (GREY % 5).tobytes())
    picture.putpalette(list(range(200, 0, -1)) + [7] * 568)
    picture.save(tmp_path / "a.png")
    assert np.array_equal(read_label_array(tmp_path / "a.png"), GREY % 5)
    np.save(tmp_path / "a.npy", (GREY % 5).astype(np.float32))
    labels = read_label_array(tmp_path / "a.npy")
    assert np.array_equal(labels, GREY % 5)
    assert labels.dtype == np.int64


def test_folders_are_listed_without_what_systems_leave(tmp_path: Path) -> None:
    for name in ("b.tif", "a.PNG", "c ä.jpeg", "Thumbs.db", ".DS_Store", "._b.tif", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.tif").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.PNG", "b.tif", "c ä.jpeg"]
    with pytest.raises(NanosegError, match="no folder"):
        list_images(tmp_path / "none")


def saved(data: np.ndarray, suffix: str, **options: object) -> bytes:
    buffer = BytesIO()
    if suffix == ".npy":
        np.save(buffer, data)
    elif suffix == ".tif":
        tifffile.imwrite(buffer, data, **options)
    else:
        Pillow.fromarray(data).save(buffer, format=suffix[1:].replace("jpg", "jpeg"))
    return buffer.getvalue()


@pytest.mark.parametrize("part", [0.02, 0.3, 0.9])
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".tif", {}),
        (".tif", {"compression": "zlib"}),
        (".tif", {"ome": True}),
        (".png", {}),
        (".jpg", {}),
        (".npy", {}),
    ],
)
def test_files_that_were_cut_off(tmp_path: Path, suffix: str, options: dict, part: float) -> None:
    data = np.random.default_rng(0).integers(0, 255, (200, 300), dtype=np.uint8)
    content = saved(data, suffix, **options)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(NanosegError, match="damaged") as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


NAN = np.where(np.isin(GREY, [3, 4]), np.nan, GREY.astype(float))
BAD_FILES = {
    "empty.tif": (b"", "empty"),
    "text.tif": (b"this is a text", "damaged or not a TIF file"),
    "text.txt": (b"this is a text", "not an image that can be read"),
    "program.exe": (b"MZ\0\0\0", "not an image that can be read"),
    "head.tif": (b"II*\0", "damaged"),
    "nan.tif": (saved(NAN, ".tif"), "NaN or infinite"),
    "inf.npy": (saved(np.where(GREY > 9, np.inf, 0.5), ".npy"), "NaN or infinite"),
    "constant.png": (saved(np.full((5, 5), 7, np.uint8), ".png"), "same value 7 everywhere"),
    "complex.npy": (saved(GREY * 1j, ".npy"), "not grey values"),
    "text.npy": (saved(np.array([["a", "b"]]), ".npy"), "not grey values"),
    "nothing.npy": (saved(np.zeros((0, 4)), ".npy"), "empty"),
    "line.npy": (saved(np.arange(5.0), ".npy"), "give an image"),
    "number.npy": (saved(np.array(5.0), ".npy"), "give an image"),
    "five.npy": (saved(np.zeros((2, 2, 2, 2, 2)), ".npy"), "give an image"),
    "objects_seg.npy": (saved(np.array({"masks": GREY}), ".npy"), "Python objects"),
    "many.tif": (
        saved(np.zeros((2, 3, 5, 6), np.uint8), ".tif", imagej=True, metadata={"axes": "TZYX"}),
        "save one stack",
    ),
    "a.dm3": (b"\0\0\0\3", "napari-nanoseg\\[microscopy\\]|damaged"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_get_one_sentence(tmp_path: Path, name: str) -> None:
    content, sentence = BAD_FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(NanosegError, match=sentence) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_missing_files_and_folders_get_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(NanosegError, match="There is no file"):
        read_image(tmp_path / "none.tif")
    with pytest.raises(NanosegError, match="is a folder"):
        read_image(tmp_path)
    write_image(tmp_path / "a.tif", Image(GREY))
    with pytest.raises(NanosegError, match="There is no file"):
        read_image(tmp_path / "a.tif" / "b.tif")


def test_what_are_no_labels(tmp_path: Path) -> None:
    Pillow.fromarray(COLOUR).save(tmp_path / "a.png")
    with pytest.raises(NanosegError, match="colours, not labels"):
        read_label_array(tmp_path / "a.png")
    for values in (GREY / 3, NAN, GREY * 1e20):
        np.save(tmp_path / "a.npy", values)
        with pytest.raises(NanosegError, match="fractions, not labels"):
            read_label_array(tmp_path / "a.npy")


def test_what_cannot_be_written(tmp_path: Path) -> None:
    labels = np.zeros((4, 4), dtype=int)
    labels[0, 0] = 70_000
    with pytest.raises(NanosegError, match="up to 65535 only"):
        write_labels(tmp_path / "a.png", labels)
    with pytest.raises(NanosegError, match="up to 2147483647 only"):
        write_labels(tmp_path / "a.tif", labels * 2**20)
    with pytest.raises(NanosegError, match="must be integers"):
        write_labels(tmp_path / "a.tif", labels / 2)
    with pytest.raises(NanosegError, match="choose one of these suffixes"):
        write_image(tmp_path / "a.jpg", Image(GREY))
    with pytest.raises(NanosegError, match="write a TIFF"):
        write_image(tmp_path / "a.png", Image(GREY / 2))
    (tmp_path / "file").write_text("x")
    with pytest.raises(NanosegError, match="a part of the path is a file"):
        write_image(tmp_path / "file" / "a.tif", Image(GREY))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_real_micrographs(shared_data: Path) -> None:
    for folder in ("emps/images", "nanowires_sem"):
        paths = list_images(shared_data / folder)
        assert paths
        for path in paths[:3]:
            assert read_image(path).axes == "YX"
