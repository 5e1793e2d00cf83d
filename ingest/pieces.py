"""Blocks in pieces: what a chunk or a passage is put together from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from kb.ingest.blocks import Block

TINY = 120
"""Tokens below which a piece joins its neighbour, as far as the maximum allows."""
HEAD = 400
"""Characters of a table's head row that its later parts repeat; all of it stands where it is."""


@dataclass(frozen=True)
class Piece:
    """What is never cut: a block, or a part of a block that is too long."""

    start: int
    end: int
    tokens: int
    head: str = ""
    """The head row, for the rows of a table that was cut."""
    opens: bool = False
    """Whether it begins with a heading: then it begins a run of its own, unless the one before it is tiny."""


AnyPiece = TypeVar("AnyPiece", bound=Piece)


def cut_block(text: str, block: Block, target: int, most: int) -> Iterator[Piece]:
    """A block as one piece, or, when it is longer than `most`, its rows or sentences in pieces of about `target`."""
    from kb.text.terms import count_tokens

    tokens = count_tokens(block.text)
    if tokens <= most:
        yield Piece(block.start, block.end, tokens)
        return
    head = block.text.split("\n", 1)[0].strip("| ").replace("\\|", "/")[:HEAD] if block.kind == "table" else ""
    spans = list(_units(text, block, target))
    begin, total = spans[0][0], 0
    for index, (start, end) in enumerate(spans):
        size = count_tokens(text[start:end]) + 1
        if total and total + size > target:
            yield Piece(begin, spans[index - 1][1], total, head if begin > block.start else "")
            begin, total = start, 0
        total += size
    yield Piece(begin, block.end, total, head if begin > block.start else "")


def _units(text: str, block: Block, target: int) -> Iterator[tuple[int, int]]:
    """The sentences of a block, or its lines for a table, a list or code; too long ones cut, at a space if possible."""
    from kb.text.sentences import sentences

    if block.kind in ("table", "list", "code"):
        spans, at = [], 0
        for line in block.text.split("\n"):
            spans.append((at, at + len(line)))
            at += len(line) + 1
    else:
        spans = sentences(block.text)
    for start, end in spans:
        for first, last in _bits(block.text, start, end, target):
            yield block.start + first, block.start + last


def _bits(text: str, start: int, end: int, target: int) -> Iterator[tuple[int, int]]:
    """A unit whole, or, when it has more than `target` tokens, in bits of as many characters, at a space if possible.

    A rest of more than nine characters for each token is not counted, so that the work grows with the length and not
    with its square: where words are one blank apart, it has too many tokens.
    """
    from kb.text.terms import LETTERS_PER_TOKEN, count_tokens

    sure = (LETTERS_PER_TOKEN + 2) * target
    while start < end and (end - start > sure or count_tokens(text[start:end]) > target):
        # No token is shorter than a character, so so many characters never are too many tokens.
        space = text.rfind(" ", start + target // 2, start + target)
        cut = space if space > 0 else start + target
        yield start, cut
        start = cut
        while start < end and text[start].isspace():
            start += 1
    if start < end:
        yield start, end


def packed(pieces: Iterable[AnyPiece], target: int, most: int, tiny: int = TINY) -> list[list[AnyPiece]]:
    """Pieces in runs of about `target` tokens; a run of less than `tiny` goes on, and such a rest is taken along, up to
    `most`.
    """
    runs: list[list[AnyPiece]] = []
    totals: list[int] = []
    for piece in pieces:
        size = piece.tokens + 1
        small = bool(totals) and totals[-1] < tiny
        if runs and totals[-1] + size <= (most if small else target) and (small or not piece.opens):
            runs[-1].append(piece)
            totals[-1] += size
        else:
            runs.append([piece])
            totals.append(size)
    if len(runs) > 1 and totals[-1] < tiny and sum(totals[-2:]) <= most:
        rest = runs.pop()
        runs[-1] += rest
    return runs
