"""PowerPoint files."""

import io
from pathlib import Path

import pptx
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from kb.ingest.slides import parse_pptx

BOX = (Inches(1), Inches(2), Inches(4), Inches(1))


def read(deck):
    """What kb makes of a deck."""
    buffer = io.BytesIO()
    deck.save(buffer)
    return parse_pptx(Path("deck.pptx"), buffer.getvalue())


def blocks(parsed):
    """Kind, page and text of every block."""
    return [(block.kind, block.page, block.text) for block in parsed.blocks]


def test_titles_text_tables_and_notes():
    """A slide's title is its heading; text, tables and notes follow, with the slide's number."""
    deck = pptx.Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[0])
    first.shapes.title.text, first.placeholders[1].text = "员工手册", "仅供内部使用"
    second = deck.slides.add_slide(deck.slide_layouts[1])
    second.shapes.title.text, second.placeholders[1].text = "产品", "银蜓厨房版\n追隼静音版"
    second.notes_slide.notes_text_frame.text = "银蜓厨房版重636克。\n售价689元。"
    third = deck.slides.add_slide(deck.slide_layouts[5])
    third.shapes.title.text = "Prices"
    table = third.shapes.add_table(2, 2, *BOX).table
    table.cell(0, 0).merge(table.cell(0, 1))
    table.cell(0, 0).text, table.cell(1, 0).text, table.cell(1, 1).text = "price list", "Tixi", "93"
    parsed = read(deck)
    assert parsed.title == "员工手册"
    assert blocks(parsed) == [
        ("heading", 1, "员工手册"),
        ("paragraph", 1, "仅供内部使用"),
        ("heading", 2, "产品"),
        ("list", 2, "- 银蜓厨房版\n- 追隼静音版"),
        ("note", 2, "银蜓厨房版重636克。"),
        ("note", 2, "售价689元。"),
        ("heading", 3, "Prices"),
        ("table", 3, "| price list |  |\n| --- | --- |\n| Tixi | 93 |"),
    ]


def test_groups_are_opened_and_sentences_are_paragraphs():
    """Text in nested groups is read in its place; a frame of sentences is paragraphs, not a list."""
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Groups"
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(*BOX).text_frame.text = "outer"
    inner = group.shapes.add_group_shape()
    inner.shapes.add_textbox(*BOX).text_frame.text = "内层"
    slide.shapes.add_textbox(*BOX).text_frame.text = "One sentence.\nAnother one."
    assert blocks(read(deck))[1:] == [
        ("paragraph", 1, "outer"),
        ("paragraph", 1, "内层"),
        ("paragraph", 1, "One sentence."),
        ("paragraph", 1, "Another one."),
    ]


def test_a_slide_without_title_takes_its_first_line():
    """So that its text is not put under the title of the slide before."""
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    slide.shapes.add_textbox(*BOX).text_frame.text = "Key metrics\nusers: 4.2M"
    assert blocks(read(deck)) == [("heading", 1, "Key metrics"), ("list", 1, "- users: 4.2M")]


def test_footers_are_left_out_and_charts_are_named_as_unread():
    """Slide numbers, dates and footers are no content; a chart's text is not read, and that is said."""
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Chart"
    footer = next(shape for shape in deck.slide_layouts[5].placeholders if shape.placeholder_format.idx == 11)
    slide.shapes.clone_placeholder(footer)
    slide.placeholders[11].text = "confidential"
    data = CategoryChartData()
    data.categories = ["Q1"]
    data.add_series("s", (1,))
    slide.shapes.add_chart(XL_CHART_TYPE.PIE, *BOX, data)
    parsed = read(deck)
    assert blocks(parsed) == [("heading", 1, "Chart")]
    assert parsed.notes == ("1 charts or diagrams were not read",)
