"""Numbers that Word computes and the file does not spell out."""

import io
from pathlib import Path

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from kb.ingest.word import parse_docx
from kb.ingest.word_numbering import format_number

pytestmark = pytest.mark.slow
"""python-docx and python-pptx take a hundredth of a second for a file: too long for the unit suite."""

W = nsdecls("w")


@pytest.fixture
def document():
    """An empty Word document."""
    return docx.Document()


def blocks(document):
    """Kind and text of every block."""
    buffer = io.BytesIO()
    document.save(buffer)
    return [(block.kind, block.text) for block in parse_docx(Path("rules.docx"), buffer.getvalue()).blocks]


def define(document, number, *levels, extra=""):
    """A list with its levels as (format, text, further XML)."""
    root = document.part.numbering_part.element
    made = "".join(
        f"<w:lvl w:ilvl='{at}'><w:start w:val='1'/><w:numFmt w:val='{form}'/>{more}<w:lvlText w:val='{text}'/></w:lvl>"
        for at, (form, text, more) in enumerate(levels)
    )
    root.append(parse_xml(f"<w:abstractNum {W} w:abstractNumId='{number}'>{made}</w:abstractNum>"))
    use(document, number, number, extra)


def use(document, number, definition, extra=""):
    """Another list of the same definition."""
    xml = f"<w:num {W} w:numId='{number}'><w:abstractNumId w:val='{definition}'/>{extra}</w:num>"
    document.part.numbering_part.element.append(parse_xml(xml))


def add(document, text, number, level=0, style=None):
    """A paragraph with this number; level None leaves the level to the style."""
    paragraph = document.add_paragraph(text, style=style)
    own = "" if level is None else f"<w:ilvl w:val='{level}'/>"
    xml = f"<w:numPr {W}>{own}<w:numId w:val='{number}'/></w:numPr>"
    target = paragraph.style.element if level is None else paragraph._p
    target.get_or_add_pPr().append(parse_xml(xml))
    return paragraph


def test_chinese_chapters_of_heading_styles(document):
    """Automatic 第一章 and 第一节 stand before their headings; sections start anew with the chapter."""
    define(document, 90, ("chineseCounting", "第%1章", ""), ("ideographDigital", "第%2节", ""))
    for text, level in (("总则", 0), ("目的", 1), ("范围", 1), ("附则", 0), ("施行", 1)):
        add(document, text, 90, level, f"Heading {level + 1}")
    assert [text for _, text in blocks(document)] == [
        "第一章 总则", "第一节 目的", "第二节 范围", "第二章 附则", "第一节 施行",
    ]  # fmt: skip


def test_decimal_headings_numbered_by_their_style(document):
    """A style may name only the list: the level is the one that names the style back."""
    define(
        document,
        90,
        ("decimal", "%1", "<w:pStyle w:val='Heading1'/>"),
        ("decimal", "%1.%2", "<w:pStyle w:val='Heading2'/>"),
    )
    for text, level in (("Scope", 1), ("Terms", 1), ("Parties", 2)):
        add(document, text, 90, None, f"Heading {level}")
    assert [text for _, text in blocks(document)] == ["1 Scope", "2 Terms", "2.1 Parties"]


def test_numbered_chapters_without_styles_become_headings(document):
    """An automatic 第一章 makes a heading of a plain paragraph as a typed one does; the clauses stay text."""
    define(document, 90, ("chineseCountingThousand", "第%1章", ""))
    define(document, 91, ("chineseCountingThousand", "第%1条", ""))
    add(document, "总则", 90)
    add(document, "为了规范管理，制定本办法。", 91)
    add(document, "附则", 90)
    add(document, "本办法自发布之日起施行。", 91)
    assert blocks(document) == [
        ("heading", "第一章 总则"),
        ("paragraph", "第一条 为了规范管理，制定本办法。"),
        ("heading", "第二章 附则"),
        ("paragraph", "第二条 本办法自发布之日起施行。"),
    ]


