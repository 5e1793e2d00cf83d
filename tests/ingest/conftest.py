"""Small real files, written by the libraries of their formats."""

import io

import pytest

from kb.ingest.blocks import Block, assemble
from kb.ingest.run import IngestConfig, run
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
