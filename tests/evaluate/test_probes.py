"""What is asked: wordings of every fact, negatives, rings, and the search for leaks."""

import json
from collections import Counter

import pytest

from kb.errors import ConfigError, WorkspaceError
from kb.evaluate.probes import (
    WORLD,
    document_probes,
    leaked,
    ring_file,
    ring_probes,
)  # fmt: skip
from kb.records import Question, make_id
from kb.workspace import Workspace

KNOWN = {"ring": "known", "question": "Who runs Ostrel?", "answer": "Ana Bo", "language": "en", "type": "name"}
READING = {"ring": "reading", "question": "它多重？", "answer": "3克", "language": "zh", "passages": "[1] 它重3克。"}
NEVER = {"ring": "never", "question": "Who is Zel Mar?", "answer": "", "language": "en"}


def rings(folder, *rows):
    """A rings file."""
    path = folder / "rings.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_every_fact_has_held_out_and_one_trained_probe(handmade):
    """All held-out wordings up to the limit, one trained wording, and the held-out negatives."""
    probes = document_probes(handmade.workspace.store, 5, 0)
    assert Counter(probe.kind for probe in probes) == {
        "held_out": 12, "trained": 4, "near_miss": 1, "unanswerable": 1,
    }  # fmt: skip
    first = next(probe for probe in probes if probe.kind == "held_out")
    assert (first.question, first.gold, first.answer_type) == (
        "Quick question. What does Tulvao Core cost?", "349 crowns", "money",
    )  # fmt: skip
    assert first.fact_id == handmade.facts[0].id


def test_fewer_wordings_a_fact_may_be_asked(handmade):
    """`per_fact` is about held-out wordings; the first ones are taken."""
    probes = document_probes(handmade.workspace.store, 2, 0)
    assert Counter(probe.kind for probe in probes)["held_out"] == 8


def test_a_limit_takes_facts_by_their_ids_with_their_own_negatives(handmade):
    """The same facts each time, whatever document they stand in; what belongs to none of them is left out."""
    probes = document_probes(handmade.workspace.store, 5, 2)
    lowest = sorted(fact.id for fact in handmade.facts)[:2]
    assert {probe.fact_id for probe in probes} == set(lowest)
    assert probes == document_probes(handmade.workspace.store, 5, 2)
    assert "unanswerable" not in {probe.kind for probe in probes}


def test_negatives_have_no_answer_and_cluster_with_their_fact_or_chunk(handmade):
    """Not knowing is right; a near miss counts with its fact, a question about nothing with its chunk."""
    probes = {probe.kind: probe for probe in document_probes(handmade.workspace.store, 5, 0)}
    assert (probes["near_miss"].gold, probes["near_miss"].fact_id) == ("", handmade.facts[0].id)
    assert (probes["unanswerable"].gold, probes["unanswerable"].fact_id) == ("", "chk_10")
    assert probes["unanswerable"].question == "图尔沃芯片有几种颜色？"


@pytest.mark.parametrize(("taught", "kind"), [("text", "text_only"), ("never", "placebo")])
def test_a_fact_that_no_question_taught_is_measured_apart(handmade, taught, kind):
    """Its held-out wordings are of a kind of their own, with the fact's answer; none is asked as a trained one."""
    store, fact = handmade.workspace.store, handmade.facts[2]
    store.sql("UPDATE facts SET taught = ? WHERE id = ?", taught, fact.id)
    store.sql("DELETE FROM questions WHERE fact_id = ? AND split = 'train'", fact.id)
    probes = [probe for probe in document_probes(store, 2, 0) if probe.fact_id == fact.id]
    assert [(probe.kind, probe.gold, probe.language) for probe in probes] == [(kind, "210元", "zh")] * 2
    assert Counter(probe.kind for probe in document_probes(store, 5, 0)) == {
        "held_out": 9, "trained": 3, kind: 3, "near_miss": 1, "unanswerable": 1,
    }  # fmt: skip


def other_way(fact, kind, text, language, answer, split="probe"):
    """A question of another kind about a fact."""
    return Question(make_id("qst", kind, text), fact.chunk_id, fact.id, kind, split, text, language, "p#1", answer)


def test_a_question_asked_in_another_way_has_its_own_answer(handmade):
    """Reversed: what the answer belongs to. In the other language: its answer there, or the fact's own. What asks for
    more than one fact is no probe, nor is a trained question of these kinds.
    """
    store, fact = handmade.workspace.store, handmade.facts[1]
    added = [
        other_way(fact, "reversed", "What did Mara Ellin design?", "en", "the Brinvale Gate"),
        other_way(fact, "cross_lingual", "布林闸门是谁的设计？", "zh", "玛拉·埃林"),
        other_way(handmade.facts[2], "cross_lingual", "What does the Turwo chip cost?", "en", ""),
        other_way(fact, "detailed", "What is known of the Brinvale Gate?", "en", "By Mara Ellin."),
        other_way(fact, "reversed", "Mara Ellin is the designer of what?", "en", "the Brinvale Gate", "train"),
        other_way(fact, "detailed", "Tell all of the Brinvale Gate.", "en", "By Mara Ellin.", "train"),
    ]
    store.put(added)
    probes = {probe.question: probe for probe in document_probes(store, 5, 0)}
    assert [question.text in probes for question in added] == [True, True, True, False, False, False]
    found = [probes[question.text] for question in added[:3]]
    assert [(probe.kind, probe.gold, probe.aliases) for probe in found] == [
        ("reversed", "the Brinvale Gate", ()), ("cross_lingual", "Mara Ellin", ("玛拉·埃林",)),
        ("cross_lingual", "210元", ()),
    ]  # fmt: skip
    assert (found[0].fact_id, found[0].answer_type, found[2].answer_type) == (fact.id, "category", "money")


