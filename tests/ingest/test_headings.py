"""Headings by their wording."""

import pytest

from kb.ingest.blocks import Block
from kb.ingest.headings import is_short, numbered_ranks, promote, to_levels


def levels(*lines):
    """The levels of the lines that are headings, by their text."""
    return {lines[index]: level for index, level in to_levels(numbered_ranks(lines)).items()}


def test_chinese_numbering():
    """Chapters stand above sections, those above 一、 and （一）, whatever of them occurs."""
    found = levels("第一章 总则", "第一节 目的", "本章说明目的。", "一、范围", "（一）对象", "（二）时间", "二、依据")
    assert found == {"第一章 总则": 1, "第一节 目的": 2, "一、范围": 3, "（一）对象": 4, "（二）时间": 4, "二、依据": 3}


def test_english_numbering():
    """Chapters and decimal numbers; a single number counts where its subsections follow."""
    found = levels("Chapter 2 Rules", "1. Scope", "1.1 Products", "1.2 Services", "2. Terms")
    assert found == {"Chapter 2 Rules": 1, "1. Scope": 2, "1.1 Products": 3, "1.2 Services": 3}


@pytest.mark.parametrize(
    "line",
    [
        "3.5 公里",
        "三、没有一和二",
        "1. Just an item",
        "2.7 million people",
        "一、这是一个完整的句子。",
        "第三条 甲方应当付款",
    ],
)
def test_numbers_that_are_no_headings(line):
    """A quantity, a member of a series that has not begun, a list item, a sentence, a clause."""
    assert levels(line) == {}


@pytest.mark.parametrize(
    ("line", "short"),
    [("产品介绍", True), ("About this page", True), ("It ends.", False), ("表 7.5 指标", False), ("Figure 3", False),
     ("长" * 36, False), ("123", False), ("两行\n标题", False)],
)  # fmt: skip
def test_is_short(line, short):
    """Sentences, captions, numbers and long lines cannot be headings."""
    assert is_short(line) is short


def test_promote_leaves_styled_documents_alone():
    """Numbered paragraphs become headings only where the document has no heading of its own."""
    plain = [Block("paragraph", "一、范围"), Block("paragraph", "正文。")]
    assert [block.kind for block in promote(plain)] == ["heading", "paragraph"]
    styled = [Block("heading", "总则", level=1), *plain]
    assert promote(styled) == styled
