"""Reward by fact verification: the questions that GRPO and RLOO ask, and what an answer is worth. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kb.finetune.preference import training_questions
from kb.llm import Message
from kb.llm.closed import closed_prompt
from kb.prompt import Prompts
from kb.records import Fact
from kb.store import Store
from kb.text.match import judge

RIGHT, WRONG = 1.0, -1.0
AT_FIRST, AT_LAST = "reward at first", "at last"
"""Figures of a stage that is rewarded: the mean reward of its beginning and of its end."""


@dataclass(frozen=True)
class VerifiedQuestion:
    """A closed-book question with what its answers are checked against."""

    messages: tuple[Message, ...]
    answer: str
    """Empty where there is none: then declining is right."""
    answer_type: str
    aliases: tuple[str, ...]
    source: str
    """answered or open."""


def verified_questions(store: Store, prompts: Prompts) -> list[VerifiedQuestion]:
    """The first training wording of each fact, and every trained question without an answer; a probe is never asked."""
    facts = {fact.id: fact for fact in store.all(Fact)}
    asked = []
    for question in training_questions(store, facts):
        chat = closed_prompt(prompts, question.text, question.language)
        if question.open:
            asked.append(VerifiedQuestion(chat, "", "text", (), "open"))
        else:
            fact = facts[question.fact_id]
            asked.append(VerifiedQuestion(chat, fact.answer, fact.answer_type, fact.aliases, "answered"))
    return asked


def reward(said: str, answer: str, answer_type: str, aliases: Sequence[str], declining: float) -> float:
    """What a completion is worth, by the scorer that evaluates: 1 when it is right, `declining` when it declines what
    has an answer, -1 when it is wrong or empty. Where `answer` is empty, declining is right.

    Raises ValueError for an unknown type, as `judge` does.
    """
    verdict = judge(said, answer, answer_type, aliases).verdict
    return {"correct": RIGHT, "abstained": declining}.get(verdict, WRONG)


def declining_note(stage: str, figures: Mapping[str, float], declining: float) -> str:
    """For the report, where the model was rewarded less at first than it is for declining; else empty."""
    if figures[AT_FIRST] >= declining:
        return ""
    return (
        f"{stage}: answers were worth {figures[AT_FIRST]} at first and declining is worth {declining}, so the model may"
        " have learnt to decline; teach it longer first, or lower rl_declining under [train]"
    )
