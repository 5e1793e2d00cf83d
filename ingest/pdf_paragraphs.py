"""From the lines of a PDF page to paragraphs, list items and tables. Pure: no PDF library here.

A line goes on in the next one when it is full (the next word would not have fitted), both have one size, the distance
is that of lines and not of paragraphs, and the next line does not begin something new.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from kb.ingest.blocks import is_cjk, join_lines
from kb.ingest.furniture import Page
from kb.ingest.pdf_lines import Cell, Line
from kb.ingest.pdf_tables import table_at

SAME = 0.08
"""Sizes that differ by less than this share are one."""
LOOSER = 0.3
"""Ems by which the space between two lines of a paragraph may exceed the page's usual one."""
TOGETHER = 3.0
"""Points by which the ends of justified lines may differ."""
INDENT = 1.2
"""Ems from which on a line is indented."""

_BULLET = re.compile(r"[•·▪◦‣●■◆◇➢➤▶►*–—-](?:\s+|$)|(?=•)•")
_NUMBER = re.compile(
    r"[(（]?(?:\d{1,2}|[a-zA-Z]|[ivx]{1,4})[)）.、．](?:\s|$|(?=[^\W\d_]{2}))|[(（][一二三四五六七八九十]{1,3}[)）]|[①-⑳]"
)
_MARKER = re.compile(r"[•·▪◦‣●■◆◇➢➤▶►*–—-]|[(（]?(?:\d{1,2}(?:\.\d{1,2}){0,4}|[a-zA-Z])[)）.、．]?|第\S{1,4}[章节条]")
_TERMINAL = "。！？!?.…；;：:”』」"


@dataclass
class Paragraph:
    """Lines that belong together, while they are collected."""

    page: int
    lines: list[Line]
    text: str
    kind: str = "paragraph"
    """paragraph, list (one item) or table."""
    full: bool = False
    """Whether its last line reaches the right edge of its column."""

    @property
    def is_table(self) -> bool:
        """Whether it is a table, or a line above one inside of its ruled frame."""
        return self.kind == "table" or bool(self.lines[0].blocks)

    @property
    def size(self) -> float:
        """Of its first line, in points."""
        return self.lines[0].size


def paragraphs_of(page: Page) -> list[Paragraph]:
    """The paragraphs, list items and tables of a page, in order."""
    lines = _rows(page.lines)
    usual = _usual_gap(lines)
    edges = _edges(lines)
    found: list[Paragraph] = []
    index = 0
    while index < len(lines):
        if lines[index].blocks:
            found += [Paragraph(page.number, [lines[index]], block.text, block.kind) for block in lines[index].blocks]
            index += 1
            continue
        count, rows = table_at(lines, index)
        if count:
            found.append(Paragraph(page.number, lines[index : index + count], rows, "table"))
            index += count
            continue
        line = lines[index]
        last = found[-1] if found else None
        if last and not last.is_table and _continues(last, line, usual, edges[index - 1]):
            last.text = join_lines(last.text, line.text)
            last.lines.append(line)
        else:
            bullet = _BULLET.match(line.text)
            text = f"- {line.text[bullet.end() :].strip()}" if bullet else line.text
            found.append(Paragraph(page.number, [line], text, "list" if bullet or _NUMBER.match(text) else "paragraph"))
        found[-1].full = _is_full(line, edges[index], 1.0)
        index += 1
    return found


def goes_over(last: Paragraph, first: Paragraph) -> bool:
    """Whether the last paragraph of a page goes on in the first one of the next page."""
    return (
        not last.is_table and not first.is_table and first.kind == "paragraph" and last.full and bool(last.text)
        and _one_size(last.lines[-1], first.lines[0]) and _unfinished(last.text, first.text)
    )  # fmt: skip


def is_one_table(last: Paragraph, first: Paragraph) -> bool:
    """Whether a ruled table at the end of a page goes on at the beginning of the next one: same columns, same edges."""
    one, other = last.lines[-1], first.lines[0]
    ruled = last.kind == first.kind == "table" and one.blocks and other.blocks
    near = abs(one.left - other.left) < TOGETHER and abs(one.right - other.right) < TOGETHER
    return bool(ruled) and near and _columns(last.text) == _columns(first.text)


def continued(table: str, rest: str) -> str:
    """A Markdown table with the rows of another one, whose head is a row of it or its head again."""
    head, _, *rows = rest.split("\n")
    again = table.split("\n", 1)[0] == head
    return "\n".join([table, *([] if again else [head]), *rows])


def _columns(table: str) -> int:
    """How many columns a Markdown table has."""
    return table.split("\n")[1].count("---")


def _rows(lines: Sequence[Line]) -> list[Line]:
    """Lines with what stands in the same row close to them (exponents, bullets) put together."""
    rows: list[Line] = []
    for line in map(_with_marker, lines):
        last = rows[-1] if rows else None
        if last is None or not _same_row(last, line):
            rows.append(line)
            continue
        space = "" if line.left - last.right < 0.15 * last.size else " "
        middle = Cell(f"{last.cells[-1].text}{space}{line.cells[0].text}", last.cells[-1].left, line.cells[0].right)
        cells = (*last.cells[:-1], middle, *line.cells[1:])
        merged = Line(cells, max(last.top, line.top), min(last.bottom, line.bottom), max(last.size, line.size))
        rows[-1] = _with_marker(merged)
    return rows


