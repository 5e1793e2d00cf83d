"""EPUB books: the package says the title and the order, each chapter is an HTML page.

zipfile and lxml read the package; ebooklib, which would, is under the AGPL.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from kb.errors import DocumentError
from kb.ingest.blocks import Block, Parsed, assemble, choose_title, clean_line
from kb.ingest.headings import promote
from kb.ingest.package import open_package
from kb.ingest.web import decode_html, read_page

_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
_NCX = "application/x-dtbncx+xml"


@dataclass(frozen=True)
class _Item:
    """An entry of the package's list of files."""

    part: str
    """Name of the file in the ZIP."""
    kind: str
    """Its media type."""
    properties: str


def parse_epub(path: Path, data: bytes, encoding: str = "") -> Parsed:
    """Read an .epub file; `encoding` means nothing here.

    Raises DocumentError CORRUPT or TOO_LARGE as `open_package` does, PASSWORD_NEEDED for a book under copy protection.
    """
    with open_package(path, data, office=False) as book:
        place = _tree(book, "META-INF/container.xml").xpath("string(//*[local-name()='rootfile']/@full-path)")
        package = _tree(book, place)
        items = _items(package, posixpath.dirname(place))
        pages = [items[id] for id in _order(package) if id in items and items[id].kind in _PAGES]
        _check_open(path, book, pages)
        names, notes = _names(book, items), list[str]()
        blocks = promote([block for page in pages for block in _chapter(path, book, page, names, notes)])
    titles = package.xpath("//*[local-name()='metadata']/*[local-name()='title']/text()")
    return assemble(choose_title(path, titles), "epub", blocks, notes)


def _tree(book: zipfile.ZipFile, part: str) -> Any:
    """The root of an XML part. No entity is expanded and nothing is fetched."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
    root = etree.fromstring(book.read(part), parser)
    if root is None:
        raise ValueError(f"{part} is no XML")
    return root


def _items(package: Any, folder: str) -> dict[str, _Item]:
    """The files of the book by their id."""
    return {
        item.get("id", ""): _Item(
            _part(folder, item.get("href", "")), item.get("media-type", ""), item.get("properties", "")
        )
        for item in package.xpath("//*[local-name()='manifest']/*[local-name()='item']")
    }


def _part(folder: str, href: str) -> str:
    """The name in the ZIP of what is linked from a file in `folder`."""
    return posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0])))


def _order(package: Any) -> list[str]:
    """The ids of the spine in reading order; what is not part of the line (notes, answers) comes last."""
    entries = package.xpath("//*[local-name()='spine']/*[local-name()='itemref']")
    return [entry.get("idref", "") for entry in sorted(entries, key=lambda entry: entry.get("linear") == "no")]


def _check_open(path: Path, book: zipfile.ZipFile, pages: list[_Item]) -> None:
    """Raise DocumentError PASSWORD_NEEDED where pages are encrypted; fonts often are in books without protection."""
    if "META-INF/encryption.xml" not in book.namelist():
        return
    locked = _tree(book, "META-INF/encryption.xml").xpath("//*[local-name()='CipherReference']/@URI")
    if {_part("", uri) for uri in locked} & {page.part for page in pages}:
        raise DocumentError("PASSWORD_NEEDED", f"{path}: is under copy protection. Use a copy without it.")


def _names(book: zipfile.ZipFile, items: dict[str, _Item]) -> dict[str, str]:
    """What the tables of contents call each page, the first name for each."""
    names: dict[str, str] = {}
    parts = set(book.namelist())
    for item in items.values():
        read = _nav if "nav" in item.properties.split() else _ncx if item.kind == _NCX else None
        if read and item.part in parts:
            for href, name in read(_tree(book, item.part)):
                names.setdefault(_part(posixpath.dirname(item.part), href), clean_line(name))
    return names


def _nav(page: Any) -> Iterator[tuple[str, str]]:
    """The links and names of a table of contents of EPUB 3."""
    for link in page.xpath("(//*[local-name()='nav'])[1]//*[local-name()='a']"):
        yield link.get("href", ""), "".join(link.itertext())


def _ncx(contents: Any) -> Iterator[tuple[str, str]]:
    """The links and names of a table of contents of EPUB 2."""
    for point in contents.xpath("//*[local-name()='navPoint']"):
        link = point.xpath("string(*[local-name()='content']/@src)")
        yield link, point.xpath("string(*[local-name()='navLabel'])")


def _chapter(
    path: Path, book: zipfile.ZipFile, page: _Item, names: dict[str, str], notes: list[str]
) -> Iterator[Block]:
    """The blocks of a page, under its name in the table of contents where it has no heading. Contents are left out."""
    if "nav" in page.properties.split():
        return
    try:
        text, guessed = decode_html(path, book.read(page.part))
    except KeyError:
        notes.append(f"the page {page.part} is missing")
        return
    read = read_page(text)
    notes += [f"{page.part}: {note}" for note in (*guessed, *read.notes)]
    blocks = read.blocks
    name = names.get(page.part, "")
    if blocks and name and not any(block.kind == "heading" for block in blocks):
        first = blocks[0]
        yield Block("heading", name, level=1)
        blocks = blocks[1:] if first.text.strip() == name else blocks
    for block in blocks:
        # The only <h1> of a page is a chapter here, not the document's title.
        yield replace(block, level=1) if block.kind == "heading" and block.level == 0 else block
