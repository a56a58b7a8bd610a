"""Options and arguments of a command, made from the fields of its job, so that no parameter is spelled twice.

Options carry text; the job's pydantic model turns it into values, has the defaults and finds the errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from napari_nanoseg.config.base import Config
from napari_nanoseg.errors import NanosegError


@dataclass(frozen=True)
class Option:
    """One field of a job as an option or a positional argument.

    Parameters
    ----------
    path : tuple of str
        Where the value lies in the job's nested values.
    name : str
        As typed, such as ``--pixel-size-nm``; in capitals for a positional argument.
    field : FieldInfo
        The pydantic field.
    default : Any
        Its default in the job, `PydanticUndefined` when it must be given.
    positional : bool
        Whether it is an argument.
    panel : str or None
        Heading of its group in the help, None for the first.
    """

    path: tuple[str, ...]
    name: str
    field: FieldInfo
    default: Any
    positional: bool
    panel: str | None

    @property
    def key(self) -> str:
        """The name of the parameter of the command's function."""
        return "__".join(self.path).replace("-", "_")

    @property
    def required(self) -> bool:
        """Whether the job has no default for it."""
        return self.default is PydanticUndefined

    @property
    def no(self) -> str:
        """The name of the other side of a switch."""
        return f"--no-{self.name.removeprefix('--')}"

    @property
    def types(self) -> tuple[Any, ...]:
        """The types the field takes, apart from None."""
        return tuple(kind for kind in _members(self.field.annotation) if kind is not NoneType)

    @property
    def repeated(self) -> bool:
        """Whether it takes any number of values."""
        return any(_is_repeated(kind) for kind in self.types)

    @property
    def optional(self) -> bool:
        """Whether ``none`` is one of its values."""
        return NoneType in _members(self.field.annotation)

    @property
    def count(self) -> int:
        """How many words follow its name; 0 for the two sides of a switch."""
        if self.types == (bool,):
            return 0
        pairs = [len(get_args(kind)) for kind in self.types if get_origin(kind) is tuple and not _is_repeated(kind)]
        return max(pairs, default=1)

    @property
    def choices(self) -> dict[str, Any]:
        """The values it is restricted to, by what is typed; empty when any will do."""
        return {str(choice): choice for kind in self.types for choice in _choices(kind)}

    @property
    def unit(self) -> str | None:
        """The unit of its value."""
        return _extra(self.field).get("unit")

    def given(self, values: Mapping[str, Any]) -> Any:
        """Find what the user typed among the values of the parameters; None when it was not given."""
        if values.get(f"{self.key}__no"):
            return False
        typed = values.get(self.key)
        return None if typed == [] else typed

    def value(self, given: Any) -> Any:
        """Turn what was typed into what the model takes: ``none`` where that is allowed, choices that are numbers."""
        words = {given} if isinstance(given, (str, bool)) else set(given)
        if words == {"none"} and self.optional:
            return None
        choices = self.choices
        if isinstance(given, (list, tuple)):
            return [choices.get(text, text) for text in given]
        return choices.get(given, given)

    def typed(self, value: Any) -> list[str]:
        """Give the words that :meth:`value` turns back into a value, with the option's name."""
        if self.count == 0 and value is not None:
            return [self.name if value else self.no]
        if value is None:
            words = ["none"] * self.count
        elif isinstance(value, dict):
            words = [f"{name}={','.join(map(text_of, values))}" for name, values in value.items()]
        else:
            words = [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]
        if self.positional:
            return words
        if self.repeated:
            return [text for word in words for text in (self.name, word)]
        return [self.name, *words]


def text_of(value: Any) -> str:
    """Write one value as it is typed: ``none``, or the values of a range or list with blanks between them."""
    if value is None:
        return "none"
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def options_of(job: type[Config], arguments: Sequence[str] = (), defaults: Config | None = None) -> tuple[Option, ...]:
    """Make the options of a job from its fields; nested configs are flattened.

    Parameters
    ----------
    job : type of Config
        The job's class. ``json_schema_extra`` of a field may give the name of its option (``option``), the beginning
        of the names of all options of a nested config (``prefix``), a ``unit``, and ``advanced`` for the group in the
        help.
    arguments : sequence of str
        Fields that are positional arguments, in their order.
    defaults : Config, optional
        An instance of the class, which may lack fields that have no default: it gives the defaults, and where a field
        takes several kinds of config, the kind.

    Returns
    -------
    tuple of Option
        Arguments first, then the job's own fields, then those of nested configs.
    """
    order = list(arguments)

    def rank(option: Option) -> tuple[int, int]:
        return (order.index(option.path[0]) if option.positional else len(order), len(option.path))

    return tuple(sorted(_walk(job, (), defaults, "", arguments), key=rank))


def kinds_of(job: type[Config], defaults: Config | None = None) -> dict[tuple[str, ...], str]:
    """Find what tells the kind of each config that a job takes several kinds of: the place of the word, and the word.

    Parameters are those of :func:`options_of`.
    """
    return dict(_kinds(job, (), defaults))


