"""What pypdf gives of a PDF: title, page labels, bookmarks, and the text of pages of which PDFium makes no sense."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kb.ingest.blocks import clean_line
from kb.ingest.garble import judge


@dataclass
class Extras:
    """What pypdf knows about a file."""

    title: str = ""
    labels: list[str] = field(default_factory=list)
    outline: dict[int, list[tuple[str, int]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_extras(data: bytes, password: str = "") -> Extras:
    """Title, labels and bookmarks of a file that this password opens.

    A file that pypdf cannot read has none of them and is still read.
    """
    extras = Extras()
    try:
        reader = _reader(data, password)
        title = clean_line(str((reader.metadata and reader.metadata.title) or ""))
        extras.title = "" if judge(title).is_garbage else title
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


class OtherEngine:
    """pypdf as a reader of text, in its plain mode; the file is opened when the first page is asked for."""

    def __init__(self, data: bytes, password: str = "") -> None:
        self._data, self._password = data, password

    @cached_property
    def _pages(self) -> Any:
        return _reader(self._data, self._password).pages

    def text(self, number: int) -> str:
        """The text of a page, from 1; "" when it cannot be read."""
        try:
            return str(self._pages[number - 1].extract_text())
        except Exception:
            # pypdf fails on damaged pages in any way. The page is then left out, and said so by who asked.
            return ""


def _reader(data: bytes, password: str) -> Any:
    """The file, opened with a password where it needs one."""
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    reader = pypdf.PdfReader(io.BytesIO(data))
    if reader.is_encrypted:
        reader.decrypt(password)
    return reader
