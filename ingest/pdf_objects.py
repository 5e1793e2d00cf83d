"""What stands on a PDF page besides its characters: which text nobody sees, and which way most of it runs."""

from __future__ import annotations

import ctypes
import math
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

TINY = 1.5
"""Points of a font below which nobody reads it."""
LIGHT = 230
"""Of 255: text none of whose colours is darker may be white on white; the page's picture says whether it is."""
FAINT = 26
"""Of 255: text with less opacity is not seen."""
SEEN = 24
"""Of 255 shades of grey: colours that differ by less cannot be told apart."""
SAME_COLOUR = 0.75
"""Share of what lies behind a text that has its colour, from which on it is not seen; a ruled line may be there."""
INK = 64
"""Of 255 shades: a place where the picture varies by more shows something, in a scan too."""
AROUND = 3.0
"""Points by which a box is widened for that: a font that is not here has boxes without height."""
DEEPEST = 8
"""Forms inside of forms that are looked into."""

_TEXT, _PATH, _FORM = 1, 2, 5
"""Kinds of page objects, by PDFium's numbers."""
_INVISIBLE, _STROKED = 3, (1, 5)
"""Ways to render text, by PDF's numbers."""
_CLEAR = -1.0
Matrix = tuple[float, float, float, float, float, float]
Text = tuple[Any, float, float, float, float, Matrix]
"""Handle, the part of its matrix in the page that turns and scales, and the matrix of its form in the page."""
Box = tuple[float, float, float, float]
"""Left, bottom, right, top in points."""
UNMOVED: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


class Item(NamedTuple):
    """An object of a page."""

    handle: Any
    form: Matrix
    """Of the form it stands in, in the page."""


class Survey:
    """The text objects of a page."""

    def __init__(self, page: Any) -> None:
        import pypdfium2.raw as raw

        self._raw, self._page = raw, page
        self._invisible: list[Item] = []
        self._tiny: list[Item] = []
        self._pale: list[tuple[Item, float]] = []
        self._size = ctypes.c_float()
        self._red, self._green, self._blue, self._alpha = (ctypes.c_uint() for _ in range(4))
        level, turns = 0, Counter[int]()
        for handle, a, b, c, d, form in _texts(raw, page):
            if b == 0.0 < a:
                level += 1
            else:
                turns[_turn(a, b)] += 1
            self._sort(handle, abs(c) + abs(d), form)
        turns[0] += level
        self.texts = turns.total()
        """How many there are."""
        self.turn = turns.most_common(1)[0][0]
        """Quarters of a circle, counter-clockwise, by which most text is turned in the file's own coordinates."""

    def _sort(self, handle: Any, scale: float, form: Matrix) -> None:
        """Put a text where it may belong, if nobody may see it. This runs for every object: it has to be quick."""
        raw = self._raw
        mode = raw.FPDFTextObj_GetTextRenderMode(handle)
        raw.FPDFTextObj_GetFontSize(handle, self._size)
        if mode == _INVISIBLE:
            self._invisible.append(Item(handle, form))
        elif self._size.value * scale < TINY and self._is_small(Item(handle, form)):
            self._tiny.append(Item(handle, form))
        elif mode not in _STROKED and (grey := self._paleness(handle)) is not None:
            self._pale.append((Item(handle, form), grey))

    def _paleness(self, handle: Any) -> float | None:
        """Its shade of grey when that may not be seen on paper, _CLEAR when it lets everything through; else None."""
        red, green, blue, alpha = self._red, self._green, self._blue, self._alpha
        if not self._raw.FPDFPageObj_GetFillColor(handle, red, green, blue, alpha):
            return None
        if alpha.value < FAINT:
            return _CLEAR
        if red.value < LIGHT or green.value < LIGHT or blue.value < LIGHT:
            return None
        return 0.299 * red.value + 0.587 * green.value + 0.114 * blue.value

    def _is_small(self, item: Item) -> bool:
        """Whether its box is small too: bitmap fonts may be called of size 1 and be as large as others."""
        left, bottom, right, top = bounds(*item)
        return min(right - left, top - bottom) < 2 * TINY

    @cached_property
    def hidden(self) -> frozenset[int]:
        """Addresses of the objects nobody sees."""
        if not (self._invisible or self._tiny or self._pale):
            return frozenset()
        return frozenset(address(item.handle) for item in (*self._invisible, *self._tiny, *self._unseen))

    @cached_property
    def tiny(self) -> frozenset[int]:
        """Addresses of those that are in the picture, but too small to read."""
        return frozenset(address(item.handle) for item in self._tiny)

    @cached_property
    def _unseen(self) -> list[Item]:
        """Pale items of the colour of what lies behind them.

        Their own glyphs are not looked for: PDFium cannot draw a Chinese font that is neither in the file nor here.
        """
        if not self._pale:
            return []
        for item, _ in self._pale:
            self._raw.FPDFPageObj_SetIsActive(item.handle, False)
        behind = _Picture(self._page)
        for item, _ in self._pale:
            self._raw.FPDFPageObj_SetIsActive(item.handle, True)
        return [item for item, grey in self._pale if grey == _CLEAR or behind.share(bounds(*item), grey) >= SAME_COLOUR]

    @cached_property
    def _picture(self) -> _Picture:
        return _Picture(self._page)

    def is_layer(self) -> bool:
        """Whether most of the hidden text lies over something that the picture shows, as the text of a scan does."""
        items = [*self._invisible, *self._unseen]
        shown = sum(self._picture.contrast(bounds(*item)) > INK for item in items)
        return 2 * shown > len(items)


