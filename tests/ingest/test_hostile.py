"""Files made to hurt: each is one line with its cure, nothing hangs, and the good ones beside them are read."""

import io
import os
import zipfile

import docx
import pytest

from kb.ingest.config import IngestConfig
from kb.ingest.run import run
from kb.records import Chunk, Document

pytestmark = pytest.mark.slow

GOOD = "The registered capital of Tovor Tools is 364 million crowns."
ZH = "员工手册规定，每名员工每年享有十二天带薪年假，未休完的年假可以结转到下一年度使用。"


def package(**changes):
    """A Word file with some of its parts replaced or added; "__" in a name is a slash, "_" a dot."""
    buffer = io.BytesIO()
    document = docx.Document()
    document.add_paragraph(GOOD)
    document.save(buffer)
    with zipfile.ZipFile(buffer) as made:
        parts = {name: made.read(name) for name in made.namelist()}
    for name, change in changes.items():
        key = name.replace("__", "/").replace("_", ".")
        parts[key] = change(parts[key]) if callable(change) else change
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in parts.items():
            made.writestr(name, data)
    return buffer.getvalue()


def body(inside):
    """What puts bytes at the beginning of a Word file's body."""
    return lambda xml: xml.replace(b"<w:body>", b"<w:body>" + inside)


ENTITIES = b"<!DOCTYPE a [<!ENTITY a 'x'>" + b"".join(
    b"<!ENTITY %c '&%c;&%c;&%c;&%c;'>" % ((letter, *[letter - 1] * 4)) for letter in range(ord("b"), ord("z"))
)
DEEP = b"<w:sdt><w:sdtContent>" * 3000 + b"<w:p/>" + b"</w:sdtContent></w:sdt>" * 3000
HOSTILE = {
    "bomb.docx": ("TOO_LARGE", lambda: package(word__media_bin=b"\0" * (64 << 20))),
    "paragraphs.docx": ("TOO_LARGE", lambda: package(word__document_xml=body(b"<w:p/>" * 3_000_000))),
    "slow.docx": ("TIMEOUT", lambda: package(word__document_xml=body(b"<w:p/>" * 2_500_000))),
    "entities.docx": ("UNSUPPORTED", lambda: package(word__document_xml=lambda xml: xml.replace(
        b"<w:document", ENTITIES + b"]><w:document", 1).replace(b"364", b"&y;"))),
    "deep.docx": ("CORRUPT", lambda: package(word__document_xml=body(DEEP))),
    "truncated.docx": ("CORRUPT", lambda: package()[:4000]),
    "truncated.pdf": ("CORRUPT", lambda: b"%PDF-1.7\n1 0 obj <</Type/Catalog"),
    "zero.pdf": ("EMPTY", lambda: b""),
    "zeros.txt": ("EMPTY", lambda: b"\0" * 5000),
    "picture.pdf": ("CORRUPT", lambda: b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20),
    "renamed.pdf": ("UNSUPPORTED", package),
    "noise.txt": ("CORRUPT", lambda: bytes(range(256)) * 40),
    "nested.html": ("CORRUPT", lambda: b"<div>" * 100_000 + b"x"),
}  # fmt: skip
"""Name -> (status, what makes its bytes)."""

TEXTS = {"gb.txt": "gb18030", "utf16.txt": "utf-16-le", "big5.txt": "big5", "utf8.txt": "utf-8"}


@pytest.fixture
def hostile(folder):
    """A folder of hostile files among good ones."""
    for name, (_, make) in HOSTILE.items():
        (folder / name).write_bytes(make())
    for name, encoding in TEXTS.items():
        text = (
            ZH
            if encoding != "big5"
            else "員工手冊規定，每名員工每年享有十二天帶薪年假，未休完的年假可以結轉到下一年度使用。"
        )
        (folder / name).write_bytes(f"{text}\n".encode(encoding))
    (folder / "good.txt").write_text(GOOD, encoding="utf-8")
    os.mkfifo(folder / "pipe.txt")
    (folder / "loop.txt").symlink_to(folder / "loop.txt")
    (folder / "around").symlink_to(folder, target_is_directory=True)
    (folder / "outside.txt").symlink_to("/etc/hostname")
    return folder


def test_hostile_files_stop_nothing(workspace, hostile):
    """Every one has its status and one line; every good one is a document; a second run ends the same way."""
    config = IngestConfig(seconds=8)
    first = run([hostile], config, workspace, show=False)
    statuses = {failed.path.rsplit("/", 1)[1]: failed.status for failed in first.failed}
    assert statuses == {name: status for name, (status, _) in HOSTILE.items()}
    assert ("", "3 symbolic links were not followed") in first.notes
    assert all(len(failed.message.splitlines()) == 1 for failed in first.failed)
    texts = {document.path.rsplit("/", 1)[1]: document.text for document in workspace.store.all(Document)}
    assert sorted(texts) == sorted([*TEXTS, "good.txt"])
    assert texts["gb.txt"] == texts["utf16.txt"] == texts["utf8.txt"] == ZH
    assert "帶薪年假" in texts["big5.txt"]
    again = run([hostile], config, workspace, show=False)
    assert {(failed.path, failed.status) for failed in again.failed} == {
        (failed.path, failed.status) for failed in first.failed
    }
    assert (again.read, again.chunks) == (0, first.chunks)


def test_ten_thousand_small_files(workspace, folder):
    """All are read, none twice, and a second run reads none."""
    for number in range(10_000):
        place = folder / f"{number % 100:02}"
        place.mkdir(exist_ok=True)
        (place / f"{number}.txt").write_text(
            f"Rule {number} has been in force since {1000 + number}.", encoding="utf-8"
        )
    report = run([folder], IngestConfig(), workspace, show=False)
    assert (report.read, report.failed, report.documents) == (10_000, (), 10_000)
    assert len({chunk.text for chunk in workspace.store.all(Chunk)}) == 10_000
    assert run([folder], IngestConfig(), workspace, show=False).unchanged == 10_000
