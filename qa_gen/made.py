"""The set that a run makes, and how it stays whole when not everything may be asked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from kb.qa_gen.asking import Workbench
from kb.records import Fact, FactSource, Knownness, PreferencePair, QAPair, Question, Rewrite
from kb.store import Store
from kb.text.canonical import canonical


@dataclass(frozen=True)
class QASet:
    """Everything that is trained and probed."""

    facts: list[Fact]
    questions: list[Question]
    """Of facts and of what the documents do not answer."""
    pairs: list[QAPair]
    preferences: list[PreferencePair]
    sources: list[FactSource]
    rewrites: list[Rewrite]
    known: list[Knownness]

    def write(self, store: Store) -> None:
        """Make this the workspace's set."""
        with store.transaction():
            for kind, records in (
                (PreferencePair, self.preferences), (QAPair, self.pairs), (Question, self.questions),
                (Fact, self.facts), (FactSource, self.sources),
                (Rewrite, self.rewrites), (Knownness, self.known),
            ):  # fmt: skip
                store.sync(kind, records)

    def withheld(self) -> QASet:
        """The set without what would train a fact that no question teaches, whichever step made it.

        Its training questions go with their pairs, and so do pairs in which the wrong answer is of such facts alone.
        """
        by_questions = {fact.id for fact in self.facts if fact.taught == "questions"}
        others = {fact.id for fact in self.facts} - by_questions
        gone = {one.id for one in self.questions if one.split == "train" and one.fact_id in others}
        answers = {canonical(fact.answer) for fact in self.facts if fact.id in others}
        answers -= {canonical(fact.answer) for fact in self.facts if fact.id in by_questions}
        return replace(
            self,
            questions=[one for one in self.questions if one.id not in gone],
            pairs=[pair for pair in self.pairs if pair.question_id not in gone],
            preferences=[
                pair
                for pair in self.preferences
                if pair.question_id not in gone and (pair.source != "swap" or canonical(pair.rejected) not in answers)
            ],
        )

    def only(self, questions: list[Question], chunks: Collection[str], inside: bool) -> QASet:
        """What hangs from these questions and, of facts, from chunks that are `inside` a collection or not."""
        asked = {question.id for question in questions}
        facts = [fact for fact in self.facts if (fact.chunk_id in chunks) == inside]
        kept = {fact.id for fact in facts}
        return QASet(
            facts,
            questions,
            [pair for pair in self.pairs if pair.question_id in asked],
            [pair for pair in self.preferences if pair.question_id in asked],
            [source for source in self.sources if source.fact_id in kept],
            [rewrite for rewrite in self.rewrites if (rewrite.chunk_id in chunks) == inside],
            [one for one in self.known if one.fact_id in kept],
        )


def read_set(store: Store) -> QASet:
    """The workspace's set."""
    return QASet(
        store.all(Fact),
        store.all(Question),
        store.all(QAPair),
        store.all(PreferencePair),
        store.all(FactSource),
        store.all(Rewrite),
        store.all(Knownness),
    )


def keep_unasked(bench: Workbench, made: QASet) -> QASet:
    """The set made, with the rows of before for chunks that lack an answer because they may not be asked about.

    So nothing is lost of a document that a run was not for. Of what is new, a question goes that is asked there on the
    other side of training and probing.
    """
    if not bench.unasked:
        return made
    before = read_set(bench.store)
    stay = [question for question in before.questions if question.chunk_id in bench.unasked]
    kept = before.only(stay, bench.unasked, inside=True)
    split = {canonical(question.text): question.split for question in stay}
    fresh = []
    for question in made.questions:
        if question.chunk_id in bench.unasked:
            continue
        if split.get(canonical(question.text), question.split) == question.split:
            fresh.append(question)
        else:
            bench.reject(question.kind, question.chunk_id, "asked already", question.text)
    new = made.only(fresh, bench.unasked, inside=False)
    sources = {source.id: source for source in (*new.sources, *kept.sources, *bench.sources_of(kept.facts))}
    return QASet(
        [*new.facts, *kept.facts], [*new.questions, *kept.questions], [*new.pairs, *kept.pairs],
        [*new.preferences, *kept.preferences], list(sources.values()), [*new.rewrites, *kept.rewrites],
        [*new.known, *kept.known],
    )  # fmt: skip
