"""PowerPoint files."""

import io
from pathlib import Path

import pptx
import pytest
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI
from pptx.oxml import parse_xml
from pptx.util import Inches

from kb.ingest.slides import parse_pptx

pytestmark = pytest.mark.slow
"""python-docx and python-pptx take a hundredth of a second for a file: too long for the unit suite."""

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


def test_running_footers_are_left_out():
    """A footer that stands on several slides is no content; one that somebody typed on a single slide is."""
    deck = pptx.Presentation()
    footer = next(shape for shape in deck.slide_layouts[5].placeholders if shape.placeholder_format.idx == 11)
    for title, said in (("Chart", "confidential"), ("Plan", "confidential"), ("Costs", "Audited in March")):
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        slide.shapes.title.text = title
        slide.shapes.clone_placeholder(footer)
        slide.placeholders[11].text = said
    assert blocks(read(deck)) == [
        ("heading", 1, "Chart"), ("heading", 2, "Plan"), ("heading", 3, "Costs"), ("paragraph", 3, "Audited in March"),
    ]  # fmt: skip


NAMES = (
    "xmlns:p='http://schemas.openxmlformats.org/presentationml/2006/main'"
    " xmlns:a='http://schemas.openxmlformats.org/drawingml/2006/main'"
    " xmlns:c='http://schemas.openxmlformats.org/drawingml/2006/chart'"
    " xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/relationships'"
    " xmlns:dgm='http://schemas.openxmlformats.org/drawingml/2006/diagram'"
    " xmlns:m='http://schemas.openxmlformats.org/officeDocument/2006/math'"
    " xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006'"
)
KINDS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"


def titled(deck, title):
    """A slide with nothing but this title."""
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = title
    return slide


def add(slide, xml):
    """Put a shape on a slide as its XML says."""
    slide.shapes._spTree.append(parse_xml(xml.replace(">", f" {NAMES}>", 1)))


def box(text):
    """A text box."""
    return f"<p:sp><p:nvSpPr/><p:spPr/><p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"


def frame(inside):
    """A graphic frame."""
    return f"<p:graphicFrame><a:graphic><a:graphicData>{inside}</a:graphicData></a:graphic></p:graphicFrame>"


def diagram(slide, xml):
    """A SmartArt diagram whose data part is this."""
    part = Part(PackURI("/ppt/diagrams/data1.xml"), "application/xml", slide.part.package, xml.encode())
    add(slide, frame(f"<dgm:relIds r:dm='{slide.part.relate_to(part, KINDS + 'diagramData')}'/>"))


def test_diagrams_are_lists_in_the_order_of_their_tree():
    """Text of a SmartArt diagram stands in its tree's order, each point once, deeper ones indented."""
    point = "<dgm:pt modelId='{}' {}><dgm:t><a:p><a:r><a:t>{}</a:t></a:r></a:p></dgm:t></dgm:pt>"
    link = "<dgm:cxn srcId='{}' destId='{}' srcOrd='{}'/>"
    points = (
        ("5", "", "Pay"),
        ("3", "", "验收"),
        ("2", "", "Design"),
        ("4", "", "草图"),
        ("9", "type='sibTrans'", "然后"),
    )
    points = "<dgm:pt modelId='1' type='doc'/>" + "".join(point.format(*each) for each in points)
    points += point.format("8", "type='pres'", "Design")
    links = (
        link.format("1", "3", "1")
        + link.format("1", "5", "2")
        + link.format("1", "2", "0")
        + link.format("2", "4", "0")
    )
    deck = pptx.Presentation()
    xml = f"<dgm:dataModel {NAMES}><dgm:ptLst>{points}</dgm:ptLst><dgm:cxnLst>{links}</dgm:cxnLst></dgm:dataModel>"
    diagram(titled(deck, "流程"), xml)
    assert blocks(read(deck))[1:] == [("list", 1, "- Design\n  - 草图\n- 验收\n- Pay\n- 然后")]


def test_automatic_numbers():
    """Steps keep the numbers that PowerPoint gives them: deeper ones do not end a series, a plain line does."""
    rows = (
        ("准备", 0, "arabicPeriod"), ("wash", 1, "alphaLcParenR"), ("peel", 1, "alphaLcParenR"),
        ("烹饪", 0, "arabicPeriod"), ("note", 0, ""), ("again", 0, "arabicPeriod"),
        ("三", 0, "ea1ChsPeriod' startAt='3"),
        ("圈", 0, "circleNumDbPlain"), ("unknown", 0, "hebrew2Minus"),
    )  # fmt: skip
    xml = "".join(
        f"<a:p><a:pPr lvl='{level}'>{f'<a:buAutoNum type={chr(39)}{form}{chr(39)}/>' if form else ''}</a:pPr>"
        f"<a:r><a:t>{text}</a:t></a:r></a:p>"
        for text, level, form in rows
    )
    deck = pptx.Presentation()
    add(titled(deck, "Steps"), f"<p:sp><p:txBody>{xml}</p:txBody></p:sp>")
    assert blocks(read(deck))[1][2].split("\n") == [
        "1. 准备", "  a) wash", "  b) peel", "2. 烹饪", "- note", "1. again", "三. 三", "① 圈", "- unknown",
    ]  # fmt: skip


