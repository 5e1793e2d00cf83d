"""Cut a document into chunks along its structure. Pure: blocks in, spans out.

A chunk is a run of whole blocks under one heading path, up to a target length; a heading of level 0 to 2 always begins
a new one, deeper ones only when the section above them is too long for one chunk. Nothing overlaps. A heading stands
in the chunk's header; inside a chunk that spans several deeper sections their headings are part of its text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kb.ingest.blocks import Block, Parsed
from kb.ingest.pieces import Piece, cut_block, packed

BOUNDARY = 2
"""Headings down to this level always begin a new chunk."""


@dataclass(frozen=True)
class ChunkSpan:
    """A chunk as a slice of the document's text."""

    start: int
    end: int
    """`text[start:end]` is the chunk's text."""
    header: str
    """"Title > Heading 1 > Heading 2"; for a later part of a long table, its head row too."""
    page: int
    """Page or slide it starts on, 0 where there is none."""
    tokens: int
    """Estimated."""
    language: str
    """"en" or "zh", by text and header."""
    passages: tuple[ChunkSpan, ...] = ()
    """What it is cut into for the search; none when it is short enough."""


@dataclass(frozen=True)
class _Section:
    """The blocks under one heading path, that heading included."""

    path: tuple[str, ...]
    headings: tuple[Block, ...]
    """The headings that this section opens: its own, and those above it that have no text of their own."""
    level: int
    """Of the highest heading that it opens; 0 for text before any heading."""
    pieces: tuple[Piece, ...]

    @property
    def tokens(self) -> int:
        """Of the pieces and the headings, with one for the gap after each."""
        from kb.text.terms import count_tokens

        headings = sum(count_tokens(heading.text) + 1 for heading in self.headings)
        return headings + sum(piece.tokens + 1 for piece in self.pieces)


def chunk(parsed: Parsed, target_tokens: int = 900, max_tokens: int = 1400) -> list[ChunkSpan]:
    """The chunks of a document, in order; every block but the headings is in exactly one of them.

    A chunk has about `target_tokens` at most, `max_tokens` where a block or a short rest would be torn off otherwise.
    """
    chunks: list[ChunkSpan] = []
    group: list[_Section] = []
    for section in _sections(parsed, target_tokens, max_tokens):
        if group and (section.level <= BOUNDARY or sum(s.tokens for s in group) + section.tokens > target_tokens):
            chunks += _cut(parsed, group, target_tokens, max_tokens)
            group = []
        group.append(section)
    return chunks + _cut(parsed, group, target_tokens, max_tokens)


def _sections(parsed: Parsed, target: int, most: int) -> Iterator[_Section]:
    """The sections in order. A slide without a heading is a section of its own, under the title alone.

    A heading with nothing below it is text of a section of its own, so that none is lost; several in a row are one.
    """
    stack: list[Block] = []
    opened: list[Block] = []
    pieces: list[Piece] = []
    level, page, roles = 0, 0, _roles(parsed)
    for index, block in enumerate(parsed.blocks):
        turned = parsed.format == "pptx" and block.page != page
        page = block.page
        if pieces and (turned or roles[index] in ("heading", "bare")):
            yield _Section(tuple(heading.text for heading in stack), tuple(opened), level, tuple(pieces))
            opened, pieces, level = [], [], 0
        if turned:
            stack = []
        if block.kind == "heading":
            level = min(block.level, level) if opened else block.level
            stack = [heading for heading in stack if heading.level < block.level]
        if roles[index] == "heading":
            stack.append(block)
            opened.append(block)
        else:
            pieces += cut_block(parsed.text, block, target, most)
    if pieces:
        yield _Section(tuple(heading.text for heading in stack), tuple(opened), level, tuple(pieces))


def _roles(parsed: Parsed) -> list[str]:
    """For each block: heading, bare (a heading with nothing below it), row (a bare one after another) or text."""
    roles: list[str] = []
    for before, block, after in zip((None, *parsed.blocks), parsed.blocks, (*parsed.blocks[1:], None), strict=False):
        if block.kind != "heading":
            roles.append("text")
        elif after and not (parsed.format == "pptx" and after.page != block.page) and _is_below(after, block):
            roles.append("heading")
        elif before and roles[-1] in ("bare", "row") and before.level == block.level:
            roles.append("row")
        else:
            roles.append("bare")
    return roles


def _is_below(block: Block, heading: Block) -> bool:
    """Whether the block after a heading belongs to it."""
    return block.kind != "heading" or block.level > heading.level


def _cut(parsed: Parsed, group: Sequence[_Section], target: int, most: int) -> list[ChunkSpan]:
    """The chunks of sections that may share one: one chunk when they fit, else the one section in its pieces."""
    if not group:
        return []
    if len(group) == 1:
        runs = packed(group[0].pieces, target, most)
        return [_span(parsed, run[0].start, run, group[0].path) for run in runs]
    depth = min(len(section.path) for section in group)
    shared = [len({section.path[n] for section in group}) == 1 for n in range(depth)]
    common = group[0].path[: [*shared, False].index(False)]
    own = [heading for heading in group[0].headings if heading.text in group[0].path[len(common) :]]
    start = min([heading.start for heading in own] + [group[0].pieces[0].start])
    return [_span(parsed, start, [piece for section in group for piece in section.pieces], common)]


def _span(parsed: Parsed, start: int, pieces: Sequence[Piece], path: tuple[str, ...]) -> ChunkSpan:
    """The chunk of these pieces, which follow each other."""
    title = () if path[:1] == (parsed.title,) else (parsed.title,)
    return span_of(parsed, start, pieces, (*title, *path))


def span_of(parsed: Parsed, start: int, pieces: Sequence[Piece], headings: Sequence[str]) -> ChunkSpan:
    """A span from `start` to the end of these pieces, under these headings and the head row of a table that was cut."""
    from kb.text.language import detect
    from kb.text.terms import count_tokens

    head, end = pieces[0].head, pieces[-1].end
    header = " > ".join([*headings, head] if head else headings)
    page = parsed.blocks[bisect_right(parsed.blocks, start, key=lambda block: block.end)].page
    text = parsed.text[start:end]
    return ChunkSpan(start, end, header, page, count_tokens(text), detect(f"{header}\n{text}"))
