"""HTML pages."""

from pathlib import Path

import pytest

from kb.errors import DocumentError
from kb.ingest import grid
from kb.ingest.parse import parse
from kb.ingest.web import parse_html

FILE = Path("/docs/page.html")


def read(body, head="", encoding="utf-8"):
    """A page with this body, parsed."""
    return parse_html(FILE, f"<html><head>{head}</head><body>{body}</body></html>".encode(encoding))


def blocks(body):
    """Kind and text of the blocks of a page with this body."""
    return [(block.kind, block.text) for block in read(body).blocks]


@pytest.mark.parametrize("declared", ["gb2312", "GBK", "gb18030"])
def test_a_chinese_page_says_gb2312_and_means_gb18030(declared):
    """Characters outside of the declared set are read, as browsers do; what is declared is no guess and has no note."""
    page = read("朱镕基㐀", f'<meta http-equiv=Content-Type content="text/html; charset={declared}">', "gb18030")
    assert (page.text, page.notes) == ("朱镕基㐀", ())


def test_encodings_by_their_order():
    """A mark wins over what the page says; Big5 is declared; what is declared wrongly, or as Latin-1, is found out."""
    assert parse_html(FILE, '<meta charset="koi8-r"><p>条例'.encode("utf-8-sig")).text == "条例"
    assert read("條例", "<meta charset=big5>", "cp950").text == "條例"
    assert read("条例", "<meta charset=iso-8859-1>", "utf-8").text == "条例"
    wrong = read("条例规定罚款", "<meta charset=utf-8>", "gb18030")
    assert wrong.text == "条例规定罚款"
    assert wrong.notes[0] == "is not utf-8, as it says"
    assert parse_html(FILE, '<?xml version="1.0" encoding="gb2312"?><p>镕</p>'.encode("gb18030")).text == "镕"


def test_reading_order_and_entities():
    """Headings, paragraphs and text outside of them come in their order; entities are characters."""
    assert blocks("before<h2>A &amp; B</h2><div>in <b>bold</b>ly<p>条例&nbsp;&#32;规定&lt;x&gt;</p>after</div>") == [
        ("paragraph", "before"),
        ("heading", "A & B"),
        ("paragraph", "in boldly"),
        ("paragraph", "条例 规定<x>"),
        ("paragraph", "after"),
    ]


def test_lists():
    """Items one a line, deeper ones indented, numbered ones with their number, terms with their definition."""
    page = "<ul><li>one<ol start=3><li>三<li>四</ol></li><li><p>two</p></li></ul><dl><dt>年假<dd>32天</dl>"
    assert blocks(page) == [("list", "- one\n  3. 三\n  4. 四\n- two"), ("list", "- 年假: 32天")]


def test_a_list_that_holds_a_page():
    """A list with headings in it only arranges the page."""
    assert blocks("<ul><li><h2>罚款</h2><p>47万元。</p></li></ul>") == [("heading", "罚款"), ("paragraph", "47万元。")]


def test_a_table_with_cells_that_span():
    """A cell counts for each row and column that it spans; a head of two rows is one; the caption stands above."""
    page = (
        "<table><caption>利润表</caption><tr><th rowspan=2>部门<th colspan=2>2023年<tr><th>收入<th>利润"
        "<tr><td rowspan=2>研发<td>5<td>1<tr><td>7<td>2</table>"
    )
    assert blocks(page) == [
        ("paragraph", "利润表"),
        ("table", "| 部门 | 2023年 收入 | 2023年 利润 |\n| --- | --- | --- |\n| 研发 | 5 | 1 |\n| 研发 | 7 | 2 |"),
    ]


def test_a_table_above_the_limit_is_noted(monkeypatch):
    """Rows that are left out are told in a note, not in the text."""
    monkeypatch.setattr(grid, "MOST_CELLS", 4)
    page = read("<table><tr><th>项目<th>x<tr><td>1<td>2<tr><td>3<td>4</table>")
    assert page.text.endswith("| 1 | 2 |")
    assert "the rows from 3 on were left out" in page.notes[0]


@pytest.mark.parametrize(
    "page",
    [
        "<table><tr><td><p>目录</p></td><td><table><tr><td>x<td>y<tr><td>1<td>2</table></td></tr></table>",
        "<table role=presentation><tr><td>目录<td><p>x</p></table>",
        "<table><tr><td>目录</td></tr><tr><td><p>x</p></td></tr></table>",
    ],
)
def test_tables_that_arrange_the_page(page):
    """The cells of such a table are read as parts of the page, one after another."""
    assert blocks(page)[0] == ("paragraph", "目录")


