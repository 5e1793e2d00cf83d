"""The lines of a PDF page: their text by PDFium, and where they stand, how large they are, where their gaps are.

The text is `get_text_bounded`: what is visible on the page. The geometry comes from single characters of the page's
character list, matched to that text; a line that cannot be matched has no geometry (`size` 0) and is still read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import pairwise
from typing import Any

from kb.ingest.blocks import CJK, Block, clean_line, is_cjk, join_lines
from kb.ingest.garble import LEAST, judge, repair
from kb.ingest.pdf_boxes import HYPHEN, Boxes
from kb.ingest.pdf_objects import Box, Survey, set_upright
from kb.ingest.pdf_ruled import Ruled, find_ruled, is_installed

CELL_GAP = 1.15
"""A gap wider than this many ems may stand between two cells of a table row."""
ROW_GAP = 1.8
"""A line with a gap wider than this many ems is a row of cells; below, it may be justified text."""
CJK_GAP = 0.4
"""A gap between two CJK characters narrower than this many ems, where the file has no space, is justified text."""
TIGHT = 0.12
"""A space between two CJK characters that takes less than this many ems is none, though the file has it."""

_SOFT = re.compile(f"(?<=[^\\W\\d_]){HYPHEN}(?=[a-zß-öø-ÿа-я])")
_HARD = re.compile(rf"(?<=\w){HYPHEN}(?=\w)")
PROBED = 8
"""Lines that say whether a page is written downwards."""
STAMP = 0.2
"""Visible text per hidden one up to which a page counts as scanned: a library's stamp, a page number."""
_CJK_SPACES = re.compile(f"(?<=[{CJK}])[ \u3000]+(?=[{CJK}])")
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Cell:
    """A stretch of a line without wide gaps; positions in points from the left."""

    text: str
    left: float = 0.0
    right: float = 0.0


@dataclass(frozen=True)
class Line:
    """A line of a page. Positions in points from the lower left corner; `size` in points, 0 when nothing is known."""

    cells: tuple[Cell, ...]
    top: float = 0.0
    bottom: float = 0.0
    size: float = 0.0
    blocks: tuple[Block, ...] = ()
    """What stands here instead of a line of text: a ruled table."""

    @cached_property
    def text(self) -> str:
        """The whole line."""
        return " ".join(cell.text for cell in self.cells)

    @property
    def left(self) -> float:
        """Where it begins."""
        return self.cells[0].left

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.cells[-1].right

    @property
    def is_row(self) -> bool:
        """Whether it is cells beside each other, by its widest gap."""
        return any(after.left - before.right > ROW_GAP * self.size for before, after in pairwise(self.cells))


@dataclass(frozen=True)
class Reading:
    """What was read of a page."""

    lines: tuple[Line, ...] = ()
    fate: str = ""
    """What the gate did: "repaired" when the text was Chinese in disguise, "patched" when lines without sense were left
    out, "garbled" when all of it was; "silent" when PDFium says nothing of text that is there: columns in a Chinese
    font that is neither in the file nor here.
    """
    hidden: str = ""
    """Text that nobody sees and that is not among the lines."""
    height: float = 0.0
    """Of the page, in points, as its text stands."""


def read_page(page: Any) -> Reading:
    """The lines of a pypdfium2 page in the order of its content; none for a page without text that can be seen.

    The text of a scan, hidden behind or before its picture, is text that can be seen. The page in memory is changed.
    """
    survey = Survey(page)
    hidden, tiny = survey.hidden, survey.tiny
    layer = bool(hidden) and survey.is_layer()
    # A page without text stays as it is shown, for OCR.
    left, bottom, right, top = set_upright(page, survey.turn) if survey.texts else page.get_bbox()
    textpage = page.get_textpage()
    try:
        text: str = textpage.get_text_bounded(left, bottom, right, top)
        boxes = Boxes(textpage, text)
        text, left_out = _seen(text, boxes, hidden, tiny, layer) if hidden else (text, "")
        if not text.strip():
            return Reading((), "silent" if survey.texts else "", left_out, top - bottom)
        text, fate, starts = _sense(text)
        boxes.rearrange(starts)
        spans = list(_spans(text))
        starts = [start for start, end in spans if end - start > 1 and is_cjk(text[start])]
        boxes.load(place for word in _WORD.finditer(text) for place in (word.start(), word.end() - 1))
        upright = not boxes.lay_columns(starts[:PROBED], top)
        if upright and is_installed() and (tables := find_ruled(page, text, boxes, top)):
            lines = list(_with_tables(text, boxes, tables, top))
        else:
            lines = [line for start, end in spans for line in _lines(text, start, end, boxes)]
        if upright:
            return Reading(tuple(lines), fate, left_out, top - bottom)
        return Reading(tuple(_from_the_right(lines)), fate, left_out, right - left)
    finally:
        textpage.close()


def _from_the_right(lines: list[Line]) -> list[Line]:
    """Columns of a page laid on its side in their order; in that of the file when they are not all in one tier."""
    if max((line.left for line in lines), default=0.0) < min((line.right for line in lines), default=0.0):
        return sorted(lines, key=lambda line: -line.top)
    return lines


def _seen(text: str, boxes: Boxes, hidden: Set[int], tiny: Set[int], layer: bool) -> tuple[str, str]:
    """The text with blanks for what nobody sees, and the text nobody sees.

    When `layer` says that hidden text lies over what the picture shows, and next to no other text is there, it is the
    text of the picture.
    """
    objects = [boxes.object_at(place) for place in range(len(text))]
    unseen = [place for place, item in enumerate(objects) if item in hidden and not text[place].isspace()]
    if layer and len("".join(text.split())) - len(unseen) <= STAMP * len(unseen):
        hidden = tiny
    kept = "".join(" " if item in hidden else character for character, item in zip(text, objects, strict=True))
    return kept, clean_line("".join(text[n] if item in hidden else " " for n, item in enumerate(objects)))


