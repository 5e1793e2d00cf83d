"""Compare answers whose values can be read: numbers with units, dates, codes. All texts here are `characters.plain`."""

from __future__ import annotations

import re

from kb.text.canonical import canonical
from kb.text.characters import any_of, word_set
from kb.text.contrast import is_doubted, is_negated, is_strict_bound, offers_alternatives
from kb.text.dates import FoundDate, find_dates
from kb.text.judgement import LONGEST_ANSWER, Judgement, correct, wrong
from kb.text.quantities import FoundQuantity, find_quantities
from kb.text.shares import in_percent, in_yuan
from kb.text.terms import count_tokens

_CONNECTED = re.compile(
    any_of(
        r"\b(?:and|then|plus|to|with|or|maybe|perhaps|possibly|probably|likely)",
        "可能|也许|大概|或许|[&,;:(~-]|[和与或至到及，、；：]",
    )
    + r"\s?$",
    re.IGNORECASE,
)
_ATTACHED = re.compile(r"(?:[^\W\d_]|#|\b(?:No|p|pp|Fig|Sec|Ch)\.)\s?$", re.IGNORECASE)
_AROUND_DATE = re.compile(r"\b(?:before|prior to|until|till|after|following)(?: the)?\s?$", re.IGNORECASE)
_BEFORE_DATE = re.compile(
    r"\s?(?:or (?:later|earlier|before|after)\b|之前|以前|前夕|前|的?[前后次第][一二两三几]?[天日])"
)
_DATE_FILLERS = word_set("on in the of at since from to as by during day date year 于 在 自 从 起 至 到 日期 当天")
_QUARTER = re.compile(
    r"(?<![a-z0-9])q(?P<digit>[1-4])(?![a-z0-9])|第?(?P<han>[一二三四1-4])季度"
    r"|\b(?P<word>first|second|third|fourth|1st|2nd|3rd|4th)[ -]quarter\b",
    re.IGNORECASE,
)
_QUARTERS = {"一": "1", "二": "2", "三": "3", "四": "4", "first": "1", "second": "2", "third": "3", "fourth": "4"}
_QUARTER_FIRST = re.compile(r"\bQ([1-4]),?\s?(?:of )?([12][0-9]{3})(?![0-9])", re.IGNORECASE)
_LUNAR = re.compile(r"[农阴旧]历|\blunar\b", re.IGNORECASE)
_TO_MONTH = re.compile(r"\s?[至到~-]\s?(?:次年|同年|当年)?(?:[0-9]{1,2}|[一二三四五六七八九十]{1,3})\s?月")
_OTHER_QUARTER = re.compile(r"\b(?:first|second|third|fourth)(?= or | and |/)|[一二三四](?=[、或和])", re.IGNORECASE)
_CODE_TOKEN = re.compile(r"[A-Za-z0-9]+(?:[-/._][A-Za-z0-9]+)*")
_GOLD = "\0"
"""Stands for the gold where it is taken out of an answer."""
_RIVAL = re.compile(
    rf"{_GOLD}\W{{0,3}}(?:(?i:or)\b|或|还是)|(?:(?i:\bor)|或者?|还是)\W{{0,3}}{_GOLD}"
    r"|(?<=.)(?<![A-Za-z])(?<![.!?]\s)[A-Z][A-Za-z]*"
)
"""What may be another code where the gold is one without a digit, such as Na: what is offered beside it, or is written
large within a sentence.
"""
_VERSION = re.compile(
    r"(?:\b(?:version|ver\.?) ?|版本号?[为是:]?\s?)v?(?P<before>[0-9]+(?:\.[0-9]+)*)(?![0-9])"
    r"|(?<![\w.])v?(?P<after>[0-9]+(?:\.[0-9]+)+)\s?版(?:本(?!号))?",
    re.IGNORECASE,
)
_BRACKETS = str.maketrans("〔〕[]【】﹝﹞", "()()()()")


def spoiled(answer: str) -> str:
    """The rule by which an answer cannot be right whatever values it holds; "" when nothing speaks against it."""
    if count_tokens(answer) > LONGEST_ANSWER:
        return "too_long"
    return "taken_back" if is_doubted(answer) else ""


