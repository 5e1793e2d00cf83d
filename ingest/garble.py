"""Text that a PDF's fonts made into garbage: told by its scripts, and repaired where it is Chinese in disguise. Pure.

A font without a map to Unicode gives the numbers of its glyphs as characters: letters of many unrelated scripts run
together, unassigned and private characters among them. No document is written like that, whatever its language.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

from kb.text.characters import is_han

TORN = 0.15
"""Share of letters that are no characters, or of another script than the one before, from which on a text is garbage.

Measured: Chinese read as the glyph numbers of Adobe-GB1 has 0.64 and more a page and 0.38 and more in 200 characters.
Program catalogues of 198 languages have at most 0.04 in 2,000 characters, and none of 83,661 pieces of 100 is accused;
the page of the LaTeX book with the most broken formulas has 0.03. Garbage of other fonts: 0.43 to 0.62.
"""
TORN_LINE = 0.3
"""The same for a line of a page that passes: none of 330,438 lines of those catalogues is accused."""
LEAST = 4
"""Torn letters below which nothing is said: a few odd symbols are in many documents."""
LATIN = 0.5
"""Share of letters in U+0080-024F from which on a text is bytes of another encoding read as Latin-1.

GBK has 0.63 and more; running text has at most 0.31, in Yoruba.
"""
COMMON = 0.15
"""Share of a hundred frequent characters among the Han ones that a text needs to be Chinese.

Paragraphs of CMRC 2018 have 0.34, one in a hundred pieces of 300 characters less than 0.2; Korean, Japanese, Russian,
Greek, Hebrew, Arabic and Thai bytes read as GB 18030 have 0.00 to 0.03.
"""

_FREQUENT = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
    "用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实"
    "日第月三二十公与等及由工条目"
)
_SCRIPTS = (
    (0x0370, "Greek"), (0x0400, "Cyrillic"), (0x0530, "Armenian"), (0x0590, "Hebrew"), (0x0600, "Arabic"),
    (0x0700, "Syriac"), (0x0750, "Arabic"), (0x0780, "Thaana"), (0x07C0, "NKo"), (0x0800, "Samaritan"),
    (0x0840, "Mandaic"), (0x0860, "Syriac"), (0x0870, "Arabic"), (0x0900, "Devanagari"), (0x0980, "Bengali"),
    (0x0A00, "Gurmukhi"), (0x0A80, "Gujarati"), (0x0B00, "Oriya"), (0x0B80, "Tamil"), (0x0C00, "Telugu"),
    (0x0C80, "Kannada"), (0x0D00, "Malayalam"), (0x0D80, "Sinhala"), (0x0E00, "Thai"), (0x0E80, "Lao"),
    (0x0F00, "Tibetan"), (0x1000, "Myanmar"), (0x10A0, "Georgian"), (0x1100, "Jamo"), (0x1200, "Ethiopic"),
    (0x13A0, "Cherokee"), (0x1400, "Canadian"), (0x1680, "Ogham"), (0x16A0, "Runic"), (0x1700, "Philippine"),
    (0x1780, "Khmer"), (0x1800, "Mongolian"), (0x18B0, "Canadian"), (0x1900, "Limbu"), (0x1950, "TaiLe"),
    (0x1980, "TaiLue"), (0x19E0, "Khmer"), (0x1A00, "Buginese"), (0x1A20, "TaiTham"), (0x1AB0, ""),
    (0x1B00, "Balinese"), (0x1B80, "Sundanese"), (0x1BC0, "Batak"), (0x1C00, "Lepcha"), (0x1C50, "OlChiki"),
    (0x1C80, "Cyrillic"), (0x1C90, "Georgian"), (0x1CC0, "Sundanese"), (0x1CD0, ""), (0x2C00, "Glagolitic"),
    (0x2C60, ""), (0x2C80, "Coptic"), (0x2D00, "Georgian"), (0x2D30, "Tifinagh"), (0x2D80, "Ethiopic"),
    (0x2DE0, "Cyrillic"), (0x2E00, ""), (0xA000, "Yi"), (0xA4D0, "Lisu"), (0xA500, "Vai"), (0xA640, "Cyrillic"),
    (0xA6A0, "Bamum"), (0xA700, ""), (0xA800, "Syloti"), (0xA830, ""), (0xA840, "PhagsPa"), (0xA880, "Saurashtra"),
    (0xA8E0, "Devanagari"), (0xA900, "KayahLi"), (0xA930, "Rejang"), (0xA960, "Jamo"), (0xA980, "Javanese"),
    (0xA9E0, "Myanmar"), (0xAA00, "Cham"), (0xAA60, "Myanmar"), (0xAA80, "TaiViet"), (0xAAE0, "Meetei"),
    (0xAB00, "Ethiopic"), (0xAB30, ""), (0xAB70, "Cherokee"), (0xABC0, "Meetei"), (0xAC00, ""),
    (0xD7B0, "Jamo"), (0xD800, ""), (0xFB13, "Armenian"), (0xFB1D, "Hebrew"), (0xFB50, "Arabic"), (0xFE00, ""),
    (0xFE70, "Arabic"), (0xFEFF, ""),
)  # fmt: skip
"""Where a script begins; "" for what stands beside letters of any: Latin, Han, kana, Hangul, full width, signs."""
_STARTS = [start for start, _ in _SCRIPTS]
_BROKEN, _OTHER = "broken", "other"
"""No character; no letter."""
_BESIDE = ("", "Greek", _BROKEN, _OTHER)
"""What stands in texts of every script; Greek letters do in formulas."""
HYPHENS = "\x02\ufffe"
"""How PDFium writes a hyphen at the end of a line."""


@dataclass(frozen=True)
class Verdict:
    """What was found in a text; counts are characters."""

    letters: int
    """Letters and what stands for them: private, unassigned and control characters, U+FFFD."""
    torn: int
    """Of those, no characters at all, or of another script than the letter before."""
    latin: int
    """Letters in U+0080-024F."""

    @property
    def is_mojibake(self) -> bool:
        """Whether it is bytes of another encoding read as Latin-1."""
        return self.latin >= max(LEAST, LATIN * self.letters)

    @property
    def is_torn(self) -> bool:
        """Whether a line among good ones makes no sense."""
        return self.torn >= max(LEAST, TORN_LINE * self.letters)

    @property
    def is_garbage(self) -> bool:
        """Whether no reader could make sense of it, mojibake included."""
        return self.is_mojibake or self.torn >= max(LEAST, TORN * self.letters)


def judge(text: str) -> Verdict:
    """How plausible a page's text is, by the scripts of its letters. A text without letters is not garbage."""
    counts = Counter(text)
    kinds = {character: _kind(character) for character in counts}
    letters = sum(count for character, count in counts.items() if kinds[character] != _OTHER)
    latin = sum(counts[character] for character in counts if "\u0080" <= character < "\u0250" and not kinds[character])
    broken = _broken(text, kinds) if _BROKEN in kinds.values() else 0
    changes = _changes(kinds[character] for character in text) if set(kinds.values()).difference(_BESIDE) else 0
    return Verdict(letters, broken + changes, latin)


