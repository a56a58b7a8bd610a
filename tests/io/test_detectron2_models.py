"""Models of Detectron2 in the library: known without torch, copied whole, refused when they are not."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.io.detectron2_config import write_config
from napari_nanoseg.io.model_cards import describe_model, is_model, list_models, model_name
from napari_nanoseg.io.model_library import export_model, find_model, import_model, list_library
from napari_nanoseg.io.model_summary import summary


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What Detectron2 leaves: a zip of tensors, of which the library only sees that it is whole, and a config."""
    place = tmp_path / "wires"
    place.mkdir()
    with zipfile.ZipFile(place / "model_final.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"numbers" * 100)
    write_config(MaskRCNNConfig.detectron2().model_copy(update={"score_threshold": 0.3}), place / "base.yml")
    (place / "config.yaml").write_text("_BASE_: base.yml\nMODEL: {ROI_HEADS: {NUM_CLASSES: 2}}\n")
    return place


def test_folder_and_weights_are_models(folder, tmp_path):
    for path in (folder, folder / "model_final.pth"):
        assert is_model(path)
        assert describe_model(path).problem is None
        assert describe_model(path).thresholds == {"prob": 0.3, "nms": 0.5}
        assert "ResNet-50, 256 channels, 2 classes, BGR, in Detectron2's format" in summary(path)["Network"]
        assert summary(path)["Files"] == "ok"
    assert (model_name(folder), model_name(folder / "model_final.pth")) == ("wires", "model_final")
    assert [entry.name for entry in list_models(tmp_path)] == ["wires"]
    assert not is_model(tmp_path / "none.pth")
    (folder / "config.yaml").unlink()
    (folder / "base.yml").unlink()
    assert not is_model(folder)


@pytest.mark.parametrize("source", ["", "model_final.pth", "zip"])
def test_imported_and_exported_whole(folder, tmp_path, source):
    path = folder / source
    if source == "zip":
        path = export_model(folder, tmp_path / "wires.zip")
    library = tmp_path / "library"
    imported = import_model(path, library, "mine")
    for name in ("model_final.pth", "config.yaml", "base.yml"):
        assert (imported / name).read_bytes() == (folder / name).read_bytes()
    assert find_model("mine", library) == imported
    assert [entry.name for entry in list_library(library) if entry.path.parent == library] == ["mine"]


def test_damaged_ones_are_not_imported(folder, tmp_path):
    weights = (folder / "model_final.pth").read_bytes()
    config = (folder / "config.yaml").read_text()
    for name, content, words in [
        ("model_final.pth", weights[: len(weights) // 2], "damaged"),
        ("config.yaml", b"_BASE_: other.yml", r"There is no file .*other\.yml"),
        ("config.yaml", b"MODEL: {META_ARCHITECTURE: RetinaNet}", "META_ARCHITECTURE is 'RetinaNet'"),
        ("config.yaml", b"- 3", "not a config of Detectron2"),
    ]:
        (folder / "model_final.pth").write_bytes(weights)
        (folder / "config.yaml").write_text(config)
        (folder / name).write_bytes(content)
        with pytest.raises(NanosegError, match=words):
            import_model(folder, tmp_path / "library", "mine")
        assert not (tmp_path / "library" / "mine").exists()


def test_a_zip_that_leads_out_is_refused(folder, tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("../config.yaml", "MODEL: {}")
        archive.writestr("model.pth", b"x")
    (tmp_path / "bad.zip").write_bytes(content.getvalue())
    with pytest.raises(NanosegError, match="leads out"):
        import_model(tmp_path / "bad.zip", tmp_path / "library")