def set_upright(page: Any, turn: int) -> Box:
    """Turn a page in memory so that text turned by so many quarters is level; the box of the page as it then stands.

    PDFium puts lines together, and leaves some out, by the way the page is shown; upright it is right about both.
    """
    import pypdfium2.raw as raw

    left, bottom, right, top = page.get_bbox()
    page.set_rotation(0)
    if not turn:
        return left, bottom, right, top
    matrix = {
        1: (0.0, -1.0, 1.0, 0.0, -bottom, right),
        2: (-1.0, 0.0, 0.0, -1.0, right, top),
        3: (0.0, 1.0, -1.0, 0.0, top, -left),
    }[turn]
    for index in range(raw.FPDFPage_CountObjects(page)):
        raw.FPDFPageObj_Transform(raw.FPDFPage_GetObject(page, index), *matrix)
    return (0.0, 0.0, right - left, top - bottom) if turn == 2 else (0.0, 0.0, top - bottom, right - left)


class _Picture:
    """A page as it is shown, a pixel a point, in shades of grey."""

    def __init__(self, page: Any) -> None:
        left, bottom, right, top = page.get_bbox()
        self._left, self._top = left, top
        self._scale = min(1.0, 2000 / max(right - left, top - bottom, 1))
        bitmap = page.render(scale=self._scale, grayscale=True, rotation=-page.get_rotation() % 360)
        self._pixels = bitmap.to_numpy().astype(int).reshape(bitmap.height, bitmap.width)
        bitmap.close()

    def _part(self, box: Box) -> Any:
        """The pixels of a box."""
        left, right = (int(self._scale * (x - self._left)) for x in (box[0], box[2]))
        top, bottom = (int(self._scale * (self._top - y)) for y in (box[3], box[1]))
        return self._pixels[max(top, 0) : max(bottom + 1, 0), max(left, 0) : max(right + 1, 0)]

    def contrast(self, box: Box) -> int:
        """Between the lightest and the darkest pixel in and around a box, 0 outside of the page."""
        left, bottom, right, top = box
        part = self._part((left - AROUND, bottom - AROUND, right + AROUND, top + AROUND))
        return int(part.max() - part.min()) if part.size else 0

    def share(self, box: Box, grey: float) -> float:
        """Of the pixels of a box those that cannot be told from a shade of grey; 1 outside of the page."""
        part = self._part(box)
        return float((abs(part - grey) < SEEN).mean()) if part.size else 1.0


def address(handle: Any) -> int:
    """The address behind a handle of PDFium, 0 for none."""
    return ctypes.cast(handle, ctypes.c_void_p).value or 0


def bounds(handle: Any, form: Matrix) -> Box:
    """Where an object of a form stands on the page."""
    import pypdfium2.raw as raw

    corners = [ctypes.c_float() for _ in range(4)]
    raw.FPDFPageObj_GetBounds(handle, *corners)
    left, bottom, right, top = (corner.value for corner in corners)
    if form is UNMOVED:
        return left, bottom, right, top
    points = [moved((x, y), form) for x in (left, right) for y in (bottom, top)]
    across, up = zip(*points, strict=True)
    return min(across), min(up), max(across), max(up)


def paths(page: Any) -> Iterator[Item]:
    """Every path of a page."""
    import pypdfium2.raw as raw

    holder = (page.raw, raw.FPDFPage_CountObjects, raw.FPDFPage_GetObject)
    return (Item(text[0], text[-1]) for text in _inside(raw, *holder, UNMOVED, kind=_PATH))


def to_page(item: Item) -> Matrix:
    """From an object's own coordinates to those of the page."""
    import pypdfium2.raw as raw

    own = raw.FS_MATRIX()
    raw.FPDFPageObj_GetMatrix(item.handle, own)
    return _times(own, item.form)


def moved(point: tuple[float, float], matrix: Matrix) -> tuple[float, float]:
    """A point through a matrix."""
    a, b, c, d, e, f = matrix
    return a * point[0] + c * point[1] + e, b * point[0] + d * point[1] + f


def _texts(raw: Any, page: Any) -> Iterator[Text]:
    """Every text object of a page."""
    yield from _inside(raw, page.raw, raw.FPDFPage_CountObjects, raw.FPDFPage_GetObject, UNMOVED)


def _inside(
    raw: Any, holder: Any, count: Any, get: Any, form: Matrix, depth: int = 0, kind: int = _TEXT
) -> Iterator[Text]:
    """The objects of a kind of a page or form, those of forms inside of it too."""
    own = raw.FS_MATRIX()
    kind_of, matrix_of = raw.FPDFPageObj_GetType, raw.FPDFPageObj_GetMatrix
    for index in range(count(holder)):
        handle = get(holder, index)
        this = kind_of(handle)
        if this == kind:
            matrix_of(handle, own)
            yield handle, *(_times(own, form)[:4] if depth else (own.a, own.b, own.c, own.d)), form
        elif this == _FORM and depth < DEEPEST:
            matrix_of(handle, own)
            inner = _times(own, form)
            yield from _inside(
                raw, handle, raw.FPDFFormObj_CountObjects, raw.FPDFFormObj_GetObject, inner, depth + 1, kind
            )


def _times(one: Any, two: Matrix) -> Matrix:
    """First the one, as PDFium has it, then the other."""
    a, b, c, d, e, f = one.a, one.b, one.c, one.d, one.e, one.f
    p, q, r, s, t, u = two
    return a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u


def _turn(a: float, b: float) -> int:
    """By how many quarters of a circle, counter-clockwise, a matrix turns; the nearest number of 0 to 3."""
    return round(math.atan2(b, a) / (math.pi / 2)) % 4
