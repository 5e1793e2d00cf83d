"""Markdown."""

from pathlib import Path

from kb.ingest.markdown import parse_markdown

SOURCE = """\
---
title: "员工手册"
tags: [a, b]
---
# 手册 #

First line of
a **bold** paragraph with a [link](http://example.com/a_(b)) and `code`.

Products
--------
- one
  goes on
- two
    1. deeper

| name | note |
|------|:----:|
| a \\| b | 中文 |

<!-- a comment -->
> quoted
> text

```python
# not a heading
x = 1
```
Scope
=====
* * *
last
"""


def test_every_construct():
    """Headings of both kinds, lists, tables, quotes and code come out as blocks; markup and front matter do not."""
    read = parse_markdown(Path("a.md"), SOURCE.encode())
    assert read.title == "员工手册"
    assert [(block.kind, block.level, block.text) for block in read.blocks] == [
        ("heading", 1, "手册"),
        ("paragraph", 0, "First line of a bold paragraph with a link and `code`."),
        ("heading", 2, "Products"),
        ("list", 0, "- one goes on\n- two\n    1. deeper"),
        ("table", 0, "| name | note |\n| --- | --- |\n| a \\| b | 中文 |"),
        ("paragraph", 0, "quoted text"),
        ("code", 0, "# not a heading\nx = 1"),
        ("heading", 1, "Scope"),
        ("paragraph", 0, "last"),
    ]


def test_title_without_front_matter():
    """The first heading of level 1 is the title, else the file's name; a leading rule is no front matter."""
    assert parse_markdown(Path("a.md"), "# 入门资料\n\n正文。".encode()).title == "入门资料"
    plain = parse_markdown(Path("notes.md"), b"---\n\nText\n\n---\n\nMore\n")
    assert (plain.title, [block.text for block in plain.blocks]) == ("notes", ["Text", "More"])


def test_a_code_span_in_three_backticks_opens_no_fence():
    """What follows the backticks of a fence holds none itself; the line is a paragraph, and the rest is read on."""
    read = parse_markdown(Path("a.md"), b"```kb ingest``` reads files.\n\n## Next\n\nMore.")
    assert [block.kind for block in read.blocks] == ["paragraph", "heading", "paragraph"]
    assert "kb ingest" in read.blocks[0].text


def test_an_unclosed_fence_loses_nothing():
    """Code whose fence is never closed goes to the end of the file."""
    read = parse_markdown(Path("a.md"), b"```\nx = 1\n\ny = 2")
    assert [(block.kind, block.text) for block in read.blocks] == [("code", "x = 1\n\ny = 2")]
