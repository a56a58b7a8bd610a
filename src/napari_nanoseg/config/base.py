"""What all configs share: frozen, strict, and the same in YAML, on the command line and in a form."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from napari_nanoseg.errors import NanosegError

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


class Config(BaseModel):
    """A frozen description of one job or one part of it.

    Unknown and out-of-range fields are refused by name. Every field has a default (or is a path the user must give),
    a range and a description: the command line and the docks are made from them; ``title`` is its label in forms where
    its name in words would not do. ``json_schema_extra`` may carry ``unit``, and for forms ``advanced`` (folded away),
    ``group`` (title of the section that it is folded into), ``step`` (of the arrows), ``start`` (of an optional value
    that is switched on) and ``suggestions`` (for a text).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, values: Any, where: str = "configuration") -> Self:
        """Validate plain values (from YAML, a form, the command line).

        Raises
        ------
        NanosegError
            In one sentence that names `where`, the first wrong field and what is wrong with it.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise NanosegError(f"{where}: {describe(error)}") from error

    @property
    def unused(self) -> frozenset[str]:
        """Fields that mean nothing beside the values of the others: they are not asked for."""
        return frozenset()

    def with_kind(self, field: str, inner: Config) -> Self:
        """The same with another config in one of its fields; kinds of jobs change with it what depends on it."""
        return self.model_copy(update={field: inner})

    def to_yaml(self) -> str:
        """The whole config as YAML that :meth:`parse` reads back to an equal config."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def describe(error: ValidationError) -> str:
    """Say in one sentence what is wrong with the first bad field of a pydantic error."""
    problems = error.errors()
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{describe_one(problems[0], _name(problems[0]['loc']))}{more}."


def describe_one(problem: ErrorDetails, field: str) -> str:
    """Say what is wrong with one field, without the full stop; `field` is what the reader calls it."""
    if problem["type"] == "extra_forbidden":
        return f"{field} is unknown; remove it or correct its name"
    if problem["type"] == "missing":
        return f"{field} is missing; give it a value"
    rule = _RULES.get(problem["type"], problem["msg"].removeprefix("Value error, "))
    message = rule.format(**problem.get("ctx", {}))
    given = "" if isinstance(problem["input"], (dict, BaseModel)) else f" is {problem['input']!r}"
    return f"{field}{given}: {message[:1].lower()}{message[1:]}"


def _name(place: tuple[int | str, ...]) -> str:
    return f"the field '{'.'.join(str(part) for part in place) or 'value'}'"
