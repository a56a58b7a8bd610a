"""A wrong config is refused with the name of the wrong field."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pytest
import yaml
from pydantic import Field, field_validator, model_validator

from napari_nanoseg.config.base import Config
from napari_nanoseg.config.jobs import JOBS
from napari_nanoseg.config.train import TrainConfig
from napari_nanoseg.config.unet import UNetConfig
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
    with pytest.raises(NanosegError, match=r"Inner: the field 'size' is 32: configs do not change"):
        Inner().size = 32


class Either(Config):
    """Has one of two."""

    one: Outer | Inner | int = 3
    low: int = Field(1, ge=0, le=9, description="Smallest", json_schema_extra={"unit": "px"})
    high: int = 2

    @model_validator(mode="before")
    @classmethod
    def _made_of_a_number(cls, values: Any) -> Any:
        if values.get("low") == 7:
            Inner(size=3)
        return values

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError("{the range} is upside down")
        return self


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Inner(size="much"), r"Inner: the field 'size' is 'much': it must be a whole number\."),
        (lambda: Inner(sizes=32), r"Inner: the field 'sizes' is unknown.* \(did you mean 'size'\?\)\."),
        (lambda: Inner(size=np.zeros(3)), r"'size' is an array of shape \(3,\) and type float64: it must be a whole"),
        (lambda: Inner(size="long" * 99), r"'size' is 'longlong.{,60} \.\.\.: it must be"),
        (lambda: Outer(source="a", inner={"sizes": 32}), r"'inner.sizes' is unknown.*did you mean 'size'"),
        (lambda: Outer(source="a", inner=3), r"'inner' is 3: it must be a Inner or its fields"),
        (lambda: Outer(), r"Outer: the field 'source' is missing"),
        (lambda: Either(one="x"), r"Either: the field 'one' is 'x'"),
        (lambda: Either(low=5), r"^Either: \{the range\} is upside down\.$"),
        (lambda: Either(low=7), r"Either: inner: the field 'size' is 3: it must be at least 16\.$"),
    ],
)
def test_a_config_that_is_made_wrongly_names_the_field(make: Any, sentence: str) -> None:
    with pytest.raises(NanosegError, match=sentence):
        make()


def test_every_alternative_of_a_union_is_tried() -> None:
    assert Either(one={"size": 32}).one == Inner(size=32)
    assert Either(one={"source": "a"}).one == Outer(source=Path("a"))
    assert Either(one=Inner(size=32)).one == Inner(size=32)


def test_numbers_of_numpy_are_numbers() -> None:
    assert Inner(size=np.int64(32)).size == 32


def test_other_fields_are_validated() -> None:
    config = Either(low=1, high=8)
    assert config.with_fields(low=2) == Either(low=2, high=8)
    assert config.with_fields() is config
    with pytest.raises(NanosegError, match=r"Either: .*upside down"):
        config.with_fields(low=9)
    with pytest.raises(NanosegError, match=r"'lov' is unknown.*'low'"):
        config.with_fields(lov=2)


def test_another_network_brings_what_is_usual_for_it() -> None:
    config = TrainConfig(seed=3).with_fields(engine=UNetConfig(), steps=4)
    assert config == TrainConfig(engine=UNetConfig(), seed=3, steps=4)


def test_keywords_override_a_config() -> None:
    assert Either.combined(None, {"low": 2}, "f") == Either(low=2)
    assert Either.combined(Either(high=5), {"low": 4}, "f") == Either(low=4, high=5)
    with pytest.raises(NanosegError, match=r"^f: the field 'lov' is unknown.*'low'"):
        Either.combined(Either(), {"lov": 4}, "f")
    with pytest.raises(NanosegError, match=r"^f: 'config' is 58, which is not a Either; give fields by name"):
        Either.combined(58, {}, "f")  # type: ignore[arg-type]


def test_the_docstring_lists_the_fields() -> None:
    assert Either.__doc__ is not None
    assert Either.__doc__.startswith(
        "Has one of two.\n\nParameters\n----------\none : Outer or Inner or int, default 3\n"
    )
    assert "\nlow : int, default 1\n    Smallest; unit: px; at least 0 and at most 9\n" in Either.__doc__
    for job in JOBS.values():
        assert job.__doc__ is not None
        assert job.__doc__.count("Parameters\n") == 1
        assert max(map(len, job.__doc__.splitlines())) <= 120
        for name in job.model_fields:
            assert f"\n{name} : " in job.__doc__
