"""A composed document as a real file: PDF, Word, PowerPoint, text (UTF-8 or GB18030) or Markdown.

Written by the libraries of those formats, with headings, tables, lists, slide notes and page furniture. The same
composition gives the same bytes: clocks and random ids are taken out, zip members carry a fixed date.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kb.corpora.documents import Block, Composition, as_lines, block_text, sentence_space
from kb.corpora.world import document_words

EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
CJK_FONT = "STSong-Light"
"""A CID font that every PDF reader has, so that no font file has to be shipped."""


def render(document: Composition, path: Path, encoding: str = "utf-8") -> None:
    """Write `document` to `path` in the format its suffix says; `encoding` is for .txt alone."""
    writers: dict[str, Callable[[Composition], bytes]] = {
        ".pdf": as_pdf, ".docx": as_docx, ".pptx": as_pptx, ".md": as_markdown,
        ".txt": lambda d: as_text(d).encode(encoding),
    }  # fmt: skip
    path.write_bytes(writers[path.suffix](document))


def as_markdown(document: Composition) -> bytes:
    """Markdown with ATX headings, pipe tables and dashed lists."""
    parts = [f"# {document.title}"]
    for section in document.sections:
        parts += [f"## {section.heading}", *(block_text(block) for block in section.blocks)]
    return ("\n\n".join(parts) + "\n").encode()


def as_text(document: Composition) -> str:
    """Plain text: headings alone on a line, tables and lists as lines "label: value"."""
    parts = [document.title]
    for section in document.sections:
        parts += [section.heading, *(block_text(block) for block in as_lines(section).blocks)]
    return "\n\n".join(parts) + "\n"


def as_docx(document: Composition) -> bytes:
    """Word, with heading styles, a header and a footer."""
    import docx

    words = document_words(document.language)
    file = docx.Document()
    properties = file.core_properties
    properties.title, properties.author, properties.created, properties.modified = document.title, "kb", EPOCH, EPOCH
    file.sections[0].header.paragraphs[0].text = words["header"]
    file.sections[0].footer.paragraphs[0].text = words["footer"].format(p=1)
    file.add_heading(document.title, 0)
    for section in document.sections:
        file.add_heading(section.heading, 1)
        for block in section.blocks:
            if block.kind == "table":
                rows = [line.split(" | ") for line in block.lines]
                table = file.add_table(len(rows), 2, style="Table Grid")
                for row, cells in zip(table.rows, rows, strict=True):
                    row.cells[0].text, row.cells[1].text = cells
            elif block.kind == "bullets":
                for line in block.lines:
                    file.add_paragraph(line, style="List Bullet")
            else:
                file.add_paragraph(_prose(block))
    return _saved(file.save)


def as_pptx(document: Composition) -> bytes:
    """PowerPoint: a title slide, then a slide a section; prose beside a list or table goes to its notes."""
    import pptx
    from pptx.util import Inches

    file = pptx.Presentation()
    properties = file.core_properties
    properties.title, properties.author, properties.created, properties.modified = document.title, "kb", EPOCH, EPOCH
    properties.last_modified_by = "kb"
    title = file.slides.add_slide(file.slide_layouts[0])
    title.shapes.title.text = document.title
    title.placeholders[1].text = document_words(document.language)["header"]
    for section in document.sections:
        tables = [block for block in section.blocks if block.kind == "table"]
        slide = file.slides.add_slide(file.slide_layouts[5 if tables else 1])
        slide.shapes.title.text = section.heading
        shown = [line for block in section.blocks if block.kind == "bullets" for line in block.lines]
        prose = [_prose(block) for block in section.blocks if block.kind == "paragraph"]
        if tables:
            rows = [line.split(" | ") for line in tables[0].lines]
            table = slide.shapes.add_table(len(rows), 2, Inches(1), Inches(2), Inches(8), Inches(0.4 * len(rows))).table
            for i, cells in enumerate(rows):
                table.cell(i, 0).text, table.cell(i, 1).text = cells
        else:
            slide.placeholders[1].text = "\n".join(shown or prose)
        if prose and (shown or tables):
            slide.notes_slide.notes_text_frame.text = "\n".join(prose)
    return _saved(file.save)


def as_pdf(document: Composition) -> bytes:
    """PDF with bookmarks, ruled tables, a running header and page numbers; Chinese in a CID font."""
    from reportlab.lib.pagesizes import A5
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.platypus import SimpleDocTemplate

    zh = document.language == "zh"
    if zh:
        pdfmetrics.registerFont(UnicodeCIDFont(CJK_FONT))
    font = CJK_FONT if zh else "Helvetica"
    words = document_words(document.language)

    def furniture(canvas: Any, page: Any) -> None:
        canvas.setFont(font, 8)
        canvas.drawString(50, A5[1] - 30, words["header"])
        canvas.drawCentredString(A5[0] / 2, 25, words["footer"].format(p=canvas.getPageNumber()))

    buffer = io.BytesIO()
    file = SimpleDocTemplate(
        buffer, pagesize=A5, title=document.title, author="kb", invariant=1, topMargin=50, bottomMargin=50,
        leftMargin=50, rightMargin=50,
    )  # fmt: skip
    file.build(_pdf_story(document, font), onFirstPage=furniture, onLaterPages=furniture)
    return buffer.getvalue()


def _pdf_story(document: Composition, font: str) -> list[Any]:
    from reportlab.lib import colors
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import ListFlowable, ListItem, Paragraph, Spacer, Table, TableStyle
    from reportlab.platypus.flowables import AnchorFlowable, Flowable

    wrap = {"wordWrap": "CJK"} if document.language == "zh" else {}
    body = ParagraphStyle("body", fontName=font, fontSize=10, leading=15, spaceAfter=6, **wrap)
    heading = ParagraphStyle("heading", fontName=font, fontSize=14, leading=20, spaceBefore=10, spaceAfter=6, **wrap)
    title = ParagraphStyle("title", fontName=font, fontSize=18, leading=26, spaceAfter=12, **wrap)

    class Bookmark(Flowable):  # type: ignore[misc]
        """A line of the outline that points to where it stands."""

        def __init__(self, text: str, key: str) -> None:
            super().__init__()
            self.text, self.key = text, key

        def wrap(self, *_: float) -> tuple[float, float]:
            return 0, 0

        def draw(self) -> None:
            self.canv.addOutlineEntry(self.text, self.key, level=0)

    story: list[Any] = [Paragraph(document.title, title)]
    for number, section in enumerate(document.sections):
        key = f"s{number}"
        story += [AnchorFlowable(key), Bookmark(section.heading, key), Paragraph(section.heading, heading)]
        for block in section.blocks:
            if block.kind == "table":
                cells = [[Paragraph(cell, body) for cell in line.split(" | ")] for line in block.lines]
                grid = TableStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.grey)])
                story += [Table(cells, colWidths=(120, 190), style=grid), Spacer(1, 8)]
            elif block.kind == "bullets":
                items = [ListItem(Paragraph(line, body)) for line in block.lines]
                story.append(ListFlowable(items, bulletType="bullet", start="•"))
            else:
                story.append(Paragraph(_prose(block), body))
    return story


def _prose(block: Block) -> str:
    return sentence_space(block.lines).join(block.lines)


def _saved(save: Callable[[Any], None]) -> bytes:
    """What an OOXML library saves, with every zip member dated alike, so that the bytes are the same each time."""
    raw, fixed = io.BytesIO(), io.BytesIO()
    save(raw)
    with zipfile.ZipFile(raw) as before, zipfile.ZipFile(fixed, "w", zipfile.ZIP_DEFLATED) as after:
        for name in sorted(before.namelist(), key=lambda n: (n != "[Content_Types].xml", n)):
            info = zipfile.ZipInfo(name, EPOCH.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o600 << 16
            after.writestr(info, before.read(name))
    return fixed.getvalue()
