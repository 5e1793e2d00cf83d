"""Headings that are headings by their wording, for formats without styles: 第三章, 一、, （二）, Chapter 4, 2.1."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kb.ingest.blocks import Block, is_cjk

LONGEST = 70
"""Characters of the longest heading; a CJK character counts twice."""

_NUMERAL = "[〇零一二三四五六七八九十百千两\\d]+"
_NAMED = (
    re.compile(rf"第\s*{_NUMERAL}\s*[编部篇](?!分)|Part\s+(\d+|[IVX]+)\b", re.IGNORECASE),
    re.compile(
        rf"第\s*{_NUMERAL}\s*[章回讲]|(Chapter|Appendix)\s+(\d+|[A-Z]|[IVX]+)\b|附录\s*[A-Z\d一二三四五六]",
        re.IGNORECASE,
    ),
    re.compile(rf"第\s*{_NUMERAL}\s*节|Section\s+\d+\b", re.IGNORECASE),
)
_LISTED = (
    re.compile(r"([一二三四五六七八九十]+)\s*[、．.]\s*\S"),
    re.compile(r"[（(]\s*([一二三四五六七八九十]+)\s*[)）]\s*\S"),
)
_DECIMAL = re.compile(r"(\d{1,2}(?:[.．]\d{1,2}){0,4})[.．、]?\s*(?=[A-Z\u3400-\u9fff])")
_CAPTION = re.compile(r"(?i)(表|图|圖|table|fig\.?|figure|tab\.|abb\.|abbildung|tabelle)\s*\d")
_ENDINGS = "。；;，,、：:.．…"


def is_short(text: str) -> bool:
    """Whether a line could be a heading: not long, no sentence or clause ending, at least one letter, no caption."""
    if _CAPTION.match(text):
        return False
    width = sum(2 if is_cjk(character) else 1 for character in text)
    return 0 < width <= LONGEST and text[-1] not in _ENDINGS and any(map(str.isalpha, text)) and "\n" not in text


def numbered_ranks(lines: Sequence[str]) -> dict[int, int]:
    """Which of these lines, each standing alone, are numbered headings: index -> rank (0 the highest).

    A number of a running series (一、, （一）, 2.1) counts only when it is the first of its series or follows the one
    before it, so that "3.5 km" or a cited clause is no heading. A single "1." counts only where "1.1" follows.
    """
    ranks: dict[int, int] = {}
    last = [0, 0]
    decimals: set[tuple[int, ...]] = set()
    chapters: dict[int, tuple[int, ...]] = {}
    for index, line in enumerate(lines):
        if not is_short(line):
            continue
        named = next((rank for rank, pattern in enumerate(_NAMED) if pattern.match(line)), None)
        if named is not None:
            ranks[index] = named
            continue
        for place, pattern in enumerate(_LISTED):
            match = pattern.match(line)
            if match and _chinese(match[1]) in (1, last[place] + 1):
                last[place] = _chinese(match[1])
                ranks[index] = len(_NAMED) + place
        numbers = _decimal(line)
        if len(numbers) == 1:
            chapters[index] = numbers
        elif numbers and (numbers[-1] == 1 or (*numbers[:-1], numbers[-1] - 1) in decimals):
            decimals.add(numbers)
            ranks[index] = len(_NAMED) + len(_LISTED) + len(numbers) - 1
    opened = {numbers[:1] for numbers in decimals}
    single = {index: len(_NAMED) + len(_LISTED) for index, numbers in chapters.items() if numbers in opened}
    return ranks | single


def to_levels(ranks: Mapping[int, int]) -> dict[int, int]:
    """Ranks as levels without holes: the highest rank that occurs is level 1."""
    order = {rank: level for level, rank in enumerate(sorted(set(ranks.values())), 1)}
    return {index: order[rank] for index, rank in ranks.items()}


def promote(blocks: Sequence[Block]) -> list[Block]:
    """Numbered paragraphs of a document without heading styles made headings; untouched when it has any."""
    if any(block.kind == "heading" and block.level > 0 for block in blocks):
        return list(blocks)
    lines = [block.text if block.kind == "paragraph" else "" for block in blocks]
    levels = to_levels(numbered_ranks(lines))
    return [
        replace(block, kind="heading", level=levels[index]) if index in levels else block
        for index, block in enumerate(blocks)
    ]


def _decimal(line: str) -> tuple[int, ...]:
    match = _DECIMAL.match(line)
    if not match:
        return ()
    return tuple(int(number) for number in re.split(r"[.．]", match[1]))


def _chinese(numeral: str) -> int:
    """一 to 九十九 as a number; 0 for what is not one."""
    digits = {character: value for value, character in enumerate("一二三四五六七八九", 1)}
    tens, mark, ones = numeral.rpartition("十")
    if not mark:
        return digits.get(numeral, 0)
    return digits.get(tens, 0 if tens else 1) * 10 + digits.get(ones, 0)
