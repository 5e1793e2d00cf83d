"""EPUB books, packed by the test."""

import io
import zipfile
from pathlib import Path

import pytest

from kb.errors import DocumentError
from kb.ingest.epub import parse_epub
from kb.ingest.parse import parse

FILE = Path("/docs/book.epub")
PAGE = '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head>{0}</head><body>{1}</body></html>'
CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'


def book(pages, extra=(), items="", parts=(), head="<title/>"):
    """An EPUB of (file, body) pages in spine order; `extra` gives the spine entries themselves."""
    names = [name for name, _ in pages]
    manifest = "".join(
        f'<item id="p{n}" href="{name.replace(" ", "%20")}" media-type="application/xhtml+xml"/>'
        for n, name in enumerate(names)
    )
    spine = "".join(extra) or "".join(f'<itemref idref="p{n}"/>' for n in range(len(names)))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("mimetype", "application/epub+zip")
        made.writestr("META-INF/container.xml", CONTAINER)
        made.writestr(
            "OEBPS/book.opf",
            '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
            f"<dc:title>员工手册</dc:title></metadata><manifest>{manifest}{items}</manifest>"
            f'<spine toc="ncx">{spine}</spine></package>',
        )
        for name, body in pages:
            made.writestr(f"OEBPS/{name}", PAGE.format(head, body))
        for name, data in parts:
            made.writestr(name, data)
    return buffer.getvalue()


def blocks(data):
    """Kind, level and text of the blocks of a book."""
    return [(block.kind, block.level, block.text) for block in parse_epub(FILE, data).blocks]


def test_pages_in_the_order_of_the_spine():
    """The spine and not the ZIP says the order; what is beside the line comes last; the package says the title."""
    pages = [
        ("b c.xhtml", "<h1>第二章</h1><p>罚款。</p>"),
        ("a.xhtml", "<p>Notes.</p>"),
        ("c.xhtml", "<h1>One</h1><p>x</p>"),
    ]
    spine = ['<itemref idref="p1" linear="no"/>', '<itemref idref="p2"/>', '<itemref idref="p0"/>']
    data = book(pages, spine)
    assert parse_epub(FILE, data).title == "员工手册"
    assert blocks(data) == [
        ("heading", 1, "One"), ("paragraph", 0, "x"),
        ("heading", 1, "第二章"), ("paragraph", 0, "罚款。"), ("paragraph", 0, "Notes."),
    ]  # fmt: skip


def test_an_empty_element_in_short_form_swallows_nothing():
    """`<title/>` and `<a id="x"/>` are XHTML; the text after them is read."""
    assert blocks(book([("a.xhtml", '<p><a id="x"/>条例 &#169; <i class="a>b"/>x<br/>y</p><div/>end')])) == [
        ("paragraph", 0, "条例 © x\ny"),
        ("paragraph", 0, "end"),
    ]


@pytest.mark.parametrize("kind", ["nav", "ncx"])
def test_pages_without_a_heading_get_their_name_from_the_contents(kind):
    """The table of contents, of either kind, names chapters that do not name themselves; it is no chapter itself."""
    if kind == "nav":
        item = '<item id="n" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
        contents = '<nav><a href="a.xhtml#start">第一章</a><a href="b.xhtml">第二章</a></nav>'
        part = ("OEBPS/nav.xhtml", PAGE.format("", contents))
    else:
        item = '<item id="n" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
        points = "".join(
            f'<navPoint><navLabel><text>{name}</text></navLabel><content src="{page}"/></navPoint>'
            for page, name in (("a.xhtml", "第一章"), ("b.xhtml", "第二章"))
        )
        part = ("OEBPS/toc.ncx", f"<ncx><navMap>{points}</navMap></ncx>")
    pages = [("a.xhtml", "<p>罚款。</p>"), ("b.xhtml", "<p>第二章</p><p>生效。</p>")]
    spine = [f'<itemref idref="{id}"/>' for id in ("n", "p0", "p1")]
    assert blocks(book(pages, spine, item, [part])) == [
        ("heading", 1, "第一章"), ("paragraph", 0, "罚款。"), ("heading", 1, "第二章"), ("paragraph", 0, "生效。"),
    ]  # fmt: skip


def test_a_missing_page_is_noted():
    """A page that the package names and does not have is said; the others are read."""
    item = '<item id="x" href="gone.xhtml" media-type="application/xhtml+xml"/>'
    read = parse_epub(FILE, book([("a.xhtml", "条例")], ['<itemref idref="x"/>', '<itemref idref="p0"/>'], item))
    assert (read.text, read.notes) == ("条例", ("the page OEBPS/gone.xhtml is missing",))


@pytest.mark.parametrize(("part", "locked"), [("OEBPS/a.xhtml", True), ("OEBPS/fonts/a.otf", False)])
def test_copy_protection(part, locked):
    """Encrypted pages cannot be read and the cure is named; encrypted fonts are common and do no harm."""
    data = book([("a.xhtml", "条例")], parts=[("META-INF/encryption.xml", f'<e><CipherReference URI="{part}"/></e>')])
    if not locked:
        assert parse_epub(FILE, data).text == "条例"
        return
    with pytest.raises(DocumentError, match="copy protection") as caught:
        parse_epub(FILE, data)
    assert caught.value.status == "PASSWORD_NEEDED"


def test_no_file_of_the_machine_is_read(tmp_path):
    """An entity that names a file outside of the book gives nothing."""
    (tmp_path / "secret.txt").write_text("secret")
    attack = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{tmp_path}/secret.txt">]>'
    data = book([("a.xhtml", "<p>条例&x;</p>")])
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(changed, "w") as made:
        for name in source.namelist():
            text = source.read(name).replace(b"<package", attack.encode() + b"<package")
            made.writestr(name, text.replace("员工手册".encode(), b"&x;"))
    read = parse_epub(FILE, changed.getvalue())
    assert "secret" not in read.title + read.text


def test_a_book_is_told_by_its_content(tmp_path):
    """A book under its suffix is read through the common road; under another it is told what it is."""
    (tmp_path / "a.epub").write_bytes(book([("a.xhtml", "条例")]))
    (tmp_path / "a.docx").write_bytes(book([("a.xhtml", "条例")]))
    assert parse(tmp_path / "a.epub").text == "条例"
    with pytest.raises(DocumentError, match=r"Rename it to \.epub"):
        parse(tmp_path / "a.docx")
