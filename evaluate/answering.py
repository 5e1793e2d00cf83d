"""Every arm is asked and scored: the held-out questions first, of which the report is, then all else.

So the first figures are there when a small part of the work is done, and whoever sees that something is wrong need not
wait for the rest. What is asked when changes no answer and no report.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

from kb.evaluate.arms import Arm, Asked, Asker
from kb.evaluate.scorers import score
from kb.llm import LLM, ask
from kb.llm.stored import last_call
from kb.records import Probe, Score
from kb.store import Store

log = logging.getLogger(__name__)

STAGE = "eval"
MAIN = "held_out"
"""The kind of probe that all arms are asked before any is asked another."""
FIRST = ("base", "tuned", "rag", "tuned_rag")
"""The arms that are asked before the others, those that need no index before those that do."""

Answered = tuple[Asked, Score]


def answers(
    store: Store, asker: Asker, arms: Sequence[Arm], models: Mapping[str, LLM], probes: Sequence[Probe]
) -> tuple[list[Answered], dict[tuple[str, str], float]]:
    """Every answer with its score, by arm and then by probe as they are given; and how sure each was, by arm and probe,
    where somebody says it: the mean log-probability of its tokens, nats.

    One attempt each: a sampled answer in place of a greedy one would not be decoded as the others are. Failures of
    probes that are not asked any more are forgotten. What each arm has right of the held-out questions is logged once,
    of those whose answers were in the store too, unless all were: then the report is next.
    """
    found: dict[str, dict[str, Answered]] = {arm.name: {} for arm in arms}
    sure: dict[tuple[str, str], float] = {}
    turns = sorted(arms, key=lambda arm: FIRST.index(arm.name) if arm.name in FIRST else len(FIRST))
    before, told = last_call(store), list[str]()
    for main in (True, False):
        part = [probe for probe in probes if (probe.kind == MAIN) is main]
        for arm in turns:
            asked = asker.ask(arm, part)
            results = ask(models[arm.model], store, [one.item for one in asked], str.strip, stage(arm), 1, cut=True)
            for one, result in zip(asked, results, strict=True):
                found[arm.name][one.probe.id] = one, score(arm, one, result)
                done = result.completion
                if done.logprob is not None:
                    sure[arm.name, one.probe.id] = done.logprob / max(1, done.completion_tokens)
            if main and asked:
                told.append(so_far(arm, found[arm.name].values()))
            if last_call(store) > before:
                _say(told)
    _forget(store, {stage(arm): {one.item.id for one, _ in found[arm.name].values()} for arm in arms})
    return [found[arm.name][probe.id] for arm in arms for probe in probes if probe.id in found[arm.name]], sure


def _say(told: list[str]) -> None:
    """Log the lines, each once."""
    while told:
        log.info("%s", told.pop(0))


def stage(arm: Arm) -> str:
    """What the answers and failures of an arm are kept under."""
    return f"{STAGE}: {arm.name}"


def so_far(arm: Arm, answered: Collection[Answered]) -> str:
    """How many of these an arm has right, on one line, by the rules alone: a judge may think otherwise later."""
    right = {one.probe.id for one, scored in answered if scored.verdict == "correct"}
    facts = {one.probe.fact_id for one, _ in answered}
    missed = {one.probe.fact_id for one, _ in answered if one.probe.id not in right}
    return (
        f"{stage(arm)}: {len(right)} of {len(answered)} held-out questions right so far, every wording of"
        f" {len(facts - missed)} of {len(facts)} facts"
    )


def _forget(store: Store, asked: Mapping[str, Collection[str]]) -> None:
    """Clear the failures of what is not asked any more; `asked` is stage to items."""
    for row in store.sql("SELECT DISTINCT stage FROM failures WHERE stage LIKE ?", f"{STAGE}: %"):
        if row["stage"] not in asked:
            store.clear_failures(row["stage"])
    for stage, items in asked.items():
        for item in {item for item, _, _ in store.failures(stage)} - set(items):
            store.unfail(stage, item)
