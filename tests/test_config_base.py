"""A wrong config is refused with the name of the wrong field."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import yaml
from pydantic import Field, ValidationError, field_validator

from napari_nanoseg.config.base import Config
from napari_nanoseg.errors import NanosegError


class Inner(Config):
    size: int = Field(64, ge=16, le=512)

    @field_validator("size")
    @classmethod
    def _even(cls, size: int) -> int:
        if size % 2:
            raise ValueError("Take an even number")
        return size


class Outer(Config):
    job: Literal["outer"] = "outer"
    source: Path
    scale: tuple[float, float] = (0.8, 1.2)
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"source": "a", "sise": 3}, "the field 'sise' is unknown"),
        ({"source": "a", "inner": {"sise": 3}}, "the field 'inner.sise' is unknown"),
        ({"source": "a", "inner": {"size": 3}}, "the field 'inner.size' is 3: it must be at least 16"),
        ({"source": "a", "inner": {"size": 33}}, "the field 'inner.size' is 33: take an even number"),
        ({"source": "a", "scale": [1, 2, 3]}, "the field 'scale'"),
        ({"source": "a", "job": "inner"}, "the field 'job' is 'inner'"),
        ({}, "the field 'source' is missing"),
        ({"source": "a", "x": 1, "y": 2}, "and 1 more"),
        (None, "my job.yaml: "),
    ],
)
def test_the_wrong_field_is_named(values: object, sentence: str) -> None:
    with pytest.raises(NanosegError, match=sentence) as caught:
        Outer.parse(values, "my job.yaml")
    assert str(caught.value).startswith("my job.yaml: ")
    assert "\n" not in str(caught.value)


def test_yaml_gives_the_same_config_back() -> None:
    config = Outer(source=Path("Proben/größe 1"), scale=(0.5, 2), inner=Inner(size=128))
    assert Outer.parse(yaml.safe_load(config.to_yaml())) == config


def test_configs_do_not_change() -> None:
    with pytest.raises(ValidationError):
        Inner().size = 32
