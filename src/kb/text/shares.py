"""Shares and small change as figures: 四分之一 and "a quarter" are 25%, 三成 is 30%, 3元5角 is 3.5元."""

from __future__ import annotations

import re
from decimal import Decimal

from kb.text.numerals import han_value

_DIGITS = "[0-9]+|[一二两三四五六七八九十]+"
_COIN = "[0-9零〇一二两三四五六七八九]"
_SHARES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?P<under>{_DIGITS})分之(?P<over>{_DIGITS})(?![点.百千万亿])",
        r"(?<![0-9零〇一二三四五六七八九十百千万亿第.])(?P<tenths>[1-9一二三四五六七八九])成(?P<more>半)?"
        "(?![0-9立为本功果熟长品都交绩就分套语年天型是]|员(?!工))",
        r"(?<![0-9/])(?P<over>[0-9]{1,2})/(?P<under>[0-9]{1,2})(?=\W*$| of\b)",
        r"(?<!and )\b(?P<count>an?|one|two|three|four)[ -](?P<name>half|halves|third|quarter|fifth|tenth)s?"
        r"(?=\W*$| of\b)",
        r"(?P<half>一半|半数|(?<!and )(?<!and a )\bhalf\b)(?=\W*$| of\b|的)",
    )
)
_COINS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<![0-9.])(?P<yuan>{_DIGITS})[元块](?P<jiao>{_COIN})[角毛](?:(?P<fen>{_COIN})分?)?",
        rf"(?<![0-9.])(?P<yuan>{_DIGITS})[元块]零?(?P<fen>{_COIN})分(?!钟)",
        rf"(?<![0-9.])(?P<yuan>{_DIGITS})块(?P<jiao>{_COIN})(?![0-9十百千万亿一-龥])",
    )
)
_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4}
_NAMED = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fifth": 5, "tenth": 10}


def in_percent(text: str) -> str:
    """A plain text with its fractions in per cent. 百分之五 stays (`quantities` reads it); 1/4, "a quarter" and "half"
    count where they end the text or are "of" something.
    """
    for pattern in _SHARES:
        text = pattern.sub(_share, text)
    return text


def in_yuan(text: str) -> str:
    """A plain text with its 角 and 分 as decimals of a 元."""
    for pattern in _COINS:
        text = pattern.sub(_coins, text)
    return text


def _share(match: re.Match[str]) -> str:
    said = {name: value.casefold() for name, value in match.groupdict().items() if value}
    if "half" in said:
        return "50%"
    if "tenths" in said:
        part, whole = 2 * _value(said["tenths"]) + ("more" in said), Decimal(20)
    elif "count" in said:
        part, whole = Decimal(_COUNTS[said["count"]]), Decimal(_NAMED[said["name"]])
    else:
        part, whole = _value(said["over"]), _value(said["under"])
    return f"{100 * part / whole:f}%" if 0 < part <= whole else match.group()


def _coins(match: re.Match[str]) -> str:
    said = match.groupdict()
    tenths, cents = (_value(said.get(name) or "0") for name in ("jiao", "fen"))
    return f"{_value(said['yuan']) + tenths / 10 + cents / 100:f}元"


def _value(text: str) -> Decimal:
    return Decimal(text) if text.isascii() else han_value(text) or Decimal(0)
