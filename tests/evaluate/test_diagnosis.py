"""Which findings the answers of the arms give of a fact: the decision table row by row, and what reports make of it."""

import itertools

import pytest

from kb.evaluate.diagnosis import Shares, counted, diagnose, in_order
from kb.evaluate.report import as_json, as_markdown, as_table
from kb.evaluate.results import FactRow
from kb.evaluate.sections import sections
from kb.evaluate.summary import summarise
from kb.evaluate.wording import CURES
from kb.evaluate.wording import FINDINGS as NAMES
from kb.records import FINDINGS, Probe, Score

GOOD = {
    ("held_out", "oracle"): 1.0, ("held_out", "rag"): 1.0, ("held_out", "tuned"): 1.0, ("trained", "tuned"): 1.0,
    ("reversed", "tuned"): 1.0, ("near_miss", "tuned"): 1.0, ("held_out", "tuned_oracle"): 1.0,
}  # fmt: skip
TABLE = (
    ({}, ("learnt",)),
    ({("held_out", "oracle"): 0.5}, ("question_defect", "learnt")),
    ({("held_out", "oracle"): 0.0, ("held_out", "rag"): 0.0}, ("question_defect", "learnt")),
    ({("held_out", "rag"): 0.5}, ("retrieval_defect", "learnt")),
    ({("held_out", "tuned"): 0.5, ("trained", "tuned"): 0.0}, ("under_trained",)),
    ({("held_out", "tuned"): 0.2}, ("phrasing_overfit",)),
    ({("held_out", "tuned"): 0.6}, ("unstable",)),
    ({("trained", "tuned"): 0.0}, ("unstable",)),
    ({("reversed", "tuned"): 0.5}, ("reversed_fails",)),
    ({("reversed", "tuned"): 0.0, ("held_out", "tuned"): 0.0}, ("phrasing_overfit",)),
    ({("held_out", "tuned_oracle"): 0.4}, ("ignores_context",)),
    ({("near_miss", "tuned"): 0.0}, ("near_miss_answered",)),
    (
        {("held_out", "rag"): 0.0, ("held_out", "tuned"): 0.0, ("near_miss", "tuned"): 0.0},
        ("retrieval_defect", "phrasing_overfit", "near_miss_answered"),
    ),
)


@pytest.mark.parametrize(("changed", "found"), TABLE)
def test_every_row_of_the_table(changed, found):
    """A fact of which all is well, but for these shares; exactly half is not known."""
    assert diagnose(Shares(GOOD | changed)) == found


def test_nothing_is_found_where_the_arms_were_not_asked():
    """Not even that it was learnt; without a trained wording, what is not known is under-trained."""
    assert diagnose(Shares({})) == ()
    assert diagnose(Shares({("held_out", "rag"): 0.0, ("held_out", "base"): 0.0})) == ()
    assert diagnose(Shares({("held_out", "tuned"): 0.0})) == ("under_trained",)


def test_a_passage_that_was_ignored():
    """Seen with the oracle's passage where that arm was asked, else where retrieval showed the right one; of what
    neither the weights nor the passage could tell, nothing is said.
    """
    seen = {place: share for place, share in GOOD.items() if place != ("held_out", "tuned_oracle")}
    assert diagnose(Shares(seen, shown=0.0)) == ("ignores_context",)
    assert diagnose(Shares(seen, shown=1.0)) == diagnose(Shares(seen)) == ("learnt",)
    assert diagnose(Shares(GOOD, shown=0.0)) == ("learnt",)
    unknown = {("held_out", "oracle"): 0.0, ("held_out", "tuned"): 0.0}
    assert "ignores_context" not in diagnose(Shares(GOOD | unknown | {("held_out", "tuned_oracle"): 0.0}))


def test_findings_come_in_their_order_whatever_holds():
    """Over every combination of shares: no finding twice, the order of FINDINGS, and learnt beside defects alone."""
    for shares in itertools.product((None, 0.0, 1.0), repeat=len(GOOD)):
        given = {place: share for place, share in zip(GOOD, shares, strict=True) if share is not None}
        found = diagnose(Shares(given))
        assert list(found) == sorted(set(found), key=FINDINGS.index)
        if "learnt" in found:
            assert set(found) <= {"learnt", "question_defect", "retrieval_defect"}


