"""The table of model calls: counting them, and looking at the last ones."""

import pytest

from kb.llm import Completion, Request, user
from kb.llm.stored import append_call, count_calls, last_call, recent_calls
from kb.store import Store

STAGE = "generate: facts"


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "kb.db")
    yield store
    store.close()


def add(store, text, why="", identity="me", stage=STAGE, finish="stop"):
    """A call of the model called "m"; returns its request."""
    request = Request(user(text, "系统"), 100, 0.7, 3, ("###",))
    done = Completion(f"to {text}", finish, "", 7, 2, 0.5)
    append_call(store, request.key(identity), stage, "m", request, done, why)
    return request


def test_calls_are_counted_by_stage_and_model(store):
    """Good answers alone, and up to a call."""
    for text, why in (("a", ""), ("b", "no lines"), ("c", "")):
        add(store, text, why)
    add(store, "d", stage="generate: probes")
    assert last_call(store) == 4
    assert [count_calls(store, STAGE, "m", last) for last in (None, 3, 2, 0)] == [2, 2, 1, 0]
    assert count_calls(store, STAGE, "another") == 0


def test_no_call_yet(store):
    """Nothing to count."""
    assert (last_call(store), count_calls(store, STAGE, "m"), recent_calls(store, STAGE, "m", "me", 9)) == (0, 0, [])


def test_the_last_calls_as_they_were_made(store):
    """Oldest first, good and bad; not those that got no answer, and not those of other weights under the same name."""
    first, second = add(store, "甲"), add(store, "b", "no lines")
    add(store, "c", identity="other weights")
    add(store, "d", "HTTP 500", finish="error")
    found = recent_calls(store, STAGE, "m", "me", 9)
    assert [(call.request, call.good) for call in found] == [(first, True), (second, False)]
    assert found[0].completion == Completion("to 甲", "stop", "", 7, 2)
    assert found[0].at.tzinfo is not None
    assert recent_calls(store, STAGE, "m", "me", 1) == []
