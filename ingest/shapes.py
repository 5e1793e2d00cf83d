"""The shapes of a slide: text, tables, charts and diagrams, those inside groups in their place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kb.ingest.blocks import Block, clean_line, clean_lines, table_rows
from kb.ingest.graphics import CHART, DIAGRAM, chart_blocks, diagram_text, line_text, parse_part
from kb.ingest.ooxml import A, R

_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_FURNITURE = ("dt", "ftr", "sldNum", "hdr", "sldImg")
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


def is_title(shape: Any) -> bool:
    """Whether a shape is its slide's title."""
    return _placeholder(shape) in ("title", "ctrTitle")


def _placeholder(shape: Any) -> str:
    """The type of a placeholder; "" for other shapes and those of no particular type."""
    place = shape.find(f"{_P}nvSpPr/{_P}nvPr/{_P}ph")
    return "" if place is None else str(place.get("type") or "")


def lines(shape: Any) -> list[tuple[int, str]]:
    """The paragraphs under an element that have text, each in one line, with their level from 0."""
    found = []
    for paragraph in shape.iter(f"{A}p"):
        properties = paragraph.find(f"{A}pPr")
        level = "" if properties is None else properties.get("lvl") or ""
        found.append(
            (min(int(level), 8) if level.isdecimal() else 0, clean_lines(line_text(paragraph)).replace("\n", " "))
        )
    return [(level, text) for level, text in found if text]


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
    return "" if covered else clean_line(" ".join(text for _, text in lines(cell)))


def _frame(shape: Any, page: int) -> Iterator[Block]:
    """A text frame: one list when it has several lines and none of them is a sentence, else its paragraphs."""
    found = lines(shape)
    if len(found) > 1 and not any(text[-1] in _SENTENCE_ENDS for _, text in found):
        yield Block("list", "\n".join(f"{'  ' * level}- {text}" for level, text in found), page)
        return
    for _, text in found:
        yield Block("paragraph", text, page)
