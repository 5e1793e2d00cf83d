"""How much of the documents is asked about: for every sentence and row, whether a fact was taken from it.

What is counted is text, not facts: nobody knows how many facts a document states, and a sentence may state several or
none. A passage that no fact came from is listed, so that a person can see what the model passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kb.records import Chunk, Document, Fact, FactSource
from kb.store import ORIGINALS, Store
from kb.text.sentences import sentences
from kb.text.terms import count_tokens

LEAST = 4
"""Tokens from which on a sentence or row is counted."""
_RULE = frozenset("|-: ")
_TERMINAL = "。！？!?.…；;：:”』」）)"


@dataclass(frozen=True)
class Untouched:
    """Sentences or rows in a row that no fact was taken from."""

    chunk: str
    start: int
    end: int
    """Span in the document's text."""
    text: str


@dataclass(frozen=True)
class Covered:
    """How much of a section, a document or the whole is asked about."""

    id: str
    """Of the chunk or document; empty for the whole."""
    name: str
    """Header, path, or empty."""
    units: int
    """Sentences and table rows that have text enough to say something."""
    asked: int
    """Those of them that the evidence of a fact stands in."""
    facts: int

    @property
    def share(self) -> float:
        """Of the units those that are asked about, 0 to 1; 1 where there is nothing to ask."""
        return self.asked / self.units if self.units else 1.0


@dataclass(frozen=True)
class Coverage:
    """The coverage of a workspace's documents."""

    whole: Covered
    documents: tuple[Covered, ...]
    sections: tuple[Covered, ...]
    untouched: tuple[Untouched, ...]
    """The longest first."""


def measure_coverage(store: Store) -> Coverage:
    """The coverage of the live documents by the live facts and their further sources. Copies are not counted."""
    spans: dict[str, list[tuple[int, int]]] = {}
    stated: list[Fact | FactSource] = [*store.all(Fact), *store.all(FactSource)]
    for one in stated:
        spans.setdefault(one.chunk_id, []).append((one.start, one.end))
    paths = {document.id: document.path for document in store.all(Document)}
    sections, untouched = [], []
    of_document: dict[str, list[Covered]] = {}
    for chunk in store.all(Chunk, ORIGINALS):
        own = spans.get(chunk.id, [])
        units = [(chunk.start + start, chunk.start + end) for start, end in units_of(chunk.text)]
        asked = [_touched(unit, own) for unit in units]
        untouched += list(_gaps(chunk, units, asked))
        sections.append(Covered(chunk.id, chunk.header, len(units), sum(asked), len(own)))
        of_document.setdefault(chunk.document_id, []).append(sections[-1])
    documents = tuple(_sum(id, paths.get(id, ""), parts) for id, parts in of_document.items())
    untouched.sort(key=lambda gap: (-len(gap.text), gap.chunk, gap.start))
    return Coverage(_sum("", "", sections), documents, tuple(sections), tuple(untouched))


def units_of(text: str) -> list[tuple[int, int]]:
    """Spans of the sentences and table rows that can say something: no heading, head of a table, rule or short rest.

    A table's first row, before its rule, names the columns; a line of its own without an end mark and without a figure
    is a heading.
    """
    found: list[tuple[int, int]] = []
    spans = sentences(text)
    for at, (start, end) in enumerate(spans):
        unit = text[start:end]
        after = text[slice(*spans[at + 1])] if at + 1 < len(spans) else ""
        if set(unit) <= _RULE or (unit.startswith("|") and after.startswith("|") and set(after) <= _RULE):
            continue
        if count_tokens(unit) >= LEAST and not _is_heading(text, start, end):
            found.append((start, end))
    return found


def _is_heading(text: str, start: int, end: int) -> bool:
    """Whether a unit is a paragraph of one short line that ends like no sentence and gives no figure."""
    unit = text[start:end]
    alone = (not start or text[:start].endswith("\n\n")) and (end == len(text) or text[end:].startswith("\n\n"))
    plain = not unit.startswith(("|", "-")) and unit[-1] not in _TERMINAL
    return alone and plain and not any(character.isdigit() for character in unit)


def _touched(unit: tuple[int, int], spans: Iterable[tuple[int, int]]) -> bool:
    return any(start < unit[1] and unit[0] < end for start, end in spans)


def _gaps(chunk: Chunk, units: Sequence[tuple[int, int]], asked: Sequence[bool]) -> Iterator[Untouched]:
    """The runs of units that no fact was taken from."""
    run: list[tuple[int, int]] = []
    for unit, touched in zip((*units, (0, 0)), (*asked, True), strict=True):
        if not touched:
            run.append(unit)
        elif run:
            start, end = run[0][0], run[-1][1]
            yield Untouched(chunk.id, start, end, chunk.text[start - chunk.start : end - chunk.start])
            run = []


def _sum(id: str, name: str, parts: Sequence[Covered]) -> Covered:
    units, asked = sum(part.units for part in parts), sum(part.asked for part in parts)
    return Covered(id, name, units, asked, sum(part.facts for part in parts))