def test_every_finding_has_its_words():
    """A name and a cure in both languages, short enough for a line of the terminal."""
    assert tuple(NAMES) == tuple(CURES) == FINDINGS
    assert all(any("一" <= letter <= "鿿" for letter in text.zh) for text in (*NAMES.values(), *CURES.values()))
    assert max(len(text.en) for text in CURES.values()) <= 72


ANSWERS = (
    ("f0", "held_out", "oracle rag tuned", "tuned_rag"),
    ("f0", "trained", "tuned", ""),
    ("f1", "held_out", "oracle rag", "tuned tuned_rag"),
    ("f1", "trained", "tuned", ""),
    ("f1", "near_miss", "", "tuned"),
    ("f2", "held_out", "oracle tuned", "rag tuned_rag"),
)
"""Fact, kind, and the arms that are right and wrong."""


def evaluation():
    """Three facts; retrieval shows the right passage of the first two."""
    probes, scores = [], []
    for number, (fact, kind, right, wrong) in enumerate(ANSWERS):
        gold = "" if kind == "near_miss" else "4"
        probes.append(Probe(f"p{number}", fact, kind, "How many?", gold, "number", "en"))
        for verdict, arms in (("correct", right), ("wrong", wrong)):
            for arm in arms.split():
                shown = {"oracle": (f"c-{fact}",), "tuned_rag": ("c-f0", "c-f1")}.get(arm, ())
                scores.append(Score(f"p{number}", arm, "4", verdict, "value", shown))
    return summarise(probes, scores, statements={"f1": "There are 4.\n"}, resamples=100)


def test_a_report_says_what_to_do_about_each_fact():
    """Findings of each fact, counts by all and by the first, and who knows it; as JSON they are the same."""
    report = evaluation()
    assert [row.findings for row in report.fact_rows] == [
        ("ignores_context",), ("phrasing_overfit", "ignores_context", "near_miss_answered"),
        ("retrieval_defect", "learnt"),
    ]  # fmt: skip
    assert [row.known_by for row in report.fact_rows] == ["both", "only_rag", "only_tuned"]
    assert [(one.name, one.facts, one.first) for one in report.findings] == [
        ("retrieval_defect", 1, 1), ("phrasing_overfit", 1, 1), ("ignores_context", 2, 1), ("near_miss_answered", 1, 0),
        ("learnt", 1, 0),
    ]  # fmt: skip
    rows = as_json(report)["fact_rows"]
    assert (rows[1]["findings"][0], rows[1]["known_by"]) == ("phrasing_overfit", "only_rag")
    assert [row.fact_id for row in in_order(report.fact_rows)] == ["f2", "f1", "f0"]


def test_every_form_of_the_report_says_it():
    """A line each in the terminal; counts, cures and facts in Markdown and on the page, in both languages."""
    report = evaluation()
    terminal, text, page = as_table(report), as_markdown(report), sections(report)
    for one in report.findings:
        assert f"  {NAMES[one.name].en} ({one.facts})" in terminal
        assert CURES[one.name].en in terminal
        assert all(said in page for said in (NAMES[one.name].zh, CURES[one.name].zh))
    assert "kb generate-qa --for-failures" in terminal
    assert "| phrasing overfit | 1 | 1 | right as it was trained alone" in text
    assert "| f1 | There are 4. | 4 | phrasing overfit, ignores context, near miss answered |" in text
    assert page.count('<li><span lang="en" dir="auto">There are 4.\n</span> <small>f1</small></li>') == 3
    assert '<summary><span class="en" lang="en">learnt' not in page


def test_without_findings_no_form_has_the_section():
    """Where RAG alone was asked, nothing can be told."""
    probe = Probe("p", "f", "held_out", "How many?", "4", "number", "en")
    report = summarise([probe], [Score("p", "rag", "4", "correct", "value")], resamples=100)
    assert report.findings == counted(report.fact_rows) == ()
    assert "finding" not in as_table(report)
    assert "What to do" not in as_markdown(report) + sections(report)
    assert not FactRow("f", "", "", "en", "name", "", {}).to_act_on
