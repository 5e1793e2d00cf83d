"""The numbers that Word computes: 第一章, 一、, 1.1, (a), from the list definitions of a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kb.ingest.blocks import CJK
from kb.ingest.ooxml import W

_DIGITS = "〇一二三四五六七八九"
_LEGAL_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_STEMS, _BRANCHES = "甲乙丙丁戊己庚辛壬癸", "子丑寅卯辰巳午未申酉戌亥"
_PLACE = re.compile(r"%([1-9])")
_CHINESE = re.compile("[\u3400-\u9fff〇]")
_OPEN_END = re.compile(f"[{CJK}]$")


@dataclass(frozen=True)
class Item:
    """A numbered paragraph."""

    depth: int
    """From 0."""
    label: str
    """Its number as Word shows it, with a space behind it where one is needed; "" for bullets and what is unknown."""
    clause: bool
    """Whether it is numbered as chapters and clauses are (第一条, 1.1) and not as the items of a list."""


@dataclass(frozen=True)
class _Level:
    start: int
    format: str
    text: str
    """Such as 第%1章, where %1 is the number of the highest level."""
    style: str
    restart: int
    """The level counted from 1 whose numbers start this one anew, with all above it; 0 for none."""
    decimal: bool
    """Whether the numbers of other levels are shown as decimal ones."""
    glued: bool


class Numbering:
    """Counts numbered paragraphs, which have to come in the order of the document."""

    def __init__(self, element: Any = None) -> None:
        """`element` is the root of numbering.xml; None where the file has none."""
        found = [] if element is None else element.findall(f"{W}abstractNum")
        definitions = {each.get(f"{W}abstractNumId"): each for each in found}
        linked = {value_of(each, "styleLink"): id for id, each in definitions.items() if value_of(each, "styleLink")}
        self._levels = {id: _levels(each) for id, each in definitions.items()}
        self._lists: dict[str, str] = {}
        self._overrides: dict[str, dict[int, Any]] = {}
        for each in [] if element is None else element.findall(f"{W}num"):
            number, list_id = each.get(f"{W}numId"), value_of(each, "abstractNumId")
            target = definitions.get(list_id)
            link = "" if target is None else value_of(target, "numStyleLink")
            self._lists[number] = linked.get(link, list_id)
            overrides = each.findall(f"{W}lvlOverride")
            self._overrides[number] = {_integer(one.get(f"{W}ilvl"), 0): one for one in overrides}
        self._counts: dict[str, dict[int, int]] = {}
        self._begun: set[tuple[str, int]] = set()

    def count(self, number: str, depth: int | None, style: str = "") -> Item:
        """The next paragraph of the list `number`, at `depth`; None takes the level that belongs to the style, or 0."""
        list_id = self._lists.get(number, "")
        levels = dict(self._levels.get(list_id, {}))
        for place, override in self._overrides.get(number, {}).items():
            definition = override.find(f"{W}lvl")
            if definition is not None:
                levels[place] = _level(definition, place)
        own = next((place for place, level in levels.items() if style and level.style == style), 0)
        depth = own if depth is None else min(max(depth, 0), 8)
        if depth not in levels:
            return Item(depth, "", False)
        counts = self._step(list_id, number, depth, levels)
        label = _label(levels, depth, counts)
        nested = levels.get(1)
        outline = nested is not None and "%1" in nested.text and "%2" in nested.text
        return Item(depth, label, bool(label) and (outline or bool(_CHINESE.search(label))))

    def _step(self, list_id: str, number: str, depth: int, levels: dict[int, _Level]) -> dict[int, int]:
        """Count one on; the counts of deeper levels that this one starts anew are forgotten."""
        counts = self._counts.setdefault(list_id, {})
        override = self._overrides.get(number, {}).get(depth)
        start = None if override is None else override.find(f"{W}startOverride")
        if start is not None and (number, depth) not in self._begun:
            counts[depth] = _integer(start.get(f"{W}val"), 1)
        elif depth in counts:
            counts[depth] += 1
        else:
            counts[depth] = levels[depth].start
        self._begun.add((number, depth))
        for deeper in [place for place in counts if place > depth]:
            restart = levels[deeper].restart if deeper in levels else deeper
            if depth < restart:
                del counts[deeper]
        return counts


def value_of(node: Any, name: str) -> str:
    """The w:val of a child; "" when it has no such child."""
    child = node.find(f"{W}{name}")
    return "" if child is None else str(child.get(f"{W}val") or "")


def _levels(definition: Any) -> dict[int, _Level]:
    levels = {}
    for node in definition.findall(f"{W}lvl"):
        depth = _integer(node.get(f"{W}ilvl"), 0)
        levels[depth] = _level(node, depth)
    return levels


def _level(node: Any, depth: int) -> _Level:
    legal = node.find(f"{W}isLgl")
    return _Level(
        start=_integer(value_of(node, "start"), 0),
        format=value_of(node, "numFmt") or ("decimal" if node.find(f".//{W}numFmt") is None else ""),
        text=value_of(node, "lvlText"),
        style=value_of(node, "pStyle"),
        restart=_integer(value_of(node, "lvlRestart"), depth),
        decimal=legal is not None and legal.get(f"{W}val") not in ("0", "false", "off"),
        glued=value_of(node, "suff") == "nothing",
    )


def _integer(text: str | None, default: int) -> int:
    return int(text) if text and re.fullmatch(r"-?\d{1,9}", text) else default


def _label(levels: dict[int, _Level], depth: int, counts: dict[int, int]) -> str:
    """The level's text with its numbers filled in; "" when one of them is in a format that is not known."""
    level, known = levels[depth], True

    def shown(match: re.Match[str]) -> str:
        nonlocal known
        place = int(match[1]) - 1
        other = levels.get(place)
        if other is None or other.format in ("bullet", "none"):
            return ""
        number = counts.get(place, other.start)
        text = str(number) if level.decimal else format_number(number, other.format)
        known = known and bool(text)
        return text

    if level.format == "bullet":
        return ""
    text = _PLACE.sub(shown, level.text).strip()
    if not known or not text:
        return ""
    closed = re.search("[、．。：）】]$", text) or (level.glued and _OPEN_END.search(text))
    return text if closed else f"{text} "


