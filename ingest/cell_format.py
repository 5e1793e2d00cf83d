"""The value of a spreadsheet's cell as its reader sees it: 45678.0 with a date's format is a date."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal

_LOCALE = re.compile(r"\[\$([^\]-]*)(?:-[^\]]*)?\]")
_DROPPED = re.compile(r"\[[^\]]*\]|_.|\*.")
_NUMBER = re.compile(r"([^#0?%]*)([#0?,]*[#0?](?:\.([#0?]+))?)([^#0?]*)$")


def show(value: object, format: str) -> str:
    """A value under a number format of Excel. Formats that are not understood give the plain value; None gives ""."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return _moment(value, format)
    if isinstance(value, time):
        return value.isoformat("seconds" if value.second else "minutes")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    if isinstance(value, int | float):
        return _number(value, format)
    return str(value)


def _moment(value: datetime, format: str) -> str:
    """A date in ISO form, or in Chinese where its format is, with the time where it has one that the format shows."""
    shown = _DROPPED.sub("", _LOCALE.sub("", format)).lower()
    plain = re.sub(r'"[^"]*"|\\.', "", shown)
    day = value.strftime("%Y-%m-%d")
    if "年" in shown:
        day = f"{value.year}年{value.month}月" + (f"{value.day}日" if "d" in plain else "")
    elif "y" in plain and "d" not in plain:
        day = value.strftime("%Y-%m") if "m" in plain else value.strftime("%Y")
    if not ("h" in plain or "s" in plain) or (value.time() == time() and "h" not in plain):
        return day
    clock = value.strftime("%H:%M:%S" if value.second else "%H:%M")
    return f"{day} {clock}" if "y" in plain or "d" in plain else clock


def _number(value: int | float, format: str) -> str:
    """A number with the decimals, separators, percent sign, currency and unit of its format."""
    sections = re.split(r";(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", format)
    own = value < 0 and len(sections) > 1 and bool(sections[1])
    match = _NUMBER.match(_literal(sections[1] if own else sections[0]))
    if not match or "/" in match[4] or "E" in match[4] or abs(value) >= 1e20:
        return _plain(value)
    before, digits, decimals, after = match.groups()
    width = "," if "," in digits else f"0{digits.partition('.')[0].count('0')}"
    shown = _rounded(value, len(decimals or ""), "%" in after)
    text = f"{abs(shown) if own else shown:{width}f}"
    if "#" in (decimals or "") or "?" in (decimals or ""):
        text = text.rstrip("0").rstrip(".")
    if own and not ({"(", "-", "（"} & set(before)):
        before = "-" + before
    return f"{before}{text}{after}".strip()


def _rounded(value: int | float, decimals: int, percent: bool) -> Decimal:
    """Rounded as programs do, the half up: 2.675 is 2.68, though as a binary fraction it is a little less."""
    exact = Decimal(repr(value)) * (100 if percent else 1)
    return exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def _literal(format: str) -> str:
    """A format's section without colours, conditions, fillers and quotation marks; currency signs stay.

    A quoted text that has the marks of digits in it makes the format one that is not understood.
    """
    bare = _DROPPED.sub("", _LOCALE.sub(r"\1", format))
    return re.sub(r'"([^"]*)"', r"\1", bare).replace("\\", "")


def _plain(value: int | float) -> str:
    """As the format General shows it: 3.0 is 3, 0.1 + 0.2 is 0.3."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value) if isinstance(value, int) else f"{value:.15g}"
