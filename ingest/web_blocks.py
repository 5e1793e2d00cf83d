"""The tree of an HTML page as blocks in reading order. The tree is walked without recursion, however deep it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kb.ingest.blocks import Block, clean_line, clean_lines, is_cjk
from kb.ingest.grid import grid_blocks, read_rows

HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = ("ul", "ol", "menu", "dir")
_BLOCK = {
    "html", "body", "main", "article", "section", "header", "footer", "nav", "aside", "div", "p", "address", "center",
    "blockquote", "figure", "figcaption", "fieldset", "form", "legend", "details", "summary", "hgroup", "li", "dl",
    "dt", "dd", "table", "caption", "thead", "tbody", "tfoot", "tr", "td", "th", "hr", *_LISTS,
}  # fmt: skip
_BREAK = "\x0b"
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_PARAGRAPHS = re.compile(rf"{_BREAK}\s*{_BREAK}")
_LAYOUT_CELL = 1500
"""Characters in one cell above which a table only arranges the page."""
_MOST_SPAN = 1000


def page_blocks(root: Any, notes: list[str]) -> Iterator[Block]:
    """The blocks below an element; what was left out of a table is added to `notes`."""
    from lxml import etree

    line: list[str] = []
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, node in walk:
        whole = _whole(node, notes) if event == "start" else None
        if whole is not None or node.tag in _BLOCK:
            yield from _paragraphs(line)
            line.clear()
        if whole is not None:
            yield from whole
            walk.skip_subtree()
        elif event == "start":
            line.append(_BREAK if node.tag == "br" else node.get("alt") or "" if node.tag == "img" else "")
            line.append(node.text or "")
        if event == "end" and node is not root:
            line.append(node.tail or "")
    yield from _paragraphs(line)


def _whole(node: Any, notes: list[str]) -> list[Block] | None:
    """The blocks of an element that is read in one go; None for one that only holds others."""
    if node.tag in HEADINGS:
        return [Block("heading", clean_line(text_of(node)), level=HEADINGS[node.tag])]
    if node.tag == "pre":
        return [Block("code", _code(node))]
    if node.tag in (*_LISTS, "dl") and not any(True for _ in node.iter(*HEADINGS, "table", "pre")):
        return [Block("list", "\n".join(_terms(node) if node.tag == "dl" else _items(node)))]
    if node.tag == "table" and not _is_layout(node):
        captions = [Block("paragraph", clean_line(text_of(caption))) for caption in node.iterchildren("caption")]
        return captions + grid_blocks(read_rows(_grid(node), notes), merged=True)
    return None


def text_of(node: Any, without: tuple[str, ...] = ()) -> str:
    """The text of an element, blocks and line breaks in it kept apart by a blank; not of elements named `without`."""
    from lxml import etree

    parts = []
    walk = etree.iterwalk(node, events=("start", "end"))
    for event, inner in walk:
        parts.append(" " if inner.tag in _BLOCK or inner.tag == "br" else "")
        if event == "start" and inner is not node and inner.tag in without:
            walk.skip_subtree()
        elif event == "start":
            parts += [inner.get("alt") or "" if inner.tag == "img" else "", inner.text or ""]
        if event == "end" and inner is not node:
            parts.append(inner.tail or "")
    return collapse("".join(parts))


def collapse(text: str) -> str:
    """Every run of blanks as one, or none where a line of the source was broken between two CJK characters."""

    def by(match: re.Match[str]) -> str:
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        broken = "\n" in match[0] and before and after and is_cjk(before) and is_cjk(after)
        return "" if broken else " "

    return _BLANKS.sub(by, text)


def _paragraphs(line: list[str]) -> Iterator[Block]:
    """The paragraphs of inline text: apart where two line breaks stand, where lines are indented, or where one is long.

    Old pages have no other sign of a paragraph.
    """
    for group in _PARAGRAPHS.split(collapse("".join(line))):
        raw = [row.strip(" ") for row in group.split(_BREAK)]
        indented = sum(row.startswith(("\u3000", "\xa0\xa0")) for row in raw) > 1
        apart = indented or any(len(row) > 100 for row in raw)
        for text in raw if apart else [group]:
            yield Block("paragraph", clean_lines(text))


def _code(node: Any) -> str:
    """The lines of a <pre>, their indentation kept."""
    for mark in node.iter("br"):
        mark.tail = "\n" + (mark.tail or "")
    return "\n".join(row.rstrip() for row in "".join(node.itertext()).strip("\n").split("\n")).replace("\xa0", " ")


def _items(top: Any) -> Iterator[str]:
    """The items of a list, deeper ones indented."""
    numbers: dict[Any, int] = {}
    for item in top.iter("li"):
        text = clean_line(text_of(item, without=_LISTS))
        if not text:
            continue
        above = next(item.iterancestors(*_LISTS), top)
        depth = 0
        for outer in item.iterancestors():
            if outer is top:
                break
            depth += outer.tag in _LISTS
        yield f"{'  ' * depth}{_mark(item, above, numbers)} {text}"


def _mark(item: Any, above: Any, numbers: dict[Any, int]) -> str:
    """The number of an item of a numbered list, else "-". `numbers` has the last number of each list."""
    if above.tag != "ol":
        return "-"
    first, own = above.get("start", ""), item.get("value", "")
    follows = numbers[above] + 1 if above in numbers else int(first) if first.isdecimal() else 1
    numbers[above] = int(own) if own.isdecimal() else follows
    return f"{numbers[above]}."


def _terms(node: Any) -> Iterator[str]:
    """The entries of a <dl>, "term: definition" a line."""
    terms: list[str] = []
    for entry in node.iter("dt", "dd"):
        text = clean_line(text_of(entry, without=("dl",)))
        if entry.tag == "dt":
            terms.append(text)
        elif text:
            yield f"- {', '.join(terms)}: {text}" if terms else f"  {text}"
            terms = []
    if terms:
        yield f"- {', '.join(terms)}"


def _is_layout(table: Any) -> bool:
    """Whether a table arranges the page: it is said to, holds tables or headings, or its cells are a page's parts."""
    if table.get("role") in ("presentation", "none") or any(True for _ in table.iter(*HEADINGS, "pre")):
        return True
    if next(table.iterdescendants("table"), None) is not None:
        return True
    rows = [list(row.iterchildren("td", "th")) for row in table.iter("tr")]
    if max(map(len, rows), default=0) <= 1 or (len(rows) == 1 and next(table.iter("th"), None) is None):
        return True
    return any(len(text_of(cell)) > _LAYOUT_CELL for row in rows for cell in row)


