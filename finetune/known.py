"""What the base knew of the facts before it is trained on them, where `kb generate-qa` asked another model."""

from __future__ import annotations

from collections.abc import Sequence

from kb.llm import LLM, ask
from kb.llm.known import judged_known, known_items, known_mixes, remember_name, wordings_of
from kb.prompt import Prompts
from kb.records import Fact, Knownness, Question
from kb.store import Store

STAGE = "train: knownness"


def unasked(store: Store, base: str) -> list[Fact]:
    """Facts that another model was asked about and the one of this identity was not."""
    asked = {one.fact_id for one in store.all(Knownness, "model = ?", base)}
    others = {one.fact_id for one in store.all(Knownness)}
    return [fact for fact in store.all(Fact) if fact.id in others - asked]


def ask_base(base: LLM, store: Store, prompts: Prompts, facts: Sequence[Fact]) -> None:
    """Ask and store how well the base knows these facts, with as many samples as the other model was asked for.

    Raises LLMError when the base cannot be asked at all.
    """
    samples = max(one.samples for one in store.all(Knownness))
    wordings = wordings_of(store.all(Question))
    facts = [fact for fact in facts if fact.id in wordings]
    items = list(known_items(prompts, facts, wordings, samples))
    found = list(judged_known(facts, samples, ask(base, store, items, str.strip, STAGE, cut=True), base.identity))
    with store.transaction():
        remember_name(store, base)
        store.put(found, replace=True)


def known_note(store: Store, base: str) -> str:
    """For the report: how much of the set the base knew before; empty where that was not measured."""
    return next((f"known before training: {mix}" for mix in known_mixes(store) if mix.identity == base), "")
