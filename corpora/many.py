"""Any number of documents of the fictional world, and a model that knows all of them and has none in memory.

A document has ten sections, each about an entity of its own, with text about others below. A code in the entity's name
is the section's number: what it says, and what is true of it, is drawn anew from that when it is asked for.
"""

from __future__ import annotations

import functools
import itertools
import random
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kb.corpora.documents import STYLES, Block, Composition, Section, compose_section
from kb.corpora.oracle import Lapses, Oracle, Truth
from kb.corpora.rendering import as_markdown
from kb.corpora.world import KINDS, LANGUAGES, Entity, attributes, document_words, draw_entity, draw_value
from kb.llm.base import Completion, Request

SECTIONS = 10
"""Of a document."""
KEPT = 4096
"""Sections in memory at a time."""
UNASKED: dict[str, Any] = {
    "reversed": False, "detailed": 0, "known_samples": 0, "placebo_share": 0.0, "text_only_share": 0.0,
}  # fmt: skip
"""Settings of generation that leave out what such a model is not asked: whose an answer is, say, names no entity."""
_DIGITS, _LETTERS = "0123456789", "BCDFGHJKLM"
"""Letters in place of digits: no code may be taken for a number that a text gives."""
_CODE = re.compile(f"[{_LETTERS}]{{5}}")


@dataclass(frozen=True)
class Shape:
    """How long sections are and how much of them is known."""

    facts: int = 2
    """Facts of a section that the model knows, 1 to 5: an entity has six, and the others are what can be asked that no
    document answers.
    """
    others: int = 2
    """Entities that the rest of a section is about: each adds about 85 tokens."""


@functools.lru_cache(maxsize=KEPT)
def section(shape: Shape, number: int) -> Section:
    """The section with this number, 0 to 99,999; the languages take turns by document."""
    rng = random.Random(f"many {number}")
    language = LANGUAGES[number // SECTIONS % len(LANGUAGES)]
    entity = draw_entity(rng, language, rng.choice(KINDS))
    code = f"{number:05d}".translate(str.maketrans(_DIGITS, _LETTERS))
    name = f"{entity.name} {code}" if language == "en" else entity.name + code
    entity = replace(entity, name=name)
    stated = rng.sample(attributes(language, entity.kind), shape.facts)
    own = compose_section(rng, entity, rng.choice(STYLES), stated)
    rest = [_about(rng, draw_entity(rng, language, rng.choice(KINDS))) for _ in range(shape.others)]
    return Section(name, (*own.blocks, *rest), own.facts)


def _about(rng: random.Random, entity: Entity) -> Block:
    """A paragraph with everything about an entity."""
    stated = attributes(entity.language, entity.kind)
    return Block("paragraph", tuple(entity.state(one, rng.randrange(len(one.statements))) for one in stated))


@functools.lru_cache(maxsize=KEPT)
def truths(shape: Shape, number: int) -> list[Truth]:
    """What the model knows of a section, and questions that its document does not answer."""
    facts = section(shape, number).facts
    entity, rng = facts[0].entity, random.Random(f"many {number} otherwise")
    stated = {fact.attribute.name for fact in facts}
    unstated = [one for one in attributes(entity.language, entity.kind) if one.name not in stated]
    return [
        Truth(
            entity.language, entity.name, fact.evidence, entity.state(fact.attribute), fact.value,
            tuple(entity.ask(fact.attribute, "a", n) for n in range(len(fact.attribute.questions_a))),
            tuple(entity.ask(fact.attribute, "b", n) for n in range(len(fact.attribute.questions_b))),
            (entity.ask(missing, "b", 0),), draw_value(rng, entity.language, fact.attribute.name),
        )
        for fact, missing in zip(facts, itertools.cycle(unstated), strict=False)
    ]  # fmt: skip


def write_document(folder: Path, shape: Shape, number: int, more: str = "") -> None:
    """Write the document with this number as Markdown, `more` as a further paragraph of its first section."""
    sections = [section(shape, place) for place in range(number * SECTIONS, (number + 1) * SECTIONS)]
    if more:
        sections[0] = replace(sections[0], blocks=(*sections[0].blocks, Block("paragraph", (more,))))
    language = sections[0].facts[0].entity.language
    title = f"{document_words(language)['mixed'][0]} {number}"
    path = folder / f"{number // 1000:02d}" / f"{number:05d}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_markdown(Composition(language, title, tuple(sections))))


class Script:
    """The script of a FakeLLM: answers take a time that does not depend on how many documents there are."""

    def __init__(self, shape: Shape, lapses: Lapses | None = None) -> None:
        self._shape = shape
        self._oracle = Oracle((), lapses)
        self.seconds = 0.0
        """CPU time of all answers together."""

    def __call__(self, request: Request) -> Completion:
        """What the oracle says that knows the entity which the prompt names last: a question follows its passages."""
        begun = time.process_time()
        code = _CODE.findall(request.prompt)[-1]
        known = truths(self._shape, int(code.translate(str.maketrans(_LETTERS, _DIGITS))))
        answer = self._oracle.about(known)(request)
        self.seconds += time.process_time() - begun
        return answer
