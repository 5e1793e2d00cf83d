"""PDF files: text and geometry by PDFium; bookmarks, page labels and title by pypdf.

pypdf's own text is the last resort, for a page that PDFium makes garbage of: pypdf garbles common Chinese fonts without
an error. Whoever reads it, a page's text has to pass the gate of `garble`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kb.errors import DocumentError
from kb.ingest.blocks import Block, Parsed, assemble, choose_title
from kb.ingest.furniture import Page, drop_furniture
from kb.ingest.layout import to_blocks
from kb.ingest.pdf_extras import Extras, OtherEngine, read_extras
from kb.ingest.pdf_lines import Reading, plain_lines, read_page

_WRONG_PASSWORD = 4
"""PDFium's error code for a file that opens with a password only."""
_OCR = "Have it read: pip install 'kb[ocr]'; or run it through OCR first."
SHOWN = 80
"""Characters of a hidden text that a note shows."""


@dataclass
class _Found:
    """The pages of a file, and the numbers of those that a note names."""

    pages: list[Page] = field(default_factory=list)
    bare: list[int] = field(default_factory=list)
    garbled: list[int] = field(default_factory=list)
    patched: list[int] = field(default_factory=list)
    repaired: list[int] = field(default_factory=list)
    scanned: list[int] = field(default_factory=list)
    """Read by OCR."""
    hidden: list[tuple[int, str]] = field(default_factory=list)
    """Page and text nobody sees."""
    drawn: bool = False
    """Whether anything is drawn on a page without text."""

    @property
    def unread(self) -> list[int]:
        """The pages that OCR may be able to read."""
        return sorted([*self.bare, *self.garbled])

    def notes(self) -> list[str]:
        """What the reader should know."""
        said = (
            (self.bare, "pages without text, which OCR could read: {}"),
            (self.garbled, "pages left out because their fonts give garbage for text, which OCR could read: {}"),
            (self.patched, "lines left out because their font gives garbage for text, pages: {}"),
            (self.scanned, "pages read by OCR, which makes mistakes: {}"),
            (self.repaired, "pages read as Chinese (GB 18030) although their fonts say Western: {}"),
        )
        notes = [text.format(ranges(numbers)) for numbers, text in said if numbers]
        return notes + ([self.hidden_note()] if self.hidden else [])

    def hidden_note(self) -> str:
        """Where text is that nobody sees, and how it begins: it may be meant for a model and not for readers."""
        text = self.hidden[0][1]
        begins = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
        pages = ranges(number for number, _ in self.hidden)
        return f"hidden text left out (invisible, of the paper's colour or tiny), pages {pages}: “{begins}”"


def parse_pdf(path: Path, data: bytes, encoding: str = "", passwords: Sequence[str] = (), ocr: bool = False) -> Parsed:
    """Read a PDF; `encoding` means nothing here. A file that needs a password is opened with the first that fits; empty
    user passwords and owner passwords do not hinder. With `ocr`, pages without text that makes sense are read from
    their picture; without, `unread_pages` of the result or the error says how many there are.

    Raises DocumentError PASSWORD_NEEDED, CORRUPT, GARBLED (no page's text makes sense), NEEDS_OCR (no page has text,
    but something is drawn) or EMPTY.
    """
    document, password = _open(path, data, passwords)
    try:
        extras = read_extras(data, password)
        found = _read(document, OtherEngine(data, password), extras)
        if ocr and found.unread:
            _scan(document, found)
    finally:
        document.close()
    _check(path, found)
    pages, notes = drop_furniture(found.pages)
    blocks = to_blocks(pages, extras.outline, _own_title(extras.title))
    title = choose_title(path, [extras.title, *_first_heading(blocks)])
    parsed = assemble(title, "pdf", blocks, [*extras.notes, *notes, *found.notes()])
    return replace(parsed, unread_pages=len(found.unread))


def _scan(document: Any, found: _Found) -> None:
    """Read the pages that have no text that makes sense by OCR."""
    from kb.ingest.ocr import Ocr

    engine = Ocr()
    for number in found.unread:
        page = document[number - 1]
        lines, height = engine.lines(page), float(page.get_height())
        page.close()
        if lines:
            found.pages[number - 1] = replace(found.pages[number - 1], lines=lines, height=height)
            found.scanned.append(number)
    for numbers in (found.bare, found.garbled):
        numbers[:] = [number for number in numbers if number not in found.scanned]


def _open(path: Path, data: bytes, passwords: Sequence[str]) -> tuple[Any, str]:
    """The opened document, and the password that opened it, "" for none."""
    import pypdfium2

    for password in ("", *passwords):
        try:
            return pypdfium2.PdfDocument(data, password=password or None), password
        except pypdfium2.PdfiumError as error:
            if error.err_code != _WRONG_PASSWORD:
                cure = "Open it in a viewer and print it to a new PDF."
                raise DocumentError("CORRUPT", f"{path}: is damaged ({error}). {cure}") from error
    needs = "needs another password" if passwords else "needs a password"
    raise DocumentError("PASSWORD_NEEDED", f"{path}: {needs}. Give it: --password or --password-file.")


def _read(document: Any, other: OtherEngine, extras: Extras) -> _Found:
    """Every page with its lines; a page whose text makes no sense has none."""
    found = _Found()
    for number, page in enumerate(document, 1):
        reading = read_page(page)
        if reading.fate in ("garbled", "silent") and not reading.hidden:
            # pypdf does not know what is hidden.
            reading = plain_lines(other.text(number), reading.fate)
        _note(found, number, reading)
        if not reading.lines and not found.drawn:
            found.drawn = next(iter(page.get_objects(max_depth=1)), None) is not None
        label = extras.labels[number - 1] if number <= len(extras.labels) else str(number)
        found.pages.append(Page(number, label, reading.height or float(page.get_height()), reading.lines))
        page.close()
    return found


def _note(found: _Found, number: int, reading: Reading) -> None:
    """Remember a page that a note names."""
    if reading.hidden:
        found.hidden.append((number, reading.hidden))
    named = {"garbled": found.garbled, "patched": found.patched, "repaired": found.repaired}
    if reading.fate in named:
        named[reading.fate].append(number)
    elif not reading.lines:
        found.bare.append(number)


def _check(path: Path, found: _Found) -> None:
    """Raise DocumentError when no page has text that makes sense."""
    if any(page.lines for page in found.pages):
        return
    if found.garbled:
        what = "its fonts give garbage for text, on every page that has any"
        raise DocumentError("GARBLED", f"{path}: {what}. {_OCR}", len(found.unread))
    if found.hidden:
        raise DocumentError("EMPTY", f"{path}: no page has text that can be seen; {found.hidden_note()}.")
    if found.drawn:
        raise DocumentError("NEEDS_OCR", f"{path}: no page has text, only pictures. {_OCR}", len(found.unread))
    raise DocumentError("EMPTY", f"{path}: no page has text.")


def _own_title(title: str) -> str:
    """The title in the metadata when it is one, else ""."""
    return choose_title(Path(), [title])


def _first_heading(blocks: list[Block]) -> list[str]:
    """The highest heading of the first page that has text."""
    headings = [block for block in blocks if block.kind == "heading" and block.page == blocks[0].page]
    return [min(headings, key=lambda block: block.level).text] if headings else []


def ranges(numbers: Iterable[int]) -> str:
    """1, 2, 3, 7 as "1-3, 7"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
