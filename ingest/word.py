"""Word files: python-docx opens the package, the body is walked in its own order.

python-docx's paragraphs and tables alone miss what stands in content controls, text boxes, nested tables and tracked
insertions; here everything that Word shows is read once. Deletions are not.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from functools import reduce
from itertools import groupby
from pathlib import Path
from textwrap import dedent
from typing import Any

from kb.ingest.blocks import Block, Parsed, assemble, choose_title, clean_line, clean_lines, join_lines, table_rows
from kb.ingest.equations import linear
from kb.ingest.graphics import CHART, DIAGRAM, chart_blocks, diagram_text, line_text, parse_part
from kb.ingest.headings import promote
from kb.ingest.ooxml import A, R, W, unfold
from kb.ingest.word_styles import Styles
from kb.ingest.word_tables import below, cells
from kb.ingest.word_text import BOX, EQUATIONS, NOTES, SHAPE_TEXT, SKIPPED, drop_field_codes, take_hidden, visible

QUOTED = 60
"""Characters of hidden text that its note shows."""
_OBJECT = "{urn:schemas-microsoft-com:office:office}OLEObject"
_UNREAD = {f"{W}altChunk": "inserted files", _OBJECT: "embedded objects (equations of old kinds, sheets)"}


def parse_docx(path: Path, data: bytes, encoding: str = "") -> Parsed:
    """Read a .docx file; `encoding` means nothing here.

    What python-docx raises on a damaged file comes through.
    """
    import docx

    document = docx.Document(io.BytesIO(data))
    body = document.element.body
    reader = _Reader(document.part, Styles(document.styles.element, _numbering(document.part)))
    blocks = promote(_merge_lists(reader.body(body)))
    notes = [f"{count} {what} were not read" for tag, what in _UNREAD.items() if (count := len(list(body.iter(tag))))]
    if not any(block.text.strip() for block in blocks):
        blocks = _merge_lists(reader.margins())
        notes += ["only its headers and footers have text"] if blocks else []
    titles = [block.text for block in blocks if block.kind == "heading" and block.level == 0][:1]
    title = choose_title(path, [*titles, document.core_properties.title or "", *_only_chapter(blocks)])
    return assemble(title, "docx", blocks, [*notes, *reader.problems])


def _numbering(part: Any) -> Any:
    """The root of numbering.xml, None where there is none."""
    found = (rel for rel in part.rels.values() if not rel.is_external and rel.reltype.endswith("/numbering"))
    relation = next(found, None)
    return None if relation is None else parse_part(relation.target_part.blob)


def _only_chapter(blocks: list[Block]) -> list[str]:
    """The first heading, when the document starts with it and no other is as high."""
    headings = [block for block in blocks if block.kind == "heading"]
    highest = [block for block in headings if block.level == min(other.level for other in headings)]
    return [highest[0].text] if len(highest) == 1 and blocks[0] is highest[0] else []


class _Reader:
    """Walks a body, cell, text box or note; notes wait until the paragraph or table that cites them has ended."""

    def __init__(self, part: Any, styles: Styles) -> None:
        self.problems: list[str] = []
        self._part = part
        self._styles = styles
        self._notes = dict(_notes(part))
        self._cited: list[Any] = []
        self._inside = 0
        """How many cells and notes are open."""
        self._carried: list[str] = []
        """Text of paragraphs whose end was deleted: the next one goes on with it."""

    def body(self, body: Any) -> Iterator[Block]:
        """All blocks of the document; notes that nothing cites come last."""
        hidden = clean_line(" ".join(_prepare(body)))
        if hidden:
            shown = hidden[:QUOTED] + ("…" if len(hidden) > QUOTED else "")
            self.problems.append(f"hidden text was left out: “{shown}”")
        yield from self._walk(body)
        for note in list(self._notes):
            yield from self._note(note)

    def margins(self) -> Iterator[Block]:
        """What stands in headers and footers; those of several sections that say the same, once."""
        seen = set()
        for relation in self._part.rels.values():
            if not relation.is_external and relation.reltype.endswith(("/header", "/footer")):
                root = parse_part(relation.target_part.blob)
                _prepare(root)
                for block in self._walk(root):
                    if block.text not in seen:
                        seen.add(block.text)
                        yield block

    def _walk(self, container: Iterable[Any]) -> Iterator[Block]:
        for node in container:
            if node.tag == f"{W}p":
                yield from self._paragraph(node)
            elif node.tag == f"{W}tbl":
                yield from self._rest()
                yield from self._table(node)
            elif node.tag in EQUATIONS:
                yield Block("paragraph", clean_line(linear(node)))
            elif node.tag not in SKIPPED:
                # Content controls, custom XML, tracked block insertions: wrappers around more of the same.
                yield from self._walk(node)
                continue
            if not self._inside:
                yield from self._cited_notes()

    def _paragraph(self, node: Any) -> Iterator[Block]:
        """A paragraph, then what hangs from it."""
        hanging: list[Any] = []
        text = "".join(visible(node, hanging))
        if _end_is_deleted(node):
            self._carried.append(text)
        else:
            carried = "".join(self._carried)
            self._carried.clear()
            yield from self._block(node, clean_lines(carried + text))
        for each in hanging:
            yield from self._hanging(each)

    def _rest(self) -> Iterator[Block]:
        """What a deleted paragraph end would have joined to a paragraph that does not come."""
        text = clean_lines("".join(self._carried))
        self._carried.clear()
        if text:
            yield Block("paragraph", text)

    def _block(self, node: Any, text: str) -> Iterator[Block]:
        """A paragraph as a heading, list item or plain; of an empty one in a cell its number is all there is."""
        level, item = self._styles.level(node), self._styles.item(node)
        label = item.label if item else ""
        if not text:
            yield from [Block("paragraph", label)] if label.strip() and self._inside else []
        elif level is not None:
            yield Block("heading", label + clean_line(text), level=level)
        elif item and not item.clause:
            yield Block("list", f"{'  ' * item.depth}{label or '- '}{clean_line(text)}")
        else:
            yield Block("paragraph", label + text)

    def _hanging(self, node: Any) -> Iterator[Block]:
        if node.tag in NOTES:
            self._cited.append((NOTES[node.tag], node.get(f"{W}id")))
        elif node.tag == BOX:
            yield from self._walk(node)
        elif node.tag == SHAPE_TEXT:
            for line in node.iter(f"{A}p"):
                yield Block("paragraph", clean_line(line_text(line)))
        else:
            yield from self._graphic(node)

    def _graphic(self, node: Any) -> Iterator[Block]:
        """A chart or diagram; one that cannot be read becomes a note of the document."""
        try:
            root = parse_part(self._part.related_parts[node.get(f"{R}id" if node.tag == CHART else f"{R}dm")].blob)
            yield from list(chart_blocks(root)) if node.tag == CHART else [Block("list", diagram_text(root))]
        except Exception as error:
            # A damaged part can fail in any way; the text around it is still wanted.
            kind = "diagram" if node.tag == DIAGRAM else "chart"
            self.problems.append(f"a {kind} was not read ({type(error).__name__})")

    def _cited_notes(self) -> Iterator[Block]:
        cited, self._cited = self._cited, []
        for note in cited:
            yield from self._note(note)

    def _note(self, note: tuple[str, str]) -> Iterator[Block]:
        """A footnote or endnote, the first time it is asked for."""
        if note in self._notes:
            root = self._notes.pop(note)
            self._inside += 1
            text = reduce(join_lines, (block.text.replace("\n", " ") for block in self._walk(root)), "")
            self._inside -= 1
            yield Block("note", clean_line(text))

    def _table(self, node: Any) -> Iterator[Block]:
        """A table; one with a single column is a frame around ordinary blocks."""
        rows = [list(cells(row)) for row in below(node, "tr")]
        if all(len(row) <= 1 for row in rows):
            for row in rows:
                for cell in row:
                    yield from self._walk(cell if cell is not None else ())
            return
        texts = [["" if cell is None else self._cell_text(cell) for cell in row] for row in rows]
        yield Block("table", table_rows(texts))

    def _cell_text(self, cell: Any) -> str:
        """A cell as one line: its paragraphs after each other, commas and semicolons in a list or table inside."""
        self._inside += 1
        blocks = _merge_lists(self._walk(cell))
        self._inside -= 1
        parts = []
        for block in blocks:
            lines = [line for line in block.text.split("\n") if not line.startswith("| ---")]
            if block.kind == "table":
                lines = [
                    ", ".join(part.strip() for part in line.strip("| ").split(" | ") if part.strip()) for line in lines
                ]
            if block.kind == "list":
                lines = [line.strip().removeprefix("- ") for line in lines]
            parts.append(("; " if block.kind in ("table", "list") else " ").join(lines))
        return " ".join(parts)


def _prepare(root: Any) -> list[str]:
    """Take out of the tree what says the same twice, field codes, and hidden text, which it gives."""
    unfold(root)
    drop_field_codes(root)
    return take_hidden(root)


def _end_is_deleted(paragraph: Any) -> bool:
    """Whether the end of a paragraph was deleted or moved away in a tracked change."""
    marks = paragraph.find(f"{W}pPr/{W}rPr")
    return marks is not None and any(marks.find(f"{W}{name}") is not None for name in ("del", "moveFrom"))


def _merge_lists(blocks: Iterable[Block]) -> list[Block]:
    """Consecutive list items as one block, the least deep at the margin."""
    merged: list[Block] = []
    for listed, group in groupby(blocks, lambda block: block.kind == "list"):
        together = list(group)
        merged += [Block("list", dedent("\n".join(item.text for item in together)))] if listed else together
    return merged


def _notes(part: Any) -> Iterator[tuple[tuple[str, str], Any]]:
    """Kind and number of every footnote and endnote, and its element; Word's separators are none."""
    for relation in part.rels.values():
        kind = relation.reltype.rpartition("/")[2]
        if relation.is_external or kind not in NOTES.values():
            continue
        root = parse_part(relation.target_part.blob)
        _prepare(root)
        for note in root:
            if note.get(f"{W}type") in (None, "normal"):
                yield (kind, note.get(f"{W}id")), note