def compare_quantities(answer: str, gold: str) -> Judgement | None:
    """Whether the answer names the gold's number in the gold's unit, and no other number in it; None without a number
    in gold.

    Equal are equal values in convertible units (`Quantity.base`), tolerance 0. A missing unit is accepted where all
    numbers of the answer have none and are the gold's number. Numbers in other units are ignored ("3,420 employees at
    12 sites"), as are numbers that belong to a word ("Model 7 runs 34 hours") unless alternatives are offered. A gold
    of several numbers needs the same numbers in the same order.
    """
    gold = in_percent(in_yuan(gold))
    golds = find_quantities(gold)
    if not golds:
        return None
    # "Half of 34 hours" has to stay what it is where no share is asked for.
    answer = {"%": in_percent, "yuan": in_yuan}.get(golds[0].quantity.unit, str)(answer)
    if rule := spoiled(answer):
        return wrong(rule)
    found = find_quantities(answer)
    kept = [one for one in found if not is_negated(answer, one.start, one.end)]
    if not kept:
        return wrong("negated" if found else "no_value")
    if not _dates_agree(answer, gold):
        return wrong("other_date")
    if len(golds) > 1:
        same = [one.quantity.base for one in kept] == [one.quantity.base for one in golds]
        return correct("values") if same else wrong("other_value")
    return _compare_one(answer, kept, gold, golds[0])


def _compare_one(answer: str, kept: list[FoundQuantity], gold: str, wanted: FoundQuantity) -> Judgement:
    target = wanted.quantity
    bare = [one for one in kept if not one.quantity.unit]
    same = [one for one in kept if one.quantity.base[1] == target.base[1]] if target.unit else kept
    if target.unit and not same:
        if not bare:
            return wrong("other_unit")
        if {one.quantity.value for one in kept} != {target.value}:
            return wrong("other_value")
        if len(bare) < len(kept):
            return wrong("other_unit")
        same = bare
    amounts = {one.quantity.base[0] if one.quantity.unit and target.unit else one.quantity.value for one in same}
    value = target.value if same is bare or not target.unit else target.base[0]
    if value not in amounts:
        return wrong("other_value")
    if len(amounts) > 1 or any(_competes(answer, one, kept) for one in bare if one.quantity.value != target.value):
        return wrong("competing_values")
    if any(is_strict_bound(answer, one.start, one.end) for one in same) and not is_strict_bound(
        gold, wanted.start, wanted.end
    ):
        return wrong("bound_only")
    if target.per and any(one.quantity.per not in {"", target.per} for one in same):
        return wrong("other_unit")
    return correct("value" if same is not bare or not target.unit else "value_without_unit")


def _competes(answer: str, one: FoundQuantity, kept: list[FoundQuantity]) -> bool:
    """Whether a number without a unit may be meant as another answer: not when it belongs to a word before it."""
    before = answer[: one.start]
    follows_value = any(other.end <= one.start <= other.end + 2 for other in kept)
    leads_value = any(one.end <= other.start and not re.search(r"\w", answer[one.end : other.start]) for other in kept)
    free = follows_value or leads_value or _CONNECTED.search(before) or not _ATTACHED.search(before)
    return bool(free or offers_alternatives(answer))


def _dates_agree(answer: str, gold: str) -> bool:
    """Whether no date of the answer contradicts the dates that go with the gold's number."""
    golds = find_dates(gold)
    return not golds or all(any(one.date.agrees(other.date) for other in golds) for one in find_dates(answer))


def compare_dates(answer: str, gold: str) -> Judgement | None:
    """Whether the answer's date is the gold's, at the gold's precision, and no date of the answer contradicts it; None
    without a date in gold.

    Gold "March 1998" takes 12 March 1998; gold 12 March 1998 does not take "March 1998". A gold of several dates (a
    period) needs the same dates in order. Other words of the gold ("early", 第一季度, a time of day) must stand in the
    answer.
    """
    answer, gold = _QUARTER_FIRST.sub(r"\2年Q\1 ", answer), _QUARTER_FIRST.sub(r"\2年Q\1 ", gold)
    golds = find_dates(gold)
    if not golds:
        return None
    if rule := spoiled(answer):
        return wrong(rule)
    found = find_dates(answer)
    kept = [one for one in found if not is_negated(answer, one.start, one.end)]
    if not kept:
        return wrong("negated" if found else "no_value")
    if bool(_LUNAR.search(answer)) != bool(_LUNAR.search(gold)):
        return wrong("other_value")
    ends = [(one.start, one.end) for one in kept]
    if any(is_beside(answer, *span) for span in ends) and not any(is_beside(gold, g.start, g.end) for g in golds):
        return wrong("bound_only")
    if not _says_rest(answer, gold, golds):
        return wrong("incomplete")
    if len(golds) > 1:
        same = len(kept) == len(golds) and all(g.date.covers(k.date) for g, k in zip(golds, kept, strict=True))
        return correct("dates") if same else wrong("other_value")
    target = golds[0].date
    if not any(target.covers(one.date) for one in kept):
        agrees = all(target.agrees(one.date) for one in kept)
        return wrong("less_precise" if agrees else "other_value")
    others = offers_alternatives(answer) and any(
        not is_negated(answer, one.start, one.end) for one in find_quantities(answer)
    )
    if (
        others
        or not all(target.agrees(one.date) for one in kept)
        or any(_TO_MONTH.match(answer, end) for _, end in ends)
    ):
        return wrong("competing_values")
    return correct("date")


