"""Chinese names of what answers are scored by."""

import json
from pathlib import Path

import pytest

from kb.evaluate.following import FOLLOWED
from kb.evaluate.hybrid import NOT_SURE
from kb.evaluate.names import RULES, rule_name
from kb.evaluate.results import Text
from kb.evaluate.scorers import CUT, JUDGE
from kb.text.match import judge

ROWS = Path(__file__).parents[1] / "text" / "adversarial.jsonl"


@pytest.mark.slow
def test_every_rule_of_the_scorer_has_a_chinese_name():
    """All that comes up in the adversarial rows, and what the evaluation adds."""
    rows = map(json.loads, ROWS.read_text("utf-8").splitlines())
    found = {judge(row["prediction"], row["gold"], row["type"]).rule for row in rows}
    assert len(found) > 20
    assert found | {CUT, NOT_SURE, JUDGE, FOLLOWED} <= RULES.keys()


@pytest.mark.parametrize(
    ("rule", "zh"),
    [("no answer: timeout", "没有回答：timeout"), ("broken: words", "未遵循：words"), ("其他", "其他")],
)
def test_a_rule_with_a_reason_keeps_it(rule, zh):
    """And one that nobody named is its own name."""
    assert rule_name(rule) == Text(rule, zh)
