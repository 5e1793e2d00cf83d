"""Gates for a build: conditions on the figures of a report that must not hold, as in `tuned.correct.lower < 0.6`.

A condition is PATH OP NUMBER, read by a pattern and never evaluated as code. Figures are as in report.json: shares 0 to
1, differences -1 to 1. A gate on a bound of an interval fails by what the data rule out, and not by chance; a gate on
a figure that was not measured fails, because nothing shows that it would hold.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from kb.errors import UsageError
from kb.evaluate.markdown import grid
from kb.evaluate.results import Report
from kb.evaluate.stats import Interval
from kb.records import FINDINGS

OPERATORS = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt,
}  # fmt: skip
BOUNDS = {"value": "value", "lower": "low", "upper": "high"}
"""What follows the name of an interval, and the field of it."""
_CONDITION = re.compile(r"\s*([^\s<>=!]+)\s*(<=|>=|==|!=|<|>)\s*([^\s<>=!]+)\s*")


@dataclass(frozen=True)
class Gate:
    """A condition under which an evaluation fails."""

    path: str
    sign: str
    number: float

    def __str__(self) -> str:
        return f"{self.path} {self.sign} {self.number:g}"


@dataclass(frozen=True)
class Outcome:
    """A gate and what it was held against."""

    gate: str
    value: float | None
    """None: it was not measured."""
    failed: bool

    @property
    def detail(self) -> str:
        """The figure in words."""
        return "it was not measured" if self.value is None else f"it is {self.value:.4g}"


def read_gate(text: str) -> Gate:
    """A gate as the command line has it. Raises UsageError for what is none."""
    found = _CONDITION.fullmatch(text)
    try:
        number = float(found[3]) if found else math.nan
    except ValueError:
        number = math.nan
    if not found or not math.isfinite(number):
        signs = " ".join(OPERATORS)
        raise UsageError(
            f"--fail-if {text!r}: expected PATH OP NUMBER with one of {signs}, as in 'tuned.correct.lower < 0.6'"
        )
    return Gate(found[1], found[2], number)


def held_against(gates: Iterable[Gate], report: Report) -> tuple[Outcome, ...]:
    """The gates with the report's figures. Raises UsageError for a path that the report does not have."""
    known = figures(report)
    return tuple(_outcome(gate, known) for gate in gates)


def _outcome(gate: Gate, known: Mapping[str, float]) -> Outcome:
    if gate.path not in known:
        raise UsageError(f"--fail-if '{gate}': there is no figure {gate.path}. There is:\n{_listed(known)}")
    value = known[gate.path]
    if math.isnan(value):
        return Outcome(str(gate), None, True)
    return Outcome(str(gate), value, bool(OPERATORS[gate.sign](value, gate.number)))


def figures(report: Report) -> dict[str, float]:
    """Every figure by its path; NaN for one that was not measured.

    `ARM.FIGURE` and `ARM-AGAINST.FIGURE` of arms and comparisons, `rings.NAME.FIGURE` (with `change` for tuned minus
    base), `untaught.RING.VERDICT.FIGURE` (the same), `kept.KIND.FIGURE`, `general.FIGURE`, `hybrid.FIGURE`,
    `apart.KIND.ARM`, `findings.NAME` (facts), and what the report itself has, as `retention`. What is an interval ends
    in `.value`, `.lower` or `.upper`.
    """
    found = dict(_walk("", report))
    for arm in report.arms:
        found |= _walk(f"{arm.arm}.", arm)
    for one in report.comparisons:
        found |= _walk(f"{one.arm}-{one.against}.", one)
    for ring in report.rings:
        walked = _walk(f"rings.{ring.name}.", ring)
        found |= {path.replace(".difference.", ".change."): value for path, value in walked}
    for about, record in (("general", report.general), ("hybrid", report.hybrid)):
        found |= _walk(f"{about}.", record) if record else {}
    for outer in report.untaught:
        for verdict in ("correct", "wrong", "abstained"):
            walked = _walk(f"untaught.{outer.ring}.{verdict}.", getattr(outer, verdict))
            found |= {path.replace(".difference.", ".change."): value for path, value in walked}
    for left in report.kept:
        found |= _walk(f"kept.{left.kind}.", left)
    for part in report.apart:
        for name, share in part.correct.items():
            found |= _bounds(f"apart.{part.kind}.{name}.", share)
    if report.findings:
        counts = {one.name: one.facts for one in report.findings}
        found |= {f"findings.{name}": float(counts.get(name, 0)) for name in FINDINGS}
    return found


def _walk(prefix: str, record: Any) -> Iterator[tuple[str, float]]:
    """The numbers and intervals among the fields of a record."""
    for field in fields(record):
        value = getattr(record, field.name)
        if str(field.type) in ("Interval", "Interval | None"):
            yield from _bounds(f"{prefix}{field.name}.", value)
        elif isinstance(value, int | float):
            yield f"{prefix}{field.name}", float(value)
        elif str(field.type) == "float | None":
            yield f"{prefix}{field.name}", math.nan


def _bounds(prefix: str, interval: Interval | None) -> Iterator[tuple[str, float]]:
    for bound, name in BOUNDS.items():
        yield f"{prefix}{bound}", math.nan if interval is None else float(getattr(interval, name))


def _listed(known: Mapping[str, float]) -> str:
    """All paths, a line for each group of them; an interval is named once."""
    ends = tuple(f".{bound}" for bound in BOUNDS)
    shown = dict.fromkeys(f"{path.rpartition('.')[0]}.*" if path.endswith(ends) else path for path in known)
    groups: dict[str, list[str]] = {}
    for path in shown:
        head, dot, rest = path.removesuffix(".*").rpartition(".")
        groups.setdefault(head + dot, []).append(f"{rest}{'.*' if path.endswith('.*') else ''}")
    lines = [f"  {head}: {', '.join(names)}" if head else f"  {', '.join(names)}" for head, names in groups.items()]
    return "\n".join([*lines, f"  where .* is one of {' '.join(ends)}"])


def as_markdown(outcomes: Sequence[Outcome]) -> str:
    """A section of Markdown; empty without gates."""
    rows = [(one.gate, one.detail, "failed" if one.failed else "ok") for one in outcomes]
    return f"\n## Gates\n\n{grid(('fails if', 'figure', 'outcome'), rows)}\n" if rows else ""
