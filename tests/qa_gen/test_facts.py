"""Drafts to facts: spans in the document, answers as the document writes them, facts said twice."""

import pytest

from kb.qa_gen.facts import check_draft, make_facts, verbatim
from kb.qa_gen.replies import Draft

PAGE = "Tulvao Core\n| price | 1,349 crowns |\n| battery | 34 hours |\nIt was designed by Anna Berg."
SEITE = "青豹学生版\n售价：３４９元\n续航时间：34小时"


def reasons(bench):
    """Why something was dropped."""
    return [reject.reason for reject in bench.rejects]


def draft(quote, statement, answer):
    """The three lines of a fact as a model writes them."""
    return f"QUOTE: {quote}\nFACT: {statement}\nANSWER: {answer}\n"


@pytest.mark.parametrize(
    ("quote", "statement", "answer", "evidence", "value"),
    [
        ("| price | 1,349 crowns |", "Tulvao Core costs 1,349 crowns.", "1,349 crowns",
         "| price | 1,349 crowns |", "1,349 crowns"),
        ("price: 1,349 crowns", "Tulvao Core costs 1349 crowns.", "1349 Crowns.",
         "price | 1,349 crowns", "1,349 crowns"),
        ("34 hours", "The battery of Tulvao Core lasts 34 hours.", "34 hours", "| battery | 34 hours |", "34 hours"),
        ("Designed by  anna berg", "Tulvao Core was designed by Anna Berg.", "anna berg",
         "designed by Anna Berg", "Anna Berg"),
    ],
)  # fmt: skip
def test_evidence_is_verbatim_and_in_place(make_bench, make_chunk, quote, statement, answer, evidence, value):
    """The span is the document's own text, the answer is written as it is there, and a bare value gets its row."""
    chunk = make_chunk(PAGE, start=100)
    document = "x" * 100 + PAGE
    fact = check_draft(make_bench(str), chunk, Draft(quote, statement, answer))
    assert (fact.evidence, fact.answer) == (evidence, value)
    assert document[fact.start : fact.end] == evidence


def test_chinese_evidence(make_bench, make_chunk):
    """Width does not matter to find the span, and the document's width is kept."""
    chunk = make_chunk(SEITE, "zh")
    fact = check_draft(make_bench(str), chunk, Draft("售价:349元", "青豹学生版的售价是349元。", "349元"))
    assert (fact.evidence, fact.answer, fact.answer_type) == ("售价：３４９元", "３４９元", "money")
    assert SEITE[fact.start : fact.end] == "售价：３４９元"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (Draft("| price | 1,349 crowns |", "Tulvao Core costs 1,349 crowns."), "incomplete lines"),
        (Draft("| price | 1,359 crowns |", "Tulvao Core costs 1,359 crowns.", "1,359 crowns"),
         "evidence not in the passage"),
        (Draft("| price | 1,349 crowns |", "Tulvao Core costs 349 crowns.", "349 crowns"),
         "answer not in the evidence"),
        (Draft("| price | 1,349 crowns |", "The price is in this table: 1,349 crowns.", "1,349 crowns"),
         "statement does not stand alone"),
    ],
)  # fmt: skip
def test_what_is_no_fact_is_kept_with_its_reason(make_bench, make_chunk, given, reason):
    """No span, no fact; every drop is on record."""
    bench = make_bench(str)
    assert check_draft(bench, make_chunk(PAGE), given) is None
    assert reasons(bench) == [reason]


@pytest.mark.parametrize(
    ("answer", "evidence", "value"),
    [
        ("349 Crowns.", "It costs 349 crowns.", "349 crowns"),
        ("３４９元。", "售价349元。", "349元"),
        ("Turan Inc.", "by Turan Inc. in 1999", "Turan Inc"),
        ("red", "on credit", "red"),
        ("U.S.", "in the U.S. only", "U.S"),
    ],
)
def test_verbatim(answer, evidence, value):
    """An answer that the evidence has is copied from there; another one stays as it is."""
    assert verbatim(answer, evidence) == value


def test_a_fact_said_twice_is_kept_once(make_bench, make_chunk):
    """The same sentence from another chunk, and the same words of one chunk told in another way."""
    first = make_chunk("Tulvao Core costs 349 crowns.", number=1)
    second = make_chunk("Price list: Tulvao Core costs 349 crowns.", number=2)
    answers = {
        first.text: draft("costs 349 crowns", "Tulvao Core costs 349 crowns.", "349 crowns")
        + draft("costs 349 crowns", "The price of Tulvao Core is 349 crowns.", "349 crowns"),
        second.text: draft("costs 349 crowns", "Tulvao Core costs 349 crowns!", "349 crowns"),
    }
    bench = make_bench(lambda request: answers[request.messages[-1].content.split("\n")[-1]], [first, second])
    facts = make_facts(bench, [first, second])
    assert [(fact.chunk_id, fact.statement) for fact in facts] == [("chk_1", "Tulvao Core costs 349 crowns.")]
    assert reasons(bench) == ["said before"]
    assert [(s.chunk_id, s.evidence) for s in bench.sources_of(facts)] == [("chk_2", "costs 349 crowns")]


def test_long_chunks_get_room_for_their_facts(make_bench, make_chunk):
    """The token limit is doubled until the lines of a long chunk fit, and is the configured one for short chunks."""
    from dataclasses import replace

    chunks = [replace(make_chunk(f"page {n}", number=n), tokens=tokens) for n, tokens in enumerate((0, 341, 342, 1400))]
    bench = make_bench(lambda request: "NONE", chunks)
    assert make_facts(bench, chunks) == []
    assert [request.max_tokens for request in bench.llm.history] == [1024, 1024, 2048, 8192]


def test_a_chunk_that_cannot_be_asked_is_on_record(make_bench, make_chunk):
    """Junk to the end is a failure of the chunk, not a chunk without facts."""
    chunk = make_chunk(PAGE)
    bench = make_bench(lambda request: "as an AI", [chunk], attempts=2)
    assert make_facts(bench, [chunk]) == []
    assert bench.store.failures("generate: facts") == [
        ("chk_1", "no QUOTE / FACT / ANSWER lines in the answer", "as an AI")
    ]
    assert len(bench.llm.history) == 2
