"""Small real files, written by the libraries of their formats."""

import io
import random
from dataclasses import replace

import pytest

from kb.ingest.blocks import Block, assemble
from kb.ingest.config import IngestConfig
from kb.ingest.run import run
from kb.records import Chunk, Document
from kb.workspace import Workspace

ZH = "# 条例\n\n## 罚款\n\n罚款不超过47万元。\n\n## 生效\n\n条例于1992年12月17日生效。\n"
EN = "# Rules\n\n## Fines\n\nThe maximum fine is 84 thousand crowns.\n"


@pytest.fixture
def workspace(tmp_path):
    """An empty workspace beside the documents, not among them."""
    place = Workspace(tmp_path / "workspace", create=True)
    yield place
    place.store.close()


@pytest.fixture
def folder(tmp_path):
    """An empty folder for documents."""
    place = tmp_path / "docs"
    place.mkdir()
    return place


@pytest.fixture
def canvas_pdf():
    """Makes a PDF from pages of (x, y, size, text) strings, drawn where they say; Chinese in STSong-Light."""

    def make(*pages, size=(400, 600), title=None, bookmarks=(), font=None):
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.cidfonts import UnicodeCIDFont
        from reportlab.pdfgen.canvas import Canvas

        pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
        buffer = io.BytesIO()
        canvas = Canvas(buffer, pagesize=size)
        if title:
            canvas.setTitle(title)
        for number, page in enumerate(pages, 1):
            for bookmark, at, level in bookmarks:
                if at == number:
                    canvas.bookmarkPage(bookmark)
                    canvas.addOutlineEntry(bookmark, bookmark, level)
            for x, y, height, text in page:
                canvas.setFont(font or ("Helvetica" if text.isascii() else "STSong-Light"), height)
                canvas.drawString(x, y, text)
            canvas.showPage()
        canvas.save()
        return buffer.getvalue()

    return make


@pytest.fixture
def parsed():
    """Makes a parsed document from (kind, text) or (kind, text, level) blocks."""

    def make(*blocks, title="Handbook", format="md", pages=()):
        made = [
            Block(kind, text, pages[index] if pages else 0, *level) for index, (kind, text, *level) in enumerate(blocks)
        ]
        return assemble(title, format, made)

    return make


@pytest.fixture
def watched(parsed):
    """Makes a document of 200 paragraphs, and a list that grows whenever somebody goes through all its blocks."""
    looked = []

    class Watched(tuple):
        def __iter__(self):
            looked.append(len(self))
            return super().__iter__()

    def make(text):
        document = parsed(*[("paragraph", text.format(n)) for n in range(200)])
        return replace(document, blocks=Watched(document.blocks)), looked

    return make


@pytest.fixture
def drawn(parsed):
    """Makes a document of random structure, in both languages, from a seed."""
    words = ["rule", "条例规定罚款", "84", "crowns", "。", "extraordinarily", "A-1042", "\n"]

    def make(seed):
        draw = random.Random(seed)
        blocks = []
        for _ in range(draw.randint(1, 60)):
            kind = draw.choice(["heading", "paragraph", "list", "table", "note"])
            joint, some = draw.choice(["", " "]), words[: -1 if kind == "heading" else None]
            text = "x" + joint.join(draw.choices(some, k=draw.choice([1, 8, 200])))
            blocks.append((kind, text, draw.randint(0, 4) if kind == "heading" else 0))
        return parsed(*blocks)

    return make


@pytest.fixture
def ingest(workspace):
    """Runs `kb ingest` without progress, and, unless told otherwise, without processes of its own."""

    def go(*paths, into=workspace, **config):
        return run(paths, IngestConfig(**{"jobs": 0} | config), into, show=False)

    return go


@pytest.fixture
def state():
    """Everything that counts in a workspace: live documents and chunks, failures."""

    def read(workspace):
        store = workspace.store
        documents = sorted((d.path, d.sha256, d.lineage) for d in store.all(Document))
        chunks = sorted((c.id, c.document_id, c.text, c.header, c.start, c.end) for c in store.all(Chunk))
        return documents, chunks, store.failures("ingest")

    return read


@pytest.fixture
def corpus(folder):
    """A Chinese and an English document."""
    (folder / "zh.md").write_bytes(ZH.encode())
    (folder / "en.md").write_bytes(EN.encode())
    return folder


@pytest.fixture
def raw_pdf():
    """Makes a PDF from pages of content in PDF's own language, where /F1 is Helvetica as Western programs set it.

    `unicode` is where its wrong map to Unicode begins, "" for none. With `drawn`, /F1 is a font
    whose only letter, "a", is drawn by that, ten points wide in a font of size 1.
    """

    def make(*pages, size=(400, 600), unicode="", drawn=b""):
        cmap = _cmap(unicode) if unicode else drawn
        font = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding%s>>"
        objects = [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Kids[%s]/Count %d>>"
            % (b" ".join(b"%d 0 R" % (5 + 2 * n) for n in range(len(pages))), len(pages)),
            _DRAWN if drawn else font % (b"/ToUnicode 4 0 R" if unicode else b""),
            _stream(cmap),
        ]
        for number, content in enumerate(pages):
            objects.append(
                b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]/Resources<</Font<</F1 3 0 R>>>>/Contents %d 0 R>>"
                % (*size, 6 + 2 * number)
            )
            objects.append(_stream(content))
        out = b"%PDF-1.4\n"
        places = []
        for number, item in enumerate(objects, 1):
            places.append(len(out))
            out += b"%d 0 obj\n%s\nendobj\n" % (number, item)
        table = b"".join(b"%010d 00000 n \n" % place for place in places)
        head = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
        return out + head + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(out))

    return make


_DRAWN = (
    b"<</Type/Font/Subtype/Type3/FontBBox[0 0 10 10]/FontMatrix[1 0 0 1 0 0]/CharProcs<</a 4 0 R>>/Resources<<>>"
    b"/Encoding<</Type/Encoding/Differences[97/a]>>/FirstChar 97/LastChar 97/Widths[10]>>"
)


def _stream(data):
    """A stream of a PDF."""
    return b"<</Length %d>>stream\n%s\nendstream" % (len(data), data)


def _cmap(first):
    """A map that gives the characters of a font, from "!" on, every 41st character of Unicode from `first` on."""
    rows = "\n".join(f"<{code:02x}> <{ord(first) + 41 * (code - 33):04x}>" for code in range(33, 127))
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def\n"
        "1 begincodespacerange <00> <ff> endcodespacerange\n"
        f"94 beginbfchar\n{rows}\nendbfchar endcmap end end"
    ).encode()
