"""PDF files, as reportlab writes them."""

import io
import re
from pathlib import Path

import pypdf
import pytest

from kb.errors import DocumentError
from kb.ingest.pdf import parse_pdf

FILE = Path("report.pdf")
LONG = [
    (50, 500, 10, "The regulation applies to everyone who works in the house and"),
    (50, 486, 10, "to those who visit it. The fine is 84 thousand crowns."),
]
ZH = [
    (70, 500, 10, "公司董事会、监事会及董事、监事、高级管理人员保证"),
    (50, 484, 10, "季度报告内容的真实、准确、完整，不存在虚假记载、误导"),
    (50, 468, 10, "性陈述。"),
]


def kinds(parsed):
    """Kind, level, page and text of every block."""
    return [(block.kind, block.level, block.page, block.text) for block in parsed.blocks]


def encrypted(data, algorithm, **passwords):
    """The PDF with passwords on it."""
    writer = pypdf.PdfWriter(io.BytesIO(data))
    writer.encrypt(algorithm=algorithm, **passwords)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_lines_are_joined_to_paragraphs(canvas_pdf):
    """A full line goes on in the next one: with a space in English, without one in Chinese."""
    parsed = parse_pdf(FILE, canvas_pdf(LONG, ZH, size=(350, 600)))
    assert kinds(parsed) == [
        ("paragraph", 0, 1, " ".join(text for *_, text in LONG)),
        ("paragraph", 0, 2, "".join(text for *_, text in ZH)),
    ]


def test_bookmarks_become_headings_and_the_title_is_the_files_own(canvas_pdf):
    """A line that says a bookmark's title on its page is a heading of that level; metadata name the document."""
    pages = (
        [(50, 550, 18, "员工手册"), (50, 520, 12, "第一章 规章"), *ZH],
        [(50, 550, 12, "1.1 Fines"), *LONG],
    )
    marks = (("第一章 规章", 1, 0), ("Fines", 2, 1))
    parsed = parse_pdf(FILE, canvas_pdf(*pages, size=(350, 600), title="员工手册", bookmarks=marks))
    assert parsed.title == "员工手册"
    assert [(*block[:3], block[3][:9]) for block in kinds(parsed)] == [
        ("heading", 0, 1, "员工手册"),
        ("heading", 1, 1, "第一章 规章"),
        ("paragraph", 0, 1, "公司董事会、监事会"),
        ("heading", 2, 2, "1.1 Fines"),
        ("paragraph", 0, 2, "The regul"),
    ]


def test_size_makes_headings_where_there_are_no_bookmarks(canvas_pdf):
    """Larger lines are headings, the largest the highest; numbering of body size comes below."""
    page = [
        (50, 560, 18, "Annual Report"),
        (50, 530, 14, "Fines"),
        *LONG,
        (50, 450, 10, "一、概况"),
        (50, 430, 10, "正文。"),
    ]
    parsed = parse_pdf(FILE, canvas_pdf(page, size=(350, 600)))
    assert [(level, text) for kind, level, _, text in kinds(parsed) if kind == "heading"] == [
        (1, "Annual Report"),
        (2, "Fines"),
        (3, "一、概况"),
    ]
    assert parsed.title == "Annual Report"


def test_running_headers_and_page_numbers_are_left_out(canvas_pdf):
    """What repeats at the edges, digits apart, is left out and said once; the body's text stays."""
    pages = [
        [(50, 570, 8, f"2018年第{n}季度报告全文"), (200, 20, 8, f"- {n} -"), (50, 300, 10, f"Body of page {n}.")]
        for n in range(1, 5)
    ]
    parsed = parse_pdf(FILE, canvas_pdf(*pages))
    assert [(page, text) for _, _, page, text in kinds(parsed)] == [(n, f"Body of page {n}.") for n in range(1, 5)]
    assert parsed.notes == ("left out as header or footer, pages 4: “2018年第1季度报告全文”",)


