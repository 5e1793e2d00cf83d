"""Markdown."""

from pathlib import Path

import pytest

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
        ("list", 0, "- one goes on\n- two\n  1. deeper"),
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


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(
            "````\n```\nx\n```\n````\nafter", [("code", "```\nx\n```"), ("paragraph", "after")], id="fence longer"
        ),
        pytest.param(
            "```\n```python\nx\n```\nafter",
            [("code", "```python\nx"), ("paragraph", "after")],
            id="fence in text of fence",
        ),
        pytest.param("~~~ sh\nls ```\n~~~\n后", [("code", "ls ```"), ("paragraph", "后")], id="tilde fence"),
        pytest.param(
            "- step\n\n  ```\n  make\n  ```\n- 二",
            [("list", "- step"), ("code", "make"), ("list", "- 二")],
            id="fence in list",
        ),
        pytest.param("标题\n续行\n====\n正文", [("heading", "标题续行"), ("paragraph", "正文")], id="setext two lines"),
        pytest.param(
            'See [the rules][r].\n\n[r]: http://x.y/z "t"\n', [("paragraph", "See the rules.")], id="reference"
        ),
        pytest.param(
            "这是*重点*，an *accent*, snake_case_name, 2*3*4",
            [("paragraph", "这是重点，an accent, snake_case_name, 2*3*4")],
            id="single emphasis",
        ),
        pytest.param(
            "**「罚款」**的规定 **第一条：**内容", [("paragraph", "「罚款」的规定 第一条：内容")], id="cjk bold"
        ),
        pytest.param("~~old~~ new", [("paragraph", "old new")], id="strike"),
        pytest.param("A &amp; B &lt;x&gt; &copy;", [("paragraph", "A & B <x> ©")], id="entity"),
        pytest.param("a <b>粗</b> <span class=x>y</span> c<br>d", [("paragraph", "a 粗 y c d")], id="inline html"),
        pytest.param(
            "<details>\n<summary>更多</summary>\n\n内容 **x**\n\n</details>\n",
            [("paragraph", "更多"), ("paragraph", "内容 x")],
            id="html block",
        ),
        pytest.param(
            "<table><tr><th>a<th>b</tr><tr><td>1<td>2</tr></table>\n",
            [("table", "| a | b |\n| --- | --- |\n| 1 | 2 |")],
            id="html table",
        ),
        pytest.param("> - 一\n> - 二\n>\n> para", [("list", "- 一\n- 二"), ("paragraph", "para")], id="quote list"),
        pytest.param("> ## H\n> text", [("heading", "H"), ("paragraph", "text")], id="quote heading"),
        pytest.param(
            "text\n| a | b |\n|---|---|\n| 1 | 2 |",
            [("paragraph", "text"), ("table", "| a | b |\n| --- | --- |\n| 1 | 2 |")],
            id="table after text",
        ),
        pytest.param(
            "| a | b |\n|---|---|\n| `x \\| y` | 2 |",
            [("table", "| a | b |\n| --- | --- |\n| `x \\| y` | 2 |")],
            id="pipe in code",
        ),
        pytest.param("- 一\n\n  续段\n- 二", [("list", "- 一 续段\n- 二")], id="list two paras"),
        pytest.param("1. a\n   - b\n     - c\n2. d", [("list", "1. a\n  - b\n    - c\n2. d")], id="nested ordered"),
        pytest.param("- [x] 完成\n- [ ] todo", [("list", "- [x] 完成\n- [ ] todo")], id="task"),
        pytest.param("- one\ngoes on\n- two", [("list", "- one goes on\n- two")], id="lazy list"),
        pytest.param(
            "列表：\n- 一\n- 二", [("paragraph", "列表："), ("list", "- 一\n- 二")], id="no blank before list"
        ),
        pytest.param(
            "Run:\n\n    make all\n    make test\n\nend",
            [("paragraph", "Run:"), ("code", "make all\nmake test"), ("paragraph", "end")],
            id="indented code",
        ),
        pytest.param(
            "    第一段说明目的。\n\n    第二段说明范围。",
            [("paragraph", "第一段说明目的。"), ("paragraph", "第二段说明范围。")],
            id="indented chinese",
        ),
        pytest.param('![架构图](a.png "t") text', [("paragraph", "架构图 text")], id="image"),
        pytest.param("[a](http://x/(b)_c) end", [("paragraph", "a end")], id="link parens"),
        pytest.param(
            "<http://x.y> and http://z.w/a_b_c", [("paragraph", "http://x.y and http://z.w/a_b_c")], id="autolink"
        ),
        pytest.param("a\n\n<!-- x\n\ny -->\n\nb", [("paragraph", "a"), ("paragraph", "b")], id="comment"),
        pytest.param("#\n\ntext", [("paragraph", "text")], id="heading empty"),
        pytest.param("#标签 text", [("paragraph", "#标签 text")], id="hash tag"),
        pytest.param("see [注1] and [2]", [("paragraph", "see [注1] and [2]")], id="bracket"),
        pytest.param("设 $a_1 * b_2$ 和 $$x_i^*$$", [("paragraph", "设 $a_1 * b_2$ 和 $$x_i^*$$")], id="math"),
        pytest.param("```html\n<!-- keep -->\n<p>\n```", [("code", "<!-- keep -->\n<p>")], id="comment in code"),
        pytest.param("##标题\n\n正文", [("paragraph", "##标题"), ("paragraph", "正文")], id="heading in zh wo space"),
        pytest.param("3) c\n4) d", [("list", "3. c\n4. d")], id="list number"),
        pytest.param(
            "`a * b * c` and ``x ` y`` and `**k`",
            [("paragraph", "`a * b * c` and ``x ` y`` and `**k`")],
            id="code span",
        ),
        pytest.param("List<String> and <your name>", [("paragraph", "List<String> and <your name>")], id="not a tag"),
        pytest.param('<h1 align="center">手册</h1>\n\nx', [("heading", "手册"), ("paragraph", "x")], id="html heading"),
    ],
)
def test_edge_cases(source, expected):
    """Constructs beside, inside and instead of each other come out as their author saw them."""
    read = parse_markdown(Path("a.md"), source.encode())
    assert [(block.kind, block.text) for block in read.blocks] == expected
