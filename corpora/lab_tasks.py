"""What the lab model is trained on: freshly drawn worlds, shown through the lab prompts.

A sample is a short chat. Reading, abstention, fact extraction and question writing use entities drawn anew for every
sample; closed-book answers use the small `known_world`, the forgetting ring. Names in the handbook are never drawn.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from kb.corpora.documents import STYLES, Section, StatedFact, as_lines, compose_section
from kb.corpora.lab_ladder import LADDER, Difficulty
from kb.corpora.world import (
    KINDS,
    LANGUAGES,
    Attribute,
    Entity,
    attributes,
    document_words,
    draw_entity,
    make_world,
    near_miss_name,
)
from kb.prompt import read

PROMPTS = Path(__file__).with_name("lab") / "prompts"
UNKNOWN = {"en": "unknown", "zh": "不知道"}
NONE = {"en": "NONE", "zh": "无"}
TAGS = {"en": ("QUOTE: ", "FACT: ", "ANSWER: "), "zh": ("原文：", "事实：", "答案：")}
KNOWN_PER_KIND = 5
HANDBOOK_PER_KIND = {"company": 8, "person": 8, "product": 7, "regulation": 7}

Turn = tuple[str, str]
"""A user message and the assistant's answer."""


@functools.cache
def handbook_world(language: str) -> tuple[Entity, ...]:
    """The entities of the bundled handbook, in one language."""
    world = make_world("handbook", language, max(HANDBOOK_PER_KIND.values()))
    counts = dict.fromkeys(KINDS, 0)
    kept = []
    for entity in world:
        counts[entity.kind] += 1
        if counts[entity.kind] <= HANDBOOK_PER_KIND[entity.kind]:
            kept.append(entity)
    return tuple(kept)


@functools.cache
def known_world(language: str) -> tuple[Entity, ...]:
    """The entities the lab model knows closed-book from its pretraining."""
    return tuple(make_world("known", language, KNOWN_PER_KIND, [e.name for e in handbook_world(language)]))


@functools.cache
def reserved_names(language: str) -> frozenset[str]:
    """Names that are never drawn for a fresh entity: the handbook's and the known ones."""
    return frozenset(e.name for e in (*handbook_world(language), *known_world(language)))


def prompt(name: str, language: str, **fields: str) -> str:
    """A lab prompt, filled."""
    return read(PROMPTS / f"{name}.{language}.txt").fill(**fields)


FULL = LADDER[-1]
"""What the shipped model is measured by."""


def fresh(rng: random.Random, language: str, kind: str = "", names: int | None = None) -> Entity:
    """An entity with a name that is neither known nor in the handbook, of the first `names` words of each name list."""
    return draw_entity(rng, language, kind or rng.choice(KINDS), reserved_names(language), names)


def header_of(rng: random.Random, title: str, section: Section) -> str:
    """The heading path and text of a chunk; now and then the heading is a line of the text, as in files without any."""
    if rng.random() < 0.1:
        return f"{title}\n{section.heading}\n{section.text()}"
    return f"{title} > {section.heading}\n{section.text()}"


def draw_section(
    rng: random.Random, entity: Entity, most: int, styles: Sequence[str] = STYLES, first: Sequence[Attribute] = ()
) -> Section:
    """A section stating one to `most` attributes of an entity, of those in `first` as many as fit."""
    count = rng.randint(min(2, most), most)
    rest = [a for a in attributes(entity.language, entity.kind) if a not in first]
    stated = [*rng.sample(first, len(first)), *rng.sample(rest, len(rest))][:count]
    section = compose_section(rng, entity, rng.choice(styles), stated)
    return as_lines(section) if rng.random() < 0.2 else section


def furniture(rng: random.Random, language: str) -> str:
    """A chunk without any fact: what a cover or a note to the reader leaves."""
    words = document_words(language)
    title = rng.choice(words[rng.choice((*KINDS, "mixed"))])
    if rng.random() < 0.3:
        return f"{title}\n{words['header']}"
    filler = ("" if language == "zh" else " ").join(rng.sample(words["intro"], rng.randint(1, 2)))
    return f"{title} > {words['overview']}\n{filler}"


def title_of(rng: random.Random, entity: Entity) -> str:
    """A document title that fits an entity."""
    title: str = rng.choice(document_words(entity.language)[rng.choice((entity.kind, "mixed"))])
    return title


def draw_question(rng: random.Random, entity: Entity, attribute: Attribute) -> str:
    """A question in any wording of either family."""
    return entity.ask(attribute, rng.choice("ab"), rng.randrange(6))


