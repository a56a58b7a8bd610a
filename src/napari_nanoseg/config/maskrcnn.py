"""A Mask R-CNN with a feature pyramid: architecture, inference and sampling, as Detectron2's config has them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from napari_nanoseg.config.base import ADVANCED, Config

Norm = Literal["FrozenBN", "BN", "SyncBN", "GN", "none"]
Pooler = Literal["ROIAlignV2", "ROIAlign"]
GROUPS = 32
"""Of a group normalisation, as in Detectron2: widths under one are multiples of it."""
LEVELS = 5
"""Of the feature pyramid: strides 4, 8, 16, 32 and, for proposals only, 64."""
_SHARE: dict[str, Any] = {"ge": 0, "le": 1, "json_schema_extra": ADVANCED}
_COUNT: dict[str, Any] = {"ge": 1, "le": 100_000, "json_schema_extra": ADVANCED}


class Architecture(NamedTuple):
    """What the backbones to choose from differ in; names and meaning are those of the fields of the config."""

    depth: int
    stem_channels: int
    res2_channels: int
    width_per_group: int
    norm: Norm
    fpn_channels: int
    fpn_norm: Norm
    box_fc_channels: int
    mask_conv_channels: int
    mask_norm: Norm


BACKBONES: dict[str, Architecture] = {
    # Detectron2 builds ResNet-18 with 64 channels in its first stage only
    "light": Architecture(18, 64, 64, 64, "GN", 64, "GN", 256, 64, "GN"),
    "resnet50": Architecture(50, 64, 256, 64, "FrozenBN", 256, "none", 1024, 256, "none"),
    "resnet101": Architecture(101, 64, 256, 64, "FrozenBN", 256, "none", 1024, 256, "none"),
}


COCO_LAYERS = BACKBONES["resnet50"]._asdict() | {"stride_in_1x1": False, "groups": 1}
"""Of the Mask R-CNN that torchvision trained on COCO."""
Positive = Annotated[float, Field(gt=0, le=1e5)]
Weights = Annotated[tuple[Positive, ...], Field(min_length=4, max_length=4)]


def _open(what: str) -> str:
    return f"{what}; none: as the backbone says"


class MaskRCNNConfig(Config):
    """Architecture, inference and sampling of a Mask R-CNN with a residual network and a feature pyramid.

    Everything that Detectron2's ``config.yaml`` says of it and that is used here, so that models travel in both
    directions. Where a CPU and dense micrographs ask for it, the defaults differ from Detectron2's: two samples per bin
    of ROIAlign in place of as many as pixels (which take 1.3 of 1.5 s on a CPU), 1000 objects per image or tile in
    place of 100, no resizing to a fixed side (images are brought to the particle diameter of the training).

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> config = ns.TrainConfig(engine=ns.MaskRCNNConfig(backbone="resnet50", detections_per_image=500))
    >>> config.engine.detections_per_image
    500
    """

    FREE: ClassVar[frozenset[str]] = frozenset({
        "freeze_at", "rpn_pre_nms_topk_train", "rpn_post_nms_topk_train", "rpn_nms_threshold", "rpn_min_box_size",
        "rpn_iou_thresholds", "rpn_boundary_threshold", "rpn_batch_per_image", "rpn_positive_fraction",
        "rpn_smooth_l1_beta", "roi_batch_per_image", "roi_positive_fraction", "roi_iou_threshold", "roi_append_truth",
        "box_smooth_l1_beta", "score_threshold", "nms_threshold", "detections_per_image",
    })  # fmt: skip
    """Fields that a training has of its own, although it starts from a model."""

    engine: Literal["maskrcnn"] = Field("maskrcnn", title="Mask R-CNN")
    backbone: Literal["light", "resnet50", "resnet101", "custom"] = Field(
        "light", description="Size of the network: light for a CPU, resnet50 and resnet101 as published; custom: all "
        "widths are given",
    )  # fmt: skip
    n_classes: int = Field(
        1, ge=1, le=1000, title="Object classes", description="Object classes", json_schema_extra=ADVANCED
    )
    depth: Literal[18, 34, 50, 101, 152] | None = Field(
        None, title="Depth", description=_open("Layers of the residual network"), json_schema_extra=ADVANCED
    )
    stem_channels: int | None = Field(
        None, ge=1, le=1024, title="Stem channels", description=_open("Channels of the first convolution"),
        json_schema_extra=ADVANCED | {"start": 64},
    )  # fmt: skip
    res2_channels: int | None = Field(
        None, ge=1, le=2048, title="Channels of res2",
        description=_open("Output channels of the first stage; they double from stage to stage"),
        json_schema_extra=ADVANCED | {"start": 64},
    )  # fmt: skip
    groups: int = Field(
        1, ge=1, le=256, title="Groups", description="Groups of the 3 x 3 convolutions", json_schema_extra=ADVANCED
    )
    width_per_group: int | None = Field(
        None, ge=1, le=1024, title="Width per group", description=_open("Channels of one group in the first stage"),
        json_schema_extra=ADVANCED | {"start": 64},
    )  # fmt: skip
    norm: Norm | None = Field(
        None, title="Normalisation", description=_open("Normalisation in the residual network"),
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    stride_in_1x1: bool = Field(
        False, title="Stride in 1 x 1",
        description="Whether the first instead of the middle convolution of a block reduces the resolution",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    freeze_at: int | None = Field(
        None, ge=0, le=5, title="Frozen stages", json_schema_extra=ADVANCED | {"start": 2},
        description="Stages of the backbone that are not trained, the stem first; none: 2 with weights of COCO, else 0",
    )  # fmt: skip
    fpn_channels: int | None = Field(
        None, ge=1, le=2048, title="Pyramid channels", description=_open("Channels of the feature pyramid"),
        json_schema_extra=ADVANCED | {"start": 64},
    )  # fmt: skip
    fpn_norm: Norm | None = Field(
        None, title="Pyramid normalisation", description=_open("Normalisation in the feature pyramid"),
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    fpn_fuse: Literal["sum", "avg"] = Field(
        "sum", title="Pyramid fusion", description="How the levels of the pyramid are joined",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    box_conv_count: int = Field(
        0, ge=0, le=16, title="Box convolutions", description="Convolutions of the box head", json_schema_extra=ADVANCED
    )
    box_conv_channels: int = Field(
        256, ge=1, le=4096, title="Box channels", description="Their channels", json_schema_extra=ADVANCED
    )
    box_norm: Norm = Field(
        "none", title="Box normalisation", description="Their normalisation", json_schema_extra=ADVANCED
    )
    box_fc_count: int = Field(
        2, ge=0, le=16, title="Box layers", description="Fully connected layers of the box head",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    box_fc_channels: int | None = Field(
        None, ge=1, le=8192, title="Box layer width", description=_open("Their width"),
        json_schema_extra=ADVANCED | {"start": 256},
    )  # fmt: skip
    mask_conv_count: int = Field(
        4, ge=0, le=16, title="Mask convolutions", description="Convolutions of the mask head",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    mask_conv_channels: int | None = Field(
        None, ge=1, le=4096, title="Mask channels", description=_open("Channels of the mask head"),
        json_schema_extra=ADVANCED | {"start": 64},
    )  # fmt: skip
    mask_norm: Norm | None = Field(
        None, title="Mask normalisation", description=_open("Normalisation in the mask head"),
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    class_agnostic_box: bool = Field(
        False, title="Boxes for all classes", description="One box for all classes", json_schema_extra=ADVANCED
    )
    class_agnostic_mask: bool = Field(
        False, title="Masks for all classes", description="One mask for all classes", json_schema_extra=ADVANCED
    )
    anchor_sizes: tuple[Positive, ...] = Field(
        (32.0, 64.0, 128.0, 256.0, 512.0), title="Anchor sizes",
        description=f"Sides of the anchor boxes, px: as many for each of the {LEVELS} levels, finest first",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    anchor_ratios: tuple[Positive, ...] = Field(
        (0.5, 1.0, 2.0), min_length=1, title="Anchor ratios", description="Height over width of the anchors",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    anchor_offset: float = Field(
        0.0,
        ge=0,
        lt=1,
        title="Anchor offset",
        description="Of the anchors' centres, in strides",
        json_schema_extra=ADVANCED,
    )
    rpn_conv_channels: tuple[Annotated[int, Field(ge=-1, le=4096)], ...] = Field(
        (-1,), min_length=1, title="Proposal channels",
        description="Channels of each convolution of the proposal head; -1: those of the pyramid",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    rpn_box_weights: Weights = Field(
        (1.0, 1.0, 1.0, 1.0), title="Proposal box weights",
        description="Weights of the proposals' box coder: x, y, width, height",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    box_weights: Weights = Field(
        (10.0, 10.0, 5.0, 5.0), title="Box weights",
        description="Weights of the box head's box coder: x, y, width, height",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    box_pooler: Pooler = Field(
        "ROIAlignV2", title="Box pooling", description="Pooling of the box head", json_schema_extra=ADVANCED
    )
    box_resolution: int = Field(
        7, ge=1, le=64, description="Side of what it gives", title="Box resolution", json_schema_extra=ADVANCED
    )
    box_sampling_ratio: int = Field(
        2, ge=0, le=16, description="Its samples per bin; 0: as many as pixels", title="Box samples",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    mask_pooler: Pooler = Field(
        "ROIAlignV2", title="Mask pooling", description="Pooling of the mask head", json_schema_extra=ADVANCED
    )
    mask_resolution: int = Field(
        14, ge=1, le=64, description="Side of what it gives; masks have twice that", title="Mask resolution",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    mask_sampling_ratio: int = Field(
        2, ge=0, le=16, description="Its samples per bin; 0: as many as pixels", title="Mask samples",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    channel_format: Literal["RGB", "BGR", "L"] = Field(
        "RGB", title="Channel order", description="Order of the colours that the network sees; L: grey",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    pixel_mean: tuple[float, ...] = Field(
        (123.675, 116.28, 103.53), title="Pixel mean",
        description="Subtracted from each channel of an image of 0 to 255", json_schema_extra=ADVANCED,
    )  # fmt: skip
    pixel_std: tuple[Positive, ...] = Field(
        (58.395, 57.12, 57.375), title="Pixel deviation", description="Each channel is divided by it",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    min_size_test: int = Field(
        0, ge=0, le=100_000, title="Shortest side",
        description="Shortest side of the images that the network sees; 0: images are not resized",
        json_schema_extra=ADVANCED | {"unit": "px"},
    )  # fmt: skip
    max_size_test: int = Field(
        1333, ge=1, le=100_000, title="Longest side", description="Most that their longest side may have",
        json_schema_extra=ADVANCED | {"unit": "px"},
    )  # fmt: skip
    rpn_pre_nms_topk_train: int = Field(
        2000, **_COUNT, title="Training proposals before NMS", description="Proposals per level before NMS, in training"
    )
    rpn_pre_nms_topk_test: int = Field(
        2000, **_COUNT, title="Proposals before NMS", description="Proposals per level before NMS"
    )
    rpn_post_nms_topk_train: int = Field(
        1000, **_COUNT, title="Training proposals", description="Proposals per image, in training"
    )
    rpn_post_nms_topk_test: int = Field(2000, **_COUNT, title="Proposals", description="Proposals per image or tile")
    rpn_nms_threshold: float = Field(
        0.7, ge=0, le=1, description="Most overlap (IoU) of two proposals of a level", title="Overlap of proposals"
    )
    rpn_min_box_size: int = Field(
        0,
        ge=0,
        le=100_000,
        title="Least side of proposals",
        description="Least side of a proposal",
        json_schema_extra=ADVANCED | {"unit": "px"},
    )
    rpn_iou_thresholds: tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]] = Field(
        (0.3, 0.7), description="Overlap (IoU) below which an anchor is background and above which it is an object",
        title="Anchor overlaps",
    )  # fmt: skip
    rpn_boundary_threshold: int = Field(
        -1, ge=-1, le=100_000, title="Anchors outside",
        description="Anchors farther outside the image are not trained; -1: all are",
        json_schema_extra=ADVANCED | {"unit": "px"},
    )  # fmt: skip
    rpn_batch_per_image: int = Field(
        256, **_COUNT, title="Anchors trained", description="Anchors per image whose loss counts"
    )
    rpn_positive_fraction: float = Field(
        0.5, **_SHARE, title="Objects among anchors", description="Most that may be objects among them"
    )
    rpn_smooth_l1_beta: float = Field(
        0.0, ge=0, le=10, title="Proposal loss turn",
        description="Where the loss of proposal boxes turns from square to linear; 0: linear",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    roi_batch_per_image: int = Field(
        128, ge=1, le=100_000, title="Proposals trained",
        description="Proposals per image whose loss counts (ROI batch); 512 as published, which takes twice the time",
    )  # fmt: skip
    roi_positive_fraction: float = Field(
        0.25, **_SHARE, title="Objects among proposals", description="Most that may be objects among them"
    )
    roi_iou_threshold: float = Field(
        0.5, **_SHARE, title="Proposal overlap", description="Overlap (IoU) from which a proposal is an object"
    )
    roi_append_truth: bool = Field(
        True,
        title="Add true boxes",
        description="Add the true boxes to the proposals in training",
        json_schema_extra=ADVANCED,
    )
    box_smooth_l1_beta: float = Field(
        0.0, ge=0, le=10, title="Box loss turn",
        description="Where the loss of boxes turns from square to linear; 0: linear",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    score_threshold: float = Field(
        0.5, ge=0, le=1, title="Least score", description="Least score of an object, where none is chosen on validation"
    )
    nms_threshold: float = Field(
        0.5, ge=0, le=1, title="Overlap of objects", description="Most overlap (IoU) of two objects of a class"
    )
    detections_per_image: int = Field(
        1000, ge=1, le=100_000, title="Most objects", description="Most objects per image or tile"
    )

    @classmethod
    def detectron2(cls) -> Self:
        """Detectron2's Base-RCNN-FPN where it differs from the defaults here.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> ns.MaskRCNNConfig.detectron2().detections_per_image, ns.MaskRCNNConfig().detections_per_image
        (100, 1000)
        """
        return cls(
            backbone="custom", **BACKBONES["resnet50"]._asdict(), stride_in_1x1=True, freeze_at=2, n_classes=80,
            box_sampling_ratio=0, mask_sampling_ratio=0, channel_format="BGR", pixel_mean=(103.530, 116.280, 123.675),
            pixel_std=(1.0, 1.0, 1.0), min_size_test=800, rpn_pre_nms_topk_test=1000, rpn_post_nms_topk_test=1000,
            detections_per_image=100, roi_batch_per_image=512, score_threshold=0.05,
        )  # fmt: skip

    @property
    def architecture(self) -> Architecture:
        """The backbone's widths, with those that are given here in their place."""
        own = {name: getattr(self, name) for name in Architecture._fields}
        given = {name: value for name, value in own.items() if value is not None}
        return Architecture(**given) if self.backbone == "custom" else BACKBONES[self.backbone]._replace(**given)

    @property
    def unlike_coco(self) -> str | None:
        """The first field that differs from the Mask R-CNN that torchvision trained on COCO; heads may differ."""
        own = self.architecture._asdict() | {"stride_in_1x1": self.stride_in_1x1, "groups": self.groups}
        return next((name for name, value in COCO_LAYERS.items() if own[name] != value), None)

    @property
    def sizes_of_levels(self) -> list[tuple[float, ...]]:
        """Sides of the anchors of each level, px."""
        count = len(self.anchor_sizes) // LEVELS
        return [self.anchor_sizes[level * count : (level + 1) * count] for level in range(LEVELS)]

    @property
    def anchors_per_place(self) -> int:
        """Anchors at each place of a level, the same on all levels."""
        return len(self.anchor_sizes) // LEVELS * len(self.anchor_ratios)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.backbone == "custom":
            missing = [name for name in Architecture._fields if getattr(self, name) is None]
            if missing:
                raise ValueError(f"with the backbone 'custom', '{missing[0]}' must be given")
        if not self.anchor_sizes or len(self.anchor_sizes) % LEVELS:
            raise ValueError(f"'anchor_sizes' needs {LEVELS} values or a multiple of that, as many for each level")
        channels = 1 if self.channel_format == "L" else 3
        if len(self.pixel_mean) != channels or len(self.pixel_std) != channels:
            raise ValueError(f"'pixel_mean' and 'pixel_std' need {channels} values, one for each channel")
        if self.rpn_iou_thresholds[0] > self.rpn_iou_thresholds[1]:
            raise ValueError("'rpn_iou_thresholds' must rise")
        shape = self.architecture
        if shape.depth < 50 and (shape.res2_channels != 64 or self.groups != 1):
            raise ValueError("a backbone of 18 or 34 layers has 'res2_channels' 64 and one group")
        for name, norm, channels in self._normalised():
            if norm == "GN" and channels % GROUPS:
                raise ValueError(f"with group normalisation (GN), '{name}' must be a multiple of {GROUPS}")
        return self

    def _normalised(self) -> list[tuple[str, Norm, int]]:
        shape = self.architecture
        return [
            ("stem_channels", shape.norm, shape.stem_channels),
            ("res2_channels", shape.norm, shape.res2_channels),
            ("width_per_group", shape.norm, GROUPS if shape.depth < 50 else self.groups * shape.width_per_group),
            ("fpn_channels", shape.fpn_norm, shape.fpn_channels),
            ("box_conv_channels", self.box_norm if self.box_conv_count else "none", self.box_conv_channels),
            ("mask_conv_channels", shape.mask_norm, shape.mask_conv_channels),
        ]
