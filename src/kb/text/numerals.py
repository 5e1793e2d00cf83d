"""Numbers as they are written: 3,000, 3.5 million, 3000万, 三千万, 两百, thirty-four.

Everything here works on `characters.plain` text. What a number counts is told in `units`, what it means in
`quantities`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

_ROWS = ("零〇", "一壹", "二两贰兩", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖")
_DIGITS = {character: digit for digit, row in enumerate(_ROWS) for character in row}
_TENS = {"廿": 20, "卅": 30}
_SCALES = {
    "十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000,
    "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8,
}  # fmt: skip
_DIGIT_SET, _SCALE_SET = "".join(_DIGITS), "".join(_SCALES)

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TIES = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SMALL = {word: value for value, word in enumerate(_ONES)} | {word: 10 * value for value, word in enumerate(_TIES, 2)}
_LARGE = {
    "dozen": 12, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12,
}  # fmt: skip
_WORD = "|".join(sorted([*_SMALL, *_LARGE], key=len, reverse=True))

ARABIC = (
    r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?"
    r"|[0-9]{1,3}(?: [0-9]{3})+(?![0-9])(?:\.[0-9]+)?"
    r"|[0-9]+(?:\.[0-9]+)?|(?<![0-9A-Za-z])\.[0-9]+"
)
"""3,000,000 and 3 000 000 and 3000000, with or without decimals."""

_HAN_TAIL = rf"(?:零?(?:[0-9]+(?:\.[0-9]+)?|[{_DIGIT_SET}])\s?[{_SCALE_SET}]+(?!分之))*"
_NUMBER = re.compile(
    rf"(?P<arabic>(?:{ARABIC}))(?:(?P<han_scale>\s?[{_SCALE_SET}]+(?!分之){_HAN_TAIL})"
    rf"|(?P<word_scale>(?:[ -](?:{'|'.join(_LARGE)})s?\b)+))?"
    rf"|(?P<han>[{_DIGIT_SET}{''.join(_TENS)}{_SCALE_SET}]+(?!分之)(?:点[{_DIGIT_SET}]+[万亿]?)?)"
    rf"|\b(?P<words>(?:half a |a )?(?:{_WORD})(?:(?:[ -]|,? and )(?:{_WORD}))*(?: point(?: (?:{_WORD}))+)?"
    rf"(?: and a half (?:{'|'.join(_LARGE)})s?)?)\b",
    re.IGNORECASE,
)
_RANGE = re.compile(r"(?<=[0-9])\s?(?:至|到|~|--|\bto\b)\s?(?=[0-9])")


@dataclass(frozen=True)
class Number:
    """A number and where it stands in the plain text."""

    value: Decimal
    start: int
    end: int
    scale: Decimal = Decimal(1)
    """What a scale word multiplied it by: 10000 for 3000万; 1 without one and for numbers in words."""
    spelled: bool = False
    """Written in words or in Han numerals alone."""
    loose: bool = False
    """A spelled number that may as well be part of a word (一 in 一起, "one" in "one of them", 百 in 百货)."""


def numbers(text: str) -> Iterator[Number]:
    """Every number of a plain text, from left to right.

    Han numerals that cannot be one value are left out: 七八 and 三五 (about that many), two digits before a scale.
    """
    for match in _NUMBER.finditer(text):
        if match["arabic"] is not None:
            yield _arabic(match)
        elif match["han"] is not None:
            value = han_value(match["han"])
            if value is not None:
                han = match["han"]
                loose = len(han) == 1 or han[0] in _SCALE_SET.replace("十", "").replace("拾", "")
                yield Number(value, match.start(), match.end(), spelled=True, loose=loose)
        else:
            value = _words_value(match["words"])
            if value is not None:
                single = len(re.findall(_WORD, match["words"], re.IGNORECASE)) == 1
                yield Number(value, match.start(), match.end(), spelled=True, loose=single)


def in_digits(text: str) -> str:
    """A plain text with its numbers in digits and its ranges with a hyphen: 第十二条 is 第12条, three days is 3 days,
    9:00至18:00 is 9:00-18:00. A scale alone stays: 百 and 万 are parts of names more often than numbers.
    """
    written, at = "", 0
    for number in numbers(text):
        said = text[number.start : number.end]
        if number.spelled and not (len(said) == 1 and said in _SCALE_SET and said not in "十拾"):
            written += text[at : number.start] + f"{number.value.normalize():f}"
            at = number.end
    return _RANGE.sub("-", written + text[at:])


def _arabic(match: re.Match[str]) -> Number:
    value = Decimal(re.sub("[, ]", "", match["arabic"]))
    number = Number(value, match.start(), match.end())
    if match["han_scale"] is not None:
        scaled = han_value(re.sub("[, ]", "", match.group()))
        if scaled is not None:
            return replace(number, value=scaled, scale=Decimal(scaled / value) if value else Decimal(1))
    if match["word_scale"] is not None:
        scale = Decimal(1)
        for word in re.findall("[a-z]+", match["word_scale"].casefold()):
            scale *= _LARGE[word.removesuffix("s")]
        return replace(number, value=value * scale, scale=scale)
    return number


def han_value(text: str) -> Decimal | None:
    """The value of a number in Han numerals, or of Arabic digits with Han scales; None where it has no single one.

    三千万 is 30000000, 1.2亿 is 120000000, 1亿2000万 is 120000000, 三万亿 is 3 * 10**12, 十二 is 12, 两百 is 200,
    二〇二四 is 2024, 三点一四 is 3.14; colloquial ends count at the next lower scale: 一百二 is 120, 三万五 is 35000.
    A scale without a digit before it counts once (千万 is 10000000).
    """
    tokens = re.findall(rf"[0-9]+(?:\.[0-9]+)?|[{_DIGIT_SET}{''.join(_TENS)}{_SCALE_SET}点]", text)
    if "点" in tokens:
        return _with_point(tokens)
    if not any(token in _SCALES or token in _TENS for token in tokens):
        return _positional(tokens)
    return _scaled(tokens)


def _with_point(tokens: list[str]) -> Decimal | None:
    at = tokens.index("点")
    whole = han_value("".join(tokens[:at]))
    digits = [token for token in tokens[at + 1 :] if token in _DIGITS]
    if whole is None or not digits:
        return None
    value = whole + Decimal("0." + "".join(str(_DIGITS[digit]) for digit in digits))
    for token in tokens[at + 1 + len(digits) :]:
        value *= _SCALES.get(token, 1)
    return value


def _positional(tokens: list[str]) -> Decimal | None:
    if len(tokens) == 1 and tokens[0] not in _DIGITS:
        return Decimal(tokens[0])
    if len(tokens) == 2 and not any(_DIGITS.get(token) == 0 for token in tokens):
        return None
    return Decimal("".join(str(_DIGITS.get(token, token)) for token in tokens)) if tokens else None


def _scaled(tokens: list[str]) -> Decimal | None:
    """Sections up to 千 add up; 万 and 亿 multiply what stands before them, or all of it when they are the larger."""
    total, section, current, largest = Decimal(0), Decimal(0), None, 1
    for place, token in enumerate(tokens):
        if token in _SCALES and (scale := _SCALES[token]) < 10**4:
            section += (Decimal(1) if current is None else current) * scale
            current = None
        elif token in _SCALES:
            section += Decimal(current is None and not section and not total) if current is None else current
            total, section = (
                ((total + section) * scale, Decimal(0)) if scale > largest else (total + section * scale, Decimal(0))
            )
            largest, current = scale, None
        elif token in _TENS:
            section += _TENS[token]
        elif current is not None and current != 0:
            return None
        else:
            current = Decimal(_DIGITS[token]) if token in _DIGITS else Decimal(token)
            before = _SCALES.get(tokens[place - 1], 0) if place else 0
            if place == len(tokens) - 1 and token in _DIGITS and before > 10:
                current *= before // 10
    return total + section + (current or 0)


def _words_value(text: str) -> Decimal | None:
    """The value of an English number in words; None for a row that is no number ("two three")."""
    whole, _, scale = text.casefold().partition(" and a half ")
    if scale:
        value = _words_value(whole)
        return None if value is None else (value + Decimal("0.5")) * _LARGE[scale.removesuffix("s")]
    whole, _, decimals = whole.partition(" point ")
    words = re.findall("[a-z]+", whole)
    digits = [_SMALL.get(word, 10) for word in decimals.split()]
    if any(digit > 9 for digit in digits):
        return None
    half = words[:1] == ["half"]
    total, current, last = Decimal(0), Decimal(0), 0
    for word in words:
        if word in _LARGE and _LARGE[word] >= 1000:
            total, current, last = total + (current or Decimal(1)) * _LARGE[word], Decimal(0), 0
        elif word in _LARGE:
            current, last = (current or Decimal(1)) * _LARGE[word], 100
        elif word in _SMALL:
            if last and (last < 20 or _SMALL[word] >= 10) and last != 100:
                return None
            current, last = current + _SMALL[word], _SMALL[word] or 1
    value = (total + current) / (2 if half else 1)
    return value + Decimal("0." + "".join(map(str, digits))) if digits else value
