"""A diff of two evaluations as text: for the terminal (100 columns) and as GitHub Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import set_cell_size

from kb.evaluate.diff import ArmDiff, Changed, Diff
from kb.evaluate.markdown import escaped, grid
from kb.evaluate.wording import ARMS, KINDS, named, p_value, percent, points, points_range, size

SHOWN = 10
"""Facts of a list that the terminal and Markdown show; --json has all."""
LISTS = ("gained", "lost", "flipped")
MEANT = "gained, lost: most wordings right in one alone; flipped: some changed, and the majority did not"


def as_lines(found: Diff) -> list[str]:
    """For the terminal."""
    first, second = found.names
    lines = [f"A: {first}", f"B: {second}", *_about(found), ""]
    lines.append(
        f"{'arm':<22}{'facts':>5}{'A':>7}{'B':>7}{'B - A':>7} {'95% interval':<15}{'p':<8}{'adjusted':<8}{'gained':>7}"
        f"{'lost':>5}{'flipped':>8}"
    )
    for one in found.arms:
        counts = f"{len(one.gained):>7}{len(one.lost):>5}{len(one.flipped):>8}"
        lines.append(
            f"{set_cell_size(_label(one), 22)}{one.facts:>5}{percent(one.first):>7}{percent(one.second):>7}"
            f"{points(one.difference.value):>7} {points_range(one.difference):<15}{p_value(one.p):<8}"
            f"{p_value(one.p_adjusted):<8}{counts}"
        )
    lines += [
        f"  {one}: no difference detected; smallest detectable {size(least)} points"
        for one, least in _undetected(found)
    ]
    lines.append(MEANT)
    for one, name, facts in _listed(found):
        lines.append(f"{name} by {_label(one)}: {_head(facts)}")
        lines += [f"  {fact.id}  {' '.join(fact.statement.split())}" for fact in facts[:SHOWN]]
    return lines


def as_markdown(found: Diff) -> str:
    """As GitHub Markdown."""
    rows = [
        (
            _label(one), one.facts, percent(one.first), percent(one.second), points(one.difference.value),
            points_range(one.difference), p_value(one.p), p_value(one.p_adjusted), size(one.detectable),
            len(one.gained), len(one.lost), len(one.flipped),
        )
        for one in found.arms
    ]  # fmt: skip
    header = ("arm", "facts", "A", "B", "B - A", "95% interval", "p", "p adjusted", "smallest detectable", *LISTS)
    parts = [
        "# Two evaluations",
        "\n".join(f"- {escaped(line)}" for line in (f"A: {found.names[0]}", f"B: {found.names[1]}", *_about(found))),
        grid(header, rows),
        escaped(MEANT),
    ]
    for one, name, facts in _listed(found):
        parts.append(f"## {name.capitalize()} by {escaped(_label(one))}: {_head(facts)}")
        parts.append(grid(("fact", "statement"), ((fact.id, fact.statement) for fact in facts[:SHOWN])))
    return "\n\n".join(parts) + "\n"


def _about(found: Diff) -> list[str]:
    left = [f"{count} probes of {name} alone" for count, name in zip(found.only, "AB", strict=True) if count]
    left += [f"{found.other_gold} to which another answer is right by now"] if found.other_gold else []
    lines = [f"{found.probes} probes of {found.facts} facts were asked in both"]
    lines += [f"left out: {', '.join(left)}"] if left else []
    return [*lines, *([f"differs: {', '.join(found.differs)}"] if found.differs else [])]


def _label(one: ArmDiff) -> str:
    """The arm, with the kind of probe unless it is the usual one."""
    arm = named(ARMS, one.arm).en
    return arm if one.kind == "held_out" else f"{arm}, {named(KINDS, one.kind).en}"


def _undetected(found: Diff) -> list[tuple[str, float]]:
    """Held-out lines that show no difference, with the smallest one that they could have shown."""
    return [(_label(one), one.detectable) for one in found.arms if one.kind == "held_out" and not one.sign]


def _listed(found: Diff) -> list[tuple[ArmDiff, str, Sequence[Changed]]]:
    """The facts of the held-out wordings that changed, of each arm and kind of change."""
    return [
        (one, name, facts)
        for one in found.arms
        for name in LISTS
        if one.kind == "held_out" and (facts := getattr(one, name))
    ]


def _head(facts: Sequence[Changed]) -> str:
    count = f"{len(facts)} fact{'' if len(facts) == 1 else 's'}"
    return f"{count}, the first {SHOWN}" if len(facts) > SHOWN else count
