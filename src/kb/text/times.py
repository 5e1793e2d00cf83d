"""Times of day: 14:30, 2:30 pm, "half past two in the afternoon" and 下午两点半 are one. All texts here are
`characters.plain`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kb.text.contrast import is_negated, offers_alternatives
from kb.text.judgement import Judgement, correct, wrong
from kb.text.numerals import han_value
from kb.text.values import is_beside, spoiled

_HOUR_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_WORD = "|".join(_HOUR_WORDS)
_HAN_DIGIT = "零〇一二两三四五六七八九十"
_SMALL = f"[0-9]{{1,2}}|[{_HAN_DIGIT}]{{1,3}}"
_HALF_OF_DAY = r"(?: ?(?P<half>[ap])\.?m\b\.?| (?:in the|at) (?P<part>morning|afternoon|evening|night))"
_DAY_PART = r"(?P<day>凌晨|清晨|早上|上午|中午|下午|傍晚|晚上|晚)?\s?"
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # 14:30, 2:30 pm, 下午2:30
        rf"{_DAY_PART}(?<![A-Za-z0-9:.])(?P<hour>[0-9]{{1,2}}):(?P<minute>[0-9]{{2}})(?::00)?(?![0-9:])"
        rf"{_HALF_OF_DAY}?(?![A-Za-z0-9])",
        # 下午两点半, 14点30分, 下午3时; 三点五 is 3.5
        rf"{_DAY_PART}(?<![0-9:.第])(?P<hour>{_SMALL})\s?(?:点|时(?=[{_HAN_DIGIT}0-9整]|\W|$))钟?"
        "(?P<said>整|半|[一三]刻"
        rf"|零?(?:{_SMALL})分|[0-9]{{2}}(?![0-9])"
        rf"|零[{_HAN_DIGIT}]|[{_HAN_DIGIT}]{{2,3}})?"
        rf"(?![{_HAN_DIGIT}0-9])",
        # half past two in the afternoon, a quarter to three pm
        rf"\b(?P<shift>half past|(?:a )?quarter (?:past|to)) (?P<hour>[0-9]{{1,2}}|{_WORD})\b{_HALF_OF_DAY}?",
        # 2 pm, two in the afternoon, two o'clock
        rf"(?<![0-9:.])\b(?P<hour>[0-9]{{1,2}}|{_WORD})(?:(?: o'clock)?{_HALF_OF_DAY}| o'clock)",
        r"\b(?:12 )?(?P<named>noon|midday|midnight)\b|(?P<named_han>正午|午夜)",
    )
)
_SHIFTS = {"half past": 30, "quarter past": 15, "quarter to": -15, "": 0}
_SAID = {"": 0, "整": 0, "半": 30, "一刻": 15, "三刻": 45}
_LATE = {"下午", "傍晚", "晚上", "晚", "afternoon", "evening", "night", "p"}
_EARLY = {"凌晨", "清晨", "早上", "上午", "morning", "a"}
_BETWEEN = re.compile(
    r"(?:\W|\b(?:at|from|to|till|until|between|and|daily|every day)\b|[至到从和]|每[天日])*", re.IGNORECASE
)
_DAYS = ("mon(?:day)?", "tue(?:s(?:day)?)?", "wed(?:nesday)?", "thu(?:rs(?:day)?)?", "fri(?:day)?", "sat(?:urday)?",
         "sun(?:day)?")  # fmt: skip
_WEEKDAY = re.compile(rf"(?:周|星期|礼拜)(?P<han>[一二三四五六日天])|\b(?P<word>{'|'.join(_DAYS)})s?\b", re.IGNORECASE)
_DAY = 24 * 60


@dataclass(frozen=True)
class FoundTime:
    """A time of day in minutes after midnight (0 to 1439), and where it stands in the plain text."""

    minutes: int
    start: int
    end: int


def find_times(text: str) -> list[FoundTime]:
    """The times of a plain text, in order and without overlap.

    "2:30" is the night unless something says "pm", "in the afternoon" or 下午 beside it. What the clock does not have
    (25:00, 14:75) is none.
    """
    found: list[FoundTime] = []
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            minutes = _minutes({key: value for key, value in match.groupdict().items() if value})
            free = all(match.end() <= one.start or one.end <= match.start() for one in found)
            if minutes is not None and free:
                found.append(FoundTime(minutes, match.start(), match.end()))
    return sorted(found, key=lambda one: one.start)


def _minutes(groups: dict[str, str]) -> int | None:
    if named := groups.get("named") or groups.get("named_han"):
        return 0 if named.casefold() in ("midnight", "午夜") else _DAY // 2
    hour = _number(groups["hour"])
    said = groups.get("said", "")
    minute = _number(groups["minute"]) if "minute" in groups else _SAID.get(said, -1)
    minute = _number(said.lstrip("零").rstrip("分")) if minute == -1 else minute
    shift = _SHIFTS[groups.get("shift", "").casefold().removeprefix("a ")]
    half = (groups.get("half") or groups.get("part") or groups.get("day") or "").casefold()
    if hour is None or minute is None or not 0 <= hour <= 24 or not 0 <= minute < 60 or (hour == 24 and minute):
        return None
    if half in _LATE and hour < 12:
        hour += 12
    if (half in _EARLY and hour == 12) or (half == "night" and hour == 24):
        hour = 0
    return (hour * 60 + minute + shift) % _DAY


def _number(text: str) -> int | None:
    if text.isascii():
        return int(text) if text.isdigit() else _HOUR_WORDS.index(text.casefold()) + 1
    value = han_value(text)
    return None if value is None else int(value)


def compare_times(answer: str, gold: str) -> Judgement | None:
    """Whether the answer says the gold's times in their order and no others, on the days of the week that the gold
    names; None where the gold has no time, or more in it than times and days.
    """
    golds = find_times(gold)
    rest = gold
    for one in reversed(golds):
        rest = rest[: one.start] + " " + rest[one.end :]
    if not golds or not _BETWEEN.fullmatch(_WEEKDAY.sub(" ", rest)):
        return None
    if rule := spoiled(answer):
        return wrong(rule)
    found = find_times(answer)
    kept = [one for one in found if not is_negated(answer, one.start, one.end)]
    if not kept:
        return wrong("negated" if found else "no_value")
    if any(is_beside(answer, one.start, one.end) for one in kept):
        return wrong("bound_only")
    said, wanted = [one.minutes for one in kept], [one.minutes for one in golds]
    if said != wanted and not (len(wanted) == 1 and set(said) == set(wanted)):
        return wrong("competing_values" if set(wanted) < set(said) else "other_value")
    if (days := _weekdays(gold)) and days != _weekdays(answer):
        return wrong("incomplete")
    return wrong("competing_values") if offers_alternatives(answer) else correct("time")


def _weekdays(text: str) -> list[str]:
    """The days of the week that a text names, in order, as 一 to 日."""
    found = []
    for match in _WEEKDAY.finditer(text):
        word = (match["word"] or "").casefold()
        found.append(
            match["han"] or next(han for han, day in zip("一二三四五六日", _DAYS, strict=True) if day[:3] == word[:3])
        )
    return [day.replace("天", "日") for day in found]
