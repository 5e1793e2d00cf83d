"""A model that judges what no rule of the scorer could: answers in other words than the gold.

It is trusted no further than it was measured, in the same run: on cases that are made of the probes and whose truth is
known, and on people's labels where there are some. It sees the question, what is right, and the answer; never who gave
it.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kb.errors import ConfigError, Unparsed
from kb.evaluate import stats
from kb.evaluate.beside import Agreement, Judging
from kb.evaluate.hybrid import Answered
from kb.evaluate.scorers import CUT, JUDGE, compared
from kb.evaluate.stats import Interval
from kb.llm import LLM, Item, ModelConfig, Request, ask, open_model, user
from kb.prompt import Prompts
from kb.records import Probe, Score
from kb.store import Store
from kb.text.match import Judgement, judge
from kb.text.residue import TYPES, is_open
from kb.workspace import read_jsonl

STAGE = "eval: judge"
TOKENS = 16
LEAST = 0.6
"""Cohen's kappa below which a judge is not used: "substantial" begins there (Landis and Koch, Biometrics 33, 1977)."""
CASES = 60
"""Probes that known cases are made of, at most; three cases each."""
HEDGES = {"en": "It depends on the circumstances of the case.", "zh": "这要视具体情况而定。"}
KINDS = ("gold", "hedge", "other")
VERDICTS = ("correct", "wrong", "declined")
_REPLY = re.compile(
    r"\W*(?:(?P<correct>correct|正确)|(?P<wrong>wrong|incorrect|错误|不正确)|(?P<declined>declined|拒答|未作答))",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Case:
    """An answer to judge, and what is true of it where that is known."""

    id: str
    fact: str
    """The cluster of the statistics."""
    kind: str
    """gold, hedge or other; label for a person's; residue for what is to be judged."""
    question: str
    gold: str
    aliases: tuple[str, ...]
    answer: str
    language: str
    is_correct: bool = False


@contextmanager
def opened_judge(name: str, model: ModelConfig, base: LLM, store: Store) -> Iterator[LLM]:
    """The judge: the base itself where it has its name, else a model of its own, beside it."""
    if name == model.name:
        yield base
        return
    llm = open_model(replace(model, name=name), store)
    try:
        yield llm
    finally:
        llm.close()


def judged_residue(
    llm: LLM, store: Store, probes: Sequence[Probe], answered: Sequence[Answered], labels: str = "", seed: int = 0
) -> tuple[list[Answered], Judging]:
    """The answers, those that no rule decided with the judge's verdict; and how good the judge is.

    It is measured first, and not asked anything where its kappa is below LEAST, on the known cases or on the labels.
    Rule `judge` marks what it decided. A reply that cannot be read leaves the rule's verdict. Raises ConfigError for a
    file of labels that cannot be read, and LLMError when the judge cannot be asked.
    """
    known, people = known_cases(probes, seed), read_labels(labels)
    said = _ask(llm, store, [*known, *people])
    agreement = tuple(
        _agreement(kind, [case for case in known if case.kind == kind], said)
        for kind in KINDS
        if any(case.kind == kind for case in known)
    )
    kappa, by_people = cohens_kappa(known, said), cohens_kappa(people, said)
    measured = [one.value for one in (kappa, by_people) if one]
    usable = kappa is not None and min(measured) >= LEAST
    judging = Judging(llm.label, llm.identity, prompt_ids(), agreement, kappa, by_people, len(people), usable)
    if not usable:
        return list(answered), judging
    waiting = {asked.item.id: (asked.probe, one) for asked, one in answered if _is_waiting(asked.probe, one)}
    cases = [_residue(id, probe, one) for id, (probe, one) in waiting.items()]
    found = _ask(llm, store, cases)
    made = {id: _scored(waiting[id][1], verdict) for id, verdict in found.items() if verdict}
    counts = Counter(one.verdict for one in made.values())
    new = [(asked, made.get(asked.item.id, one)) for asked, one in answered]
    return new, replace(judging, asked=len(cases), decided=dict(sorted(counts.items())))


def known_cases(probes: Sequence[Probe], seed: int = 0) -> list[Case]:
    """Cases whose truth is known, three of each probe: its gold, a hedge, and the gold of another question.

    One held-out probe a fact, CASES facts at random; those of the types that a judge is asked about come first. The
    other gold is of a question in the same language, with an answer of the same type where there is one, and is not
    right by the rules.
    """
    firsts: dict[str, Probe] = {}
    for probe in sorted(probes, key=lambda probe: probe.id):
        if probe.kind == "held_out" and probe.gold.strip():
            firsts.setdefault(probe.fact_id or probe.id, probe)
    chance = random.Random(f"judge {seed}")
    drawn = [firsts[fact] for fact in chance.sample(sorted(firsts), len(firsts))]
    chosen = sorted(drawn, key=lambda probe: probe.answer_type not in TYPES)[:CASES]
    return [case for probe in chosen for case in _three(probe, drawn)]


def _three(probe: Probe, others: Sequence[Probe]) -> Iterable[Case]:
    def case(kind: str, answer: str) -> Case:
        fact = probe.fact_id or probe.id
        return Case(
            f"{kind}:{probe.id}", fact, kind, probe.question, probe.gold, probe.aliases, answer, probe.language,
            kind == "gold",
        )  # fmt: skip

    yield case("gold", probe.gold)
    yield case("hedge", HEDGES[probe.language])
    apart = [
        one.gold
        for one in sorted(others, key=lambda one: one.answer_type != probe.answer_type)
        if one.language == probe.language
        and judge(one.gold, probe.gold, probe.answer_type, probe.aliases).verdict == "wrong"
    ]
    if apart:
        yield case("other", apart[0])


def read_labels(file: str) -> list[Case]:
    """People's verdicts as cases: JSONL with question, gold, answer, language and verdict (correct, wrong or declined),
    and perhaps aliases; [] without a file. Raises ConfigError for a file that is not there or a row that is none.
    """
    if not file:
        return []
    path = Path(file).expanduser()
    if not path.exists():
        raise ConfigError(f"[eval] judge_labels: there is no file {file}")
    return [_label(file, number, row) for number, row in enumerate(read_jsonl(path), 1)]


def _label(file: str, number: int, row: dict[str, Any]) -> Case:
    needed = ("question", "gold", "answer", "language", "verdict")
    missing = [key for key in needed if not isinstance(row.get(key), str)]
    if missing:
        raise ConfigError(f"{file}, row {number}: {missing[0]} is missing; needed are {', '.join(needed)}")
    for key, known in (("language", tuple(HEDGES)), ("verdict", VERDICTS)):
        if row[key] not in known:
            raise ConfigError(f"{file}, row {number}: {key} {row[key]!r} is none of {', '.join(known)}")
    id = f"label:{number}"
    return Case(
        id, id, "label", row["question"], row["gold"], tuple(row.get("aliases", ())), row["answer"], row["language"],
        row["verdict"] == "correct",
    )  # fmt: skip


def cohens_kappa(cases: Sequence[Case], said: dict[str, str]) -> Interval | None:
    """Agreement with the truth beyond chance, on whether an answer is correct; None without cases.

    kappa = (p - e) / (1 - e) with the share p of cases on which both agree and e what two who decide independently
    with these shares would agree on (Cohen, Educational and Psychological Measurement 20, 1960). A reply that cannot
    be read agrees with nothing. The interval is that of p, by `stats.share_intervals` with the facts as clusters, e
    held: it does not shrink to a point where all agree. A judge that always says the same has 0.
    """
    if not cases:
        return None
    truth = ["correct" if case.is_correct else "other" for case in cases]
    judged = [_side(said.get(case.id, "")) for case in cases]
    facts = sorted({case.fact for case in cases})
    at = np.array([facts.index(case.fact) for case in cases])
    agreed = np.array([[one == other] for one, other in zip(truth, judged, strict=True)], dtype=np.float64)
    interval = stats.share_intervals(stats.fact_means(agreed, at, len(facts)), len(cases))[0]
    shares = [Counter(side) for side in (truth, judged)]
    chance = sum(shares[0][side] * shares[1][side] for side in ("correct", "other")) / len(cases) ** 2
    if interval is None or chance == 1:
        return Interval(0.0, 0.0, 0.0)
    low, high = ((bound - chance) / (1 - chance) for bound in (interval.low, interval.high))
    return Interval((float(agreed.mean()) - chance) / (1 - chance), max(-1.0, low), min(1.0, high))


def _side(verdict: str) -> str:
    return verdict if verdict in ("correct", "") else "other"


def _agreement(kind: str, cases: Sequence[Case], said: dict[str, str]) -> Agreement:
    agreed = sum(_side(said.get(case.id, "")) == ("correct" if case.is_correct else "other") for case in cases)
    return Agreement(kind, len(cases), agreed)


def _is_waiting(probe: Probe, score: Score) -> bool:
    found = Judgement("wrong" if score.rule == CUT else score.verdict, score.rule)
    if score.rule == CUT:
        found = compared(probe, score.answer)
    return is_open(score.answer, probe.gold, probe.answer_type, found)


def _residue(id: str, probe: Probe, score: Score) -> Case:
    return Case(id, "", "residue", probe.question, probe.gold, probe.aliases, score.answer, probe.language)


def _scored(score: Score, verdict: str) -> Score:
    """An answer that was cut off and is not right stays unparsed."""
    if score.rule == CUT and verdict == "wrong":
        return score
    return replace(score, verdict="abstained" if verdict == "declined" else verdict, rule=JUDGE)


def prompt_ids() -> str:
    """The prompts of both languages: kb's own, whatever pack the models are asked with."""
    return ", ".join(Prompts().get("kb", "judge", language).id for language in HEDGES)


def parse_verdict(text: str) -> str:
    """The word that a reply begins with, as one of VERDICTS. Raises Unparsed for any other."""
    match = _REPLY.match(text)
    if match is None or match.lastgroup is None:
        raise Unparsed("the reply is none of correct, wrong, declined")
    return match.lastgroup


def _ask(llm: LLM, store: Store, cases: Sequence[Case]) -> dict[str, str]:
    """Id to verdict; "" where the reply could not be read."""
    items = []
    for case in cases:
        prompt = Prompts().get("kb", "judge", case.language)
        aliases = " | ".join(case.aliases) or "-"
        text = prompt.fill(question=case.question, gold=case.gold, aliases=aliases, answer=case.answer)
        items.append(Item(case.id, Request(user(text, prompt.system), TOKENS)))
    results = list(ask(llm, store, items, parse_verdict, STAGE, attempts=1, cut=True))
    # What cannot be read is counted as that, and waits for nothing.
    store.clear_failures(STAGE)
    return {result.item.id: result.value or "" for result in results}
