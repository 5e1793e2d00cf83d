"""Plain text: which encoding it is in, and which lines make a paragraph or a heading."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

from kb.errors import DocumentError
from kb.ingest.blocks import Block, Parsed, assemble, choose_title, clean_line, clean_lines, is_cjk, join_lines
from kb.ingest.headings import is_short, numbered_ranks, to_levels

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOST = "\ufffd"
"""What stands for bytes that are of no character."""


def parse_text(path: Path, data: bytes, encoding: str = "") -> Parsed:
    """Read a .txt file. Raises DocumentError CORRUPT when it is not text, UNREADABLE for a wrong `encoding`."""
    text, notes = decode(path, data, encoding)
    blocks = _headed(_paragraphs(text))
    titles = [block.text for block in blocks[:1] if block.kind == "heading" and block.level == 0]
    return assemble(choose_title(path, titles), "txt", blocks, notes)


def decode(path: Path, data: bytes, encoding: str = "") -> tuple[str, list[str]]:
    """The text of a file, and a note when its encoding was guessed.

    In order: the given encoding, a byte-order mark, UTF-16 by its zero bytes, strict UTF-8, strict GB18030 unless its
    bytes look Western, these two again with a few damaged bytes, then cp1252. Big5 is not told from GB18030: it has to
    be given.
    Raises DocumentError UNREADABLE when the given encoding does not fit, CORRUPT when the bytes are no text.
    """
    if encoding:
        try:
            return data.decode(encoding), []
        except (LookupError, UnicodeDecodeError) as error:
            raise DocumentError(
                "UNREADABLE", f"{path}: is not {encoding} text ({error}). Give its encoding."
            ) from error
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if marked:
        return data.decode(marked, errors="replace"), []
    if b"\0" in data:
        return _wide(path, data)
    for name in ("utf-8", "gb18030"):
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        if name == "utf-8":
            return text, []
        if not _looks_western(data):
            return text, ["read as GB18030, the Chinese encoding; if the text is garbled, give its encoding"]
    for name in ("utf-8", "gb18030"):
        text = data.decode(name, errors="replace")
        lost = text.count(_LOST)
        read = sum(character > "\x7f" for character in text) - lost
        few = lost <= max(3, len(text) // 1000) and read > 3 * lost
        if few and not (name == "gb18030" and _looks_western(data)):
            return text, [f"read as {name.upper()}; {lost} damaged places are marked {_LOST}"]
    guess = "Western (cp1252); if the text is garbled, give its encoding"
    return data.decode("cp1252", errors="replace"), [f"the encoding is unknown; read as {guess}"]


def _wide(path: Path, data: bytes) -> tuple[str, list[str]]:
    """UTF-16 without a mark: the zero bytes are the high halves of Latin letters, blanks and line ends."""
    high, low = data[::2].count(0), data[1::2].count(0)
    name = "utf-16-le" if low > high else "utf-16-be"
    try:
        text = data.decode(name)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise DocumentError("CORRUPT", f"{path}: is not text. Check the file, or its suffix.")
    return text, [f"read as {name.upper()} by its zero bytes"]


def _looks_western(data: bytes) -> bool:
    """Whether bytes that are valid GB18030 are accented letters of a Western text.

    In Chinese text the second byte of a character is mostly above 0x7f; where it mostly is an ASCII letter, the first
    byte is an accented letter standing alone.
    """
    pairs = re.findall(rb"[\x81-\xfe]([\x40-\xfe])", data)
    letters: int = sum(second.isalpha() for second in pairs)
    return letters > 0.6 * len(pairs)


def _paragraphs(text: str) -> list[str]:
    """Groups of lines between blank lines: joined where they are wrapped, apart where each line is a paragraph."""
    paragraphs = []
    for group in re.split(r"\n[ \t\u3000]*\n+", re.sub(r"\r\n?", "\n", text)):
        raw = [line for line in group.split("\n") if clean_line(line)]
        lines = clean_lines(group).split("\n")
        if _wrapped(lines):
            joined = ""
            for line in lines:
                joined = join_lines(joined, line)
            paragraphs.append(joined)
        elif any(len(line) > 100 for line in lines) or any(line.startswith("\u3000") for line in raw):
            paragraphs += lines
        else:
            paragraphs.append("\n".join(lines))
    return [paragraph for paragraph in paragraphs if paragraph]


def _wrapped(lines: list[str]) -> bool:
    """Whether these lines were broken by a program at a width: all but the last nearly equally long."""
    if len(lines) < 2:
        return False
    widths = [sum(2 if is_cjk(character) else 1 for character in line) for line in lines]
    longest = max(widths)
    return 50 <= longest <= 120 and min(widths[:-1]) > longest * 0.8 and widths[-1] <= longest


def _headed(paragraphs: list[str]) -> list[Block]:
    """Paragraphs as blocks: numbered lines as headings, or where there are none, short lines that stand alone.

    The first line is the title when it stands alone. Standing alone counts only while such lines are few: a text all
    of short lines is a list or a poem.
    """
    levels = to_levels(numbered_ranks(paragraphs))
    if not levels:
        alone = [index for index, text in enumerate(paragraphs[:-1]) if index and is_short(text)]
        share = sum(len(paragraphs[index]) for index in alone) / max(sum(map(len, paragraphs)), 1)
        levels = dict.fromkeys(alone if share < 0.3 else [], 1)
    if len(paragraphs) > 1 and 0 not in levels and is_short(paragraphs[0]):
        levels[0] = 0
    blocks = []
    for index, paragraph in enumerate(paragraphs):
        kind = "heading" if index in levels else "paragraph"
        blocks.append(Block(kind, paragraph, level=levels.get(index, 0)))
    return blocks
