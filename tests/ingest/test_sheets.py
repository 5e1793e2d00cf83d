"""Excel files, written by openpyxl."""

import io
from datetime import date, datetime, time
from pathlib import Path

import openpyxl
import pytest

from kb.errors import DocumentError
from kb.ingest.cell_format import show
from kb.ingest.chunk import chunk
from kb.ingest.parse import parse
from kb.ingest.sheets import parse_xlsx

FILE = Path("/docs/年报.xlsx")


def book(*sheets, change=None):
    """An .xlsx file of (name, rows) sheets."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets:
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    if change:
        change(made)
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def blocks(data):
    """Kind and text of the blocks of a file."""
    return [(block.kind, block.text) for block in parse_xlsx(FILE, data).blocks]


@pytest.mark.parametrize(
    ("value", "format", "text"),
    [
        (3.0, "General", "3"),
        (0.1 + 0.2, "General", "0.3"),
        (440301199001011234, "0", "440301199001011234"),
        (0.155, "0.0%", "15.5%"),
        (0.15, "0%", "15%"),
        (4755785.11, "#,##0.00", "4,755,785.11"),
        (-1234.5, "#,##0.00;[Red](#,##0.00)", "(1,234.50)"),
        (-1234.5, "#,##0.00_ ;[Red]-#,##0.00 ", "-1,234.50"),
        (-5, '0"元";[Red]0"元"', "-5元"),
        (1200, '"¥"#,##0', "¥1,200"),
        (1200, "[$¥-804]#,##0.00", "¥1,200.00"),
        (47, '0"万元"', "47万元"),
        (2.675, "0.00", "2.68"),
        (0.285, "0%", "29%"),
        (2.5, "0.##", "2.5"),
        (7, "00000", "00007"),
        (1234567, "0.00E+00", "1234567"),
        (0.5, "# ?/?", "0.5"),
        (datetime(2025, 1, 20), "mm-dd-yy", "2025-01-20"),
        (datetime(2025, 1, 20), 'yyyy"年"m"月"d"日"', "2025年1月20日"),
        (datetime(2025, 1, 20), 'yyyy"年"m"月"', "2025年1月"),
        (datetime(2025, 1, 1), "mmm-yy", "2025-01"),
        (datetime(2025, 1, 20, 14, 30), "yyyy-mm-dd hh:mm", "2025-01-20 14:30"),
        (time(9, 5), "hh:mm", "09:05"),
        (date(2025, 1, 20), "General", "2025-01-20"),
        (True, "General", "TRUE"),
        (None, "General", ""),
        ("条例", "@", "条例"),
    ],
)
def test_a_value_is_shown_as_its_reader_sees_it(value, format, text):
    """Dates are dates, percentages have their sign, whole numbers no point, and unknown formats change nothing."""
    assert show(value, format) == text


def test_a_sheet_is_a_section():
    """Each sheet's name is a heading above its table; a program's name of an only sheet is none."""
    people = ("员工", [["姓名", "年假"], ["徐梓涵", 32]])
    table = ("table", "| 姓名 | 年假 |\n| --- | --- |\n| 徐梓涵 | 32 |")
    assert blocks(book(people, ("Fines", [["item", "fine"], ["smoking", 84]]))) == [
        ("heading", "员工"),
        table,
        ("heading", "Fines"),
        ("table", "| item | fine |\n| --- | --- |\n| smoking | 84 |"),
    ]
    assert blocks(book(("Sheet1", people[1]))) == [table]


def test_formats_of_cells_are_used():
    """A date and a percentage in a real file are read as they are shown."""

    def change(made):
        made["a"]["A2"].number_format = 'yyyy"年"m"月"d"日"'
        made["a"]["B2"].number_format = "0.0%"

    rows = [["生效", "比例"], [datetime(1992, 12, 17), 0.155]]
    assert blocks(book(("a", rows), change=change))[-1][1].endswith("| 1992年12月17日 | 15.5% |")


def test_merged_cells():
    """A title over the table is text, a head of two rows is one, and a merged cell counts for all rows it spans."""

    def change(made):
        for cells in ("A1:C1", "A2:A3", "B2:C2", "A4:A5"):
            made["a"].merge_cells(cells)

    rows = [["年度表"], ["部门", "2023年"], [None, "收入", "利润"], ["研发部", 5, 1], [None, 7, 2]]
    assert blocks(book(("a", rows), change=change)) == [
        ("heading", "a"),
        ("paragraph", "年度表"),
        ("table", "| 部门 | 2023年 收入 | 2023年 利润 |\n| --- | --- | --- |\n| 研发部 | 5 | 1 |\n| 研发部 | 7 | 2 |"),
    ]


def test_hidden_sheets_are_noted():
    """What the reader of the file does not see is not read, and that is said."""

    def change(made):
        made["列表"].sheet_state = "hidden"

    read = parse_xlsx(FILE, book(("a", [["x", "y"], [1, 2]]), ("列表", [["secret"]]), change=change))
    assert "secret" not in read.text
    assert "“列表”" in read.notes[0]


def test_formulas_are_their_stored_values():
    """A formula without a stored value is nothing one can read; the note says how to get it."""
    read = parse_xlsx(FILE, book(("a", [["x", "合计"], [1, "=A2*2"]])))
    assert "=A2" not in read.text
    assert "1 formulas have no stored value" in read.notes[0]


def test_a_file_that_lies_about_its_size(monkeypatch):
    """Some programs write a dimension of one cell; all cells are read."""
    import zipfile

    source = zipfile.ZipFile(io.BytesIO(book(("a", [["x", "条例"], [1, 2]]))))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name in source.namelist():
            made.writestr(name, source.read(name).replace(b'<dimension ref="A1:B2"', b'<dimension ref="A1"'))
    assert blocks(buffer.getvalue())[-1][1].endswith("| 1 | 2 |")


def test_a_far_away_cell_makes_no_wide_table():
    """Empty rows and columns between cells cost nothing."""

    def change(made):
        made["a"]["MZ5000"] = "罚款"

    (_, (kind, text)) = blocks(book(("a", [["x", "y"], [1, 2]]), change=change))
    assert kind == "table"
    assert text == "| x | y |  |\n| --- | --- | --- |\n| 1 | 2 |  |\n|  |  | 罚款 |"


def test_a_password_and_an_older_file(tmp_path):
    """An encrypted file asks for a copy without password; an .xls under the new suffix is told by its content."""
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600
    for data, status in (
        (ole + "EncryptedPackage".encode("utf-16-le"), "PASSWORD_NEEDED"),
        (ole + "Workbook".encode("utf-16-le"), "UNSUPPORTED"),
    ):
        (tmp_path / "a.xlsx").write_bytes(data)
        with pytest.raises(DocumentError) as caught:
            parse(tmp_path / "a.xlsx")
        assert caught.value.status == status
    assert "Rename it to .xls" in str(caught.value)


def test_the_header_is_in_every_chunk(tmp_path):
    """Rows far down in a sheet are shown with the sheet's name and their header."""
    rows = [["编号", "姓名"], *([n, f"员工{n}"] for n in range(400))]
    (tmp_path / "a.xlsx").write_bytes(book(("员工", rows)))
    spans = chunk(parse(tmp_path / "a.xlsx"))
    assert len(spans) > 2
    assert spans[-1].header == "a > 员工 > 编号 | 姓名"
