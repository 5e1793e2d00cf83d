"""Pieces of HTML that every section uses: escaped text, labels in both languages, tables that become cards, numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape as _escape

from kb.evaluate.results import Text
from kb.evaluate.stats import Interval
from kb.evaluate.wording import percent, percent_range, points, points_range
from kb.text.characters import HAN

_MINUS = re.compile(r"(?<![\w-])-(?=[\d ])")
"""A hyphen that stands for a minus sign: before a number or between two names, neither in a word nor in a date."""

_HAN = re.compile(f"[{HAN}]")


def escape(text: object) -> str:
    """Text as HTML, safe in elements and in quoted attributes."""
    return _escape(str(text), quote=True)


def both(text: Text) -> str:
    """A text in both languages, of which the style sheet shows the one of the page."""
    en, zh = (escape(one).replace(" → ", "\u00a0→\u00a0") for one in (text.en, text.zh))
    if text.en == text.zh:
        return told(text.en) if _HAN.search(text.en) else en
    return f'<span class="en" lang="en">{en}</span><span class="zh" lang="zh-CN">{zh}</span>'


def told(text: str) -> str:
    """Text of documents and models, in the language that it is in, whatever that of the page is: Han characters have
    other forms in Japanese and Korean fonts, and without its language a text may get one of those.
    """
    return f'<span lang="{"zh-CN" if _HAN.search(text) else "en"}" dir="auto">{escape(text)}</span>'


def say(en: str, zh: str) -> str:
    """A label in both languages."""
    return both(Text(en, zh))


def figures(text: Text) -> str:
    """What the terminal writes with plain characters, in both languages, with true minus signs and arrows."""
    en, zh = (_MINUS.sub("−", one).replace("->", "→") for one in (text.en, text.zh))
    return both(Text(en, zh))


def spans(parts: Iterable[str]) -> str:
    """Each part that is not empty as a span."""
    return "".join(f"<span>{part}</span>" for part in parts if part)


def section(name: str, title: Text, lead: Text, content: str) -> str:
    """A section with its heading and one line on how to read it; `name` is its anchor."""
    return (
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{both(title)}</h2>'
        f'<p class="lead">{both(lead)}</p>{content}</section>'
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]], kind: str, caption: str = "") -> str:
    """A table whose rows become cards on a phone, where each cell shows its label and the caption names the table.

    The first cell of a row is its header; a header cell that is empty or a chart is no label.
    """
    head = "".join(f'<th scope="col">{cell}</th>' for cell in header)
    keys = ["" if not cell or "<svg" in cell else f'<span class="key">{cell}</span>' for cell in header]
    body = []
    for row in rows:
        cells = [f"<td>{key}{cell}</td>" for key, cell in zip(keys[1:], row[1:], strict=True)]
        body.append(f'<tr><th scope="row">{row[0]}</th>{"".join(cells)}</tr>')
    title = f"<caption>{caption}</caption>" if caption else ""
    return f'<table class="cards {kind}">{title}<thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'


def value(interval: Interval | None) -> str:
    """A share in percent with its interval; a dash where it was not measured."""
    if interval is None:
        return '<span class="none">–</span>'
    return f'<span class="value">{percent(interval.value)}</span> <small>{percent_range(interval)}</small>'


def change(interval: Interval) -> str:
    """A difference in points with its interval."""
    return f"<b>{signed(points(interval.value))}</b> <small>{signed(points_range(interval))}</small>"


def signed(text: str) -> str:
    """Numbers with a true minus sign."""
    return escape(text.replace("-", "−"))


def wide(columns: int, content: str, label: Text) -> str:
    """Tables that may be wider than the page, as they have a column for each arm: they scroll, by keyboard too."""
    name = f"{escape(label.en)} / {escape(label.zh)}"
    described = f'class="wide" role="region" tabindex="0" aria-label="{name}"'
    return f'<div {described} style="--columns:{columns}">{content}</div>'
