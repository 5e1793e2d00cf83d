"""ZIP packages that are not to be unpacked."""

import io
import zipfile
from pathlib import Path

import docx
import pytest

from kb.errors import DocumentError
from kb.ingest import package
from kb.ingest.package import open_package
from kb.ingest.parse import parse

FILE = Path("/docs/手册.docx")


def packed(**parts):
    """A ZIP file of parts, deflated; `a__xml` stands for a.xml."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in parts.items():
            made.writestr(name.replace("__", "."), text)
    return buffer.getvalue()


def refused(data, **options):
    """The status and message that a package is refused with."""
    with pytest.raises(DocumentError) as caught:
        open_package(FILE, data, **options)
    assert str(FILE) in str(caught.value)
    return caught.value.status, str(caught.value)


def test_a_part_that_is_all_repetition_is_refused(monkeypatch):
    """A part a hundred times as large unpacked, and not small, is not unpacked."""
    monkeypatch.setattr(package, "HARMLESS", 100_000)
    status, message = refused(packed(a__xml="<p/>" * 100_000))
    assert status == "TOO_LARGE"
    assert "100 times" in message
    open_package(FILE, packed(a__xml="<a>" + "<p/>" * 10_000 + "</a>"))


@pytest.mark.parametrize(("limit", "words"), [("MOST_BYTES", "unpacks to"), ("MOST_XML", "part a.xml")])
def test_sizes_have_a_limit(monkeypatch, limit, words):
    """The parts together and each XML part have a largest size; the message names it."""
    monkeypatch.setattr(package, limit, 10)
    status, message = refused(packed(a__xml="<条例>罚款</条例>"))
    assert status == "TOO_LARGE"
    assert words in message


def test_the_number_of_parts_has_a_limit(monkeypatch):
    """A package of very many small parts is refused."""
    monkeypatch.setattr(package, "MOST_PARTS", 1)
    assert "2 parts" in refused(packed(a__xml="<a/>", b__xml="<b/>"))[1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("before", ["", "<!-- " + "x" * 9000 + " -->"])
def test_entities_are_refused(encoding, before):
    """A document type is found in any encoding and behind any comment; only EPUB's pages may have one."""
    text = f'<?xml version="1.0" encoding="{encoding}"?>{before}<!DOCTYPE a [<!ENTITY x "罚款">]><a>&x;</a>'
    data = packed(a__xml=text.encode(encoding))
    status, message = refused(data)
    assert status == "UNSUPPORTED"
    assert "document type" in message
    open_package(FILE, data, office=False)


def test_a_word_about_doctype_in_the_text_is_no_doctype():
    """Only what stands before the root element counts, however far down that begins."""
    assert open_package(FILE, packed(a__xml="<!-- " + "x" * 9000 + " --><a/>")).namelist()
    assert open_package(FILE, packed(a__xml="<a>如何写 &lt;!DOCTYPE html></a>", b__svg="<!DOCTYPE a>")).namelist()


def test_no_office_file_goes_around_the_look(tmp_path, monkeypatch):
    """A Word file is looked over before its library opens it."""
    docx.Document().save(tmp_path / "a.docx")
    monkeypatch.setattr(package, "MOST_PARTS", 1)
    with pytest.raises(DocumentError, match=r"a\.docx: it has \d+ parts") as caught:
        parse(tmp_path / "a.docx")
    assert caught.value.status == "TOO_LARGE"