def is_beside(text: str, start: int, end: int) -> bool:
    """Whether the date or time at `start:end` is only told as what something came before or after."""
    return bool(_AROUND_DATE.search(text[:start]) or _BEFORE_DATE.match(text, end))


def _says_rest(answer: str, gold: str, golds: list[FoundDate]) -> bool:
    rest = gold
    for one in reversed(golds):
        rest = rest[: one.start] + " " + rest[one.end :]
    words = [word for word in _with_quarters(rest).split() if word not in _DATE_FILLERS]
    said = _with_quarters(answer)
    wanted = {word for word in words if _QUARTER.fullmatch(word)}
    if wanted and (set(re.findall(r"\bq[1-4]\b", said)) != wanted or _OTHER_QUARTER.search(answer)):
        return False
    return all(word in said for word in words)


def _with_quarters(text: str) -> str:
    """The canonical form, with quarters of the year as q1 to q4: 第一季度, "the first quarter" and Q1 are one."""

    def written(match: re.Match[str]) -> str:
        said = match[match.lastgroup or 0].casefold()
        return f" q{_QUARTERS.get(said, said[0])} "

    return " ".join(_QUARTER.sub(written, canonical(text)).split())


def compare_codes(answer: str, gold: str) -> Judgement | None:
    """Whether the gold stands in the answer as a whole code, but for width, case and spaces; other codes of the same
    shape (letters and digits in the same places) compete with it.

    "QX-1042" is not in "QX-10421", "AQX-1042" or "QX-1042-B"; hyphens and strokes count, so QX1042 is another code.
    None where no Latin letter or digit tells the gold from the words around it: 无 is not 无效.
    """
    if not _CODE_TOKEN.search(gold):
        return None
    if rule := spoiled(answer):
        return wrong(rule)
    answer, gold = _with_versions(answer.translate(_BRACKETS)), _with_versions(gold.translate(_BRACKETS).strip())
    found = list(_code_pattern(gold).finditer(answer))
    kept = [match for match in found if not is_negated(answer, *match.span())]
    if not kept:
        return wrong("negated" if found else "other_value")
    others = [
        token
        for token in _CODE_TOKEN.finditer(answer)
        if re.search("[0-9]", token.group())
        and not any(match.start() < token.end() and token.start() < match.end() for match in found)
        and not is_negated(answer, *token.span())
    ]
    same_shape = any(_shape(token.group()) == _shape(gold) for token in others)
    rest = _code_pattern(gold).sub(_GOLD, answer)
    rivals = bool(others) or (not re.search("[0-9]", gold) and bool(_RIVAL.search(rest)))
    if same_shape or (rivals and offers_alternatives(rest)):
        return wrong("competing_values")
    return correct("code")


def _with_versions(text: str) -> str:
    """Versions as v and number: "version 2.1", 版本2.1 and 2.1版 are v2.1."""
    return _VERSION.sub(lambda match: f"v{match['before'] or match['after']}", text)


def _code_pattern(gold: str) -> re.Pattern[str]:
    """The gold code with optional blanks where letters, digits and marks meet, standing alone."""
    pieces = re.findall(r"[A-Za-z]+|[0-9]+|[^\sA-Za-z0-9]", gold)
    body = r"\s?".join(re.escape(piece) for piece in pieces)
    before = r"(?<![A-Za-z0-9])(?<![A-Za-z0-9][-/._+])" + (r"(?<![0-9]\s)" if gold[:1].isdigit() else "")
    after = r"(?![A-Za-z0-9])(?![-/._+#][A-Za-z0-9]|:[0-9])" + (r"(?!\s[0-9])" if gold[-1:].isdigit() else "")
    return re.compile(before + body + after, re.IGNORECASE)


def _shape(code: str) -> str:
    """Where a code has letters and digits: "aa-9999" for QX-1042."""
    return re.sub("[0-9]", "9", re.sub("[A-Za-z]", "a", re.sub(r"\s", "", code)))
