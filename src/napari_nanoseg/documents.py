"""The one reader of YAML and JSON: plain values out of files of unknown origin, within limits.

A few lines of YAML can stand for billions of values, and a nested list of a few kilobytes can end a parser. Everything
that the parsers raise becomes one sentence.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import Resolver
from yaml.scanner import Scanner

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.reading import read_file

ADVICE = "correct it or choose another file"


@dataclass(frozen=True)
class Limits:
    """What a document may have.

    Parameters
    ----------
    size : int
        Bytes of the file.
    values : int
        Numbers, texts, lists and mappings; what a YAML alias stands for counts each time.
    depth : int
        Lists and mappings within each other.
    """

    size: int
    values: int
    depth: int = 50


CONFIGS = Limits(1 << 20, 50_000)
"""Of model cards, configs and thresholds, which have some hundred values."""
RECORDS = Limits(16 << 20, 1_000_000)
"""Of job files, run records and journals, which grow with the number of images."""
ANNOTATIONS = Limits(2 << 30, 200_000_000)
"""Of COCO files: 200,000 outlines have several hundred megabytes."""
LONGEST_NUMBER = 64
"""Characters of a number in YAML."""

_Kind = TypeVar("_Kind")
_KINDS: dict[type, str] = {dict: "a mapping of names to values", list: "a list"}
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_ESCAPED_NO_TEXT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_TAG = "tag:yaml.org,2002:"
_TAGS = {f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map", "merge")}
_TEXTS = {f"{_TAG}timestamp", f"{_TAG}value"}
_NUMBERS = {f"{_TAG}int", f"{_TAG}float"}


class _RefusedError(Exception):
    """What a document has that is not read, for a sentence."""


def read_yaml(path: str | Path, limits: Limits = RECORDS, advice: str = ADVICE) -> Any:
    """Read the plain values of a YAML file; see :func:`parse_yaml`."""
    return parse_yaml(read_file(Path(path), limits.size, advice), path, limits, advice)


def parse_yaml(content: bytes, where: str | Path, limits: Limits = RECORDS, advice: str = ADVICE) -> Any:
    """Read plain values from YAML.

    Parameters
    ----------
    content : bytes
        UTF-8.
    where : str or Path
        The file, for sentences.
    limits : Limits
    advice : str
        What to do when it cannot be read.

    Returns
    -------
    dict, list, str, int, float, bool or None
        Dates are texts.

    Raises
    ------
    NanosegError
        When it is not YAML, exceeds a limit, has a key twice, a value that refers to itself, or other tags than those
        of plain values.
    """
    return _parsed(_from_yaml, "YAML", content, where, limits, advice)


def read_json(path: str | Path, kind: type[_Kind], limits: Limits = RECORDS, advice: str = ADVICE) -> _Kind:
    """Read the plain values of a JSON file; see :func:`parse_json`."""
    return parse_json(read_file(Path(path), limits.size, advice), path, kind, limits, advice)


def parse_json(
    content: bytes, where: str | Path, kind: type[_Kind], limits: Limits = RECORDS, advice: str = ADVICE
) -> _Kind:
    """Read plain values from JSON.

    Parameters
    ----------
    content : bytes
        UTF-8.
    where : str or Path
        The file, for sentences.
    kind : type
        What the whole must be: ``dict`` or ``list``.
    limits : Limits
    advice : str
        What to do when it cannot be read.

    Raises
    ------
    NanosegError
        When it is not JSON (NaN and Infinity are not), exceeds a limit, has a whole number of more than 64 bits, or is
        of another kind.
    """
    values = _parsed(_from_json, "JSON", content, where, limits, advice)
    if not isinstance(values, kind):
        raise NanosegError(f"{where}: it is damaged or another kind of file, not {_KINDS[kind]}; {advice}.")
    return values


def _parsed(
    parse: Callable[[str, Limits], Any], name: str, content: bytes, where: str | Path, limits: Limits, advice: str
) -> Any:
    try:
        if len(content) > limits.size:
            raise _RefusedError(f"it has {len(content)} bytes, more than the {limits.size} that are read")
        return parse(content.decode("utf-8-sig"), limits)
    except Exception as error:  # the parsers raise whatever their conversions happen to raise
        raise NanosegError(f"{where}: {_reason(error, name)}; {advice}.") from error


def _reason(error: Exception, name: str) -> str:
    if isinstance(error, _RefusedError):
        return str(error)
    if isinstance(error, UnicodeDecodeError):
        return "it is damaged or not UTF-8 text"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, json.JSONDecodeError):
        return f"it is damaged or not a JSON file (line {error.lineno}: {error.msg})"
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f" (line {mark.line + 1}: {getattr(error, 'problem', '')})"
    return f"it is damaged or not a {name} file{where}"


class _Counting(Composer):
    """Makes nodes of YAML's events, and counts them before any value is made."""

    limits: Limits

    def __init__(self) -> None:
        Composer.__init__(self)
        self.count = self.depth = 0
        self.counts: dict[str, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        event, before = self.peek_event(), self.count  # type: ignore[attr-defined]
        line, anchor = event.start_mark.line + 1, event.anchor
        self.count += 1
        if isinstance(event, yaml.AliasEvent):
            if anchor in self.anchors and anchor not in self.counts:
                raise _RefusedError(f"line {line} refers to a value within that value")
            self.count += self.counts.get(anchor, 0)
        if self.count > self.limits.values:
            raise _RefusedError(f"it has more than {self.limits.values} values")
        if self.depth > self.limits.depth:
            raise _RefusedError(f"line {line} is nested in more than {self.limits.depth} lists or mappings")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        if not isinstance(event, yaml.AliasEvent):
            _check_node(node, line)
            if anchor is not None:
                self.counts[anchor] = self.count - before
        return node


def _check_node(node: Any, line: int) -> None:
    if node.tag in _TEXTS:
        node.tag = f"{_TAG}str"
    if node.tag not in _TAGS:
        python = "python" in node.tag
        raise _RefusedError(
            f"line {line} has {'Python objects, which are not read' if python else 'a tag that is not read'}"
        )
    if isinstance(node, yaml.MappingNode):
        names = set()
        for key, _ in node.value:
            name = (key.tag, key.value if isinstance(key, yaml.ScalarNode) else id(key))
            if name in names and key.tag != f"{_TAG}merge":
                raise _RefusedError(f"line {key.start_mark.line + 1} has a name that was there before")
            names.add(name)
    elif isinstance(node, yaml.ScalarNode):
        if _NO_TEXT.search(node.value):
            raise _RefusedError(f"line {line} has a character that is no text")
        if node.tag in _NUMBERS and len(node.value) > LONGEST_NUMBER:
            raise _RefusedError(f"line {line} has a number of {len(node.value)} characters")


class _PythonParser(Reader, Scanner, Parser):
    """Stands in for libyaml's parser where PyYAML was built without it."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


_Parser: Any = yaml.cyaml.CParser if yaml.__with_libyaml__ else _PythonParser  # type: ignore[attr-defined]


class _Loader(_Counting, _Parser, SafeConstructor, Resolver):  # type: ignore[misc]
    def __init__(self, text: str, limits: Limits) -> None:
        _Parser.__init__(self, text)
        _Counting.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)
        self.limits = limits


def _from_yaml(text: str, limits: Limits) -> Any:
    loader = _Loader(text, limits)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _whole(loader: Any, node: Any) -> int:
    return _within_64_bits(SafeConstructor.construct_yaml_int(loader, node))


_Loader.add_constructor(f"{_TAG}int", _whole)


def _from_json(text: str, limits: Limits) -> Any:
    content = text.encode("utf-8")
    _check_nesting(content, limits)
    values = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_constant)
    if _ESCAPED_NO_TEXT.search(content):
        _check_texts(values)
    return values


def _check_nesting(content: bytes, limits: Limits) -> None:
    """Count brackets and commas outside of texts: 0.9 s for 100 MB, where parsing takes 3.4 s."""
    import numpy as np

    if b"\\" in content:
        content = content.replace(b"\\\\", b"").replace(b'\\"', b"")
    steps = np.zeros(256, np.int8)
    steps[list(b"[{")], steps[list(b"]}")] = 1, -1
    inside, depth, values = False, 0, 1
    for start in range(0, len(content), 1 << 20):
        block = np.frombuffer(content, np.uint8, min(1 << 20, len(content) - start), start)
        in_text = np.bitwise_xor.accumulate(block == ord('"')) ^ inside
        inside = bool(in_text[-1])
        values += int(np.count_nonzero((block == ord(",")) & ~in_text))
        brackets = steps[block]
        brackets[in_text] = 0
        brackets = brackets[brackets != 0]
        if not brackets.size:
            continue
        values += int(np.count_nonzero(brackets > 0))
        depths = depth + np.cumsum(brackets, dtype=np.int64)
        if depths.max() > limits.depth:
            raise _RefusedError(f"more than {limits.depth} lists or mappings are nested")
        depth = int(depths[-1])
        if values > limits.values:
            raise _RefusedError(f"it has more than {limits.values} values")


def _integer(text: str) -> int:
    if len(text) > 20:
        raise _RefusedError(f"it has a whole number of {len(text)} digits")
    return _within_64_bits(int(text))


def _within_64_bits(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise _RefusedError("it has a whole number of more than 64 bits")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _RefusedError("it has a number that is too large")
    return value


def _constant(text: str) -> NoReturn:
    raise _RefusedError(f"it has {text}, which is no number in JSON")


def _check_texts(values: Any) -> None:
    waiting = [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and _NO_TEXT.search(value):
            raise _RefusedError("it has a character that is no text")
