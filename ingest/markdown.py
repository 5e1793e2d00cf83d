"""Markdown: headings, lists, tables, code and paragraphs; the markup that is no content is taken out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kb.ingest.blocks import Block, Parsed, assemble, choose_title, clean_line, join_lines, table_rows
from kb.ingest.text import decode

_FENCE = re.compile(r"\s{0,3}(```+(?=[^`]*$)|~~~+)")
_ATX = re.compile(r"\s{0,3}(#{1,6})\s+(.*?)(?:\s+#+)?\s*$")
_SETEXT = re.compile(r"\s{0,3}(=+|-+)\s*$")
_RULE = re.compile(r"\s{0,3}([-*_])(?:\s*\1){2,}\s*$")
_ITEM = re.compile(r"(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(.*)$")
_DIVIDER = re.compile(r"\s*\|?(?:\s*:?-+:?\s*\|)*\s*:?-+:?\s*\|?\s*$")
_INLINE = (
    (re.compile(r"!?\[([^\]]*)\]\((?:[^()\s]|\([^()]*\))*(?:\s+[\"'][^)]*)?\)"), r"\1"),
    (re.compile(r"!?\[([^\]]*)\]\[[^\]]*\]"), r"\1"),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"<((?:https?|mailto):[^>]+)>"), r"\1"),
    (re.compile(r"<br\s*/?>", re.IGNORECASE), " "),
    (re.compile(r"\\([\\`*_{}\[\]()#+\-.!|<>~])"), r"\1"),
)


def parse_markdown(path: Path, data: bytes, encoding: str = "") -> Parsed:
    """Read a .md file; front matter is dropped but for its title. Raises DocumentError as `decode` does."""
    text, notes = decode(path, data, encoding)
    front, body = _front_matter(re.sub(r"\r\n?", "\n", text).removeprefix("\ufeff"))
    named = re.search(r"^title\s*:\s*[\"']?(.*?)[\"']?\s*$", front, re.MULTILINE)
    blocks = list(_blocks(re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL).split("\n")))
    titles = [named[1]] if named else []
    titles += [block.text for block in blocks if block.kind == "heading" and block.level == 1][:1]
    return assemble(choose_title(path, titles), "md", blocks, notes)


def _front_matter(text: str) -> tuple[str, str]:
    """YAML between two lines `---` at the very start, and the rest; "" when there is none."""
    match = re.match(r"---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$\n?", text, re.DOTALL | re.MULTILINE)
    return (match[1], text[match.end() :]) if match and ":" in match[1] else ("", text)


def _inline(text: str) -> str:
    """Text without links' targets, bold marks and escapes."""
    for pattern, by in _INLINE:
        text = pattern.sub(by, text)
    return clean_line(text)


def _blocks(lines: Sequence[str]) -> Iterator[Block]:
    """The blocks of a body, one construct after another."""
    at = 0
    while at < len(lines):
        line = lines[at]
        atx, fence = _ATX.match(line), _FENCE.match(line)
        if atx:
            yield Block("heading", _inline(atx[2]), level=len(atx[1]))
            at += 1
        elif fence:
            end = next((n for n in range(at + 1, len(lines)) if lines[n].strip().startswith(fence[1])), len(lines))
            yield Block("code", "\n".join(row.rstrip() for row in lines[at + 1 : end]))
            at = end + 1
        elif "|" in line and at + 1 < len(lines) and "|" in lines[at + 1] and _DIVIDER.match(lines[at + 1]):
            end = _while(lines, at + 2, lambda row: "|" in row)
            yield Block("table", table_rows([_cells(row) for row in (line, *lines[at + 2 : end])]))
            at = end
        elif not line.strip() or _RULE.match(line):
            at += 1
        elif _ITEM.match(line):
            end = _while(lines, at + 1, lambda row: bool(_ITEM.match(row)) or row.startswith((" ", "\t")))
            yield Block("list", _items(lines[at:end]))
            at = end
        else:
            end = _while(lines, at + 1, _goes_on)
            yield from _paragraph(lines, at, end)
            at = end + (1 if end < len(lines) and _SETEXT.match(lines[end]) else 0)


def _while(lines: Sequence[str], at: int, holds: Callable[[str], bool]) -> int:
    """Where the run of lines that begins at `at` and `holds` ends."""
    while at < len(lines) and holds(lines[at]):
        at += 1
    return at


def _goes_on(line: str) -> bool:
    """Whether a line is still of the paragraph above it."""
    starts = (_ATX, _FENCE, _SETEXT, _RULE, _ITEM)
    return bool(line.strip()) and not any(pattern.match(line) for pattern in starts)


def _paragraph(lines: Sequence[str], at: int, end: int) -> Iterator[Block]:
    """A paragraph, or a heading when it is underlined; marks of quotation are taken out."""
    text = ""
    for line in lines[at:end]:
        text = join_lines(text, _inline(re.sub(r"^\s*(?:>\s?)+", "", line)))
    underline = _SETEXT.match(lines[end]) if end < len(lines) else None
    if underline:
        yield Block("heading", text, level=1 if underline[1].startswith("=") else 2)
    else:
        yield Block("paragraph", text)


def _items(lines: Sequence[str]) -> str:
    """List items one a line, "- " or their number in front, deeper ones indented; their further lines joined."""
    items: list[str] = []
    for line in lines:
        match = _ITEM.match(line)
        if match:
            depth = len(match[1].expandtabs(4)) // 2
            items.append(f"{'  ' * depth}{match[2] + '.' if match[2] else '-'} {_inline(match[3])}")
        elif line.strip():
            items[-1] = join_lines(items[-1], _inline(line))
    return "\n".join(items)


def _cells(row: str) -> list[str]:
    """The cells of a pipe row; an escaped pipe is part of its cell."""
    inner = row.strip().removeprefix("|").removesuffix("|")
    return [_inline(cell) for cell in re.split(r"(?<!\\)\|", inner)]
