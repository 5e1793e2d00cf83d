"""Tables of a PDF page whose cells are ruled: their grid by pdfplumber's table finder, their text by PDFium.

An extra, `pip install 'kb[tables]'`. pdfplumber's own reading of pages (6 pages a second) is not used: the lines it is
given are the paths that PDFium has parsed already, in the coordinates of the text.
"""

from __future__ import annotations

import ctypes
import importlib.util
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

from kb.ingest.blocks import Block
from kb.ingest.grid import grid_blocks, read_rows
from kb.ingest.pdf_boxes import Boxes
from kb.ingest.pdf_objects import Item, bounds, moved, paths, to_page

MOST_SEGMENTS = 20_000
"""On a page with more, the paths are a drawing."""
STRAIGHT = 1.0
"""Points by which a ruled line may be askew."""
THIN = 3.0
"""Points up to which a path is a line: strokes have a width, and programs draw lines as narrow rectangles."""
SHORTEST = 3.0
"""Points from which on a line rules something."""
TOLERANCE = 3.0
"""Points within which lines are one, and meet; as pdfplumber has it."""
FILLED = 0.3
"""Share of a table's cells that have text; frames of a drawing have less."""
LONGEST = 1500
"""Characters of a cell from which on the lines are not those of a table but of the page's columns."""

Box = tuple[float, float, float, float]
"""Left, top, right and bottom; points, downwards from the page's upper end."""


@cache
def is_installed() -> bool:
    """Whether ruled tables can be read here."""
    return importlib.util.find_spec("pdfplumber") is not None


@dataclass
class Ruled:
    """A ruled table while its characters are collected."""

    cells: Sequence[Box]
    places: list[list[int]] = field(init=False)
    """For each cell, the places of its characters in the page's text."""

    def __post_init__(self) -> None:
        self.places = [[] for _ in self.cells]

    @cached_property
    def box(self) -> Box:
        """All of it."""
        left, top, right, bottom = zip(*self.cells, strict=True)
        return min(left), min(top), max(right), max(bottom)

    def blocks(self, texts: Sequence[str]) -> list[Block]:
        """The table with these texts in its cells; nothing when it is none. A merged cell's text stands in every row
        and column that it spans.
        """
        filled = sum(map(bool, texts))
        if filled < FILLED * len(texts) or max(map(len, texts)) > LONGEST:
            return []
        grid = [["" if number is None else texts[number] for number in row] for row in self._grid]
        kept = read_rows([_once(row) for row in grid], [])
        # One row or one column with text: boxes that lay out a page, or the axes of a diagram.
        return grid_blocks(kept, merged=True) if len(kept) > 1 and len(kept[0]) > 1 else []

    @cached_property
    def _columns(self) -> list[float]:
        """Where the columns begin, and the last one's end."""
        return sorted({cell[0] for cell in self.cells} | {cell[2] for cell in self.cells})

    @cached_property
    def _rows(self) -> list[float]:
        """Where the rows begin, and the last one's end."""
        return sorted({cell[1] for cell in self.cells} | {cell[3] for cell in self.cells})

    @cached_property
    def _grid(self) -> list[list[int | None]]:
        """The number of the cell at each row and column; a merged one is at several."""
        columns, rows = self._columns, self._rows
        grid: list[list[int | None]] = [[None] * (len(columns) - 1) for _ in rows[1:]]
        for number, (left, top, right, bottom) in enumerate(self.cells):
            for row in range(bisect_left(rows, top), bisect_left(rows, bottom)):
                for column in range(bisect_left(columns, left), bisect_left(columns, right)):
                    if grid[row][column] is None:
                        grid[row][column] = number
        return grid

    def cell_at(self, x: float, y: float) -> int | None:
        """The number of the cell at a point inside of the table."""
        return self._grid[bisect_right(self._rows, y) - 1][bisect_right(self._columns, x) - 1]


def find_ruled(page: Any, text: str, boxes: Boxes, top: float) -> list[Ruled]:
    """The ruled tables of a page, whose upper end is at `top`, each with the characters that stand in its cells."""
    tables = [Ruled(cells) for cells in _grids(_edges(page, top))]
    visible = [place for place, character in enumerate(text) if not character.isspace()] if tables else []
    boxes.load(visible)
    for place in visible:
        x0, y0, x1, y1 = boxes.box(place)
        x, y = (x0 + x1) / 2, top - (y0 + y1) / 2
        table = next((table for table in tables if _holds(table.box, x, y)), None)
        number = table.cell_at(x, y) if table else None
        if table and number is not None:
            table.places[number].append(place)
    return [table for table in tables if any(table.places)]


