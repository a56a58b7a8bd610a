"""torchvision's weights under our names give torchvision's features."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights, maskrcnn_resnet50_fpn

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.engines.maskrcnn.coco_weights import need_fit, read_coco, renamed, take_over
from napari_nanoseg.engines.maskrcnn.network import MaskRCNN
from napari_nanoseg.errors import NanosegError


@pytest.fixture(scope="module")
def original() -> torch.nn.Module:
    torch.manual_seed(3)
    model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=3).eval()
    for name, values in model.named_buffers():
        if "running" in name:
            values.copy_(torch.rand_like(values) + 0.5)
    return model


def test_all_weights_fit_and_all_stages_agree(original):
    network = MaskRCNN(MaskRCNNConfig(backbone="resnet50", n_classes=2)).eval()
    network.load_state_dict(renamed(original.state_dict()))
    image = torch.randn(1, 3, 96, 128)
    with torch.inference_mode():
        theirs, ours = list(original.backbone(image).values()), network.features(image)
        for one, other in zip(theirs, ours, strict=True):
            torch.testing.assert_close(other, one, atol=1e-4, rtol=1e-4)
        logits, _ = original.rpn.head(theirs)
        output = network.rpn(ours)
        # theirs lie as (anchors, rows, columns), ours as (rows, columns, anchors)
        torch.testing.assert_close(output.logits[0], logits[0].permute(0, 2, 3, 1).flatten(1), atol=1e-3, rtol=1e-3)
        cut = torch.randn(2, 256, 7, 7)
        scores, boxes = original.roi_heads.box_predictor(original.roi_heads.box_head(cut))
        own_scores, own_boxes = network.roi_heads.box_predictor(network.roi_heads.box_head(cut))
        torch.testing.assert_close(own_scores, torch.cat([scores[:, 1:], scores[:, :1]], dim=1))
        torch.testing.assert_close(own_boxes, boxes[:, 4:])
        cut = torch.randn(2, 256, 14, 14)
        masks = original.roi_heads.mask_predictor(original.roi_heads.mask_head(cut))
        torch.testing.assert_close(network.roi_heads.mask_head(cut), masks[:, 1:], atol=1e-4, rtol=1e-4)


def test_heads_for_other_classes_stay_fresh(original, tmp_path):
    torch.save(original.state_dict(), tmp_path / "coco.pth")
    network = MaskRCNN(MaskRCNNConfig(backbone="resnet50", n_classes=1))
    before = network.roi_heads.mask_head.predictor.weight.clone()
    fresh = take_over(network, read_coco(tmp_path / "coco.pth"))
    heads = ("box_predictor.cls_score", "box_predictor.bbox_pred", "mask_head.predictor")
    assert sorted(fresh) == sorted(f"roi_heads.{head}.{kind}" for head in heads for kind in ("weight", "bias"))
    torch.testing.assert_close(network.roi_heads.mask_head.predictor.weight, before)
    theirs = original.state_dict()["backbone.fpn.layer_blocks.3.0.weight"]
    torch.testing.assert_close(network.state_dict()["backbone.fpn_output5.weight"], theirs)


def test_what_cannot_be_used_is_said_in_a_sentence(tmp_path, monkeypatch):
    need_fit(MaskRCNNConfig(backbone="resnet50", n_classes=7))
    for other in (MaskRCNNConfig(), MaskRCNNConfig(backbone="resnet50", stride_in_1x1=True)):
        with pytest.raises(NanosegError, match="choose the backbone resnet50"):
            need_fit(other)
    with pytest.raises(NanosegError, match="get the file maskrcnn_resnet50"):
        read_coco(tmp_path / "none.pth")
    (tmp_path / "bad.pth").write_bytes(b"no weights")
    with pytest.raises(NanosegError, match="damaged"):
        read_coco(tmp_path / "bad.pth")
    torch.save({"something": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(NanosegError, match="none of the weights"):
        read_coco(tmp_path / "other.pth")

    def offline(*_: object, **__: object) -> Path:
        raise URLError("no network")

    monkeypatch.setattr(MaskRCNN_ResNet50_FPN_Weights, "get_state_dict", offline)
    with pytest.raises(NanosegError, match=r"cannot be downloaded.*name its path"):
        read_coco()
