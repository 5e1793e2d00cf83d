"""Numbers with their units: what "3,420 employees", "4500万元" and "百分之五" say."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal

from kb.text.characters import plain
from kb.text.dates import date_spans
from kb.text.numerals import Number, numbers
from kb.text.units import BASES, CURRENCIES, per_after, rate_before, unit_after, unit_before

_MASK = "\ufffd"
_NEAR = 16
"""Characters before a number that can change what it says."""
_ATOM = "(?:[0-9]{1,3}(?:,[0-9]{3})+|[A-Za-z0-9]+)"
_CHAIN = re.compile(rf"(?<![A-Za-z0-9])(?<![0-9],){_ATOM}(?:[-/._:⁄+#]{_ATOM})+")
_DECADE = re.compile(r"(?<![0-9])(?:[12][0-9]{3}s|(?<=the )[0-9]0s)\b|(?<![0-9])[0-9]{2}年[0-9]{1,2}月")
_GLUED = re.compile(
    r"(?<![A-Za-z0-9])(?!(?:rmb|cny|usd|us|eur|gbp|jpy|hkd|chf)[0-9])[A-Za-z]+[0-9][A-Za-z0-9]*", re.IGNORECASE
)
_URL = re.compile(r"https?://\S+|www\.\S+", re.IGNORECASE)
_PLAIN_CHAIN = re.compile(
    r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)\.[0-9]+(?:[A-Za-z]{0,5})|[0-9]+(?:\.[0-9]+)?[-/][A-Za-z]{1,12}(?:-[a-z]+)?"
)
_RANGE = re.compile(r"[0-9][0-9,]*(?:\.[0-9]+)?k?-[0-9][0-9,]*(?:\.[0-9]+)?[A-Za-z]*", re.IGNORECASE)
_SCALE_AFTER = re.compile(r"\s?[%十百千万亿]| (?:hundred|thousand|million|billion)", re.IGNORECASE)
_LETTER_SCALE = re.compile(r"\s?(?P<word>k|mn|mln|bn|tn|m|b)(?![A-Za-z0-9])", re.IGNORECASE)
_LETTER_SCALES = {"k": 10**3, "m": 10**6, "mn": 10**6, "mln": 10**6, "b": 10**9, "bn": 10**9, "tn": 10**12}
_ORDINAL = re.compile(r"第\s?$")
_NUMBERED = re.compile("号(?!码)")
"""Behind the number of a house, a line or a model."""
_APPROXIMATE_BEFORE = re.compile(r"[几数多余来上好](?=[十百千万亿])")
_APPROXIMATE_AFTER = re.compile(r"\s?[多余几来][十百千万亿个名位]?|\s?个[多余]|-?odd\b|\+")
_NEGATIVE = re.compile(r"(?:(?:^|[\s(:,])-|零下|(?<!正)负|\bminus )$", re.IGNORECASE)
_SHARED = re.compile(r"\s?(?:-|~|to|or|and|and/or|至|到|或|或者|或是|和|、|/)\s?", re.IGNORECASE)
_COMPOUND = re.compile(r"\s?(?:and|,|又|零)?\s?", re.IGNORECASE)
_HALF_INSIDE = re.compile("个半|半| and a half(?= )")
_HALF_AFTER = re.compile(r"\s?半| and a half")
_HALF = re.compile(
    r"(?<![一-龥])(?P<half>半)(?=个?(?:小时|钟头|年|月|天|日|公斤|斤|吨|公里))"
    r"|\bhalf an? (?=hour|year|day|month|week|kilo|mile)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Quantity:
    """A number and what it counts."""

    value: Decimal
    unit: str = ""
    """Canonical name (`units`): "hour", "yuan", "person", "%"; "" where the text names none."""
    per: str = ""
    """Of a rate, the canonical unit after the stroke: "month" for 3000元/月."""

    @property
    def base(self) -> tuple[Decimal, str]:
        """Value and unit in the base of the dimension, where converting is exact: 2 kg and 2000 g are (2000, "gram").

        Hours and days, months and days, and currencies are not converted into each other.
        """
        base, multiple = BASES.get(self.unit, (self.unit, Decimal(1)))
        return self.value * multiple, base

    @property
    def is_money(self) -> bool:
        """Whether the unit is a currency."""
        return self.unit in CURRENCIES


@dataclass(frozen=True)
class FoundQuantity:
    """A quantity and where it stands in the plain text, sign, currency and unit included."""

    quantity: Quantity
    start: int
    end: int
    scale: Decimal = Decimal(1)
    """What a scale word multiplied the number by."""
    word: bool = False
    """Perhaps no number at all: it counts when it shares the unit of the next ("three to five years")."""


def quantities(text: str) -> list[Quantity]:
    """The quantities of a text in reading order, repeats included; [] when there are none.

    Read as one value: 30,000,000 = ３００００万 = 3000万 = 三千万 = 30 million = 30m crowns; 5% = 百分之五 = five
    percent; 3小时30分钟 = 3.5 hours; in "34 or 36 hours" and "3到5万元" the first takes the unit and the scale of the
    second. A number in words or in Han numerals counts when it has a scale or a unit or is the whole text (一 in 一起
    and "one" in "one of them" do not).

    Not quantities: dates and years that are told as such, codes (TM-5580, 1989/57, v2.1.3, H200), clock times, ordinals
    (第3), and approximations without a value (几十, 数百, 3000多万, 20余). A currency sign means the unit: ¥ is yuan.
    """
    return [found.quantity for found in find_quantities(plain(text))]


def find_quantities(text: str) -> list[FoundQuantity]:
    """The quantities of a plain text with their places, in order."""
    masked = _masked(text)
    whole = re.sub(r"^\W+|\W+$", "", text)
    found = []
    for number in numbers(masked):
        one = _read(masked, number, whole == text[number.start : number.end])
        if one is not None:
            found.append(one)
    found += _halves(masked, found)
    found.sort(key=lambda one: one.start)
    return _merge(masked, [one for one in _share(masked, found) if not one.word])


def _masked(text: str) -> str:
    """The text with dates, codes, addresses and clock times blotted out, character by character."""

    def blot(match: re.Match[str]) -> str:
        return _MASK * len(match.group())

    for start, end in date_spans(text):
        text = text[:start] + _MASK * (end - start) + text[end:]
    text = _DECADE.sub(blot, _URL.sub(blot, text))
    text = _CHAIN.sub(lambda match: match.group() if _is_plain(match) else blot(match), text)
    return _GLUED.sub(blot, text)


def _is_plain(match: re.Match[str]) -> bool:
    """Whether a row such as 3.14, 34-hour, 3000/month or 3-5 (with a unit at one side) is a quantity and no code."""
    chain, text, end = match.group(), match.string, match.end()
    if not re.search("[0-9]", chain):
        return True
    if _RANGE.fullmatch(chain):
        counted = unit_after(text, end)[0] or unit_before(text, match.start())[0] or _SCALE_AFTER.match(text, end)
        return bool(counted or chain[-1].isalpha())
    if not _PLAIN_CHAIN.fullmatch(chain):
        return False
    stroke = re.search("[-/]", chain)
    if stroke is None:
        return True
    at = stroke.start()
    scaled = re.match("-(?:thousand|million|billion|hundred)", chain[at:], re.IGNORECASE)
    if chain[at] == "/" or scaled:
        return bool(scaled or per_after(chain, at)[0])
    return bool(unit_after(chain, at, plurals=False)[0]) and not chain[at:].isupper()


def _read(text: str, number: Number, whole: bool) -> FoundQuantity | None:
    """The quantity of a number in its surroundings, or None where it is none."""
    before = text[max(0, number.start - _NEAR) : number.start]
    percent = re.search("([百千万])分之$", before)
    about = _APPROXIMATE_BEFORE.match(text, max(number.start - 1, 0)) or _APPROXIMATE_AFTER.match(text, number.end)
    if (
        about
        or _ORDINAL.search(before)
        or _NUMBERED.match(text, number.end)
        or (before.endswith("分之") and not percent)
    ):
        return None
    if not number.spelled and re.search(r"[A-Za-z_^]$|[0-9][.,]$", before) and not unit_before(text, number.start)[0]:
        return None
    if percent:
        share = {"百": Decimal(1), "千": Decimal("0.1"), "万": Decimal("0.01")}[percent[1]]
        return FoundQuantity(Quantity(number.value * share, "%"), percent.start(), number.end)
    number = _letter_scale(text, number)
    half = _HALF_INSIDE.match(text, number.end)
    unit, end = unit_after(text, half.end() if half else number.end, plurals=not number.loose or number.value > 1)
    if not unit and re.match(r"[A-Za-z^⁄]|[.,][0-9]", text[number.end : number.end + 2]):
        return None
    word = number.loose and not whole and unit not in BASES and (not unit.isascii() or number.value < 2 or not unit)
    half = half or (_HALF_AFTER.match(text, end) if unit else None)
    end = max(end, half.end()) if half else end
    value = number.value + Decimal("0.5") if half else number.value
    per, end = per_after(text, end) if unit else ("", end)
    prefix, start = unit_before(text, number.start)
    if unit and not per:
        unit, per = rate_before(text, start, unit)
    if negative := _NEGATIVE.search(text, max(0, start - _NEAR), start):
        value, start = -value, negative.start()
    return FoundQuantity(Quantity(value, unit or prefix, per), start, end, number.scale, word)


def _letter_scale(text: str, number: Number) -> Number:
    """30k, 5bn, and 5m or 5b where money or a count follows or a currency sign stands before."""
    match = _LETTER_SCALE.match(text, number.end)
    if match is None or number.spelled or number.scale != 1:
        return number
    word = match["word"].casefold()
    if word in "mb" and match["word"] != "M" and not unit_before(text, number.start)[0]:
        unit = unit_after(text, match.end(), plurals=False)[0]
        if unit not in CURRENCIES | {"person", "customer", "student", "user"}:
            return number
    scale = _LETTER_SCALES[word]
    return replace(number, value=number.value * scale, scale=Decimal(scale), end=match.end())


def _halves(text: str, found: list[FoundQuantity]) -> list[FoundQuantity]:
    """半小时, half an hour."""
    halves = []
    for match in _HALF.finditer(text):
        unit, end = unit_after(text, match.end() if match["half"] else match.end() - 1)
        if unit and not any(one.start < end and match.start() < one.end for one in found):
            halves.append(FoundQuantity(Quantity(Decimal("0.5"), unit), match.start(), end))
    return halves


def _share(text: str, found: list[FoundQuantity]) -> list[FoundQuantity]:
    """Give the first of "34 or 36 hours" the unit of the second, and of "3到5万元" its scale."""
    shared = found[:]
    for i in range(len(found) - 2, -1, -1):
        one, following = shared[i], shared[i + 1]
        between = text[one.end : following.start]
        if one.quantity.unit or not following.quantity.unit or not _SHARED.fullmatch(between):
            continue
        value, scale = one.quantity.value, one.scale
        if scale == 1 and following.scale != 1 and value < following.quantity.value / following.scale:
            value, scale = value * following.scale, following.scale
        shared[i] = replace(one, quantity=replace(following.quantity, value=value), scale=scale, word=False)
    return shared


def _merge(text: str, found: list[FoundQuantity]) -> list[FoundQuantity]:
    """Join 3小时30分钟 and "1 year and 6 months" into one quantity of the smaller unit."""
    merged: list[FoundQuantity] = []
    for one in found:
        last = merged[-1] if merged else None
        if last and _is_compound(last.quantity, one.quantity) and _COMPOUND.fullmatch(text[last.end : one.start]):
            total = (last.quantity.base[0] + one.quantity.base[0]) / BASES[one.quantity.unit][1]
            merged[-1] = replace(one, quantity=replace(one.quantity, value=total), start=last.start)
        else:
            merged.append(one)
    return merged


def _is_compound(large: Quantity, small: Quantity) -> bool:
    same = large.base[1] == small.base[1] and large.base[1] in {"second", "month", "day", "inch"}
    return same and BASES[large.unit][1] > BASES[small.unit][1] and not large.per
