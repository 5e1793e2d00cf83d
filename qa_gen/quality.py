"""What the questions of a set are like: mix, wordings, doubles, and how near the held-out ones are to the trained."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from kb.qa_gen.leakage import LEAK, Wordings
from kb.records import Fact, PreferencePair, QAPair, Question, Rewrite
from kb.store import Store
from kb.text.canonical import canonical
from kb.text.similar import ngram_jaccard

Mix = dict[str, int]
Asked = dict[str, list[str]]
"""Wordings by fact."""
COMPARED = ("answerable", "reversed")
"""Kinds of question with trained and held-out wordings: those without an answer have none to remember."""


@dataclass(frozen=True)
class Leakage:
    """Held-out wordings against the trained ones of their fact, by `leakage.Wordings.closeness`, 0 to 1."""

    probes: int
    """All of them, of facts that no question teaches too."""
    leaked: int
    """Nearer than LEAK to a trained wording, or a trained wording of any fact."""
    median: float
    most: float


@dataclass(frozen=True)
class Quality:
    """Counts over a set."""

    types: Mix
    """Facts by answer type."""
    languages: Mix
    """Facts by language."""
    taught: Mix
    """Facts by how they are taught: by questions, by text alone, never."""
    forms: Mix
    """Rows to train on: short, full, reversed, refusal, and preference pairs by source."""
    held_out: Mix
    """Held-out questions by kind."""
    wordings: float
    """Trained wordings a fact that questions teach, on average."""
    likeness: float
    """Mean n-gram Jaccard of two trained wordings of one fact, 0 to 1: lower is more varied."""
    doubles: int
    """Questions that stand in the set more than once."""
    leakage: Leakage


def measure_quality(store: Store) -> Quality:
    """The figures of the live set."""
    facts = store.all(Fact)
    trained: dict[str, Asked] = {kind: defaultdict(list) for kind in COMPARED}
    held_out: dict[str, Asked] = {kind: defaultdict(list) for kind in COMPARED}
    questions = store.all(Question)
    for question in questions:
        if question.kind in COMPARED:
            asked = trained if question.split == "train" else held_out
            asked[question.kind][question.fact_id].append(question.text)
    forms = Counter(pair.form for pair in store.all(QAPair))
    forms.update(f"preference: {pair.source}" for pair in store.all(PreferencePair))
    forms.update(f"text: {text.style}" for text in store.all(Rewrite))
    texts = Counter(canonical(question.text) for question in questions)
    usual = trained["answerable"]
    return Quality(
        _by_count(fact.answer_type for fact in facts),
        _by_count(fact.language for fact in facts),
        _by_count(fact.taught for fact in facts),
        _by_count(forms.elements()),
        _by_count(question.kind for question in questions if question.split == "probe"),
        _mean([len(usual[fact.id]) for fact in facts if fact.taught == "questions"]),
        _mean([ngram_jaccard(a, b) for wordings in usual.values() for a, b in combinations(wordings, 2)]),
        sum(count - 1 for count in texts.values()),
        _leakage(trained, held_out, {canonical(q.text) for q in questions if q.split == "train"}),
    )


def _leakage(trained: dict[str, Asked], held_out: dict[str, Asked], everywhere: set[str]) -> Leakage:
    """Of all probes that ask what trained questions of their fact ask in other words.

    How near the ones of a fact are that no question teaches is not measured: it has no trained wordings.
    """
    closeness: list[float] = []
    probes = leaked = 0
    for kind in COMPARED:
        for fact, texts in held_out[kind].items():
            own = Wordings(tuple(trained[kind].get(fact, ())))
            near = [own.closeness(text) for text in texts]
            probes += len(texts)
            leaked += sum(one > LEAK or canonical(text) in everywhere for one, text in zip(near, texts, strict=True))
            closeness += near if own.texts else []
    closeness.sort()
    middle = closeness[len(closeness) // 2] if closeness else 0.0
    return Leakage(probes, leaked, middle, max(closeness, default=0.0))


def _by_count(items: Iterable[str]) -> Mix:
    return dict(Counter(items).most_common())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
