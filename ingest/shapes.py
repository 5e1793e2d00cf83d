"""The shapes of a slide: text, tables, charts and diagrams, those inside groups in their place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kb.ingest.blocks import Block, clean_line, clean_lines, table_rows
from kb.ingest.graphics import CHART, DIAGRAM, chart_blocks, diagram_text, line_text, parse_part
from kb.ingest.ooxml import A, R
from kb.ingest.word_numbering import format_number

_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_FURNITURE = ("dt", "ftr", "sldNum", "hdr", "sldImg")
_FORMATS = {
    "arabic": "decimal",
    "alphaLc": "lowerLetter",
    "alphaUc": "upperLetter",
    "romanLc": "lowerRoman",
    "romanUc": "upperRoman",
    "ea1Chs": "chineseCounting",
    "ea1Cht": "chineseCounting",
    "circleNum": "decimalEnclosedCircle",
}
_ENDS = {"Period": "{}.", "ParenR": "{})", "ParenBoth": "({})", "Plain": "{}"}
_AUTOMATIC = re.compile(rf"({'|'.join(_FORMATS)})(?:Db|Wd[A-Z][a-z]+)?({'|'.join(_ENDS)})")
_SENTENCE_ENDS = "。.！!？?；;"


class Unread(Exception):
    """A shape of a kind whose text kb does not read; the message names the kind, in the plural."""


def shapes(tree: Any) -> Iterator[Any]:
    """The elements of the shapes in a tree or group; date, footer, number and the picture of a slide are left out."""
    for node in tree:
        if node.tag == f"{_P}grpSp":
            yield from shapes(node)
        elif isinstance(node.tag, str) and _placeholder(node) not in _FURNITURE:
            yield node


def typed_edges(tree: Any) -> Iterator[Any]:
    """The date and the footer of a slide where somebody typed them, and no program puts in today's date."""
    for node in tree.iter(f"{_P}sp"):
        if _placeholder(node) in ("dt", "ftr") and next(node.iter(f"{A}fld"), None) is None and lines(node):
            yield node


def is_title(shape: Any) -> bool:
    """Whether a shape is its slide's title."""
    return _placeholder(shape) in ("title", "ctrTitle")


def _placeholder(shape: Any) -> str:
    """The type of a placeholder; "" for other shapes and those of no particular type."""
    place = shape.find(f"{_P}nvSpPr/{_P}nvPr/{_P}ph")
    return "" if place is None else str(place.get("type") or "")


@dataclass(frozen=True)
class Line:
    """A paragraph of a shape."""

    level: int
    """From 0."""
    label: str
    """Its automatic number, with a space behind it where one is needed; "" where it has none."""
    text: str


def lines(shape: Any) -> list[Line]:
    """The paragraphs under an element that have text, each in one line."""
    found: list[Line] = []
    counts: dict[int, tuple[str, int]] = {}
    for paragraph in shape.iter(f"{A}p"):
        text = clean_lines(line_text(paragraph)).replace("\n", " ")
        if text:
            properties = paragraph.find(f"{A}pPr")
            level = "" if properties is None else properties.get("lvl") or ""
            depth = min(int(level), 8) if level.isdecimal() else 0
            numbered = None if properties is None else properties.find(f"{A}buAutoNum")
            found.append(Line(depth, _label(numbered, depth, counts), text))
    return found


def _label(numbered: Any, depth: int, counts: dict[int, tuple[str, int]]) -> str:
    """The next number of a paragraph's series, which ends where its form or anything less deep comes between."""
    form = "" if numbered is None else str(numbered.get("type") or "")
    start = "1" if numbered is None else numbered.get("startAt") or "1"
    before, number = counts.get(depth, ("", 0))
    for place in [place for place in counts if place >= depth]:
        del counts[place]
    match = _AUTOMATIC.fullmatch(form)
    if not match:
        return ""
    following = number + 1 if before == form else int(start) if start.isdecimal() else 1
    counts[depth] = (form, following)
    text = format_number(following, _FORMATS[match[1]])
    return f"{_ENDS[match[2]].format(text)} " if text else ""


def shape_blocks(shape: Any, part: Any, page: int) -> Iterator[Block]:
    """The blocks of one shape; `part` is the slide's, for what is kept in parts of its own.

    Raises Unread for embedded objects and charts of the newer kinds, and anything for a damaged shape.
    """
    if shape.tag != f"{_P}graphicFrame":
        yield from _frame(shape, page)
        return
    for graphic in shape.iterfind(f"{A}graphic/{A}graphicData/*"):
        if graphic.tag == f"{A}tbl":
            rows = [[_cell(cell) for cell in row.findall(f"{A}tc")] for row in graphic.findall(f"{A}tr")]
            yield Block("table", table_rows(rows), page)
        elif graphic.tag == CHART:
            yield from chart_blocks(parse_part(part.related_part(graphic.get(f"{R}id")).blob), page)
        elif graphic.tag == DIAGRAM:
            yield Block("list", diagram_text(parse_part(part.related_part(graphic.get(f"{R}dm")).blob)), page)
        else:
            raise Unread("charts of newer kinds" if graphic.tag.endswith("}chart") else "embedded objects")


def _cell(cell: Any) -> str:
    """A cell's text; "" for what a merged cell covers after its first place."""
    covered = any(cell.get(name) in ("1", "true") for name in ("hMerge", "vMerge"))
    return "" if covered else clean_line(" ".join(f"{line.label}{line.text}" for line in lines(cell)))


def _frame(shape: Any, page: int) -> Iterator[Block]:
    """A text frame: one list when it has several lines and none of them is a sentence, else its paragraphs."""
    found = lines(shape)
    if len(found) > 1 and not any(line.text[-1] in _SENTENCE_ENDS for line in found):
        items = (f"{'  ' * line.level}{line.label or '- '}{line.text}" for line in found)
        yield Block("list", "\n".join(items), page)
        return
    for line in found:
        yield Block("paragraph", line.label + line.text, page)
