"""Terms for word search, and an estimate of lengths in tokens that needs no tokenizer."""

from __future__ import annotations

import re
from functools import lru_cache

from kb.text.characters import HANGUL, UNSPACED, fold, word_set

_PAIRED = UNSPACED + HANGUL
_LETTER = rf"(?![{_PAIRED}])[^\W_]"
_TERM = re.compile(
    rf"(?P<run>[{_PAIRED}]+)|(?P<grouped>[0-9]{{1,3}}(?:,[0-9]{{3}})+(?![0-9])(?:\.[0-9]+)?)"
    rf"|(?P<word>(?:{_LETTER})+(?:\.[0-9]+|'(?:{_LETTER})+)*)"
)
EMPTY = word_set(
    "a an the of to is are was were be been do does did has have had that it please 的 了 是 由 所 之 吗 呢 请 问 个"
)
"""Words and characters whose coming or going makes no other question."""
LETTERS_PER_TOKEN = 7
"""A Latin word of up to this many letters counts as one token, of twice as many as two, and so on."""
_TOKEN = re.compile(rf"[^\W\d_{_PAIRED}]{{1,{LETTERS_PER_TOKEN}}}|[{_PAIRED}\d]|\n+|[^\w\s]|_")
_ASCII_TOKEN = re.compile(rf"[A-Za-z]{{1,{LETTERS_PER_TOKEN}}}|[0-9]|\n+|[\x00-\x08\x0e-\x1b!-/:-@\[-`{{-\x7f]")
"""The same for a text of ASCII alone, in two thirds of the time."""
REMEMBERED = 10_000
"""Characters of the longest text whose count is kept for the next time."""


def terms(text: str) -> list[str]:
    """The terms of a text for BM25, in reading order, repeats included.

    Width, case and invisible characters do not matter. A run of Han, kana or Hangul gives its overlapping character
    pairs (a run of one gives itself: "市" is "市"); an alphabetic word gives itself without a possessive 's; a number
    gives itself without thousands separators, so 3,000 and 3000 and ３０００ are one term. Codes fall apart at hyphens
    and slashes ("QX-1042" is "qx", "1042") and stay whole at dots ("v2.1"). Punctuation gives nothing.
    """
    found: list[str] = []
    for match in _TERM.finditer(fold(text)):
        token = match.group()
        if match["run"] is not None:
            found += [token[i : i + 2] for i in range(len(token) - 1)] or [token]
        elif match["grouped"] is not None:
            found.append(token.replace(",", ""))
        else:
            found.append(token.removesuffix("'s").replace("'", ""))
    return found


def count_tokens(text: str) -> int:
    """About how many tokens a text is for a multilingual model; an empty text is 0.

    The rule: a Han, kana or Hangul character is 1, a digit is 1, an alphabetic word is 1 for each seven letters begun,
    each punctuation mark and each run of line breaks is 1. It is meant to err on the high side, for budgets: models
    with a large vocabulary need 0.6 to 0.8 tokens for a Han character, small ones 1.
    """
    return _counted(text) if len(text) <= REMEMBERED else len(_TOKEN.findall(text))


@lru_cache(maxsize=1024)
def _counted(text: str) -> int:
    # Cutting asks for the same block for chunks, for passages and for the sum of both.
    return len((_ASCII_TOKEN if text.isascii() else _TOKEN).findall(text))
