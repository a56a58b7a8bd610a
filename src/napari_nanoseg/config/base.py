"""What all configs share: frozen, strict, and the same in YAML, on the command line and in a form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from napari_nanoseg.config.docstrings import with_parameters
from napari_nanoseg.errors import NanosegError, shown, similar, unsuitable

ADVANCED: dict[str, Any] = {"advanced": True}
"""``json_schema_extra`` of a field that forms fold away."""

_RULES = {
    "greater_than": "it must be more than {gt}",
    "greater_than_equal": "it must be at least {ge}",
    "less_than": "it must be less than {lt}",
    "less_than_equal": "it must be at most {le}",
    "literal_error": "it must be {expected}",
    "int_parsing": "it must be a whole number",
    "int_type": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_parsing": "it must be a number",
    "float_type": "it must be a number",
    "finite_number": "it must be a finite number",
    "bool_parsing": "it must be true or false",
    "bool_type": "it must be true or false",
    "path_type": "it must be a path",
    "string_type": "it must be a text",
    "tuple_type": "it must be a list",
    "list_type": "it must be a list",
    "dict_type": "it must be names with values",
    "model_type": "it must be a {class_name} or its fields",
    "frozen_instance": "configs do not change; take the copy that with_fields() gives",
    "too_short": "it must have at least {min_length} values",
    "too_long": "it must have at most {max_length} values",
    "string_too_short": "it must not be empty",
}
"""What pydantic's errors, by type, ask of a value."""


def _known_device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise ValueError("choose auto, cpu, cuda, cuda:1 or mps")
    return name


Device = Annotated[
    str,
    AfterValidator(_known_device),
    Field(json_schema_extra={"suggestions": ["auto", "cpu", "cuda", "mps"]}),
]
"""Name of the device that the networks run on."""

PixelSize = Annotated[
    float | None,
    Field(
        title="Pixel size",
        gt=0,
        allow_inf_nan=False,
        description="Pixel size; empty: the one stored in the label image, else in the micrograph",
        json_schema_extra={"unit": "nm"},
    ),
]
"""Size of the pixels of all images of a job."""

ExcludeBorder = Annotated[
    bool,
    Field(
        title="Leave out the border",
        description="Leave particles that touch the image border out of the distributions of sizes and shapes",
    ),
]
"""Whether particles that may be cut off count where all are described together."""


Overwrite = Annotated[
    bool,
    Field(
        title="Overwrite existing results",
        description="Replace existing results, but never inputs and label files that were corrected by hand",
    ),
]
"""Whether a job may replace what lies where it writes; each job that writes has this field, called ``overwrite``."""


class ConfigError(NanosegError, ValueError):
    """A config that cannot be made; a validator that makes one refuses its own field with it, as pydantic wants."""


