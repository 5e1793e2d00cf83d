"""Word files: python-docx opens the package, the body is walked in its own order.

python-docx's paragraphs and tables alone miss what stands in content controls, text boxes, nested tables and tracked
insertions; here everything that Word shows is read once. Deletions are not.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kb.ingest.blocks import Block, Parsed, assemble, choose_title, clean_line, clean_lines, table_rows
from kb.ingest.headings import promote

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_MATH_TEXT = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_SKIPPED = {
    f"{_W}{name}" for name in ("del", "moveFrom", "rt", "pPr", "rPr", "sdtPr", "instrText", "delText", "sectPr")
}
_MARKS = {f"{_W}tab": " ", f"{_W}br": "\n", f"{_W}cr": "\n", f"{_W}noBreakHyphen": "-", f"{_W}ptab": " "}


def parse_docx(path: Path, data: bytes, encoding: str = "") -> Parsed:
    """Read a .docx file; `encoding` means nothing here. What python-docx raises on a damaged one comes through."""
    import docx

    document = docx.Document(io.BytesIO(data))
    styles = _Styles(document.styles.element)
    blocks = _merge_lists(_walk(document.element.body, styles))
    blocks = promote(blocks) + list(_footnotes(document.part, styles))
    titles = [block.text for block in blocks if block.kind == "heading" and block.level == 0][:1]
    title = choose_title(path, [*titles, document.core_properties.title or "", *_only_chapter(blocks)])
    return assemble(title, "docx", blocks)


def _only_chapter(blocks: list[Block]) -> list[str]:
    """The first heading, when the document starts with it and no other is as high."""
    headings = [block for block in blocks if block.kind == "heading"]
    highest = [block for block in headings if block.level == min(other.level for other in headings)]
    return [highest[0].text] if len(highest) == 1 and blocks[0] is highest[0] else []


class _Styles:
    """What the paragraph styles say: heading level, or list item."""

    def __init__(self, element: Any) -> None:
        self._styles = {style.get(f"{_W}styleId"): style for style in element.iter(f"{_W}style")}

    def level(self, paragraph: Any) -> int | None:
        """0 for the title, 1 to 9 for headings, None for other paragraphs."""
        for node in self._chain(paragraph):
            name = _value(node.find(f"{_W}name"))
            match = re.fullmatch(r"(?i)(?:heading|标题)\s*(\d)", name)
            if match:
                return int(match[1])
            if name.lower() in ("title", "标题"):
                return 0
            outline = _value(
                node.find(f"{_W}outlineLvl") if node.tag == f"{_W}pPr" else node.find(f"{_W}pPr/{_W}outlineLvl")
            )
            if outline.isdigit() and int(outline) < 9:
                return int(outline) + 1
        return None

    def depth(self, paragraph: Any) -> int | None:
        """Depth of a list item from 0; None for what is none."""
        for node in self._chain(paragraph):
            number = node.find(f"{_W}numPr") if node.tag == f"{_W}pPr" else node.find(f"{_W}pPr/{_W}numPr")
            if number is not None:
                depth = _value(number.find(f"{_W}ilvl"))
                return None if _value(number.find(f"{_W}numId")) == "0" else int(depth or 0)
            if _value(node.find(f"{_W}name")).lower().startswith("list "):
                return 0
        return None

    def _chain(self, paragraph: Any) -> Iterator[Any]:
        """The paragraph's own properties, its style, the style that one is based on, and so on."""
        own = paragraph.find(f"{_W}pPr")
        if own is None:
            return
        yield own
        name, seen = _value(own.find(f"{_W}pStyle")), set()
        while name in self._styles and name not in seen:
            seen.add(name)
            yield self._styles[name]
            name = _value(self._styles[name].find(f"{_W}basedOn"))


def _value(node: Any) -> str:
    """The w:val of a property; "" when the property is not there."""
    return "" if node is None else str(node.get(f"{_W}val") or "")


def _walk(container: Any, styles: _Styles) -> Iterator[Block]:
    """The blocks of a body, cell, text box or note, in order."""
    for node in container:
        if node.tag == f"{_W}p":
            yield from _paragraph(node, styles)
        elif node.tag == f"{_W}tbl":
            yield from _table(node, styles)
        elif node.tag not in _SKIPPED:
            # Content controls, custom XML, tracked block insertions: wrappers around more of the same.
            yield from _walk(node, styles)