def test_lists_keep_their_numbers_and_bullets(document):
    """Numbered items carry their number, deeper ones indented; bullets stay bullets."""
    define(document, 90, ("decimal", "%1.", ""), ("lowerLetter", "(%2)", ""))
    define(document, 91, ("bullet", "", ""))
    for text, number, level in (("one", 90, 0), ("deeper", 90, 1), ("two", 90, 0), ("dot", 91, 0)):
        add(document, text, number, level)
    assert blocks(document) == [("list", "1. one\n  (a) deeper\n2. two\n- dot")]


def test_a_list_of_deeper_items_alone_starts_at_the_margin(document):
    """The indent shows what is below what in the list, not where the author put it."""
    define(document, 90, ("bullet", "", ""), ("bullet", "", ""), ("bullet", "", ""))
    for text, level in (("two", 1), ("三", 2), ("two again", 1)):
        add(document, text, 90, level)
    assert blocks(document) == [("list", "- two\n  - 三\n- two again")]


def test_legal_clauses_are_paragraphs(document):
    """The items of an outline, 1 and 1.1, are clauses of text and no list."""
    define(document, 90, ("decimal", "%1.", ""), ("decimal", "%1.%2", ""))
    add(document, "The supplier delivers.", 90)
    add(document, "The buyer pays.", 90, 1)
    assert blocks(document) == [("paragraph", "1. The supplier delivers."), ("paragraph", "1.1 The buyer pays.")]


def test_a_list_can_start_anew_or_go_on(document):
    """Lists of one definition share their count, unless one says where it starts."""
    define(document, 90, ("decimal", "%1、", ""))
    use(document, 91, 90)
    use(document, 92, 90, "<w:lvlOverride w:ilvl='0'><w:startOverride w:val='5'/></w:lvlOverride>")
    for text, number in (("甲方", 90), ("乙方", 91), ("丙方", 92), ("丁方", 92)):
        add(document, text, number)
    assert blocks(document) == [("list", "1、甲方\n2、乙方\n5、丙方\n6、丁方")]


def test_a_level_can_count_through_its_parents(document):
    """With lvlRestart 0 the clauses go on counting over the chapters."""
    define(document, 90, ("chineseCounting", "第%1章", ""), ("decimal", "Clause %2", "<w:lvlRestart w:val='0'/>"))
    for text, level in (("a", 0), ("b", 1), ("c", 0), ("d", 1)):
        add(document, text, 90, level, f"Heading {level + 1}")
    assert [text for _, text in blocks(document)] == ["第一章 a", "Clause 1 b", "第二章 c", "Clause 2 d"]


def test_decimal_numbers_of_chinese_chapters(document):
    """IsLgl shows 1.1 under 第一章."""
    define(document, 90, ("chineseCounting", "第%1章", ""), ("decimal", "%1.%2", "<w:isLgl/>"))
    add(document, "总则", 90, 0, "Heading 1")
    add(document, "目的", 90, 1, "Heading 2")
    assert [text for _, text in blocks(document)] == ["第一章 总则", "1.1 目的"]


def test_a_skipped_level_shows_its_start(document):
    """Under chapter 1 a heading of level 3 is 1.1.1, as in Word."""
    define(document, 90, ("decimal", "%1", ""), ("decimal", "%1.%2", ""), ("decimal", "%1.%2.%3", ""))
    add(document, "Chapter", 90, 0, "Heading 1")
    add(document, "Detail", 90, 2, "Heading 3")
    assert [text for _, text in blocks(document)] == ["1 Chapter", "1.1.1 Detail"]


def test_an_unknown_format_gives_no_number(document):
    """No number is better than a wrong one."""
    define(document, 90, ("hebrew1", "%1.", ""))
    add(document, "item", 90)
    assert blocks(document) == [("list", "- item")]


def test_numbering_switched_off(document):
    """A paragraph whose list is 0 has no number, whatever its style says."""
    define(document, 90, ("decimal", "%1", ""))
    add(document, "Scope", 90, None, "Heading 1")
    add(document, "Preface", 0, 0, "Heading 1")
    assert [text for _, text in blocks(document)] == ["1 Scope", "Preface"]


def test_a_list_item_switched_off_is_a_paragraph(document):
    """A paragraph of a list style whose list is 0 is no item."""
    add(document, "plain", 0, 0, "List Bullet")
    assert blocks(document) == [("paragraph", "plain")]


