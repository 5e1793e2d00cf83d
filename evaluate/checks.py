"""What must hold for the figures to mean anything, checked in every evaluation on what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kb.evaluate.probes import leaked
from kb.evaluate.results import Check
from kb.evaluate.wording import NAMES, named
from kb.llm import LLM
from kb.records import Probe, Score
from kb.store import Store


def checked(store: Store, probes: Sequence[Probe], scores: Sequence[Score], models: Mapping[str, LLM]) -> list[Check]:
    """No probe was trained, and every model is another than the base and than the tuned one: by the hash of what it is,
    and by what it says.
    """
    checks = [_unleaked(leaked(store, probes), len(probes))]
    answers: dict[str, dict[str, str]] = {}
    for one in scores:
        answers.setdefault(one.arm, {})[one.probe_id] = one.answer
    for first in ("base", "tuned"):
        others = [name for name in models if name == "tuned" or name not in ("base", "sft", first)]
        checks += [_different(first, name, models, answers) for name in others if first in models and name != first]
    return checks


def _unleaked(leaks: Sequence[Probe], asked: int) -> Check:
    shown = f", such as {leaks[0].id}: {leaks[0].question}" if leaks else ""
    shown_zh = f"，例如 {leaks[0].id}：{leaks[0].question}" if leaks else ""
    return Check(
        "no probe is a trained question", not leaks, f"{len(leaks)} leaked of {asked} probes{shown}",
        "没有评测题是训练过的问题", f"{asked} 道评测题中有 {len(leaks)} 道泄漏{shown_zh}",
    )  # fmt: skip


def _different(first: str, second: str, models: Mapping[str, LLM], answers: Mapping[str, Mapping[str, str]]) -> Check:
    """Two closed-book arms of the same name as their models, on the probes that both answered."""
    both = answers.get(first, {}).keys() & answers.get(second, {}).keys()
    differ = sum(answers[first][id] != answers[second][id] for id in both)
    apart = models[first].identity != models[second].identity
    detail = f"{differ} of {len(both)} closed-book answers differ between {first} and {second}"
    one, other = named(NAMES, first).zh, named(NAMES, second).zh
    return Check(
        f"{first} and {second} are different models", apart and differ > 0, detail,
        f"{one}与{other}不是同一个模型", f"{len(both)} 个闭卷回答中，两者有 {differ} 个不同",
    )  # fmt: skip