def test_rows_of_cells_become_a_table(canvas_pdf):
    """Cells that stand under each other are columns; a row that lacks a cell keeps its place for it."""
    rows = [("条例", "罚款", "生效"), ("码头", "91万元", "1972年"), ("牧场", "", "1992年")]
    page = [(50 + 100 * n, 500 - 20 * y, 10, cell) for y, row in enumerate(rows) for n, cell in enumerate(row) if cell]
    parsed = parse_pdf(FILE, canvas_pdf([(50, 530, 10, "表 1 规章"), *page]))
    assert (
        parsed.blocks[1].text
        == "| 条例 | 罚款 | 生效 |\n| --- | --- | --- |\n| 码头 | 91万元 | 1972年 |\n| 牧场 |  | 1992年 |"
    )


def test_spaces_between_chinese_characters(canvas_pdf):
    """Spaces no wider than the letter spacing of justified text go; real ones stay."""
    page = [(50 + 12.5 * n, 500, 12, character + " ") for n, character in enumerate("关于红军作战的原则")]
    assert parse_pdf(FILE, canvas_pdf(page, font="STSong-Light")).text == "关于红军作战的原则"


def test_a_sentence_goes_on_over_the_page(canvas_pdf):
    """A paragraph that the page's end cuts is one block, on the page where it began."""
    first = [(50, 60, 10, LONG[0][3])]
    second = [(50, 500, 10, "to those who visit it.")]
    assert kinds(parse_pdf(FILE, canvas_pdf(first, second, size=(350, 600)))) == [
        ("paragraph", 0, 1, "The regulation applies to everyone who works in the house and to those who visit it.")
    ]


def test_pages_without_text_are_named(canvas_pdf):
    """A page without text among others is noted; the others are read."""
    parsed = parse_pdf(FILE, canvas_pdf(LONG, [], [], LONG, []))
    assert parsed.notes == ("pages without text, which OCR could read: 2-3, 5",)


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-256"])
def test_a_password_opens_its_file(canvas_pdf, algorithm):
    """The first of the given ones that fits, with bookmarks and title, which the other library reads."""
    data = encrypted(canvas_pdf(LONG, title="Rules", bookmarks=[("Fines", 1, 0)]), algorithm, user_password="开门")
    parsed = parse_pdf(FILE, data, "", ["wrong", "开门", "unused"])
    assert parsed.blocks
    assert parsed.title == "Rules"
    assert parsed.notes == ()


@pytest.mark.parametrize(("given", "said"), [([], "needs a password"), (["wrong"], "needs another password")])
def test_a_file_that_no_password_opens(canvas_pdf, given, said):
    """What was tried is told from what was not, and the cure is named."""
    with pytest.raises(DocumentError, match=f"{said}. Give it: --password or --password-file") as caught:
        parse_pdf(FILE, encrypted(canvas_pdf(LONG), "AES-256", user_password="geheim"), "", given)
    assert caught.value.status == "PASSWORD_NEEDED"


@pytest.mark.parametrize(
    ("algorithm", "passwords"),
    [
        ("RC4-128", {"user_password": "", "owner_password": "own"}),
        ("AES-256", {"user_password": "", "owner_password": "own"}),
    ],
)
def test_empty_and_owner_passwords_open_silently(canvas_pdf, algorithm, passwords):
    """A file that every viewer opens is read, its title too."""
    parsed = parse_pdf(FILE, encrypted(canvas_pdf(LONG, title="Rules"), algorithm, **passwords))
    assert (parsed.title, parsed.blocks[0].text[:14]) == ("Rules", "The regulation")


def _drawn(*lines, top=500):
    """Content of a raw page: lines of bytes."""
    shown = b"".join(b"(%s) Tj 0 -14 Td " % line for line in lines)
    return b"BT /F1 10 Tf 50 %d Td %sET" % (top, shown)


