"""Compare answers that list several things: the same ones in any order, none missing and none besides. All texts here
are `characters.plain`.
"""

from __future__ import annotations

import re

from kb.text.canonical import canonical
from kb.text.characters import HAN, any_of
from kb.text.contrast import is_negated, offers_alternatives
from kb.text.judgement import Judgement, correct, wrong
from kb.text.naming import compare_names, looks_like
from kb.text.numerals import in_digits
from kb.text.terms import count_tokens
from kb.text.times import compare_times
from kb.text.values import compare_quantities, spoiled

LONGEST_ITEM = 12
"""Tokens; what has a longer part is a sentence with commas."""
_BETWEEN = re.compile(r"\s*(?:[、;\n]|,(?![0-9]{3}(?![0-9])))\s*")
_JOINED = re.compile(
    rf"\s*\b(?:and|or|as well as|plus)\b\s*|\s*&\s*|(?<=[{HAN}a-z0-9])(?:以及|[和与及或])(?=[{HAN}a-z0-9]{{2}})",
    re.IGNORECASE,
)
_LOOSE = re.compile(r"\s*(?:[和与及或/]|\band\b|\bor\b)\s*", re.IGNORECASE)
"""Also what may be part of a word; only where every piece is an item."""
_LEADING = re.compile(r"^(?:and|or|&)\s+", re.IGNORECASE)
_SENTENCE = re.compile(r"[.!?。！？](?:\s|$)|[。！？:]")
_BULLET = re.compile(r"^\s*(?:[-*]|\(?[0-9]{1,2}[.)])\s+")
_LEAD = re.compile(
    "^.{0,24}?"
    + any_of(
        "包括|包含|涵盖|涉及|分别[是为]|分为|分成|共有|如下|(?:提供|提交|携带|准备|出示|填写|缴纳)(?:的是)?",
        "(?:these|the following|below):",
    )
    + ":?"
)
_TAIL = re.compile(
    r"等?(?:共|一共)?(?:[二两三四五六七八九十]|[0-9]{1,2})[大个种项类名位条款步家所处样]\S{0,6}$|(?:等|共同)?(?:组成|构成)$|等等?$"
)


def items_of(text: str) -> tuple[str, ...]:
    """The things that a short text lists; empty where it is no list.

    A list has two items or more between 、 or semicolons, or three between commas with "and" or "or" before the last:
    "Paris, France" and 北京和平饭店 are none. An item has no end of a sentence in it and up to LONGEST_ITEM tokens.
    """
    rest = text.strip().rstrip(".。;；")
    parts = [part for part in _BETWEEN.split(rest) if part]
    if len(parts) < 2 or _SENTENCE.search(rest):
        return ()
    *heads, last = parts
    tail = [part for part in _JOINED.split(last) if part.strip()]
    if len(tail) > 2 or (len(tail) == 2 and not _apart(last)):
        tail = [last]
    marked = re.search("[、;]", rest) is not None
    joined = len(tail) == 2 or re.match(r"(?:and|or|&)\b", last, re.IGNORECASE) is not None
    items = [_LEADING.sub("", item.strip()) for item in (*heads, *tail)]
    whole = all(canonical(item) and count_tokens(item) <= LONGEST_ITEM for item in items)
    distinct = len({canonical(item) for item in items}) == len(items)
    enough = len(items) >= 2 if marked else len(items) >= 3 and joined
    return tuple(items) if whole and distinct and enough else ()


def _apart(last: str) -> bool:
    """Whether the conjunction in the last part joins two items: there is one, with a word on both sides."""
    found = list(_JOINED.finditer(last))
    return len(found) == 1 and found[0].start() > 0 and found[0].end() < len(last)


def compare_lists(answer: str, gold: str) -> Judgement | None:
    """Whether the answer lists the gold's items, in any order, and nothing else; None where the gold is no list.

    The order says nothing: whether a list is one of steps cannot be seen from its form. Each item is compared as a
    quantity where it is one, else by name. An item that is missing or denied makes the
    answer incomplete, a further one like them a competing value, and so does "or" where the gold has none.
    """
    wanted = items_of(gold)
    if not wanted:
        return None
    if rule := spoiled(answer):
        return wrong(rule)
    if offers_alternatives(answer) and not offers_alternatives(gold):
        return wrong("competing_values")
    left = _parts(answer, wanted)
    for item in wanted:
        found = next((part for part in left if _says(part, item)), None)
        if found is None:
            return wrong("incomplete")
        left.remove(found)
    forms = [canonical(item) for item in wanted]
    extra = any(
        looks_like(part, form, item) and not is_negated(part, len(part), len(part))
        for part in left
        for form, item in zip(forms, wanted, strict=True)
    )
    return wrong("competing_values") if extra else correct("items")


def _parts(answer: str, wanted: tuple[str, ...]) -> list[str]:
    """What stands between commas, bullets and line ends; what is joined by "and" in a part, apart from it as well where
    the part as it stands is no item.
    """
    text = answer.strip().rstrip(".。")
    lead = _LEAD.match(text)
    text = text[lead.end() :] if lead and lead.end() < len(text) else text
    if not _TAIL.search(wanted[-1]):
        text = _TAIL.sub("", text)
    parts: list[str] = []
    for part in _BETWEEN.split(text):
        bare = _LEADING.sub("", _BULLET.sub("", part))
        pieces = [piece for piece in _JOINED.split(bare) if piece.strip()]
        loose = [piece for piece in _LOOSE.split(bare) if piece.strip()]
        if len(loose) > len(pieces) and all(any(_says(piece, item) for item in wanted) for piece in loose):
            pieces = loose
        apart = all(any(_says(piece, item) for item in wanted) for piece in pieces)
        parts += pieces if apart or not any(_says(bare, item) for item in wanted) else [bare]
    return [part for part in parts if canonical(part)]


def _says(part: str, item: str) -> bool:
    """Whether a part of the answer is this item, its numbers in digits or in words."""
    if timed := compare_times(part, item):
        return timed.verdict == "correct"
    compared = compare_quantities(part, item)
    if compared and compared.verdict == "correct":
        return _words(part) >= _words(item)
    forms = ((part, item), (in_digits(part), in_digits(item)))
    return any(compare_names(one, other, "text").verdict == "correct" for one, other in forms)


def _words(text: str) -> set[str]:
    """The words of a text that are no numbers: "3 pumps" is not "3 valves"."""
    return set(re.findall(rf"[{HAN}]|[^\W\d_]+", canonical(text)))