def format_number(number: int, form: str) -> str:
    """A number as Word writes it in this format; "" for formats that are not known and numbers that have none."""
    rule = _FORMATS.get(form)
    return "" if rule is None or not 0 <= number < 10000 else rule(number)


def _chinese(number: int, digits: str = _DIGITS, places: str = "十百千") -> str:
    """十二, 二十, 一百零五."""
    units = ("", *places)
    text, gap = "", False
    for place in range(3, -1, -1):
        digit = number // 10**place % 10
        if digit:
            text += ("零" if gap and text else "") + digits[digit] + units[place]
        gap = not digit
    return text or digits[0]


def _counting(number: int) -> str:
    return _chinese(number).removeprefix("一") if 10 <= number < 20 else _chinese(number)


def _letters(number: int) -> str:
    """A to z, aa, bb: the letter repeated, as Word does."""
    return chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1) if 0 < number <= 26 * 30 else ""


def _roman(number: int) -> str:
    steps = (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1)
    signs = ("m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i")
    text = ""
    for step, sign in zip(steps, signs, strict=True):
        text, number = text + sign * (number // step), number % step
    return text


def _one_of(characters: str) -> Callable[[int], str]:
    return lambda number: characters[number - 1] if 0 < number <= len(characters) else ""


_FORMATS: dict[str, Callable[[int], str]] = {
    "decimal": str,
    "decimalHalfWidth": str,
    "decimalZero": "{:02d}".format,
    "decimalFullWidth": lambda number: "".join(chr(ord("０") + int(digit)) for digit in str(number)),
    "decimalEnclosedCircle": _one_of("①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"),
    "decimalEnclosedCircleChinese": _one_of("①②③④⑤⑥⑦⑧⑨⑩⑪⑫⑬⑭⑮⑯⑰⑱⑲⑳"),
    "ideographDigital": lambda number: "".join(_DIGITS[int(digit)] for digit in str(number)),
    "ideographTraditional": _one_of(_STEMS),
    "ideographZodiac": _one_of(_BRANCHES),
    "chineseLegalSimplified": lambda number: _chinese(number, _LEGAL_DIGITS, "拾佰仟"),
    "lowerLetter": _letters,
    "upperLetter": lambda number: _letters(number).upper(),
    "lowerRoman": _roman,
    "upperRoman": lambda number: _roman(number).upper(),
    **dict.fromkeys(
        ("chineseCounting", "chineseCountingThousand", "japaneseCounting", "taiwaneseCountingThousand"), _counting
    ),
}
