"""Where the characters of a PDF page stand, by PDFium."""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import repeat
from typing import Any

from kb.ingest.pdf_objects import Box, address

HYPHEN = "\x02"
"""How PDFium writes a hyphen at the end of a line, which it joins with the next one."""
UPRIGHT = 0.2
"""Slope up to which a line of text is treated as level; boxes of steeper ones say nothing about gaps."""
_NEAR = 400
"""Characters that the two texts of a page may be apart and still be matched."""


class Boxes:
    """Geometry of single characters of a page, by their place in the bounded text."""

    def __init__(self, textpage: Any, text: str) -> None:
        import pypdfium2.raw as raw

        # The handle itself: of the object around it, every call would have to ask for it.
        self._raw, self._page = raw, textpage.raw
        self._rect, self._matrix, self._loose_box = raw.FS_RECTF(), raw.FS_MATRIX(), raw.FPDFText_GetLooseCharBox
        self._loaded: dict[int, Box] = {}
        whole = textpage.get_text_range()
        same = len(whole) == len(text) and whole.replace("\ufffe", HYPHEN) == text
        self._places: Sequence[int] = range(len(text)) if same else _match(text, whole)
        self._ends = self._places
        self._down = 0.0
        # With a text character for each of the page's, the two are numbered alike: no need to ask for every one.
        self._alike = raw.FPDFText_CountChars(textpage) == len(whole)

    def rearrange(self, starts: Sequence[int]) -> None:
        """Let each character stand where several did: character n from `starts[n]` to before `starts[n + 1]`."""
        if starts:
            self._ends = [self._places[end - 1] for end in starts[1:]]
            self._places = [self._places[start] for start in starts[:-1]]

    def load(self, places: Iterable[int]) -> None:
        """Ask for the boxes of many characters at once, which takes less time than a call for each."""
        wheres = {self._places[place] for place in places}
        found = (self._raw.FS_RECTF * len(wheres))()
        ask, start, size = _loose_box(), ctypes.addressof(found), ctypes.sizeof(self._rect)
        chars = wheres if self._alike else map(self._char, wheres)
        # For a character that has no box, zeros stay.
        list(map(ask, repeat(address(self._page)), chars, range(start, start + size * len(wheres), size)))
        for where, (left, top, right, bottom) in zip(wheres, struct.iter_unpack("4f", found), strict=True):
            self._loaded[where] = (left, bottom, right, top)

    def _char(self, where: int) -> int:
        if where < 0 or self._alike:
            return where
        return int(self._raw.FPDFText_GetCharIndexFromTextIndex(self._page, where))

    def box(self, place: int) -> Box:
        """Left, bottom, right and top of the font's box of a character; zeros when it is not known."""
        # This runs for every word: it has to be quick.
        where = self._places[place]
        left, bottom, right, top = self._loaded.get(where) or self._box(where)
        if self._ends is not self._places:
            right = self._box(self._ends[place])[2]
        if self._down and right:
            return self._down - top, left, self._down - bottom, right
        return left, bottom, right, top

    def lay_columns(self, starts: Sequence[int], top: float) -> bool:
        """Whether most of the lines that begin at these places are written downwards, as Chinese and Japanese can be.

        If so, boxes are from now on those of the page laid on its side, where such lines are level and the first one is
        the highest. `top` is that of the page.
        """
        down = [self._goes_down(place) for place in starts]
        if 2 * sum(down) > len(down):
            self._down = top
        return bool(self._down)

    def _goes_down(self, place: int) -> bool:
        """Whether the next character stands under this one."""
        one, two = self.box(place), self.box(place + 1)
        wide = one[2] - one[0]
        return abs(one[0] - two[0]) < 0.3 * wide and two[3] <= one[1] + 0.3 * wide and any(two)

    def _box(self, where: int) -> Box:
        char, rect = where if self._alike else self._char(where), self._rect
        if char < 0 or not self._loose_box(self._page, char, rect):
            return 0.0, 0.0, 0.0, 0.0
        return rect.left, rect.bottom, rect.right, rect.top

    def object_at(self, place: int) -> int:
        """The address of the text object that a character is of, 0 when it is of none or not known."""
        char = self._char(self._places[place])
        return address(self._raw.FPDFText_GetTextObject(self._page, char)) if char >= 0 else 0

    def is_made_up(self, place: int) -> bool:
        """Whether a space is not in the file but PDFium's reading of a gap; also when nothing is known of it."""
        char = self._char(self._places[place])
        return char < 0 or self._raw.FPDFText_IsGenerated(self._page, char) != 0

    def size(self, place: int) -> float:
        """Font size of a character in points, 0 when it is not known or the character does not stand upright."""
        char = self._char(self._places[place])
        if char < 0 or not self._raw.FPDFText_GetMatrix(self._page, char, self._matrix):
            return 0.0
        if abs(self._matrix.b) > UPRIGHT * self._matrix.a:
            return 0.0
        scale = math.hypot(self._matrix.c, self._matrix.d)
        return float(self._raw.FPDFText_GetFontSize(self._page, char) * scale)


@cache
def _loose_box() -> Any:
    """FPDFText_GetLooseCharBox with addresses of the page and of where to write: half its time is checking types."""
    import pypdfium2.raw as raw

    prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    return prototype(address(raw.FPDFText_GetLooseCharBox))


def _match(text: str, whole: str) -> list[int]:
    """For each character of `text` its place in `whole`, -1 where there is none: both have the same visible characters
    in the same order, but for characters outside the page and line breaks at other places.
    """
    whole = whole.replace("\ufffe", HYPHEN)
    places = []
    at = 0
    for character in text:
        found = -1 if character in " \r\n" else whole.find(character, at, at + _NEAR)
        places.append(found)
        at = found + 1 if found >= 0 else at
    return places
