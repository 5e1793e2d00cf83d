"""Running headers, footers and page numbers of a PDF: found by their repetition at the pages' edges, and left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kb.ingest.pdf_lines import Line

BAND = 0.1
"""Share of a page's height at its top and at its bottom where furniture stands."""
PAGES = 3
"""Repetition is looked for from this many pages on."""
SHARE = 0.5
"""Share of the pages that a line has to stand on."""
SMALL = 0.9
"""In a shorter document, a line at an edge is furniture when it is smaller than this share of the body's size."""
DRIFT = 0.02
"""Share of the page's height by which its place may differ."""

_PAGE_NUMBER = re.compile(
    r"(?i)[-–—·|\s]*(?:第\s*|page\s*|p\.\s*|seite\s*)?(\d+|[ivxlc]+)\s*(?:页|頁)?\s*(?:(?:[/／]|of|von|共)\s*(?:第\s*)?\d+\s*[页頁]?)?[-–—·|\s]*"
)


@dataclass(frozen=True)
class Page:
    """A page's lines."""

    number: int
    """From 1."""
    label: str
    """What the document calls it: "iv", "A-3"; its number where it says nothing."""
    height: float
    """In points."""
    lines: tuple[Line, ...]


def drop_furniture(pages: Sequence[Page]) -> tuple[list[Page], list[str]]:
    """The pages without it, and a note for each running line that was left out.

    Furniture is a line at an edge of the page that stands at the same place, digits apart, on half of at least three
    pages; in a shorter document, one in small print without a sentence's end; and always the mere number of the page.
    """
    body = _body_size(pages) if len(pages) < PAGES else 0.0
    places = [{index: _edge(page, line) for index, line in enumerate(page.lines)} for page in pages]
    running = _running(pages, places)
    kept, left_out = [], Counter[str]()
    for page, edges in zip(pages, places, strict=True):
        lines = []
        highest = max((line.bottom for line in page.lines), default=0.0)
        lowest = min((line.top for line in page.lines), default=0.0)
        for index, line in enumerate(page.lines):
            extreme = bool(line.size) and (line.bottom >= highest or line.top <= lowest)
            if (extreme or edges[index]) and _is_page_number(page, line):
                continue
            if edges[index] and _key(page, edges[index], line) in running:
                left_out[running[_key(page, edges[index], line)]] += 1
            elif edges[index] and 0 < line.size < SMALL * body and line.text[-1] not in ".。!！?？;；":
                left_out[line.text] += 1
            else:
                lines.append(line)
        kept.append(replace(page, lines=tuple(lines)))
    return kept, [f"left out as header or footer, pages {count}: “{text}”" for text, count in left_out.items()]


def _body_size(pages: Sequence[Page]) -> float:
    """The size of most of the text, in points."""
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def _edge(page: Page, line: Line) -> str:
    """Top or bottom for a line at that edge, else ""; without geometry the first and last line stand there."""
    if not line.size:
        return "top" if line is page.lines[0] else "bottom" if line is page.lines[-1] else ""
    if line.bottom > page.height * (1 - BAND):
        return "top"
    return "bottom" if line.top < page.height * BAND else ""


def _key(page: Page, edge: str, line: Line) -> tuple[str, str]:
    """What makes two lines the same: edge and text, digits masked. A running title beside a page number, which changes
    from chapter to chapter, counts as one whatever it says.

    A number is the page's when it runs with the pages: it is the label, or differs from the place in the file by what
    it differs on the others too. The first cell of a table's row does not.
    """
    outer = (line.cells[0].text, line.cells[-1].text)
    if len(line.cells) > 1:
        if page.label in outer or str(page.number) in outer:
            return edge, "#|"
        shift = next((int(text) - page.number for text in outer if text.isdecimal()), None)
        if shift is not None:
            return edge, f"{shift:+d}|"
    return edge, re.sub(r"\d+", "#", line.text)


def _running(pages: Sequence[Page], places: Sequence[dict[int, str]]) -> dict[tuple[str, str], str]:
    """The keys that repeat, each with its first text."""
    if len(pages) < PAGES:
        return {}
    seen: dict[tuple[str, str], list[tuple[int, float, str]]] = {}
    for page, edges in zip(pages, places, strict=True):
        for index, edge in edges.items():
            line = page.lines[index]
            if edge:
                middle = (line.top + line.bottom) / 2 / (page.height or 1)
                seen.setdefault(_key(page, edge, line), []).append((page.number, middle, line.text))
    running = {}
    for key, found in seen.items():
        typical = sorted(place for _, place, _ in found)[len(found) // 2]
        on = {number for number, place, _ in found if abs(place - typical) <= DRIFT}
        if len(on) >= max(SHARE * len(pages), 2):
            running[key] = found[0][2]
    return running


def _is_page_number(page: Page, line: Line) -> bool:
    """Whether a line says this page's number and nothing else."""
    match = _PAGE_NUMBER.fullmatch(line.text)
    if not match:
        return False
    number = str(int(match[1])) if match[1].isdecimal() else match[1]
    return number in (page.label, str(page.number))
