"""Cut a chunk into passages: what is searched, and what an arm that reads is shown. Pure.

A chunk is large enough to write questions about; a passage fits the embedder's window and is about one thing. The
passages of a chunk follow each other without a gap or an overlap, so what stands in the chunk stands in one of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kb.ingest.blocks import Block, Parsed
from kb.ingest.chunk import ChunkSpan, span_of
from kb.ingest.pieces import Piece, cut_block, packed


@dataclass(frozen=True)
class _Part(Piece):
    """A piece of the chunk, the headings right before it included."""

    path: tuple[str, ...] = ()
    """The headings inside the chunk that it stands under, without those it begins with."""


def passages(parsed: Parsed, span: ChunkSpan, target_tokens: int = 250, max_tokens: int = 350) -> list[ChunkSpan]:
    """The passages of a chunk, in order; none when the chunk is short enough to be its own.

    A passage has about `target_tokens` at most, `max_tokens` where a block, or less than half a passage, would be torn
    off otherwise. A heading begins a new one, unless the one before it would be as short.
    """
    if span.tokens <= max_tokens:
        return []
    runs = packed(_parts(parsed, span, target_tokens, max_tokens), target_tokens, max_tokens, target_tokens // 2)
    spans = [span_of(parsed, run[0].start, run, (span.header, *run[0].path)) for run in runs]
    return spans if len(spans) > 1 else []


def _parts(parsed: Parsed, span: ChunkSpan, target: int, most: int) -> Iterator[_Part]:
    """The chunk's pieces in order, each with the headings right before it.

    Headings longer than half a passage are text, and so are those that together have become that long.
    """
    from kb.text.terms import count_tokens

    stack: list[Block] = []
    opened: list[Block] = []
    for block, begun in _inside(parsed, span):
        if block.kind == "heading" and count_tokens(block.text) <= target // 2:
            if opened and count_tokens(parsed.text[opened[0].start : block.end]) > target // 2:
                yield _with_headings(parsed, stack, opened, _nothing_after(opened[-1]))
                stack, opened = _under(stack, opened), []
            opened.append(block)
            continue
        for piece in cut_block(parsed.text, block, target, most):
            # Of a table that began before the chunk, the head row is in the chunk's header already.
            yield _with_headings(parsed, stack, opened, replace(piece, head="") if begun else piece)
            stack, opened = _under(stack, opened), []
    if opened:
        yield _with_headings(parsed, stack, opened, _nothing_after(opened[-1]))


def _nothing_after(heading: Block) -> Piece:
    """An empty piece where a heading ends."""
    return Piece(heading.end, heading.end, 0)


def _inside(parsed: Parsed, span: ChunkSpan) -> Iterator[tuple[Block, bool]]:
    """The blocks of a chunk, of one that it begins or ends in the part inside, and whether that began before it."""
    first = bisect_right(parsed.blocks, span.start, key=lambda block: block.end)
    for index in range(first, len(parsed.blocks)):
        block = parsed.blocks[index]
        start, end = max(block.start, span.start), min(block.end, span.end)
        if start >= end:
            return
        yield replace(block, text=parsed.text[start:end], start=start, end=end), block.start < start


def _with_headings(parsed: Parsed, stack: list[Block], opened: list[Block], piece: Piece) -> _Part:
    """A part that begins with the headings that were opened, if any."""
    from kb.text.terms import count_tokens

    start = opened[0].start if opened else piece.start
    above = [heading for heading in stack if heading.level < opened[0].level] if opened else stack
    tokens = piece.tokens + count_tokens(parsed.text[start : piece.start])
    return _Part(start, piece.end, tokens, piece.head, bool(opened), tuple(one.text for one in above))


def _under(stack: list[Block], opened: list[Block]) -> list[Block]:
    """The headings that hold after these were opened."""
    for heading in opened:
        stack = [*(one for one in stack if one.level < heading.level), heading]
    return stack