def _paragraph(node: Any, styles: _Styles) -> Iterator[Block]:
    """A paragraph, then the text boxes that hang from it."""
    boxes: list[Any] = []
    text = clean_lines("".join(_text(node, boxes)))
    level, depth = styles.level(node), styles.depth(node)
    if text and level is not None:
        yield Block("heading", clean_line(text), level=level)
    elif text and depth is not None:
        yield Block("list", f"{'  ' * depth}- {clean_line(text)}")
    elif text:
        yield Block("paragraph", text)
    for box in boxes:
        yield from _walk(box, styles)


def _text(node: Any, boxes: list[Any]) -> Iterator[str]:
    """The visible text under a paragraph; text boxes met on the way are put into `boxes` instead.

    Of alternatives for newer and older programs only the first is read: both say the same.
    """
    for child in node:
        if child.tag in (f"{_W}t", _MATH_TEXT):
            yield child.text or ""
        elif child.tag in _MARKS:
            yield _MARKS[child.tag]
        elif child.tag == f"{_W}txbxContent":
            boxes.append(child)
        elif child.tag == f"{_MC}AlternateContent":
            yield from _text(child[:1], boxes)
        elif child.tag not in _SKIPPED:
            yield from _text(child, boxes)


def _table(node: Any, styles: _Styles) -> Iterator[Block]:
    """A table; one with a single column is a frame around ordinary blocks."""
    rows = [list(_cells(row)) for row in _below(node, "tr")]
    if all(len(row) <= 1 for row in rows):
        for row in rows:
            for cell in row:
                yield from _walk(cell if cell is not None else (), styles)
        return
    texts = [["" if cell is None else _cell_text(cell, styles) for cell in row] for row in rows]
    yield Block("table", table_rows(texts))


def _cells(row: Any) -> Iterator[Any]:
    """The cells of a row; None stands for the parts of a merged cell after its first."""
    for cell in _below(row, "tc"):
        properties = cell.find(f"{_W}tcPr")
        span = merge = None
        if properties is not None:
            span, merge = properties.find(f"{_W}gridSpan"), properties.find(f"{_W}vMerge")
        goes_on = merge is not None and _value(merge) != "restart"
        yield None if goes_on else cell
        yield from [None] * (int(_value(span) or 1) - 1)


def _below(node: Any, name: str) -> Iterator[Any]:
    """Rows of a table or cells of a row, through content controls and insertions, not into other tables."""
    for child in node:
        if child.tag == f"{_W}{name}":
            yield child
        elif child.tag not in _SKIPPED and child.tag not in (f"{_W}tr", f"{_W}tc", f"{_W}tbl"):
            yield from _below(child, name)


def _cell_text(cell: Any, styles: _Styles) -> str:
    """A cell as one line: its paragraphs after each other, a nested table's cells with commas between them."""
    parts = []
    for block in _merge_lists(_walk(cell, styles)):
        lines = [line for line in block.text.split("\n") if not line.startswith("| ---")]
        if block.kind == "table":
            lines = [
                ", ".join(part.strip() for part in line.strip("| ").split(" | ") if part.strip()) for line in lines
            ]
        parts.append("; ".join(lines) if block.kind == "table" else " ".join(lines))
    return " ".join(parts)


def _merge_lists(blocks: Iterator[Block]) -> list[Block]:
    """Consecutive list items as one block."""
    merged: list[Block] = []
    for block in blocks:
        if block.kind == "list" and merged and merged[-1].kind == "list":
            merged[-1] = Block("list", f"{merged[-1].text}\n{block.text}")
        else:
            merged.append(block)
    return merged


def _footnotes(part: Any, styles: _Styles) -> Iterator[Block]:
    """Footnotes and endnotes, after the text."""
    from docx.oxml import parse_xml

    for relation in part.rels.values():
        if relation.is_external or not relation.reltype.endswith(("/footnotes", "/endnotes")):
            continue
        for note in parse_xml(relation.target_part.blob):
            if note.get(f"{_W}type") in (None, "normal"):
                text = " ".join(block.text for block in _walk(note, styles))
                yield Block("note", clean_line(text))
