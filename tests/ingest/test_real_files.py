"""The real files beside the repository and the bundled handbook: what their README says comes out."""

import json
import re
import warnings
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pypdfium2
import pytest

from kb.errors import DocumentError
from kb.ingest import pdf_lines
from kb.ingest.chunk import chunk
from kb.ingest.parse import parse

ROOT = Path(__file__).parents[2]
FILES = ROOT.parent / "shared" / "data" / "documents"
HANDBOOK = ROOT / "corpora" / "handbook"

pytestmark = pytest.mark.slow
MISSING = f"the real files are not at {FILES}: nothing was checked on them"
real = pytest.mark.skipif(not FILES.is_dir(), reason=MISSING)
if not FILES.is_dir():
    warnings.warn(MISSING, stacklevel=1)


def han(text):
    """How many Chinese characters there are."""
    return len(re.findall("[\u4e00-\u9fff]", text))


@real
def test_quarterly_report(monkeypatch):
    """All Chinese characters are read; the header goes from all 22 pages; lines are joined; sections have levels."""
    monkeypatch.setattr(pdf_lines, "is_installed", lambda: False)
    parsed = parse(FILES / "zh_quarterly_report.pdf")
    header = "东北电气发展股份有限公司 2018 年第一季度报告全文"
    assert han(parsed.text) + 22 * han(header) == 7216
    assert header not in parsed.text
    assert parsed.notes == (f"left out as header or footer, pages 22: “{header}”",)
    assert "保证季度报告内容的真实、准确、完整，不存在虚假记载" in parsed.text
    assert "| 营业收入（元） | 4,755,785.11 | 5,699,227.63 | -16.55% |" in parsed.text
    spans = chunk(parsed)
    assert "东北电气发展股份有限公司 > 第二节 公司基本情况 > 一、主要会计数据和财务指标" in {
        span.header for span in spans
    }
    assert max(span.tokens for span in spans) <= 1400
    assert spans[2].page == 3


@real
def test_ruled_tables(monkeypatch):
    """Cells of several lines, merged cells and heads of two rows; nothing is lost, merged cells are repeated."""
    rows = parse(FILES / "zh_merged_cell_table.pdf").text.splitlines()
    assert (
        "| 公路技术等级 | 车道数 | 用地指标基准值 | 编制条件 路段交通量 Q（peu/d） | 编制条件 大型车比例 u（%） |"
        in rows
    )
    assert "| 高速公路 | 四 | 1.6667 | 25000≤Q＜40000 | 20＜μ≤30 |" in rows
    report = parse(FILES / "zh_quarterly_report.pdf").text
    assert "| 北京海鸿源投资管理有限公司 | 境内非国有法人 | 9.33% | 81,494,850 |  | 质押 | 81,494,850 |" in report
    assert "| 归属于上市公司股东的扣除非经常性损益的净利润（元） | -7,889,855.34 | -15,424,679.15 | 48.85% |" in report
    monkeypatch.setattr(pdf_lines, "is_installed", lambda: False)
    bare = parse(FILES / "zh_quarterly_report.pdf").text
    assert not Counter(filter(str.isalnum, bare)) - Counter(filter(str.isalnum, report))


@real
def test_characters_are_read_once():
    """Fake bold is not doubled; GBK bytes in a Western font are Chinese, without spaces between the characters."""
    assert han(parse(FILES / "zh_fake_bold_duplicates.pdf").text) == 882
    mojibake = parse(FILES / "zh_gbk_in_winansi.pdf").text
    assert (han(mojibake), "关于红军作战的原则" in mojibake) == (207, True)


@real
def test_latex_book():
    """117 pages: bookmarks are its sections, running titles with page numbers go, the text stays close to the truth."""
    from rapidfuzz.distance import Levenshtein

    parsed = parse(FILES / "de_latex_book.pdf")
    truth = (FILES / "de_latex_book.truth.txt").read_text(encoding="utf-8")
    one, other = (" ".join(text.split()) for text in (truth, parsed.text))
    assert Levenshtein.normalized_similarity(one, other) > 0.94
    assert "Geometrie und Topologie > 1 Topologische Grundbegriffe > 1.2 Metrische Räume" in {
        span.header for span in chunk(parsed)
    }
    assert "1.1. TOPOLOGISCHE RÄUME" not in parsed.text


@real
def test_columns():
    """A sentence is followed through its column, not across."""
    parsed = parse(FILES / "en_multicolumn.pdf")
    assert "adipiscing vitae, felis. Curabitur dictum gravida mauris. Nam arcu libero, nonummy eget" in parsed.text
    assert "| Country | Population (millions) | Area (km2) | Capital | Official Language |" in parsed.text


