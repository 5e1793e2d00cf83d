"""PowerPoint files: each slide's title, text, tables, charts, diagrams and speaker notes.

python-pptx opens the package; the shapes are read from the slide's own XML, where a shape of a kind that python-pptx
does not know is a shape like any other.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from kb.ingest.blocks import Block, Parsed, assemble, choose_title, clean_line
from kb.ingest.headings import is_short
from kb.ingest.ooxml import unfold
from kb.ingest.shapes import Unread, is_title, lines, shape_blocks, shapes, typed_edges


def parse_pptx(path: Path, data: bytes, encoding: str = "") -> Parsed:
    """Read a .pptx file; `encoding` means nothing here. Slides that the author hid are read too, and a note says so.

    What python-pptx raises on a damaged file comes through.
    """
    import pptx

    presentation = pptx.Presentation(io.BytesIO(data))
    blocks: list[Block] = []
    said: dict[str, list[int]] = {}
    slides = list(presentation.slides)
    running = Counter(_said(shape) for slide in slides for shape in typed_edges(slide.element.cSld.spTree))
    for page, slide in enumerate(slides, 1):
        if slide.element.get("show") in ("0", "false"):
            said.setdefault("hidden slides were read", []).append(page)
        blocks += _slide(slide, page, said, running)
    notes = [f"{what}: {', '.join(map(str, dict.fromkeys(pages)))}" for what, pages in said.items()]
    first = [block.text for block in blocks if block.kind == "heading"][:1]
    title = choose_title(path, [presentation.core_properties.title or "", *first])
    return assemble(title, "pptx", blocks, notes)


def _said(shape: Any) -> str:
    """The text of a shape in one line."""
    return " ".join(line.text for line in lines(shape))


def _slide(slide: Any, page: int, said: dict[str, list[int]], running: Counter[str]) -> Iterator[Block]:
    """A slide's title as heading, then its shapes in their order, a date or footer of its own, then the notes.

    On a slide without a title its first line stands for one, so that its text is not taken for the slide's before it.
    """
    found = _tree(slide)
    found += [shape for shape in typed_edges(slide.element.cSld.spTree) if running[_said(shape)] == 1]
    title = next((shape for shape in found if is_title(shape)), None)
    heading = "" if title is None else clean_line(_said(title))
    blocks = [block for shape in found if shape is not title for block in _blocks(shape, slide.part, page, said)]
    if not heading and blocks and blocks[0].kind in ("paragraph", "list"):
        first, _, rest = blocks[0].text.partition("\n")
        if is_short(first):
            heading = first.removeprefix("- ")
            blocks[0] = replace(blocks[0], text=rest)
    if heading:
        yield Block("heading", heading, page, 1)
    yield from blocks
    for shape in _tree(slide.notes_slide) if slide.has_notes_slide else ():
        for line in lines(shape):
            yield Block("note", line.label + line.text, page)


def _tree(slide: Any) -> list[Any]:
    """The shapes of a slide or of its notes, alternatives for older programs taken out."""
    unfold(slide.element)
    return list(shapes(slide.element.cSld.spTree))


def _blocks(shape: Any, part: Any, page: int, said: dict[str, list[int]]) -> list[Block]:
    """The blocks of a shape; of one that cannot be read, its bare text, and `said` keeps what was not read where."""
    try:
        return list(shape_blocks(shape, part, page))
    except Unread as error:
        said.setdefault(f"{error} were not read, slides", []).append(page)
    except Exception as error:
        # A damaged shape can fail in any way; the others on its slide are still wanted.
        said.setdefault(f"damaged shapes were not read in full ({type(error).__name__}), slides", []).append(page)
    return [Block("paragraph", line.label + line.text, page) for line in lines(shape)]
