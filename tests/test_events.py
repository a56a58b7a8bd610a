"""Events travel between processes unchanged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import (
    Epoch,
    Failed,
    JobResult,
    Line,
    Notice,
    Progress,
    Stage,
    from_json,
    tell,
    to_json,
)

texts = st.text(st.characters(codec="utf-8"), max_size=30)
numbers = st.integers(0, 10**9)
figures = st.dictionaries(texts, st.floats(allow_nan=False), max_size=4)
events = st.one_of(
    st.builds(Stage, texts, texts),
    st.builds(Progress, numbers, numbers, texts),
    st.builds(Notice, texts),
    st.builds(Epoch, numbers, numbers, figures, figures, st.floats(0, 1e9), st.floats(0, 1e9), st.none() | texts),
    st.builds(JobResult, figures, st.dictionaries(texts, texts, max_size=4)),
    st.builds(Failed, texts, st.none() | texts),
)


@given(events)
def test_every_line_comes_back_equal(event: Line) -> None:
    line = to_json(event)
    assert "\n" not in line
    assert from_json(line) == event


@pytest.mark.parametrize(
    "line",
    ["", "Epoch 3", "[]", "3", "null", "{}", '{"type": "Object"}', '{"type": ["Stage"]}', '{"type": "Stage"}',
     '{"type": "Progress", "done": 1, "total": 2, "unit": "x", "more": 3}'],
)  # fmt: skip
def test_other_lines_are_refused(line: str) -> None:
    with pytest.raises(NanosegError, match="not an event"):
        from_json(line)


def test_drain_runs_to_the_end_and_returns_the_result() -> None:
    seen = []

    def job() -> JobResult:
        for done in range(3):
            seen.append(done)
            tell(Progress(done, 3, "steps"))
        return JobResult({"f1": 0.9})

    assert job() == JobResult({"f1": 0.9})
    assert seen == [0, 1, 2]
