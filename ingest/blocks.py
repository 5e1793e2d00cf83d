"""What a parser makes of a file: blocks in reading order, and the text they make up.

The document's text is its blocks joined by a blank line. Every block knows its exact slice of that text, so whatever is
later cut from it (a chunk, a fact's evidence) can be shown in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

GAP = "\n\n"
"""Between two blocks of a document's text."""

CJK = "\u2e80-\u30ff\u3100-\u312f\u3190-\u9fff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\U00020000-\U0003ffff"
"""Inside of a regular expression's [...]: Chinese and Japanese characters with their full-width punctuation."""

_FIRST_CJK = CJK[0]
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b\u2060\ufeff\ufffe\uffff\ud800-\udfff]")
_BLANK = re.compile(r"[ \t\u00a0\u2000-\u200a\u202f\u3000]+")
_CJK = re.compile(f"[{CJK}]")


@dataclass(frozen=True)
class Block:
    """A paragraph, or another unit that is never cut without need."""

    kind: str
    """heading, paragraph, list, table, code or note. Lists and tables have one item or row a line."""
    text: str
    page: int = 0
    """Page or slide it starts on, from 1; 0 where the format has none."""
    level: int = 0
    """Of a heading: 0 for the document's title, 1 for a chapter, and so on down. 0 for everything else."""
    start: int = 0
    end: int = 0
    """Slice of the document's text, in characters; set by `assemble`."""


@dataclass(frozen=True)
class Parsed:
    """A file as it was read."""

    title: str
    format: str
    """pdf, docx, pptx, txt, md, csv, xlsx, html or epub."""
    text: str
    blocks: tuple[Block, ...]
    notes: tuple[str, ...] = ()
    """What the reader should know: encoding guessed, pages without text, what was left out."""
    language: str = ""
    """Of the whole text, "en" or "zh"."""
    sha256: str = ""
    """Of the bytes that were read."""
    unread_pages: int = 0
    """Pages whose text only OCR may be able to read."""


def assemble(title: str, format: str, blocks: Iterable[Block], notes: Sequence[str] = ()) -> Parsed:
    """Put blocks together, without control characters; those without visible text are dropped, the others get their
    place.
    """
    placed: list[Block] = []
    position = 0
    for block in blocks:
        text = _CONTROL.sub("", block.text).strip()
        if not text:
            continue
        placed.append(replace(block, text=text, start=position, end=position + len(text)))
        position += len(text) + len(GAP)
    return Parsed(title, format, GAP.join(block.text for block in placed), tuple(placed), tuple(notes))


def choose_title(path: Path, candidates: Iterable[str]) -> str:
    """The first candidate that is a title, no program's filler ("Microsoft Word - a.doc"); else the file's name."""
    for candidate in candidates:
        title = clean_line(candidate)
        if 0 < len(title) <= 200 and not _FILLER.match(title):
            return title
    return path.stem


_FILLER = re.compile(
    r"(?i)untitled|no title|title$|document\d*$|word document$|presentation\d*$|powerpoint|microsoft "
    r"|无标题|未命名|文档\s*\d*$"
    r"|演示文稿\s*\d*$|幻灯片\s*\d*$|.*\.(docx?|pptx?|pdf|wps|dvi|tex|indd|rtf|odt|html?)$"
)


def clean_line(text: str) -> str:
    """One line: no control characters, every run of blanks (full-width ones too) one space, none at the ends."""
    if text.isprintable() and "  " not in text:
        # The only blanks that are printable are spaces: nothing to do for nearly every line.
        return text.strip()
    return _BLANK.sub(" ", _CONTROL.sub("", text.replace("\n", " ").replace("\x0b", " "))).strip()


def clean_lines(text: str) -> str:
    """`clean_line` for each line; empty lines are dropped."""
    lines = (clean_line(line) for line in re.split(r"[\n\r\x0b\x0c\x85\u2028\u2029]", text))
    return "\n".join(line for line in lines if line)


def is_cjk(character: str) -> bool:
    """Whether this is a Chinese or Japanese character or full-width punctuation: written without spaces around it."""
    return character >= _FIRST_CJK and bool(_CJK.match(character))


def join_lines(first: str, second: str) -> str:
    """Two lines of one paragraph as one: no space next to CJK characters, a hyphen that broke a word is taken out.

    A hyphen stays before anything but a lower-case letter ("COVID-" + "19") and after a capital or digit.
    """
    if not first or not second:
        return first or second
    if is_cjk(first[-1]) or is_cjk(second[0]):
        return first + second
    if first[-1] in "-\u2010" and first[-2:-1].isalpha():
        return (first[:-1] if first[-2].islower() and second[0].islower() else first) + second
    return f"{first} {second}"


def table_rows(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first row as its head. Short rows are filled up; "" when no cell has text."""
    cells = [[clean_line(cell).replace("|", "\\|") for cell in row] for row in rows]
    cells = [row for row in cells if any(row)]
    if not cells:
        return ""
    width = max(len(row) for row in cells)
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])
