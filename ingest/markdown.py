"""Markdown: markdown-it-py finds the constructs, here they become blocks without the markup that is no content.

It comes with rich. Regular expressions, line by line, do not find a table right after a line of text, a quoted list or
a comment inside of code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from kb.ingest.blocks import Block, Parsed, assemble, choose_title, clean_line, is_cjk, join_lines, table_rows
from kb.ingest.text import decode

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_BOLD = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_TAG = re.compile(
    r"</?(?:a|abbr|b|big|br|center|cite|code|del|div|em|font|hr|i|img|ins|kbd|mark|p|q|s|samp|small|span|strong|strike|"
    r"sub|sup|tt|u|var|wbr)\b[^>]*>|<!--.*?-->",
    re.IGNORECASE | re.DOTALL,
)
"""Markup in a line. Other tags stay: "List<String>" and "<your name>" are text to who wrote them."""


def parse_markdown(path: Path, data: bytes, encoding: str = "") -> Parsed:
    """Read a .md file; front matter is dropped but for its title. Raises DocumentError as `decode` does."""
    text, notes = decode(path, data, encoding)
    front, body = _front_matter(re.sub(r"\r\n?", "\n", text).removeprefix("\ufeff"))
    named = re.search(r"^title\s*:\s*[\"']?(.*?)[\"']?\s*$", front, re.MULTILINE)
    reader = _Reader()
    blocks = list(reader.read(_parser().parse(body)))
    titles = [named[1]] if named else []
    titles += [block.text for block in blocks if block.kind == "heading" and block.level == 1][:1]
    return assemble(choose_title(path, titles), "md", blocks, notes)


def _front_matter(text: str) -> tuple[str, str]:
    """YAML between two lines `---` at the very start, and the rest; "" when there is none."""
    match = re.match(r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$\n?", text, re.DOTALL | re.MULTILINE)
    return (match[1], text[match.end() :]) if match and ":" in match[1] else ("", text)


@cache
def _parser() -> MarkdownIt:
    """CommonMark with the tables and the struck text of GitHub."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"maxNesting": 100}).enable(["table", "strikethrough"])


@dataclass
class _Reader:
    """Tokens to blocks. A list is one block; code and tables in it part it."""

    items: list[tuple[str, str]] = field(default_factory=list)
    """Mark and text of the items of the list that is open."""
    depth: int = 0
    """Lists that are open."""

    def read(self, tokens: Sequence[Token]) -> Iterator[Block]:
        """The blocks of a document."""
        rows: list[list[str]] = []
        for token, before in zip(tokens, (None, *tokens), strict=False):
            if token.type == "inline" and before:
                yield from self._text(token, before, rows)
            elif token.type in ("bullet_list_open", "ordered_list_open"):
                self.depth += 1
            elif token.type == "list_item_open":
                mark = f"{token.info}." if token.info else "-"
                self.items.append(("  " * (self.depth - 1) + mark, ""))
            elif token.type in ("bullet_list_close", "ordered_list_close"):
                self.depth -= 1
                yield from self._close() if not self.depth else ()
            elif token.type == "tr_open":
                rows.append([])
            elif token.type == "table_close":
                yield from (*self._close(), Block("table", table_rows(rows)))
                rows = []
            elif token.type in ("fence", "code_block", "html_block"):
                yield from (*self._close(), *_raw(token))

    def _text(self, token: Token, before: Token, rows: list[list[str]]) -> Iterator[Block]:
        """What is to be done with a piece of text: a heading, a cell, a list's item or a paragraph."""
        text = _inline(token.children or [])
        if before.type == "heading_open":
            yield from (*self._close(), Block("heading", text, level=int(before.tag[1])))
        elif before.type in ("th_open", "td_open"):
            rows[-1].append(text)
        elif self.depth and self.items:
            mark, item = self.items[-1]
            self.items[-1] = mark, f"{item} {text}".strip()
        else:
            yield Block("paragraph", text)

    def _close(self) -> Iterator[Block]:
        """The list as it is up to here."""
        lines = [f"{mark} {text}" for mark, text in self.items if text]
        self.items = []
        if lines:
            yield Block("list", "\n".join(lines))


def _raw(token: Token) -> Iterator[Block]:
    """Code, or HTML that stands between the paragraphs. Indented Chinese is a paragraph as people indent them."""
    if token.type == "html_block":
        yield from _html(token.content)
        return
    letters = "".join(token.content.split())
    if token.type == "code_block" and sum(map(is_cjk, letters)) > len(letters) / 2:
        for group in re.split(r"\n\s*\n", token.content):
            yield Block("paragraph", _joined(group))
    else:
        yield Block("code", "\n".join(row.rstrip() for row in token.content.strip("\n").split("\n")))


def _html(source: str) -> Iterator[Block]:
    """The blocks of a piece of HTML; comments have none."""
    from kb.ingest.web import read_fragment

    source = re.sub(r"<!--.*?(?:-->|\Z)", "", source, flags=re.DOTALL)
    if source.strip():
        yield from read_fragment(source)


def _inline(tokens: Sequence[Token]) -> str:
    """Text without links' targets and marks of emphasis; code keeps its backticks.

    CommonMark takes "**第一条：**内容" for no bold, because Chinese has no blanks around it; these marks go as well. A
    star between letters or digits, as in 2*3*4, is one of arithmetic and stays.
    """
    parts = [""]
    starred: list[str] = []
    for index, token in enumerate(tokens):
        if token.type == "code_inline":
            parts += [f"{token.markup}{_padded(token)}{token.markup}", ""]
        elif token.type in ("softbreak", "hardbreak"):
            parts[-1] += "\n"
        elif token.type == "em_open":
            starred.append(token.markup if _is_product(parts[-1], tokens[index + 1]) else "")
            parts[-1] += starred[-1]
        elif token.type == "em_close":
            parts[-1] += starred.pop()
        elif token.type in ("text", "image"):
            parts[-1] += token.content
        elif token.type == "html_inline":
            parts[-1] += _TAG.sub(lambda tag: " " if tag[0].lower().startswith("<br") else "", token.content)
    parts[::2] = [_BOLD.sub(r"\2", part) for part in parts[::2]]
    return _joined("".join(parts))


def _padded(code: Token) -> str:
    """The content of a code span, apart from its marks where it has backticks at its ends."""
    return f" {code.content} " if code.content.startswith("`") or code.content.endswith("`") else code.content


def _is_product(before: str, after: Token) -> bool:
    """Whether a star stands between two letters or digits that are not Chinese."""
    pair = before[-1:] + after.content[:1]
    return len(pair) == 2 and pair.isascii() and pair.isalnum()


def _joined(text: str) -> str:
    """Lines as one."""
    joined = ""
    for line in text.split("\n"):
        joined = join_lines(joined, clean_line(line))
    return joined
