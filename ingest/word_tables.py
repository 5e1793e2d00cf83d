"""Rows and cells of Word tables, merged ones once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kb.ingest.ooxml import W
from kb.ingest.word_numbering import value_of
from kb.ingest.word_text import SKIPPED

_WIDEST = 63
"""Columns of a Word table at most; a file may claim any number."""


def cells(row: Any) -> Iterator[Any]:
    """The cells of a row; None stands for the parts of a merged cell after its first, and for columns left out."""
    yield from [None] * _number(row, "trPr", "gridBefore", 0)
    for cell in below(row, "tc"):
        properties = cell.find(f"{W}tcPr")
        yield None if properties is not None and _goes_on(properties) else cell
        yield from [None] * (_number(cell, "tcPr", "gridSpan", 1) - 1)


def _goes_on(properties: Any) -> bool:
    """Whether a cell is part of the one above or before it."""
    merges = (properties.find(f"{W}{name}") for name in ("vMerge", "hMerge"))
    return any(merge is not None and merge.get(f"{W}val") != "restart" for merge in merges)


def _number(node: Any, group: str, name: str, default: int) -> int:
    properties = node.find(f"{W}{group}")
    value = "" if properties is None else value_of(properties, name)
    return min(int(value), _WIDEST) if value.isdecimal() else default


def below(node: Any, name: str) -> Iterator[Any]:
    """Rows of a table or cells of a row, through content controls and insertions, not into other tables."""
    for child in node:
        if child.tag == f"{W}{name}":
            yield child
        elif child.tag not in SKIPPED and child.tag not in (f"{W}tr", f"{W}tc", f"{W}tbl"):
            yield from below(child, name)
