"""The published set of scored answers, scorer.jsonl: what a careful person says of each, and why (docs/scoring.md)."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from kb.text.match import ANSWER_TYPES, Judgement, judge
from kb.text.residue import is_open

ROWS = [json.loads(line) for line in (Path(__file__).parent / "scorer.jsonl").read_text("utf-8").splitlines()]
TYPED = [row for row in ROWS if "by" not in row]
"""Rows that rules decide; the others are what a judge is for, or known to be missed."""


def missed(scorer, rows=TYPED):
    """The rows that a scorer gives another verdict than a person does, each with what the scorer said."""
    found = [(row, scorer(row["prediction"], row["gold"], row["type"], row.get("aliases", ()))) for row in rows]
    return [(*row.values(), said) for row, said in found if said.verdict != row["verdict"]]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_row_gets_its_verdict(language):
    """No row of either language is judged otherwise than a person would."""
    assert missed(judge, [row for row in TYPED if row["language"] == language]) == []


def test_what_no_rule_can_see_is_left_to_a_judge():
    """Other words for the same thing are never right by a rule, and wrong in a way that a judge is asked about."""
    rest = [row for row in ROWS if row.get("by") == "judge"]
    assert {row["verdict"] for row in rest} == {"correct", "wrong"}
    for row in rest:
        said = judge(row["prediction"], row["gold"], row["type"])
        assert is_open(row["prediction"], row["gold"], row["type"], said), row


def test_what_is_known_to_be_missed_is_refused_and_never_wrongly_accepted():
    """Forms that the rules do not read; a row that passes by now belongs among the others."""
    rest = [row for row in ROWS if row.get("by") == "person"]
    assert {row["verdict"] for row in rest} == {"correct"}
    assert {said.verdict for *_, said in missed(judge, rest)} == {"wrong"}
    assert len(missed(judge, rest)) == len(rest) <= 0.05 * len(ROWS)


def blind_to_units(prediction, gold, kind, aliases):
    """A scorer that compares the digits alone."""
    digits = [re.sub("[^0-9.]", "", text) for text in (prediction, gold)]
    return (
        Judgement("correct", "value")
        if digits[0] and digits[0] == digits[1]
        else judge(prediction, gold, kind, aliases)
    )


def blind_to_scales(prediction, gold, kind, aliases):
    """A scorer that drops 万 and 亿, as a numeric matcher does that reads 3000万 and 5000万 as nothing."""
    return judge(re.sub("[0-9]+[万亿]", "0", prediction), re.sub("[0-9]+[万亿]", "0", gold), kind, aliases)


def by_containment(prediction, gold, kind, aliases):
    """A scorer for which everything that has the gold in it is right."""
    inside = bool(gold) and gold.casefold() in prediction.casefold()
    return Judgement("correct", "contained") if inside else judge(prediction, gold, kind, aliases)


@pytest.mark.parametrize(
    ("scorer", "case"),
    [
        (blind_to_units, "amount: other currency"),
        (blind_to_scales, "amount: another number"),
        (by_containment, "amount: denied"),
    ],
)
def test_a_worse_scorer_is_caught(scorer, case):
    """Planted scorers that pass what kb's does not."""
    assert case in {name for name, *_ in missed(scorer)}


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
