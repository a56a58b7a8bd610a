"""Detectron2's ``config.yaml`` and ours: which key is which field, what is refused, what is left to defaults."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from napari_nanoseg.config.base import describe_one
from napari_nanoseg.config.maskrcnn import LEVELS, MaskRCNNConfig
from napari_nanoseg.documents import CONFIGS, parse_yaml
from napari_nanoseg.errors import NanosegError, shown
from napari_nanoseg.io.atomic import write_text
from napari_nanoseg.reading import read_file

Tree = dict[str, Any]

FIELDS = {
    "INPUT.FORMAT": "channel_format",
    "INPUT.MIN_SIZE_TEST": "min_size_test",
    "INPUT.MAX_SIZE_TEST": "max_size_test",
    "MODEL.PIXEL_MEAN": "pixel_mean",
    "MODEL.PIXEL_STD": "pixel_std",
    "MODEL.BACKBONE.FREEZE_AT": "freeze_at",
    "MODEL.RESNETS.DEPTH": "depth",
    "MODEL.RESNETS.STEM_OUT_CHANNELS": "stem_channels",
    "MODEL.RESNETS.RES2_OUT_CHANNELS": "res2_channels",
    "MODEL.RESNETS.NUM_GROUPS": "groups",
    "MODEL.RESNETS.WIDTH_PER_GROUP": "width_per_group",
    "MODEL.RESNETS.NORM": "norm",
    "MODEL.RESNETS.STRIDE_IN_1X1": "stride_in_1x1",
    "MODEL.FPN.OUT_CHANNELS": "fpn_channels",
    "MODEL.FPN.NORM": "fpn_norm",
    "MODEL.FPN.FUSE_TYPE": "fpn_fuse",
    "MODEL.ANCHOR_GENERATOR.OFFSET": "anchor_offset",
    "MODEL.PROPOSAL_GENERATOR.MIN_SIZE": "rpn_min_box_size",
    "MODEL.RPN.CONV_DIMS": "rpn_conv_channels",
    "MODEL.RPN.BBOX_REG_WEIGHTS": "rpn_box_weights",
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN": "rpn_pre_nms_topk_train",
    "MODEL.RPN.PRE_NMS_TOPK_TEST": "rpn_pre_nms_topk_test",
    "MODEL.RPN.POST_NMS_TOPK_TRAIN": "rpn_post_nms_topk_train",
    "MODEL.RPN.POST_NMS_TOPK_TEST": "rpn_post_nms_topk_test",
    "MODEL.RPN.NMS_THRESH": "rpn_nms_threshold",
    "MODEL.RPN.IOU_THRESHOLDS": "rpn_iou_thresholds",
    "MODEL.RPN.BOUNDARY_THRESH": "rpn_boundary_threshold",
    "MODEL.RPN.BATCH_SIZE_PER_IMAGE": "rpn_batch_per_image",
    "MODEL.RPN.POSITIVE_FRACTION": "rpn_positive_fraction",
    "MODEL.RPN.SMOOTH_L1_BETA": "rpn_smooth_l1_beta",
    "MODEL.ROI_HEADS.NUM_CLASSES": "n_classes",
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE": "roi_batch_per_image",
    "MODEL.ROI_HEADS.POSITIVE_FRACTION": "roi_positive_fraction",
    "MODEL.ROI_HEADS.IOU_THRESHOLDS": "roi_iou_threshold",
    "MODEL.ROI_HEADS.PROPOSAL_APPEND_GT": "roi_append_truth",
    "MODEL.ROI_HEADS.SCORE_THRESH_TEST": "score_threshold",
    "MODEL.ROI_HEADS.NMS_THRESH_TEST": "nms_threshold",
    "MODEL.ROI_BOX_HEAD.NUM_CONV": "box_conv_count",
    "MODEL.ROI_BOX_HEAD.CONV_DIM": "box_conv_channels",
    "MODEL.ROI_BOX_HEAD.NORM": "box_norm",
    "MODEL.ROI_BOX_HEAD.NUM_FC": "box_fc_count",
    "MODEL.ROI_BOX_HEAD.FC_DIM": "box_fc_channels",
    "MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG": "class_agnostic_box",
    "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS": "box_weights",
    "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA": "box_smooth_l1_beta",
    "MODEL.ROI_BOX_HEAD.POOLER_TYPE": "box_pooler",
    "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION": "box_resolution",
    "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO": "box_sampling_ratio",
    "MODEL.ROI_MASK_HEAD.NUM_CONV": "mask_conv_count",
    "MODEL.ROI_MASK_HEAD.CONV_DIM": "mask_conv_channels",
    "MODEL.ROI_MASK_HEAD.NORM": "mask_norm",
    "MODEL.ROI_MASK_HEAD.CLS_AGNOSTIC_MASK": "class_agnostic_mask",
    "MODEL.ROI_MASK_HEAD.POOLER_TYPE": "mask_pooler",
    "MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION": "mask_resolution",
    "MODEL.ROI_MASK_HEAD.POOLER_SAMPLING_RATIO": "mask_sampling_ratio",
    "TEST.DETECTIONS_PER_IMAGE": "detections_per_image",
}
"""Our field by Detectron2's key."""
SIZES, RATIOS = "MODEL.ANCHOR_GENERATOR.SIZES", "MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS"

