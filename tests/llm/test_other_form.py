"""Items that can be asked in two forms: the second where the first is refused, and either from the store."""

from dataclasses import replace

import pytest

from kb.errors import Unparsed
from kb.llm import Completion, Item, Request, ask, user
from kb.llm.fake import FakeLLM
from kb.prompt import Prompts

REFUSED = Completion("", "error", "HTTP 400: no schemas", refused=True)
AGAIN = Prompts().get("kb", "again", "en")


def parse(text):
    if not text.startswith("A:"):
        raise Unparsed("no A: line")
    return text[2:]


def items(count, **fields):
    lines = [Request(user(f"question {n}")) for n in range(count)]
    return [Item(f"chk_{n}", replace(r, schema="{}"), other=r, again=AGAIN, **fields) for n, r in enumerate(lines)]


def run(llm, store, asked):
    return [result.value for result in ask(llm, store, asked, parse, "stage", show=False)]


def form(request):
    """The form that was asked for, its seed, and whether with a word about the answer before."""
    return ("json" if request.schema else "lines", request.seed, len(request.messages) > 1)


def test_the_first_form_is_asked(store):
    """The other one is for those who refuse it."""
    fake = FakeLLM(lambda request: f"A:{form(request)[0]}")
    assert run(fake, store, items(2)) == ["json", "json"]
    assert len(fake.history) == 2


def test_where_it_is_refused_the_other_one_is_asked(store):
    """Nothing is lost, no attempt is used up, and a later run takes the answers from the store without asking."""
    fake = FakeLLM(lambda request: REFUSED if request.schema else f"A:{request.seed}" if request.seed == 2 else "junk")
    assert run(fake, store, items(1)) == ["2"]
    assert [form(request) for request in fake.history] == [
        ("json", 0, False), ("lines", 0, False), ("lines", 1, True), ("lines", 2, True),
    ]  # fmt: skip
    silent = FakeLLM(lambda request: pytest.fail("asked again"))
    assert run(silent, store, items(1)) == run(silent, store, items(1, open=False)) == ["2"]


def test_refused_after_a_bad_answer(store):
    """A server that gives schemas up between two attempts is asked for lines with the next seed."""
    fake = FakeLLM(lambda request: "A:ok" if not request.schema else REFUSED if request.seed else "junk")
    assert run(fake, store, items(1)) == ["ok"]
    assert [form(request) for request in fake.history] == [
        ("json", 0, False), ("json", 1, True), ("json", 1, False), ("lines", 1, False),
    ]  # fmt: skip
    silent = FakeLLM(lambda request: pytest.fail("asked again"))
    assert run(silent, store, items(1)) == ["ok"]


def test_answers_in_the_other_form_are_as_good(store):
    """What was asked for as lines before the server held to schemas is not asked again."""
    run(FakeLLM(lambda request: "A:old"), store, [replace(item, request=item.other, other=None) for item in items(2)])
    fake = FakeLLM(lambda request: "A:new")
    assert run(fake, store, items(3)) == ["old", "old", "new"]
    assert [form(request) for request in fake.history] == [("json", 0, False)]
