"""What a sweep needs: one training, and the values that it is repeated with."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from napari_nanoseg.config.base import Config, describe_one
from napari_nanoseg.config.options import Option, text_of, value_at
from napari_nanoseg.config.paths import AUTO, COCO
from napari_nanoseg.config.train import TrainConfig, Training, TrainJob

MOST_TRAININGS = 200
LONGEST_NAME = 100
"""Characters of a folder: file systems take 255 bytes."""
_THE_SAME = "all trainings of a sweep are judged on the same images"
_NO_EFFECT = "it does not change the model"
FIXED = {
    "validation_fraction": _THE_SAME,
    "validation_seed": _THE_SAME,
    "device": _NO_EFFECT,
    "workers": _NO_EFFECT,
    "synthetic.height": "synthetic patches have the patch size",
    "synthetic.width": "synthetic patches have the patch size",
    "synthetic.dtype": _NO_EFFECT,
    "synthetic.seed": "synthetic patches have the seed of the training",
}
"""Fields of a training that are not varied, and why."""


@dataclass(frozen=True)
class Trial:
    """One training of a sweep.

    Parameters
    ----------
    name : str
        Of its folder in that of the sweep; tells the values.
    values : mapping
        What is varied, by the dotted name of the field.
    job : TrainJob
        The training, apart from where it starts.
    """

    name: str
    values: Mapping[str, Any]
    job: TrainJob


class SweepJob(Training):
    """One training for every combination of values: what `nanoseg sweep` does.

    Examples
    --------
    >>> import napari_nanoseg as ns
    >>> vary = {"learning_rate": (0.001, 0.003), "batch_size": (2, 4)}
    >>> job = ns.SweepJob(dataset="annotated", out="sweep", vary=vary)
    >>> len(job.trials())
    4
    """

    job: Literal["sweep"] = "sweep"
    out: Path = Field(description="Folder of the sweep: its table, a folder per training, and the best model")
    resume: bool = Field(
        False, description="Go on with the interrupted sweep in the folder; finished trainings are not repeated"
    )
    vary: dict[str, tuple[Any, ...]] = Field(
        description="Field of the training and the values it is to have, such as learning_rate=0.001,0.003; fields of "
        "the network begin with engine., those of the generator with synthetic.; repeated: every combination"
    )

    @field_validator("vary", mode="before")
    @classmethod
    def _parsed(cls, given: Any, info: ValidationInfo) -> Any:
        config = info.data.get("config")
        if not isinstance(config, TrainConfig):  # refused already
            return {}
        lists = _lists(given, config)
        count = prod(len(values) for values in lists.values())
        if count > MOST_TRAININGS:
            raise ValueError(f"these are {count} trainings; at most {MOST_TRAININGS} are done in one sweep")
        values: dict[str, list[Any]] = {name: [] for name in lists}
        for places in product(*(range(len(items)) for items in lists.values())):
            made = _with_values(config, {name: lists[name][at] for name, at in zip(lists, places, strict=True)})
            for name, at in zip(lists, places, strict=True):
                if len(values[name]) == at:
                    values[name].append(value_at(made, name.split(".")))
        for name, found in values.items():
            twice = next((value for at, value in enumerate(found) if value in found[:at]), None)
            if len(set(found)) < len(found):
                raise ValueError(f"'{name}' has the value {text_of(twice)} twice; take one away")
        if info.data.get("start_from") not in (None, AUTO, COCO):
            kept = next((name for name in values if _is_kept(name, config)), None)
            if kept is not None:
                raise ValueError(
                    f"'{kept}' cannot be varied in trainings that start from a model, because they keep its network "
                    "and scale; start from scratch"
                )
        return {name: tuple(found) for name, found in values.items()}

    def trials(self) -> tuple[Trial, ...]:
        """The trainings, the last field changing fastest; all hold out the same images.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> job = ns.SweepJob(dataset="annotated", out="sweep", vary={"seed": (0, 1, 2)})
        >>> [trial.name for trial in job.trials()]
        ['seed=0', 'seed=1', 'seed=2']
        """
        found = []
        seed = self.config.seed if self.config.validation_seed is None else self.config.validation_seed
        base = self.config.model_copy(update={"validation_seed": seed})
        for combination in product(*self.vary.values()):
            values = dict(zip(self.vary, combination, strict=True))
            name = trial_name(values)
            shared = {field: getattr(self, field) for field in Training.model_fields if field != "job"}
            own = {"config": _with_values(base, values), "out": self.out / name, "resume": False, "overwrite": False}
            job = TrainJob(**shared | own)
            found.append(Trial(name, values, job))
        return tuple(found)


def fields_to_vary(config: TrainConfig) -> dict[str, tuple[FieldInfo, ...]]:
    """Fields that a sweep can vary, by dotted name: those that hold a number, a choice or several of them.

    Parameters
    ----------
    config : TrainConfig
        The kind of its network decides which fields there are.

    Returns
    -------
    dict of str to tuple of FieldInfo
        The field, after the fields of the configs that it lies in.
    """
    return {name: fields for name, fields in _leaves(config, "", ()) if name not in FIXED}


def trial_name(values: Mapping[str, Any]) -> str:
    """A name for a folder that tells the values: ``learning_rate=0.001,batch_size=2``."""
    ends = [name.rpartition(".")[2] for name in values]
    words = [
        f"{end if ends.count(end) == 1 else name}={text_of(value)}"
        for end, (name, value) in zip(ends, values.items(), strict=True)
    ]
    text = re.sub(r"[^\w.+=,-]", "_", ",".join(words))
    if len(text) <= LONGEST_NAME:
        return text
    digest = sha256(text.encode()).hexdigest()[:8]
    return f"{text[: LONGEST_NAME - len(digest) - 1]}_{digest}"


def _is_kept(name: str, config: TrainConfig) -> bool:
    """Whether a training that starts from a model takes a field from it."""
    first, _, last = name.partition(".")
    return name == "working_diameter" or (first == "engine" and last not in type(config.engine).FREE)


def _leaves(config: Config, before: str, way: tuple[FieldInfo, ...]) -> Iterator[tuple[str, tuple[FieldInfo, ...]]]:
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if name in config.unused:
            continue
        if isinstance(value, Config):
            yield from _leaves(value, f"{before}{name}.", (*way, field))
            continue
        option = _option(name, field)
        free_text = str in option.types or Path in option.types
        if not free_text and not (option.count == 1 and len(option.choices) == 1):
            yield f"{before}{name}", (*way, field)


def _option(name: str, field: FieldInfo) -> Option:
    """The field as an option, which knows how its values are typed."""
    return Option(tuple(name.split(".")), name, field, PydanticUndefined, positional=False, panel=None)


def _lists(given: Any, config: TrainConfig) -> dict[str, list[Any]]:
    """The values of each field: from a mapping to values or to their text, or from texts FIELD=VALUE,VALUE."""
    if isinstance(given, (list, tuple)) and all(isinstance(item, str) for item in given):
        pairs = [item.partition("=")[::2] for item in given]
    elif isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        raise ValueError("write each field with its values, as in learning_rate=0.001,0.003")
    if not pairs:
        raise ValueError("nothing is varied; give at least one field with its values")
    known = fields_to_vary(config)
    lists: dict[str, list[Any]] = {}
    for name, values in pairs:
        name = str(name).strip()
        if name in FIXED:
            raise ValueError(f"'{name}' cannot be varied: {FIXED[name]}")
        if name not in known:
            raise ValueError(f"there is no field '{name}' to vary{_similar(name, known)}")
        if name in lists:
            raise ValueError(f"'{name}' is there twice; give all of its values at once")
        lists[name] = _items(values, _option(name, known[name][-1]))
        if not lists[name]:
            raise ValueError(f"'{name}' has no values; give them as in {name}=VALUE,VALUE")
    return lists


def _similar(name: str, known: Mapping[str, Any]) -> str:
    ends = {one.rpartition(".")[2]: one for one in sorted(known, key=lambda one: -one.count("."))}
    plain = name.rpartition(".")[2].lstrip("-").replace("-", "_")
    close = [ends[end] for end in get_close_matches(plain, ends, n=1)]
    return f"; did you mean '{close[0]}'?" if close else "; nanoseg train --help has their names"


def _items(given: Any, option: Option) -> list[Any]:
    """The values of one field, those that are texts turned into what the field takes."""
    if isinstance(given, str):
        given = given.split(",") if given.strip() else []
    items = list(given) if isinstance(given, (list, tuple)) else [given]
    several = option.count > 1 or option.repeated
    return [
        option.value(item.split() if several else item.strip()) if isinstance(item, str) else item for item in items
    ]


def _with_values(config: TrainConfig, values: Mapping[str, Any]) -> TrainConfig:
    """The config with other values.

    Raises
    ------
    ValueError
        For the first value that is refused.
    """
    plain = config.model_dump()
    for name, value in values.items():
        *way, last = name.split(".")
        inner = plain
        for part in way:
            inner = inner[part]
        inner[last] = value
    try:
        return type(config).model_validate(plain)
    except ValidationError as error:
        problem = error.errors()[0]
        wrong = next((one for one in values if one.rpartition(".")[2] in problem["loc"]), None)
        if wrong is not None:
            raise ValueError(describe_one(problem, f"'{wrong}'")) from error
        shown = ", ".join(f"{one} = {text_of(value)}" for one, value in values.items())
        raise ValueError(f"with {shown}: {problem['msg'].removeprefix('Value error, ')}") from error
