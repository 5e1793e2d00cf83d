"""HTML pages. lxml, which the Office libraries bring along, makes the tree; nothing that a page points to is fetched.

What a browser does not show is not read, nor is what only leads through the site: <nav>, the page's <footer>, menus by
their names. Where a page marks its main part, and most of the text is there, that part is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kb.ingest.blocks import Block, Parsed, assemble, choose_title, clean_line
from kb.ingest.headings import promote
from kb.ingest.text import decode, has_mark
from kb.ingest.web_blocks import page_blocks, text_of

_DECLARED = re.compile(
    rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]+)|<\?xml[^>]{0,100}?encoding\s*=\s*[\"']([\w.:-]+)",
    re.IGNORECASE,
)
_HEAD = 4096
_ENCODINGS = dict.fromkeys(("gb2312", "gbk", "gb_2312-80", "x-gbk", "cp936", "windows-936"), "gb18030") | {
    "big5": "cp950", "shift_jis": "cp932", "shift-jis": "cp932", "euc-kr": "cp949", "ks_c_5601-1987": "cp949",
}  # fmt: skip
"""What pages say -> the larger encoding that browsers read them in."""
_UNSURE = ("iso-8859-1", "latin1", "windows-1252", "us-ascii", "ascii", "utf-16", "utf-16le", "utf-16be")
"""What pages say by default, whatever they are in."""

_UNSEEN = (
    "script", "style", "noscript", "template", "svg", "iframe", "object", "embed", "audio", "video", "canvas", "map",
    "head", "select", "option", "button", "input", "textarea", "datalist", "dialog", "rt", "rp", "del", "annotation",
)  # fmt: skip
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_UNREAD = re.compile(
    r"(?:^|\s)(?:sr-only|visually-hidden|screen-reader-text|skip-link|noprint|d-print-none|headerlink|linenos?|"
    r"mw-editsection)(?:\s|$)"
)
_MENU = re.compile(
    r"(?:^|[\s_-])(?:nav|navbar|navigation|menu|breadcrumbs?|crumbs?|footer|foot|sidebar|pagination|pager|share|toolbar|"
    r"cookie|copyright|related|daohang|mianbaoxie)(?:$|[\s_-])",
    re.IGNORECASE,
)
_ROLES = ("navigation", "contentinfo", "search", "menu", "menubar", "toolbar")
_OWN = ("article", "main", "section", "blockquote", "figure")
"""Elements whose footer is theirs, not the page's."""


@dataclass(frozen=True)
class Page:
    """What is on a page."""

    titles: tuple[str, ...] = ()
    """That it offers, the best first."""
    blocks: tuple[Block, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out."""


def parse_html(path: Path, data: bytes, encoding: str = "") -> Parsed:
    """Read an .html file. Raises DocumentError as `decode` does."""
    text, notes = decode_html(path, data, encoding)
    page = read_page(text)
    return assemble(choose_title(path, page.titles), "html", promote(page.blocks), [*notes, *page.notes])


def decode_html(path: Path, data: bytes, encoding: str = "") -> tuple[str, list[str]]:
    """The text of a page: in the given encoding, by its byte-order mark, as it says, or else as `decode` finds out."""
    match = _DECLARED.search(data[:_HEAD])
    if encoding or has_mark(data) or not match:
        return decode(path, data, encoding)
    declared = (match[1] or match[2]).decode("ascii").lower()
    if declared in _UNSURE:
        return decode(path, data)
    try:
        return data.decode(_ENCODINGS.get(declared, declared)), []
    except (LookupError, UnicodeDecodeError):
        text, notes = decode(path, data)
        return text, [f"is not {declared}, as it says", *notes]


def read_page(text: str) -> Page:
    """A page without what is not seen and what is navigation. Its only <h1> is the document's title, of level 0.

    Raises ValueError for a page nested so deep that lxml would drop what is inside.
    """
    root = _tree(text)
    if root is None:
        return Page()
    titles, notes = [text_of(title) for title in root.iter("title")][:1], list[str]()
    _drop_unseen(root)
    left = _drop_menus(root)
    part, outside = _main(root)
    blocks = [block for block in page_blocks(part, notes) if block.text.strip()]
    top = _top(blocks, root)
    if top:
        titles.insert(0, top.text)
        blocks = blocks if top in blocks else [top, *blocks]
        blocks = [replace(block, level=0) if block is top else block for block in blocks]
    if left + outside:
        notes.append(f"left out as navigation: {left + outside} characters")
    return Page(tuple(titles), tuple(blocks), tuple(notes))


def _top(blocks: list[Block], root: Any) -> Block | None:
    """The only heading of level 1, if need be from outside of the part that was read; None where there are more."""
    tops = [block for block in blocks if block.kind == "heading" and block.level == 1]
    outer = [] if tops else [Block("heading", clean_line(text_of(top)), level=1) for top in root.iter("h1")]
    return (tops + outer)[0] if len(tops + outer) == 1 else None


def read_fragment(text: str) -> list[Block]:
    """The blocks of a piece of a page. Raises ValueError as `read_page` does."""
    root = _tree(text)
    if root is None:
        return []
    _drop_unseen(root)
    return list(page_blocks(root, []))


def _tree(text: str) -> Any:
    """The root of a page; None for an empty one."""
    from lxml import etree, html

    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    try:
        root = html.document_fromstring(text.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:
        return None
    if any(entry.type_name == "ERR_RESOURCE_LIMIT" for entry in parser.error_log):
        raise ValueError("elements are nested too deep")
    return root


def _drop_unseen(root: Any) -> None:
    """Take out what a browser does not show, or only to other programs."""
    for node in list(root.iter()):
        if node is root or node.tag in ("body", "main") or node.getparent() is None:
            continue
        style, names = node.get("style") or "", node.get("class") or ""
        unseen = node.get("hidden") is not None or node.get("aria-hidden") == "true" or node.tag in _UNSEEN
        if unseen or _HIDDEN.search(style) or _UNREAD.search(names):
            node.drop_tree()


def _drop_menus(root: Any) -> int:
    """Take out what leads through the site; returns how many characters of text that was."""
    left = 0
    for node in list(root.iter()):
        if node is root or node.tag in ("body", "main", "article") or root not in node.iterancestors():
            continue
        if _is_menu(node):
            left += _length(node)
            node.drop_tree()
    return left


def _is_menu(node: Any) -> bool:
    """Whether an element is navigation: by its kind or role, or by its name, if most of its text is links."""
    if node.tag == "nav" or node.get("role") in _ROLES:
        return True
    if node.tag == "footer":
        return next(node.iterancestors(*_OWN), None) is None
    if not _MENU.search(f"{node.get('class') or ''} {node.get('id') or ''}"):
        return False
    return sum(_length(link) for link in node.iter("a")) > 0.5 * _length(node)


def _main(root: Any) -> tuple[Any, int]:
    """The part of the page to read, and how many characters stand outside of it."""
    parts = root.xpath("//main | //*[@role='main']") or root.xpath("//article")
    if len(parts) == 1:
        inside, whole = _length(parts[0]), _length(root)
        if inside > whole / 2:
            return parts[0], whole - inside
    return root, 0


def _length(node: Any) -> int:
    """Characters of text below an element, blanks left out."""
    return sum(len("".join(text.split())) for text in node.itertext())