@real
def test_columns_that_run_down():
    """Vertical writing is read from the right, whatever the order in the file."""
    assert parse(FILES / "ja_vertical.pdf").text == "あいうえお日本語"


@real
@pytest.mark.parametrize("name", sorted(path.name for path in FILES.glob("*.pdf") if path.name != "scanned_only.pdf"))
def test_good_files_are_not_accused(name):
    """No page of a good file, of whatever script, is taken for garbage, repaired or said to hide text."""
    notes = " ".join(parse(FILES / name).notes)
    assert not re.search("pages left out|GB 18030|hidden", notes)


@real
@pytest.mark.parametrize(
    ("name", "status"),
    [(f"r{n}-user-password", "PASSWORD_NEEDED") for n in range(2, 7)]
    + [("r3-empty-password", ""), ("r6-empty-password", ""), ("r6-owner-password", "")],
)
def test_passwords(name, status):
    """Empty and owner passwords open silently, a user password is asked for."""
    path = FILES / "encrypted" / f"{name}.pdf"
    if status:
        with pytest.raises(DocumentError) as caught:
            parse(path)
        assert caught.value.status == status
    else:
        assert parse(path).blocks


@real
def test_an_entity_from_outside_is_refused():
    """A part with a DOCTYPE is named, not read without what the entity stands for."""
    with pytest.raises(DocumentError, match=r"word/document\.xml declares") as caught:
        parse(FILES / "docx" / "ExternalEntityInText.docx")
    assert caught.value.status == "UNSUPPORTED"


@real
def test_scans_are_told_from_empty_files():
    """Pages of pictures need OCR."""
    with pytest.raises(DocumentError) as caught:
        parse(FILES / "scanned_only.pdf")
    assert caught.value.status == "NEEDS_OCR"


@real
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("docx/textbox.docx", "A report must be submitted within 24 hours"),
        ("docx/60316.docx", "Getting the perfect job might be challenging"),
        ("docx/delins.docx", "Apache Tika 0.3 has been released"),
        ("docx/docx_rich_cells.docx", "| A, B, C; Cell 1, Cell 2, Cell 3 |"),
        ("docx/zh_stress009.docx", "密码保护及清除指令等安全特性"),
        ("docx_shapes.docx", "<floating-shape>"),
        ("pptx/powerpoint_unrecognized_shape.pptx", "Text in an unrecognized shape"),
        ("nested_groups.pptx", "G"),
        ("docx_shapes.docx", "Paragraph with <inline-image1> and <inline-image2> within."),
        ("docx/unit_test_headers_numbered.docx", "1.2.1. Section 1.2.3"),
        ("pptx/pptx_chart.pptx", "| 2019 | 120 | 80 |"),
    ],
)
def test_office_files(name, said):
    """Text in text boxes, content controls, insertions, nested tables, groups and charts is read, with its numbers."""
    assert said in parse(FILES / name).text


@real
def test_a_scanned_chinese_page(tmp_path):
    """A page of the quarterly report as a picture: nearly every pair of characters below its header comes back."""
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    page = pypdfium2.PdfDocument(FILES / "zh_quarterly_report.pdf")[1]
    canvas = Canvas(str(tmp_path / "scan.pdf"), pagesize=page.get_size())
    canvas.drawImage(ImageReader(page.render(scale=3).to_pil()), 0, 0, *page.get_size())
    canvas.save()
    found, truth = (
        parse(tmp_path / "scan.pdf", ocr=True).text,
        page.get_textpage().get_text_bounded().partition("\n")[2],
    )
    pairs = {one + other for one, other in pairwise(re.findall("[\u4e00-\u9fff]", truth))}
    read = {one + other for one, other in pairwise(re.findall("[\u4e00-\u9fff]", found))}
    assert len(pairs) > 100
    assert len(pairs & read) > 0.95 * len(pairs)


@pytest.mark.skipif(not (HANDBOOK / "facts.jsonl").exists(), reason="the handbook has not been written")
def test_every_fact_of_the_handbook_is_in_one_chunk():
    """In every format and both languages, each fact's answer stands in a chunk that names its entity."""
    read = {}
    lost = []
    for line in (HANDBOOK / "facts.jsonl").read_text(encoding="utf-8").splitlines():
        fact = json.loads(line)
        name = fact["file"]
        if name not in read:
            parsed = parse(HANDBOOK / "docs" / name)
            read[name] = [f"{span.header}\n{parsed.text[span.start : span.end]}" for span in chunk(parsed)]
        if not any(fact["answer"] in text and fact["entity"] in text for text in read[name]):
            lost.append((name, fact["entity"], fact["answer"]))
    assert read
    assert lost == []
