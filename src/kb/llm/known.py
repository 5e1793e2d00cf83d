"""How well a model knows a fact before it is trained: its closed-book answers, judged.

The levels are those of SliCK (Gekhman et al. 2024, arXiv 2405.05904) with its two middle ones as one: a fact is known
when every answer is right, however it is asked for; unknown when none is, not even a drawn one; maybe known in between.
There the examples in the prompt change from one greedy answer to the next. kb's prompts hold none, so the wordings of
the question change.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kb.llm.base import LLM
from kb.llm.closed import closed_request
from kb.llm.pending import Item, Result
from kb.prompt import Prompts
from kb.records import Fact, Knownness, Question, make_id
from kb.store import MODEL_NAME, Store
from kb.text.match import judge

TEMPERATURE = 0.5
"""Of answers that are drawn: low, since at 1 a mere guess is right now and then where few answers are likely."""
LEVELS = ("unknown", "maybe", "known")


@dataclass(frozen=True)
class KnownMix:
    """How many facts of the set a model knew how well."""

    model: str
    """What people call it."""
    identity: str
    samples: int
    """Answers a fact; of facts that differ, the most."""
    unknown: int
    maybe: int
    known: int

    def __str__(self) -> str:
        counts = ", ".join(f"{level} {getattr(self, level)}" for level in LEVELS)
        return f"{counts} ({self.samples} samples of {self.model})"


def wordings_of(questions: Iterable[Question]) -> dict[str, list[str]]:
    """Fact id to the wordings that it is asked under: those that are trained; of a fact without any, those held out."""
    found: dict[str, dict[str, list[str]]] = {"probe": {}, "train": {}}
    for question in questions:
        if question.kind == "answerable":
            found[question.split].setdefault(question.fact_id, []).append(question.text)
    return found["probe"] | found["train"]


def known_items(
    prompts: Prompts, facts: Iterable[Fact], wordings: Mapping[str, Sequence[str]], samples: int
) -> Iterator[Item]:
    """`samples` requests for each fact, which all have wordings: greedy under each of them, in turn.

    Where there are more samples than wordings, the rest is drawn, with a seed that depends on fact and number alone.
    """
    for fact in facts:
        texts = wordings[fact.id]
        for number in range(samples):
            drawn = number >= len(texts)
            seed = int(make_id("", "known", fact.id, number)[1:8], 16) if drawn else 0
            text, temperature = texts[number % len(texts)], TEMPERATURE if drawn else 0.0
            yield Item(f"{fact.id}:{number}", closed_request(prompts, text, fact.language, temperature, seed))


def judged_known(
    facts: Iterable[Fact], samples: int, results: Iterable[Result[str]], model: str
) -> Iterator[Knownness]:
    """What the answers to `known_items` say of each fact; nothing of a fact of which the model did not answer one.

    An answer that declines or that was cut off is not right.
    """
    rest = iter(results)
    for fact in facts:
        answers = list(itertools.islice(rest, samples))
        if all(answer.value is not None for answer in answers):
            right = sum(_is_right(fact, answer) for answer in answers)
            yield Knownness(make_id("kno", fact.id, model), fact.id, model, samples, right)


def _is_right(fact: Fact, answer: Result[str]) -> bool:
    whole = answer.completion.finish != "length"
    verdict = judge(answer.value or "", fact.answer, fact.answer_type, fact.aliases).verdict
    return whole and verdict == "correct"


def remember_name(store: Store, llm: LLM) -> None:
    """Keep what people call a model whose knownness is stored under its identity."""
    store.set_setting(MODEL_NAME + llm.identity, llm.label)


def known_mixes(store: Store) -> list[KnownMix]:
    """The mix of every model that was asked about facts of the live set, in the order they were asked."""
    rows: dict[str, list[Knownness]] = {}
    for one in store.all(Knownness):
        rows.setdefault(one.model, []).append(one)
    return [_mix(store, model, found) for model, found in rows.items()]


def _mix(store: Store, model: str, rows: Sequence[Knownness]) -> KnownMix:
    counts = Counter(one.level for one in rows)
    samples = max(one.samples for one in rows)
    return KnownMix(store.setting(MODEL_NAME + model) or model, model, samples, *(counts[level] for level in LEVELS))