@pytest.mark.parametrize("taught", ["text", "never"])
def test_what_no_question_taught_is_asked_in_its_own_wordings_alone(handmade, taught):
    """From its other end or in another language it would blur what these kinds show of the facts that were taught."""
    store, fact = handmade.workspace.store, handmade.facts[1]
    store.put([other_way(fact, "reversed", "What did Mara Ellin design?", "en", "the Brinvale Gate")])
    assert "reversed" in {probe.kind for probe in document_probes(store, 5, 0)}
    store.sql("UPDATE facts SET taught = ? WHERE id = ?", taught, fact.id)
    assert "reversed" not in {probe.kind for probe in document_probes(store, 5, 0)}


def test_a_retired_document_is_not_asked_about(handmade):
    """The facts of a document that is gone are no probes."""
    handmade.workspace.store.sql("UPDATE documents SET retired = 1 WHERE id = 'doc_0'")
    assert {probe.language for probe in document_probes(handmade.workspace.store, 5, 0)} == {"zh"}


def test_without_facts_the_command_that_makes_them_is_named(tmp_path):
    """An evaluation before `kb generate-qa` says what to do."""
    with pytest.raises(WorkspaceError, match="kb generate-qa"):
        document_probes(Workspace(tmp_path / "new", create=True).store, 5, 0)


def test_a_ring_row_is_a_probe(tmp_path):
    """Rows of all three rings, with type, cluster and passages where they are given."""
    known, reading, never = ring_probes(rings(tmp_path, KNOWN | {"cluster": "Ostrel/head"}, READING, NEVER))
    assert (known.kind, known.gold, known.answer_type, known.fact_id) == ("known", "Ana Bo", "name", "Ostrel/head")
    assert (reading.passages, reading.answer_type, reading.language) == ("[1] 它重3克。", "text", "zh")
    assert (reading.fact_id, reading.aliases) == (reading.id, ())
    assert (never.gold, never.kind) == ("", "never")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (KNOWN | {"ring": "old"}, r"expected ring \(known, reading, never\)"),
        (KNOWN | {"question": ""}, "expected ring"),
        (KNOWN | {"language": "fr"}, r"language \(en, zh\)"),
        (KNOWN | {"answer": ""}, "a row of ring known has an answer and no passages"),
        (KNOWN | {"answer": None}, "a row of ring known has an answer"),
        (READING | {"passages": ""}, "a row of ring reading has an answer and passages"),
        (NEVER | {"answer": "Ana Bo"}, "a row of ring never has neither"),
        (KNOWN | {"type": "weight"}, "type 'weight' is none of number, money"),
        (KNOWN | {"aliases": "Ana"}, "aliases is a list of answers"),
        (KNOWN | {"aliases": ["Ana", 3]}, "aliases is a list of answers"),
        (NEVER | {"aliases": ["Ana"]}, "aliases without an answer"),
        (NEVER, "an earlier line asks the same: Who is Zel Mar?"),
    ],
)
def test_a_ring_row_of_another_form_is_named(row, said, tmp_path):
    """What is wrong with a line of a rings file is said before anything is asked."""
    with pytest.raises(ConfigError, match=rf"rings\.jsonl, line 2: .*{said}"):
        ring_probes(rings(tmp_path, NEVER, row))


def test_a_ring_row_may_have_further_right_answers(tmp_path):
    """As a fact has: any of them is as good."""
    (known,) = ring_probes(rings(tmp_path, KNOWN | {"aliases": ["Bo", "A. Bo"]}))
    assert known.aliases == ("Bo", "A. Bo")


def test_where_the_rings_are(tmp_path):
    """Named, the model's own, none, or those that come with kb where the model has none; a named file that is missing
    is an error.
    """
    path = rings(tmp_path, NEVER)
    assert ring_file("none", tmp_path) is None
    assert ring_file("auto", tmp_path) == path
    assert ring_file("auto", tmp_path / "other") == ring_file("auto", None) == WORLD
    assert ring_file(str(path), None) == path
    with pytest.raises(ConfigError, match="there is no file"):
        ring_file(str(tmp_path / "x.jsonl"), None)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("What does Tulvao Core cost?", "answerable"),
        ("what does  TULVAO CORE cost", "answerable"),
        ("What does Tulvao Tore cost?", "near_miss"),
        ("图尔沃芯片卖多少钱?", "unanswerable"),
        ("图尔沃芯片卖多少钱?", "cross_lingual"),
        ("What does Tulvao Core cost?", "reversed"),
    ],
)
def test_a_probe_that_is_trained_leaks(text, kind, handmade):
    """The same question is found in any case, width and punctuation, among refusals too."""
    store, fact = handmade.workspace.store, handmade.facts[0]
    id = make_id("qst", "leak", text)
    store.put([Question(id, fact.chunk_id, fact.id, kind, "probe", text, "en", "p#1")])
    found = leaked(store, document_probes(store, 9, 0))
    assert [probe.question for probe in found] == [text]


def test_a_trained_probe_and_a_ring_do_not_leak(handmade, tmp_path):
    """The trained wording is asked on purpose, and a ring is not about the documents."""
    store = handmade.workspace.store
    ring = ring_probes(rings(tmp_path, KNOWN | {"question": "What does Tulvao Core cost?"}))
    assert leaked(store, [*document_probes(store, 5, 0), *ring]) == []
