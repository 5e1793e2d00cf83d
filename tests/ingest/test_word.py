"""Word files."""

import io
import zipfile
from pathlib import Path

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from kb.ingest.word import parse_docx

pytestmark = pytest.mark.slow
"""python-docx and python-pptx take a hundredth of a second for a file: too long for the unit suite."""

W = nsdecls("w")
FILE = Path("guide.docx")


@pytest.fixture
def document():
    """An empty Word document."""
    return docx.Document()


def read(document):
    """What kb makes of a document."""
    buffer = io.BytesIO()
    document.save(buffer)
    return parse_docx(FILE, buffer.getvalue())


def kinds(parsed):
    """Kind, level and text of every block."""
    return [(block.kind, block.level, block.text) for block in parsed.blocks]


def test_body_order_headings_lists_and_tables(document):
    """Paragraphs, lists and tables come in the order of the body, headings with their levels."""
    document.core_properties.title = "Word Document"
    document.add_heading("员工手册", 0)
    document.add_heading("产品", 1)
    document.add_paragraph("第一段。")
    table = document.add_table(2, 2)
    for cell, text in zip(table._cells, ("名称", "价格", "银蜓", "689元"), strict=True):
        cell.text = text
    document.add_heading("Details", 3)
    document.add_paragraph("one", style="List Bullet")
    document.add_paragraph("two", style="List Bullet 2")
    document.add_paragraph("After.")
    parsed = read(document)
    assert parsed.title == "员工手册"
    assert kinds(parsed) == [
        ("heading", 0, "员工手册"),
        ("heading", 1, "产品"),
        ("paragraph", 0, "第一段。"),
        ("table", 0, "| 名称 | 价格 |\n| --- | --- |\n| 银蜓 | 689元 |"),
        ("heading", 3, "Details"),
        ("list", 0, "- one\n- two"),
        ("paragraph", 0, "After."),
    ]


def test_merged_cells_are_not_repeated(document):
    """The text of a cell merged over columns and rows stands once."""
    table = document.add_table(3, 3)
    table.cell(0, 0).merge(table.cell(0, 1)).text = "wide"
    table.cell(1, 0).merge(table.cell(2, 0)).text = "tall"
    table.cell(2, 2).text = "角"
    assert read(document).text == "| wide |  |  |\n| --- | --- | --- |\n| tall |  |  |\n|  |  | 角 |"


def test_nested_tables_and_frames(document):
    """A table in a cell becomes part of its text; a table of one column is a frame around ordinary blocks."""
    outer = document.add_table(1, 2)
    outer.cell(0, 0).text = "left"
    inner = outer.cell(0, 1).add_table(2, 2)
    for cell, text in zip(inner._cells, "abcd", strict=True):
        cell.text = text
    frame = document.add_table(1, 1)
    frame.cell(0, 0).text = "framed"
    assert [(block.kind, block.text) for block in read(document).blocks] == [
        ("table", "| left | a, b; c, d |\n| --- | --- |"),
        ("paragraph", "framed"),
    ]


def test_controls_insertions_and_text_boxes_are_read_deletions_are_not(document):
    """Everything Word shows is read once, also where python-docx does not look."""
    paragraph = document.add_paragraph("Fine: ")
    for xml in (
        f"<w:ins {W}><w:r><w:t>47万元</w:t></w:r></w:ins>",
        f"<w:del {W}><w:r><w:delText>46万元</w:delText></w:r></w:del>",
        f"<w:sdt {W}><w:sdtContent><w:r><w:t> (new)</w:t></w:r></w:sdtContent></w:sdt>",
        f"<w:r {W}><mc:AlternateContent xmlns:mc='http://schemas.openxmlformats.org/markup-compatibility/2006'>"
        "<mc:Choice><w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent></mc:Choice>"
        "<mc:Fallback><w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent></mc:Fallback>"
        "</mc:AlternateContent></w:r>",
    ):  # fmt: skip
        paragraph._p.append(parse_xml(xml))
    block = parse_xml(f"<w:sdt {W}><w:sdtContent><w:p><w:r><w:t>controlled</w:t></w:r></w:p></w:sdtContent></w:sdt>")
    document.element.body.insert(1, block)
    assert [block.text for block in read(document).blocks] == ["Fine: 47万元 (new)", "boxed", "controlled"]


def test_numbered_paragraphs_without_styles_become_headings(document):
    """A Chinese document whose headings are plain paragraphs still gets its sections."""
    for text in ("第一章 总则", "为了规范管理，制定本办法。", "第二章 附则", "本办法自发布之日起施行。"):
        document.add_paragraph(text)
    assert [(kind, level) for kind, level, _ in kinds(read(document))] == [
        ("heading", 1),
        ("paragraph", 0),
        ("heading", 1),
        ("paragraph", 0),
    ]


def test_footnotes_follow_the_text(document):
    """Footnotes are read as notes after the text; Word's separators are not."""
    document.add_paragraph("Text.")
    buffer = io.BytesIO()
    document.save(buffer)
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes"
    content = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    notes = (
        f"<w:footnotes {W}><w:footnote w:type='separator' w:id='0'><w:p><w:r><w:t>---</w:t></w:r></w:p></w:footnote>"
        "<w:footnote w:id='2'><w:p><w:r><w:t>脚注内容。</w:t></w:r></w:p></w:footnote></w:footnotes>"
    )
    out = io.BytesIO()
    with zipfile.ZipFile(buffer) as before, zipfile.ZipFile(out, "w") as after:
        for name in before.namelist():
            part = before.read(name).decode("latin-1")
            if name == "[Content_Types].xml":
                part = part.replace(
                    "</Types>", f'<Override PartName="/word/footnotes.xml" ContentType="{content}"/></Types>'
                )
            if name == "word/_rels/document.xml.rels":
                part = part.replace(
                    "</Relationships>",
                    f'<Relationship Id="rId99" Type="{kind}" Target="footnotes.xml"/></Relationships>',
                )
            after.writestr(name, part.encode("latin-1"))
        after.writestr("word/footnotes.xml", notes)
    parsed = parse_docx(FILE, out.getvalue())
    assert [(block.kind, block.text) for block in parsed.blocks] == [("paragraph", "Text."), ("note", "脚注内容。")]
