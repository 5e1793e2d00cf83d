"""Questions that do not ask for their fact's answer in its language.

What is right to them, and what they must not share with those that do or with one another.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kb.qa_gen.answers import SHORT_TOKENS, read_passages
from kb.qa_gen.asking import Workbench
from kb.qa_gen.leakage import Wordings
from kb.records import Chunk, Fact, Question
from kb.text.canonical import canonical
from kb.text.match import judge
from kb.text.right import right_answer


@dataclass(frozen=True)
class Forward:
    """The questions that ask for the facts' own answers."""

    facts: Sequence[Fact]
    trained: Mapping[str, Sequence[Question]]
    held_out: Mapping[str, Sequence[Question]]
    """Both by fact id."""

    @functools.cached_property
    def texts(self) -> frozenset[str]:
        """All wordings in canonical form."""
        asked = (*self.trained.values(), *self.held_out.values())
        return frozenset(canonical(question.text) for questions in asked for question in questions)

    @functools.cached_property
    def _answering(self) -> dict[str, list[Fact]]:
        """Facts by the canonical form of their answer."""
        found: dict[str, list[Fact]] = {}
        for fact in self.facts:
            found.setdefault(canonical(fact.answer), []).append(fact)
        return found

    def is_near(self, text: str, answer: str, split: str) -> bool:
        """Whether a question for this answer is close to a wording of a fact that has it and is about the same thing.

        "X has licence HL-204" and "HL-204 is the licence of X" are two facts, and the one turned around is the other.
        """
        asked = self.trained if split == "train" else self.held_out
        for fact in self._answering.get(canonical(answer), ()):
            wordings = Wordings(tuple(question.text for question in asked[fact.id]))
            if wordings.about(text) and not wordings.check(text).keep:
                return True
        return False


def apart(
    bench: Workbench, step: str, made: Sequence[tuple[Fact, list[Question]]], asked: Collection[str]
) -> dict[str, list[Question]]:
    """The questions by fact id that no other one is: none of those `asked`, given in canonical form, none of another
    fact. A wording to which two facts have different answers has no right one, and goes from both.
    """
    right: dict[str, set[str]] = {}
    for fact, questions in made:
        for question in questions:
            right.setdefault(canonical(question.text), set()).add(canonical(right_answer(question, fact).answer))
    taken = set(asked)
    kept: dict[str, list[Question]] = {}
    for fact, questions in made:
        own = kept.setdefault(fact.id, [])
        for question in questions:
            key = canonical(question.text)
            if len(right[key]) > 1:
                bench.reject(step, fact.id, "another fact answers it otherwise", question.text)
            elif key in taken:
                bench.reject(step, fact.id, "asked already", question.text)
            else:
                own.append(question)
                taken.add(key)
    return kept


def answered(
    bench: Workbench,
    step: str,
    facts: Sequence[Fact],
    made: Mapping[str, list[Question]],
    shown: Mapping[str, Sequence[Chunk]],
) -> dict[str, list[Question]]:
    """The questions by fact id whose first one the model answers right from the passages shown for it."""
    answers = read_passages(bench, f"{step} answers", "rag", SHORT_TOKENS, facts, made, shown)
    kept = {}
    for fact in facts:
        first, said = made[fact.id][0], answers.get(fact.id)
        right = right_answer(first, fact)
        if said is None:
            continue
        if judge(said, right.answer, right.answer_type, right.aliases).verdict == "correct":
            kept[fact.id] = made[fact.id]
        else:
            golds = " / ".join((right.answer, *right.aliases))
            bench.reject(step, fact.id, "RAG answers otherwise", f"{first.text} | {golds} | {said}")
    return kept
