"""Cases of the fictional world whose truth is known: they show how good the judge of `kb qa-report` is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, count, islice

from kb.corpora.documents import STYLES, StatedFact, compose
from kb.corpora.world import LANGUAGES, Entity, make_world, near_miss_name
from kb.qa_gen.faithful import Case, known_case

PER_KIND = 7
"""Entities of each of the four kinds, in each language."""


def known_cases(size: int = 200, seed: str = "judging") -> list[Case]:
    """So many cases in both languages by turns, half of them false.

    A false case has the value of another entity for its answer, or asks about a name that is like the passage's and
    not in it. Both are what a careless model writes.
    """
    drawn = chain.from_iterable(zip(*(_cases(seed, language) for language in LANGUAGES), strict=True))
    cases = islice(chain.from_iterable(drawn), size)
    return [replace(case, id=f"known_{number}") for number, case in enumerate(cases)]


def _cases(seed: str, language: str) -> Iterator[tuple[Case, Case]]:
    """For each fact of one world after another a true case and a false one, without end."""
    rng = random.Random(f"{seed} {language}")
    for number in count():
        entities = make_world(f"{seed} {number}", language, PER_KIND)
        for entity in entities:
            composition = compose(rng, [entity], 5, rng.choice(STYLES))
            for section in composition.sections:
                passage = f"{composition.title} > {section.heading}", section.text()
                for fact in section.facts:
                    question = entity.ask(fact.attribute, "a", rng.randrange(6))
                    true = known_case(*passage, question, fact.value, fact.attribute.answer_type, language)
                    asked, answer = _false(rng, fact, entities, question)
                    yield true, replace(true, question=asked, answer=answer, is_true=False)


def _false(rng: random.Random, fact: StatedFact, entities: list[Entity], question: str) -> tuple[str, str]:
    """A question and an answer that are not true of the passage."""
    if rng.random() < 0.5:
        other = near_miss_name(rng, fact.entity, [entity.name for entity in entities])
        return question.replace(fact.entity.name, other), fact.value
    values = {entity.values.get(fact.attribute.name, fact.value) for entity in entities} - {fact.value}
    return question, rng.choice(sorted(values))
