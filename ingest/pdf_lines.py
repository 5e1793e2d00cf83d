"""The lines of a PDF page: their text by PDFium, and where they stand, how large they are, where their gaps are.

The text is `get_text_bounded`: what is visible on the page. The geometry comes from single characters of the page's
character list, matched to that text; a line that cannot be matched has no geometry (`size` 0) and is still read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from kb.ingest.blocks import CJK, clean_line, is_cjk

CELL_GAP = 1.15
"""A gap wider than this many ems may stand between two cells of a table row."""
ROW_GAP = 1.8
"""A line with a gap wider than this many ems is a row of cells; below, it may be justified text."""
CJK_GAP = 0.4
"""A gap between two CJK characters narrower than this many ems, where the file has no space, is justified text."""
TIGHT = 0.12
"""A space between two CJK characters that takes less than this many ems is none, though the file has it."""

_NEAR = 400
"""Characters that the two texts of a page may be apart and still be matched."""
_HYPHEN = "\x02"
"""How PDFium writes a hyphen at the end of a line, which it joins with the next one."""
_SOFT = re.compile(f"(?<=[^\\W\\d_]){_HYPHEN}(?=[a-zß-öø-ÿа-я])")
_HARD = re.compile(rf"(?<=\w){_HYPHEN}(?=\w)")
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

    @property
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
        gaps = (after.left - before.right for before, after in pairwise(self.cells))
        return max(gaps, default=0.0) > ROW_GAP * self.size


def read_lines(page: Any) -> list[Line]:
    """The lines of a pypdfium2 page in the order of its content; empty for a page without text."""
    textpage = page.get_textpage()
    try:
        text: str = textpage.get_text_bounded()
        if not text.strip():
            return []
        boxes = _Boxes(textpage, text)
        return [line for start, end in _spans(text) for line in _lines(text, start, end, boxes)]
    finally:
        textpage.close()


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """The visible part of each line."""
    for match in re.finditer(r"[^\r\n]+", text):
        start, end = match.span()
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        if start < end:
            yield start, end


def _lines(text: str, start: int, end: int, boxes: _Boxes) -> Iterator[Line]:
    """One line of the text; more where PDFium ran on although the next character stands far to the left."""
    size = boxes.size(start)
    if not size:
        cleaned = _clean(_CJK_SPACES.sub("", text[start:end]))
        yield from [Line((Cell(cleaned),))] if cleaned else []
        return
    row: list[tuple[str, int, int]] = []
    for word in _WORD.finditer(text, start, end):
        first, last = word.start(), word.end() - 1
        gap = boxes.gap(row[-1][2], first) / size if row else 0.0
        if gap < -CELL_GAP:
            yield from _line(row, size, boxes)
            row = []
        if not row or gap > CELL_GAP:
            row.append((word.group(), first, last))
            continue
        written, begin, before = row[-1]
        narrow = gap < (CJK_GAP if boxes.is_made_up(before + 1) else TIGHT)
        glued = narrow and is_cjk(text[before]) and is_cjk(text[first])
        row[-1] = (f"{written}{'' if glued else ' '}{word.group()}", begin, last)
    yield from _line(row, size, boxes)


def _line(row: list[tuple[str, int, int]], size: float, boxes: _Boxes) -> Iterator[Line]:
    """The line of these cells (text, first and last character); none when nothing visible is left of it."""
    cells = [Cell(_clean(text), boxes.box(first)[0], boxes.box(last)[2]) for text, first, last in row]
    cells = [cell for cell in cells if cell.text]
    if cells:
        first, last = boxes.box(row[0][1]), boxes.box(row[-1][2])
        yield Line(tuple(cells), max(first[3], last[3]), min(first[1], last[1]), size)


def _clean(text: str) -> str:
    """Broken words joined, control characters gone. A hyphen between other than small letters is part of the word."""
    text = _SOFT.sub("", text)
    return clean_line(_HARD.sub("-", text))


class _Boxes:
    """Geometry of single characters of a page, by their place in the bounded text."""

    def __init__(self, textpage: Any, text: str) -> None:
        import pypdfium2.raw as raw

        self._raw, self._page = raw, textpage
        self._rect, self._matrix = raw.FS_RECTF(), raw.FS_MATRIX()
        whole = textpage.get_text_range()
        same = len(whole) == len(text) and whole.replace("\ufffe", _HYPHEN) == text
        self._places = range(len(text)) if same else _match(text, whole)

    def _char(self, place: int) -> int:
        where = self._places[place]
        return -1 if where < 0 else int(self._raw.FPDFText_GetCharIndexFromTextIndex(self._page, where))

    def box(self, place: int) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of the font's box of a character; zeros when it is not known."""
        char = self._char(place)
        if char < 0 or not self._raw.FPDFText_GetLooseCharBox(self._page, char, self._rect):
            return 0.0, 0.0, 0.0, 0.0
        return self._rect.left, self._rect.bottom, self._rect.right, self._rect.top

    def is_made_up(self, place: int) -> bool:
        """Whether a space is not in the file but PDFium's reading of a gap; also when nothing is known of it."""
        char = self._char(place)
        return char < 0 or self._raw.FPDFText_IsGenerated(self._page, char) != 0

    def gap(self, before: int, after: int) -> float:
        """Points from the end of one character to the beginning of another; negative when that one is further left."""
        one, other = self.box(before), self.box(after)
        return other[0] - one[2] if any(one) and any(other) else 0.0

    def size(self, place: int) -> float:
        """Font size of a character in points, 0 when it is not known."""
        char = self._char(place)
        if char < 0 or not self._raw.FPDFText_GetMatrix(self._page, char, self._matrix):
            return 0.0
        scale = math.hypot(self._matrix.c, self._matrix.d)
        return float(self._raw.FPDFText_GetFontSize(self._page, char) * scale)


def _match(text: str, whole: str) -> list[int]:
    """For each character of `text` its place in `whole`, -1 where there is none: both have the same visible characters
    in the same order, but for characters outside the page and line breaks at other places.
    """
    whole = whole.replace("\ufffe", _HYPHEN)
    places = []
    at = 0
    for character in text:
        found = -1 if character in " \r\n" else whole.find(character, at, at + _NEAR)
        places.append(found)
        at = found + 1 if found >= 0 else at
    return places
