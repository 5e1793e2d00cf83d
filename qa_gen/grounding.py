"""Whether a long answer says only what its passage says: its figures, dates and codes, its tables and its code."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from kb.qa_gen.filters import mentions
from kb.qa_gen.rewrites import figures
from kb.text.canonical import canonical, dates, quantities
from kb.text.similar import squeeze

Table = list[list[str]]
"""Rows of cells in canonical form, the header first; empty cells are ""."""

FENCED = re.compile(
    r"^[ \t]*(?P<mark>`{3,}|~{3,})[^\n]*\n(?P<code>.*?)^[ \t]*(?P=mark)[`~]*[ \t]*$", re.DOTALL | re.MULTILINE
)
"""A block of code."""
_FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})", re.MULTILINE)
_CODE = re.compile(
    r"(?<![A-Za-z0-9])(?![0-9]+(?:st|nd|rd|th)\b)(?=[A-Za-z0-9/._-]*[0-9])(?=[A-Za-z0-9/._-]*[A-Za-z])"
    r"[A-Za-z0-9]+(?:[-/._][A-Za-z0-9]+)*"
)
_RULE = frozenset("|-: ")


def made_up(text: str, source: str) -> str:
    """What a text has that its source lacks, in words for the reason; empty when there is nothing.

    Figures by value and unit, where both have one; dates as far as they go; codes letter by letter. List numbers are no
    figures.
    """
    if figures(text) - figures(source) or not _is_counted(text, source):
        return "a figure"
    stated = dates(source)
    if not all(any(date.covers(other) for other in stated) for date in dates(text)):
        return "a date"
    written = squeeze(source)[0]
    if not all(squeeze(match.group())[0] in written for match in _CODE.finditer(text)):
        return "a code"
    if not all(_is_copied(block["code"], source) for block in FENCED.finditer(text)):
        return "code"
    return "" if all(_fits(table, source) for table in tables(text)) else "a table row"


def _is_counted(text: str, source: str) -> bool:
    """Whether what a text counts, small numbers too, is counted so in the source or stands there without a unit."""
    given = quantities(source)
    counted, bare = {one.base for one in given}, {one.value for one in given if not one.unit}
    return all(one.base in counted or one.value in bare for one in quantities(text) if one.unit)


def is_cut(text: str) -> bool:
    """Whether a text ends in the middle: in a block of code, in a row of a table, or where more has to come."""
    if len(_FENCE.findall(text)) % 2:
        return True
    last = text.rstrip().splitlines()[-1].rstrip("*_ ")
    return last.endswith((",", "，", "、", ":", "：", "...", "…")) or (last.startswith("|") and not last.endswith("|"))


def without_code(text: str) -> str:
    """The text without its blocks of code."""
    return FENCED.sub("", text)


def _is_copied(code: str, source: str) -> bool:
    """Whether the lines of a block stand one after the other in the source, with their indents; blank ones left out."""
    wanted, given = _lines(code), _lines(source)
    count = len(wanted)
    return any(_dedented(given[at : at + count]) == _dedented(wanted) for at in range(len(given) - count + 1))


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.expandtabs().splitlines() if line.strip()]


def _dedented(lines: Sequence[str]) -> str:
    return textwrap.dedent("\n".join(lines))


def tables(text: str) -> Iterator[Table]:
    """The Markdown tables of a text, blocks of code left out."""
    rows: Table = []
    for line in [*without_code(text).splitlines(), ""]:
        bare = line.strip()
        if not bare.startswith("|"):
            if rows:
                yield rows
            rows = []
        elif not set(bare) <= _RULE:
            rows.append([canonical(cell.replace("<br>", " ")) for cell in bare.strip("|").split("|")])


def _fits(table: Table, source: str) -> bool:
    """Whether every row of a table stands in the source.

    Of a table of the source rows and columns must be those that it has, in any order, or turned round: that a value
    stands somewhere else in it is not enough. Of its sentences it has every cell below the header.
    """
    sentences = "\n".join(line for line in source.splitlines() if not line.lstrip().startswith("|"))
    if all(mentions(sentences, cell) for row in table[1:] for cell in row if cell):
        return True
    given = list(tables(source))
    turned = [list(column) for column in zip_longest(*table, fillvalue="")]
    return any(_is_part(one, other) for one in (table, turned) for other in given)


def _is_part(table: Table, given: Table) -> bool:
    """Whether rows and columns of a table are some of those of another."""
    rows = [[other for other in given if all(not cell or cell in other for cell in row)] for row in table]
    columns = range(max(map(len, given)))
    return all(rows) and all(
        any(
            all(not row[place] or any(other[at : at + 1] == [row[place]] for other in fitting)
                for row, fitting in zip(table, rows, strict=True) if place < len(row))
            for at in columns
        )
        for place in range(max(map(len, table)))
    )  # fmt: skip
