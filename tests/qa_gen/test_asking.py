"""The bench that every step works at: what it says on the way, and its account of what was not got."""

import logging
from dataclasses import replace

import pytest

from kb.llm import Item, Request, user
from kb.qa_gen.asking import Failed
from kb.qa_gen.replies import parse_lines
from kb.qa_gen.selection import Selection


@pytest.fixture
def said(caplog):
    """What was logged."""
    caplog.set_level(logging.INFO, "kb")
    return lambda: [record.getMessage() for record in caplog.records]


def items(*names):
    return [Item(name, Request(user(f"about {name}"))) for name in names]


def asked(bench, step, *names):
    """The results for items of these names, all about the chunk chk_1."""
    return list(bench.ask(step, iter(items(*names)), ["chk_1"] * len(names), parse_lines))


def test_a_step_that_took_a_while_says_what_it_left(make_bench, said):
    """With the reasons of its own rejects, the most frequent first; what was asked for in an instant is not told."""
    bench = make_bench(lambda request: "- What is it?")
    asked(bench, "questions", "fct_1")
    bench.tell("questions", 3)
    bench.reject("facts", "chk_1", "said before", "x")
    bench.busy["questions"] -= 10
    for number in range(2):
        bench.reject("questions", "fct_1", "没有答案", str(number))
    bench.reject("questions", "fct_1", "not a question", "x")
    bench.tell("questions", 7)
    bench.tell("questions", 8)
    assert said()[1:] == [
        "questions: 7 kept, 4 rejected: 没有答案 2, not a question 1, said before 1",
        "questions: 8 kept",
    ]


def test_a_step_that_asked_nothing_says_nothing(make_bench, said):
    """Everything came from the store."""
    bench = make_bench([])
    bench.reject("facts", "chk_1", "said before", "x")
    bench.tell("facts", 3)
    assert said() == []


def test_what_may_not_be_asked_and_was_never_tried_is_no_failure(make_bench):
    """Its chunk lacks an answer; what failed before stays on record with the reason of then."""
    failed = {("generate: questions", "fct_2"): ("no lines", "junk")}
    bench = replace(make_bench([]), selection=Selection(frozenset(), False, failed))
    assert [result.value for result in asked(bench, "questions", "fct_1", "fct_2")] == [None, None]
    assert bench.unasked == {"chk_1"}
    assert bench.failing == [Failed("questions", "fct_2", "chk_1", "no lines", "junk")]
    assert bench.failed() == []
    bench.settle()
    assert bench.store.failures("generate: questions") == [("fct_2", "no lines", "junk")]


def test_a_chunk_that_opens_late_has_not_failed_before(make_bench):
    """An item in front of the one that failed is not asked, and is no failure either."""
    failed = {("generate: questions", "fct_2"): ("no lines", "junk")}
    bench = replace(make_bench(["- What is it?"]), selection=Selection(None, True, failed))
    assert [result.value for result in asked(bench, "questions", "fct_1", "fct_2", "fct_3")] == [
        None, ("What is it?",), ("What is it?",),
    ]  # fmt: skip
    assert (bench.failing, bench.failed()) == ([], [])


def test_all_queries_are_searched_part_by_part(make_bench, make_chunk, monkeypatch):
    """The passages of each, in order."""
    monkeypatch.setattr("kb.qa_gen.asking.SLICE", 2)
    chunks = [make_chunk(f"word{number}", number=number) for number in range(5)]
    found = make_bench([], chunks).search([f"word{number}" for number in range(5)])
    assert [[chunk.id for chunk in hits] for hits in found] == [[chunk.id] for chunk in chunks]