def test_pages_of_garbage_are_left_out_and_named(raw_pdf, canvas_pdf):
    """A page whose font gives garbage for text makes no chunk; the pages beside it are read."""
    garbage = raw_pdf(_drawn(b"The regulation applies"), _drawn(b"to everyone who visits."), unicode="Ͱ")
    writer = pypdf.PdfWriter()
    for data in (canvas_pdf(LONG), garbage, canvas_pdf(ZH)):
        writer.append(io.BytesIO(data))
    out = io.BytesIO()
    writer.write(out)
    parsed = parse_pdf(FILE, out.getvalue())
    assert [block.page for block in parsed.blocks] == [1, 4]
    assert parsed.notes == ("pages left out because their fonts give garbage for text, which OCR could read: 2-3",)


def test_lines_of_garbage_on_a_good_page_are_left_out(raw_pdf, canvas_pdf):
    """One font of several gives garbage: its lines go, and the page is named; the others stay."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(canvas_pdf(LONG + ZH * 3)))
    garbage = raw_pdf(_drawn(b"The rule applies", top=300), unicode="Ͱ")
    writer.pages[0].merge_page(pypdf.PdfReader(io.BytesIO(garbage)).pages[0])
    out = io.BytesIO()
    writer.write(out)
    parsed = parse_pdf(FILE, out.getvalue())
    assert not re.search("[^\x00-\x7f\u3000-\u9fff\uff00-\uffef]", parsed.text)
    assert LONG[0][3] in parsed.text
    assert parsed.notes == ("lines left out because their font gives garbage for text, pages: 1",)


def test_the_other_engine_reads_what_one_garbles(raw_pdf, monkeypatch):
    """Where pypdf can make sense of a page, its text is taken; through the same gate."""
    data = raw_pdf(_drawn(b"The regulation applies"), unicode="Ͱ")
    monkeypatch.setattr(pypdf.PageObject, "extract_text", lambda page: "罚款不超过四十七万元。\nThe fine is 47.")
    assert [block.text for block in parse_pdf(FILE, data).blocks] == ["罚款不超过四十七万元。", "The fine is 47."]


def test_chinese_in_a_western_font(raw_pdf):
    """GBK bytes in a Western font are read as Chinese, and their geometry is kept: cells stay a table."""
    line = "港口条例适用于在码头工作的每一个人。".encode("gbk")
    rows = [("条例", "罚款", "生效"), ("码头", "91万元", "1972年")]
    cells = b"".join(
        b"BT /F1 10 Tf %d %d Td (%s) Tj ET " % (50 + 100 * x, 400 - 20 * y, cell.encode("gbk"))
        for y, row in enumerate(rows)
        for x, cell in enumerate(row)
    )
    parsed = parse_pdf(FILE, raw_pdf(_drawn(line) + b" " + cells))
    assert [block.text for block in parsed.blocks] == [
        "港口条例适用于在码头工作的每一个人。",
        "| 条例 | 罚款 | 生效 |\n| --- | --- | --- |\n| 码头 | 91万元 | 1972年 |",
    ]
    assert parsed.notes == ("pages read as Chinese (GB 18030) although their fonts say Western: 1",)


def _scan():
    """A page with a picture and no text."""
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    canvas.drawImage(ImageReader(Image.new("RGB", (20, 20), "gray")), 0, 0, 500, 700)
    canvas.save()
    return buffer.getvalue()


def test_what_cannot_be_read_says_why(canvas_pdf, raw_pdf):
    """Each kind of failure has its own status and names the file."""
    whole = canvas_pdf(LONG)
    cases = {
        "PASSWORD_NEEDED": encrypted(whole, "AES-256", user_password="geheim"),
        "NEEDS_OCR": _scan(),
        "EMPTY": canvas_pdf([]),
        "GARBLED": raw_pdf(_drawn(b"The regulation applies"), b"", unicode="Ͱ"),
        "CORRUPT": b"%PDF-1.4\n" + b"\xff\x00garbage" * 50,
    }
    for status, data in cases.items():
        with pytest.raises(DocumentError, match=r"report\.pdf: ") as caught:
            parse_pdf(FILE, data)
        assert caught.value.status == status
