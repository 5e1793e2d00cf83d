"""Tables of a PDF page, by the gaps in its lines: rows whose cells stand under each other."""

from __future__ import annotations

from collections.abc import Sequence

from kb.ingest.blocks import table_rows
from kb.ingest.pdf_lines import Cell, Line

Column = tuple[float, float]
"""From where to where a column reaches, in points."""


def table_at(lines: Sequence[Line], start: int) -> tuple[int, str]:
    """How many lines from `start` on are one table, and the table in Markdown; (0, "") when there is none.

    A table is two rows or more of two cells or more, each cell under or above exactly one cell of the widest row. Rows
    may lack cells. A line of text between rows ends the table.
    """
    end = start
    while end < len(lines) and lines[end].is_row:
        end += 1
    while end - start > 1:
        columns = _columns(lines[start:end])
        fitting = next((n for n in range(start, end) if _places(lines[n].cells, columns) is None), end)
        if fitting == end:
            rows = [_row(line, columns) for line in lines[start:end]]
            return end - start, table_rows(rows)
        end = fitting if fitting > start else _without_widest(lines, start, end)
    return 0, ""


def _without_widest(lines: Sequence[Line], start: int, end: int) -> int:
    """A shorter end: before the first row that has as many cells as the widest one."""
    most = max(len(line.cells) for line in lines[start:end])
    return next(n for n in range(start, end) if len(lines[n].cells) == most)


def _columns(lines: Sequence[Line]) -> list[Column]:
    """The columns of the rows with the most cells, each as wide as its widest cell."""
    most = max(len(line.cells) for line in lines)
    widest = [line.cells for line in lines if len(line.cells) == most]
    return [(min(row[n].left for row in widest), max(row[n].right for row in widest)) for n in range(most)]


def _places(cells: Sequence[Cell], columns: Sequence[Column]) -> list[int] | None:
    """The column of each cell; None when one touches no column or several, or two share one."""
    places: list[int] = []
    for cell in cells:
        touched = [n for n, (left, right) in enumerate(columns) if min(right, cell.right) > max(left, cell.left)]
        if len(touched) != 1 or touched[0] in places:
            return None
        places.append(touched[0])
    return places


def _row(line: Line, columns: Sequence[Column]) -> list[str]:
    """A row with a text for every column."""
    row = [""] * len(columns)
    for place, cell in zip(_places(line.cells, columns) or [], line.cells, strict=True):
        row[place] = cell.text
    return row
