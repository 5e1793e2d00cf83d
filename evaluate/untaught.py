"""Facts that no question taught, in three rings around those that were: what the tuned model answers about them.

The nearest are facts of the trained documents that no trained question asks for; then facts of documents like them,
which nothing trained states (the placebo); then what the base learned before, facts of the world.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from kb.evaluate.beside import Kept, Ring, Shift, Untaught
from kb.evaluate.figures import intervals
from kb.evaluate.pvalues import holm
from kb.evaluate.results import Apart
from kb.evaluate.stats import Floats, difference_intervals
from kb.evaluate.tables import Table

UNTAUGHT = ("text_only", "placebo", "known")
"""Kinds of probe that are rings, the nearest first."""
KEPT = ("held_out", *UNTAUGHT, "reading")
"""Kinds of which it is counted what is left of what the base had right."""


def untaught(
    table: Table, apart: Sequence[Apart], rings: Sequence[Ring], p: Callable[[Floats], Floats]
) -> tuple[Untaught, ...]:
    """The rings that base and tuned were both asked, their wrong answers and refusals adjusted for one another.

    `apart` and `rings` have the adjusted p values of what is right; `p` gives those of columns of fact differences.
    """
    adjusted = {one.kind: one.gain.p_adjusted for one in apart if one.gain} | {
        one.name: one.p_adjusted for one in rings
    }
    found = []
    for ring in UNTAUGHT:
        part = table.of_kind(ring)
        shifts = {verdict: _shift(part, verdict, p) for verdict in ("correct", "wrong", "abstained")}
        correct, wrong, abstained = shifts.values()
        if correct and wrong and abstained:
            correct = replace(correct, p_adjusted=adjusted[ring])
            found.append(Untaught(ring, len(part.facts), len(part.probes), correct, wrong, abstained))
    values = holm(np.array([one.p for ring in found for one in (ring.wrong, ring.abstained)])).reshape(-1, 2).tolist()
    return tuple(
        replace(ring, wrong=replace(ring.wrong, p_adjusted=first), abstained=replace(ring.abstained, p_adjusted=second))
        for ring, (first, second) in zip(found, values, strict=True)
    )


def _shift(part: Table, verdict: str, p: Callable[[Floats], Floats]) -> Shift | None:
    """The change of one verdict's share, its p not adjusted yet; None where one of the two was not asked."""
    shares = dict(zip(part.arms, intervals(part, verdict), strict=True))
    base, tuned = shares.get("base"), shares.get("tuned")
    if not base or not tuned:
        return None
    column = part.differences("tuned", "base", verdict)[:, None]
    difference = difference_intervals(column)[0]
    if difference is None:
        return None
    value = float(p(column)[0])
    return Shift(base, tuned, difference, value, value)


def kept(table: Table) -> tuple[Kept, ...]:
    """What is left of what the base had right, for each kind of `KEPT` where it had something."""
    if not {"base", "tuned"} <= set(table.arms):
        return ()
    found = (_kept(table.of_kind(kind), kind) for kind in KEPT)
    return tuple(one for one in found if one.had)


def _kept(part: Table, kind: str) -> Kept:
    marks = part.marks()
    base, tuned = (marks[:, part.arms.index(arm)] for arm in ("base", "tuned"))
    had, has = base == 1.0, tuned == 1.0
    asked = ~np.isnan(base + tuned)
    return Kept(
        kind, int(asked.sum()), int((had & asked).sum()), int((had & has).sum()), int((has & ~had & asked).sum())
    )
