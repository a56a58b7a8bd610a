"""Events reach who listens, who can end the work, and travel between processes unchanged."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from followed import events_of
from hypothesis import given
from hypothesis import strategies as st

from napari_nanoseg.errors import NanosegError
from napari_nanoseg.events import (
    Cancelled,
    Epoch,
    Failed,
    JobResult,
    Line,
    Notice,
    Progress,
    Stage,
    checkpoint,
    from_json,
    ignore,
    in_context,
    is_followed,
    listening,
    tell,
    to_json,
    undisturbed,
)
from napari_nanoseg.progress import shown

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


ONE, TWO = Notice("one"), Notice("two")


def leave() -> None:
    raise Cancelled


def test_without_a_listener_nothing_happens() -> None:
    tell(ONE)
    checkpoint()
    assert not is_followed()


def test_a_listener_hears_what_is_told_within_its_block() -> None:
    events, result = events_of(lambda: (tell(ONE), tell(TWO), 3)[-1])
    tell(TWO)
    assert (events, result) == ([ONE, TWO], 3)


def test_what_a_listener_tells_reaches_the_one_outside() -> None:
    def work() -> None:
        with listening(lambda event: tell(Notice(f"inner: {event.message}"))):
            tell(ONE)
        tell(TWO)

    assert events_of(work)[0] == [Notice("inner: one"), TWO]


def test_the_outer_listener_can_end_what_an_inner_one_follows() -> None:
    cleaned = []

    def work() -> None:
        try:
            with listening(ignore):
                checkpoint()
        finally:
            cleaned.append(True)

    with pytest.raises(Cancelled), listening(ignore, leave):
        work()
    assert cleaned == [True]


@pytest.mark.parametrize("place", [checkpoint, lambda: tell(ONE)])
def test_no_except_exception_keeps_work_from_being_left(place: Callable[[], None]) -> None:
    def work() -> None:
        try:
            place()
        except Exception:
            pytest.fail("it was caught")

    with pytest.raises(Cancelled), listening(ignore, leave):
        work()


def test_what_cleans_up_is_not_interrupted_again() -> None:
    kept = []

    def work() -> None:
        try:
            checkpoint()
        finally:
            checkpoint()
            tell(ONE)
            kept.append(True)

    for _ in range(2):  # the second time, it can be left again
        with pytest.raises(Cancelled), listening(ignore, leave):
            work()
    assert kept == [True, True]


def test_nobody_disturbs_what_must_not_be_left_halfway() -> None:
    heard: list[object] = []
    with listening(heard.append, leave), undisturbed():
        checkpoint()
        tell(ONE)
    assert heard == []


def test_threads_are_followed_and_left_in_a_copy_of_the_context() -> None:
    with ThreadPoolExecutor(3) as threads:
        events, _ = events_of(lambda: list(threads.map(in_context(tell), [ONE] * 50)))
        assert events == [ONE] * 50
        assert events_of(lambda: list(threads.map(tell, [ONE])))[0] == []
        with listening(ignore, leave):
            future = threads.submit(in_context(checkpoint))
        with pytest.raises(Cancelled):
            future.result()


def test_progress_of_followed_work_goes_to_who_follows(capsys: pytest.CaptureFixture[str]) -> None:
    def work(progress: Any) -> None:
        with shown(progress):
            tell(ONE)

    assert events_of(lambda: work(True))[0] == [ONE]
    assert events_of(lambda: work(False))[0] == []
    heard: list[object] = []
    work(heard.append)
    work(True)
    work(False)
    assert heard == [ONE]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("value", [None, 3, "yes"])
def test_another_value_for_progress_is_refused(value: Any) -> None:
    with pytest.raises(NanosegError, match="'progress' is"), shown(value):
        pass
