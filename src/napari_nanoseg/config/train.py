"""What a training needs: the network, the data, the schedule."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from napari_nanoseg.config.base import ADVANCED, Config, Device, Overwrite
from napari_nanoseg.config.generate import APPEARANCE, SIZE, CutPasteConfig, Fraction, extra
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.paths import AUTO
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.unet import UNetConfig

Enlargement = Annotated[float, Field(ge=0.1, le=10)]


Network = StarDistConfig | MaskRCNNConfig | UNetConfig
NETWORKS: dict[str, type[StarDistConfig] | type[MaskRCNNConfig] | type[UNetConfig]] = {
    "stardist": StarDistConfig,
    "maskrcnn": MaskRCNNConfig,
    "unet": UNetConfig,
}
"""Kinds of networks that can be trained, by the name of their engine."""


def _of_its_kind(values: Any) -> Any:
    """Validate plain values as the network that they name; StarDist where they name none."""
    if not isinstance(values, dict):
        return values
    name = values.get("engine", "stardist")
    if name not in NETWORKS:
        raise ValueError(f"the engine must be one of {', '.join(NETWORKS)}")
    return NETWORKS[name].model_validate(values)


EngineConfig = Annotated[
    Network,
    BeforeValidator(_of_its_kind),
    Field(
        description="StarDist for particles that lie apart or touch, Mask R-CNN for those that overlap, U-Net for "
        "cracks and all else that is no particles"
    ),
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


FROM_SCRATCH: dict[str, dict[str, Any]] = {
    "stardist": {"steps": 1500, "learning_rate": 3e-3, "scale": (0.75, 1.35), "synthetic_per_real": 5},
    "maskrcnn": {"steps": 1500, "learning_rate": 1e-3, "scale": (0.75, 1.35), "synthetic_per_real": 5},
    "unet": {"steps": 3000, "learning_rate": 2e-3, "scale": (0.75, 1.35), "synthetic_per_real": 0},
}
"""Five synthetic patches per real one are UTILE-Gen's."""
FINE_TUNING: dict[str, dict[str, Any]] = {
    "stardist": {"steps": 300, "learning_rate": 5e-4, "scale": (0.5, 1.8), "synthetic_per_real": 0},
    "maskrcnn": {"steps": 500, "learning_rate": 1e-4, "scale": (0.5, 1.8), "synthetic_per_real": 1},
    "unet": {"steps": 1000, "learning_rate": 3e-4, "scale": (0.75, 1.35), "synthetic_per_real": 0},
}
"""With the patches of a training from scratch, the starter got worse on other images of the same paper."""
SGD_RATE, SGD_IMAGES = 0.02, 16
"""Learning rate of Detectron2's SGD for batches of so many images; it grows with the batch. Fine-tuning: a tenth."""
COMMON: dict[str, Any] = {
    "batch_size": 4, "patch_size": 128, "warm_up": 50, "optimizer": "adam", "working_diameter": 32.0,
    "synthetic_per_real": None, "anchor": 0.75,
}  # fmt: skip
"""What a training of a StarDist has; those of other networks differ in it."""
OBJECTS_APART: dict[str, Any] = {"batch_size": 2, "patch_size": 256, "warm_up": 1000, "anchor": 0.5}
"""Of a Mask R-CNN: patches in which whole wires lie, and Detectron2's warm-up."""
CLASSES: dict[str, Any] = {
    "batch_size": 1, "patch_size": 256, "working_diameter": None, "synthetic_per_real": 0, "anchor": 0.5,
}  # fmt: skip
"""Of a U-Net: classes have no size that images could be brought to, and no outlines to cut and paste; what is around a
dark line tells whether it is a crack, so patches are large, and one is a batch.
"""
PIECES: dict[str, Any] = {"batch_size": 1, "patch_size": 64}
"""Of a U-Net in three dimensions, whose patches are cubes."""
OF_PARTICLES = frozenset({"synthetic", "synthetic_per_real", "diameter", "working_diameter"})
"""Fields that mean something for particles only."""


def _open(what: str, name: str) -> str:
    """Description of a field whose value depends on the network and on whether the training starts from a model."""

    def text(value: Any) -> str:
        return " to ".join(map(str, value)) if isinstance(value, tuple) else str(value)

    def words(values: dict[str, dict[str, Any]]) -> str:
        own, *others = (text(values[kind][name]) for kind in NETWORKS)
        titles = [NETWORKS[kind].model_fields["engine"].title for kind in NETWORKS][1:]
        other = ", ".join(f"{title} {value}" for title, value in zip(titles, others, strict=True) if value != own)
        return f"{own} ({other})" if other else own

    return f"{what}; none: {words(FROM_SCRATCH)}, or {words(FINE_TUNING)} when it starts from a model"


def usual_for(network: Network) -> dict[str, Any]:
    """Values of the fields of a training whose defaults depend on the network."""
    if isinstance(network, StarDistConfig):
        return COMMON
    if isinstance(network, UNetConfig):
        return COMMON | CLASSES | (PIECES if network.axes == 3 else {})
    published = network.backbone in ("resnet50", "resnet101")
    return COMMON | OBJECTS_APART | {"optimizer": "sgd" if published else "adam"}


