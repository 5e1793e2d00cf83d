"""Dates as they are written, as far as they go: a day, a month of a year, a year, a day without its year."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass

from kb.text.characters import HAN, plain
from kb.text.numerals import han_value
from kb.text.units import unit_after

_MONTHS = {name.casefold(): number for number, name in enumerate(calendar.month_name) if number}
_MONTHS |= {name.casefold(): number for number, name in enumerate(calendar.month_abbr) if number} | {"sept": 9}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_YEAR = r"[12][0-9]{3}(?![0-9]|,[0-9])"
_DAY = r"(?:0?[1-9]|[12][0-9]|3[01])(?![0-9])"
_HAN_DIGIT, _HAN_SMALL = "[〇零一二三四五六七八九]", "[一二三四五六七八九十廿]{1,3}"
_END = rf"(?!(?![{HAN}])[\w^]|[-/.][0-9])"
_START = r"(?<![A-Za-z0-9])(?<![0-9A-Za-z][-/.,:])"

_Y, _D = rf"(?P<year>{_YEAR})", rf"(?P<day>{_DAY})(?:st|nd|rd|th)?"
_HAN_MONTH = rf"(?P<month>[0-9]{{1,2}}|{_HAN_SMALL})\s?月"
_HAN_DAY = rf"\s?(?P<day>[0-9]{{1,2}}|{_HAN_SMALL})\s?[日号]"
_NAME = rf"(?P<name>{_MONTH})\b\.?"

_PATTERNS = (
    # 2024年3月5日, 二〇二四年三月五号, 2024年3月, 2024年
    rf"(?<![0-9])(?P<year>[12][0-9]{{3}}|{_HAN_DIGIT}{{4}})\s?年(?!级|代)(?:\s?{_HAN_MONTH}(?:份|{_HAN_DAY})?)?",
    # 3月5日
    rf"(?<![0-9]){_HAN_MONTH}{_HAN_DAY}",
    # 2024-03-05, 2024/3/5, 2024.3.5, with or without a time of day
    rf"{_START}{_Y}(?P<mark>[-/.])(?P<month>[0-9]{{1,2}})(?P=mark)(?P<day>[0-9]{{1,2}})(?:T[0-9:.]+Z?)?{_END}",
    # 05.03.2024: day first
    rf"{_START}(?P<day>[0-9]{{1,2}})\.(?P<month>[0-9]{{1,2}})\.{_Y}{_END}",
    # 25/03/2024, 3/25/2024
    rf"{_START}(?P<first>[0-9]{{1,2}})(?P<mark>[-/])(?P<second>[0-9]{{1,2}})(?P=mark){_Y}{_END}",
    # 5 March 2024, 5th of March 2024, 5-Mar-2024, 5 March
    rf"{_START}{_D}(?:[ -]|\s+(?:day )?of )\s*{_NAME}(?:(?:,?[ -]\s*|,){_Y})?{_END}",
    # March 5, 2024, Mar. 5th 2024, March the 5th
    rf"\b{_NAME}\s+(?:the )?{_D}(?:(?:,\s?|\s)(?:of )?{_Y})?{_END}",
    # March 2024, March of 2024
    rf"\b{_NAME},?(?: of| in)?[ -]{_Y}{_END}",
    # 2024-03
    rf"{_START}{_Y}-(?P<month>0[1-9]|1[0-2]){_END}",
    # in 1998, since the year 1998, from 1998 to 2004
    r"(?:\b(?:in|since|from|between|by|until|till|during|before|after|around|circa|year|early|late|of)"
    r"(?: the)?(?: year)? "
    rf"|(?<=[12][0-9]{{3}} to )|(?<=[12][0-9]{{3}} and )){_Y}{_END}",
)
_COUNTED_YEAR = len(_PATTERNS) - 1
_COMPILED = tuple(re.compile(pattern, re.IGNORECASE) for pattern in _PATTERNS)
_BARE_YEAR = re.compile(rf"\W*(?:(?:it|that|the year) (?:is|was) |(?:it|that)'s )?(?P<year>{_YEAR})\W*", re.IGNORECASE)


@dataclass(frozen=True)
class PartialDate:
    """A date as far as it is told; at least a year, or a month with a day."""

    year: int | None
    month: int | None = None
    day: int | None = None

    def covers(self, other: PartialDate) -> bool:
        """Whether `other` says at least everything that this date says, and says the same: 1998 covers March 1998."""
        return all(mine is None or mine == theirs for mine, theirs in zip(self.parts, other.parts, strict=True))

    def agrees(self, other: PartialDate) -> bool:
        """Whether no part that both dates tell differs: March 1998 and 12 March agree, March 1998 and 1999 do not."""
        return all(None in pair or pair[0] == pair[1] for pair in zip(self.parts, other.parts, strict=True))

    @property
    def parts(self) -> tuple[int | None, int | None, int | None]:
        """Year, month, day."""
        return self.year, self.month, self.day


@dataclass(frozen=True)
class FoundDate:
    """A date and where it stands in the plain text."""

    date: PartialDate
    start: int
    end: int


def dates(text: str) -> list[PartialDate]:
    """The dates of a text in reading order, repeats included; [] when there are none.

    2024年3月5日, 二〇二四年三月五日, 2024-03-05, 2024/3/5, 5.3.2024, 5 March 2024 and Mar 5, 2024 are one date. A year
    alone counts after 年, after a word such as "in" or "since", or as the whole text ("It was 1998."). What cannot be
    read in one way only is no date: 03/04/2024 (day or month first?), 1989/57 and 1989/11 (file numbers), two-digit
    years, a month alone; nor is a day that the calendar does not have.
    """
    return [found.date for found in find_dates(plain(text))]


def find_dates(text: str) -> list[FoundDate]:
    """The dates of a plain text with their places, in order and without overlap."""
    found = [FoundDate(date, start, end) for date, start, end in _scan(text) if date is not None]
    if not found and (bare := _BARE_YEAR.fullmatch(text)):
        found.append(FoundDate(PartialDate(int(bare["year"])), bare.start("year"), bare.end("year")))
    return sorted(found, key=lambda one: one.start)


def date_spans(text: str) -> list[tuple[int, int]]:
    """Where a plain text has the form of a date, whether or not the calendar has it: no numbers to count there."""
    return [(start, end) for _, start, end in _scan(text)]


def _scan(text: str) -> list[tuple[PartialDate | None, int, int]]:
    """All places with the form of a date, the longer forms first; None for a date that is none."""
    found: list[tuple[PartialDate | None, int, int]] = []
    taken = bytearray(len(text))
    for order, pattern in enumerate(_COMPILED):
        for match in pattern.finditer(text):
            start = match.start("year") if order == _COUNTED_YEAR else match.start()
            if any(taken[start : match.end()]):
                continue
            if order == _COUNTED_YEAR and unit_after(text, match.end())[0]:
                continue
            date = _read(match)
            if date and date.year is None and match.groupdict().get("name") == "may":
                continue  # "may 12 people come?" has no date in it; "May 12" has
            taken[start : match.end()] = b"\1" * (match.end() - start)
            found.append((date, start, match.end()))
    return found


def _read(match: re.Match[str]) -> PartialDate | None:
    """The date of a match, or None when the calendar does not have it or it can be read in two ways."""
    groups = {name: value for name, value in match.groupdict().items() if value is not None}
    year = _integer(groups.get("year"))
    if "first" in groups:
        first, second = int(groups["first"]), int(groups["second"])
        if (first > 12) == (second > 12) and first != second:
            return None
        return _checked(year, min(first, second) if first != second else first, max(first, second))
    month = _MONTHS[groups["name"].casefold()] if "name" in groups else _integer(groups.get("month"))
    return _checked(year, month, _integer(groups.get("day")))


def _integer(text: str | None) -> int | None:
    if text is None or text.isascii():
        return int(text) if text else None
    value = han_value(text)
    return None if value is None else int(value)


def _checked(year: int | None, month: int | None, day: int | None) -> PartialDate | None:
    if month is not None and not 1 <= month <= 12:
        return None
    if day is not None and (month is None or not 1 <= day <= calendar.monthrange(year or 2000, month)[1]):
        return None
    return PartialDate(year, month, day)


def dates_only(text: str) -> bool:
    """Whether a text is one or more dates and nothing else but punctuation."""
    text = plain(text)
    found: Iterator[FoundDate] = iter(find_dates(text))
    rest, position = "", 0
    for one in found:
        rest, position = rest + text[position : one.start], one.end
    return position > 0 and not re.search(r"\w", rest + text[position:])
