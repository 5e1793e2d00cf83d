"""Plain text: which encoding it is in, and which lines make a paragraph or a heading."""

from __future__ import annotations

import codecs
import re
import unicodedata
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
_SAMPLE = 8192
"""Bytes by which UTF-16 is told."""
_EVERYDAY = re.compile(
    "[\t\n\r -~\u00a0-\u024f\u0370-\u06ff\u0900-\u0e7f\u2010-\u2026\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3"
    "\uff00-\uff5e]"
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

    In order: the given encoding, a byte-order mark, UTF-16 by its zero bytes, strict UTF-8, strict GB18030 or Big5
    unless the bytes look Western, UTF-8 and GB18030 with a few damaged bytes, then cp1252.
    Raises DocumentError UNREADABLE when the given encoding does not fit or none is found, CORRUPT when the bytes are
    no text.
    """
    if encoding:
        try:
            return data.decode(encoding), []
        except (LookupError, UnicodeDecodeError) as error:
            raise DocumentError(
                "UNREADABLE", f"{path}: is not {encoding} text ({error}). Give its encoding."
            ) from error
    marked = has_mark(data)
    if marked:
        return data.decode(marked, errors="replace"), []
    wide = wide_encoding(data)
    if wide:
        return data.decode(wide, errors="replace"), [f"read as {wide.upper()}, which has no mark in this file"]
    if b"\0" in data:
        raise DocumentError("CORRUPT", f"{path}: is not text. Check the file, or its suffix.")
    text = _strict(data, "utf-8")
    if text is not None:
        return text, []
    return _chinese(data) or _damaged(data) or _western(path, data)


def has_mark(data: bytes) -> str:
    """The encoding that a byte-order mark names; "" where there is none."""
    return next((name for mark, name in _MARKS if data.startswith(mark)), "")


def _strict(data: bytes, encoding: str) -> str | None:
    """The text, or None when a byte does not fit."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _chinese(data: bytes) -> tuple[str, list[str]] | None:
    """GB18030, or Big5 where that makes private characters; None when neither fits or the bytes look Western.

    Every Big5 text is valid GB18030, but its commonest characters fall into the area that GB18030 leaves to users.
    """
    if _looks_western(data):
        return None
    for encoding, name in (("gb18030", "GB18030, the Chinese encoding"), ("cp950", "Big5, the encoding of Taiwan")):
        text = _strict(data, encoding)
        if text is not None and not _strange(text):
            return text, [f"read as {name}; if the text is garbled, give its encoding"]
    return None


def _strange(text: str) -> bool:
    """Whether a text has private or unassigned characters, more than one in a thousand: the guess was wrong."""
    strange = sum(unicodedata.category(character) in ("Co", "Cn") for character in text)
    return strange > len(text) // 1000


def _damaged(data: bytes) -> tuple[str, list[str]] | None:
    """UTF-8 or GB18030 with a few bytes that do not fit; None when they are too many."""
    for name in ("utf-8", "gb18030"):
        text = data.decode(name, errors="replace")
        lost = text.count(_LOST)
        read = sum(character > "\x7f" for character in text) - lost
        few = lost <= max(3, len(text) // 1000) and read > 3 * lost
        if few and not (name == "gb18030" and (_looks_western(data) or _strange(text))):
            return text, [f"read as {name.upper()}; {lost} damaged places are marked {_LOST}"]
    return None


def _western(path: Path, data: bytes) -> tuple[str, list[str]]:
    """cp1252. Raises DocumentError UNREADABLE where most characters would be accented: no Western text is so."""
    text = data.decode("cp1252", errors="replace")
    if sum(character > "\x7f" for character in text) > len("".join(text.split())) * 2 // 3:
        raise DocumentError("UNREADABLE", f"{path}: its encoding is not known. Give it: --encoding NAME.")
    return text, ["the encoding is unknown; read as Western (cp1252); if the text is garbled, give its encoding"]


def wide_encoding(data: bytes) -> str:
    """UTF-16-LE or -BE, when that is what the bytes without a mark are; "" for anything else.

    UTF-16 has zero bytes, the high halves of Latin letters, blanks and line ends, and, in Chinese, bytes of all kinds,
    control characters among them; other text has neither. Of the two orders, the one that gives what people write.
    """
    sample = data[: _SAMPLE - _SAMPLE % 2]
    strange = sum(byte < 9 or 13 < byte < 27 for byte in sample)
    if len(data) % 2 or strange <= len(sample) // 100:
        return ""
    shares = {name: _written(sample.decode(name, errors="replace")) for name in ("utf-16-le", "utf-16-be")}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] > 0.9 else ""


def _written(text: str) -> float:
    """The share of characters that everyday text of the living scripts is made of."""
    return len(_EVERYDAY.findall(text)) / max(len(text), 1)


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