def _distractor(rng: random.Random, target: Entity, level: Difficulty, rival: bool, taken: Sequence[str]) -> Entity:
    """Another entity; a rival is of the same kind, now and then with a name that differs in one word."""
    while True:
        other = fresh(rng, target.language, target.kind if rival else "", level.names)
        if rival and rng.random() < 0.25:
            other = replace(other, name=near_miss_name(rng, target, reserved_names(target.language)), parts=())
        if other.name not in taken:
            return other


def draw_passages(rng: random.Random, language: str, level: Difficulty) -> tuple[str, dict[str, Section]]:
    """Passages about fresh entities as the RAG prompt shows them, and the sections by entity."""
    target = fresh(rng, language, names=level.names)
    stated = draw_section(rng, target, level.facts, level.styles)
    sections, chunks = {target.name: stated}, [header_of(rng, title_of(rng, target), stated)]
    for _ in range(rng.randint(level.passages // 2, level.passages - 1)):
        rival = rng.random() < level.rivals
        other = _distractor(rng, target, level, rival, list(sections))
        first = [fact.attribute for fact in stated.facts] if rival else ()
        sections[other.name] = draw_section(rng, other, level.facts, level.styles, first)
        chunks.append(header_of(rng, title_of(rng, other), sections[other.name]))
    if len(chunks) < level.passages and rng.random() < 0.2:
        chunks.append(furniture(rng, language))
    rng.shuffle(chunks)
    return "\n".join(f"[{number}] {text}" for number, text in enumerate(chunks, 1)), sections


def reading(rng: random.Random, language: str, level: Difficulty) -> list[Turn]:
    """Passages about fresh entities, then questions; some are not answered there and call for "unknown"."""
    passages, sections = draw_passages(rng, language, level)
    turns: list[Turn] = []
    pool = [fact for section in sections.values() for fact in section.facts]
    # With replacement, or the answers already given would tell what the next one is not.
    for fact in rng.choices(pool, k=rng.randint(-(-level.turns // 2), level.turns)):
        question, answer, full = _ask(rng, fact, sections, level)
        if not turns:
            name = "rag_full" if full else "rag"
            turns.append((prompt(name, language, passages=passages, question=question), answer))
        else:
            turns.append((prompt("closed_full" if full else "closed", language, question=question), answer))
    return turns


def reading_row(rng: random.Random, language: str) -> dict[str, str]:
    """A question on passages about fresh entities, with its answer: a probe of the reading ring."""
    passages, sections = draw_passages(rng, language, FULL)
    fact = rng.choice([fact for section in sections.values() for fact in section.facts])
    question = draw_question(rng, fact.entity, fact.attribute)
    return {
        "passages": passages, "question": question, "answer": fact.value, "type": fact.attribute.answer_type,
    }  # fmt: skip


def _ask(
    rng: random.Random, fact: StatedFact, sections: dict[str, Section], level: Difficulty
) -> tuple[str, str, bool]:
    """A question near `fact`, its answer, and whether it asks for a full sentence."""
    entity, language = fact.entity, fact.entity.language
    if rng.random() < level.unanswerable:
        stated = {f.attribute.name for f in sections[entity.name].facts}
        missing = [a for a in attributes(language, entity.kind) if a.name not in stated]
        if missing and rng.random() < 0.5:
            return draw_question(rng, entity, rng.choice(missing)), UNKNOWN[language], False
        ghost = fresh(rng, language, entity.kind, level.names)
        while ghost.name in sections:
            ghost = fresh(rng, language, entity.kind, level.names)
        if entity.parts and rng.random() < 0.7:
            ghost = replace(ghost, name=near_miss_name(rng, entity, {*sections, *reserved_names(language)}))
        return draw_question(rng, ghost, fact.attribute), UNKNOWN[language], False
    if rng.random() < 0.15:
        return draw_question(rng, entity, fact.attribute), entity.state(fact.attribute), True
    return draw_question(rng, entity, fact.attribute), fact.value, False


def closed(rng: random.Random, language: str, entity: Entity, known: bool) -> Turn:
    """A closed-book question: the answer if the entity is known, else "unknown"."""
    attribute = rng.choice(attributes(language, entity.kind))
    question = draw_question(rng, entity, attribute)
    full = rng.random() < 0.15
    text = prompt("closed_full" if full else "closed", language, question=question)
    if not known:
        return text, UNKNOWN[language]
    return text, entity.state(attribute) if full else entity.values[attribute.name]


def recall(rng: random.Random, language: str, level: Difficulty) -> list[Turn]:
    """Closed-book questions about the known world."""
    return [closed(rng, language, rng.choice(known_world(language)), True) for _ in range(rng.randint(1, level.turns))]


def abstain(rng: random.Random, language: str, level: Difficulty) -> list[Turn]:
    """Closed-book questions about entities nobody ever mentioned, near misses of known ones among them."""
    turns = []
    for _ in range(rng.randint(1, level.turns)):
        entity = fresh(rng, language)
        if rng.random() < 0.2:
            known = rng.choice(known_world(language))
            name = near_miss_name(rng, known, reserved_names(language))
            entity = Entity(language, known.kind, name, (), known.values)
        turns.append(closed(rng, language, entity, False))
    return turns


def fact_lines(facts: Sequence[StatedFact], language: str) -> str:
    """The answer to the facts prompt: quote, stand-alone statement and answer of each fact."""
    if not facts:
        return NONE[language]
    quote, fact, answer = TAGS[language]
    return "\n".join(f"{quote}{f.evidence}\n{fact}{f.entity.state(f.attribute)}\n{answer}{f.value}" for f in facts)


def extract(rng: random.Random, language: str, level: Difficulty) -> list[Turn]:
    """A chunk, and every fact in it as lines."""
    entity = fresh(rng, language)
    title = title_of(rng, entity)
    if rng.random() < 0.1:
        return [(prompt("facts", language, passage=furniture(rng, language)), NONE[language])]
    section = draw_section(rng, entity, level.facts)
    passage = header_of(rng, title, section)
    return [(prompt("facts", language, passage=passage), fact_lines(section.facts, language))]


def ask(rng: random.Random, language: str, level: Difficulty) -> list[Turn]:
    """A fact, and the six training wordings of its question."""
    entity = fresh(rng, language)
    attribute = rng.choice(attributes(language, entity.kind))
    wording = 0 if rng.random() < 0.7 else rng.randrange(5)
    text = prompt("questions", language, fact=entity.state(attribute, wording), answer=entity.values[attribute.name])
    return [(text, "\n".join(f"- {entity.ask(attribute, 'a', i)}" for i in range(6)))]


def reword(rng: random.Random, language: str, level: Difficulty) -> list[Turn]:
    """A question, and its six held-out wordings."""
    entity = fresh(rng, language)
    attribute = rng.choice(attributes(language, entity.kind))
    question = entity.ask(attribute, "a" if rng.random() < 0.8 else "b", rng.randrange(6))
    wordings = "\n".join(f"- {entity.ask(attribute, 'b', i)}" for i in range(6))
    return [(prompt("probes", language, question=question), wordings)]


def near_miss(rng: random.Random, language: str, level: Difficulty) -> list[Turn]:
    """A question, and the same question about an entity whose name differs in one word."""
    entity = fresh(rng, language)
    attribute = rng.choice(attributes(language, entity.kind))
    family, wording = rng.choice("ab"), rng.randrange(6)
    ghost = Entity(language, entity.kind, near_miss_name(rng, entity, reserved_names(language)), (), entity.values)
    text = prompt("near_miss", language, question=entity.ask(attribute, family, wording))
    return [(text, f"- {ghost.ask(attribute, family, wording)}")]


def unanswerable(rng: random.Random, language: str, level: Difficulty) -> list[Turn]:
    """A chunk, and questions about its entity that it does not answer."""
    entity = fresh(rng, language)
    section = draw_section(rng, entity, min(level.facts, 5))
    stated = {f.attribute.name for f in section.facts}
    missing = [a for a in attributes(language, entity.kind) if a.name not in stated][:2]
    passage = header_of(rng, title_of(rng, entity), section)
    lines = "\n".join(f"- {entity.ask(a, 'a', 3)}" for a in missing)
    return [(prompt("unanswerable", language, passage=passage), lines)]


TASKS: dict[str, Callable[[random.Random, str, Difficulty], list[Turn]]] = {
    "reading": reading, "recall": recall, "abstain": abstain, "facts": extract, "questions": ask, "probes": reword,
    "near_miss": near_miss, "unanswerable": unanswerable,
}  # fmt: skip


def draw(rng: random.Random, mix: dict[str, float], level: Difficulty) -> tuple[str, list[Turn]]:
    """A sample of the mix `mix` (task name to weight), and the name of its task."""
    task = rng.choices(list(mix), list(mix.values()))[0]
    return task, TASKS[task](rng, rng.choice(LANGUAGES), level)
