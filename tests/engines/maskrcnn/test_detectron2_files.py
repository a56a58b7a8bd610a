"""Files of Detectron2: read with care, refused in sentences, written so that nothing is lost."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from followed import events_of

from napari_nanoseg.config.convert import ConvertJob
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.model_card import ModelCard
from napari_nanoseg.config.segment import SegmentConfig
from napari_nanoseg.engines.library import load_model
from napari_nanoseg.engines.maskrcnn.detectron2_files import write_detectron2
from napari_nanoseg.engines.maskrcnn.model import MaskRCNNModel
from napari_nanoseg.engines.maskrcnn.network import MaskRCNN
from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import Notice
from napari_nanoseg.io.detectron2_config import FIELDS, RATIOS, SIZES
from napari_nanoseg.jobs.convert import convert_job
from napari_nanoseg.samples import Image

SMALL = MaskRCNNConfig(
    backbone="custom", depth=50, stem_channels=8, res2_channels=16, width_per_group=4, norm="FrozenBN", fpn_channels=8,
    fpn_norm="none", box_fc_channels=16, mask_conv_channels=8, mask_norm="none", box_fc_count=1, mask_conv_count=1,
    n_classes=2, channel_format="BGR", stride_in_1x1=True, min_size_test=64, max_size_test=200,
    anchor_sizes=(8, 12, 16, 24, 32, 48, 64, 96, 128, 192), anchor_ratios=(0.5, 1, 2, 4), detections_per_image=50,
    freeze_at=0,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(5)
    network = MaskRCNN(SMALL)
    network.roi_heads.box_predictor.cls_score.bias.data[:] = torch.tensor([1.0, 0.5, 0.0])
    write_detectron2(network.state_dict(), SMALL, tmp_path / "d2")
    return tmp_path / "d2"


@pytest.fixture
def image() -> Image:
    return Image(np.random.default_rng(1).integers(0, 255, (50, 60), np.uint8))


def state_of(path: Path) -> dict[str, torch.Tensor]:
    return load_model(path).network.state_dict()


def change_config(folder: Path, key: str, value: object) -> None:
    tree = yaml.safe_load((folder / "config.yaml").read_text())
    *parents, last = key.split(".")
    inner = tree
    for part in parents:
        inner = inner.setdefault(part, {})
    inner[last] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(tree))


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_config_and_weights_survive_both_ways(folder, tmp_path, image):
    model = load_model(folder)
    assert isinstance(model, MaskRCNNModel)
    assert model.network.config.model_dump() == SMALL.model_dump()
    model.save(tmp_path / "own")
    convert_job(ConvertJob(model=tmp_path / "own", out=tmp_path / "back", to="detectron2"))
    assert_same(state_of(folder), state_of(tmp_path / "back"))
    before, after = (yaml.safe_load((place / "config.yaml").read_text()) for place in (folder, tmp_path / "back"))
    assert before == after
    found = [
        load_model(place).segment(image, SegmentConfig(device="cpu"))
        for place in (folder, tmp_path / "own", tmp_path / "back")
    ]
    assert len(found[0])
    for other in found[1:]:
        np.testing.assert_array_equal(other.scores, found[0].scores)
        np.testing.assert_array_equal(other.to_labels(), found[0].to_labels())


def test_the_original_model_survives_both_ways(shared_data, tmp_path):
    original = shared_data / "reference_models" / "detectron2"
    convert_job(ConvertJob(model=original, out=tmp_path / "own"))
    convert_job(ConvertJob(model=tmp_path / "own", out=tmp_path / "back", to="detectron2"))
    theirs = torch.load(original / "model.pth", weights_only=True)["model"]
    assert_same(theirs, torch.load(tmp_path / "back" / "model_final.pth", weights_only=True)["model"])
    before, after = (yaml.safe_load((place / "config.yaml").read_text()) for place in (original, tmp_path / "back"))
    for key in [*FIELDS, SIZES, RATIOS]:
        old, new = before, after
        for part in key.split("."):
            old, new = old[part], new.get(part) if isinstance(new, dict) else None
        assert new is None or (new == old and type(new) is type(old)), key


def test_a_light_model_can_be_given_to_detectron2(tmp_path):
    card = ModelCard(network=MaskRCNNConfig(), working_diameter=32, training_diameter=20)
    MaskRCNNModel.from_card(card).save(tmp_path / "light")
    job = ConvertJob(model=tmp_path / "light", out=tmp_path / "d2", to="detectron2")
    said = [event.message for event in events_of(lambda: convert_job(job))[0] if isinstance(event, Notice)]
    assert any("32 px" in sentence for sentence in said)
    assert any("percentiles" in sentence for sentence in said)
    assert_same(state_of(tmp_path / "light"), state_of(tmp_path / "d2"))


def test_numpy_weights_of_the_model_zoo_and_of_old_checkpoints_are_read(folder, tmp_path):
    arrays = {name: tensor.numpy() for name, tensor in state_of(folder).items()}
    old = arrays | {
        "pixel_mean": np.zeros((3, 1, 1)), "pixel_std": np.ones((3, 1, 1)),
        "proposal_generator.anchor_generator.cell_anchors.0": np.zeros((3, 4)),
    }  # fmt: skip
    wanted = state_of(folder)
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        zoo = tmp_path / f"zoo{protocol}"
        zoo.mkdir()
        shutil.copy(folder / "config.yaml", zoo)
        (zoo / "model.pkl").write_bytes(pickle.dumps({"model": old, "__author__": "zoo"}, protocol))
        assert_same(wanted, state_of(zoo / "model.pkl"))
    torch.save({"model": old, "iteration": 3}, folder / "model_final.pth")
    assert_same(wanted, state_of(folder))


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("the pickle ran",)


@pytest.mark.parametrize("suffix", [".pkl", ".pth"])
def test_a_pickle_that_runs_code_is_refused(folder, capsys, suffix):
    (folder / "model_final.pth").unlink()
    path = folder / f"evil{suffix}"
    if suffix == ".pkl":
        path.write_bytes(pickle.dumps({"model": Evil()}))
    else:
        torch.save({"model": Evil()}, path)
    with pytest.raises(NanosegError, match="could run any code"):
        load_model(path)
    assert capsys.readouterr().out == ""


def test_other_contents_are_refused_in_sentences(folder):
    (folder / "model_final.pth").unlink()
    path = folder / "w.pkl"
    for content, words in [
        (pickle.dumps({"blobs": {"conv1_w": np.zeros(3)}}), "Caffe2"),
        (pickle.dumps({"conv1_w": np.zeros(3)}), "Caffe2"),
        (pickle.dumps([1, 2]), "no weights by name"),
        (pickle.dumps({"model": {"a": np.array([None])}}), "not a tensor|damaged"),
        (b"\x80\x04nonsense", "damaged"),
    ]:
        path.write_bytes(content)
        with pytest.raises(NanosegError, match=words):
            load_model(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MODEL.META_ARCHITECTURE", "RetinaNet"),
        ("MODEL.KEYPOINT_ON", True),
        ("MODEL.ROI_HEADS.NAME", "CascadeROIHeads"),
        ("MODEL.RESNETS.DEFORM_ON_PER_STAGE", [False, True, True, True]),
        ("MODEL.PROPOSAL_GENERATOR.NAME", "RRPN"),
        ("MODEL.BACKBONE.NAME", "build_resnet_backbone"),
        ("MODEL.RESNETS.NORM", "LN"),
        ("MODEL.ROI_BOX_HEAD.POOLER_TYPE", "ROIPool"),
        ("INPUT.FORMAT", "YUV-BT.601"),
        ("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS", [[1.0], [2.0], [1.0], [1.0], [1.0]]),
    ],
)
def test_a_network_that_cannot_be_made_is_refused_by_its_key(folder, key, value):
    change_config(folder, key, value)
    with pytest.raises(NanosegError, match=key.replace(".", r"\.")) as error:
        load_model(folder)
    assert str(value).split(",")[0] in str(error.value)


def test_config_and_weights_that_do_not_fit_name_the_key_and_both_shapes(folder):
    change_config(folder, "MODEL.ROI_HEADS.NUM_CLASSES", 5)
    with pytest.raises(NanosegError, match=r"cls_score\.weight has the shape \(3, 16\), but \(6, 16\)"):
        load_model(folder)
    change_config(folder, "MODEL.ROI_HEADS.NUM_CLASSES", 2)
    change_config(folder, "MODEL.RESNETS.DEPTH", 101)
    with pytest.raises(NanosegError, match=r"lack backbone\.bottom_up\.res4\.6\..* shape \("):
        load_model(folder)
    change_config(folder, "MODEL.RESNETS.DEPTH", 50)
    change_config(folder, "MODEL.ROI_BOX_HEAD.NUM_FC", 0)
    with pytest.raises(NanosegError, match="do not fit together"):
        load_model(folder)
    assert (folder / "config.yaml").is_file()


def test_bases_lie_in_the_same_folder_and_base_rcnn_fpn_is_known(folder):
    wanted = state_of(folder)
    (folder / "config.yaml").rename(folder / "common.yml")
    (folder / "config.yaml").write_text("_BASE_: common.yml\nMODEL:\n  PIXEL_STD: [2.0, 2.0, 2.0]\n")
    model = load_model(folder)
    assert model.network.config.pixel_std == (2.0, 2.0, 2.0)
    assert_same(wanted, model.network.state_dict())
    for base in ("../common.yml", "/etc/passwd", "~/x.yaml", "config.yaml"):
        (folder / "config.yaml").write_text(f"_BASE_: {base}\n")
        with pytest.raises(NanosegError, match="_BASE_"):
            load_model(folder)
    (folder / "config.yaml").write_text("_BASE_: ../Base-RCNN-FPN.yaml\nMODEL:\n  RESNETS: {DEPTH: 101}\n")
    with pytest.raises(NanosegError, match=r"stem\.conv1\.weight has the shape \(8, 3, 7, 7\), but \(64, 3, 7, 7\)"):
        load_model(folder)
    (folder / "config.yaml").write_text("!!python/object/apply:os.system ['true']")
    with pytest.raises(NanosegError, match="Python objects"):
        load_model(folder)


def test_which_weights_and_config_of_several(folder, tmp_path):
    shutil.copy(folder / "model_final.pth", folder / "model_0001.pth")
    load_model(folder)
    (folder / "model_final.pth").rename(folder / "model_0002.pth")
    with pytest.raises(NanosegError, match="choose one of the files"):
        load_model(folder)
    (folder / "last_checkpoint").write_text("model_0002.pth")
    load_model(folder)
    load_model(folder / "model_0001.pth")
    (folder / "config.yaml").rename(folder / "a.yaml")
    shutil.copy(folder / "a.yaml", folder / "b.yaml")
    with pytest.raises(NanosegError, match=r"give the one of model_0001\.pth the name config\.yaml"):
        load_model(folder / "model_0001.pth")
    (folder / "a.yaml").rename(folder / "model_0001.yaml")
    load_model(folder / "model_0001.pth")
    shutil.copy(folder / "model_0001.pth", tmp_path / "alone.pth")
    with pytest.raises(NanosegError, match="no config of Detectron2"):
        load_model(tmp_path / "alone.pth")


def test_only_models_of_the_right_kind_are_converted(folder, disc_model, tmp_path):
    with pytest.raises(NanosegError, match="not a StarDist model"):
        convert_job(ConvertJob(model=folder, out=tmp_path / "x", to="stardist"))
    with pytest.raises(NanosegError, match="not a Mask R-CNN model"):
        convert_job(ConvertJob(model=disc_model, out=tmp_path / "x", to="detectron2"))
