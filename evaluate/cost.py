"""What tuning cost once, what RAG costs with every question, and after how many questions the one has paid.

Read off what was written while it happened: the calls in the store, the training's metrics, the scores.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from kb.evaluate.beside import Cost
from kb.evaluate.results import ArmSummary
from kb.runs import Run
from kb.store import Store

GENERATION = "generate%"
"""Stages of the calls that wrote the set."""
TRAINING = 3.0
"""Passes that a trained token costs: one forward, and a backward of twice its operations (Kaplan and others, arXiv
2001.08361, section 2.1)."""


def cost_of(store: Store, run: Run | None, arms: Sequence[ArmSummary]) -> Cost | None:
    """None without a run, or without both tuned and RAG."""
    by_name = {arm.arm: arm for arm in arms}
    if run is None or not {"tuned", "rag"} <= by_name.keys():
        return None
    tokens, seconds = _trained(run)
    tuned, rag = by_name["tuned"], by_name["rag"]
    written = store.sql(
        "SELECT COALESCE(SUM(prompt_tokens + completion_tokens), 0) AS tokens, COALESCE(SUM(seconds), 0) AS seconds"
        " FROM llm_calls WHERE stage LIKE ?", GENERATION,
    )[0]  # fmt: skip
    return Cost(
        int(written["tokens"]), float(written["seconds"]), tokens, seconds,
        _paid(written["tokens"], tokens, TRAINING, rag.tokens - tuned.tokens),
        _paid(written["seconds"], seconds, 1.0, rag.seconds - tuned.seconds),
    )  # fmt: skip


def _paid(written: float, trained: float | None, weight: float, saved: float) -> float | None:
    """Questions after which what a question saves has paid what was spent once; None where it saves nothing."""
    return None if trained is None or saved <= 0 else (written + weight * trained) / saved


def _trained(run: Run) -> tuple[int, float] | tuple[None, None]:
    """Tokens and seconds of all stages; None of a run whose metrics do not tell."""
    tokens = seconds = 0.0
    for stage in run.metrics:
        file = run.adapter.parent.parent / stage / "metrics.jsonl"
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            figures = json.loads(line)
            spent = figures.get("seconds", 0.0)
            seconds += spent
            tokens += spent * figures.get("tokens_per_second", 0.0)
    return (round(tokens), seconds) if seconds else (None, None)
