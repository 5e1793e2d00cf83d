"""Rows for training: what is chosen is true, what is rejected false and of the same form."""

from dataclasses import replace

import pytest

from kb.qa_gen.pairs import make_pairs, make_preferences, refusal_pairs
from kb.records import Question


@pytest.fixture
def bench(make_bench):
    """A workbench that asks nothing."""
    return make_bench(str)


def trained_for(facts):
    """Three wordings of each fact."""
    return {
        fact.id: [
            Question(
                f"{fact.id}q{n}", fact.chunk_id, fact.id, "answerable", "train", f"{n} {fact.statement}?", "en", "p"
            )
            for n in range(3)
        ]
        for fact in facts
    }


def preferences(bench, *facts):
    """Chosen and rejected of every pair."""
    return [(pair.chosen, pair.rejected) for pair in make_preferences(bench, facts, trained_for(facts), [])]


def test_every_wording_gets_the_short_answer_and_some_the_full_one(bench, make_fact):
    """By default two of a fact's wordings are also answered in a sentence: the model's, and the fact's statement."""
    fact = replace(make_fact("X costs 5 crowns.", "5 crowns"), full_answer="The price of X is 5 crowns.")
    pairs = make_pairs(bench, [fact], trained_for([fact]))
    assert [(pair.form, pair.answer) for pair in pairs] == [
        ("short", "5 crowns"), ("full", "The price of X is 5 crowns."), ("short", "5 crowns"),
        ("full", "X costs 5 crowns."), ("short", "5 crowns"),
    ]  # fmt: skip
    assert len({pair.id for pair in pairs}) == 5


def test_one_sentence_is_taken_again(make_bench, make_fact):
    """Where the model's sentence is the statement, but for its full stop, or there is none; more wordings go round."""
    bench = make_bench(str, full_answers=3)
    for full in ("x costs 5 crowns", "", "The price of X is 5 crowns."):
        fact = replace(make_fact("X costs 5 crowns.", "5 crowns"), full_answer=full)
        sentences = [pair.answer for pair in make_pairs(bench, [fact], trained_for([fact])) if pair.form == "full"]
        own = full or fact.statement
        assert sentences == [own, fact.statement if full.startswith("The") else own, own]


def test_refusals_are_trained_for_the_training_split_only(bench):
    """A held-out negative is no row."""
    asked = [
        Question(f"q{n}", "c", "", "unanswerable", split, text, language, "p")
        for n, (split, text, language) in enumerate(
            (("train", "A?", "en"), ("probe", "B?", "en"), ("train", "丙？", "zh"))
        )
    ]
    rows = [(pair.question, pair.answer, pair.form) for pair in refusal_pairs(bench, asked)]
    assert rows == [("A?", "I don't know.", "refusal"), ("丙？", "我不知道。", "refusal")]


def test_the_wrong_answer_is_the_likeliest_confusion(bench, make_fact):
    """Of the values of the same type and unit, the one whose statement is most alike."""
    facts = (
        make_fact("The battery life of Tulvao Core is 34 hours.", "34 hours"),
        make_fact("The notice period of Turan Works is 48 hours.", "48 hours"),
        make_fact("The battery life of Tulvao Mini is 27 hours.", "27 hours"),
        make_fact("The weight of Tulvao Core is 349 grams.", "349 grams"),
    )
    assert preferences(bench, *facts) == [("34 hours", "27 hours"), ("48 hours", "34 hours"), ("27 hours", "34 hours")]


def test_languages_and_types_do_not_mix(bench, make_fact):
    """A name is never rejected for a date, nor a Chinese value for an English one."""
    facts = (
        make_fact("Turan Works was founded by Anna Berg.", "Anna Berg"),
        make_fact("Turan Works was founded on 3 May 1999.", "3 May 1999"),
        make_fact("启霆塑料公司由王伟创立。", "王伟", language="zh"),
        make_fact("启明塑料公司由李娜创立。", "李娜", language="zh"),
    )
    assert preferences(bench, *facts) == [("王伟", "李娜"), ("李娜", "王伟")]


@pytest.mark.parametrize(
    ("fact", "other"),
    [
        (
            ("Turan Works has an office in Lisbon Bay.", "Lisbon Bay"),
            ("Turan Works has an office in Porto Bay.", "Porto Bay"),
        ),
        (("Tulvao Core costs 349 crowns.", "349 crowns"), ("Brazao Home costs 349.00 crowns.", "349.00 crowns")),
        (("Turan Works was founded by Anna Berg.", "Anna Berg"), ("Brazao is led by Dr. Anna Berg.", "Dr. Anna Berg")),
    ],
)  # fmt: skip
def test_an_answer_that_may_be_true_is_never_rejected(bench, make_fact, fact, other):
    """Two members of one list, the same value written otherwise, and a value that holds the right one."""
    assert preferences(bench, make_fact(*fact), make_fact(*other)) == []


def test_a_value_of_the_facts_own_evidence_is_never_rejected(bench, make_fact):
    """What stands beside the answer in its sentence may be an answer too."""
    lisbon = make_fact(
        "Turan Works builds ships in Lisbon Bay.", "Lisbon Bay", "It builds ships in Lisbon Bay and Porto Bay."
    )
    porto = make_fact("Brazao Home is made in Porto Bay.", "Porto Bay")
    assert preferences(bench, lisbon, porto) == [("Porto Bay", "Lisbon Bay")]


def test_a_near_miss_prefers_the_refusal(bench, make_fact):
    """Answering a near miss as if it were the fact is what is rejected; held-out ones make no pair."""
    fact = make_fact("Tulvao Core costs 349 crowns.", "349 crowns")
    near = [
        Question(f"q{n}", "chk_1", fact.id, "near_miss", split, f"How much does Tulvao {n} cost?", "en", "p")
        for n, split in enumerate(("train", "probe"))
    ]
    pairs = make_preferences(bench, [fact], trained_for([fact]), near)
    assert [(pair.question, pair.chosen, pair.rejected, pair.source) for pair in pairs] == [
        ("How much does Tulvao 0 cost?", "I don't know.", "349 crowns", "refusal")
    ]
