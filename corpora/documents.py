"""What a document about some entities says: title, sections, paragraphs, tables, lists, and which fact stands where.

The structure is independent of a file format; `rendering` writes it as PDF, Word, PowerPoint, text or Markdown, and
the lab model's training passages are made from the same structure, so that it learns to read what kb will show it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kb.corpora.world import Attribute, Entity, attributes, document_words, kind_title

STYLES = ("prose", "table", "bullets", "mixed")


@dataclass(frozen=True)
class Block:
    """A paragraph, table or list."""

    kind: str
    """paragraph, table, bullets, or lines (a list without marks)."""
    lines: tuple[str, ...]
    """Sentences of a paragraph, rows "label | value" of a table, items of a list."""


@dataclass(frozen=True)
class StatedFact:
    """One fact as a document states it: the ground truth for coverage, faithfulness, retrieval and retention."""

    entity: Entity
    attribute: Attribute
    evidence: str
    """The sentence, table row or list item that says it, as it is written."""

    @property
    def value(self) -> str:
        """The answer, as the document writes it."""
        return self.entity.values[self.attribute.name]


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]
    facts: tuple[StatedFact, ...]

    def text(self) -> str:
        """The section as plain text, tables as Markdown rows and lists with dashes, like an ingested chunk."""
        return "\n".join(block_text(block) for block in self.blocks)


@dataclass(frozen=True)
class Composition:
    """A document before it is rendered."""

    language: str
    title: str
    sections: tuple[Section, ...]

    @property
    def facts(self) -> tuple[StatedFact, ...]:
        """All facts the document states, in reading order."""
        return tuple(fact for section in self.sections for fact in section.facts)


def block_text(block: Block) -> str:
    """A block as plain text or Markdown."""
    if block.kind == "table":
        head, *rows = [f"| {line} |" for line in block.lines]
        return "\n".join([head, "| --- | --- |", *rows])
    if block.kind == "bullets":
        return "\n".join(f"- {line}" for line in block.lines)
    if block.kind == "lines":
        return "\n".join(block.lines)
    return sentence_space(block.lines).join(block.lines)


def sentence_space(sentences: Sequence[str]) -> str:
    """What stands between sentences: nothing after Chinese full stops, a space otherwise."""
    return "" if sentences and sentences[0].endswith(("。", "？")) else " "


def as_lines(section: Section) -> Section:
    """Tables and lists as plain "label: value" lines, the way text files write them."""
    colon = "：" if section.facts and section.facts[0].entity.language == "zh" else ": "
    blocks = []
    for block in section.blocks:
        flat = tuple(line.replace(" | ", colon) for line in block.lines)
        blocks.append(block if block.kind == "paragraph" else Block("lines", flat))
    facts = tuple(
        replace(
            fact, evidence=fact.evidence.strip("| ").replace(" | ", colon) if "|" in fact.evidence else fact.evidence
        )
        for fact in section.facts
    )
    return Section(section.heading, tuple(blocks), facts)


def compose_section(rng: random.Random, entity: Entity, style: str, stated: Sequence[Attribute]) -> Section:
    """A section about one entity that states the attributes `stated` in the given style of `STYLES`."""
    stated = list(stated)
    rng.shuffle(stated)
    in_prose = len(stated) if style == "prose" else 0 if style != "mixed" else len(stated) // 2
    blocks, facts = [], []
    if in_prose:
        sentences = [entity.state(a, rng.randrange(len(a.statements))) for a in stated[:in_prose]]
        facts += [StatedFact(entity, a, s) for a, s in zip(stated[:in_prose], sentences, strict=True)]
        blocks.append(Block("paragraph", tuple(sentences)))
    rest = stated[in_prose:]
    if rest and (style == "table" or (style == "mixed" and rng.random() < 0.5)):
        rows = [f"{a.noun} | {entity.values[a.name]}" for a in rest]
        facts += [StatedFact(entity, a, f"| {row} |") for a, row in zip(rest, rows, strict=True)]
        blocks.append(Block("table", (f"{kind_title(entity.language, entity.kind)} | {entity.name}", *rows)))
    elif rest:
        items = [entity.row(a) for a in rest]
        facts += [StatedFact(entity, a, item) for a, item in zip(rest, items, strict=True)]
        blocks.append(Block("bullets", tuple(items)))
    return Section(entity.name, tuple(blocks), tuple(facts))


def compose(rng: random.Random, entities: Sequence[Entity], facts_each: int = 5, style: str = "") -> Composition:
    """A document about `entities`, all of one language, stating `facts_each` attributes of each.

    `style` is one of `STYLES`; empty draws one for each section.
    """
    language = entities[0].language
    words = document_words(language)
    kinds = {entity.kind for entity in entities}
    title = rng.choice(words[entities[0].kind if len(kinds) == 1 else "mixed"])
    sections = []
    if rng.random() < 0.5:
        filler = tuple(rng.sample(words["intro"], 2))
        sections.append(Section(words["overview"], (Block("paragraph", filler),), ()))
    for entity in entities:
        stated = rng.sample(attributes(language, entity.kind), facts_each)
        sections.append(compose_section(rng, entity, style or rng.choice(STYLES), stated))
    return Composition(language, title, tuple(sections))