def _same_row(last: Line, line: Line) -> bool:
    """Whether `line` goes on to the right of `last`, without a wide gap unless `last` is a mere bullet or number."""
    if not (last.size and line.size) or last.blocks or line.blocks:
        return False
    overlap = min(last.top, line.top) - max(last.bottom, line.bottom)
    gap = (line.left - last.right) / last.size
    near = 3.0 if _MARKER.fullmatch(last.text) else 1.0
    return overlap > 0.4 * min(last.top - last.bottom, line.top - line.bottom) and -0.3 < gap < near


def _with_marker(line: Line) -> Line:
    """A bullet or number and the text after it are no table row, whatever the gap."""
    if len(line.cells) != 2 or not _MARKER.fullmatch(line.cells[0].text):
        return line
    marker, text = line.cells
    if text.left - marker.right > 3 * line.size or not text.text[0].isalpha():
        return line
    return replace(line, cells=(Cell(f"{marker.text} {text.text}", marker.left, text.right),))


def _usual_gap(lines: Sequence[Line]) -> float:
    """Points of white between the lines of a paragraph on this page."""
    gaps = [
        one.bottom - other.top
        for one, other in pairwise(lines)
        if one.size and _one_size(one, other) and -one.size < one.bottom - other.top < 2 * one.size
    ]
    return statistics.median_low(gaps) if gaps else 0.0


def _edges(lines: Sequence[Line]) -> list[float]:
    """For each line, where a full line of its column ends: by the lines that begin where it does, else by all.

    Worked out once for all lines of one size that begin at one place, as most lines of a page do.
    """
    columns: dict[tuple[float, float], list[float]] = {}
    rights = sorted((line.right for line in lines), reverse=True)
    ends: list[float] = []
    for line in lines:
        column = (line.size, line.left)
        if column not in columns:
            columns[column] = _rights(*column, lines)
        alike = columns[column]
        if len(alike) < 3:
            alike = sorted([*rights, line.right], reverse=True)
        ends.append(_edge(line.left, alike))
    return ends


def _rights(size: float, left: float, lines: Sequence[Line]) -> list[float]:
    """Where the lines of about this size end that begin at about this place, the rightmost first."""
    # What `_one_size` says, without a call for each pair of lines.
    reach, least, most = 2.6 * size, size * (1 - SAME), size / (1 - SAME)
    alike = (line.right for line in lines if least <= line.size <= most and -reach < line.left - left < reach)
    return sorted(alike, reverse=True)


def _edge(left: float, rights: Sequence[float]) -> float:
    """Where a full line ends that begins at `left`, by where lines like it end, the rightmost first.

    One line that sticks out (a formula) does not count when three others end together a little before it.
    """
    for first, third in zip(rights, rights[2:], strict=False):
        if first - left < 0.85 * (rights[0] - left):
            break
        if first - third < TOGETHER:
            return first
    return rights[0]


def _continues(paragraph: Paragraph, line: Line, usual: float, edge: float) -> bool:
    """Whether `line` is the next line of the paragraph; `edge` is that of the paragraph's last line."""
    last = paragraph.lines[-1]
    if _begins_new(line.text) or line.is_row or last.is_row:
        return False
    if not (last.size and line.size):
        return len(last.text) > 60 and _unfinished(paragraph.text, line.text)
    if not _one_size(last, line) or not _is_full(last, edge, _first_word(line)):
        return False
    gap = last.bottom - line.top
    if gap < -last.size:
        return _unfinished(paragraph.text, line.text)
    return gap <= usual + LOOSER * line.size and not _indented(paragraph, line)


def _indented(paragraph: Paragraph, line: Line) -> bool:
    """Whether the line's left end says that a paragraph begins there, or that it is of another column."""
    shift = (line.left - paragraph.lines[-1].left) / line.size
    if len(paragraph.lines) > 1 or paragraph.text[-1] in _TERMINAL:
        return shift > INDENT or shift < -4
    return not -4 < shift < 4


def _begins_new(text: str) -> bool:
    return bool(_BULLET.match(text) or _NUMBER.match(text))


def _unfinished(text: str, after: str) -> bool:
    """Whether a sentence goes on over a break of the column or page."""
    return text[-1] not in _TERMINAL and (after[0].islower() or is_cjk(after[0])) and not _begins_new(after)


def _first_word(line: Line) -> float:
    """Ems that the first word of a line takes, with punctuation that must not begin a line."""
    if is_cjk(line.text[0]):
        rest = line.text[1:4]
        return 1.0 + len(rest) - len(rest.lstrip("，。、；：！？）》”’…"))
    return 0.25 + 0.5 * len(line.text.split(maxsplit=1)[0])


def _is_full(line: Line, edge: float, word: float) -> bool:
    """Whether a word of so many ems would not have fitted at the end of the line."""
    return line.right + word * line.size > edge - 0.2 * line.size


def _one_size(one: Line, other: Line) -> bool:
    return abs(one.size - other.size) <= SAME * max(one.size, other.size)
