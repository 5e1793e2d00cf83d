"""Which prompts begin alike, and batches in which such a beginning is computed once. No torch here.

All wordings of a fact are asked with the same passages before them: nine tenths of each prompt are those of its
neighbour. Only that is used here; two passages in another order share nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

BLOCK = 16
"""Shared beginnings are counted in whole blocks of so many tokens: prompts whose beginnings differ by a token or two
stay together.
"""
LEAST = 64
"""Tokens of a beginning that are worth a pass of their own."""
WORTH = 0.25
"""The least part of a prompt that must be shared: below it, prompts are better put together by their length."""


@dataclass(frozen=True)
class Row:
    """A prompt of a batch."""

    index: int
    length: int
    """Tokens."""
    shared: int = 0
    """So many of its first tokens are also those of its family; 0: none, it stands alone."""
    family: int = 0
    """Number of the prompts that share this beginning."""

    @property
    def rest(self) -> int:
        """Tokens after the shared beginning."""
        return self.length - self.shared


def rows_of(prompts: Mapping[int, Sequence[int]]) -> list[Row]:
    """Each prompt (index to token ids) with what of it is to be computed once for it and others.

    At least one token of each prompt is left, because an answer begins with what follows it.
    """
    order = sorted(prompts, key=lambda index: (tuple(prompts[index]), index))
    sorted_ids = [prompts[index] for index in order]
    alike = [_alike(first, second) for first, second in pairwise(sorted_ids)]
    rows = []
    for start, end in _families(alike, 0, len(order))[1] if order else ():
        common = min(alike[start : end - 1], default=0)
        shared = common if common >= max(LEAST, WORTH * max(map(len, sorted_ids[start:end]))) else 0
        rows += [Row(order[at], len(sorted_ids[at]), shared, start) for at in range(start, end)]
    return rows


def batches(rows: Iterable[Row], new: int, tokens: Callable[[], int]) -> Iterator[list[Row]]:
    """Batches of rows that get up to `new` tokens each: of like lengths, the longest first, so that memory runs out
    early or never; those with a shared beginning apart from the others.

    `tokens` tells how many tokens a batch may have with padding and answers; it is asked for every batch anew.
    """
    alone: list[Row] = []
    families: list[Row] = []
    for row in rows:
        (families if row.shared else alone).append(row)
    alone.sort(key=lambda row: (-row.length, row.index))
    families.sort(key=_by_rest)
    for members in (alone, families):
        start = 0
        while start < len(members):
            size = _fitting(members[start:], new, tokens())
            yield members[start : start + size]
            start += size


def _by_rest(row: Row) -> tuple[int, int, int, int]:
    """Rests of like length together, because they are padded; then beginnings of like length, each with its family."""
    return -(row.rest // LEAST), -row.shared, row.family, row.index


def _fitting(rows: Sequence[Row], new: int, tokens: int) -> int:
    """How many of the first rows are a batch, one at least: beginnings and rests are padded each for itself."""
    shared = rest = 0
    for count, row in enumerate(rows):
        shared, rest = max(shared, row.shared), max(rest, row.rest)
        if count and (count + 1) * (shared + rest + new) > tokens:
            return count
    return len(rows)


def _alike(first: Sequence[int], second: Sequence[int]) -> int:
    """Tokens that both begin with, in whole blocks, and fewer than either has."""
    most = min(len(first), len(second)) - 1
    place = 0
    while place + BLOCK <= most and first[place : place + BLOCK] == second[place : place + BLOCK]:
        place += BLOCK
    return place


def _families(alike: Sequence[int], start: int, end: int) -> tuple[int, list[tuple[int, int]]]:
    """The tokens saved among sorted prompts `start` to `end`, and the spans of the families that save them: all in one,
    or parted wherever neighbours have least in common, if that saves more.

    It calls itself as deep as there are different numbers of blocks, at most.
    """
    if end - start == 1:
        return 0, [(start, end)]
    least = min(alike[start : end - 1])
    cuts = [place + 1 for place in range(start, end - 1) if alike[place] == least]
    parts = [_families(alike, *span) for span in pairwise([start, *cuts, end])]
    apart, together = sum(saved for saved, _ in parts), least * (end - start - 1)
    if together > apart:
        return together, [(start, end)]
    return apart, [span for _, spans in parts for span in spans]
