"""How alike two texts are, and where a quote stands in a text."""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass

from rapidfuzz import fuzz
from rapidfuzz.distance import Indel

from kb.text.canonical import canonical, quantities
from kb.text.characters import plain
from kb.text.language import CHINESE_FROM, han_share

_FIGURE = re.compile(r"[a-z0-9]*[0-9][a-z0-9]*(?:[.:/-][a-z0-9]+)*|[a-z]+[-/][a-z0-9/-]*[0-9][a-z0-9/-]*")
_GROUP = re.compile("[,，][0-9]{3}(?![0-9])")


def ngram_jaccard(a: str, b: str, n: int = 3) -> float:
    """Jaccard similarity of two texts' character n-grams, 0 to 1, on their canonical forms; 0 when one of them is
    empty.

    For mostly Chinese texts n - 1 is used (at least 1): two Han characters carry about as much as three to five
    letters, and questions of ten characters would have hardly any trigram left after one change. A text shorter than n
    is one gram. Blanks between words count as characters and digits stay, so questions that differ in a number differ.
    """
    first, second = canonical(a), canonical(b)
    if not first or not second:
        return 0.0
    size = max(1, n - 1) if han_share(first + second) >= CHINESE_FROM else n
    left, right = _grams(first, size), _grams(second, size)
    return len(left & right) / len(left | right)


def _grams(text: str, n: int) -> set[str]:
    return {text[i : i + n] for i in range(max(1, len(text) - n + 1))}


@functools.lru_cache(maxsize=8192)
def figures(text: str) -> tuple[str, ...]:
    """The numbers, dates and codes of a text in one form, sorted, repeats included; () when there are none.

    What has other figures says something else, however alike the words are: "3 kg" and "13 kg", TM-5580 and TX-5580,
    "two years" and "three years". Only the form that `canonical` gives is one: "3 kg" and "three kilos" differ, too.
    """
    spelled = (f"{quantity.base[0]:f} {quantity.base[1]}" for quantity in quantities(text))
    return tuple(sorted([*_FIGURE.findall(canonical(text)), *spelled]))


@dataclass(frozen=True)
class Span:
    """Where something stands in a text."""

    start: int
    end: int
    """`text[start:end]` is the passage, in characters of the original text."""
    score: float
    """Similarity 0 to 1; 1.0 when nothing but blanks, width, case and punctuation differs."""


def locate(quote: str, text: str, at_least: float = 0.9) -> Span | None:
    """Where a quote stands in a text, or None when it does not.

    First as it is; then without regard to blanks, line breaks, width, case, punctuation and the bars of Markdown
    tables; then approximately, with a similarity of at least `at_least` (1 - edits / length of both). Whatever way,
    the span does not begin or end within a number, and an approximate passage has the quote's numbers in their order:
    "costs 349" is not quoted from "costs 359". Of several places the first is taken. None for a quote without a letter
    or digit.
    """
    wanted = squeeze(quote)[0]
    if not wanted:
        return None
    exact = _find_whole(quote, text)
    if exact >= 0:
        return Span(exact, exact + len(quote), 1.0)
    squeezed, starts = squeeze(text)
    at = _find_whole(wanted, squeezed)
    if at >= 0:
        return _widen(quote, text, Span(starts[at], starts[at + len(wanted) - 1] + 1, 1.0))
    return _approximate(quote, text, at_least)


def _find_whole(wanted: str, text: str) -> int:
    """Offset of the first place that cuts no word at its ends, else the first that cuts no number; -1 without one."""
    second_best = -1
    at = text.find(wanted)
    while at >= 0:
        end = at + len(wanted)
        if not _cuts_number(text, at, end):
            if not (_in_word(text, at) or _in_word(text, end)):
                return at
            second_best = at if second_best < 0 else second_best
        at = text.find(wanted, at + 1)
    return second_best


def _in_word(text: str, at: int) -> bool:
    """Whether a Latin word goes on across the position."""
    return bool(re.fullmatch("[A-Za-z]{2}", text[max(0, at - 1) : at + 1]))