class Config(BaseModel):
    """A frozen description of one job or one part of it.

    Unknown and out-of-range fields are refused by name. Every field has a default (or is a path the user must give),
    a range and a description: the command line, the docks and the docstring are made from them; ``title`` is its label
    in forms where its name in words would not do. ``json_schema_extra`` may carry ``unit``, and for forms ``advanced``
    (folded away), ``group`` (title of the section that it is folded into), ``step`` (of the arrows), ``start`` (of an
    optional value that is switched on) and ``suggestions`` (for a text).

    Raises
    ------
    NanosegError
        In one sentence that names the first wrong field and what is wrong with it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigError(f"{type(self).__name__}: {describe(error, type(self))}") from None

    # pydantic then validates nested configs by itself, so that errors keep the whole way to the wrong field
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        cls.__doc__ = with_parameters(cls.__doc__ or "", cls.model_fields)

    def __setattr__(self, name: str, value: Any) -> None:
        try:
            super().__setattr__(name, value)
        except ValidationError as error:
            raise ConfigError(f"{type(self).__name__}: {describe(error, type(self))}") from None

    @classmethod
    def parse(cls, values: Any, where: str = "configuration") -> Self:
        """Validate plain values (from YAML, a form, the command line).

        Raises
        ------
        NanosegError
            In one sentence that names `where`, the first wrong field and what is wrong with it.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> ns.SegmentConfig.parse({"diameter": 58}).diameter
        58.0
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError(f"{where}: {describe(error, cls)}") from error

    def with_fields(self, **fields: Any) -> Self:
        """Copy the config with other values in some of its fields, which are validated.

        What is usual for a network changes with the network.

        Raises
        ------
        NanosegError
            For the first field that is unknown or has a wrong value.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> config = ns.SegmentConfig(diameter=58)
        >>> config.with_fields(tile=512).tile
        512
        """
        return self._with(fields, type(self).__name__)

    @classmethod
    def combined(cls, config: Self | None, fields: Mapping[str, Any], where: str) -> Self:
        """Put fields that were given by keyword into a config, or into the default one.

        Parameters
        ----------
        config : Config or None
            What a caller gave; None: the defaults.
        fields : mapping of str to values
            They override those of the config.
        where : str
            The function that was called, for messages.

        Raises
        ------
        NanosegError
            When the config is of another kind, or a field is unknown or has a wrong value.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> ns.SegmentConfig.combined(ns.SegmentConfig(diameter=58), {"tile": 512}, "segment").tile
        512
        """
        if config is None:
            return cls.parse(dict(fields), where)
        if not isinstance(config, cls):
            raise unsuitable(f"{where}: 'config'", config, f"a {cls.__name__}; give fields by name")
        return config._with(fields, where)

    def _with(self, fields: Mapping[str, Any], where: str) -> Self:
        if not fields:
            return self
        changed = self
        for name, value in fields.items():
            if isinstance(value, Config) and name in type(self).model_fields:
                changed = changed.with_kind(name, value)
        return self.parse({**dict(changed), **fields}, where)

    @property
    def unused(self) -> frozenset[str]:
        """Fields that mean nothing beside the values of the others: they are not asked for."""
        return frozenset()

    def with_kind(self, field: str, inner: Config) -> Self:
        """The same with another config in one of its fields; kinds of jobs change with it what depends on it.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> config = ns.TrainConfig().with_kind("engine", ns.UNetConfig())
        >>> config.engine.engine
        'unet'
        """
        return self.model_copy(update={field: inner})

    def to_yaml(self) -> str:
        """The whole config as YAML that :meth:`parse` reads back to an equal config.

        Examples
        --------
        >>> import napari_nanoseg as ns
        >>> print(ns.MeasureConfig(pixel_size_nm=2.5).to_yaml(), end="")
        pixel_size_nm: 2.5
        exclude_border: true
        """
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def describe(error: ValidationError, kind: type[Config]) -> str:
    """Say in one sentence what is wrong with the first bad field of a pydantic error about a config of this kind."""
    problems = error.errors()
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    said = describe_one(problems[0], _name(problems[0]["loc"])).removeprefix(f"{_name(())}: ")
    if problems[0]["type"] == "extra_forbidden":
        *way, last = problems[0]["loc"]
        said += similar(str(last), _fields_at(kind, way))
    return f"{said}{more}."


def describe_one(problem: ErrorDetails, field: str) -> str:
    """Say what is wrong with one field, without the full stop; `field` is what the reader calls it."""
    if problem["type"] == "extra_forbidden":
        return f"{field} is unknown; remove it or correct its name"
    if problem["type"] == "missing":
        return f"{field} is missing; give it a value"
    rule = _RULES.get(problem["type"])
    message = problem["msg"].removeprefix("Value error, ") if rule is None else rule.format(**problem.get("ctx", {}))
    given = "" if isinstance(problem["input"], (dict, BaseModel)) else f" is {shown(problem['input'])}"
    return f"{field}{given}: {message[:1].lower()}{message[1:].removesuffix('.')}"


def _name(place: tuple[int | str, ...]) -> str:
    # pydantic names the alternatives of a union, too: classes, and functions with brackets
    parts = [str(part) for part in place if not re.match(r"[A-Z]|.*\[", str(part))]
    return f"the field '{'.'.join(parts) or 'value'}'"


def _fields_at(kind: type[Config], way: list[int | str]) -> list[str]:
    """Names of the fields that may be at a place in a config."""
    kinds = [kind]
    for part in way:
        inner = [one.model_fields[part].annotation for one in kinds if part in one.model_fields]
        kinds = list(_configs_in(inner)) if inner else kinds
    return [name for one in kinds for name in one.model_fields]


def _configs_in(annotations: list[Any]) -> Iterator[type[Config]]:
    for annotation in annotations:
        if isinstance(annotation, type) and issubclass(annotation, Config):
            yield annotation
        yield from _configs_in(list(get_args(annotation)))
