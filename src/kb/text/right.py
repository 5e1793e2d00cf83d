"""What is right to a question about a fact, for all who ask it."""

from __future__ import annotations

from dataclasses import dataclass

from kb.records import Fact, Question
from kb.text.match import answer_type


@dataclass(frozen=True)
class Right:
    """What is right, to be compared as this type."""

    answer: str
    answer_type: str
    aliases: tuple[str, ...] = ()


def right_answer(question: Question, fact: Fact) -> Right:
    """What is right to a question about a fact: to a reversed one its own answer, else the fact's.

    Beside that, to one in the other language, the same answer as it is written there.
    """
    if question.kind == "reversed":
        return Right(question.answer, answer_type(question.answer))
    return Right(fact.answer, fact.answer_type, (*fact.aliases, *([question.answer] if question.answer else ())))
