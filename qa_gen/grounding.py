"""Whether a long answer says only what its passage says: its figures, dates and codes, its tables and its code."""

from __future__ import annotations

import calendar
import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from kb.qa_gen.filters import mentions, states
from kb.qa_gen.rewrites import figures
from kb.records import Fact
from kb.text.canonical import canonical, dates, quantities
from kb.text.characters import HAN, plain
from kb.text.similar import squeeze

Table = list[list[str]]
"""Rows of cells in canonical form, the header first; empty cells are ""."""

LEAD = {"en": 15, "zh": 6}
"""Characters, in canonical form, before the answer in a statement, by which it is known again."""
FOLLOWING = 20
"""Characters after them, beside its own, in which the answer has to come."""
FENCED = re.compile(
    r"^[ \t]*(?P<mark>`{3,}|~{3,})[^\n]*\n(?P<code>.*?)^[ \t]*(?P=mark)[`~]*[ \t]*$", re.DOTALL | re.MULTILINE
)
"""A block of code."""
_WORD = re.compile("[A-Za-z]+")
_FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})", re.MULTILINE)
_CODE = re.compile(
    r"(?<![A-Za-z0-9])(?![0-9]+(?:st|nd|rd|th)\b)(?=[A-Za-z0-9/._-]*[0-9])(?=[A-Za-z0-9/._-]*[A-Za-z])"
    r"[A-Za-z0-9]+(?:[-/._][A-Za-z0-9]+)*"
)
_NAME = re.compile(rf"(?:(?<=[a-z0-9,;)] )(?=[A-Z])|(?<=[{HAN}])|(?<=[{HAN}] ))(?P<word>[A-Za-z][A-Za-z]+)")
"""A capital word within an English sentence, or a Latin one after Han."""
_TITLE = re.compile(r"^\s*(?:[#|].*$|\W*\*\*[^*\n]+\*\*|[^:：\n]{1,40}[:：])", re.MULTILINE)
"""Headings, labels and rows, in which any word may be a capital one."""
_CALENDAR = {name.casefold() for name in (*calendar.month_name, *calendar.month_abbr, *calendar.day_name) if name}
_RULE = frozenset("|-: ")


def made_up(text: str, source: str) -> str:
    """What a text has that its source lacks, in words for the reason; empty when there is nothing.

    Figures by value and unit, where both have one; dates as far as they go; codes letter by letter; names in Latin
    letters, as far as capitals tell them. List numbers are no figures, and names in Han are not told from other words.
    """
    if figures(text) - figures(source) or not _is_counted(text, source):
        return "a figure"
    stated = dates(source)
    if not all(any(date.covers(other) for other in stated) for date in dates(text)):
        return "a date"
    written = squeeze(source)[0]
    if not all(squeeze(match.group())[0] in written for match in _CODE.finditer(text)):
        return "a code"
    if not _names(text) <= {word.casefold() for word in _WORD.findall(source)} | _CALENDAR:
        return "a name"
    if not all(_is_copied(block["code"], source) for block in FENCED.finditer(text)):
        return "code"
    return "" if all(_fits(table, source) for table in tables(text)) else "a table row"


def _names(text: str) -> set[str]:
    """The words of a text that seem to be names."""
    said = _TITLE.sub("", without_code(text))
    return {match["word"].casefold() for match in _NAME.finditer(plain(said))}


def _is_counted(text: str, source: str) -> bool:
    """Whether what a text counts, small numbers too, is counted so in the source or stands there without a unit."""
    given = quantities(source)
    counted, bare = {one.base for one in given}, {one.value for one in given if not one.unit}
    return all(one.base in counted or one.value in bare for one in quantities(text) if one.unit)


def contradicts(text: str, facts: Sequence[Fact]) -> bool:
    """Whether a text begins a fact's statement as the fact does, and goes on with another answer.

    Facts that begin alike are members of a list, and any of their answers will do.
    """
    leads: dict[str, list[Fact]] = {}
    for fact in facts:
        lead = canonical(fact.statement).partition(canonical(fact.answer))[0].strip()
        if len(lead) >= LEAD[fact.language]:
            leads.setdefault(lead, []).append(fact)
    said = canonical(text)
    return any(
        not any(states(said[found.end() : found.end() + len(fact.answer) + FOLLOWING], fact) for fact in own)
        for lead, own in leads.items()
        for found in re.finditer(re.escape(lead), said)
    )


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