def with_kinds(values: Mapping[str, Any], kinds: Mapping[tuple[str, ...], str]) -> dict[str, Any]:
    """Put what tells the kinds into nested values.

    Raises
    ------
    NanosegError
        When another kind is there.
    """
    copy: dict[str, Any] = _copied(values)
    for (*way, last), word in kinds.items():
        inner = copy
        for name in way:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):  # refused by the model
                return copy
        if inner.setdefault(last, word) != word:
            raise NanosegError(f"the {last} of the config is {inner[last]}, not {word}; use the command for that one.")
    return copy


def values_of(options: Sequence[Option], given: Mapping[str, Any], base: Any = None) -> dict[str, Any]:
    """Put what the user gave into nested values, on top of `base`."""
    values: dict[str, Any] = _copied(base or {})
    for option in options:
        typed = option.given(given)
        if typed is None:
            continue
        inner = values
        for name in option.path[:-1]:
            if not isinstance(inner.get(name), dict):
                inner[name] = {}
            inner = inner[name]
        inner[option.path[-1]] = option.value(typed)
    return values


def value_at(config: Config, path: Sequence[str]) -> Any:
    """The value at a place of nested configs."""
    value: Any = config
    for name in path:
        value = getattr(value, name)
    return value


def option_at(options: Sequence[Option], place: Sequence[str | int]) -> str | None:
    """Name the option or argument that gave the value at a place of the nested values, such as a pydantic error's."""
    for option in options:
        if option.path == tuple(place[: len(option.path)]):
            return option.name
    return None


def _walk(
    model: type[Config], path: tuple[str, ...], defaults: Any, prefix: str, arguments: Sequence[str]
) -> Iterator[Option]:
    """Find the options of a model; `defaults` is an instance of it, if it has one."""
    unused = defaults.unused if isinstance(defaults, Config) else frozenset()
    for name, field in model.model_fields.items():
        if name in unused:
            continue
        here = (*path, name)
        extra = _extra(field)
        default = _default(name, field, defaults)
        kinds = [kind for kind in _members(field.annotation) if kind is not NoneType]
        nested = _nested(field)
        if nested:
            inner = f"{prefix}{extra['prefix']}-" if "prefix" in extra else prefix
            yield from _walk(_kind(nested, default), here, default, inner, arguments)
        elif not _is_constant(kinds):
            panel = " ".join([*prefix.split("-")[:-1], *(["advanced"] if extra.get("advanced") else [])])
            typed = f"--{prefix}{name.replace('_', '-')}"
            if any(_is_repeated(kind) for kind in kinds):
                typed = typed.removesuffix("s")  # given once for each value
            typed = extra.get("option", typed)
            positional = not path and name in arguments
            if positional:
                typed = typed.removeprefix("--").upper()
            yield Option(here, typed, field, default, positional, panel.capitalize() or None)


def _kinds(model: type[Config], path: tuple[str, ...], defaults: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, field in model.model_fields.items():
        nested = _nested(field)
        if not nested:
            continue
        default = _default(name, field, defaults)
        kind = _kind(nested, default)
        if len(nested) > 1:
            word = next(one for one, inner in kind.model_fields.items() if _is_constant(_members(inner.annotation)))
            yield (*path, name, word), kind.model_fields[word].default
        yield from _kinds(kind, (*path, name), default)


def _default(name: str, field: FieldInfo, defaults: Any) -> Any:
    default = getattr(defaults, name, PydanticUndefined)
    return field.get_default(call_default_factory=True) if default is PydanticUndefined else default


def _nested(field: FieldInfo) -> list[type[Config]]:
    """Configs that a field may hold."""
    return [kind for kind in _members(field.annotation) if isinstance(kind, type) and issubclass(kind, Config)]


def _kind(nested: Sequence[type[Config]], default: Any) -> type[Config]:
    return next((kind for kind in nested if type(default) is kind), nested[0])


def _extra(field: FieldInfo) -> dict[str, Any]:
    return dict(field.json_schema_extra) if isinstance(field.json_schema_extra, dict) else {}


def _is_repeated(kind: Any) -> bool:
    """Whether a type takes any number of values: a list, or lists by name."""
    return get_origin(kind) is dict or (get_origin(kind) is tuple and get_args(kind)[1:] == (...,))


def _members(annotation: Any) -> tuple[Any, ...]:
    """Split a union into its types."""
    if get_origin(annotation) in (Union, UnionType):
        return tuple(member for kind in get_args(annotation) for member in _members(kind))
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    return (annotation,)


def _choices(kind: Any) -> tuple[Any, ...]:
    """List the values of a Literal, also inside a tuple."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return tuple(choice for inner in get_args(kind) for choice in _choices(inner))


def _is_constant(members: Sequence[Any]) -> bool:
    """Whether a field only tells what kind of config this is."""
    return len(members) == 1 and get_origin(members[0]) is Literal and len(get_args(members[0])) == 1


def _copied(values: Any) -> Any:
    return {key: _copied(value) for key, value in values.items()} if isinstance(values, dict) else values
