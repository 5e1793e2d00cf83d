"""Where an answer from passages was lost: the right passage was not found, or it was, and the answer is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from kb.evaluate.beside import Attribution
from kb.evaluate.figures import share_of
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
                    arm, len(mine), share_of(facts, {id: float(hit) for id, hit in hits.items()}),
                    *(share_of(facts, part) for part in parts),
                )
            )  # fmt: skip
    return tuple(found)
