"""How much of what documents at hand give is left without them: ratios of arms, refused where they mean nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kb.evaluate import stats
from kb.evaluate.stats import Interval
from kb.evaluate.tables import Table


def retention(held: Table, against: str) -> Interval | None:
    """R: the share right of the tuned model without documents by that of an arm that is shown some.

    None where an arm is missing or the ratio is refused (`stats.ratio_interval`).
    """
    if not {"tuned", against} <= set(held.arms):
        return None
    shares, asked = held.shares(), held.counts()
    at = [held.arms.index(arm) for arm in ("tuned", against)]
    return stats.ratio_interval(shares[:, at[0]], shares[:, at[1]], float(asked[at].max()))


def gain_retention(held: Table, known: Mapping[str, str]) -> tuple[Interval | None, int]:
    """G = (tuned - base) / (RAG - base) on the facts that the base does not know, and how many these are.

    `known` maps fact ids to how well the base knew them, by answers of their own (`kb.llm.known`). Without it the facts
    are those of which the base answers at most half of the held-out wordings right; chosen by the answers that G
    counts, they make the base look a little worse than it is, in both differences.
    """
    if "base" not in held.arms:
        return None, 0
    base = held.shares()[:, held.arms.index("base")]
    levels = [known.get(fact, "") for fact in held.facts]
    headroom = np.array([level == "unknown" for level in levels]) if any(levels) else base <= 0.5
    if not {"tuned", "rag"} <= set(held.arms):
        return None, int(headroom.sum())
    gains = (held.differences(arm, "base")[headroom] for arm in ("tuned", "rag"))
    return stats.gain_interval(*gains), int(headroom.sum())
