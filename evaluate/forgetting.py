"""What tuning did to everything else: how far the model moved on general prompts, and what right answers became to it.

Both are more sensitive than the share of right answers: a fact is answered as before until its log-probability has
fallen below that of another answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kb.evaluate.arms import ARMS, Asked, Asker
from kb.evaluate.beside import General, GoldShift, Regression
from kb.evaluate.figures import by_fact
from kb.evaluate.stats import Floats, mean_intervals
from kb.llm import LLM, Request
from kb.llm.general import general_chats
from kb.records import Probe

KINDS = ("known", "reading", "held_out")
"""What is asked for the log-probability of its right answer: what must stay, and what should have come."""
WORST = 10
"""Regressions that are listed."""


def measured(base: LLM, tuned: LLM, asker: Asker, probes: Sequence[Probe], most: int) -> General | None:
    """Base against tuned; None where a model does not tell log-probabilities, or with no prompts to be asked.

    At `most` so many general prompts, at even distances, so of both languages and every kind.

    Of a fact the first held-out wording is asked. Raises LLMError when a prompt does not fit into memory.
    """
    from kb.llm.drift import TOKENS, measure_base, measure_drift
    from kb.llm.local import LocalLLM

    if not most or not isinstance(base, LocalLLM) or not isinstance(tuned, LocalLLM):
        return None
    chats = general_chats("watch")
    prompts = [Request(one.messages, TOKENS) for one in chats[:: -(-len(chats) // most)]]
    drift = measure_drift(tuned, prompts, measure_base(base, prompts, ()))
    asked = _asked(asker, probes)
    requests, golds = [one.item.request for one in asked], [one.probe.gold for one in asked]
    nats = np.array([[value for value, _ in llm.logprobs(requests, golds)] for llm in (base, tuned)]).T
    shifts = [_shift(kind, asked, nats) for kind in KINDS]
    return General(
        len(prompts), drift.tokens if drift else 0, drift.agreement if drift else None, drift.kl if drift else None,
        tuple(one for one in shifts if one), _worst(asked, nats),
    )  # fmt: skip


def _asked(asker: Asker, probes: Sequence[Probe]) -> list[Asked]:
    """What the base arm is asked of these kinds, of each fact once."""
    found: dict[str, Asked] = {}
    for one in asker.ask(ARMS["base"], [probe for probe in probes if probe.kind in KINDS and probe.gold]):
        found.setdefault(one.probe.fact_id if one.probe.kind == "held_out" else one.probe.id, one)
    return list(found.values())


def _shift(kind: str, asked: Sequence[Asked], nats: Floats) -> GoldShift | None:
    rows = [at for at, one in enumerate(asked) if one.probe.kind == kind]
    if not rows:
        return None
    facts = {asked[at].probe.id: asked[at].probe.fact_id for at in rows}
    base, tuned = (by_fact(facts, {asked[at].probe.id: float(nats[at, column]) for at in rows}) for column in (0, 1))
    # A single fact has no spread to tell.
    change = mean_intervals((tuned - base)[:, None])[0] if len(base) > 1 else None
    return GoldShift(kind, len(rows), float(base.mean()), float(tuned.mean()), change)


def _worst(asked: Sequence[Asked], nats: Floats) -> tuple[Regression, ...]:
    """What lost most of what the base could do, the worst first."""
    change = nats[:, 1] - nats[:, 0]
    lost = [at for at in np.argsort(change, kind="stable") if asked[at].probe.kind != "held_out" and change[at] < 0]
    return tuple(
        Regression(
            asked[at].probe.id, asked[at].probe.kind, asked[at].probe.question, asked[at].probe.gold,
            float(nats[at, 0]), float(nats[at, 1]),
        )
        for at in lost[:WORST]
    )  # fmt: skip
