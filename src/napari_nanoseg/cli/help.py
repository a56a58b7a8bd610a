"""The help of a command: what must be given first, the rest on request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from napari_nanoseg.config.options import Option

OWN = 2
"""Depth of the fields of a job and of its config; those of configs inside the config are folded."""


class JobCommand(TyperCommand):
    """A command whose usage line shows what is required, and whose help folds what few need."""

    required: tuple[str, ...] = ()
    """What must be given, as the usage line shows it."""
    folded: frozenset[str] = frozenset()
    """Names of the parameters that only ``--help-all`` shows."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Give the parts of the usage line after the command's name."""
        return [*self.required, "[OPTIONS]"]

    def get_help(self, ctx: Any) -> str:
        """Give the help without the options that few need."""
        return self._help(ctx, hidden=self.folded)

    def whole_help(self, ctx: Any) -> str:
        """Give the help with all options."""
        return self._help(ctx, hidden=frozenset())

    def _help(self, ctx: Any, hidden: frozenset[str]) -> str:
        for parameter in self.params:
            if isinstance(parameter, TyperOption) and parameter.name in self.folded:
                parameter.hidden = parameter.name in hidden
        return super().get_help(ctx)


def job_command(options: Iterable[Option]) -> type[JobCommand]:
    """Make the class of a command with these options."""
    options = list(options)
    required = [_usage(option) for option in options if option.required]
    folded = {option.key for option in options if is_folded(option)}
    return type("JobCommand", (JobCommand,), {"required": tuple(required), "folded": frozenset(folded)})


def is_folded(option: Option) -> bool:
    """Whether an option is one that only ``--help-all`` shows."""
    return not option.required and (option.panel is not None or len(option.path) > OWN)


def _usage(option: Option) -> str:
    if option.positional:
        return f"{option.name}..." if option.repeated else option.name
    return f"{option.name} VALUE..." if option.repeated else f"{option.name} VALUE"


def epilog(examples: Iterable[str], options: Iterable[Option]) -> str:
    """Write what stands below the options: examples, and how many options are folded."""
    lines = ["Examples:", *(f"  {example}" for example in examples)]
    folded = sum(map(is_folded, options))
    if folded:
        lines += ["", f"{folded} more options: --help-all"]
    return "\n\n".join(lines)  # typer takes a single line break for a space


def _show_all(ctx: typer.Context, wanted: bool) -> None:
    if wanted and isinstance(ctx.command, JobCommand):
        text = ctx.command.whole_help(ctx)
        if text:
            typer.echo(text)
        raise typer.Exit


HelpAll: Any = Annotated[
    bool, typer.Option("--help-all", callback=_show_all, is_eager=True, help="Show all options and exit.")
]
