"""What is known about a model besides its weights."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from napari_nanoseg.calibration import Calibration
from napari_nanoseg.config.base import Config
from napari_nanoseg.config.baseline import BaselineConfig, ThresholdConfig, WatershedConfig
from napari_nanoseg.config.maskrcnn import MaskRCNNConfig
from napari_nanoseg.config.stardist import StarDistConfig
from napari_nanoseg.config.unet import UNetConfig
from napari_nanoseg.errors import NanosegError

NetworkConfig = Annotated[
    StarDistConfig | MaskRCNNConfig | UNetConfig | WatershedConfig | ThresholdConfig,
    Field(discriminator="engine", description="The network, or what is done without one"),
]
"""Of any engine that has models on disk."""


class ModelCard(Config):
    """All of a model but its weights; the content of ``model.yaml``.

    Lengths without a unit are pixels of the training images; working scale is what the network sees.
    """

    network: NetworkConfig
    thresholds: dict[Literal["prob", "nms"], float] = Field(
        default={"prob": 0.5, "nms": 0.4}, description="Object probability and allowed overlap"
    )
    percentiles: tuple[float, float] = Field(
        default=(1.0, 99.8), description="Percentiles of the image that become 0 and 1"
    )
    keep_8_bit: bool = Field(
        default=False,
        description="Whether images of 8 bits (and, by a U-Net, numbers from 0 to 1) are seen as they are, not brought "
        "to the percentiles",
    )
    class_thresholds: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        default=(), description="Least probability of the pixels of each class of a U-Net; empty: the same for all"
    )
    working_diameter: float | None = Field(
        default=None, gt=0, description="Particle diameter the network sees; none: images are not rescaled"
    )
    training_diameter: float | None = Field(
        default=None, gt=0, description="Particle diameter in the training images; none: of all sizes"
    )
    training_pixel_size_nm: float | None = Field(default=None, gt=0, description="Pixel size of the training images")
    border: int = Field(default=0, ge=0, description="Mirrored rim added before segmenting, px at working scale")
    invert: Literal["auto", "no"] = Field(default="no", description="Whether the contrast may be inverted")
    provenance: dict[str, Any] = Field(default={}, description="Run record of the training, or the file read")
    weights_sha256: tuple[str, ...] = Field(
        default=(), description="Hashes the weights file may have; the last field, to tell when the card is cut off"
    )

    @model_validator(mode="after")
    def _one_for_each_class(self) -> Self:
        classes = self.network.classes if isinstance(self.network, UNetConfig) else ()
        if self.class_thresholds and len(self.class_thresholds) != len(classes):
            raise ValueError(f"class_thresholds needs one value for each class of the U-Net ({len(classes)})")
        return self

    @property
    def needs_weights(self) -> bool:
        """Whether the model is a network, so that the card alone is not the whole of it."""
        return not isinstance(self.network, BaselineConfig)

    @property
    def for_any_size(self) -> bool:
        """Whether the particle diameter of an image must be told or estimated: the training, if any, had all sizes."""
        return not self.needs_weights or (self.working_diameter is not None and self.training_diameter is None)

    def diameter_in(self, calibration: Calibration) -> float | None:
        """Diameter of the particles the model was made for, in pixels of an image.

        Parameters
        ----------
        calibration : Calibration
            Of the image; when it or the pixel size of the training is not known, the image is taken to be like those
            of the training.

        Returns
        -------
        float or None
            None when the model does not know any diameter.

        Raises
        ------
        NanosegError
            When the pixels of the image are not square.
        """
        if self.training_diameter is None or self.training_pixel_size_nm is None or not calibration.known:
            return self.training_diameter
        return self.training_diameter * (self.training_pixel_size_nm / calibration.nm_per_pixel)

    def scale(self, calibration: Calibration, diameter: float | None) -> float:
        """Factor by which an image is enlarged before the network sees it.

        Parameters
        ----------
        calibration : Calibration
            Of the image.
        diameter : float or None
            Particle diameter in the image, px; None: from the pixel sizes of image and training, else as in training;
            of a model for any size, that at which the network sees them.

        Raises
        ------
        NanosegError
            When the model does not know any diameter, or the pixels of the image are not square.
        """
        if self.working_diameter is None:
            if diameter is None:
                return 1.0
            if self.training_diameter is None:
                raise NanosegError(
                    "This model does not know the particle diameter it was trained on; leave the diameter empty."
                )
            return self.training_diameter / diameter
        if diameter is None:
            diameter = self.diameter_in(calibration)
        return 1.0 if diameter is None else self.working_diameter / diameter
