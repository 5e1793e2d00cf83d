"""What several places state: one fact with further sources where they agree, none where they do not.

Two editions of a manual, or a summary and its report, say the same thing twice, or not quite the same. Trained side by
side, two answers to one question teach neither, and no evaluation could tell which one is right.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from kb.qa_gen.asking import Workbench
from kb.records import Fact
from kb.text.canonical import canonical
from kb.text.match import same

CONTRADICTED = "another place says otherwise"
"""The reason of facts that contradict each other: nothing of theirs is trained or asked until one of them is gone."""
COMPARED = 50
"""Different answers that a further one is compared with; what has more of them is contradicted, or a long list."""
NAMED = 3
"""Other answers that the record of a contradiction names."""
_ANSWER = "\ue000"
"""Stands for the answer in a statement; no text holds this character."""


@dataclass
class _Said:
    """One answer to what a frame asks, and who gives it."""

    fact: Fact
    """The first one."""
    others: list[Fact] = field(default_factory=list)

    @property
    def merged(self) -> Fact:
        """The fact with the answer's other forms as aliases."""
        forms = {canonical(self.fact.answer): self.fact.answer}
        for other in self.others:
            forms.setdefault(canonical(other.answer), other.answer)
        return replace(self.fact, aliases=tuple(forms.values())[1:])


def merge_facts(bench: Workbench, facts: Sequence[Fact]) -> list[Fact]:
    """The facts that have one answer, each once; further places that state one are noted on the bench.

    Facts are about one thing when their statements are the same but for the answer. Where places differ, none of them
    is kept: they are rejected as CONTRADICTED. Several answers in one chunk are a list, and stay.
    """
    frames: dict[tuple[str, str], list[_Said]] = {}
    for fact in facts:
        said = frames.setdefault((fact.language, _frame(fact)), [])
        known = next((one for one in said[:COMPARED] if same(one.fact.answer, fact.answer, fact.answer_type)), None)
        if known is None:
            said.append(_Said(fact))
        else:
            known.others.append(fact)
    kept: dict[str, Fact] = {}
    for said in frames.values():
        if len({one.fact.chunk_id for one in said}) > 1:
            _contradict(bench, said)
            continue
        for one in said:
            kept[one.fact.id] = one.merged
            for other in one.others:
                bench.say_again(one.fact, other)
    return [kept[fact.id] for fact in facts if fact.id in kept]


def _frame(fact: Fact) -> str:
    """The statement with its answer left out."""
    return canonical(fact.statement).replace(canonical(fact.answer), _ANSWER)


def _contradict(bench: Workbench, said: Sequence[_Said]) -> None:
    """Reject every one of these, naming what the others say and where."""
    for one in said:
        named = itertools.islice((other.fact for other in said if other is not one), NAMED)
        others = " / ".join(f"{other.answer} ({other.chunk_id})" for other in named)
        for fact in (one.fact, *one.others):
            bench.reject("facts", fact.chunk_id, CONTRADICTED, f"{fact.statement} | elsewhere: {others}")
