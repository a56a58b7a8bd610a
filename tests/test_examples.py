"""Every public name has an example in its docstring that a stranger can copy."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import napari_nanoseg as ns

HEADING = "\nExamples\n--------\n"


def described() -> Iterator[tuple[str, Any]]:
    """Public functions, and public classes with the methods and properties that they and their bases here define."""
    for name in ns.__all__:
        thing = getattr(ns, name)
        if inspect.isclass(thing) and thing.__module__.startswith("napari_nanoseg._gui"):
            continue  # docs/napari_script.md shows docks, and tests/gui/test_script_page.py runs it
        yield name, thing
        if inspect.isclass(thing):
            for kind in thing.__mro__:
                if kind.__module__.startswith("napari_nanoseg."):
                    for member, value in vars(kind).items():
                        if not member.startswith("_") and (inspect.isroutine(value) or isinstance(value, property)):
                            yield f"{kind.__name__}.{member}", value


THINGS = dict(described())
TEXTS = {name: inspect.getdoc(thing) or "" for name, thing in THINGS.items()}
WITH_EXAMPLES = [name for name, text in TEXTS.items() if HEADING in text]


def for_users(name: str) -> bool:
    """Whether a caller makes use of it, not only an engine that implements it; properties explain themselves."""
    thing = THINGS[name]
    return not getattr(thing, "__isabstractmethod__", False) and not isinstance(thing, property)


def test_everything_that_is_called_has_an_example() -> None:
    assert [name for name in THINGS if for_users(name) and name not in WITH_EXAMPLES] == []


def test_examples_are_the_last_section() -> None:
    sections = {name: TEXTS[name].rpartition(HEADING)[2] for name in WITH_EXAMPLES}
    assert [name for name, section in sections.items() if "\n---" in section] == []


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_example_gives_what_it_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    example = doctest.DocTestParser().get_doctest(TEXTS[name], {}, name, None, None)
    assert any(step.want for step in example.examples), f"the example of {name} shows nothing"
    said: list[str] = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert not failed, "".join(said)
