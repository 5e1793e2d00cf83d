"""The canonical form of a text, and the values in it: what is compared when texts are compared."""

from __future__ import annotations

import functools
import re

from kb.text.characters import UNSPACED, fold
from kb.text.dates import PartialDate, dates
from kb.text.quantities import Quantity, quantities

__all__ = ["PartialDate", "Quantity", "canonical", "dates", "quantities"]

_THOUSANDS = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?:,[0-9]{3})+(?![0-9]|,[0-9])")
_APOSTROPHE = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_])")
_MARK = re.compile(
    r"(?=[^\w\s]|_)(?:(?P<kept>(?<=[0-9])\.(?=[0-9])"  # 3.14, v2.1.3
    r"|(?<=[0-9])[-/:](?=\w)|(?<=\w)[-/:](?=[0-9])"  # TM-5580, 1989/57, 14:30
    r"|(?<![^\s(\[:,;=~<>≤≥])-(?=[0-9])"  # -5
    r"|(?<=[a-z])[+#]+(?![^\W_])"  # C++, C#
    r"|[%‰°$¥€£₩₽₹<>≤≥±^×⁄])"
    r"|.)"
)
"""Punctuation; kept is what is part of a value."""
_UNSPACED_GAP = re.compile(f" (?=[{UNSPACED}])|(?<=[{UNSPACED}]) ")


@functools.lru_cache(maxsize=8192)
def canonical(text: str) -> str:
    """The text without what does not change its meaning; "" when nothing is left.

    Width, case and invisible characters go (NFKC, casefold). Thousands separators go (3,000 is 3000). Punctuation
    turns into a space, except where it is part of a value: the point of 3.14, the strokes of TM-5580, 1989/57 and
    14:30, the sign of -5, C++ and C#, per cent, degrees, currencies and signs of comparison. Apostrophes inside words
    go ("O'Brien" is obrien). Spaces next to Han or kana go, others become one. No word is dropped, articles included.
    The form is its own canonical form.
    """
    text = _APOSTROPHE.sub("", fold(text))
    text = _THOUSANDS.sub(lambda match: match.group().replace(",", ""), text)
    text = _MARK.sub(lambda match: match["kept"] or " ", text)
    return _UNSPACED_GAP.sub("", " ".join(text.split()))
