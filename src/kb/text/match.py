"""Whether a short answer is right, in English and Chinese, by the type of the answer; every verdict names its rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from kb.text.canonical import canonical
from kb.text.characters import plain
from kb.text.form import ANSWER_TYPES, answer_type
from kb.text.judgement import Judgement, wrong
from kb.text.listing import compare_lists
from kb.text.naming import compare_names
from kb.text.numerals import in_digits
from kb.text.refusal import is_refusal
from kb.text.values import compare_codes, compare_dates, compare_quantities

__all__ = ["ANSWER_TYPES", "Judgement", "answer_type", "judge", "same"]

_LEAD_IN = re.compile(
    r"\s*(?:(?:the )?(?:final |short |correct )?answer(?:\s*:| is\b:?)|a:\s"
    r"|(?:最终|正确)?(?:答案|回答|答)[是为]?\s*:|(?:最终|正确)?答案[是为])\s*",
    re.IGNORECASE,
)
_CITATION = re.compile(r"\s?(?:\[[0-9]{1,3}(?:[,-] ?[0-9]{1,3})*\]|【[0-9]{1,3}】)(?=\W|$)")
_EMPHASIS = re.compile(r"[*_`]{2,}|(?<!\w)[*_`]|[*_`](?!\w)")
_VALUES: dict[str, Callable[[str, str], Judgement | None]] = {
    "number": compare_quantities,
    "money": compare_quantities,
    "date": compare_dates,
    "code": compare_codes,
    "list": compare_lists,
}


def judge(prediction: str, gold: str, answer_type: str, aliases: Sequence[str] = ()) -> Judgement:
    """The verdict on an answer.

    unparsed   empty: nothing in it but blanks and punctuation.
    abstained  the answer is a refusal (`refusal.is_refusal`) and there was something to know.
    correct    it says the gold or one of its aliases, and nothing that competes with it. Where `gold` is blank, not
               knowing is right: a refusal is correct, every other answer wrong.
    wrong      everything else: also an answer that offers two values, denies the gold or buries it in a long text.

    Types: number and money by value and unit (`values.compare_quantities`), date at the gold's precision
    (`values.compare_dates`), code verbatim but for width, case and spaces (`values.compare_codes`), list by its
    items in any order (`listing.compare_lists`), name, place, category and text by name, numbers in words or digits
    (`naming.compare_names`); a number, money, date or list that cannot be read as one is compared by name. "The answer
    is", 答案是, citations such as [2] and marks of emphasis
    are ignored. Raises ValueError for another type.

    Rules of right answers: exact, contained, yes_no, value, values, value_without_unit, date, dates, code, items,
    refusal.
    Rules of wrong ones: answered (there was nothing to know), no_value, other_value, other_unit, other_date,
    less_precise, incomplete, bound_only, competing_values, negated, taken_back, part_of_other, too_long. `empty` and
    `refusal` go with unparsed and abstained.
    """
    if answer_type not in ANSWER_TYPES:
        raise ValueError(f"unknown answer type {answer_type!r}; known are {', '.join(ANSWER_TYPES)}")
    if not canonical(prediction):
        return Judgement("unparsed", "empty")
    if not gold.strip():
        return Judgement("correct", "refusal") if is_refusal(prediction) else wrong("answered")
    answer = _cleaned(plain(prediction))
    references = [plain(one) for one in (gold, *aliases) if one.strip()]
    forms = {canonical(one) for one in references} - {""}
    if answer_type not in _VALUES and {canonical(prediction), canonical(answer)} & forms:
        return Judgement("correct", "exact")
    if is_refusal(answer):
        return Judgement("abstained", "refusal")
    judgements = [_compare(answer, one, answer_type) for one in references]
    return next((one for one in judgements if one.verdict == "correct"), judgements[0])


def _cleaned(answer: str) -> str:
    """The answer without "The answer is", without marks of emphasis and without citations such as [2]."""
    rest = _CITATION.sub("", _EMPHASIS.sub("", answer))
    match = _LEAD_IN.match(rest)
    rest = rest[match.end() :] if match else rest
    return rest.strip() if canonical(rest) else answer


def _compare(answer: str, gold: str, answer_type: str) -> Judgement:
    compare = _VALUES.get(answer_type)
    found = compare(answer, gold) if compare else None
    if found:
        return found
    named = compare_names(answer, gold, answer_type)
    if named.verdict == "correct":
        return named
    # 第十二条 and 第12条, "within three days" and "within 3 days".
    in_figures = in_digits(answer), in_digits(gold)
    again = compare_names(*in_figures, answer_type) if in_figures != (answer, gold) else named
    return again if again.verdict == "correct" else named


def same(a: str, b: str, answer_type: str) -> bool:
    """Whether two short answers say the same: each is right where the other is the gold. Never for empty ones."""
    if not canonical(a) or not canonical(b):
        return False
    return judge(a, b, answer_type).verdict == "correct" and judge(b, a, answer_type).verdict == "correct"
