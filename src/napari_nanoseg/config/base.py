"""What all configs share: frozen, strict, and the same in YAML, on the command line and in a form."""

from __future__ import annotations

from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from napari_nanoseg.errors import NanosegError

ADVANCED: dict[str, Any] = {"advanced": True}
"""``json_schema_extra`` of a field that forms fold away."""


class Config(BaseModel):
    """A frozen description of one job or one part of it.

    Unknown and out-of-range fields are refused by name. Every field has a default (or is a path the user must give),
    a range and a description: the command line and the docks are made from them. ``json_schema_extra`` may carry
    ``unit`` (shown in forms) and ``advanced`` (folded away in forms).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

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
        message = first["msg"].removeprefix("Value error, ")
        given = "" if isinstance(first["input"], (dict, BaseModel)) else f" is {first['input']!r}"
        text = f"the field '{field}'{given}: {message[:1].lower()}{message[1:]}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{text}{more}."
