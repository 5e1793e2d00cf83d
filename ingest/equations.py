"""Equations of Office files (OMML) in one line: (a+b)/2, x_i^2, √(x), ∑_(i=1)^n x."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kb.ingest.ooxml import M, W

_ATOM = re.compile(r"\d+(?:[.,]\d+)*%?|[^\W_]|[A-Za-z]{3,}|[\u3400-\u9fff]+|\([^()]*\)")
_SKIPPED = (f"{W}del", f"{W}moveFrom", f"{W}rPr")


def linear(node: Any) -> str:
    """The equation, or part of one, as text. What has no rule of its own gives the text inside."""
    return "".join(_one(child) for child in node)


def _one(node: Any) -> str:
    if not isinstance(node.tag, str) or node.tag in _SKIPPED or node.tag.endswith("Pr"):
        return ""
    if node.tag == f"{M}t":
        return node.text or ""
    rule = _RULES.get(node.tag.removeprefix(M)) if node.tag.startswith(M) else None
    return rule(node) if rule else linear(node)


def _part(node: Any, name: str) -> str:
    """The text of a part, such as num or sup; "" when it has none."""
    child = node.find(f"{M}{name}")
    return "" if child is None else linear(child).strip()


def _group(text: str) -> str:
    """In parentheses, unless it is a number, a letter or a word."""
    return text if not text or _ATOM.fullmatch(text) else f"({text})"


def _setting(node: Any, name: str, default: str) -> str:
    """A property's m:val; `default` where the property is not there, "" where it is there without a value."""
    found = node.find(f"{M}{node.tag.removeprefix(M)}Pr/{M}{name}")
    return default if found is None else str(found.get(f"{M}val") or "")


def _fraction(node: Any) -> str:
    return f"{_group(_part(node, 'num'))}/{_group(_part(node, 'den'))}"


def _scripts(node: Any) -> str:
    """Sub- and superscripts behind what they belong to; limits are scripts too."""
    low, high = _part(node, "sub"), _part(node, "sup")
    if node.tag == f"{M}limLow":
        low = _part(node, "lim")
    if node.tag == f"{M}limUpp":
        high = _part(node, "lim")
    base = _part(node, "e")
    return (_group(base) if high else base) + _marks(low, high)


def _marks(low: str, high: str) -> str:
    return (f"_{_group(low)}" if low else "") + (f"^{_group(high)}" if high else "")


def _root(node: Any) -> str:
    degree = _part(node, "deg")
    inside = _part(node, "e")
    return f"({inside})^(1/{_group(degree)})" if degree else f"√({inside})"


def _operator(node: Any) -> str:
    """A sum, product or integral with its limits, then what it is taken of."""
    marks = _marks(_part(node, "sub"), _part(node, "sup"))
    return f"{_setting(node, 'chr', '∫')}{marks} {_part(node, 'e')}"


def _delimited(node: Any) -> str:
    inside = _setting(node, "sepChr", "|").join(linear(part).strip() for part in node.findall(f"{M}e"))
    return _setting(node, "begChr", "(") + inside + _setting(node, "endChr", ")")


def _function(node: Any) -> str:
    argument = _part(node, "e")
    return f"{_part(node, 'fName')} {argument}" if len(argument) == 1 else f"{_part(node, 'fName')}{_braced(argument)}"


def _braced(text: str) -> str:
    return text if text.startswith("(") and text.endswith(")") else f"({text})"


def _accent(node: Any) -> str:
    """A letter with its accent; of more than a letter the accent is left out."""
    base = _part(node, "e")
    mark = _setting(node, "chr", "\u0302") if node.tag == f"{M}acc" else "\u0304"
    return base + mark if len(base) == 1 else base


def _matrix(node: Any) -> str:
    rows = (", ".join(linear(cell).strip() for cell in row.findall(f"{M}e")) for row in node.findall(f"{M}mr"))
    return f"[{'; '.join(rows)}]"


def _lines(node: Any) -> str:
    return "; ".join(linear(line).strip() for line in node.findall(f"{M}e"))


_RULES: dict[str, Callable[[Any], str]] = {
    "f": _fraction,
    "rad": _root,
    "nary": _operator,
    "d": _delimited,
    "func": _function,
    "m": _matrix,
    "eqArr": _lines,
    **dict.fromkeys(("acc", "bar"), _accent),
    **dict.fromkeys(("sSub", "sSup", "sSubSup", "limLow", "limUpp"), _scripts),
}
