"""Ruled tables of PDF pages, with the extra that finds their grid."""

import io

import pypdf
import pytest
from pypdf.generic import RectangleObject
from reportlab.lib import colors
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from kb.ingest import pdf_lines
from kb.ingest.parse import parse

pytestmark = pytest.mark.slow

GRID = ("GRID", (0, 0), (-1, -1), 0.5, colors.black)


@pytest.fixture
def make_pdf(tmp_path):
    """Writes a PDF of a paragraph, a table with these commands, and a paragraph; returns the blocks read."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    song = ParagraphStyle("song", fontName="STSong-Light", fontSize=10, leading=12)

    def make(rows, *commands, repeat=0):
        buffer = io.BytesIO()
        cells = [[Paragraph(cell, song) if isinstance(cell, str) else cell for cell in row] for row in rows]
        style = TableStyle([GRID, *commands])
        table = Table(cells, colWidths=[80] * len(rows[0]), style=style, repeatRows=repeat)
        story = [
            Paragraph("以下是各部门的费用标准。", song),
            Spacer(1, 12),
            table,
            Spacer(1, 12),
            Paragraph("完。", song),
        ]
        SimpleDocTemplate(buffer, title="费用").build(story)
        file = tmp_path / "table.pdf"
        file.write_bytes(buffer.getvalue())
        return [(block.kind, block.text) for block in parse(file).blocks]

    return make


def test_cells_of_several_lines_stay_whole(make_pdf):
    """What stands in a cell is one, however it is broken; the text around stands where it was."""
    long = "差旅期间的住宿费按每晚不超过三百元的标准报销，超出部分自理。"
    blocks = make_pdf(
        [["部门", "标准"], ["销售部", long], ["Research and development", "A hotel up to 90 crowns a night."]]
    )
    assert blocks == [
        ("paragraph", "以下是各部门的费用标准。"),
        ("table", f"| 部门 | 标准 |\n| --- | --- |\n| 销售部 | {long} |\n"
                  "| Research and development | A hotel up to 90 crowns a night. |"),
        ("paragraph", "完。"),
    ]  # fmt: skip


def test_merged_cells_stand_in_each_row_and_column_they_span(make_pdf):
    """A head of two rows is one; a department of two rows is named in both; a title over all columns is a line."""
    rows = [
        ["费用标准", "", ""], ["部门", "每晚", ""], ["", "国内", "国外"],
        ["销售部", "300元", "900元"], ["", "350元", "950元"],
    ]  # fmt: skip
    spans = [((0, 0), (2, 0)), ((0, 1), (0, 2)), ((1, 1), (2, 1)), ((0, 3), (0, 4))]
    blocks = make_pdf(rows, *(("SPAN", *span) for span in spans))
    assert blocks[1:-1] == [
        ("paragraph", "费用标准"),
        ("table", "| 部门 | 每晚 国内 | 每晚 国外 |\n| --- | --- | --- |\n"
                  "| 销售部 | 300元 | 900元 |\n| 销售部 | 350元 | 950元 |"),
    ]  # fmt: skip


def test_a_page_that_is_turned(make_pdf, tmp_path):
    """Landscape tables are often drawn sideways and shown upright."""
    upright = make_pdf([["部门", "标准"], ["销售部", "300元"], ["研发部", ""]])
    writer = pypdf.PdfWriter(clone_from=tmp_path / "table.pdf")
    page = writer.pages[0]
    width, height = float(page.mediabox.width), float(page.mediabox.height)
    page.add_transformation(pypdf.Transformation().rotate(90).translate(height, 0))
    page.mediabox = page.cropbox = RectangleObject((0, 0, height, width))
    page.rotate(90)
    writer.write(tmp_path / "turned.pdf")
    blocks = parse(tmp_path / "turned.pdf").blocks
    assert [(block.kind, block.text) for block in blocks] == upright


@pytest.mark.parametrize("repeated", [0, 1])
def test_a_table_goes_on_over_pages(make_pdf, repeated):
    """It is one, whether its head is repeated on the next page or not."""
    rows = [["编号", "金额"], *([f"第{n}号", f"{n}元"] for n in range(60))]
    blocks = make_pdf(rows, repeat=repeated)
    assert [kind for kind, _ in blocks] == ["paragraph", "table", "paragraph"]
    assert blocks[1][1].splitlines()[2:] == [f"| 第{n}号 | {n}元 |" for n in range(60)]


def test_an_empty_cell_keeps_its_column(make_pdf):
    """Gaps alone could not tell whose the value is."""
    (table,) = [text for kind, text in make_pdf([["a", "b", "c"], ["1", "", "3"], ["", "2", ""]]) if kind == "table"]
    assert table.splitlines()[2:] == ["| 1 |  | 3 |", "|  | 2 |  |"]


def test_what_is_no_table_is_read_as_before(make_pdf):
    """A frame around text, a drawing's boxes without text."""
    assert make_pdf([["在框里的一句话。"]])[1] == ("paragraph", "在框里的一句话。")
    blocks = make_pdf([["x", ""], ["", ""], ["", ""], ["", ""]])
    assert "table" not in [kind for kind, _ in blocks]


def test_without_the_extra_lines_are_read_by_their_gaps(make_pdf, monkeypatch):
    """Nothing breaks, and nothing is lost."""
    rows = [["部门", "标准"], ["销售部", "300元"]]
    ruled = make_pdf(rows)
    monkeypatch.setattr(pdf_lines, "is_installed", lambda: False)
    assert make_pdf(rows) == ruled
