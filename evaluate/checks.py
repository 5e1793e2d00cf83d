"""What must hold for the figures to mean anything, checked in every evaluation on what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kb.evaluate.probes import leaked
from kb.llm import LLM
from kb.records import Probe, Score
from kb.store import Store


def checked(
    store: Store, probes: Sequence[Probe], scores: Sequence[Score], models: Mapping[str, LLM]
) -> list[tuple[str, bool, str]]:
    """(name, whether it holds, detail) of each: no probe was trained, and every model is another than the base and than
    the tuned one: by the hash of what it is, and by what it says.
    """
    leaks = leaked(store, probes)
    shown = f", such as {leaks[0].id}: {leaks[0].question}" if leaks else ""
    checks = [("no probe is a trained question", not leaks, f"{len(leaks)} leaked of {len(probes)} probes{shown}")]
    answers: dict[str, dict[str, str]] = {}
    for one in scores:
        answers.setdefault(one.arm, {})[one.probe_id] = one.answer
    for first in ("base", "tuned"):
        others = [name for name in models if name == "tuned" or name not in ("base", "sft", first)]
        checks += [_different(first, name, models, answers) for name in others if first in models and name != first]
    return checks


def _different(
    first: str, second: str, models: Mapping[str, LLM], answers: Mapping[str, Mapping[str, str]]
) -> tuple[str, bool, str]:
    """Two closed-book arms of the same name as their models, on the probes that both answered."""
    both = answers.get(first, {}).keys() & answers.get(second, {}).keys()
    differ = sum(answers[first][id] != answers[second][id] for id in both)
    apart = models[first].identity != models[second].identity
    detail = f"{differ} of {len(both)} closed-book answers differ between {first} and {second}"
    return f"{first} and {second} are different models", apart and differ > 0, detail
