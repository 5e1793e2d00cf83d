"""The page of `intervals.py`: its figures as Markdown, with what is outside of the promise marked and counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from simulated import PROBES, REPLICATES

COVERED, ALARMED = (0.93, 0.97), (0.035, 0.065)
"""What is promised of intervals and of tests."""


def page(
    coverage: Sequence[NamedTuple], grouped: Sequence[NamedTuple], alarms: Sequence[NamedTuple],
    families: Sequence[NamedTuple], command: str, datasets: int,
) -> str:  # fmt: skip
    """All tables as Markdown; `command` made them."""
    parts = [
        "# Do the intervals and p values keep their promises?",
        f"Made by `{command}`; see there and in `simulated.py` for the simulation.",
        f"Coverage of nominal 95% intervals: {datasets} data sets a line (bootstraps: the first 1,000, {REPLICATES}"
        f" resamples each), {PROBES} probes a fact. The other arm is right on 70%, the base on 5%; \"gain\" is over the"
        " base and \"gain kept\" that gain by the other arm's. " + outside("kb", coverage, 3, COVERED),
        grid(("quantity", "level", "facts", "kb", "t over facts", "bootstrap, expanded", "BCa", "naive"), coverage, 3,
             {3: COVERED}),
        "What is above .97 is a share of facts that are nearly all right, or nearly none: few values are possible then,"
        " and no interval covers just 95%.",
        "## Facts that share documents",
        "An arm at .80 and its difference to one at .70. Documents add a normal effect of this SD to the logit. \"By"
        " document\" is what kb shows beside the interval over facts from ten documents on; \"warned\" is how often its"
        " interval of the difference is 1.5 times as wide, which the report says. \"Shrunken\" is how many of the"
        " documents' own shares are covered. " + outside("By document", grouped, 2, COVERED, (2, 4)),
        "\"Alarms\" are arms at .70 whose sign-flip p is below 5%: two like ones, and one beside an arm that documents"
        " make no difference to (\"unlike\"). " + outside("Alarms by document", grouped, 2, ALARMED, (10, 11)),
        grid(("documents", "SD", "share, by document", "share, by fact", "difference, by document",
              "difference, by fact", "bootstrap of documents", "two-stage", "warned", "shrunken", "alarms, by document",
              "unlike, by document", "alarms, by fact"), grouped, 2,
             {2: COVERED, 4: COVERED, 10: ALARMED, 11: ALARMED}),
        "## Tests at 5%",
        "How often two arms are called different where they are not: two like arms; one like them and one that knows"
        " each fact entirely or not at all (\"unlike\"), also without the cases in which the report says that its p"
        " values are rough, and by Student's t; like arms where probes are taken for independent. And how often at the"
        " size that kb calls detectable. " + outside("Like arms", alarms, 2, ALARMED),
        grid(("level", "facts", "like", "unlike", "unlike, not warned of", "unlike, t over facts", "like, naive",
              "power"), alarms, 2, {2: ALARMED, 3: ALARMED}),
        "## Read together",
        "Share of data sets with any false alarm.",
        grid(("family", "raw", "adjusted"), families, 1, {}),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def grid(header: Sequence[str], rows: Sequence[NamedTuple], keys: int, promised: dict[int, tuple[float, float]]) -> str:
    """A table; a rate outside of what is promised of its column is bold."""
    lines = [f"| {' | '.join(header)} |", f"|{' --- |' * len(header)}"]
    for row in rows:
        cells = [f"{value:.2f}" if isinstance(value, float) else str(value) for value in row[:keys]]
        cells += [cell(value, promised.get(at)) for at, value in enumerate(row[keys:], keys)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(value: float, promised: tuple[float, float] | None) -> str:
    """A rate; empty where a method does not apply."""
    if np.isnan(value):
        return ""
    text = f"{value:.3f}"
    return text if promised is None or promised[0] <= value <= promised[1] else f"**{text}**"


def outside(
    name: str, rows: Sequence[NamedTuple], first: int, promised: tuple[float, float], columns: Sequence[int] = ()
) -> str:
    """How many rates of these columns (the first one by default) are outside of what is promised."""
    rates = np.array([[row[at] for at in columns or (first,)] for row in rows])
    low, high = int((rates < promised[0]).sum()), int((rates > promised[1]).sum())
    return (
        f"{name} is to be within {promised[0]:g} and {promised[1]:g}: {rates.size - low - high} of {rates.size} are,"
        f" {low} below (least {rates.min():.3f}), {high} above (most {rates.max():.3f}), in bold."
    )