def test_code_keeps_its_lines():
    """A <pre> is code with its indentation."""
    assert blocks("<pre>if a &lt; b:<br>    # 注释\n    <b>x</b> = 1\n</pre>") == [
        ("code", "if a < b:\n    # 注释\n    x = 1")
    ]


def test_line_breaks():
    """Two breaks or indented lines make paragraphs; a source line broken between Chinese characters has no blank."""
    assert blocks("一行<br>二行<br><br>另段\n续") == [("paragraph", "一行\n二行"), ("paragraph", "另段续")]
    assert blocks("　　第一段。<br>　　第二段。") == [("paragraph", "第一段。"), ("paragraph", "第二段。")]
    assert blocks("one\ntwo") == [("paragraph", "one two")]


@pytest.mark.parametrize(
    "unseen",
    [
        "<script>var x = '罚款'</script>", "<style>p {}</style>", "<p hidden>x</p>", '<p style="display: none">x</p>',
        "<!-- x -->", "<svg><text>x</text></svg>", "<select><option>x</select>", '<span aria-hidden="true">x</span>',
        '<a class="headerlink">¶</a>', "<noscript>x</noscript>", "<ruby><rt>x</rt></ruby>",
    ],
)  # fmt: skip
def test_what_is_not_seen_is_not_read(unseen):
    """Scripts, styles, comments and hidden elements are left out; the text after them stays."""
    assert "".join(text for _, text in blocks(f"<p>条{unseen}例</p>")) == "条例"


@pytest.mark.parametrize(
    "menu",
    [
        "<nav><a>首页</a></nav>", "<footer>版权所有</footer>", '<div role="navigation">首页</div>',
        '<div class="side nav-list"><a>首页</a> | <a>新闻</a></div>',
    ],
)  # fmt: skip
def test_navigation_is_left_out_and_noted(menu):
    """What leads through the site is no content; how much was left out is said."""
    page = read(f"{menu}<p>罚款不超过47万元。</p>")
    assert page.text == "罚款不超过47万元。"
    assert page.notes[0].startswith("left out as navigation:")


def test_text_under_a_menus_name_is_read():
    """A sidebar that is text and not links is content; so is the footer of an article."""
    assert blocks('<div class="sidebar">罚款不超过47万元。<a>更多</a></div>')
    assert blocks("<article><p>条例</p><footer>作者：徐梓涵</footer></article>")[-1] == ("paragraph", "作者：徐梓涵")


def test_the_main_part_is_read():
    """Where most of the text is in <main>, what surrounds it is left out, but for the page's only title."""
    page = read("<h1>条例</h1><div>广告</div><main><p>罚款不超过47万元。</p></main>")
    assert [block.text for block in page.blocks] == ["条例", "罚款不超过47万元。"]
    assert "广告" in read(f"<div>广告{'很长的正文。' * 9}</div><main>x</main>").text


def test_titles():
    """The only <h1> is the title, else <title>, else the file's name."""
    assert read("<h1>手册</h1>x", "<title>手册 - 公司网站</title>").title == "手册"
    assert read("<h1>A</h1>x<h1>B</h1>y", "<title>手册</title>").title == "手册"
    assert read("x").title == "page"


def test_numbered_paragraphs_are_headings_below_the_title():
    """A page that has no headings but its title gets them from its numbering."""
    page = read("<h1>条例</h1><p>第一章 总则</p><p>正文。</p><p>第二章 附则</p><p>正文。</p>")
    assert [(block.text, block.level) for block in page.blocks if block.kind == "heading"] == [
        ("条例", 0),
        ("第一章 总则", 1),
        ("第二章 附则", 1),
    ]


def test_deep_nesting_is_read_or_refused(tmp_path):
    """A page as deep as lxml goes is read whole; a deeper one is an error, not a page without its end."""
    (tmp_path / "a.html").write_text("<div>" * 1500 + "罚款" + "</div>" * 1500 + "end", encoding="utf-8")
    assert parse(tmp_path / "a.html").text == "罚款\n\nend"
    (tmp_path / "b.html").write_text("start" + "<div>" * 3000 + "罚款", encoding="utf-8")
    with pytest.raises(DocumentError, match="nested too deep") as caught:
        parse(tmp_path / "b.html")
    assert caught.value.status == "CORRUPT"


@pytest.mark.parametrize("page", ["<!-- nothing -->", "<html><body><script>x</script></body></html>"])
def test_a_page_without_text_is_empty(tmp_path, page):
    """Nothing to see is EMPTY, not damaged."""
    (tmp_path / "a.htm").write_text(page)
    with pytest.raises(DocumentError) as caught:
        parse(tmp_path / "a.htm")
    assert caught.value.status == "EMPTY"
