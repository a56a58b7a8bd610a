"""Models without a network: what needs no training, to see what a network adds."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, create_model
from pydantic.fields import FieldInfo

from napari_nanoseg.config.base import ADVANCED, Config


class BaselineConfig(Config):
    """How foreground is told from background by grey values alone.

    Lengths in particle diameters follow that of the image, told or estimated.
    """

    engine: Literal["threshold", "watershed"]
    method: Literal["otsu", "local"] = Field(
        "otsu",
        description="Otsu's threshold for the whole image, or the mean of the surroundings of every pixel",
    )
    smoothing: float = Field(
        1.0, ge=0, le=50, description="Sigma of the Gaussian filter before the threshold, px at working scale",
        json_schema_extra={"unit": "px"},
    )  # fmt: skip
    window: float = Field(
        3.0, gt=1, le=100, description="Side of the surroundings for the local threshold, in particle diameters"
    )
    polarity: Literal["auto", "bright", "dark"] = Field(
        "auto", description="Whether particles are brighter or darker than the background; auto: guessed from the image"
    )
    holes: float = Field(
        0.1, ge=0, le=10, description="Holes of less than this share of a particle's area are filled; 0: none",
        json_schema_extra=ADVANCED,
    )  # fmt: skip
    least_area: float = Field(
        0.1, ge=0, le=1, title="Least share",
        description="Least area of what is kept, as a share of a particle's; 0: everything",
        json_schema_extra=ADVANCED,
    )  # fmt: skip

    def with_wishes(self, wishes: BaselineWishes) -> Self:
        """These parameters, but for those that a segmentation asks for."""
        own = type(self).model_fields
        return self.model_copy(update={name: value for name, value in wishes if value is not None and name in own})


class ThresholdConfig(BaselineConfig):
    """Conventional thresholding: every connected piece of the foreground is one object."""

    engine: Literal["threshold"] = "threshold"


class WatershedConfig(BaselineConfig):
    """Thresholding, then touching particles are parted by a watershed of the distance to the background."""

    engine: Literal["watershed"] = "watershed"
    depth: float = Field(
        0.1, ge=0, le=1, description="Particles are parted where the distance to the background dips by more than this "
        "between them, in particle diameters",
    )  # fmt: skip


def _wished(config: type[Config]) -> Any:
    """A class decorator: the fields of a config, each of which may be None, which stands for the model's own value."""

    def made(cls: type[Config]) -> type[Config]:
        fields: dict[str, Any] = {}
        for name, field in config.model_fields.items():
            if name == "engine":
                continue
            extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
            wish = FieldInfo.merge_field_infos(
                field, default=None, annotation=field.annotation | None,  # type: ignore[operator]
                description=f"{field.description}; none: the model's own (models without a network only)",
                json_schema_extra={**extra, "start": field.default},
            )  # fmt: skip
            fields[name] = (field.annotation | None, wish)  # type: ignore[operator]
        return create_model(cls.__name__, __base__=cls, __module__=cls.__module__, __doc__=cls.__doc__, **fields)

    return made


@_wished(WatershedConfig)
class BaselineWishes(Config):
    """What is done otherwise than the card of a model without a network says; thresholding alone has no depth."""