def _cuts_number(text: str, start: int, end: int) -> bool:
    before = text[start : start + 1].isdigit() and re.search(r"[0-9][.,]?$", text[max(0, start - 2) : start])
    return bool(before or (text[end - 1 : end].isdigit() and re.match(r"[.,]?[0-9]", text[end : end + 2])))


@functools.lru_cache(maxsize=64)
def squeeze(text: str) -> tuple[str, tuple[int, ...]]:
    """The letters, digits and value signs of a text in one form, with the place of each in the original.

    Kept besides letters and digits: %, ° and currency signs, the point, stroke, colon or hyphen between two digits,
    and a blank between two numbers (but not the comma of 3,420).
    """
    kept: list[str] = []
    starts: list[int] = []
    for place, character in enumerate(text):
        for piece in _fold_one(character):
            after_digit = bool(kept) and kept[-1].isdigit()
            if piece in ".:/-" and not (
                after_digit and text[place - 1].isdigit() and text[place + 1 : place + 2].isdigit()
            ):
                continue
            if piece.isdigit() and after_digit and starts[-1] < place - 1 and not _GROUP.match(text, starts[-1] + 1):
                kept.append(" ")
                starts.append(place - 1)
            kept.append(piece)
            starts.append(place)
    return "".join(kept), tuple(starts)


@functools.cache
def _fold_one(character: str) -> str:
    """What one character is after folding; "" for blanks and for punctuation that carries no value."""
    folded = unicodedata.normalize("NFKC", plain(character).casefold())
    return "".join(c for c in folded if c.isalnum() or c in ".:/-%°$¥€£" or unicodedata.category(c)[0] == "M")


def _approximate(quote: str, text: str, at_least: float) -> Span | None:
    wanted = squeeze(quote)[0]
    squeezed, starts = squeeze(text)
    if len(squeezed) < at_least * len(wanted) / (2 - at_least):
        return None
    window = fuzz.partial_ratio_alignment(wanted, squeezed, score_cutoff=max(0.0, 200 * at_least - 110))
    if window is None:
        return None
    slack = max(2, int(len(wanted) * (1 - at_least)))
    low, high = max(0, window.dest_start - slack), min(len(squeezed), window.dest_end + slack)
    low, high = _tighten(wanted, squeezed, low, high)
    while low > 0 and squeezed[low].isdigit() and squeezed[low - 1].isdigit():
        low -= 1
    while high < len(squeezed) and squeezed[high - 1].isdigit() and squeezed[high].isdigit():
        high += 1
    score = Indel.normalized_similarity(wanted, squeezed[low:high])
    if score < at_least or _digits(wanted) != _digits(squeezed[low:high]):
        return None
    return _widen(quote, text, Span(starts[low], starts[high - 1] + 1, score))


def _tighten(wanted: str, squeezed: str, low: int, high: int) -> tuple[int, int]:
    """Drop from both ends of the window what has no counterpart in the quote."""
    matching = [block for block in Indel.opcodes(wanted, squeezed[low:high]) if block.tag == "equal"]
    return (low + matching[0].dest_start, low + matching[-1].dest_end) if matching else (low, high)


def _digits(text: str) -> list[str]:
    return re.findall(r"[0-9]+(?:[.:/-][0-9]+)*", text)


def _widen(quote: str, text: str, span: Span) -> Span:
    """Take in the rest of a word that is cut, and the punctuation at the ends that the quote has as well."""
    start, end = span.start, span.end
    while _in_word(text, start):
        start -= 1
    while _in_word(text, end):
        end += 1
    tail = re.search(r"[^\w\s|]*[\s|]*$", quote)
    for _ in tail.group().strip().strip("|") if tail else "":
        if end < len(text) and re.match(r"[^\w\s|]", text[end]):
            end += 1
    head = re.match(r"[\s|]*[^\w\s|]*", quote)
    for _ in head.group().strip().strip("|") if head else "":
        if start > 0 and re.match(r"[^\w\s|]", text[start - 1]):
            start -= 1
    return Span(start, end, span.score)
