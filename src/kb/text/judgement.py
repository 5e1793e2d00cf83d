"""What a comparison says of an answer."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_ANSWER = 150
"""Longer answers, in tokens (`terms.count_tokens`), are not searched for values: any long text says something right."""
LONGEST_NAMING = 80
"""The same for names and words, where a competing one is harder to see than a competing number."""


@dataclass(frozen=True)
class Judgement:
    """A verdict and the rule that made it."""

    verdict: str
    """correct, wrong, abstained or unparsed."""
    rule: str
    """Short name of what decided: `match.judge` lists them."""


def correct(rule: str) -> Judgement:
    """The answer is right by this rule."""
    return Judgement("correct", rule)


def wrong(rule: str) -> Judgement:
    """The answer is wrong by this rule."""
    return Judgement("wrong", rule)
