"""PDF files: text and geometry by PDFium; bookmarks, page labels and title by pypdf.

pypdf's own text is not used: it garbles common Chinese fonts without an error.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kb.errors import DocumentError
from kb.ingest.blocks import Block, Parsed, assemble, choose_title, clean_line
from kb.ingest.furniture import Page, drop_furniture
from kb.ingest.layout import to_blocks
from kb.ingest.pdf_lines import read_lines

_WRONG_PASSWORD = 4
"""PDFium's error code for a file that opens with a password only."""


@dataclass
class _Extras:
    """What pypdf knows about a file."""

    title: str = ""
    labels: list[str] = field(default_factory=list)
    outline: dict[int, list[tuple[str, int]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def parse_pdf(path: Path, data: bytes, encoding: str = "") -> Parsed:
    """Read a PDF; `encoding` means nothing here. Empty user passwords and owner passwords do not hinder.

    Raises DocumentError PASSWORD_NEEDED, CORRUPT, NEEDS_OCR (no page has text, but something is drawn) or EMPTY.
    """
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code == _WRONG_PASSWORD:
            raise DocumentError("PASSWORD_NEEDED", f"{path}: needs a password. Save a copy without one.") from error
        raise DocumentError(
            "CORRUPT", f"{path}: is damaged ({error}). Open it in a viewer and print it to a new PDF."
        ) from error
    try:
        extras = _extras(data)
        pages = list(_pages(document, extras.labels))
        bare = [page.number for page in pages if not page.lines]
        if len(bare) == len(pages):
            drawn = any(next(iter(page.get_objects(max_depth=1)), None) for page in document)
            if drawn:
                raise DocumentError("NEEDS_OCR", f"{path}: no page has text, only pictures. Run it through OCR first.")
            raise DocumentError("EMPTY", f"{path}: no page has text.")
    finally:
        document.close()
    pages, notes = drop_furniture(pages)
    blocks = to_blocks(pages, extras.outline, _own_title(extras.title))
    notes += [f"pages without text, which OCR could read: {_ranges(bare)}"] if bare else []
    return assemble(choose_title(path, [extras.title, *_first_heading(blocks)]), "pdf", blocks, [*extras.notes, *notes])


def _pages(document: Any, labels: list[str]) -> Iterator[Page]:
    """Every page with its lines."""
    for number, page in enumerate(document, 1):
        label = labels[number - 1] if number <= len(labels) else str(number)
        yield Page(number, label, float(page.get_height()), tuple(read_lines(page)))
        page.close()


def _own_title(title: str) -> str:
    """The title in the metadata when it is one, else ""."""
    return choose_title(Path(), [title])


def _first_heading(blocks: list[Block]) -> list[str]:
    """The highest heading of the first page that has text."""
    headings = [block for block in blocks if block.kind == "heading" and block.page == blocks[0].page]
    return [min(headings, key=lambda block: block.level).text] if headings else []


def _extras(data: bytes) -> _Extras:
    """Title, labels and bookmarks. A file that pypdf cannot read has none of them and is still read."""
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    extras = _Extras()
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        if reader.is_encrypted:
            reader.decrypt("")
        extras.title = clean_line(str((reader.metadata and reader.metadata.title) or ""))
        root: Any = reader.trailer["/Root"].get_object()
        if "/PageLabels" in root:
            extras.labels = list(reader.page_labels)
        if "/Outlines" in root:
            _bookmarks(reader, reader.outline, 1, extras.outline)
    except Exception as error:
        # pypdf fails on damaged files in any way; the text comes from PDFium, so only the extras are lost, and said so.
        extras.notes.append(f"bookmarks and labels could not be read ({type(error).__name__})")
    return extras


def _bookmarks(reader: Any, entries: Any, level: int, outline: dict[int, list[tuple[str, int]]]) -> None:
    """Collect bookmarks by page; a list among the entries holds the children of the one before it."""
    for entry in entries:
        if isinstance(entry, list):
            _bookmarks(reader, entry, level + 1, outline)
            continue
        page = reader.get_destination_page_number(entry)
        title = clean_line(str(entry.title or ""))
        if page is not None and page >= 0 and title:
            outline.setdefault(page + 1, []).append((title, level))


def _ranges(numbers: list[int]) -> str:
    """1, 2, 3, 7 as "1-3, 7"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
