"""One reader for YAML and JSON: what it takes, and what it refuses in a sentence."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from napari_nanoseg import documents
from napari_nanoseg.documents import CONFIGS, RECORDS, Limits, parse_json, parse_yaml, read_json, read_yaml
from napari_nanoseg.errors import NanosegError


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, levels)]
    return "\n".join(lines)


MERGES = "\n".join(
    ["a0: &a0 {x: 1, y: 2}"]
    + [f"a{n}: &a{n}\n  k{n}: {{<<: *a{n - 1}}}\n  l{n}: {{<<: *a{n - 1}}}\n  m{n}: *a{n - 1}" for n in range(1, 15)]
)
BAD_YAML = {
    "alias bomb": (laughs(12), "more than 50000 values"),
    "merge bomb": (MERGES, "more than 50000 values"),
    "itself": ("a: &a [*a]", "refers to a value within"),
    "deep list": ("[" * 100_000, "nest"),
    "deep mapping": ("{a: " * 3000, "nest"),
    "deep block": ("".join("-" + " " for _ in range(200)), "nested in more than 50"),
    "many": ("[" + "1," * 60_000 + "]", "more than 50000 values"),
    "large": ("a: " + "x" * CONFIGS.size, "more than the 1048576 that are read"),
    "digits": ("a: " + "9" * 5000, "number of 5000 characters"),
    "hexadecimal": ("a: 0x" + "f" * 40, "more than 64 bits"),
    "sexagesimal": ("a: 1" + ":1" * 300_000, "number of 600001 characters"),
    "python": ("a: !!python/object/apply:os.system ['true']", "Python objects, which are not read"),
    "python name": ("a: !!python/name:os.system ''", "Python objects"),
    "binary": ("a: !!binary aGVsbG8=", "tag that is not read"),
    "set": ("a: !!set {b}", "tag that is not read"),
    "own tag": ("a: !mine b", "tag that is not read"),
    "wrong bool": ("a: !!bool x", "not a YAML file"),
    "wrong int": ("a: !!int x", "not a YAML file"),
    "wrong kind": ("!!map 5", "not a YAML file"),
    "list as name": ("? [a]\n: 1", "not a YAML file"),
    "twice": ("a: 1\nb: 2\na: 3", "line 3 has a name that was there before"),
    "NUL": ('a: "b\\0c"', "line 1 has a character that is no text"),
    "two documents": ("--- a\n--- b", "not a YAML file"),
    "unknown alias": ("a: *b", "not a YAML file"),
    "cut off": ("a: [1, 2", "line 1|line 2"),
}
BAD_JSON = {
    "deep": ("[" * 100_000, "nest"),
    "deep mapping": ('{"a":' * 60 + "1" + "}" * 60, "more than 50 lists or mappings"),
    "many": ("[" + "[]," * 60_000 + "0]", "more than 50000 values"),
    "large": ('{"a": "' + "x" * CONFIGS.size + '"}', "more than the 1048576 that are read"),
    "digits": ('{"a": ' + "9" * 5000 + "}", "whole number of 5000 digits"),
    "64 bits": ('{"a": 9223372036854775808}', "more than 64 bits"),
    "infinity": ('{"a": Infinity}', "Infinity, which is no number"),
    "NaN": ('{"a": NaN}', "NaN, which is no number"),
    "infinite": ('{"a": 1e999}', "number that is too large"),
    "surrogate": ('{"a": ["\\ud800"]}', "character that is no text"),
    "NUL": ('{"a\\u0000": 1}', "character that is no text"),
    "list": ("[]", "not a mapping of names to values"),
    "number": ("1", "not a mapping of names to values"),
    "cut off": ('{"a": ', "not a JSON file .line 1"),
    "nothing": ("", "not a JSON file"),
}


@pytest.mark.parametrize("name", BAD_YAML)
def test_bad_yaml_is_one_sentence_at_once(name: str) -> None:
    text, words = BAD_YAML[name]
    start = time.perf_counter()
    with pytest.raises(NanosegError, match=words) as error:
        parse_yaml(text.encode(), "card.yaml", CONFIGS, "copy it again")
    assert time.perf_counter() - start < 10
    assert str(error.value).startswith("card.yaml: ")
    assert str(error.value).endswith("; copy it again.")


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_json_is_one_sentence_at_once(name: str) -> None:
    text, words = BAD_JSON[name]
    with pytest.raises(NanosegError, match=words) as error:
        parse_json(text.encode(), "config.json", dict, CONFIGS, "copy it again")
    assert str(error.value).startswith("config.json: ")
    assert str(error.value).endswith("; copy it again.")


@pytest.mark.parametrize("parse", [parse_yaml, lambda content, where: parse_json(content, where, dict)])
def test_bytes_that_are_no_text(parse) -> None:
    with pytest.raises(NanosegError, match="not UTF-8 text"):
        parse(b'{"a": "\xff\xfe"}', "a")
    assert parse('\ufeff{"a": "ä"}'.encode(), "a") == {"a": "ä"}


def test_yaml_without_its_library_in_c_is_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(documents._Counting, documents._PythonParser, documents.SafeConstructor, documents.Resolver):
        def __init__(self, text: str, limits: Limits) -> None:
            documents._PythonParser.__init__(self, text)
            documents._Counting.__init__(self)
            documents.SafeConstructor.__init__(self)
            documents.Resolver.__init__(self)
            self.limits = limits

    monkeypatch.setattr(documents, "_Loader", Slow)
    assert parse_yaml(b"a: &x [1, 2.5, yes]\nb: *x", "a") == {"a": [1, 2.5, True], "b": [1, 2.5, True]}
    for name in ("alias bomb", "itself", "deep list", "python", "twice", "digits"):
        with pytest.raises(NanosegError, match=BAD_YAML[name][1]):
            parse_yaml(BAD_YAML[name][0].encode(), "a", CONFIGS)


def test_plain_yaml_keeps_its_values() -> None:
    text = "a: &x {b: 1, c: [0x10, -1.5, .inf, yes, null, text]}\nd: {<<: *x, b: 2}\ne: 2026-12-01\nf: '1'\ng: *x"
    values = parse_yaml(text.encode(), "a")
    first = {"b": 1, "c": [16, -1.5, float("inf"), True, None, "text"]}
    assert values == {"a": first, "d": first | {"b": 2}, "e": "2026-12-01", "f": "1", "g": first}


def test_brackets_and_commas_in_texts_do_not_count() -> None:
    values = {"a": ['[{"\\' * 100 + ",", "\\", '"', "\U0001f600 \\u0000 \\ud800"], "b": {"[[[[": [1, -2.5e-3]}}
    assert parse_json(json.dumps(values).encode(), "a", dict, Limits(10_000, 10, 4)) == values
    long = {"a": '\\"[' * 700_000, "b": 1}  # across the blocks in which brackets are counted
    assert parse_json(json.dumps(long).encode(), "a", dict, RECORDS) == long


@pytest.mark.parametrize("read", [read_yaml, lambda path: read_json(path, dict)])
def test_only_files_are_read(tmp_path: Path, read) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name, words in [
        ("pipe", "a device or a pipe"),
        ("device", "a device or a pipe"),
        (".", "is a folder"),
        ("none", "There is no file"),
        ("a\0b", "not a valid path"),
        ("x" * 300, "cannot be read"),
    ]:
        with pytest.raises(NanosegError, match=words):
            read(tmp_path / name)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(RECORDS.size + 1)
    with pytest.raises(NanosegError, match="more than the 16777216 that are read"):
        read(tmp_path / "large")
