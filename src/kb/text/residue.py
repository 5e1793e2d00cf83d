"""Which verdicts no rule could be sure of: an answer in other words than the gold, which only somebody who reads can
judge.
"""

from __future__ import annotations

from kb.text.canonical import canonical
from kb.text.characters import plain
from kb.text.dates import find_dates
from kb.text.judgement import Judgement
from kb.text.naming import is_yes_or_no
from kb.text.quantities import find_quantities
from kb.text.times import find_times

TYPES = ("text", "category")
"""What may be said in other words. A number, a date, a code or a name is said or it is not."""
RULES = ("other_value", "part_of_other", "too_long")
"""The gold is not there, or in a context that the rules cannot read."""


def is_open(answer: str, gold: str, answer_type: str, found: Judgement) -> bool:
    """Whether a verdict is left to a judge: wrong only because the gold's own words are not there.

    Never where there was nothing to know, where the gold is yes, no or a time of day, or where a number or date of the
    gold is not in the answer: "within four days" is no other way to say "within three days". Never for an empty answer.
    """
    if found.verdict != "wrong" or found.rule not in RULES or answer_type not in TYPES or not canonical(answer):
        return False
    if is_yes_or_no(gold) or not gold.strip():
        return False
    return _values(gold) <= _values(answer)


def _values(text: str) -> set[object]:
    text = plain(text)
    values: set[object] = {one.quantity.base for one in find_quantities(text)}
    return values | {one.date for one in find_dates(text)} | {one.minutes for one in find_times(text)}