def test_level_and_list_are_inherited_apart(document):
    """A style that names only its level takes the list from the style it is based on."""
    define(document, 90, ("decimal", "%1", ""), ("decimal", "%1.%2", ""))
    styles = document.styles
    styles["Heading 2"].base_style = styles["Heading 1"]
    add(document, "Scope", 90, None, "Heading 1")
    xml = f"<w:numPr {W}><w:ilvl w:val='1'/></w:numPr>"
    styles["Heading 2"].element.get_or_add_pPr().append(parse_xml(xml))
    document.add_paragraph("条款", style="Heading 2")
    assert [text for _, text in blocks(document)] == ["1 Scope", "1.1 条款"]


def test_a_list_defined_by_a_list_style(document):
    """A definition that only names a list style takes the levels of the definition of that style."""
    define(document, 90, ("decimal", "%1)", ""))
    root = document.part.numbering_part.element
    root[-2].insert(0, parse_xml(f"<w:styleLink {W} w:val='Legal'/>"))
    link = f"<w:abstractNum {W} w:abstractNumId='91'><w:numStyleLink w:val='Legal'/></w:abstractNum>"
    root.append(parse_xml(link))
    use(document, 91, 91)
    add(document, "one", 91)
    assert blocks(document) == [("list", "1) one")]


def test_a_list_may_define_a_level_of_its_own(document):
    """An overridden level has the text of the override."""
    define(document, 90, ("decimal", "%1.", ""))
    level = "<w:lvl w:ilvl='0'><w:start w:val='3'/><w:numFmt w:val='decimal'/><w:lvlText w:val='(%1)'/></w:lvl>"
    use(document, 91, 90, f"<w:lvlOverride w:ilvl='0'>{level}</w:lvlOverride>")
    add(document, "three", 91)
    assert blocks(document) == [("list", "(3) three")]


def test_what_stands_between_number_and_text(document):
    """Nothing where the list says so and Chinese allows it; a place that has no number of its own prints none."""
    define(document, 90, ("chineseCounting", "附件%1", "<w:suff w:val='nothing'/>"), ("bullet", "", ""))
    define(document, 91, ("decimal", "%1", "<w:suff w:val='nothing'/>"), ("bullet", "", ""), ("decimal", "%1.%2%3", ""))
    for text, number, level in (("说明", 90, 0), ("Scope", 91, 0), ("Part", 91, 2)):
        add(document, text, number, level, "Heading 1")
    assert [text for _, text in blocks(document)] == ["附件一说明", "1 Scope", "1.1 Part"]


def test_numbered_cells_without_text(document):
    """A column of automatic numbers is read, though its cells hold no text."""
    define(document, 90, ("decimal", "%1", ""))
    table = document.add_table(2, 2)
    for row, text in zip(table.rows, ("银蜓", "追隼"), strict=True):
        row.cells[0].paragraphs[0]._p.get_or_add_pPr().append(
            parse_xml(f"<w:numPr {W}><w:ilvl w:val='0'/><w:numId w:val='90'/></w:numPr>")
        )
        row.cells[1].text = text
    assert blocks(document) == [("table", "| 1 | 银蜓 |\n| --- | --- |\n| 2 | 追隼 |")]


@pytest.mark.parametrize(
    ("form", "number", "text"),
    [
        ("chineseCounting", 10, "十"),
        ("chineseCounting", 12, "十二"),
        ("chineseCountingThousand", 20, "二十"),
        ("chineseCountingThousand", 105, "一百零五"),
        ("chineseCountingThousand", 110, "一百一十"),
        ("chineseCountingThousand", 1005, "一千零五"),
        ("ideographDigital", 10, "一〇"),
        ("ideographTraditional", 3, "丙"),
        ("chineseLegalSimplified", 12, "壹拾贰"),
        ("decimalZero", 7, "07"),
        ("decimalEnclosedCircle", 3, "③"),
        ("upperRoman", 14, "XIV"),
        ("lowerLetter", 28, "bb"),
        ("ideographTraditional", 11, ""),
        ("lowerRoman", 0, ""),
        ("nothing", 1, ""),
    ],
)
def test_formats(form, number, text):
    """Each format as Word writes it; no text where it has no such number."""
    assert format_number(number, form) == text
