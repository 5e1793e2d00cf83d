"""Charts and SmartArt of Office files: what they say, without what they look like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from lxml import etree

from kb.ingest.blocks import Block, clean_line, table_rows
from kb.ingest.equations import linear
from kb.ingest.ooxml import A, M

_C = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"
_DGM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}"
CHART = f"{_C}chart"
DIAGRAM = f"{_DGM}relIds"
_NUMBERS = (f"{_C}numCache", f"{_C}numLit")
_DATE = re.compile(r"(?i)(?=.*m)(?=.*[yd])")
_LITERAL = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
_EPOCH = datetime(1899, 12, 30)
"""Day 0 of a spreadsheet's calendar, for days from March 1900 on."""


_DEEPEST = 8
"""Levels of indent; a file may claim any number."""


def parse_part(blob: bytes) -> Any:
    """The root of a part; entities are not resolved, nothing outside is read. Raises lxml's XMLSyntaxError."""
    return etree.fromstring(blob, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False))


def line_text(paragraph: Any) -> str:
    """The text of a drawing's paragraph (a:p), with its line breaks; an equation in it becomes a line of text."""
    text = ""
    for child in paragraph:
        if child.tag == f"{A}t":
            text += child.text or ""
        elif child.tag == f"{A}br":
            text += "\n"
        else:
            text += linear(child) if child.tag == f"{M}oMath" else line_text(child)
    return text


def chart_blocks(root: Any, page: int = 0) -> Iterator[Block]:
    """A chart's title, then a table of categories and values, one column for each series.

    Series with the categories of the first are its columns; those with others get tables of their own.
    """
    title = _words(root.find(f"{_C}chart/{_C}title"))
    axis = _words(next(root.iter(f"{_C}catAx", f"{_C}dateAx"), root).find(f"{_C}title"))
    if title:
        yield Block("paragraph", title, page)
    tables: dict[tuple[str, ...], list[tuple[str, list[str]]]] = {}
    for number, series in enumerate(root.iter(f"{_C}ser"), 1):
        keys, values = _points(series, "cat", "xVal"), _points(series, "val", "yVal")
        indices = sorted({*keys, *values})
        labels = tuple(keys.get(index, str(index + 1)) for index in indices)
        name = _words(series.find(f"{_C}tx")) or str(number)
        tables.setdefault(labels, []).append((name, [values.get(index, "") for index in indices]))
    for labels, columns in tables.items():
        rows = [[axis, *(name for name, _ in columns)]]
        rows += [[label, *(values[at] for _, values in columns)] for at, label in enumerate(labels)]
        yield Block("table", table_rows(rows), page)


def _words(node: Any) -> str:
    """The typed text under a node, or else the text it shows of a sheet."""
    if node is None:
        return ""
    typed = (line_text(line) for line in node.iter(f"{A}p"))
    shown = (value.text or "" for value in node.iter(f"{_C}v"))
    return clean_line(" ".join(typed)) or clean_line(" ".join(shown))


def _points(series: Any, *names: str) -> dict[int, str]:
    """Index -> value of one side of a series; categories of several levels are joined, the outer one first."""
    side = next((found for name in names if (found := series.find(f"{_C}{name}")) is not None), None)
    if side is None:
        return {}
    levels = [
        {int(point.get("idx") or 0): _shown(point, side) for point in level.iter(f"{_C}pt")}
        for level in side.findall(f".//{_C}lvl") or [side]
    ]
    inner, *outer = levels
    return {
        index: " ".join(filter(None, (*(_over(level, index) for level in reversed(outer)), text)))
        for index, text in inner.items()
    }


def _over(level: dict[int, str], index: int) -> str:
    """What an outer level says over this index: it names only the first of those it spans."""
    first = max((at for at in level if at <= index), default=-1)
    return level.get(first, "")


def _shown(point: Any, side: Any) -> str:
    """A value as a reader would write it: 4.3 and not 4.2999999999999998, percent and dates as such."""
    raw = point.findtext(f"{_C}v") or ""
    if point.getparent().tag not in _NUMBERS:
        return clean_line(raw)
    form = point.get("formatCode") or side.findtext(f".//{_C}formatCode") or ""
    form = _LITERAL.sub("", form)
    try:
        number = float(raw)
    except ValueError:
        return clean_line(raw)
    if _DATE.match(form) and 60 < number < 2958466:
        base = point.getroottree().find(f"{_C}date1904")
        later = 1462 if base is not None and base.get("val", "1") in ("1", "true") else 0
        return (_EPOCH + timedelta(days=number + later)).strftime("%Y-%m-%d")
    return f"{number * 100:.12g}%" if "%" in form else f"{number:.15g}"


def diagram_text(root: Any) -> str:
    """The text of a SmartArt diagram as a list: points in the order and depth of its tree, each once."""
    points = {point.get("modelId"): point for point in root.iter(f"{_DGM}pt")}
    children: dict[str, list[tuple[int, str]]] = {}
    for link in root.iter(f"{_DGM}cxn"):
        if link.get("type", "parOf") == "parOf":
            children.setdefault(link.get("srcId"), []).append((int(link.get("srcOrd") or 0), link.get("destId")))
    roots = [id for id, point in points.items() if point.get("type") == "doc"]
    seen: set[str] = set()
    lines = [line for id in roots for line in _branch(id, -1, points, children, seen)]
    left = (id for id, point in points.items() if id not in seen and point.get("type") != "pres")
    lines += [line for id in left for line in _branch(id, 0, points, {}, seen)]
    return "\n".join(lines)


def _branch(
    top: str, depth: int, points: dict[str, Any], children: dict[str, list[tuple[int, str]]], seen: set[str]
) -> Iterator[str]:
    """The lines of a point and of all below it; with a stack, for a file may nest them as deep as it likes."""
    stack = [(top, depth)]
    while stack:
        id, depth = stack.pop()
        if id in seen or id not in points:
            continue
        seen.add(id)
        text = clean_line(" ".join(_words(part) for part in points[id].iterfind(f"{_DGM}t")))
        if text:
            yield f"{'  ' * min(max(depth, 0), _DEEPEST)}- {text}"
        below = sorted(children.get(id, ()), key=lambda child: child[0], reverse=True)
        stack += [(child, depth + 1) for _, child in below]
