"""Characters: which script they belong to, and the plain form that every comparison starts from.

`plain` keeps the letters' case and the order of the text, so that patterns can look at "May" and "may" and at
neighbouring words; `fold` also drops case. Both change lengths: offsets into them are not offsets into the original.
"""

from __future__ import annotations

import re
import unicodedata

HAN = "々〇\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
"""Inside of a regular expression's [...]: Han characters, with the iteration mark 々 and the zero 〇."""

KANA = "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
"""Inside of [...]: hiragana and katakana, with the length mark ー and without the middle dot ・."""

HANGUL = "\uac00-\ud7a3\u1100-\u11ff"
"""Inside of [...]: Korean syllables and letters."""

UNSPACED = HAN + KANA
"""Inside of [...]: the scripts that are written without spaces between words."""

_HAN = re.compile(f"[{HAN}]")
_DASHES = "‐‑‒–—―−﹣－⁃"
_DOUBLE_QUOTES = "“”„‟«»〝〞＂"
_SINGLE_QUOTES = "‘’‚‛′`´＇"
_TABLE = str.maketrans(
    dict.fromkeys(_DASHES, "-")
    | dict.fromkeys(_DOUBLE_QUOTES, '"')
    | dict.fromkeys(_SINGLE_QUOTES, "'")
    | {"·": "·", "•": "·", "・": "·", "‧": "·", "〜": "~", "～": "~", "∼": "~", "○": "〇"}
)
_HALVES = {"½": ".5", "¼": ".25", "¾": ".75"}
_FRACTION = re.compile("([0-9]?)([½¼¾])")
_EXPONENT = re.compile("(?<=[0-9])([⁰¹²³⁴-⁹]+)")
_THIN_SPACE = re.compile("(?<=[0-9])[\u00a0\u2007\u2009\u202f](?=[0-9]{3}(?![0-9]))")
_UNSEEN = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff"
_INVISIBLE = re.compile(f"[{_UNSEEN}]")
_LATIN = re.compile("[\u00c0-\u024f\u1e00-\u1eff]")
_RARE = re.compile(f"[{_UNSEEN}½¼¾⁰¹²³⁴-⁹\u00a0\u2007\u2009\u202f]")
"""What the four patterns above change; one look at a text is enough for most."""


def word_set(text: str) -> frozenset[str]:
    """The blank-separated words of a list that is written as one string."""
    return frozenset(text.split())


def any_of(*patterns: str) -> str:
    """The regular expression that matches any of these."""
    return "(?:" + "|".join(patterns) + ")"


def is_han(character: str) -> bool:
    """Whether one character is Han (Chinese, or kanji). False for kana, for punctuation and for an empty string."""
    return bool(_HAN.fullmatch(character))


def plain(text: str) -> str:
    """NFKC without what is invisible, dashes and quotes of one form each; case and spaces stay.

    An exponent keeps apart from its base ("10²" gives "10^2", never 102), and the thin and no-break spaces between
    groups of three digits go ("30 000" with U+202F gives "30000"). "3½" is "3.5". The ellipsis becomes three full
    stops.
    """
    if text.isascii():
        return text.replace("`", "'")
    if _RARE.search(text):
        text = _THIN_SPACE.sub("", _INVISIBLE.sub("", text))
        text = _FRACTION.sub(lambda match: (match[1] or "0") + _HALVES[match[2]], text)
        text = _EXPONENT.sub(r"^\1", text)
    text = text.translate(_TABLE)
    return unicodedata.normalize("NFKC", text).translate(_TABLE)


def fold(text: str) -> str:
    """`plain` without case: what is equal after folding differs in width, case or invisible characters only."""
    return unicodedata.normalize("NFKC", plain(text).casefold())


def without_accents(text: str) -> str:
    """Latin letters without their accents, everything else as it is: Zoë Müller is Zoe Muller, ガ stays."""
    return text if text.isascii() else _LATIN.sub(lambda match: _unmarked(match.group()), text)


def _unmarked(letter: str) -> str:
    return "".join(part for part in unicodedata.normalize("NFD", letter) if not unicodedata.combining(part))
