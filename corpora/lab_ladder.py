"""The levels of difficulty by which the lab model learns to read, and the rule by which training climbs them.

Taking a value to the name it belongs to, when two passages state the same attribute, is not learnt from full passages:
the attribute alone finds one of the two, and the model settles there. Nor is it learnt first: with one fact a passage
any value will do. It comes quickly when the attribute is found already and two sentences differ in their names only,
and then carries over to longer passages and to all names (docs/lab-model.md has the tries).
"""

from __future__ import annotations

import collections
from dataclasses import dataclass

from kb.corpora.documents import STYLES


@dataclass(frozen=True)
class Difficulty:
    """How hard reading is; training starts easy, because binding a value to a name is only learnt on little text."""

    passages: int = 3
    facts: int = 6
    turns: int = 8
    unanswerable: float = 0.25
    """Share of reading questions that the passages do not answer."""
    rivals: float = 0.7
    """Share of distractors of the target's kind that state what it states: only the name tells whose value is whose."""
    names: int | None = None
    """How many words of each name list the passages draw from; None for all."""
    styles: tuple[str, ...] = STYLES


LADDER = (
    Difficulty(passages=1, facts=4, turns=5, unanswerable=0.15),
    Difficulty(rivals=0.0),
    Difficulty(passages=2, facts=1, turns=1, unanswerable=0.0, rivals=1.0, names=6, styles=("prose",)),
    Difficulty(passages=2, facts=2, turns=4, unanswerable=0.1, rivals=0.9, names=12),
    Difficulty(passages=3, facts=4, turns=6, unanswerable=0.2, rivals=0.8, names=30),
    Difficulty(),
)
"""The levels of training: the attribute in little and in much text, the name, then both in more and more text."""


class Climb:
    """Which level of `LADDER` is trained: one is left when it is mastered, or after `longest` tokens.

    `master` is the share of reading answers that must begin right.
    """

    MEMORY = 3000
    """Reading answers by which mastery is judged."""

    def __init__(self, master: float, longest: float, level: int = 0) -> None:
        self.level = level
        self.master, self.longest = master, longest
        self._answers: collections.deque[tuple[int, int]] = collections.deque()
        self._tokens = 0

    @property
    def accuracy(self) -> float:
        """Share of the remembered reading answers that began right."""
        return sum(right for right, _ in self._answers) / max(1, sum(asked for _, asked in self._answers))

    def add(self, tokens: int, right: int, asked: int) -> None:
        """Take in a step, and go up if it is time."""
        self._tokens += tokens
        self._answers.append((right, asked))
        known = sum(asked for _, asked in self._answers)
        while known - self._answers[0][1] > self.MEMORY:
            known -= self._answers.popleft()[1]
        mastered = known > self.MEMORY and self.accuracy >= self.master
        if self.level + 1 < len(LADDER) and (mastered or self._tokens >= self.longest):
            self.level, self._tokens = self.level + 1, 0
            self._answers.clear()
