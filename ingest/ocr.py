"""Scanned pages: rapidocr reads a picture of the page, and its lines get the places that text would have.

An extra, `pip install 'kb[ocr]'`: the models (PP-OCR, Chinese and English) are in the package, nothing is fetched.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from typing import Any

from kb.ingest.blocks import clean_line
from kb.ingest.pdf_lines import Cell, Line

SCALE = 2.5
"""Pixels per point: 180 to the inch."""
SURE = 0.5
"""Of 1: what the model is less sure of is no text."""
EM = 0.8
"""Share of a line's box that its letters fill."""
GUTTER = 0.25
"""Share of the page's width that lines on both sides of a gutter fill: in columns, not in a table's cells."""


def is_installed() -> bool:
    """Whether scanned pages can be read here."""
    return all(importlib.util.find_spec(name) for name in ("rapidocr", "onnxruntime"))


class Ocr:
    """The models, loaded."""

    def __init__(self) -> None:
        from rapidocr import RapidOCR

        self._engine = RapidOCR(params={"Global.log_level": "error"})

    def lines(self, page: Any) -> tuple[Line, ...]:
        """The lines on the picture of a pypdfium2 page, in reading order; empty when there is no text."""
        found: Any = self._engine(page.render(scale=SCALE).to_numpy())
        if found.boxes is None:
            return ()
        boxes = zip(found.boxes.tolist(), found.txts, found.scores, strict=True)
        pieces = [_piece(box, text, page.get_height()) for box, text, score in boxes if score >= SURE]
        return tuple(arrange([piece for piece in pieces if piece.text], page.get_width()))


def _piece(box: Sequence[Sequence[float]], text: str, height: float) -> Line:
    """A stretch of text at its place; a box is four corners in pixels from the upper left."""
    across, down = ([corner[axis] / SCALE for corner in box] for axis in (0, 1))
    top, bottom = height - min(down), height - max(down)
    return Line((Cell(clean_line(text), min(across), max(across)),), top, bottom, (top - bottom) * EM)


def arrange(pieces: Sequence[Line], width: float) -> list[Line]:
    """Stretches of text as lines in reading order: column by column, those beside each other as one line of cells."""
    gutter = _gutter(pieces, width)
    if gutter is None:
        return _rows(pieces)
    left = [piece for piece in pieces if piece.right <= gutter]
    right = [piece for piece in pieces if piece.left >= gutter]
    return _rows(left) + _rows(right)


def _gutter(pieces: Sequence[Line], width: float) -> float | None:
    """Where a page of two columns is parted; None for a page of one."""
    for place in sorted((piece.left for piece in pieces), key=lambda left: abs(left - width / 2)):
        left = [piece for piece in pieces if piece.right <= place]
        right = [piece for piece in pieces if piece.left >= place]
        wide = all(len(side) > 4 and _median_width(side) > GUTTER * width for side in (left, right))
        if wide and len(left) + len(right) == len(pieces):
            return place
    return None


def _median_width(pieces: Sequence[Line]) -> float:
    return sorted(piece.right - piece.left for piece in pieces)[len(pieces) // 2]


def _rows(pieces: Iterable[Line]) -> list[Line]:
    """Lines from the top down; a piece whose middle lies beside another one is a further cell of its line."""
    rows: list[list[Line]] = []
    for piece in sorted(pieces, key=lambda piece: -piece.top):
        middle = (piece.top + piece.bottom) / 2
        if rows and rows[-1][0].bottom < middle < rows[-1][0].top:
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [_joined(sorted(row, key=lambda piece: piece.left)) for row in rows]


def _joined(row: Sequence[Line]) -> Line:
    cells = tuple(cell for piece in row for cell in piece.cells)
    top, bottom = max(piece.top for piece in row), min(piece.bottom for piece in row)
    return Line(cells, top, bottom, row[0].size)
