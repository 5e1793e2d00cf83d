"""Whether a set says what the documents say: a sample of it, judged by answering again from the passage alone.

The judge is the model itself, shown the one passage that a fact was taken from and asked its question; what it answers
is compared with the fact by the typed comparison that scores every arm. A small model judges badly when it is asked
"is this right?", and does well at reading. How well is measured: on cases of a fictional world, where the truth is
known and no document of the user's is needed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from kb.llm import LLM, Item, Request, ask, user
from kb.llm.identity import combine
from kb.prompt import Prompts
from kb.qa_gen.replies import parse_answer
from kb.records import Chunk, Fact, Question
from kb.retrieval.hybrid import passages_text
from kb.store import Store
from kb.text.match import judge

STAGE = "qa-report: faithfulness"
TOKENS = 64
KEPT = "qa-report: last judging"
"""The setting that holds what the judge said last."""


@dataclass(frozen=True)
class Case:
    """Something to judge, and whether it is true where that is known."""

    id: str
    passages: str
    question: str
    answer: str
    answer_type: str
    language: str
    aliases: tuple[str, ...] = ()
    is_true: bool = True


@dataclass(frozen=True)
class Share:
    """A share with its 95% interval (Wilson, JASA 1927)."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """0 to 1; 0 of nothing."""
        return self.hits / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Its ends, 0 to 1."""
        from scipy.stats import binomtest

        if not self.of:
            return 0.0, 1.0
        found = binomtest(self.hits, self.of).proportion_ci(method="wilson")
        return float(found.low), float(found.high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.3f} [{low:.3f}, {high:.3f}] ({self.hits} of {self.of})"


@dataclass(frozen=True)
class Faithfulness:
    """What the judge said, and how good it is."""

    upheld: Share
    """Of the sampled facts those that their own passage answers the same."""
    sensitivity: Share
    """Of true cases of the fictional world those that it upholds."""
    specificity: Share
    """Of false ones those that it does not."""
    doubtful: tuple[str, ...]
    """Ids of the sampled facts that were not upheld."""
    unjudged: int
    """Sampled facts to which the model gave no answer that could be read."""
    facts: str
    """Hash of the set that the facts were sampled from."""


def sample(store: Store, size: int, seed: int = 0) -> list[Case]:
    """Facts of the set, drawn at random, each with a question about it and the passages that its evidence stands in.

    The question is the first trained one, or where none is trained the first held-out one.
    """
    facts = {fact.id: fact for fact in store.all(Fact)}
    questions = store.all(Question, "kind = 'answerable'")
    asked = {question.fact_id: question.text for question in reversed(questions)}
    chosen = sorted(facts.keys() & asked.keys())
    random.Random(seed).shuffle(chosen)
    return [_case(store, facts[id], asked[id]) for id in chosen[:size]]


def _case(store: Store, fact: Fact, question: str) -> Case:
    parts = store.all(Chunk, 'section = ? AND start < ? AND "end" > ?', fact.chunk_id, fact.end, fact.start)
    passages = parts or store.all(Chunk, "id = ?", fact.chunk_id)
    shown = passages_text(passages)
    return Case(fact.id, shown, question, fact.answer, fact.answer_type, fact.language, fact.aliases)


def measure_faithfulness(
    llm: LLM, store: Store, prompts: Prompts, cases: Sequence[Case], known: Sequence[Case]
) -> Faithfulness:
    """Judge the cases, and those `known` to be true or false. Raises LLMError when the model cannot be asked."""
    verdicts = _judged(llm, store, prompts, [*cases, *known])
    own = [(case, verdicts[case.id]) for case in cases]
    true = [verdicts[case.id] for case in known if case.is_true]
    false = [verdicts[case.id] for case in known if not case.is_true]
    read = [upheld for _, upheld in own if upheld is not None]
    return Faithfulness(
        Share(sum(read), len(read)),
        Share(sum(upheld is True for upheld in true), len(true)),
        Share(sum(upheld is not True for upheld in false), len(false)),
        tuple(case.id for case, upheld in own if upheld is False),
        len(own) - len(read),
        facts_hash(store),
    )


def facts_hash(store: Store) -> str:
    """Sixteen hex digits over the ids of the live facts, which are hashes of what they say."""
    return combine(sorted(fact.id for fact in store.all(Fact)))


def keep(store: Store, found: Faithfulness) -> None:
    """Store what the judge said, in place of what it said before."""
    store.set_setting(KEPT, json.dumps(asdict(found)))


def last_judging(store: Store) -> Faithfulness | None:
    """What the judge said last, of whatever set; None where it was never asked."""
    kept = store.setting(KEPT)
    if not kept:
        return None
    found: dict[str, Any] = json.loads(kept)
    shares = {name: Share(**found[name]) for name in ("upheld", "sensitivity", "specificity")}
    return Faithfulness(**found | shares | {"doubtful": tuple(found["doubtful"])})


def _judged(llm: LLM, store: Store, prompts: Prompts, cases: Sequence[Case]) -> dict[str, bool | None]:
    """For each case whether the model reads the same answer; None where it gave none that could be read."""
    items = []
    for case in cases:
        prompt = prompts.get("kb", "rag", case.language)
        text = prompt.fill(passages=case.passages, question=case.question)
        again = prompts.get("kb", "again", case.language)
        items.append(Item(case.id, Request(user(text, prompt.system), TOKENS), again=again))
    found: dict[str, bool | None] = {}
    for case, result in zip(cases, ask(llm, store, items, parse_answer, STAGE), strict=True):
        found[case.id] = None
        if result.value is not None:
            found[case.id] = judge(result.value, case.answer, case.answer_type, case.aliases).verdict == "correct"
    # A case that could not be read is counted as that, and waits for nothing.
    store.clear_failures(STAGE)
    return found


def known_case(header: str, text: str, question: str, answer: str, kind: str, language: str) -> Case:
    """A true case of the fictional world: a passage as the prompts show it, and an answer of this type."""
    shown = passages_text([Chunk("", "", 0, text, header, language, 0, len(text))])
    return Case("", shown, question, answer, kind, language)
