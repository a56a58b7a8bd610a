"""What all configs share: frozen, strict, and the same in YAML, on the command line and in a form."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

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


Device = Annotated[str, AfterValidator(_known_device)]
"""Name of the device that the networks run on."""


class Config(BaseModel):
    """A frozen description of one job or one part of it.

    Unknown and out-of-range fields are refused by name. Every field has a default (or is a path the user must give),
    a range and a description: the command line and the docks are made from them. ``json_schema_extra`` may carry
    ``unit`` (shown in forms) and ``advanced`` (folded away in forms).
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

    def to_yaml(self) -> str:
        """The whole config as YAML that :meth:`parse` reads back to an equal config."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def describe(error: ValidationError) -> str:
    """Say in one sentence what is wrong with the first bad field of a pydantic error."""
    problems = error.errors()
    first = problems[0]
    field = ".".join(str(part) for part in first["loc"]) or "value"
    if first["type"] == "extra_forbidden":
        text = f"the field '{field}' is unknown; remove it or correct its name"
    elif first["type"] == "missing":
        text = f"the field '{field}' is missing; give it a value"
    else:
        rule = _RULES.get(first["type"], first["msg"].removeprefix("Value error, "))
        message = rule.format(**first.get("ctx", {}))
        given = "" if isinstance(first["input"], (dict, BaseModel)) else f" is {first['input']!r}"
        text = f"the field '{field}'{given}: {message[:1].lower()}{message[1:]}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{text}{more}."