def plain_lines(text: str, fate: str) -> Reading:
    """The lines of another engine's text, which has no geometry, through the same gate. `fate` is that of the page
    before, and stays when the other engine has no text either.
    """
    if not text.strip():
        return Reading(fate=fate)
    text, fate, _ = _sense(text)
    cleaned = (_clean(_CJK_SPACES.sub("", text[start:end])) for start, end in _spans(text))
    return Reading(tuple(Line((Cell(line),)) for line in cleaned if line), fate)


def _sense(text: str) -> tuple[str, str, Sequence[int]]:
    """The text as it makes sense, its fate, and where its characters were; "" where it makes none.

    The places are one more than the characters, and empty when they did not change.
    """
    verdict = judge(text)
    if not verdict.is_garbage:
        kept = _without_torn(text) if verdict.torn >= LEAST else text
        return kept, "" if kept == text else "patched", ()
    mended = repair(text)
    return (mended.text, "repaired", mended.starts) if mended else ("", "garbled", ())


def _without_torn(text: str) -> str:
    """Blanks for the lines that make no sense: one font of several on the page gives garbage."""
    for start, end in _spans(text):
        if judge(clean_line(text[start:end])).is_torn:
            text = text[:start] + " " * (end - start) + text[end:]
    return text


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """The visible part of each line."""
    for match in re.finditer(r"[^\r\n]+", text):
        line = match.group()
        start = match.start() + len(line) - len(line.lstrip())
        end = match.start() + len(line.rstrip())
        if start < end:
            yield start, end


@dataclass
class _Made:
    """A cell while it is put together: its words, the boxes of its first and last character, and where that is."""

    words: list[str]
    first: Box
    last: Box
    end: int


def _lines(text: str, start: int, end: int, boxes: Boxes) -> Iterator[Line]:
    """One line of the text; more where PDFium ran on although the next character stands far to the left."""
    size = boxes.size(start)
    if not size:
        cleaned = _clean(_CJK_SPACES.sub("", text[start:end]))
        yield from [Line((Cell(cleaned),))] if cleaned else []
        return
    row: list[_Made] = []
    # This runs for every word: it has to be quick.
    for word in _WORD.finditer(text, start, end):
        first, last = word.start(), word.end() - 1
        begin = boxes.box(first)
        known = row and any(begin) and any(row[-1].last)
        gap = (begin[0] - row[-1].last[2]) / size if known else 0.0
        if gap < -CELL_GAP:
            yield from _line(row, size)
            row = []
        done = boxes.box(last) if last > first else begin
        if not row or gap > CELL_GAP:
            row.append(_Made([word.group()], begin, done, last))
            continue
        cell = row[-1]
        chinese = is_cjk(text[first]) and is_cjk(text[cell.end])
        if chinese and gap < (CJK_GAP if boxes.is_made_up(cell.end + 1) else TIGHT):
            cell.words[-1] += word.group()
        else:
            cell.words.append(word.group())
        cell.last, cell.end = done, last
    yield from _line(row, size)


def _with_tables(text: str, boxes: Boxes, tables: Sequence[Ruled], top: float) -> Iterator[Line]:
    """The lines of a page with its ruled tables, each where its first character was."""
    waiting: list[tuple[int, Line]] = []
    for table in tables:
        texts = [reduce(join_lines, _cell_lines(text, places, boxes), "") for places in table.places]
        blocks = table.blocks(texts)
        if blocks:
            first = min(places[0] for places in table.places if places)
            left, upper, right, lower = table.box
            whole = Cell(" ".join(filter(None, texts)), left, right)
            line = Line((whole,), top - upper, top - lower, boxes.size(first), tuple(blocks))
            waiting.append((first, line))
            text = _blanked(text, [place for places in table.places for place in places])
    waiting.sort(key=lambda one: one[0])
    for start, end in _spans(text):
        while waiting and waiting[0][0] < start:
            yield waiting.pop(0)[1]
        yield from _lines(text, start, end, boxes)
    yield from (line for _, line in waiting)


def _cell_lines(text: str, places: Sequence[int], boxes: Boxes) -> Iterator[str]:
    """The lines of text in a cell, whose characters are at these places."""
    if not places:
        return
    own, first = set(places), min(places)
    inside = (text[at] if at in own or text[at] in "\r\n" else " " for at in range(first, max(places) + 1))
    alone = " " * first + "".join(inside)
    for start, end in _spans(alone):
        yield " ".join(line.text for line in _lines(alone, start, end, boxes))


def _blanked(text: str, places: Sequence[int]) -> str:
    """The text with blanks at these places."""
    left = list(text)
    for place in places:
        left[place] = " "
    return "".join(left)


def _line(row: Sequence[_Made], size: float) -> Iterator[Line]:
    """The line of these cells; none when nothing visible is left of it."""
    cells = [Cell(_clean(" ".join(made.words)), made.first[0], made.last[2]) for made in row]
    cells = [cell for cell in cells if cell.text]
    if cells:
        first, last = row[0].first, row[-1].last
        yield Line(tuple(cells), max(first[3], last[3]), min(first[1], last[1]), size)


def _clean(text: str) -> str:
    """Broken words joined, control characters gone. A hyphen between other than small letters is part of the word."""
    if HYPHEN in text:
        text = _HARD.sub("-", _SOFT.sub("", text))
    return clean_line(text)