class TrainConfig(Config):
    """How a network is trained, apart from where its data lie.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> config = ns.TrainConfig(steps=300, patience=5)
    >>> config.steps
    300
    >>> ns.TrainConfig(engine=ns.UNetConfig()).patch_size
    256
    """

    engine: EngineConfig = Field(StarDistConfig(), title="Network")
    synthetic: SyntheticPatchConfig = Field(
        SyntheticPatchConfig(), description="Generator of the synthetic training patches; its size is the patch size",
        title="Synthetic patches", json_schema_extra={"prefix": "synthetic"},
    )  # fmt: skip
    synthetic_per_real: int | None = Field(
        COMMON["synthetic_per_real"],
        ge=0,
        le=1000,
        title="Synthetic per real patch",
        description=_open("Synthetic patches per real patch", "synthetic_per_real") + ", 0 on generated data",
    )
    steps: int | None = Field(
        None, ge=1, le=10_000_000, description=_open("Training steps", "steps"),
        json_schema_extra={"start": FROM_SCRATCH["stardist"]["steps"]},
    )  # fmt: skip
    batch_size: int = Field(COMMON["batch_size"], ge=1, le=1024, description="Patches per step")
    patch_size: int = Field(
        COMMON["patch_size"], ge=32, le=4096, description="Side of a training patch at working scale",
        json_schema_extra={"unit": "px", "step": 32},
    )  # fmt: skip
    diameter: float | None = Field(
        None, gt=0, description="Particle diameter in the training images; none: from the annotation",
        json_schema_extra={"unit": "px", "start": 30.0},
    )  # fmt: skip
    working_diameter: float | None = Field(
        COMMON["working_diameter"], ge=8, le=200,
        description="Images are rescaled so that particles have this diameter; none: not rescaled",
        json_schema_extra={"unit": "px", "advanced": True},
    )  # fmt: skip
    learning_rate: float | None = Field(
        None, gt=0, le=1, description=_open(
            f"Learning rate; with SGD, {SGD_RATE} for batches of {SGD_IMAGES} patches is published, and less for fewer "
            "in proportion", "learning_rate",
        ),
        json_schema_extra={"start": FROM_SCRATCH["stardist"]["learning_rate"]},
    )  # fmt: skip
    optimizer: Literal["adam", "sgd"] = Field(
        COMMON["optimizer"], description="How weights follow the gradient: Adam, or SGD with momentum as published for "
        "networks with frozen normalisation", json_schema_extra=ADVANCED,
    )  # fmt: skip
    warm_up: int = Field(
        COMMON["warm_up"], ge=0, le=1_000_000, title="Warm-up", json_schema_extra=ADVANCED | {"unit": "steps"},
        description="Steps in which the learning rate rises to its value; at most a tenth of all",
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
        None, title="Enlargement", json_schema_extra=ADVANCED | {"start": FROM_SCRATCH["stardist"]["scale"]},
        description=_open("Range of random enlargements of real patches", "scale"),
    )  # fmt: skip
    anchor: float = Field(
        COMMON["anchor"], ge=0, lt=1, title="Anchor", json_schema_extra=ADVANCED,
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

    @model_validator(mode="before")
    @classmethod
    def _as_usual_for_the_network(cls, values: Any) -> Any:
        """Give fields that are not given what is usual for the network."""
        network: Any = values.get("engine") if isinstance(values, dict) else None
        with suppress(ValueError):  # the field itself is refused
            network = _of_its_kind(network)
        other = isinstance(network, Network) and usual_for(network) != COMMON
        return usual_for(network) | values if other else values

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        usual = type(self).model_construct(None, **usual_for(self.engine))
        wrong = next((name for name in sorted(self.unused) if getattr(self, name) != getattr(usual, name)), None)
        if wrong is not None:
            raise ValueError(
                f"'{wrong}' is about particles, but a U-Net gives every pixel of real images, at their own scale, a "
                "class; leave it out"
            )
        return self

    @property
    def unused(self) -> frozenset[str]:
        """Fields that mean nothing for the network."""
        return OF_PARTICLES if isinstance(self.engine, UNetConfig) else frozenset()

    def with_kind(self, field: str, inner: Config) -> Self:
        """The same for another network: what is as usual for the old one becomes as usual for the new one.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> config = ns.TrainConfig().with_kind("engine", ns.MaskRCNNConfig())
        >>> config.engine.engine
        'maskrcnn'
        """
        changed: dict[str, Any] = {}
        if isinstance(inner, Network):
            before, after = usual_for(self.engine), usual_for(inner)
            changed = {name: value for name, value in after.items() if getattr(self, name) == before[name]}
        made = self.model_copy(update=changed | {field: inner})
        usual = type(self).model_construct(None, **usual_for(made.engine))
        return made.model_copy(update={name: getattr(usual, name) for name in made.unused})

    def filled(self, *, fine_tuning: bool) -> FilledTrainConfig:
        """Give what was left open the value that suits a training from scratch or one that starts from a model.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> ns.TrainConfig().filled(fine_tuning=True).steps
        300
        >>> ns.TrainConfig().filled(fine_tuning=False).steps
        1500
        """
        values = dict((FINE_TUNING if fine_tuning else FROM_SCRATCH)[self.engine.engine])
        if self.optimizer == "sgd":
            values["learning_rate"] = SGD_RATE * self.batch_size / SGD_IMAGES / (10 if fine_tuning else 1)
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
        "coco, or torchvision's file of it: the weights of resnet50 trained on COCO; auto: the starter, or coco for "
        "resnet50, unless another network or scale is asked for; none: from scratch",
    )  # fmt: skip
    resume: bool = Field(False, description="Go on with the interrupted training in the model folder")
    overwrite: Overwrite = False


class TrainJob(Training):
    """A complete training: what `nanoseg train` does.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> quick = ns.TrainConfig(steps=1, optimize_thresholds=False, workers=0)  # in earnest: ns.TrainConfig()
    >>> job = ns.TrainJob(dataset=ns.sample_data() / "annotated", config=quick, out="model")
    >>> result = ns.run(job)
    >>> ns.load_model("model")
    StarDistModel(StarDist 2-D, 32 rays, 3 levels, 24 filters, 1 channel)
    """

    job: Literal["train"] = "train"
