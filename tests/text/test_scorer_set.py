"""The published set of scored answers, scorer.jsonl: what a careful person says of each, and why (docs/scoring.md)."""

import json
from collections import Counter
from pathlib import Path

import pytest

from kb.text.match import ANSWER_TYPES, judge

ROWS = [json.loads(line) for line in (Path(__file__).parent / "scorer.jsonl").read_text("utf-8").splitlines()]
TYPED = [row for row in ROWS if row.get("by") != "judge"]
"""Rows that rules decide; the others are what a judge is for."""


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_row_gets_its_verdict(language):
    """No row of either language is judged otherwise than a person would."""
    missed = []
    for row in TYPED:
        found = judge(row["prediction"], row["gold"], row["type"], row.get("aliases", ()))
        if row["language"] == language and found.verdict != row["verdict"]:
            missed.append((row["case"], row["gold"], row["prediction"], row["verdict"], found))
    assert missed == []


def test_what_no_rule_can_see_is_wrong_by_a_rule_that_leaves_it_to_a_judge():
    """Other words for the same thing are never right by a rule, and wrong for want of the gold alone."""
    rest = [row for row in ROWS if row not in TYPED]
    assert {judge(row["prediction"], row["gold"], row["type"]) for row in rest} == {judge("one", "two", "text")}
    assert {row["verdict"] for row in rest} == {"correct", "wrong"}


def test_the_set_holds_what_it_promises():
    """At least 300 rows, as many Chinese as English but for a tenth, 60 cases in both, all types and verdicts, each
    with its reason and none twice.
    """
    languages = Counter(row["language"] for row in ROWS)
    cases = Counter(row["case"] for row in ROWS)
    assert len(ROWS) >= 300
    assert abs(languages["en"] - languages["zh"]) <= 0.1 * len(ROWS)
    assert sum(count == 2 for count in cases.values()) >= 60
    assert {row["type"] for row in ROWS} == set(ANSWER_TYPES)
    assert {row["verdict"] for row in ROWS} == {"correct", "wrong", "abstained", "unparsed"}
    assert all(row["why"] for row in ROWS)
    assert len(
        {(row["type"], row["gold"], row["prediction"], *row.get("aliases", ()), row["language"]) for row in ROWS}
    ) == len(ROWS)


def test_a_case_has_the_same_verdict_in_both_languages():
    """The pairs are mirrored."""
    verdicts = {}
    for row in ROWS:
        verdicts.setdefault(row["case"], set()).add((row["verdict"], row["type"]))
    assert [case for case, found in verdicts.items() if len(found) > 1] == []
