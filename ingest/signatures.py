"""By what two chunks are told to say the same: a digest of their words, and MinHash for those that are nearly the same.

Pure, and made where a file is read: it takes as long as cutting it.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from typing import Any, NamedTuple

SHORT = 200
"""Characters, without blanks and punctuation, below which two texts are one only under the same title and headings."""
PERMUTATIONS = 128
GRAM = 5

_BETWEEN = re.compile(r"(?<![0-9])\.|\.(?![0-9])|-(?![0-9])|(?<=[^\s(])-|[^\w.%<>≤≥≠=±+$€£¥-]|_")
"""Blanks and punctuation, but for what belongs to a number (1.5, -5, 5%, >5, $5)."""


class Signature(NamedTuple):
    """What a chunk is compared by."""

    exact: bytes
    """Equal for texts that are the same: the words, and for short ones what they stand under; b"" without any word."""
    near: bytes
    """MinHash of the character 5-grams (Broder, SEQUENCES 1997), 128 numbers of 32 bits; b"" for a short text."""


def sign(header: str, text: str) -> Signature:
    """The signature of a chunk. `header` is "Title > Heading 1 > Heading 2"."""
    words = squeezed(text)
    if not words:
        return Signature(b"", b"")
    long = len(words) >= SHORT
    under = squeezed(headings(header) if long else header)
    digest = hashlib.sha256(f"{under}\0{words}".encode()).digest()[:16]
    return Signature(digest, _min_hash(words) if long else b"")


def headings(header: str) -> str:
    """A chunk's heading path without the document's title."""
    return header.partition(" > ")[2]


def squeezed(text: str) -> str:
    """Letters, digits and what belongs to numbers, in one form of width and case."""
    from kb.text.characters import fold

    return _BETWEEN.sub("", fold(text))


def min_hash(near: bytes) -> Any:
    """A datasketch.MinHash of these numbers."""
    import numpy as np
    from datasketch import MinHash

    empty = _empty()
    return MinHash(
        hashvalues=np.frombuffer(near, np.uint32), permutations=empty.permutations, scheme=empty.scheme
    )  # fmt: skip


def _min_hash(words: str) -> bytes:
    """The numbers of a text's 5-grams."""
    hashed = _empty().copy()
    grams = {words[at : at + GRAM] for at in range(max(1, len(words) - GRAM + 1))}
    hashed.update_batch([gram.encode() for gram in grams])
    values: bytes = hashed.hashvalues.tobytes()
    return values


@cache
def _empty() -> Any:
    """Of no text. Its permutations, which take longer to draw than a text takes to hash, are those of all others."""
    # Its import takes half a second: only for the first text that is not short.
    from datasketch import MinHash

    return MinHash(PERMUTATIONS)
