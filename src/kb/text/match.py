"""Whether a short answer is right, in English and Chinese, by the type of the answer; every verdict names its rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kb.text.canonical import canonical
from kb.text.characters import plain, without_accents
from kb.text.form import ANSWER_TYPES, answer_type
from kb.text.judgement import Judgement, wrong
from kb.text.listing import compare_lists
from kb.text.naming import compare_names
from kb.text.numerals import in_digits
from kb.text.refusal import is_refusal
from kb.text.replies import bare_answer, without_thinking
from kb.text.times import compare_times
from kb.text.traditional import simplified
from kb.text.values import compare_codes, compare_dates, compare_quantities

__all__ = ["ANSWER_TYPES", "Judgement", "answer_type", "judge", "nothing_said", "same"]

_VALUES: dict[str, Callable[[str, str], Judgement | None]] = {
    "number": compare_quantities,
    "money": compare_quantities,
    "date": compare_dates,
    "code": compare_codes,
    "list": compare_lists,
}


def judge(prediction: str, gold: str, answer_type: str, aliases: Sequence[str] = ()) -> Judgement:
    """The verdict on an answer.

    unparsed   empty: nothing in it but blanks and punctuation; or thinking, closed or not, without an answer after it.
    abstained  the answer is a refusal (`refusal.is_refusal`) and there was something to know. One that is the gold, as
               the symbol Na, is none.
    correct    it says the gold or one of its aliases, and nothing that competes with it. Where `gold` is blank, not
               knowing is right: a refusal is correct, every other answer wrong.
    wrong      everything else: also an answer that offers two values, denies the gold or buries it in a long text.

    Types: number and money by value and unit (`values.compare_quantities`), date at the gold's precision
    (`values.compare_dates`), code verbatim but for width, case and spaces (`values.compare_codes`), list by its
    items in any order (`listing.compare_lists`), name, place, category and text by name, numbers in words or digits
    (`naming.compare_names`); a number, money, date or list that cannot be read as one is compared by name, and a time
    of day as one whatever its type (`times.compare_times`). What leads to an answer and dresses it is ignored
    (`replies.bare_answer`), and so is whether Chinese is written in traditional or simplified characters. Raises
    ValueError for another type.

    Rules of right answers: exact, contained, yes_no, value, values, value_without_unit, date, dates, time, code, items,
    refusal.
    Rules of wrong ones: answered (there was nothing to know), no_value, other_value, other_unit, other_date,
    less_precise, incomplete, bound_only, competing_values, negated, taken_back, part_of_other, too_long. `empty` and
    `thinking` go with unparsed, `refusal` with abstained.
    """
    if answer_type not in ANSWER_TYPES:
        raise ValueError(f"unknown answer type {answer_type!r}; known are {', '.join(ANSWER_TYPES)}")
    nothing = nothing_said(prediction)
    if nothing:
        return nothing
    said = simplified(without_thinking(prediction))
    answer = bare_answer(plain(said))
    if not gold.strip():
        return Judgement("correct", "refusal") if is_refusal(answer) else wrong("answered")
    references = [plain(simplified(one)) for one in (gold, *aliases) if one.strip()]
    forms = {canonical(one) for one in references} - {""}
    verbatim = bool({canonical(said), canonical(answer)} & forms)
    if verbatim and answer_type not in _VALUES:
        return Judgement("correct", "exact")
    declined = is_refusal(answer)
    if declined and not verbatim:
        return Judgement("abstained", "refusal")
    judgements = [_compare(answer, one, answer_type) for one in references]
    # The symbol Na and the mark N/A read as refusals, and are right where they are the gold.
    otherwise = Judgement("abstained", "refusal") if declined else judgements[0]
    return next((one for one in judgements if one.verdict == "correct"), otherwise)


def nothing_said(prediction: str) -> Judgement | None:
    """The verdict on what is no answer: nothing in it but blanks and punctuation, or thinking alone; else None."""
    if canonical(without_thinking(prediction)):
        return None
    return Judgement("unparsed", "thinking" if canonical(prediction) else "empty")


def _compare(answer: str, gold: str, answer_type: str) -> Judgement:
    compare = _VALUES.get(answer_type)
    timed = None if answer_type == "list" else compare_times(answer, gold)
    found = timed or (compare(answer, gold) if compare else None)
    if found:
        return found
    named = compare_names(answer, gold, answer_type)
    if named.verdict == "correct":
        return named
    # 第十二条 and 第12条, "within three days" and "within 3 days", Zoë and Zoe.
    simpler = _simpler(answer), _simpler(gold)
    again = compare_names(*simpler, answer_type) if simpler != (answer, gold) else named
    return again if again.verdict == "correct" else named


def _simpler(text: str) -> str:
    """Numbers in digits, letters without accents, 每日 as 每天."""
    return without_accents(in_digits(text)).replace("每日", "每天")


def same(a: str, b: str, answer_type: str) -> bool:
    """Whether two short answers say the same: each is right where the other is the gold. Never for empty ones."""
    if not canonical(a) or not canonical(b):
        return False
    return judge(a, b, answer_type).verdict == "correct" and judge(b, a, answer_type).verdict == "correct"
