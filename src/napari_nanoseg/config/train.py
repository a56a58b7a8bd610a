"""What a training needs: the network, the data, the schedule."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from napari_nanoseg.config.base import ADVANCED, Config, Device
from napari_nanoseg.config.generate import APPEARANCE, SIZE, CutPasteConfig, Fraction, extra
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.paths import AUTO


class StarDistConfig(Config):
    """Architecture and losses of a StarDist 2-D network.

    Field names are those of the original ``Config2D``, so that models travel in both directions. The defaults differ
    from the original where a CPU and short trainings ask for it (docs/training.md): 16 filters instead of 32, and
    batch normalisation. :meth:`original` gives the published values.
    """

    engine: Literal["stardist"] = "stardist"
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
        """The published architecture with grid (2, 2): 32 filters, no batch normalisation."""
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


Enlargement = Annotated[float, Field(ge=0.1, le=10)]


def _of_its_kind(values: Any) -> Any:
    """Validate plain values as the network that they name; StarDist where they name none."""
    if not isinstance(values, dict):
        return values
    kinds: dict[str, type[Config]] = {"stardist": StarDistConfig, "maskrcnn": MaskRCNNConfig}
    name = values.get("engine", "stardist")
    if name not in kinds:
        raise ValueError(f"the engine must be one of {', '.join(kinds)}")
    return kinds[name].model_validate(values)


EngineConfig = Annotated[
    StarDistConfig | MaskRCNNConfig, BeforeValidator(_of_its_kind), Field(description="The network")
]


class SyntheticPatchConfig(CutPasteConfig):
    """The generator as trainings use it: crowded whatever the source, since touching particles are the hard part.

    On the rods of the one-image benchmark, F1 after 400 steps rose from 0.54 to 0.64.
    """

    coverage: tuple[Fraction, Annotated[float, Field(ge=0, le=10)]] | None = Field(
        (0.2, 0.8), description="Range of the image area covered by particles"
    )
    coverage_of_source: bool = Field(
        False,
        description="Coverage counts in multiples of that of fully annotated sources, not as an area fraction",
        title="Relative to the source",
        json_schema_extra=extra(SIZE),
    )
    # A model of one polarity is surer of itself, and segmenting tries both polarities.
    invert_probability: float = Field(
        0.0, ge=0, le=1, description="Fraction of the images with inverted grey values", title="Images inverted",
        json_schema_extra=extra(APPEARANCE),
    )  # fmt: skip


FROM_SCRATCH: dict[str, Any] = {"steps": 1500, "learning_rate": 3e-3, "scale": (0.75, 1.35)}
FINE_TUNING: dict[str, Any] = {"steps": 300, "learning_rate": 5e-4, "scale": (0.5, 1.8)}
"""With the changes of patches of a training from scratch, the starter got worse on other images of the same paper."""
SYNTHETIC_PER_REAL, FINE_TUNING_SYNTHETIC_PER_REAL = 5, 1  # 5 as published (UTILE-Gen)


def _open(what: str, name: str) -> str:
    """Description of a field whose value depends on whether the training starts from a model."""
    scratch, tuning = (
        " to ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        for value in (FROM_SCRATCH[name], FINE_TUNING[name])
    )
    return f"{what}; none: {scratch}, or {tuning} when it starts from a model"


class TrainConfig(Config):
    """How a network is trained, apart from where its data lie."""

    engine: EngineConfig = Field(StarDistConfig(), title="Network")
    synthetic: SyntheticPatchConfig = Field(
        SyntheticPatchConfig(), description="Generator of the synthetic training patches; its size is the patch size",
        title="Synthetic patches", json_schema_extra={"prefix": "synthetic"},
    )  # fmt: skip
    synthetic_per_real: int | None = Field(
        None,
        ge=0,
        le=1000,
        title="Synthetic per real patch",
        description=f"Synthetic patches per real patch; none: {SYNTHETIC_PER_REAL}, or "
        f"{FINE_TUNING_SYNTHETIC_PER_REAL} when it starts from a model, 0 on generated data",
    )
    steps: int | None = Field(
        None, ge=1, le=10_000_000, description=_open("Training steps", "steps"),
        json_schema_extra={"start": FROM_SCRATCH["steps"]},
    )  # fmt: skip
    batch_size: int = Field(4, ge=1, le=1024, description="Patches per step")
    patch_size: int = Field(
        128, ge=32, le=4096, description="Side of a training patch at working scale",
        json_schema_extra={"unit": "px", "step": 32},
    )  # fmt: skip
    diameter: float | None = Field(
        None, gt=0, description="Particle diameter in the training images; none: from the annotation",
        json_schema_extra={"unit": "px", "start": 30.0},
    )  # fmt: skip
    working_diameter: float | None = Field(
        32.0, ge=8, le=200, description="Images are rescaled so that particles have this diameter; none: not rescaled",
        json_schema_extra={"unit": "px", "advanced": True},
    )  # fmt: skip
    learning_rate: float | None = Field(
        None, gt=0, le=1, description=_open("Learning rate of Adam", "learning_rate"),
        json_schema_extra={"start": FROM_SCRATCH["learning_rate"]},
    )  # fmt: skip
    schedule: Literal["cosine", "plateau", "constant"] = Field(
        "cosine", description="How the learning rate falls", json_schema_extra=ADVANCED
    )
    steps_per_epoch: int = Field(
        100, ge=1, le=100_000, description="Steps between two validations and checkpoints", json_schema_extra=ADVANCED
    )
    validation_fraction: float = Field(
        0.15,
        ge=0,
        lt=1,
        title="Held out",
        description="Fraction of the images held out for validation",
        json_schema_extra=ADVANCED,
    )
    validation_seed: int | None = Field(
        None, ge=0, title="Seed of the held out", json_schema_extra=ADVANCED | {"start": 0, "step": 1},
        description="Seed that chooses the images held out; none: the seed of everything",
    )  # fmt: skip
    images: int | None = Field(
        None, ge=1, title="Training images", json_schema_extra=ADVANCED | {"start": 10},
        description="Train on so many of the images that are not held out, chosen by the seed (a smaller number is "
        "part of a larger one); none: all",
    )  # fmt: skip
    patience: int | None = Field(
        None, ge=1, description="Stop after so many epochs without a better validation; none: never",
        json_schema_extra=ADVANCED | {"start": 10},
    )  # fmt: skip
    invert: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Inverted patches",
        description="Fraction of patches with inverted contrast",
        json_schema_extra=ADVANCED,
    )
    intensity: float = Field(
        0.5,
        ge=0,
        le=1,
        title="Intensity changes",
        description="Strength of random changes of intensity",
        json_schema_extra=ADVANCED,
    )
    noise: float = Field(
        0.05, ge=0, le=1, title="Noise", description="Most Gaussian noise added, as a fraction of the contrast",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    blur: float = Field(
        1.0, ge=0, le=10, title="Blur", description="Most Gaussian blur of real patches",
        json_schema_extra={"unit": "px", "advanced": True},
    )  # fmt: skip
    scale: tuple[Enlargement, Enlargement] | None = Field(
        None, title="Enlargement", json_schema_extra=ADVANCED | {"start": FROM_SCRATCH["scale"]},
        description=_open("Range of random enlargements of real patches", "scale"),
    )  # fmt: skip
    anchor: float = Field(
        0.5, ge=0, lt=1, title="Anchor", json_schema_extra=ADVANCED,
        description="Share of the model that it starts from in the resulting weights and thresholds; 0: none",
    )  # fmt: skip
    stretch: float = Field(
        1.0, ge=1, le=10, title="Stretch", json_schema_extra=ADVANCED,
        description="Most times that half of the real patches are stretched in a random direction; 1: none",
    )  # fmt: skip
    optimize_thresholds: bool = Field(
        True,
        title="Choose thresholds",
        description="Choose the thresholds on the validation patches at the end",
        json_schema_extra=ADVANCED,
    )
    seed: int = Field(0, ge=0, description="Seed of everything random", json_schema_extra={"step": 1})
    device: Device = Field("auto", description="auto, cpu, cuda, cuda:1 or mps")
    mixed_precision: bool = Field(True, description="bfloat16 on a GPU", json_schema_extra=ADVANCED)
    workers: int = Field(
        1, ge=0, le=256, title="Worker processes",
        description="Processes that prepare patches; 0: the training process itself",
        json_schema_extra=ADVANCED,
    )  # fmt: skip

    @field_validator("scale")
    @classmethod
    def _ordered(cls, scale: tuple[float, float] | None) -> tuple[float, float] | None:
        if scale is not None and scale[0] > scale[1]:
            raise ValueError("the range must begin below its end; swap the two")
        return scale

    def filled(self, *, fine_tuning: bool) -> FilledTrainConfig:
        """Give what was left open the value that suits a training from scratch or one that starts from a model."""
        values = FINE_TUNING if fine_tuning else FROM_SCRATCH
        missing = {name: value for name, value in values.items() if getattr(self, name) is None}
        return FilledTrainConfig(**dict(self) | missing)


class FilledTrainConfig(TrainConfig):
    """The same with nothing left open that depends on whether it starts from a model."""

    steps: int
    learning_rate: float
    scale: tuple[Enlargement, Enlargement]


class Training(Config):
    """What one training and a sweep of trainings have in common."""

    job: str
    config: TrainConfig = TrainConfig()
    dataset: Path = Field(description="Folder with images/ and masks/")
    out: Path = Field(description="Folder of the new model")
    validation: Path | None = Field(None, description="Dataset for validation; none: images are held out")
    start_from: Path | None = Field(
        AUTO, json_schema_extra={"option": "--from"},
        description="Model to start from, a path or a name of the library; its architecture and scale are kept. "
        "auto: the starter, unless another network or scale is asked for; none: from scratch",
    )  # fmt: skip
    resume: bool = Field(False, description="Go on with the interrupted training in the model folder")


class TrainJob(Training):
    """A complete training: what `nanoseg train` does."""

    job: Literal["train"] = "train"
