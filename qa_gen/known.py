"""What the model knew of the facts before anything was trained: asked without passages."""

from __future__ import annotations

from collections.abc import Sequence

from kb.llm.known import judged_known, known_items, remember_name, wordings_of
from kb.qa_gen.asking import Workbench
from kb.records import Fact, Knownness, Question


def make_known(bench: Workbench, facts: Sequence[Fact], questions: Sequence[Question]) -> list[Knownness]:
    """How well this model knows each fact, and what is stored of how well other models know it.

    An answer cut off is an answer; a fact of which one could not be had at all waits for the next run.
    """
    own, samples = bench.llm.identity, bench.config.known_samples
    live = {fact.id for fact in facts}
    others = [one for one in bench.store.all(Knownness) if one.model != own and one.fact_id in live]
    if not samples:
        return others
    wordings = wordings_of(questions)
    asked = [fact for fact in facts if fact.id in wordings]
    remember_name(bench.store, bench.llm)
    items = known_items(bench.prompts, asked, wordings, samples)
    chunks = [fact.chunk_id for fact in asked for _ in range(samples)]
    results = bench.ask("knownness", items, chunks, str.strip, cut=True)
    return [*judged_known(asked, samples, results, own), *others]