def _grid(table: Any) -> Iterator[list[str]]:
    """The rows of a table; a cell that spans rows or columns is repeated in each, but for one as wide as the table."""
    rows = list(table.iter("tr"))
    width = max(sum(_span(cell, "colspan") for cell in row.iterchildren("td", "th")) for row in rows)
    # Column -> the text that a cell above it puts there, and in how many more rows.
    above: dict[int, tuple[str, int]] = {}
    for row in rows:
        cells: list[str] = []
        for node in row.iterchildren("td", "th"):
            _drop_down(cells, above)
            text, wide = clean_line(text_of(node)), _span(node, "colspan")
            above |= {len(cells) + n: (text, _span(node, "rowspan") - 1) for n in range(wide)}
            cells += [text] * wide if wide < width else [text] + [""] * (wide - 1)
        _drop_down(cells, above)
        yield cells


def _drop_down(cells: list[str], above: dict[int, tuple[str, int]]) -> None:
    """Add to a row the cells that reach down into it at its end."""
    while above.get(len(cells), ("", 0))[1] > 0:
        text, left = above[len(cells)]
        above[len(cells)] = text, left - 1
        cells.append(text)


def _span(cell: Any, name: str) -> int:
    """How many rows or columns a cell spans."""
    value = cell.get(name, "")
    return min(max(int(value), 1), _MOST_SPAN) if value.isdecimal() else 1
