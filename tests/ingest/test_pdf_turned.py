"""Pages and lines of a PDF that are turned."""

import io
from pathlib import Path

import pypdf
import pytest

from kb.ingest.pdf import parse_pdf

FILE = Path("report.pdf")
EN = ("The regulation applies to everyone who works in the house and", "to those who visit it. The fine is 84.")
ZH = ("港口条例适用于在码头工作的每一个人。", "罚款不超过四十七万元。")
TABLE = "| Rule | Fine | Since |\n| --- | --- | --- |\n| Dock | 91 | 1972 |\n| Field | 22 | 1992 |"


def turned(text, shown, width=400, height=600):
    """A page whose text is turned by `text` degrees in its own coordinates and which is shown turned by `shown`."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(width, height))
    canvas.translate(*{0: (0, 0), 90: (width, 0), 180: (width, height), 270: (0, height)}[text])
    canvas.rotate(text)
    top = height if text % 180 == 0 else width
    for number, line in enumerate(EN + ZH):
        canvas.setFont("Helvetica" if line.isascii() else "STSong-Light", 10)
        canvas.drawString(30, top - 50 - 14 * number, line)
    canvas.setFont("Helvetica", 10)
    for y, row in enumerate([("Rule", "Fine", "Since"), ("Dock", "91", "1972"), ("Field", "22", "1992")]):
        for x, cell in enumerate(row):
            canvas.drawString(30 + 100 * x, top - 150 - 20 * y, cell)
    canvas.save()
    writer = pypdf.PdfWriter(io.BytesIO(buffer.getvalue()))
    writer.pages[0].rotate(shown)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize("shown", [0, 90, 180, 270])
@pytest.mark.parametrize("text", [0, 90, 180, 270])
def test_turned_pages_read_like_upright_ones(text, shown):
    """Paragraphs, Chinese and tables come out the same however the page lies and is shown."""
    parsed = parse_pdf(FILE, turned(text, shown))
    assert [block.text for block in parsed.blocks] == [" ".join(EN), *ZH, TABLE]


def test_a_turned_line_beside_upright_ones(raw_pdf):
    """A note up the margin is one line, and the page's text keeps its geometry."""
    body = b"".join(b"BT /F1 10 Tf 50 %d Td (%s) Tj ET " % (500 - 14 * n, line.encode()) for n, line in enumerate(EN))
    margin = b"BT /F1 14 Tf 0 1 -1 0 30 200 Tm (Draft of 4 May, not to be cited) Tj ET "
    parsed = parse_pdf(FILE, raw_pdf(body + margin))
    assert [block.text for block in parsed.blocks] == [" ".join(EN), "Draft of 4 May, not to be cited"]


def test_a_running_header_on_turned_pages(raw_pdf):
    """The edges of a page are those of its text: a header of landscape pages is left out."""
    page = b"BT /F1 8 Tf 0 1 -1 0 15 30 Tm (Annual Report) Tj ET BT /F1 10 Tf 0 1 -1 0 200 30 Tm (Body %d) Tj ET"
    parsed = parse_pdf(FILE, raw_pdf(*(page % n for n in range(1, 5))))
    assert [block.text for block in parsed.blocks] == [f"Body {n}" for n in range(1, 5)]


def test_columns_in_a_font_that_is_not_in_the_file():
    """PDFium leaves out text that runs down in a Chinese font it does not have; the other engine reads it."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    font = UnicodeCIDFont("STSong-Light", isVertical=True)
    font.fontName = font.name = "STSong-Light-V"
    pdfmetrics.registerFont(font)
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(400, 600))
    for x, column in ((260, "港口条例适用于码头。"), (240, "罚款不超过四十七万元。")):
        canvas.setFont("STSong-Light-V", 12)
        canvas.drawString(x, 500, column)
    canvas.save()
    parsed = parse_pdf(FILE, buffer.getvalue())
    assert [block.text for block in parsed.blocks] == ["港口条例适用于码头。", "罚款不超过四十七万元。"]
