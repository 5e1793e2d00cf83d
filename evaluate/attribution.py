"""Where an answer from passages was lost: the right passage was not found, or it was, and the answer is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kb.evaluate.beside import Attribution
from kb.evaluate.stats import Interval, fact_means, share_intervals
from kb.records import Probe, Score

READING = ("rag", "tuned_rag")
"""Arms whose passages were retrieved."""
SHOWN_RIGHT = ("oracle", "tuned_oracle")
"""Arms whose passages are the right ones of a fact."""


def attributions(probes: Sequence[Probe], scores: Sequence[Score]) -> tuple[Attribution, ...]:
    """Of each arm with retrieved passages, on held-out wordings; none where no arm was shown the right passage.

    Found is a probe among whose passages all of the fact's own are: a fact over the end of one has two.
    """
    facts = {probe.id: probe.fact_id for probe in probes if probe.kind == "held_out"}
    own = {facts[one.probe_id]: set(one.passages) for one in scores if one.arm in SHOWN_RIGHT and one.probe_id in facts}
    found = []
    for arm in READING:
        mine = [one for one in scores if one.arm == arm and own.get(facts.get(one.probe_id, ""))]
        if mine:
            hits = {one.probe_id: own[facts[one.probe_id]] <= set(one.passages) for one in mine}
            right = {one.probe_id: float(one.verdict == "correct") for one in mine}
            parts = [{id: right[id] for id, hit in hits.items() if hit is wanted} for wanted in (True, False)]
            found.append(
                Attribution(
                    arm, len(mine), _share(facts, {id: float(hit) for id, hit in hits.items()}),
                    *(_share(facts, part) for part in parts),
                )
            )  # fmt: skip
    return tuple(found)


def _share(facts: Mapping[str, str], values: Mapping[str, float]) -> Interval | None:
    """Mean over facts; None where there is no probe."""
    if not values:
        return None
    names = sorted({facts[id] for id in values})
    place = {name: number for number, name in enumerate(names)}
    clusters = np.array([place[facts[id]] for id in values], dtype=np.int64)
    table = fact_means(np.array(list(values.values())), clusters, len(names))[:, None]
    return share_intervals(table, len(values))[0]
