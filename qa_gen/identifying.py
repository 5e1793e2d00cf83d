"""Which answers point at one thing, so that a question can give them and ask what they belong to.

"Which company has licence number HL-204?" has one right answer; "What takes three days?" and "Which one dates from
1998?" do not, whatever the documents say of it once.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from kb.qa_gen.asking import Workbench
from kb.qa_gen.leakage import Wordings
from kb.records import Fact, Question
from kb.text.canonical import canonical, dates, quantities
from kb.text.characters import any_of, plain
from kb.text.match import judge
from kb.text.naming import is_yes_or_no
from kb.text.numerals import in_digits

LONGEST = 120
"""Characters; a question that gives a longer answer quotes a passage."""
LEAST_COUNT = 10
"""A number with a unit below it is one that anything may have."""
LEAST_NUMBER = 10_000
"""The same for a number without a unit, which says nothing of what it is: a year, a page, a row."""
_CALENDAR = frozenset(name.casefold() for name in (*calendar.month_name, *calendar.day_name) if name)
_PLACE_IN_ROW = re.compile(
    any_of(
        r"(?:the )?(?:[0-9]+(?:st|nd|rd|th)|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last)"
        r"(?: \w+)?",
        r"(?:chapter|section|article|clause|paragraph|part|appendix|annex|table|figure|page|step|item|level|phase|stage"
        r"|class|grade|group|quarter|week|day|month) (?:[0-9.]+|[a-z]|[ivx]+)",
        r"(?:第[0-9]+(?:[章节条款项页段篇卷编回集期届次位名个号步层楼级类组批季轮天周月年]度?|部分|阶段)?)+|(?:附件|附录|附表|表|图|步骤)[0-9]+",
        r"(?:星期|周|礼拜)[一二三四五六日天1-6]|[0-9]{1,2}月份?",
    )
)
"""Canonical forms, numbers in digits, of what every row, document or week has."""


def identifies(answer: str, kind: str) -> bool:
    """Whether an answer of this type says enough to point at one thing, should nothing else have it.

    Never: yes and no, a single character, places in a row that begins anew everywhere (第三章, "step 4", Monday), a
    bare year, a number below LEAST_COUNT or without a unit below LEAST_NUMBER, more than LONGEST characters.
    """
    form = canonical(in_digits(plain(answer)))
    if not 1 < len(form) <= LONGEST or is_yes_or_no(answer) or form in _CALENDAR or _PLACE_IN_ROW.fullmatch(form):
        return False
    if kind == "date":
        return all(date.month for date in dates(answer))
    if kind in ("number", "money"):
        return all(one.value >= (LEAST_COUNT if one.unit else LEAST_NUMBER) for one in quantities(answer))
    return True


class Stated:
    """All facts that the documents are known to state, by their answers."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self._by_value: dict[object, list[Fact]] = {}
        for fact in facts:
            for value in set(_values(fact)):
                self._by_value.setdefault(value, []).append(fact)

    def twins(self, fact: Fact) -> Iterator[Fact]:
        """Other facts whose answer would be right for this one, or its for theirs, as typed: 3000万 for 三千万."""
        met = {fact.id}
        for value in _values(fact):
            for other in self._by_value.get(value, ()):
                if other.id in met:
                    continue
                met.add(other.id)
                if _is_right(other, fact) or _is_right(fact, other):
                    yield other


def _is_right(said: Fact, fact: Fact) -> bool:
    return judge(said.answer, fact.answer, fact.answer_type, fact.aliases).verdict == "correct"


def _values(fact: Fact) -> Iterator[object]:
    """What facts with like answers have in common: a number in its own and in its base unit, a month, or the words."""
    for answer in (fact.answer, *fact.aliases):
        found = quantities(answer) if fact.answer_type in ("number", "money") else []
        if found:
            yield from (found[0].value, found[0].base[0])
        elif fact.answer_type == "date" and (days := dates(answer)):
            yield days[0].year, days[0].month
        else:
            yield canonical(in_digits(plain(answer))).removeprefix("the ")


def choose(
    bench: Workbench, facts: Sequence[Fact], stated: Stated, trained: Mapping[str, Sequence[Question]]
) -> list[Fact]:
    """The facts whose answer points at what they are about: no fact about anything else has it.

    Of facts that give one answer about the same thing, the first.
    """
    chosen: dict[str, Fact] = {}
    for fact in facts:
        if not identifies(fact.answer, fact.answer_type):
            bench.reject("reversed", fact.id, "answer points at nothing", _detail(fact))
        elif not _is_alone(fact, stated, trained[fact.id]):
            bench.reject("reversed", fact.id, "another thing has the same answer", _detail(fact))
        elif any(twin.id in chosen for twin in stated.twins(fact)):
            bench.reject("reversed", fact.id, "another fact says the same", _detail(fact))
        else:
            chosen[fact.id] = fact
    return list(chosen.values())


def _is_alone(fact: Fact, stated: Stated, wordings: Collection[Question]) -> bool:
    """Whether every other fact with this answer names what this one is about."""
    name = Wordings(tuple(question.text for question in wordings))
    return all(name.about(twin.statement) for twin in stated.twins(fact))


def _detail(fact: Fact) -> str:
    return f"{fact.statement} | {fact.answer}"