def test_levels_that_a_file_claims_are_bounded():
    """An absurd level of a paragraph costs no memory."""
    deck = pptx.Presentation()
    line = "<a:p><a:pPr lvl='{}'/><a:r><a:t>a</a:t></a:r></a:p>"
    add(titled(deck, "Deep"), f"<p:sp><p:txBody>{line.format(0)}{line.format(10**9)}</p:txBody></p:sp>")
    assert blocks(read(deck))[1:] == [("list", 1, "- a\n" + "  " * 8 + "- a")]


def test_a_diagram_that_runs_in_a_circle_ends():
    """Points that are each other's parents are read once."""
    point = "<dgm:pt modelId='{}'><dgm:t><a:p><a:r><a:t>{}</a:t></a:r></a:p></dgm:t></dgm:pt>"
    links = "".join(f"<dgm:cxn srcId='{one}' destId='{other}'/>" for one, other in ("01", "12", "21"))
    deck = pptx.Presentation()
    diagram(
        titled(deck, "Cycle"),
        f"<dgm:dataModel {NAMES}><dgm:pt modelId='0' type='doc'/>{point.format(1, 'a')}{point.format(2, 'b')}"
        f"{links}</dgm:dataModel>",
    )
    assert blocks(read(deck))[1:] == [("list", 1, "- a\n  - b")]


def test_one_damaged_shape_costs_nothing_else():
    """A chart whose part is missing is named; the other shapes of its slide are read."""
    deck = pptx.Presentation()
    slide = titled(deck, "Slide")
    add(slide, frame("<c:chart r:id='rId77'/>"))
    add(slide, box("还在"))
    parsed = read(deck)
    assert blocks(parsed) == [("heading", 1, "Slide"), ("paragraph", 1, "还在")]
    assert parsed.notes == ("damaged shapes were not read in full (KeyError), slides: 1",)


def test_embedded_objects_are_named_as_not_read():
    """What stands in another program's file is not read; a note says on which slides."""
    deck = pptx.Presentation()
    for title in ("One", "Two"):
        add(titled(deck, title), frame("<p:oleObj/>"))
    assert read(deck).notes == ("embedded objects were not read, slides: 1, 2",)


def test_equations_are_read_once():
    """PowerPoint hides a shape with an equation in alternatives; it is read, and its picture's text is not."""
    equation = (
        "<m:oMath><m:f><m:num><m:r><m:t>1</m:t></m:r></m:num><m:den><m:r><m:t>2</m:t></m:r></m:den></m:f></m:oMath>"
    )
    deck = pptx.Presentation()
    add(
        titled(deck, "Half"),
        f"<mc:AlternateContent><mc:Choice Requires='a14'>{box('是').replace('</a:p>', equation + '</a:p>')}</mc:Choice>"
        f"<mc:Fallback>{box('是')}</mc:Fallback></mc:AlternateContent>",
    )
    assert blocks(read(deck))[1:] == [("paragraph", 1, "是1/2")]


def test_hidden_slides_are_read_and_named():
    """The author's file holds them, so a reader can find them; a note says which they are."""
    deck = pptx.Presentation()
    titled(deck, "Shown")
    titled(deck, "备用").element.set("show", "0")
    parsed = read(deck)
    assert blocks(parsed) == [("heading", 1, "Shown"), ("heading", 2, "备用")]
    assert parsed.notes == ("hidden slides were read: 2",)


def test_notes_beside_their_placeholder():
    """Notes written into a box of their own are read; the number of the page is not."""
    deck = pptx.Presentation()
    slide = titled(deck, "Slide")
    slide.notes_slide.notes_text_frame.text = "记住。"
    slide.notes_slide.shapes._spTree.append(parse_xml(box("And this.").replace(">", f" {NAMES}>", 1)))
    place = "<p:nvSpPr><p:cNvPr id='9' name=''/><p:nvPr><p:ph type='sldNum'/></p:nvPr></p:nvSpPr>"
    number = box("1").replace("<p:nvSpPr/>", place)
    slide.notes_slide.shapes._spTree.append(parse_xml(number.replace(">", f" {NAMES}>", 1)))
    assert blocks(read(deck))[1:] == [("note", 1, "记住。"), ("note", 1, "And this.")]


def test_cells_merged_over_rows():
    """Their text stands once."""
    deck = pptx.Presentation()
    table = titled(deck, "表").shapes.add_table(2, 2, *BOX).table
    table.cell(0, 0).text, table.cell(0, 1).text, table.cell(1, 1).text = "型号", "甲", "乙"
    table.cell(0, 0).merge(table.cell(1, 0))
    table.cell(0, 0).text, table.cell(1, 0).text = "型号", "covered"
    assert blocks(read(deck))[1:] == [("table", 1, "| 型号 | 甲 |\n| --- | --- |\n|  | 乙 |")]
