"""The library of models: found by name, copied in and out whole or not at all, and never touched beyond its folder."""

from __future__ import annotations

import itertools
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from napari_nanoseg.config.convert import ConvertJob
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io import model_files, model_library
from napari_nanoseg.io.model_library import (
    check_model,
    export_model,
    find_model,
    import_model,
    list_library,
    remove_model,
    rename_model,
    starter_folder,
)
from napari_nanoseg.io.model_summary import problem_of, summary
from napari_nanoseg.jobs.convert import convert_job
from napari_nanoseg.samples import Sample

WriteModel = Callable[..., Path]
LINK = 0o120777 << 16
BASELINE_FOLDERS = model_library.baseline_folders

pytestmark = pytest.mark.usefixtures("without_starter")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "Modelle"


@pytest.fixture
def gold(library: Path, write_model: WriteModel) -> Path:
    return write_model(library / "gold")


@pytest.fixture
def shipped(tmp_path: Path, write_model: WriteModel, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that comes with the package."""
    folder = write_model(tmp_path / "package" / "starter")
    monkeypatch.setattr(model_library, "starter_folder", lambda: folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def packed(target: Path, files: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target


def names(folder: Path) -> list[str]:
    """All that lies there, hidden leftovers as well."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# --- names -----------------------------------------------------------------------------------------------------------
def test_a_name_is_a_model_of_the_library(
    gold: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_model("gold", library) == gold
    assert find_model(gold, library) == gold
    monkeypatch.setattr(model_library, "models_folder", lambda: library)
    assert find_model("gold") == gold


def test_an_existing_path_wins_over_a_name(
    gold: Path, library: Path, tmp_path: Path, write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "gold")
    assert find_model("gold", library) == Path("gold")


def test_an_unknown_name_is_refused_with_those_there_are(
    gold: Path, library: Path, tmp_path: Path, write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_model(library / "Größe µm")
    with pytest.raises(NanosegError) as told:
        find_model("silver", library)
    assert str(told.value) == (
        f"There is no model at silver, nor one of that name in {library}; choose one of these: gold, Größe µm."
    )
    with pytest.raises(NanosegError, match="nanoseg models import"):
        find_model("silver", tmp_path / "empty")
    with pytest.raises(NanosegError, match=r"no model at .*nowhere/silver; check the path"):
        find_model(tmp_path / "nowhere" / "silver", library)


def test_a_zip_of_the_original_has_its_name(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    library.mkdir()
    path = packed(library / "dsb.zip", {"inner/config.json": '{"n_dim": 2}', "inner/weights_best.h5": b""})
    assert find_model("dsb", library) == find_model("dsb.zip", library) == path


def test_the_models_of_the_library_are_listed_with_the_shipped_one_first(
    gold: Path, library: Path, shipped: Path, write_model: WriteModel
) -> None:
    (write_model(library / "broken") / "weights.safetensors").unlink()
    entries = list_library(library)
    assert [entry.name for entry in entries] == ["starter", "broken", "gold"]
    assert "weights.safetensors" in (entries[1].problem or "")
    assert entries[0].path == shipped
    assert find_model("starter", library) == shipped


def test_the_name_of_the_shipped_model_is_kept_for_it(gold: Path, library: Path, write_model: WriteModel) -> None:
    write_model(library / "starter")
    with pytest.raises(NanosegError, match="no model at starter"):
        find_model("starter", library)
    with pytest.raises(NanosegError, match="kept for a model that comes"):
        rename_model("gold", "Starter", library)
    assert gold.is_dir()


def test_the_shipped_model_lies_in_the_package() -> None:
    import napari_nanoseg

    assert starter_folder() == Path(napari_nanoseg.__file__).parent / "starter"


def test_models_without_a_network_come_with_the_package(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_library, "baseline_folders", BASELINE_FOLDERS)
    assert [entry.name for entry in list_library(library)] == ["watershed", "threshold"]
    assert not any(entry.trainable or entry.thresholds or entry.problem for entry in list_library(library))
    path = find_model("watershed", library)
    assert summary(path)["Network"] == "Otsu's threshold and watershed, no training"
    assert summary(path)["Files"] == "ok"
    with pytest.raises(NanosegError, match="'threshold' comes with NanoSeg"):
        remove_model("threshold", library)
    with pytest.raises(NanosegError, match="kept for a model that comes"):
        import_model(path, library)
    mine = import_model(export_model(path, tmp_path / "out.zip"), library, "mine")
    assert contents(mine) == contents(path)
    assert load_model(mine).card == load_model(path).card
    convert_job(ConvertJob(model=mine, to="nanoseg", out=tmp_path / "whole"))
    assert load_model(tmp_path / "whole").card == load_model(path).card
    with pytest.raises(NanosegError, match="not a StarDist model"):
        convert_job(ConvertJob(model=mine, to="stardist", out=tmp_path / "keras"))


# --- out and in again ------------------------------------------------------------------------------------------------
def test_a_model_comes_back_bit_by_bit_and_finds_the_same(
    disc_model: Path, library: Path, tmp_path: Path, make_sample: Callable[..., Sample]
) -> None:
    trained = shutil.copytree(disc_model, tmp_path / "trained")
    for name in ("run.yaml", "history.csv", "preview.png"):
        (trained / name).write_bytes(name.encode())
    (trained / "checkpoint.pt").write_bytes(b"large")
    (trained / "annotated").mkdir()
    first = export_model(trained, tmp_path / "Größe 1 µm.zip")
    imported = import_model(first, library)
    assert imported == library / "Größe 1 µm"
    assert contents(imported) == {
        name: (trained / name).read_bytes()
        for name in ("model.yaml", "weights.safetensors", "run.yaml", "history.csv", "preview.png")
    }
    image = make_sample("x", 5, shape=(96, 128)).image
    found = load_model(imported).segment(image).to_labels()
    assert found.max() > 5
    np.testing.assert_array_equal(found, load_model(disc_model).segment(image).to_labels())
    assert export_model(trained, tmp_path / "again.zip").read_bytes() == first.read_bytes()
    with zipfile.ZipFile(first) as archive:
        assert all(info.external_attr >> 16 == 0o644 for info in archive.infolist())


@pytest.mark.parametrize("as_zip", [False, True])
def test_a_model_of_the_original_comes_back_bit_by_bit(
    disc_model: Path, library: Path, tmp_path: Path, as_zip: bool
) -> None:
    keras = tmp_path / "keras"
    convert_job(ConvertJob(model=disc_model, out=keras, to="stardist"))
    files = {name: content for name, content in contents(keras).items() if not name.endswith("run.yaml")}
    source = keras
    if as_zip:
        source = packed(tmp_path / "keras.zip", {f"a/b/{name}": content for name, content in files.items()})
    imported = import_model(export_model(source, tmp_path / "out.zip"), library, "mine")
    assert contents(imported) == files
    assert load_model(imported).card.network == load_model(disc_model).card.network


def test_a_folder_is_imported_without_what_is_no_part_of_a_model(gold: Path, tmp_path: Path) -> None:
    (gold / "thesis.txt").write_text("private")
    target = import_model(gold, tmp_path / "other")
    assert names(target) == ["model.yaml", "weights.safetensors"]


def test_what_is_not_a_zip_is_not_exported_to(gold: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("do not touch")
    with pytest.raises(NanosegError, match=r"does not end in \.zip"):
        export_model(gold, tmp_path / "thesis.docx")
    assert (tmp_path / "thesis.docx").read_text() == "do not touch"


def test_an_export_that_fails_leaves_the_zip_before_it(
    gold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = export_model(gold, tmp_path / "gold.zip")
    before = target.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(NanosegError, match="disk is full"):
        export_model(gold, target, overwrite=True)
    assert target.read_bytes() == before
    assert names(tmp_path) == ["Modelle", "gold.zip"]


# --- damage and malice -----------------------------------------------------------------------------------------------
def cut_weights(folder: Path) -> None:
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def other_weights(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(b"some Weights")


def no_weights(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()


def cut_card(folder: Path) -> None:
    path = folder / "model.yaml"
    path.write_text(path.read_text().partition("weights_sha256")[0])


@pytest.mark.parametrize("damage", [cut_weights, other_weights, no_weights, cut_card])
def test_a_damaged_model_goes_neither_out_nor_in(
    damage: Callable[[Path], None], gold: Path, library: Path, tmp_path: Path
) -> None:
    whole = contents(gold)
    damage(gold)
    with pytest.raises(NanosegError, match="gold"):
        check_model(gold)
    assert str(gold) in (problem_of(gold) or "")
    with pytest.raises(NanosegError, match="gold"):
        export_model(gold, tmp_path / "gold.zip")
    assert not (tmp_path / "gold.zip").exists()
    for source in (gold, packed(tmp_path / "g.zip", contents(gold))):
        with pytest.raises(NanosegError, match=source.name):
            import_model(source, library, "new")
    assert names(library) == ["gold"]
    check_model(packed(tmp_path / "whole.zip", whole))  # the damage was what was refused


def cuts(size: int) -> Iterator[int]:
    yield from range(0, size, max(1, size // 25))
    yield size - 1


def test_no_cut_off_zip_is_taken(gold: Path, library: Path, tmp_path: Path) -> None:
    whole = export_model(gold, tmp_path / "whole.zip").read_bytes()
    for end in cuts(len(whole)):
        (tmp_path / "cut.zip").write_bytes(whole[:end])
        with pytest.raises(NanosegError, match=r"cut\.zip"):
            import_model(tmp_path / "cut.zip", library)
    assert names(library) == ["gold"]


def test_flipped_bytes_in_a_zip_are_refused_or_do_not_matter(gold: Path, library: Path, tmp_path: Path) -> None:
    whole, expected = export_model(gold, tmp_path / "whole.zip").read_bytes(), contents(gold)
    refused = 0
    for place in cuts(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 0x55
        (tmp_path / "x.zip").write_bytes(flipped)
        try:
            taken = import_model(tmp_path / "x.zip", library)
        except NanosegError:
            refused += 1
            continue
        assert contents(taken) == expected
        remove_model(taken, library)
    assert refused > 5
    assert names(library) == ["gold"]


@pytest.mark.parametrize("evil", ["../evil", "/tmp/evil", "a/../../evil", "..\\evil", "C:\\evil", "\\\\server\\evil"])
def test_a_zip_that_leads_out_of_the_folder_is_refused(gold: Path, library: Path, tmp_path: Path, evil: str) -> None:
    source = packed(tmp_path / "evil.zip", {**contents(gold), evil: b"evil"})
    before = contents(tmp_path)
    with pytest.raises(NanosegError, match="leads out of the folder"):
        import_model(source, library)
    assert contents(tmp_path) == before
    assert names(library) == ["gold"]


@pytest.mark.parametrize(
    "lines",
    [
        "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in itertools.pairwise("abcdefghijkl")),
        "a: &a [*a]\n",
    ],
    ids=["billions", "within itself"],
)
def test_a_card_that_means_endless_lists_is_refused(gold: Path, library: Path, lines: str) -> None:
    card = gold / "model.yaml"
    inside = "".join(f"  {line}\n" for line in lines.splitlines())
    card.write_text(card.read_text().replace("provenance: {}", f"provenance:\n{inside}".rstrip()))
    assert "&a" in card.read_text()
    words = "more than 50000 values|refers to a value within"
    with pytest.raises(NanosegError, match=words):
        import_model(gold, library, "new")
    assert re.search(words, list_library(library)[0].problem or "")
    assert names(library) == ["gold"]


def test_a_link_in_a_zip_is_refused(gold: Path, library: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        for name, content in contents(gold).items():
            archive.writestr(name, content)
        entry = zipfile.ZipInfo("preview.png")
        entry.external_attr = LINK
        archive.writestr(entry, "/etc/passwd")
    with pytest.raises(NanosegError, match=r"preview\.png' is a link"):
        import_model(tmp_path / "link.zip", library)
    assert names(library) == ["gold"]


@pytest.mark.parametrize("name", ["model.yaml", "weights.safetensors"])
def test_a_zip_that_unpacks_to_too_much_is_refused(
    gold: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(model_files, "MOST_WEIGHTS", 1 << 20)
    monkeypatch.setattr(model_files, "MOST_OTHER", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file, content in {**contents(gold), name: bytes(2 << 20)}.items():
            archive.writestr(file, content)
    assert (tmp_path / "bomb.zip").stat().st_size < 10_000
    with pytest.raises(NanosegError, match=f"{name} it has more than 1 MB"):
        import_model(tmp_path / "bomb.zip", library)
    assert names(library) == ["gold"]


def test_many_weights_are_not_too_much_for_each_but_for_all(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "MOST_WEIGHTS", 3 << 20)
    files = {"config.json": b"{}", **{f"{number}.h5": bytes(1 << 20) for number in range(4)}}
    with pytest.raises(NanosegError, match=r"with 3\.h5 it has more than 3 MB"):
        import_model(packed(tmp_path / "bomb.zip", files), library)
    assert names(library) == []


def test_what_is_no_model_is_refused(gold: Path, library: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("x")
    packed(tmp_path / "other.zip", {"notes.txt": "x"})
    said = {"folder": "is not a model", "text.txt": "is not a model", "other.zip": "neither", "gone": "no model at"}
    for name, words in said.items():
        with pytest.raises(NanosegError, match=words):
            import_model(tmp_path / name, library)
    assert names(library) == ["gold"]


def test_damaged_weights_of_the_original_are_refused(library: Path, tmp_path: Path, disc_model: Path) -> None:
    keras = tmp_path / "keras"
    convert_job(ConvertJob(model=disc_model, out=keras, to="stardist"))
    weights = next(keras.glob("*.h5"))
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(NanosegError, match=r"\.h5 is damaged"):
        import_model(keras, library)
    weights.unlink()
    with pytest.raises(NanosegError, match="no weights file"):
        import_model(keras, library)
    assert names(library) == []


def test_an_import_that_fails_leaves_nothing(gold: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, written = Path.write_bytes, []

    def full(path: Path, content: bytes) -> int:
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        return original(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(NanosegError, match="disk is full"):
        import_model(gold, tmp_path / "other")
    assert len(written) == 1
    assert names(tmp_path / "other") == []


# --- names that cannot be given --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name", ["a/b", "", " ", ".", "..", ".hidden", "a\\b", "a:b", "a\0b", "a\nb", "a ", "x" * 300, "auto", "None"]
)
def test_a_bad_name_is_refused(gold: Path, library: Path, name: str) -> None:
    before = contents(library)
    with pytest.raises(NanosegError, match="name"):
        import_model(gold, library, name)
    with pytest.raises(NanosegError, match="name"):
        rename_model("gold", name, library)
    assert contents(library) == before
    assert names(library) == ["gold"]


def test_a_taken_name_is_refused(gold: Path, library: Path, tmp_path: Path, write_model: WriteModel) -> None:
    write_model(library / "silver", b"other weights")
    packed(library / "packed.zip", {"config.json": '{"n_dim": 2}'})
    (library / "notes").mkdir()
    before = contents(library)
    for taken in ("gold", "packed", "notes"):
        with pytest.raises(NanosegError, match=f"already a model '{taken}'"):
            import_model(gold, library, taken)
        with pytest.raises(NanosegError, match=f"already a model '{taken}'"):
            rename_model("silver", taken, library)
    assert contents(library) == before


# --- renaming and removing -------------------------------------------------------------------------------------------
def test_a_renamed_model_is_the_same_under_another_name(gold: Path, library: Path) -> None:
    before = contents(gold)
    target = rename_model("gold", "Größe", library)
    assert target == find_model("Größe", library) == library / "Größe"
    assert contents(target) == before
    packed(library / "dsb.zip", {"config.json": '{"n_dim": 2}'})
    assert rename_model("dsb", "v1.2", library) == library / "v1.2.zip"
    assert names(library) == ["Größe", "v1.2.zip"]


def test_a_removed_model_is_gone_with_its_folder(gold: Path, library: Path) -> None:
    (gold / "preview.png").write_bytes(b"picture")
    packed(library / "dsb.zip", {"config.json": '{"n_dim": 2}'})
    assert remove_model("gold", library) == gold
    remove_model(library / "dsb.zip", library)
    assert names(library) == []


def test_annotated_images_are_removed_with_a_model_only_when_that_is_said(gold: Path, library: Path) -> None:
    outline = gold / "annotated" / "masks" / "a.tif"
    outline.parent.mkdir(parents=True)
    outline.write_bytes(b"hours of work")
    with pytest.raises(NanosegError, match="annotated holds the images and outlines"):
        remove_model("gold", library)
    assert outline.read_bytes() == b"hours of work"
    remove_model("gold", library, annotations=True)
    assert names(library) == []


def test_a_damaged_model_can_be_removed(gold: Path, library: Path) -> None:
    cut_card(gold)
    remove_model("gold", library)
    assert names(library) == []


def test_only_models_of_the_library_are_touched(
    gold: Path, library: Path, shipped: Path, tmp_path: Path, write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "silver")
    write_model(gold / "inner")
    (library / "notes").mkdir()
    (tmp_path / "model.yaml").write_text("")  # the folder above looks like a model, too
    before = contents(tmp_path)
    refused = {
        "silver": "not in the library", str(tmp_path / "silver"): "not in the library",
        str(gold / "inner"): "not in the library", str(library / "notes"): "not a model",
        str(library): "not in the library", "..": "not in the library", f"{library}/..": "not in the library",
        str(library / ".." / "silver"): "not in the library", ".": "not in the library", "": "not in the library",
        "starter": "comes with NanoSeg", str(shipped): "comes with NanoSeg", "gone": "choose one of these",
    }  # fmt: skip
    for name, words in refused.items():
        with pytest.raises(NanosegError, match=words):
            remove_model(name, library)
        with pytest.raises(NanosegError, match=words):
            rename_model(name, "new", library)
    assert contents(tmp_path) == before


def test_a_folder_in_the_way_is_not_taken_for_the_model_of_that_name(
    gold: Path, library: Path, tmp_path: Path, write_model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "gold")
    write_model(tmp_path / "Au")
    rename_model("gold", "Au", library)
    remove_model("Au", library)
    assert names(library) == []
    assert names(tmp_path) == ["Au", "Modelle", "gold"]


def test_of_a_linked_model_only_the_link_is_removed(library: Path, tmp_path: Path, write_model: WriteModel) -> None:
    elsewhere = write_model(tmp_path / "shared disk" / "gold")
    library.mkdir()
    (library / "gold").symlink_to(elsewhere, target_is_directory=True)
    remove_model("gold", library)
    assert names(library) == []
    assert names(elsewhere) == ["model.yaml", "weights.safetensors"]


# --- in words --------------------------------------------------------------------------------------------------------
def test_a_model_is_described_in_words(library: Path, write_model: WriteModel) -> None:
    record = {
        "finished": "2026-01-02T03:04:05+00:00", "config": {"dataset": "particles", "start_from": "starter"},
        "figures": {"validation_accuracy": 0.87654, "steps": 300},
    }  # fmt: skip
    path = write_model(library / "gold", working_diameter=24, training_pixel_size_nm=1.5, provenance=record)
    lines = summary(path)
    assert lines["Name"] == "gold"
    assert "32 rays" in lines["Network"]
    assert lines["Thresholds"] == "probability 0.5, overlap 0.4"
    assert lines["Working diameter"] == "24 px"
    assert lines["Training diameter"] == "any; estimated in every image"
    assert lines["Training pixel size"] == "1.5 nm"
    assert lines["Trained"] == record["finished"]
    assert (lines["Trained on"], lines["Started from"]) == ("particles", "starter")
    assert lines["Figures"] == "validation_accuracy 0.8765, steps 300"
    assert lines["Files"] == "ok"
    cut_weights(path)
    assert "hash" in summary(path)["Files"]
    cut_card(path)
    assert summary(path).keys() == {"Name", "Path", "Files"}


@pytest.mark.parametrize("record", [{}, {"config": "x", "figures": [1]}, {"read_from": "dsb.zip"}, {"config": {}}])
def test_records_of_other_programs_are_no_reason_to_fail(record: dict, library: Path, write_model: WriteModel) -> None:
    path = write_model(library / "gold", provenance=record)
    lines = summary(path)
    assert lines["Files"] == "ok"
    assert yaml.safe_load((path / "model.yaml").read_text())["provenance"] == record
    assert ("Made from" in lines) == ("read_from" in record)


def test_a_folder_that_is_no_model_does_not_hide_a_name(library, write_model, tmp_path, monkeypatch):
    named = write_model(library / "gold")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gold").mkdir()
    assert find_model("gold", library) == named
    (tmp_path / "silver").mkdir()
    assert find_model("silver") == Path("silver"), "to be told what it lacks"
