"""Which of kb's two languages a text is in."""

from __future__ import annotations

import re

from kb.text.characters import HAN, UNSPACED

CHINESE_FROM = 0.25
"""From this share of its letters in Han characters on, a text is Chinese: one Han character carries as much as several
Latin letters, and Chinese technical prose is full of Latin names."""

_HAN = re.compile(f"[{HAN}]")
_UNSPACED = re.compile(f"[{UNSPACED}]")
_LETTER = re.compile(r"[^\W\d_]")


def han_share(text: str) -> float:
    """Han characters as a share of all letters (Han, kana, Latin, Cyrillic...), 0 to 1; 0 for a text without letters.

    Digits, punctuation and spaces do not count, so "3000万" is 1.0 and "A座3层" is 2/3.
    """
    letters = len(_LETTER.findall(text))
    return len(_HAN.findall(text)) / letters if letters else 0.0


def detect(text: str) -> str:
    """The language of a text: "zh" when at least a quarter of the letters are Han, else "en".

    What the answer decides is how text is cut into sentences, terms and lengths, so kana count as Han here: Japanese,
    also unspaced, falls to "zh"; Korean and everything alphabetic falls to "en", and so does a text without letters.
    """
    if text.isascii():
        return "en"
    letters = len(_LETTER.findall(text))
    return "zh" if letters and len(_UNSPACED.findall(text)) / letters >= CHINESE_FROM else "en"