def _edges(page: Any, top: float) -> list[dict[str, Any]]:
    """The level and upright lines of a page as pdfplumber takes them; none when there are too many."""
    edges: list[dict[str, Any]] = []
    for path in paths(page):
        left, bottom, right, upper = bounds(*path)
        wide, high = right - left, upper - bottom
        if max(wide, high) < SHORTEST or not _is_drawn(path.handle):
            continue
        if high <= THIN:
            middle = top - (bottom + upper) / 2
            edges.append(_edge("h", left, middle, right, middle))
        elif wide <= THIN:
            middle = (left + right) / 2
            edges.append(_edge("v", middle, top - upper, middle, top - bottom))
        else:
            edges += _straight(path, top)
        if len(edges) > MOST_SEGMENTS:
            return []
    return edges


def _straight(path: Item, top: float) -> Iterator[dict[str, Any]]:
    """The level and upright segments of a path."""
    for (x0, y0), (x1, y1) in _segments(path):
        wide, high = abs(x1 - x0), abs(y1 - y0)
        left, upper = min(x0, x1), top - max(y0, y1)
        if high <= STRAIGHT and wide >= SHORTEST:
            yield _edge("h", left, upper, left + wide, upper)
        elif wide <= STRAIGHT and high >= SHORTEST:
            yield _edge("v", left, upper, left, upper + high)


def _edge(orientation: str, x0: float, top: float, x1: float, bottom: float) -> dict[str, Any]:
    """A line as pdfplumber has it."""
    size = {"width": x1 - x0, "height": bottom - top}
    return {"orientation": orientation, "x0": x0, "x1": x1, "top": top, "bottom": bottom, **size}


def _is_drawn(path: Any) -> bool:
    """Whether a path is filled or stroked: one that only clips what comes after is not seen."""
    import pypdfium2.raw as raw

    fill, stroke = ctypes.c_int(), ctypes.c_int()
    return bool(raw.FPDFPath_GetDrawMode(path, fill, stroke) and (fill.value or stroke.value))


def _segments(item: Item) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """The straight segments of a path, in the page."""
    import pypdfium2.raw as raw

    path, matrix = item.handle, to_page(item)
    count = raw.FPDFPath_CountSegments(path)
    if count > MOST_SEGMENTS:
        return
    x, y = ctypes.c_float(), ctypes.c_float()
    begin = last = (0.0, 0.0)
    for index in range(count):
        segment = raw.FPDFPath_GetPathSegment(path, index)
        raw.FPDFPathSegment_GetPoint(segment, x, y)
        point = moved((x.value, y.value), matrix)
        kind = raw.FPDFPathSegment_GetType(segment)
        if kind == raw.FPDF_SEGMENT_MOVETO:
            begin = point
        elif kind == raw.FPDF_SEGMENT_LINETO:
            yield last, point
        last = point
        if raw.FPDFPathSegment_GetClose(segment):
            yield last, begin
            last = begin


def _grids(edges: list[dict[str, Any]]) -> list[list[Box]]:
    """The cells of each table that these lines rule."""
    if sum(edge["orientation"] == "h" for edge in edges) < 2 or sum(edge["orientation"] == "v" for edge in edges) < 2:
        return []
    from pdfplumber.table import cells_to_tables, edges_to_intersections, intersections_to_cells, merge_edges

    merged = merge_edges(edges, TOLERANCE, TOLERANCE, TOLERANCE, TOLERANCE)
    tables = cells_to_tables(intersections_to_cells(edges_to_intersections(merged, TOLERANCE, TOLERANCE)))
    return [cells for cells in tables if len(cells) > 1]


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] <= x < box[2] and box[1] <= y < box[3]


def _once(row: list[str]) -> list[str]:
    """A row that is one cell, as a title is, has its text once."""
    return [row[0], *[""] * (len(row) - 1)] if len(set(row)) == 1 else row
