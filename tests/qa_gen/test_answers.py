"""Answers by RAG: what is shown, what agrees, and the sentence that is taken."""

import pytest

from kb.qa_gen.answers import check_answers
from kb.records import Question


def question(fact, text):
    """The first training wording of a fact."""
    return {fact.id: [Question("q", fact.chunk_id, fact.id, "answerable", "train", text, fact.language, "p")]}


@pytest.fixture
def chunk(make_chunk):
    """A page about one product."""
    return make_chunk("Tulvao Core costs 349 crowns. Its battery lasts 34 hours.")


@pytest.fixture
def fact(make_fact):
    """What the page says."""
    return make_fact("Tulvao Core costs 349 crowns.", "349 crowns")


def script(short, full):
    """A model with one short and one full answer."""
    return lambda request: full if "complete sentence" in request.messages[0].content else short


def checked(bench, fact):
    """The fact after its first question was answered."""
    return check_answers(bench, [fact], question(fact, "How much does Tulvao Core cost?"))


def test_a_right_answer_keeps_the_fact_and_brings_its_sentence(make_bench, chunk, fact):
    """The short answer agrees, the full one says it."""
    bench = make_bench(script("349 crowns.", "Tulvao Core is sold for 349 crowns."), [chunk])
    assert [one.full_answer for one in checked(bench, fact)] == ["Tulvao Core is sold for 349 crowns."]
    assert "[1] Handbook > Products\nTulvao Core costs" in bench.llm.history[0].messages[-1].content
    assert dict(bench.notes) == {}


@pytest.mark.parametrize("answer", ["34 hours", "I don't know.", "Probably 350 crowns"])
def test_another_answer_drops_the_fact(make_bench, chunk, fact, answer):
    """What the model answers from the passages decides, and both are on record."""
    bench = make_bench(script(answer, "x"), [chunk])
    assert checked(bench, fact) == []
    assert [(reject.reason, reject.detail) for reject in bench.rejects] == [
        ("RAG answers otherwise", f"How much does Tulvao Core cost? | 349 crowns | {answer}")
    ]


@pytest.mark.parametrize(
    ("full", "fault"),
    [
        ("Tulvao Core is cheap.", "lacked the short one"),
        ("According to the passage, Tulvao Core costs 349 crowns.", "pointed at the passages"),
        ("Tulvao Core costs 349 crowns.\n\nLet me know if you need more.", "was more than a sentence"),
        ("Tulvao Core的售价是349 crowns。", "was in another language"),
    ],
)
def test_an_unusable_sentence_gives_way_to_the_statement(make_bench, chunk, fact, full, fault):
    """A sentence without the answer, one that points at the passages, talks on, or is in the other language."""
    bench = make_bench(script("349 crowns", full), [chunk])
    assert [one.full_answer for one in checked(bench, fact)] == ["Tulvao Core costs 349 crowns."]
    assert dict(bench.notes) == {f"full answer {fault}, the fact's statement taken": 1}


def test_failed_answers_are_failures(make_bench, chunk, fact):
    """Without a short answer the fact waits for the next run; without a full one it goes on with its statement."""
    bench = make_bench(script("", "Tulvao Core costs 349 crowns."), [chunk])
    assert checked(bench, fact) == []
    assert bench.store.failures("generate: answers") == [(fact.id, "no answer in the reply", "")]
    assert bench.rejects == []
    bench = make_bench(script("349 crowns", ""), [chunk])
    assert [one.full_answer for one in checked(bench, fact)] == [fact.statement]
    assert bench.store.failures("generate: full answers") == [(fact.id, "no answer in the reply", "")]
    assert dict(bench.notes) == {}


def test_the_facts_own_chunk_is_shown_even_when_it_is_not_found(make_bench, make_chunk, chunk, fact):
    """Retrieval that misses the source is noted, and its last place given to the source."""
    others = [make_chunk(f"How much does Tulvao Core cost? Ask {n}.", number=n) for n in range(2, 14)]
    bench = make_bench(script("349 crowns", "Tulvao Core costs 349 crowns."), [*others, chunk])
    assert len(checked(bench, fact)) == 1
    shown = bench.llm.history[0].messages[-1].content
    assert [shown.count(text) for text in ("[8] Handbook", "[9]", "costs 349 crowns")] == [1, 0, 1]
    assert dict(bench.notes) == {"source passage not retrieved, added to the others": 1}
