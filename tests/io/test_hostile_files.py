"""Files made to do harm, or damaged so that they look it: refused before they are read, each in a sentence."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from roifile import ImagejRoi

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.annotations import read_coco, read_labels
from napari_nanoseg.io.detectron2_config import read_config
from napari_nanoseg.io.hdf5_files import opened_weights
from napari_nanoseg.io.keras_files import DAMAGED, keras_layers
from napari_nanoseg.io.label_files import find_labels
from napari_nanoseg.io.model_library import import_model, list_library
from napari_nanoseg.io.volumes.opening import open_volume
from napari_nanoseg.io.zips import check_torch_file, opened_zip, read_entry

KERAS = '{"n_dim": 2}'


def keras(folder: Path, config: str = KERAS) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(config)
    with h5py.File(folder / "weights_best.h5", "w") as file:
        file.attrs["layer_names"] = np.array([b"x"])
        file.create_group("x").attrs["weight_names"] = np.array([b"x/kernel:0"])
        file["x"]["x/kernel:0"] = np.ones((3, 3, 1, 4), np.float32)
    return folder


def zip_of(files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", how) as archive:
        for name, part in files.items():
            archive.writestr(name, part)
    return content.getvalue()


def test_one_damaged_model_does_not_hide_the_others(tmp_path: Path) -> None:
    library = tmp_path / "library"
    keras(library / "good")
    keras(library / "deep", "[" * 100_000)
    keras(library / "list", "[]")
    (library / "bomb.zip").write_bytes(zip_of({"config.json": b" " * 50_000_000, "a.h5": b""}))
    (library / "lzma.zip").write_bytes(zip_of({"config.json": b"{}"}, zipfile.ZIP_LZMA))
    (library / "laughs").mkdir()
    (library / "laughs" / "model.pth").touch()
    lines = ["a0: &a0 [1, 1]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60)]
    (library / "laughs" / "config.yaml").write_text("\n".join(lines))
    (library / "lines").mkdir()
    (library / "lines" / "model.yaml").write_text("provenance:\n" + "  - 1\n" * 300_000)
    (library / "nul").mkdir()
    (library / "nul" / "model.pth").touch()
    (library / "nul" / "config.yaml").write_text('_BASE_: "a\\0b"')
    (library / "pipes").mkdir()
    for name in ("model.yaml", "model.pth", "config.yaml", "weights.h5", "config.json"):
        os.mkfifo(library / "pipes" / name)
    os.mkfifo(library / "pipe.zip")
    (library / "device.zip").symlink_to("/dev/zero")
    (library / "devices").mkdir()
    (library / "devices" / "model.pth").touch()
    for name in ("config.yaml", "last_checkpoint"):
        (library / "devices" / name).symlink_to("/dev/zero")
    problems = {entry.name: entry.problem for entry in list_library(library) if entry.path.parent == library}
    assert problems.pop("good") is None
    assert problems.keys() >= {"deep", "list", "bomb", "lzma", "laughs", "lines", "nul"}
    for name, problem in problems.items():
        assert problem is not None, name
        assert problem.endswith("."), problem


def test_what_a_reader_did_not_expect_is_a_problem_of_that_model_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keras(tmp_path / "a")
    keras(tmp_path / "b")

    def odd(path: Path, *, weights: bool) -> dict[str, bytes]:
        if path.name == "a":
            raise ZeroDivisionError("odd")
        return {"config.json": KERAS.encode()}

    monkeypatch.setattr("napari_nanoseg.io.model_cards.keras_files", odd)
    found = {entry.name: entry.problem for entry in list_library(tmp_path) if entry.path.parent == tmp_path}
    assert "is damaged (odd)" in (found["a"] or "")
    assert found["b"] is None


def external(file: h5py.File, place: Path) -> None:
    (place / "secret").write_bytes(b"x" * 16)
    del file["x/x/kernel:0"]
    file["x"].create_dataset("x/kernel:0", (4,), "f4", external=[(place / "secret", 0, 16)])


def external_link(file: h5py.File, place: Path) -> None:
    with h5py.File(place / "other.h5", "w") as other:
        other["a"] = np.ones(4, np.float32)
    del file["x/x/kernel:0"]
    file["x/x/kernel:0"] = h5py.ExternalLink(place / "other.h5", "a")


def external_pipe(file: h5py.File, place: Path) -> None:
    os.mkfifo(place / "pipe.h5")
    file["model_weights"] = h5py.ExternalLink(place / "pipe.h5", "/")


def soft_link(file: h5py.File, place: Path) -> None:
    file["y"] = h5py.SoftLink("/y")


def virtual(file: h5py.File, place: Path) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(place / "other.h5", "a", (4,))
    file.create_virtual_dataset("v", layout)


def compressed(file: h5py.File, place: Path) -> None:
    file.create_dataset("v", data=np.zeros(100_000, np.float32), compression="gzip")


def unfilled(file: h5py.File, place: Path) -> None:
    file.create_dataset("v", (40_000, 40_000), "f4")


def large_chunk(file: h5py.File, place: Path) -> None:
    file.create_dataset("v", (40_000, 40_000), "f4", chunks=(10_000, 10_000))


def deep(file: h5py.File, place: Path) -> None:
    group = file
    for _ in range(60):
        group = group.create_group("g")


def circle(file: h5py.File, place: Path) -> None:
    file["x"]["again"] = file["/"]
    deep(file, place)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (external, "lie in other files"),
        (external_link, "is a link"),
        (external_pipe, "is a link"),
        (soft_link, "is a link"),
        (virtual, "lie in other files"),
        (compressed, "is compressed"),
        (unfilled, "declares .* bytes of weights"),
        (large_chunk, "declares .* bytes of weights"),
        (deep, "more groups and data sets"),
        (circle, "more groups and data sets"),
    ],
)
def test_weights_in_hdf5_are_those_of_the_file(tmp_path: Path, damage: Callable[..., None], words: str) -> None:
    weights = keras(tmp_path / "model") / "weights_best.h5"
    with h5py.File(weights, "a") as file:
        damage(file, tmp_path)
    for source in (weights, weights.read_bytes()):
        with pytest.raises(NanosegError, match=words), opened_weights(source, weights):
            pass
    with pytest.raises(NanosegError, match=words):
        import_model(tmp_path / "model", tmp_path / "library")
    assert not any((tmp_path / "library").glob("*"))


def test_names_of_weights_are_a_list_of_different_names(tmp_path: Path) -> None:
    weights = keras(tmp_path / "model") / "weights_best.h5"
    for names in (np.bytes_(b"x"), np.array([b"x", b"x"]), np.array([[b"x"]]), np.array([b"y"]), np.array([1, 2])):
        with h5py.File(weights, "a") as file:
            file.attrs["layer_names"] = names
        with pytest.raises(DAMAGED), opened_weights(weights, weights) as file:
            keras_layers(file)


def test_a_volume_in_hdf5_has_its_values_in_the_file(tmp_path: Path) -> None:
    voxels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["a"] = voxels
    (tmp_path / "raw").write_bytes(bytes(24))
    os.mkfifo(tmp_path / "pipe.h5")
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["inner/own"] = voxels
        file["soft"] = h5py.SoftLink("/inner/own")
        file["circle"] = h5py.SoftLink("/circle")
        file["linked"] = h5py.ExternalLink("other.h5", "a")
        file["pipe"] = h5py.ExternalLink("pipe.h5", "/")
        file["over"] = h5py.SoftLink("/pipe/a")
        file.create_dataset("outside", (2, 3, 4), "u1", external=[(tmp_path / "raw", 0, 24)])
        layout = h5py.VirtualLayout((2, 3, 4), "u1")
        layout[:] = h5py.VirtualSource("other.h5", "a", (2, 3, 4))
        file.create_virtual_dataset("virtual", layout)
    for name in ("inner/own", "/inner/own", "soft"):
        assert np.array_equal(opened(tmp_path / "scan.h5", name), voxels)
    for name, words in [
        ("linked", "lies in another file, other.h5"),
        ("pipe/a", "lies in another file"),
        ("over", "lies in another file"),
        ("outside", "lie in other files"),
        ("virtual", "lie in other files"),
        ("circle", "no dataset 'circle'"),
        ("nothing", "no dataset 'nothing'"),
        ("inner", "no dataset 'inner'"),
    ]:
        with pytest.raises(NanosegError, match=words):
            opened(tmp_path / "scan.h5", name)
    with h5py.File(tmp_path / "alone.h5", "w") as file:
        file.create_dataset("outside", (2, 3, 4), "u1", external=[(tmp_path / "raw", 0, 24)])
    with pytest.raises(NanosegError, match="lie in other files"):
        open_volume(tmp_path / "alone.h5")


def opened(path: Path, name: str) -> np.ndarray:
    from napari_nanoseg.config.volume import VolumeConfig

    return open_volume(path, VolumeConfig(dataset=name)).read(0, 2)


def test_an_entry_of_a_zip_is_not_unpacked_beyond_its_limit(tmp_path: Path) -> None:
    for how, words in [
        (zipfile.ZIP_DEFLATED, "has more than 1 MB unpacked"),
        (zipfile.ZIP_LZMA, "has more than 1 MB unpacked"),
        (zipfile.ZIP_BZIP2, "has more than 1 MB unpacked"),
    ]:
        content = zip_of({"a": bytes(5_000_000)}, how)
        with (
            pytest.raises(NanosegError, match=words),
            opened_zip(content, Path("a.zip")) as archive,
        ):
            read_entry(archive, archive.infolist()[0], 1 << 20, Path("a.zip"))
        # the same with a size that is a lie
        lie = content.replace((5_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
        with pytest.raises(NanosegError, match=r"damaged|unusual way"), opened_zip(lie, Path("a.zip")) as archive:
            read_entry(archive, archive.infolist()[0], 1 << 20, Path("a.zip"))


def test_a_zip_with_endless_entries_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_nanoseg.io.zips.MOST_DIRECTORY", 10_000)
    with opened_zip(zip_of({f"{number:05}": b"" for number in range(100)}), Path("a.zip")) as archive:
        assert len(archive.infolist()) == 100
    with (
        pytest.raises(NanosegError, match="too many entries"),
        opened_zip(zip_of({f"{number:05}": b"" for number in range(300)}), Path("a.zip")),
    ):
        pass


def test_files_of_torch_are_not_packed_and_have_right_checksums(tmp_path: Path) -> None:
    check_torch_file(zip_of({"a/data.pkl": b"x", "a/data/0": bytes(100)}, zipfile.ZIP_STORED), Path("a.pth"), 1 << 20)
    with pytest.raises(NanosegError, match="unpacks to more than it has"):
        check_torch_file(zip_of({"a/data.pkl": b"x", "a/data/0": bytes(100_000)}), Path("a.pth"), 1 << 20)
    flipped = bytearray(zip_of({"a/data/0": b"weights" * 100}, zipfile.ZIP_STORED))
    flipped[300] ^= 1
    with pytest.raises(NanosegError, match="damaged"):
        check_torch_file(bytes(flipped), Path("a.pth"), 1 << 20)
    with pytest.raises(NanosegError, match="more than the 1 MB"):
        check_torch_file(bytes(1 << 21), Path("a.pth"), 1 << 20)


def test_bombs_among_imagej_regions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    region = ImagejRoi.frompoints([[10, 10], [30, 10], [30, 30]]).tobytes()
    (tmp_path / "a.zip").write_bytes(zip_of({"a.roi": region, "b.roi": region, "notes.txt": bytes(100_000)}))
    assert len(read_labels(tmp_path / "a.zip", (80, 100))) == 2
    monkeypatch.setattr("napari_nanoseg.io.annotations.MOST_ROI_BYTES", 1 << 20)
    monkeypatch.setattr("napari_nanoseg.io.annotations.LARGEST_ROI_BYTES", 1 << 18)
    (tmp_path / "a.zip").write_bytes(zip_of({f"{number}.roi": region + bytes(200_000) for number in range(10)}))
    with pytest.raises(NanosegError, match="unpacks to more than 1 MB"):
        read_labels(tmp_path / "a.zip", (80, 100))
    (tmp_path / "a.zip").write_bytes(zip_of({"a.roi": region + bytes(1 << 19)}))
    with pytest.raises(NanosegError, match=r"a\.roi has more than"):
        read_labels(tmp_path / "a.zip", (80, 100))
    (tmp_path / "a.roi").write_bytes(region + bytes(1 << 19))
    with pytest.raises(NanosegError, match="more than the"):
        read_labels(tmp_path / "a.roi", (80, 100))


@pytest.mark.parametrize("suffix", [".roi", ".zip", ".json", ".tif", ".npy", ".png"])
def test_devices_and_pipes_are_no_annotations(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"pipe{suffix}")
    (tmp_path / f"device{suffix}").symlink_to("/dev/zero")
    for name in ("pipe", "device"):
        with pytest.raises(NanosegError, match="a device or a pipe"):
            read_labels(tmp_path / f"{name}{suffix}", (80, 100))


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ('[{"id": 1, "file_name": "a.tif", "height": Infinity, "width": 100}]', "Infinity"),
        ('[{"id": 1, "file_name": "a.tif", "height": -80, "width": 100}]', "has -80 x 100 pixels"),
        ('[{"id": 1, "file_name": "a.tif", "height": 1e18, "width": 100}]', "pixels, which no image has"),
        ('[{"id": 1, "file_name": "a.tif", "height": 99999999999999999999, "width": 100}]', "more than 64 bits"),
        ('[{"id": 1, "file_name": 5, "height": 80, "width": 100}]', "not a COCO file"),
        ('[{"id": [], "file_name": "a.tif"}]', "not a COCO file"),
        ("5", "not a COCO file"),
    ],
)
def test_absurd_numbers_in_coco(tmp_path: Path, images: str, words: str) -> None:
    (tmp_path / "a.json").write_text(f'{{"images": {images}, "annotations": []}}')
    with pytest.raises(NanosegError, match=words):
        read_coco(tmp_path / "a.json")


def test_a_coco_file_without_images_cannot_be_measured(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(NanosegError, match="describes no image"):
        find_labels(tmp_path / "a.json")


def test_chains_and_circles_of_bases_end(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}.yaml").write_text(f"_BASE_: {number + 1}.yaml")
    with pytest.raises(NanosegError, match="builds upon more than 20"):
        read_config(tmp_path / "0.yaml")
    (tmp_path / "device.yaml").symlink_to("/dev/zero")
    (tmp_path / "circle.yaml").symlink_to("circle.yaml")
    for name in ("device.yaml", "circle.yaml", "x" * 300, ".", "..", "'a\\b'"):
        (tmp_path / "a.yaml").write_text(f"_BASE_: {name}")
        with pytest.raises(NanosegError):
            read_config(tmp_path / "a.yaml")


def test_the_inputs_of_the_trial(shared_data: Path, tmp_path: Path) -> None:
    hostile = shared_data / "hostile"
    for name in ("coco_height_inf", "coco_no_image", "coco_file_name_number"):
        with pytest.raises(NanosegError):
            find_labels(hostile / f"{name}.json")
    with pytest.raises(NanosegError, match="more than 50000 values"):
        read_config(hostile / "d2_alias_bomb_config.yaml")
    with pytest.raises(NanosegError, match="unpacks to more than 256 MB"):
        read_labels(hostile / "roi_100_bombs.zip", (80, 100))
    problems = {entry.path.name: entry.problem for entry in list_library(hostile) if entry.path.parent == hostile}
    for name in ("sd_config_bomb.zip", "sd_config_deep", "sd_config_list"):
        assert problems[name] is not None
    assert problems["sd_thresholds_deep"] is None
    for name in ("sd_h5_7GB", "sd_h5_names_scalar"):
        weights = hostile / name / "weights_best.h5"
        with pytest.raises((NanosegError, *DAMAGED)), opened_weights(weights, weights) as file:
            keras_layers(file)
