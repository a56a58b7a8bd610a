"""Starting from torchvision's Mask R-CNN that was trained on COCO, under our names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor

from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.engines.maskrcnn.network import MaskRCNN
from napari_nanoseg.engines.torch_files import load_torch
from napari_nanoseg.errors import NanosegError

COCO_FILE = "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth"
"""As torchvision's download is called."""
_BATCH_NORM = r"(weight|bias|running_mean|running_var)"
_RULES = [
    (rf"backbone\.body\.bn1\.{_BATCH_NORM}", r"backbone.bottom_up.stem.conv1.norm.\1"),
    (r"backbone\.body\.conv1\.weight", "backbone.bottom_up.stem.conv1.weight"),
    (r"backbone\.body\.layer1\.", "backbone.bottom_up.res2."),
    (r"backbone\.body\.layer2\.", "backbone.bottom_up.res3."),
    (r"backbone\.body\.layer3\.", "backbone.bottom_up.res4."),
    (r"backbone\.body\.layer4\.", "backbone.bottom_up.res5."),
    (rf"\.bn([123])\.{_BATCH_NORM}", r".conv\1.norm.\2"),
    (r"\.downsample\.0\.", ".shortcut."),
    (r"\.downsample\.1\.", ".shortcut.norm."),
    (r"rpn\.head\.conv(?:\.0\.0)?\.", "proposal_generator.rpn_head.conv."),
    (r"rpn\.head\.cls_logits\.", "proposal_generator.rpn_head.objectness_logits."),
    (r"rpn\.head\.bbox_pred\.", "proposal_generator.rpn_head.anchor_deltas."),
    (r"roi_heads\.box_head\.fc6\.", "roi_heads.box_head.fc1."),
    (r"roi_heads\.box_head\.fc7\.", "roi_heads.box_head.fc2."),
    (r"roi_heads\.mask_predictor\.conv5_mask\.", "roi_heads.mask_head.deconv."),
    (r"roi_heads\.mask_predictor\.mask_fcn_logits\.", "roi_heads.mask_head.predictor."),
]
_LEVEL = re.compile(r"backbone\.fpn\.(inner|layer)_blocks\.(\d)(?:\.0)?\.")
_MASK = re.compile(r"roi_heads\.mask_head\.(?:(\d)\.0|mask_fcn(\d))\.")
"""Files of torchvision before 0.14 have names without the number of the convolution in its block."""


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of torchvision's ``maskrcnn_resnet50_fpn`` under our names.

    The background, first there, becomes the last class; it has no box and no mask here.
    """
    ours: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        ours[_name(name)] = tensor
    for kind in ("weight", "bias"):
        score, box, mask = (
            f"roi_heads.{part}.{kind}"
            for part in ("box_predictor.cls_score", "box_predictor.bbox_pred", "mask_head.predictor")
        )
        if score in ours:
            ours[score] = torch.cat([ours[score][1:], ours[score][:1]])
        if box in ours:
            ours[box] = ours[box][4:]
        if mask in ours:
            ours[mask] = ours[mask][1:]
    return ours


def _name(name: str) -> str:
    level = _LEVEL.match(name)
    if level is not None:
        kind = "lateral" if level[1] == "inner" else "output"
        return f"backbone.fpn_{kind}{int(level[2]) + 2}.{name[level.end() :]}"
    mask = _MASK.match(name)
    if mask is not None:
        number = int(mask[1]) + 1 if mask[1] is not None else int(mask[2])
        return f"roi_heads.mask_head.mask_fcn{number}.{name[mask.end() :]}"
    for pattern, ours in _RULES:
        name = re.sub(pattern, ours, name)
    return name


def need_fit(config: MaskRCNNConfig) -> None:
    """Refuse a network whose layers are not those that the weights were trained for.

    Raises
    ------
    NanosegError
        With the first field that differs.
    """
    if config.unlike_coco is not None:
        raise NanosegError(
            f"The weights trained on COCO do not fit a network with another {config.unlike_coco}; choose the backbone "
            "resnet50."
        )


def take_over(network: MaskRCNN, state: Mapping[str, Tensor]) -> list[str]:
    """Fill a network with weights as far as they fit; heads for other classes stay fresh.

    Parameters
    ----------
    network : MaskRCNN
    state : mapping of str to tensor
        Under our names.

    Returns
    -------
    list of str
        Names of the tensors that stay fresh.
    """
    own = network.state_dict()
    fitting = {name: tensor for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}
    network.load_state_dict(fitting, strict=False)
    return [name for name in own if name not in fitting and not name.endswith("num_batches_tracked")]


def read_coco(path: Path | None = None) -> dict[str, Tensor]:
    """Read the weights that torchvision trained on COCO, under our names.

    Parameters
    ----------
    path : Path, optional
        Their file; by default the one that torchvision downloads, or has downloaded before.

    Raises
    ------
    NanosegError
        When there is no file and no network to download it, or it is damaged or has other weights.
    """
    state = renamed(_read(path))
    if not any(name.startswith("backbone.bottom_up.res5.") for name in state):
        raise NanosegError(f"{path} has none of the weights of torchvision's maskrcnn_resnet50_fpn; choose that file.")
    return state


def _read(path: Path | None) -> dict[str, Tensor]:
    try:
        if path is not None:
            state = load_torch(path, f"get the file {COCO_FILE} of torchvision anew")
        else:
            from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights

            state = MaskRCNN_ResNet50_FPN_Weights.COCO_V1.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError) as error:
        where = "The weights trained on COCO cannot be downloaded" if path is None else f"{path} cannot be read"
        raise NanosegError(
            f"{where} ({getattr(error, 'reason', None) or error.strerror}); get the file {COCO_FILE} of torchvision "
            "and name its path, or start from another model or from scratch."
        ) from error
    except (RuntimeError, ValueError, EOFError) as error:
        raise NanosegError(f"{path or COCO_FILE} is damaged or no weights; get the file {COCO_FILE} anew.") from error
    if not isinstance(state, Mapping) or not all(isinstance(tensor, Tensor) for tensor in state.values()):
        raise NanosegError(f"{path} has no weights by name; choose the file {COCO_FILE} of torchvision.")
    return dict(state)