KEYS = {name: key for key, name in FIELDS.items()} | {"anchor_sizes": SIZES, "anchor_ratios": RATIOS}

NEEDED: dict[str, Any] = {
    "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
    "MODEL.MASK_ON": True,
    "MODEL.KEYPOINT_ON": False,
    "MODEL.LOAD_PROPOSALS": False,
    "MODEL.BACKBONE.NAME": "build_resnet_fpn_backbone",
    "MODEL.RESNETS.OUT_FEATURES": ["res2", "res3", "res4", "res5"],
    "MODEL.RESNETS.DEFORM_ON_PER_STAGE": [False, False, False, False],
    "MODEL.RESNETS.RES5_DILATION": 1,
    "MODEL.FPN.IN_FEATURES": ["res2", "res3", "res4", "res5"],
    "MODEL.ANCHOR_GENERATOR.NAME": "DefaultAnchorGenerator",
    "MODEL.PROPOSAL_GENERATOR.NAME": "RPN",
    "MODEL.RPN.HEAD_NAME": "StandardRPNHead",
    "MODEL.RPN.IN_FEATURES": ["p2", "p3", "p4", "p5", "p6"],
    "MODEL.ROI_HEADS.NAME": "StandardROIHeads",
    "MODEL.ROI_HEADS.IN_FEATURES": ["p2", "p3", "p4", "p5"],
    "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
    "MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE": False,
    "MODEL.ROI_MASK_HEAD.NAME": "MaskRCNNConvUpsampleHead",
}
"""What Mask R-CNN with a feature pyramid has; anything else is refused. Base-RCNN-FPN has it, too."""

NEWER = {"MODEL.ROI_BOX_HEAD.USE_SIGMOID_CE", "MODEL.RPN.CONV_DIMS"}
"""Keys that the first versions of Detectron2 do not know: only written where they say something."""
BASE = "Base-RCNN-FPN.yaml"
MOST_BASES = 20
"""Configs that build upon each other."""
LONGEST_LITERAL = 1000
"""Characters of a text that stands for a tuple."""
_ADVICE = "choose the config.yaml of the model, as Detectron2's dump() writes it"


Reader = Callable[[Path], bytes]


def _read(path: Path) -> bytes:
    return read_file(path, CONFIGS.size, _ADVICE)


def read_config(path: Path, read: Reader = _read) -> MaskRCNNConfig:
    """Read a config of Detectron2.

    Keys that it lacks have the values of Detectron2's ``Base-RCNN-FPN.yaml``, whether it names that as its ``_BASE_``
    or not; other files named so are read from its own folder.

    Parameters
    ----------
    path : Path
    read : callable
        Gives the content of a file, which may lie in a zip.

    Raises
    ------
    NanosegError
        When it cannot be read, or asks for a network that cannot be made here; it names the key.
    """
    tree: Tree = {}
    for file in reversed(config_files(path, read)):
        tree = _merged(tree, _load(file, read))
    return parse_config(tree, path)


def config_files(path: Path, read: Reader = _read) -> list[Path]:
    """A config and the files beside it that it builds upon, each on the next.

    Raises
    ------
    NanosegError
        When one cannot be read, or lies in another folder.
    """
    files = [path]
    while (base := _load(files[-1], read).get("_BASE_")) is not None:
        name, folder = str(base), path.parent
        if Path(name).name == BASE:  # its values are the defaults here
            break
        if Path(name).name != name or "\\" in name or not _lies_in(folder / name, folder):
            raise NanosegError(
                f"{files[-1]}: its _BASE_ is {shown(name)}; put that file beside it and name it without a folder."
            )
        if len(files) == MOST_BASES:
            raise NanosegError(f"{path} builds upon more than {MOST_BASES} others by _BASE_; write it as a whole.")
        if folder / name in files:
            raise NanosegError(f"{files[-1]}: its _BASE_ is {shown(name)}, which builds upon this file; name another.")
        files.append(folder / name)
    return files


def _lies_in(path: Path, folder: Path) -> bool:
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a name that is too long, links in a circle
        return False


def parse_config(tree: Tree, path: Path) -> MaskRCNNConfig:
    """Make our config of the nested values of Detectron2's; `path` is named in sentences."""
    for key, needed in NEEDED.items():
        found = _get(tree, key, needed)
        if (list(found) if isinstance(found, tuple) else found) != needed:
            raise NanosegError(
                f"{path}: {key} is {shown(found)}; only Mask R-CNN on a residual network with a feature pyramid "
                f"can be used ({key}: {needed!r})."
            )
    values = MaskRCNNConfig.detectron2().model_dump()
    for key, name in FIELDS.items():
        found = _get(tree, key, _MISSING)
        if found is not _MISSING:
            values[name] = FROM.get(name, _same)(_literal(found), key, path)
    values["anchor_sizes"] = _sizes(_literal(_get(tree, SIZES, None)), values["anchor_sizes"], path)
    values["anchor_ratios"] = _ratios(_literal(_get(tree, RATIOS, None)), values["anchor_ratios"], path)
    try:
        return MaskRCNNConfig.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        key = KEYS.get(str(problem["loc"][0]), "the config") if problem["loc"] else "the config"
        raise NanosegError(f"{path}: {describe_one(problem, key)}.") from error


