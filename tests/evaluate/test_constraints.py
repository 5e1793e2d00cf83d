"""What an instruction asks of an answer's form: every check with answers that keep to it and answers that do not."""

import json
from pathlib import Path

import pytest

from kb.evaluate.constraints import CONSTRAINTS

CASES = [
    json.loads(line) for line in Path(__file__).with_name("constraints.jsonl").read_text(encoding="utf-8").splitlines()
]
"""Constraint, argument, answers that keep to it, and answers that do not."""
ROWS = [
    pytest.param(case["constraint"], case["argument"], answer, kept == "keeps", id=f"{case['constraint']} {answer!r}")
    for case in CASES
    for kept in ("keeps", "breaks")
    for answer in case[kept]
]


@pytest.mark.parametrize(("name", "argument", "answer", "keeps"), ROWS)
def test_an_answer_keeps_to_it_or_not(name, argument, answer, keeps):
    """Also in full width, with blank lines, inside code fences, and in both languages."""
    assert CONSTRAINTS[name](answer.strip(), argument) is keeps


def test_every_constraint_has_its_cases():
    """Those that are kept to, and those that are not."""
    assert {case["constraint"] for case in CASES} == CONSTRAINTS.keys()
    assert all(case["keeps"] and case["breaks"] for case in CASES)


def test_brackets_without_end_are_no_json():
    """A model that repeats itself breaks the constraint and not the evaluation."""
    assert not CONSTRAINTS["json"]("[" * 100_000, ["a"])
