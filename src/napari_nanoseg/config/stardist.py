"""A StarDist 2-D network: architecture and losses, as the original's ``Config2D`` has them."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from napari_nanoseg.config.base import ADVANCED, Config


class StarDistConfig(Config):
    """Architecture and losses of a StarDist 2-D network.

    Field names are those of the original ``Config2D``, so that models travel in both directions. The defaults differ
    from the original where a CPU and short trainings ask for it (docs/training.md): 16 filters instead of 32, and
    batch normalisation. :meth:`original` gives the published values.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> config = ns.TrainConfig(engine=ns.StarDistConfig(n_rays=64))
    >>> config.engine.n_rays
    64
    """

    FREE: ClassVar[frozenset[str]] = frozenset()
    """Fields that a training has of its own, although it starts from a model."""

    engine: Literal["stardist"] = Field("stardist", title="StarDist")
    n_rays: int = Field(
        32, ge=3, le=256, title="Rays", description="Directions in which the distance to the outline is predicted"
    )
    grid: tuple[Literal[1, 2, 4, 8], Literal[1, 2, 4, 8]] = Field(
        (2, 2),
        title="Prediction grid",
        description="Predict at every nth pixel (row, column)",
        json_schema_extra=ADVANCED,
    )
    n_channel_in: int = Field(
        1, ge=1, le=16, title="Image channels", description="Channels of the image", json_schema_extra=ADVANCED
    )
    n_classes: int | None = Field(
        None, ge=1, le=100, title="Object classes", description="Object classes, or none", json_schema_extra=ADVANCED
    )
    unet_n_depth: int = Field(
        3, ge=1, le=6, title="U-Net levels", description="Levels of the U-Net", json_schema_extra=ADVANCED
    )
    unet_kernel_size: tuple[Literal[1, 3, 5, 7], Literal[1, 3, 5, 7]] = Field(
        (3, 3), title="Kernel size", description="Convolution kernel", json_schema_extra=ADVANCED
    )
    unet_n_filter_base: int = Field(
        16, ge=1, le=256, title="Filters", description="Filters at the top level; 32 with a GPU"
    )
    unet_n_conv_per_depth: int = Field(
        2, ge=1, le=8, title="Convolutions per level", description="Convolutions per level", json_schema_extra=ADVANCED
    )
    unet_pool: tuple[Literal[1, 2, 4], Literal[1, 2, 4]] = Field(
        (2, 2), title="Pooling", description="Pooling between levels", json_schema_extra=ADVANCED
    )
    unet_activation: Literal["relu", "elu", "tanh", "sigmoid", "linear"] = Field(
        "relu", title="Activation", description="Activation in the U-Net", json_schema_extra=ADVANCED
    )
    unet_last_activation: Literal["relu", "elu", "tanh", "sigmoid", "linear"] = Field(
        "relu", title="Last activation", description="Activation at the end of the U-Net", json_schema_extra=ADVANCED
    )
    unet_batch_norm: bool = Field(
        True, title="Batch normalisation", description="Batch normalisation in the U-Net", json_schema_extra=ADVANCED
    )
    unet_dropout: float = Field(
        0.0, ge=0, lt=1, title="Dropout", description="Dropout in the U-Net", json_schema_extra=ADVANCED
    )
    unet_expansion: int = Field(
        2,
        ge=1,
        le=4,
        title="Filter growth per level",
        description="Filters grow per level by",
        json_schema_extra=ADVANCED,
    )
    unet_prefix: str = Field(
        "", title="Keras prefix", description="Prefix of layer names in Keras files", json_schema_extra=ADVANCED
    )
    net_conv_after_unet: int = Field(
        128,
        ge=0,
        le=1024,
        title="Filters after the U-Net",
        description="Filters of the convolution after the U-Net",
        json_schema_extra=ADVANCED,
    )
    train_dist_loss: Literal["mae", "mse"] = Field(
        "mae", title="Distance loss", description="Loss of the distances", json_schema_extra=ADVANCED
    )
    train_background_reg: float = Field(
        1e-4,
        ge=0,
        le=1,
        title="Background weight",
        description="Weight of distances on background",
        json_schema_extra=ADVANCED,
    )
    train_loss_weights: tuple[float, ...] = Field(
        (1.0, 0.2),
        title="Loss weights",
        description="Weights of the losses: object, distance (and class)",
        json_schema_extra=ADVANCED,
    )
    train_class_weights: tuple[float, ...] = Field(
        (),
        title="Class weights",
        description="Weights of background and classes; empty: all 1",
        json_schema_extra=ADVANCED,
    )
    train_shape_completion: bool = Field(
        False,
        title="Complete cut shapes",
        description="Predict whole shapes of particles cut by the border",
        json_schema_extra=ADVANCED,
    )
    train_completion_crop: int = Field(
        32,
        ge=0,
        le=512,
        title="Completion rim",
        description="Width of the cut-off rim for shape completion",
        json_schema_extra=ADVANCED,
    )
    train_foreground_only: float = Field(
        0.9,
        ge=0,
        le=1,
        title="Patches with particles",
        description="Fraction of patches that must hold a particle",
        json_schema_extra=ADVANCED,
    )

    @classmethod
    def original(cls) -> Self:
        """The published architecture with grid (2, 2): 32 filters, no batch normalisation.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> ns.StarDistConfig.original().unet_n_filter_base, ns.StarDistConfig().unet_n_filter_base
        (32, 16)
        """
        return cls(unet_n_filter_base=32, unet_batch_norm=False)

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        wanted = 2 if self.n_classes is None else 3
        if len(self.train_loss_weights) not in (2, wanted):
            raise ValueError(f"train_loss_weights needs {wanted} values")
        if self.train_class_weights and len(self.train_class_weights) != (self.n_classes or 1) + 1:
            raise ValueError("train_class_weights needs one value for the background and one per class")
        return self

    @property
    def loss_weights(self) -> tuple[float, float, float]:
        """Weights of the object, distance and class losses (class: 1 unless given)."""
        prob, dist, cls = (*self.train_loss_weights, 1.0)[:3]
        return prob, dist, cls
