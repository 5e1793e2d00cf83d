"""Excel files: openpyxl streams the cells, each sheet is a section with its table.

openpyxl and not python-calamine, which is many times as fast: only openpyxl tells a cell's number format, without
which 15% is 0.15. What it does not tell while it streams, merged cells and formulas without a value, is looked up in
the sheet's own XML.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb.ingest.blocks import Block, Parsed, assemble, choose_title, clean_line
from kb.ingest.cell_format import show
from kb.ingest.grid import MOST_COLUMNS, grid_blocks, read_rows

_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_UNNAMED = re.compile(r"(?i)(sheet|工作表|table)\s*\d*$")


@dataclass(frozen=True)
class _Merge:
    """A range of merged cells, rows and columns from 1, both ends in it."""

    left: int
    top: int
    right: int
    bottom: int


def parse_xlsx(path: Path, data: bytes, encoding: str = "") -> Parsed:
    """Read an .xlsx file; `encoding` means nothing here. What openpyxl raises on a damaged one comes through."""
    import openpyxl

    with warnings.catch_warnings():
        # About styles and extensions that have no text.
        warnings.simplefilter("ignore")
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        shown = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        notes = [
            f"the hidden sheet “{sheet.title}” was not read; show it to have it read"
            for sheet in book.worksheets
            if sheet not in shown
        ]
        blocks = [block for sheet in shown for block in _sheet(sheet, len(shown) == 1, notes)]
        return assemble(choose_title(path, [book.properties.title or ""]), "xlsx", blocks, notes)


def _sheet(sheet: Any, only: bool, notes: list[str]) -> Iterator[Block]:
    """A sheet's name as heading, unless it is the only one and has a program's name, and what is in its cells."""
    merges, unknown = _look(sheet)
    found: list[str] = []
    blocks = grid_blocks(read_rows(_rows(sheet, merges), found), merged=bool(merges))
    if unknown:
        found.append(f"{unknown} formulas have no stored value; open the file in Excel and save it to have them read")
    notes += [f"sheet “{sheet.title}”: {note}" for note in found]
    if blocks and not (only and _UNNAMED.match(sheet.title)):
        yield Block("heading", clean_line(sheet.title), level=1)
    yield from blocks


def _look(sheet: Any) -> tuple[list[_Merge], int]:
    """The merged ranges of a sheet, from its top, and how many formulas no program has computed."""
    from lxml import etree
    from openpyxl.utils import range_boundaries

    merges, unknown = [], 0
    with sheet._get_source() as source:
        for _, node in etree.iterparse(source, tag=(f"{_S}row", f"{_S}mergeCell"), huge_tree=True):
            if node.tag == f"{_S}mergeCell":
                merges.append(_Merge(*range_boundaries(node.get("ref"))))
            else:
                unknown += sum(not formula.getparent().findtext(f"{_S}v") for formula in node.iter(f"{_S}f"))
            node.clear()
            while node.getprevious() is not None:
                del node.getparent()[0]
    return sorted(merges, key=lambda merge: merge.top), unknown


def _rows(sheet: Any, merges: list[_Merge]) -> Iterator[list[str]]:
    """The rows of a sheet, empty ones included; a merged cell's text stands in each row and column that it spans.

    One that spans the whole width, a title, stays one cell.
    """
    # What a file says about its own size is often wrong.
    sheet.reset_dimensions()
    waiting, open_merges = merges[::-1], []
    texts: dict[_Merge, str] = {}
    for number, cells in enumerate(sheet.iter_rows(), 1):
        row = [show(cell.value, getattr(cell, "number_format", "")) for cell in cells]
        while waiting and waiting[-1].top <= number:
            merge = waiting.pop()
            open_merges.append(merge)
            texts[merge] = row[merge.left - 1] if merge.left <= len(row) and merge.top == number else ""
        open_merges = [merge for merge in open_merges if merge.bottom >= number]
        if any(row):
            for merge in open_merges:
                _fill(row, merge, texts[merge])
        yield row


def _fill(row: list[str], merge: _Merge, text: str) -> None:
    """Put a merged cell's text into the cells of a row that it spans."""
    last = min(merge.right, MOST_COLUMNS)
    outside = row[: merge.left - 1] + row[last:]
    if merge.right > merge.left and not any(outside):
        return
    row += [""] * (last - len(row))
    for column in range(merge.left - 1, last):
        row[column] = row[column] or text