def config_text(config: MaskRCNNConfig) -> str:
    """The whole of a config as Detectron2's ``config.yaml``."""
    tree: Tree = {"VERSION": 2}
    values = config.model_dump(mode="json") | dict(config.architecture._asdict())
    known = MaskRCNNConfig.detectron2()
    for key, needed in NEEDED.items():
        if key not in NEWER:
            _put(tree, key, needed)
    for key, name in FIELDS.items():
        if key not in NEWER or values[name] != known.model_dump(mode="json")[name]:
            _put(tree, key, TO.get(name, _plain)(values[name]))
    _put(tree, "MODEL.RPN.IOU_LABELS", [0, -1, 1])
    _put(tree, SIZES, [list(sizes) for sizes in config.sizes_of_levels])
    _put(tree, RATIOS, [list(config.anchor_ratios)])
    return yaml.safe_dump(tree, sort_keys=False)


def write_config(config: MaskRCNNConfig, path: Path) -> None:
    """Write a config for Detectron2."""
    write_text(path, config_text(config))


_MISSING = object()


def _get(tree: Tree, key: str, default: Any) -> Any:
    value: Any = tree
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return default
        value = value[part]
    return value


def _put(tree: Tree, key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for part in parents:
        tree = tree.setdefault(part, {})
    tree[last] = value


def _merged(base: Tree, top: Tree) -> Tree:
    both = dict(base)
    for key, value in top.items():
        below = base.get(key)
        both[key] = _merged(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return both


def _load(path: Path, read: Reader) -> Tree:
    try:
        content = read(path)
    except OSError as error:
        raise NanosegError(f"{path} cannot be read ({error.strerror}); put the model's config there.") from error
    tree = parse_yaml(content, path, CONFIGS, _ADVICE)
    if not isinstance(tree, dict) or not isinstance(tree.get("MODEL", {}), dict):
        raise NanosegError(f"{path} is not a config of Detectron2; choose the config.yaml of the model.")
    return tree


def _literal(value: Any) -> Any:
    """Read what YAML takes for text, such as ``(10.0, 10.0, 5.0, 5.0)``, as Detectron2 does."""
    if not isinstance(value, str) or len(value) > LONGEST_LITERAL:
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return value


Change = Callable[[Any, str, Path], Any]


def _same(value: Any, key: str, path: Path) -> Any:
    return value


def _norm(value: Any, key: str, path: Path) -> Any:
    return "none" if value == "" else value


def _only(value: Any, key: str, path: Path) -> Any:
    """The one value of a list."""
    if isinstance(value, (list, tuple)):
        if len(value) != 1:
            raise NanosegError(f"{path}: {key} is {shown(value)}; only one value can be used.")
        return value[0]
    return value


FROM: dict[str, Change] = {
    **dict.fromkeys(("norm", "fpn_norm", "box_norm", "mask_norm"), _norm), "roi_iou_threshold": _only,
}  # fmt: skip


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _as_norm(value: Any) -> Any:
    return "" if value == "none" else value


def _as_list(value: Any) -> Any:
    return [value]


TO: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("norm", "fpn_norm", "box_norm", "mask_norm"), _as_norm), "roi_iou_threshold": _as_list,
    "freeze_at": lambda stages: stages or 0,
}  # fmt: skip


def _rows(value: Any, key: str, path: Path) -> list[list[Any]]:
    """A list for each level, or one for all."""
    if not isinstance(value, (list, tuple)) or not value:
        raise NanosegError(f"{path}: {key} is {shown(value)}; it must be a list of lists of numbers.")
    rows = [list(row) if isinstance(row, (list, tuple)) else None for row in value]
    if all(row is None for row in rows):  # one list for all, as old configs have it
        rows = [list(value)]
    if None in rows or len(rows) not in (1, LEVELS) or len({len(row or ()) for row in rows}) > 1:
        raise NanosegError(f"{path}: {key} is {shown(value)}; it must have 1 or {LEVELS} lists of one length.")
    return [row or [] for row in rows]


def _sizes(value: Any, default: Any, path: Path) -> Any:
    if value is None:
        return default
    rows = _rows(value, SIZES, path)
    return [size for row in (rows if len(rows) == LEVELS else rows * LEVELS) for size in row]


def _ratios(value: Any, default: Any, path: Path) -> Any:
    if value is None:
        return default
    rows = _rows(value, RATIOS, path)
    if any(row != rows[0] for row in rows):
        raise NanosegError(f"{path}: {RATIOS} is {shown(value)}; only the same ratios on all levels can be used.")
    return rows[0]
