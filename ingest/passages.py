"""Cut a chunk into passages: what is searched, and what an arm that reads is shown. Pure.

A chunk is large enough to write questions about; a passage fits the embedder's window and is about one thing. The
passages of a chunk follow each other without a gap or an overlap, so what stands in the chunk stands in one of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kb.ingest.blocks import Block, Parsed
from kb.ingest.chunk import ChunkSpan
from kb.ingest.pieces import Piece, cut_block


@dataclass(frozen=True)
class _Part:
    """A piece of the chunk, the headings right before it included."""

    piece: Piece
    path: tuple[str, ...]
    """The headings inside the chunk that it stands under, without those it begins with."""
    opens: bool
    """Whether it begins with a heading."""


def passages(parsed: Parsed, span: ChunkSpan, target_tokens: int = 250, max_tokens: int = 350) -> list[ChunkSpan]:
    """The passages of a chunk, in order; none when the chunk is short enough to be its own.

    A passage has about `target_tokens` at most, `max_tokens` where a block, or less than half a passage, would be torn
    off otherwise. A heading begins a new one, unless the one before it would be as short.
    """
    if span.tokens <= max_tokens:
        return []
    runs: list[list[_Part]] = []
    size, least = 0, target_tokens // 2
    for part in _parts(parsed, span, target_tokens, max_tokens):
        tokens = part.piece.tokens + 1
        tiny = size < least
        if runs and size + tokens <= (max_tokens if tiny else target_tokens) and (tiny or not part.opens):
            runs[-1].append(part)
            size += tokens
        else:
            runs.append([part])
            size = tokens
    if len(runs) > 1 and size < least and size + sum(part.piece.tokens + 1 for part in runs[-2]) <= max_tokens:
        rest = runs.pop()
        runs[-1] += rest
    return [_passage(parsed, span, run) for run in runs] if len(runs) > 1 else []


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
    return _Part(replace(piece, start=start, tokens=tokens), tuple(one.text for one in above), bool(opened))


def _under(stack: list[Block], opened: list[Block]) -> list[Block]:
    """The headings that hold after these were opened."""
    for heading in opened:
        stack = [*(one for one in stack if one.level < heading.level), heading]
    return stack


def _passage(parsed: Parsed, span: ChunkSpan, run: list[_Part]) -> ChunkSpan:
    """The passage of these parts."""
    from kb.text.terms import count_tokens

    first = run[0]
    header = " > ".join([span.header, *first.path, *([first.piece.head] if first.piece.head else [])])
    start, end = first.piece.start, run[-1].piece.end
    page = parsed.blocks[bisect_right(parsed.blocks, start, key=lambda block: block.end)].page
    return ChunkSpan(start, end, header, page, count_tokens(parsed.text[start:end]))
