"""What the questions of a set are like: mix, wordings, doubles, and how near the held-out ones are to the trained."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from kb.qa_gen.calibration import Limit
from kb.qa_gen.doubles import SLICE
from kb.qa_gen.leakage import LEAK, Wordings
from kb.qa_gen.meaning import Likeness, Meaning
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
class Nearness:
    """Wordings of one language by what they mean."""

    limit: Limit | None
    """From which cosine on two are the same but for trifles; None where no embedder reads the language."""
    probes: int
    """Held-out wordings that could be compared with a trained one of their fact that has the same figures."""
    leaked: int
    """Those above the limit."""
    median: float
    most: float
    """Cosine of the nearest trained wording: middle and highest of these."""
    likeness: float
    """Mean cosine of two trained wordings of one fact: lower is more varied."""
    unnamed: int
    """Facts whose wordings have no name in common that could be left out: these are not compared."""


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
    repeats: int
    """Trained wordings that an earlier one of their fact is but for trifles: near in letters and, where an embedder can
    tell, in meaning.
    """
    trained: int
    """Trained wordings in all."""
    leakage: Leakage
    meaning: dict[str, Nearness]
    """By language."""


def measure_quality(store: Store, meaning: Meaning) -> Quality:
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
    tally: dict[str, _Tally] = defaultdict(_Tally)
    for language, likeness, wordings in _compared(meaning, facts, usual, held_out["answerable"]):
        tally[language].add(likeness, wordings)
    return Quality(
        _by_count(fact.answer_type for fact in facts),
        _by_count(fact.language for fact in facts),
        _by_count(fact.taught for fact in facts),
        _by_count(forms.elements()),
        _by_count(question.kind for question in questions if question.split == "probe"),
        _mean([len(usual[fact.id]) for fact in facts if fact.taught == "questions"]),
        _mean([ngram_jaccard(a, b) for wordings in usual.values() for a, b in combinations(wordings, 2)]),
        sum(count - 1 for count in texts.values()),
        sum(one.repeats for one in tally.values()),
        sum(map(len, usual.values())),
        _leakage(trained, held_out, {canonical(q.text) for q in questions if q.split == "train"}),
        {language: one.found(meaning.limit(language)) for language, one in tally.items()},
    )


def _compared(
    meaning: Meaning, facts: Sequence[Fact], trained: Asked, held_out: Asked
) -> Iterator[tuple[str, Likeness, list[str]]]:
    """Of each fact its language, what compares its wordings, and the held-out ones."""
    for start in range(0, len(facts), SLICE):
        part = facts[start : start + SLICE]
        asked = [(fact.language, Wordings(tuple(trained[fact.id])), held_out[fact.id]) for fact in part]
        for (language, _, texts), likeness in zip(asked, meaning.compare(asked), strict=True):
            yield language, likeness, list(texts)


@dataclass
class _Tally:
    """What was counted of a language so far."""

    nearest: list[float] = field(default_factory=list)
    leaked: int = 0
    alike: list[float] = field(default_factory=list)
    unnamed: int = 0
    repeats: int = 0

    def add(self, likeness: Likeness, held_out: Sequence[str]) -> None:
        """Count a fact's wordings."""
        texts = likeness.wordings.texts
        self.repeats += sum(likeness.repeats(text, texts[:number]) is not None for number, text in enumerate(texts))
        self.unnamed += bool(texts) and not likeness.wordings.named
        if likeness.vectors:
            self.alike += [likeness.cosine(a, b) for a, b in combinations(texts, 2)]
            self.nearest += [found[0] for text in held_out if (found := likeness.nearest(text))]
            self.leaked += sum(likeness.means(text) is not None for text in held_out)

    def found(self, limit: Limit | None) -> Nearness:
        """The figures."""
        nearest = sorted(self.nearest)
        middle = nearest[len(nearest) // 2] if nearest else 0.0
        most = max(nearest, default=0.0)
        return Nearness(limit, len(nearest), self.leaked, middle, most, _mean(self.alike), self.unnamed)


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
