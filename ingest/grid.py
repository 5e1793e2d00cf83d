"""Rows of cells as blocks: a table under its header row, or a record a line where the rows are wide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kb.ingest.blocks import Block, clean_line, table_rows

MOST_CELLS = 2_000_000
MOST_COLUMNS = 500
WIDE_COLUMNS = 12
"""Columns above which a row is told as "header: value" pairs: nobody finds the twentieth column's head by counting."""
WIDE_ROW = 400
"""Characters of an average row above which it is told so too."""

Rows = list[list[str]]


def read_rows(rows: Iterable[Sequence[str]], notes: list[str]) -> Rows:
    """The rows that have text, cleaned, each with every column that has some. What is over a limit is noted."""
    kept: Rows = []
    cells = cut = 0
    for number, row in enumerate(rows, 1):
        cleaned = [clean_line(cell) for cell in row[:MOST_COLUMNS]]
        cut = max(cut, len(row) - MOST_COLUMNS if any(row[MOST_COLUMNS:]) else 0)
        if not any(cleaned):
            continue
        cells += len(cleaned)
        if cells > MOST_CELLS:
            notes.append(f"the rows from {number} on were left out: more than {MOST_CELLS:,} cells. Split the file.")
            break
        kept.append(cleaned)
    if cut:
        notes.append(f"{cut} columns were left out: more than {MOST_COLUMNS}. Split the file.")
    used = sorted({column for row in kept for column, cell in enumerate(row) if cell})
    return [[row[column] if column < len(row) else "" for column in used] for row in kept]


def grid_blocks(rows: Rows, merged: bool = False) -> list[Block]:
    """The blocks of rows of equal length: lines above the table that fill one cell, then the table or its records.

    `merged` says that cells which span columns are repeated in each; a head of two rows is then one.
    """
    top = 0
    while top < len(rows) and len(rows[top]) > 1 and sum(map(bool, rows[top])) == 1:
        top += 1
    if top == len(rows):
        top = 0
    lines = [Block("paragraph", "".join(row)) for row in rows[:top]]
    head, body = _head(rows[top:], merged)
    return [*lines, _table(head, body)] if head else lines


def _head(rows: Rows, merged: bool) -> tuple[list[str], Rows]:
    """The head and the rows below it. Where the first row is all numbers, the head is the letters a program shows."""
    if not rows:
        return [], []
    first = rows[0]
    if len(rows) > 1 and all(first) and not any(character.isalpha() for cell in first for character in cell):
        return [_letters(column) for column in range(len(first))], rows
    if merged and len(rows) > 2 and _splits(first, rows[1]):
        second = rows[1]
        return [f"{a} {b}".strip() if a != b else a for a, b in zip(first, second, strict=True)], rows[2:]
    return first, rows[1:]


def _splits(first: list[str], second: list[str]) -> bool:
    """Whether the second row names the parts of a cell that spans columns in the first one."""
    pairs = zip(first, first[1:], second, second[1:], strict=False)
    return any(a and a == b and c and d and c != d for a, b, c, d in pairs)


def _letters(column: int) -> str:
    """The name of a column, from 0: A to Z, AA and so on."""
    name = ""
    while column >= 0:
        name = chr(ord("A") + column % 26) + name
        column = column // 26 - 1
    return name


def _table(head: list[str], body: Rows) -> Block:
    """A Markdown table, or a list of records where that could not be read."""
    size = sum(len(cell) + 3 for row in body for cell in row)
    if len(head) <= WIDE_COLUMNS and size <= WIDE_ROW * max(len(body), 1):
        return Block("table", table_rows([head, *body]))
    return Block("list", "\n".join(_record(head, row) for row in body))


def _record(head: list[str], row: list[str]) -> str:
    """A row as "- header: value; header: value"; cells without text are left out."""
    pairs = zip(head, row, strict=True)
    return "- " + "; ".join(f"{name}: {cell}" if name else cell for name, cell in pairs if cell)