def _broken(text: str, kinds: dict[str, str]) -> int:
    """How many are no characters. One alone between spaces is an icon or a bullet from a font of symbols."""
    coded = "".join("?" if kinds[character] == _BROKEN else " " if kinds[character] else "a" for character in text)
    return sum(word.count("?") for word in coded.split() if len(word) > 1)


def _changes(kinds: Iterable[str]) -> int:
    """How often a letter is of another script than the last one that belongs to a script."""
    own = [kind for kind in kinds if kind not in _BESIDE]
    return sum(one != other for one, other in pairwise(own))


@lru_cache(maxsize=16384)
def _kind(character: str) -> str:
    """The script of a letter, "" for one that may stand beside any other, or _BROKEN, or _OTHER."""
    category = unicodedata.category(character)
    if character in HYPHENS or character.isspace():
        return _OTHER
    if character == "\ufffd" or category in ("Cc", "Cn", "Co", "Cs"):
        return _BROKEN
    if category[0] not in "LM":
        return _OTHER
    place = bisect_right(_STARTS, ord(character)) - 1
    return _SCRIPTS[place][1] if place >= 0 else ""


@dataclass(frozen=True)
class Repaired:
    """A text that was Chinese in disguise."""

    text: str
    starts: tuple[int, ...]
    """For each of its characters, where it began in the text as it was read; and once more, the end of that."""


def repair(text: str) -> Repaired | None:
    """Latin-1 mojibake as the Chinese it was, GB 18030; None when it is not that, or not all of it can be read."""
    data = b"".join(map(_byte, text))
    if len(data) != len(text) or not judge(text).is_mojibake:
        return None
    try:
        found = data.decode("gb18030")
    except UnicodeDecodeError:
        return None
    if not _is_chinese(found) or judge(found).is_garbage:
        return None
    return Repaired(found, tuple(accumulate((len(character.encode("gb18030")) for character in found), initial=0)))


def _byte(character: str) -> bytes:
    """The byte that a Western font shows as this character, b"" when there is none."""
    if character in HYPHENS:
        return b"\xad"
    if character < "\u0100":
        return character.encode("latin-1")
    return character.encode("cp1252", errors="ignore")


def _is_chinese(text: str) -> bool:
    """Whether most letters are Han and enough of those are ones that every Chinese text has."""
    letters = sum(character.isalpha() for character in text)
    han = [character for character in text if is_han(character)]
    return len(han) >= 0.5 * letters and sum(character in _FREQUENT for character in han) >= COMMON * len(han)
