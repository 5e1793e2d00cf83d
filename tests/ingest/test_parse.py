"""From a suffix to a parser, and what is said when that does not work."""

import hashlib
import io
import zipfile

import docx
import pptx
import pytest

from kb.errors import DocumentError
from kb.ingest.parse import parse

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600


def status(path):
    """The status that a file is refused with, and the message."""
    with pytest.raises(DocumentError) as caught:
        parse(path)
    assert str(path) in str(caught.value)
    return caught.value.status, str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "expected", "cure"),
    [
        ("a.pdf", b"", "EMPTY", "empty"),
        ("a.txt", b" \n\t", "EMPTY", "empty"),
        ("a.md", b"<!-- nothing -->", "EMPTY", "no text"),
        ("a.doc", OLE, "UNSUPPORTED", "Save it as .docx"),
        ("a.PPT", OLE, "UNSUPPORTED", "Save it as .pptx"),
        ("a.xls", OLE, "UNSUPPORTED", "Save it as .xlsx"),
        ("a.png", b"\x89PNG", "UNSUPPORTED", "it reads .pdf"),
        ("a.docx", b"%PDF-1.7\n...", "UNSUPPORTED", "Rename it to .pdf"),
        ("a.docx", OLE, "UNSUPPORTED", "Rename it to .doc"),
        ("a.pdf", "只是文字".encode(), "UNSUPPORTED", "Rename it to .txt"),
        ("a.txt", b"%PDF-1.7\n\x00\x01", "UNSUPPORTED", "Rename it to .pdf"),
        ("a.docx", OLE + "EncryptedPackage".encode("utf-16-le"), "PASSWORD_NEEDED", "password"),
        ("a.docx", bytes(range(256)) * 9, "CORRUPT", "save it again"),
        ("a.pdf", bytes(range(256)) * 9, "CORRUPT", "save it again"),
        ("a.pptx", b"PK\x03\x04 ppt/presentation.xml cut off", "CORRUPT", "save it again"),
        ("a.txt", b"\x00\x01\x02\x03" * 99, "CORRUPT", "damaged"),
    ],
)
def test_refusals(tmp_path, name, data, expected, cure):
    """Every file that cannot be read gives one typed error that names it and the cure."""
    path = tmp_path / name
    path.write_bytes(data)
    found, message = status(path)
    assert found == expected
    assert cure in message


def test_a_word_file_under_another_suffix(tmp_path):
    """A Word file is told by its parts, whatever it is called; under its own suffix in any case it is read."""
    document = docx.Document()
    document.add_paragraph("条例")
    document.save(tmp_path / "A.DOCX")
    (tmp_path / "a.pptx").write_bytes((tmp_path / "A.DOCX").read_bytes())
    assert parse(tmp_path / "A.DOCX").text == "条例"
    assert status(tmp_path / "a.pptx")[0] == "UNSUPPORTED"


def test_a_deck_with_a_word_file_inside_is_a_deck(tmp_path):
    """An embedded file's part names stand in the bytes as well; the zip's own directory tells the kind."""
    inner = io.BytesIO()
    docx.Document().save(inner)
    deck = pptx.Presentation()
    deck.slides.add_slide(deck.slide_layouts[5]).shapes.title.text = "员工手册"
    deck.save(tmp_path / "a.pptx")
    with zipfile.ZipFile(tmp_path / "a.pptx", "a", zipfile.ZIP_STORED) as package:
        package.writestr("ppt/embeddings/Document1.docx", inner.getvalue())
    assert parse(tmp_path / "a.pptx").title == "员工手册"


@pytest.mark.parametrize("code", ["utf-8", "utf-16", "utf-32"])
@pytest.mark.parametrize(("make", "part"), [("docx", "word/document.xml"), ("pptx", "ppt/slides/slide1.xml")])
def test_document_types_are_refused(tmp_path, make, part, code):
    """An entity could hide text or fetch a file: a part that declares any is refused by its name, in any encoding."""
    path = tmp_path / f"a.{make}"
    if make == "docx":
        docx.Document().save(path)
    else:
        deck = pptx.Presentation()
        deck.slides.add_slide(deck.slide_layouts[5])
        deck.save(path)
    with zipfile.ZipFile(path) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    padding = "<!--" + "x" * 5000 + "-->"
    parts[part] = (
        f'<?xml version="1.0" encoding="{code}"?>{padding}<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
        + parts[part].decode().partition("?>")[2]
    ).encode(code)
    with zipfile.ZipFile(path, "w") as package:
        for name, content in parts.items():
            package.writestr(name, content)
    found, message = status(path)
    assert found == "UNSUPPORTED"
    assert part in message


def test_a_picture_with_a_document_type_is_no_danger(tmp_path):
    """SVG pictures declare one as a rule; nobody parses them."""
    document = docx.Document()
    document.add_paragraph("条例")
    document.save(tmp_path / "a.docx")
    with zipfile.ZipFile(tmp_path / "a.docx", "a") as package:
        package.writestr("word/media/image1.svg", "<?xml version='1.0'?><!DOCTYPE svg><svg/>")
    assert parse(tmp_path / "a.docx").text == "条例"


def test_truncated_office_file(tmp_path):
    """Half a Word file is damaged, not of another kind."""
    docx.Document().save(tmp_path / "a.docx")
    whole = (tmp_path / "a.docx").read_bytes()
    (tmp_path / "a.docx").write_bytes(whole[: len(whole) // 2])
    assert status(tmp_path / "a.docx")[0] == "CORRUPT"


def test_missing_file(tmp_path):
    """A file that has gone is unreadable."""
    assert status(tmp_path / "gone.txt")[0] == "UNREADABLE"


def test_the_hash_is_of_the_bytes_read(tmp_path):
    """What was parsed is identified by its own bytes."""
    (tmp_path / "a.txt").write_bytes("条例".encode())
    assert parse(tmp_path / "a.txt").sha256 == hashlib.sha256("条例".encode()).hexdigest()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text", ["员工每年有十二天带薪年假。\n罚款不超过四十七万元。\n" * 20, "Правила. Отпуск двенадцать дней.\n" * 20]
)
def test_wide_characters_are_text(tmp_path, encoding, text):
    """UTF-16 has bytes of all kinds, control characters among them, with a mark at its beginning and without."""
    file = tmp_path / "a.txt"
    file.write_bytes(text.encode(encoding))
    assert text.splitlines()[0] in parse(file).text
