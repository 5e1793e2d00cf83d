"""Blocks and the text they make up."""

from pathlib import Path

import pytest

from kb.ingest.blocks import Block, assemble, choose_title, clean_line, join_lines, table_rows


def test_every_block_knows_its_slice():
    """The text is the blocks joined by a blank line; empty blocks leave no trace; spans are exact."""
    made = assemble("T", "md", [Block("heading", "标题", level=1), Block("paragraph", " "), Block("list", "- a\n- b ")])
    assert made.text == "标题\n\n- a\n- b"
    assert [(block.start, block.end, made.text[block.start : block.end]) for block in made.blocks] == [
        (0, 2, "标题"),
        (4, 11, "- a\n- b"),
    ]


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("the end of", "a line", "the end of a line"),
        ("报告内容的真", "实、准确", "报告内容的真实、准确"),
        ("生效日期为", "2018 年", "生效日期为2018 年"),
        ("exam-", "ple", "example"),
        ("COVID-", "19", "COVID-19"),
        ("Smith-", "Jones", "Smith-Jones"),
        ("pages 3-", "and 4", "pages 3- and 4"),
        ("", "alone", "alone"),
    ],
)
def test_join_lines(first, second, joined):
    """No space at Chinese, one between words, a hyphen goes only where it broke a word."""
    assert join_lines(first, second) == joined


def test_clean_line():
    """Control characters and soft hyphens go, every run of blanks is one space."""
    assert clean_line("\ufeffa\x00b\u00ad \u3000\t c\n") == "ab c"


def test_table_rows():
    """Short rows are filled up, empty ones dropped, pipes escaped, line breaks in cells become spaces."""
    assert table_rows([["a", "b|c"], ["", " "], ["一\n二"]]) == "| a | b\\|c |\n| --- | --- |\n| 一 二 |  |"
    assert table_rows([["", " "]]) == ""


@pytest.mark.parametrize(
    "filler", ["", "Untitled", "Microsoft Word - a.doc", "无标题", "演示文稿1", "a.docx", "x" * 201]
)
def test_a_programs_filler_is_no_title(filler):
    """What a program writes by itself is passed over, for the next candidate or the file's name."""
    assert choose_title(Path("/x/guide.pdf"), [filler]) == "guide"
    assert choose_title(Path("/x/guide.pdf"), [filler, "员工手册"]) == "员工手册"
