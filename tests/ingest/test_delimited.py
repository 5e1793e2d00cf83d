"""CSV and TSV files, and the rows of any table as blocks."""

from pathlib import Path

import pytest

from kb.ingest import grid
from kb.ingest.chunk import chunk
from kb.ingest.delimited import parse_csv

ZH = "姓名,年假\r\n徐梓涵,32\r\n冯子彤,42\r\n"


def blocks(text, name="a.csv", encoding="utf-8"):
    """Kind and text of the blocks of a file."""
    return [(block.kind, block.text) for block in parse_csv(Path(name), text.encode(encoding)).blocks]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_table_in_any_encoding(encoding):
    """A row is a row of a Markdown table under its header; Excel in China writes GBK."""
    expected = "| 姓名 | 年假 |\n| --- | --- |\n| 徐梓涵 | 32 |\n| 冯子彤 | 42 |"
    assert blocks(ZH, encoding=encoding) == [("table", expected)]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(mark):
    """Semicolons of a German Excel, tabs and bars are told from commas inside of cells."""
    text = f'name{mark}fine\nOrla{mark}"1,5 and more"\nTomas{mark}84\n'
    assert blocks(text)[0][1].split("\n")[2] == "| Orla | 1,5 and more |"


def test_the_line_that_names_the_delimiter_is_no_row():
    """Excel's "sep=;" is followed and not read."""
    assert blocks("sep=;\nname;fine\nOrla;84, or 85\n") == [
        ("table", "| name | fine |\n| --- | --- |\n| Orla | 84, or 85 |")
    ]


def test_a_file_the_sniffer_gives_up_on():
    """One column has no delimiter; it is read all the same."""
    assert blocks("名称\n条例\n规定\n") == [("table", "| 名称 |\n| --- |\n| 条例 |\n| 规定 |")]


def test_tabs_of_a_tsv_win_over_commas():
    """The suffix decides where its delimiter is there."""
    assert blocks("a, b\tc, d\n1, 2\t3, 4\n", "a.tsv")[0][1].startswith("| a, b | c, d |")


def test_a_quotation_mark_that_never_closes_swallows_nothing():
    """An inch mark at the start of a cell is a character; the rows after it are rows, and a note says so."""
    read = parse_csv(Path("a.csv"), ('size,name\n"5 inch,Orla\n' + "3,条例\n" * 60).encode())
    assert read.blocks[0].text.count("\n") == 62
    assert "quotation marks" in read.notes[0]


def test_a_very_long_cell():
    """A cell above the csv module's own limit is read."""
    assert len(blocks('a,b\n1,"' + "条" * 140_000 + '"\n')[0][1]) > 140_000


def test_wide_rows_are_records():
    """Each row of a table with many columns says its headers itself; empty cells are left out."""
    head = ",".join(f"项目{n}" for n in range(20))
    text = f"{head}\n" + ",".join(str(n) if n != 3 else "" for n in range(20))
    ((kind, record),) = blocks(text)
    assert kind == "list"
    assert record.startswith("- 项目0: 0; 项目1: 1; 项目2: 2; 项目4: 4;")


def test_lines_above_the_table_are_text():
    """A title row is no header."""
    assert blocks("员工表,,\n,,\n姓名,年假,城市\n徐梓涵,32,上海\n") == [
        ("paragraph", "员工表"),
        ("table", "| 姓名 | 年假 | 城市 |\n| --- | --- | --- |\n| 徐梓涵 | 32 | 上海 |"),
    ]


def test_numbers_without_a_header_get_letters():
    """The first row of a table that has no header is not taken for one."""
    assert blocks("1,2\n3,4\n")[0][1] == "| A | B |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"


def test_what_is_over_a_limit_is_noted(monkeypatch):
    """Rows and columns that are left out are never left out in silence."""
    monkeypatch.setattr(grid, "MOST_CELLS", 6)
    monkeypatch.setattr(grid, "MOST_COLUMNS", 2)
    read = parse_csv(Path("a.csv"), b"a,b,c\n1,2,3\n4,5,6\n7,8,9\n")
    assert read.text.endswith("| 4 | 5 |")
    assert [note.split(":")[0] for note in read.notes] == [
        "the rows from 4 on were left out",
        "1 columns were left out",
    ]


def test_every_chunk_of_a_long_table_shows_the_header():
    """A row in a later chunk stands under its header as one in the first does."""
    text = "姓名,年假\n" + "".join(f"员工{n},{n}\n" for n in range(300))
    read = parse_csv(Path("员工.csv"), text.encode())
    spans = chunk(read)
    assert len(spans) > 2
    assert all("姓名 | 年假" in span.header + read.text[span.start : span.end] for span in spans)
