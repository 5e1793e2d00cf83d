"""PowerPoint files: each slide's title, text, tables and speaker notes, shapes inside groups included."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from kb.ingest.blocks import Block, Parsed, assemble, choose_title, clean_line, clean_lines, table_rows
from kb.ingest.headings import is_short
from kb.ingest.ooxml import check_parts

_SENTENCE_ENDS = "。.！!？?；;"


def parse_pptx(path: Path, data: bytes, encoding: str = "") -> Parsed:
    """Read a .pptx file; `encoding` means nothing here.

    Raises DocumentError for a part with a DOCTYPE. What python-pptx raises on a damaged file comes through.
    """
    import pptx

    check_parts(path, data)
    presentation = pptx.Presentation(io.BytesIO(data))
    blocks: list[Block] = []
    unread = 0
    for page, slide in enumerate(presentation.slides, 1):
        shapes = list(_shapes(slide.shapes))
        unread += sum(1 for shape in shapes if _is_graphic(shape))
        blocks += _slide(slide, shapes, page)
    notes = [f"{unread} charts or diagrams were not read"] if unread else []
    first = [block.text for block in blocks if block.kind == "heading"][:1]
    title = choose_title(path, [presentation.core_properties.title or "", *first])
    return assemble(title, "pptx", blocks, notes)


def _slide(slide: Any, shapes: list[Any], page: int) -> Iterator[Block]:
    """A slide's title as heading, then its shapes in their order, then the notes.

    On a slide without a title its first line stands for one, so that its text is not taken for the slide's before it.
    """
    title = slide.shapes.title
    heading = clean_line(title.text_frame.text) if title is not None else ""
    blocks = [
        block for shape in shapes if title is None or shape.shape_id != title.shape_id for block in _shape(shape, page)
    ]
    if not heading and blocks and blocks[0].kind in ("paragraph", "list"):
        first, _, rest = blocks[0].text.partition("\n")
        if is_short(first):
            heading = first.removeprefix("- ")
            blocks[0] = replace(blocks[0], text=rest)
    if heading:
        yield Block("heading", heading, page, 1)
    yield from blocks
    frame = slide.notes_slide.notes_text_frame if slide.has_notes_slide else None
    for line in clean_lines(frame.text).split("\n") if frame is not None else ():
        yield Block("note", line, page)


def _shapes(shapes: Any) -> Iterator[Any]:
    """The shapes of a slide or group, those inside groups in their place; date, footer and number are left out."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        elif not _is_furniture(shape):
            yield shape


def _is_furniture(shape: Any) -> bool:
    from pptx.enum.shapes import PP_PLACEHOLDER

    if not shape.is_placeholder:
        return False
    furniture = (PP_PLACEHOLDER.DATE, PP_PLACEHOLDER.FOOTER, PP_PLACEHOLDER.SLIDE_NUMBER, PP_PLACEHOLDER.HEADER)
    return shape.placeholder_format.type in furniture


def _is_graphic(shape: Any) -> bool:
    """Whether this is a chart, a SmartArt diagram or an embedded object: text that is not read."""
    return shape.element.tag.endswith("}graphicFrame") and not shape.has_table


def _shape(shape: Any, page: int) -> Iterator[Block]:
    """The blocks of one shape."""
    if getattr(shape, "has_table", False):
        rows = [["" if cell.is_spanned else cell.text for cell in row.cells] for row in shape.table.rows]
        yield Block("table", table_rows(rows), page)
    elif shape.has_text_frame:
        yield from _frame(shape.text_frame, page)


def _frame(frame: Any, page: int) -> Iterator[Block]:
    """A text frame: one list when it has several lines and none of them is a sentence, else its paragraphs."""
    lines = [(paragraph.level, clean_lines(paragraph.text).replace("\n", " ")) for paragraph in frame.paragraphs]
    lines = [(level, text) for level, text in lines if text]
    if len(lines) > 1 and not any(text[-1] in _SENTENCE_ENDS for _, text in lines):
        yield Block("list", "\n".join(f"{'  ' * level}- {text}" for level, text in lines), page)
        return
    for _, text in lines:
        yield Block("paragraph", text, page)
