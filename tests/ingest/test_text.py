"""Plain text: encodings and structure."""

import codecs
from pathlib import Path

import pytest

from kb.errors import DocumentError
from kb.ingest.text import decode, parse_text

ZH = "樊克信负责牧场储物条例。\n罚款不超过47万元。"
FILE = Path("/docs/a.txt")


@pytest.mark.parametrize(
    ("data", "text", "note"),
    [
        (ZH.encode(), ZH, ""),
        (codecs.BOM_UTF8 + ZH.encode(), ZH, ""),
        (ZH.encode("utf-16"), ZH, ""),
        (ZH.encode("gb18030"), ZH, "GB18030"),
        ("条例".encode("gb18030"), "条例", "GB18030"),
        ("𠀀字".encode("gb18030"), "𠀀字", "GB18030"),
        ("Plain words.".encode("utf-16-le"), "Plain words.", "UTF-16-LE"),
        (ZH.encode("utf-16-be"), ZH, "UTF-16-BE"),
        ("Les élèves étaient déçus à Orléans.".encode("cp1252"), "Les élèves étaient déçus à Orléans.", "cp1252"),
        ("naïve cafés".encode("cp1252"), "naïve cafés", "cp1252"),
    ],
)
def test_decode(data, text, note):
    """Marked and Unicode text is read as it is; a guess is made in order and said."""
    read, notes = decode(FILE, data)
    assert read == text
    assert (note in notes[0]) if note else notes == []


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
@pytest.mark.parametrize(
    "harm", [lambda data: data[:-1] + b"\n", lambda data: data[:-1], lambda data: data[:6] + b"\xff" + data[6:]]
)
def test_a_damaged_byte_does_not_garble_the_file(encoding, harm):
    """A file cut in mid-character or with a stray byte: everything else is read, and the note says how much is lost."""
    text, notes = decode(FILE, harm((ZH[:-1] * 30).encode(encoding)))
    assert ZH[4:18] in text
    assert text.count("\ufffd") <= 3
    assert encoding.upper() in notes[0]
    assert "damaged" in notes[0]


@pytest.mark.parametrize("text", ["à é è. Ça \n", "Müller, größer, Straße. ", "Ñandú y café \n"])
def test_western_text_is_not_taken_for_damaged_chinese(text):
    """Accented letters before blanks and line ends are in no Chinese encoding."""
    assert decode(FILE, (text * 30).encode("cp1252"))[0] == text * 30


@pytest.mark.parametrize(
    "text", ["本條例自發布之日起施行。", "臺北市政府", "員工手冊：罰款不超過四十七萬元。\nRule 5.\n"]
)
def test_big5_is_not_read_as_private_characters(text):
    """Big5 is valid GB18030; the characters that GB18030 leaves to users give it away."""
    read, notes = decode(FILE, text.encode("big5"))
    assert read == text
    assert "Big5" in notes[0]


def test_an_encoding_that_is_not_found_is_not_guessed():
    """Bytes that are neither Chinese nor mostly ASCII would be garbled as cp1252; the file fails with the cure."""
    with pytest.raises(DocumentError, match=r"a\.txt: its encoding is not known. Give it: --encoding") as caught:
        decode(FILE, "Правила для сотрудников компании.".encode("cp866"))
    assert caught.value.status == "UNREADABLE"


def test_a_private_character_in_a_long_text_is_no_wrong_guess():
    """A rare character that an office made for itself does not change the encoding of the whole file."""
    text = ZH * 200 + "\ue000"
    assert decode(FILE, text.encode("gb18030"))[0] == text


def test_given_encoding_wins():
    """A short text in Big5 looks like GB18030, so it is given; one that does not fit is an error that says so."""
    assert decode(FILE, "條例規定".encode("big5"), "big5") == ("條例規定", [])
    with pytest.raises(DocumentError, match=r"a\.txt: is not ascii text") as caught:
        decode(FILE, ZH.encode(), "ascii")
    assert caught.value.status == "UNREADABLE"


def test_bytes_that_are_no_text():
    """Zero bytes that are not UTF-16 are a damaged file, not text."""
    with pytest.raises(DocumentError, match="is not text") as caught:
        decode(FILE, b"abc\0\0\0\0def\0\x01\xd8\x00\xd8")
    assert caught.value.status == "CORRUPT"


def test_title_and_headings_that_stand_alone():
    """The first line is the title, short lines between paragraphs are headings, the rest keeps its lines."""
    text = (
        "团队介绍\n\n徐梓涵\n\n徐梓涵以高级化验员的身份上班，每年能休息32天。\n\n冯子彤\n\n办公室：F-509\n年假：42天\n"
    )
    read = parse_text(FILE, text.encode())
    assert read.title == "团队介绍"
    assert [(block.kind, block.level, block.text) for block in read.blocks] == [
        ("heading", 0, "团队介绍"),
        ("heading", 1, "徐梓涵"),
        ("paragraph", 0, "徐梓涵以高级化验员的身份上班，每年能休息32天。"),
        ("heading", 1, "冯子彤"),
        ("paragraph", 0, "办公室：F-509\n年假：42天"),
    ]


def test_numbered_headings_come_before_short_lines():
    """Where headings are numbered, a short line that stands alone is no heading."""
    read = parse_text(
        FILE, "第一章 总则\n\n目的\n\n为了规范管理，制定本办法。\n\n第二章 附则\n\n本办法自发布之日起施行。".encode()
    )
    assert [block.text for block in read.blocks if block.kind == "heading"] == ["第一章 总则", "第二章 附则"]


def test_a_text_of_short_lines_has_no_headings():
    """A poem or a list is not taken for a row of headings."""
    read = parse_text(FILE, b"The first line\n\nA second one\n\nAnd then a third\n\nThis is the last")
    assert [block.kind for block in read.blocks] == ["heading", "paragraph", "paragraph", "paragraph"]


def test_wrapped_lines_are_joined():
    """Lines broken at a width are one paragraph again; lines of their own stay apart."""
    wrapped = (
        "The staff handbook explains the rules of the house to everyone who\n"
        "works here, and it is kept at the front desk by the editors of the exam-\nple."
    )
    read = parse_text(FILE, f"{wrapped}\n\nfounder: Tamara\ncapital: 482 million".encode())
    assert [block.text for block in read.blocks] == [
        "The staff handbook explains the rules of the house to everyone who works here, and it is kept at the front"
        " desk by the editors of the example.",
        "founder: Tamara\ncapital: 482 million",
    ]


def test_a_chinese_paragraph_a_line():
    """Indented lines without blank lines between them are a paragraph each."""
    read = parse_text(FILE, "　　第一段说明目的。\n　　第二段说明范围。".encode())
    assert [block.text for block in read.blocks] == ["第一段说明目的。", "第二段说明范围。"]
