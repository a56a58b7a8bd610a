"""A U-Net that gives every pixel a class: architecture and losses."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from napari_nanoseg.config.base import ADVANCED, Config

STANDARD_CLASSES = ("crack", "void", "carbon/binder", "particle")
"""Names that classes of battery cathodes have everywhere."""
ClassNames = Annotated[
    tuple[Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)], ...],
    Field(min_length=1, max_length=100),
]
_WEIGHT: dict[str, Any] = {"ge": 0, "le": 1000, "json_schema_extra": ADVANCED | {"group": "Loss", "step": 0.5}}


class UNetConfig(Config):
    """Architecture and losses of a U-Net on slices, on slices with their neighbours, or on pieces of a volume.

    The structure is that of CDNet (:meth:`original` has its values). The defaults differ where a CPU and short
    trainings ask for it: 16 filters instead of 64, instance normalisation, no dropout, a head that cannot die, and a
    loss that does not overlook thin cracks.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> config = ns.UNetConfig(classes=("crack", "void"), labels="sparse", dimensions="2.5d")
    >>> config.inputs, config.outputs
    (3, 3)
    """

    FREE: ClassVar[frozenset[str]] = frozenset({"labels", "dropout", "bce", "dice", "focal", "centreline"})
    """Fields that a training has of its own, although it starts from a model."""

    engine: Literal["unet"] = Field("unet", title="U-Net")
    dimensions: Literal["2d", "2.5d", "3d"] = Field(
        "2d", description="What the network sees at once: a slice, a slice with its neighbours, or a piece of a volume"
    )
    neighbours: int = Field(
        1, ge=1, le=16, description="Slices on either side that a network of 2.5 dimensions sees",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    classes: ClassNames = Field(
        ("crack",), description="Names of the classes in the order of their values in masks; no class is background",
        json_schema_extra={"suggestions": list(STANDARD_CLASSES), "option": "--class"},
    )  # fmt: skip
    filters: int = Field(16, ge=1, le=256, description="Filters at the top level; 64 as published, with a GPU")
    levels: int = Field(
        4, ge=1, le=6, description="How often the image is halved; filters double", json_schema_extra=ADVANCED
    )
    normalisation: Literal["none", "batch", "instance", "group"] = Field(
        "instance",
        description="What is normalised after each convolution; none as published",
        json_schema_extra=ADVANCED,
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, json_schema_extra=ADVANCED,
        description="Fraction of the activations of the two deepest levels dropped in training; 0.5 as published",
    )  # fmt: skip
    head: Literal["linear", "cdnet"] = Field(
        "linear", description="Last layers; cdnet: as published, through two channels that can die in training",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    labels: Literal["dense", "sparse"] = Field(
        "dense", description="What masks say; dense: 0 is background, classes from 1; sparse (scribbles): 0 is "
        "unlabelled and ignored, 1 background, classes from 2",
    )  # fmt: skip
    bce: float = Field(
        1.0, title="Cross-entropy", description="Weight of the cross-entropy; alone as published", **_WEIGHT
    )
    dice: float = Field(
        1.0, title="Dice", description="Weight of the Dice loss, which counts thin classes as much as large", **_WEIGHT
    )
    focal: float = Field(
        0.0, title="Focal", description="Weight of the focal loss, which counts doubtful pixels most", **_WEIGHT
    )
    centreline: float = Field(
        0.5, title="Centre lines", description="Weight of the Dice loss of centre lines, which keeps cracks whole",
        **_WEIGHT,
    )  # fmt: skip

    @classmethod
    def original(cls) -> Self:
        """CDNet as published.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> ns.UNetConfig.original().filters, ns.UNetConfig().filters
        (64, 16)
        """
        return cls(
            filters=64, normalisation="none", dropout=0.5, head="cdnet", bce=1.0, dice=0.0, focal=0.0, centreline=0.0
        )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("two classes have the same name; give each its own")
        if self.head == "cdnet" and len(self.classes) > 1:
            raise ValueError("CDNet's head has one class; choose the linear head for several")
        if not (self.bce or self.dice or self.focal or self.centreline):
            raise ValueError("all losses have the weight 0; give one of bce, dice, focal and centreline more")
        return self

    @property
    def axes(self) -> int:
        """Axes along which the network convolves: 2 or 3."""
        return 3 if self.dimensions == "3d" else 2

    @property
    def inputs(self) -> int:
        """Channels of the network's input."""
        return 2 * self.neighbours + 1 if self.dimensions == "2.5d" else 1

    @property
    def outputs(self) -> int:
        """Channels of the network's output: one for one class, else background and classes."""
        return 1 if len(self.classes) == 1 else len(self.classes) + 1
