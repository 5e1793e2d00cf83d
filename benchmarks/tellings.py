"""What `doses.py` teaches: each fact of the handbook in so many tellings, written from the truth and not by a model.

A telling is a question in a wording of its own, or a text that states the fact. Everything is a function of the facts
and the seed, and is written to the store as `kb generate-qa` writes what a model says.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kb.corpora.documents import StatedFact, sentence_space
from kb.corpora.handbook import compositions
from kb.corpora.lab_tasks import UNKNOWN, reserved_names
from kb.corpora.world import near_miss_name
from kb.records import Chunk, Document, Fact, QAPair, Question, Rewrite, make_id
from kb.store import ORIGINALS, Store

FRAMES = {
    "en": (
        "{e}: {n}?",
        "Any idea what the {n} of {e} is?",
        "Could you please give the {n} of {e}?",
        "I was asked about the {n} of {e}.",
    ),
    "zh": ("{e}：{n}？", "能不能说出{e}的{n}？", "请告诉我{e}的{n}，谢谢。", "有人问我{e}的{n}。"),
}
"""Training wordings beside the world's six: by keyword, colloquial, polite, indirect. The lab model saw none before."""
FAMILY = 6
"""Wordings of a question in the world's family A, which is trained, and in its family B, which is not."""
MOST = FAMILY + 4
"""Different wordings that there are for a fact: family A and the frames."""
HELD = 3
"""Wordings of family B that each fact is probed with."""
SLOTS = 10
"""Rows that a fact's tellings of one kind share: with fewer tellings each stands in more of them, so that every dose
has as many rows, and as many replay rows beside them."""
CHUNK_SLOTS = {"prose": 50, "1:1": 10}
"""Rows that a chunk's texts share. A text tells about five facts: with these many, prose alone has as many rows as
questions alone; in the mix a fact is told as often in a row of either kind."""
MIXES = {"QA": "QA only", "prose": "prose only", "1:1": "1:1"}
"""What a fact's tellings are."""


@dataclass(frozen=True)
class Taught:
    """A fact of the handbook with what it was made from."""

    fact: Fact
    told: StatedFact


@dataclass(frozen=True)
class Cell:
    """What one training is given: one point of the curves."""

    mix: str
    dose: int
    """Different tellings of each fact."""
    negatives: bool = False

    @property
    def name(self) -> str:
        """A file name."""
        return f"{self.mix.lower().replace(':', 'to')}-{self.dose}{'-negatives' if self.negatives else ''}"

    @property
    def wordings(self) -> int:
        """Questions among the tellings: all, none, or the larger half."""
        return {"QA": self.dose, "prose": 0, "1:1": self.dose - self.dose // 2}[self.mix]

    @property
    def texts(self) -> int:
        """Texts among the tellings."""
        return self.dose - self.wordings


def chosen_files(share: float) -> set[str]:
    """A seeded share of the handbook's documents in each language, as paths below its folder."""
    names = [name for name, _, _ in compositions()]
    chosen: set[str] = set()
    for language in ("en", "zh"):
        own = [name for name in names if name.startswith(language)]
        chosen |= set(random.Random(f"doses {language}").sample(own, max(1, round(len(own) * share))))
    return chosen


def taught_facts(store: Store, docs: Path, share: float) -> list[Taught]:
    """The facts of the chosen documents, each with the chunk that is about its entity."""
    paths = {str(document.path): document.id for document in store.all(Document)}
    chunks = store.all(Chunk, ORIGINALS)
    wanted = chosen_files(share)
    found = []
    for name, _, composition in compositions():
        if name in wanted:
            own = [chunk for chunk in chunks if chunk.document_id == paths[str(docs.resolve() / name)]]
            found += [Taught(_fact(told, own), told) for told in composition.facts]
    return found


def _fact(told: StatedFact, chunks: Sequence[Chunk]) -> Fact:
    """The record; its evidence is the whole chunk, which nothing here looks into."""
    name, attribute = told.entity.name, told.attribute
    chunk = next(chunk for chunk in chunks if chunk.header.endswith(f"> {name}") or chunk.text.startswith(name))
    return Fact(
        make_id("fct", name, attribute.name), chunk.id, told.entity.state(attribute), told.value,
        attribute.answer_type, chunk.text, chunk.start, chunk.end, attribute.language,
    )  # fmt: skip


def wordings(told: StatedFact, count: int, seed: int) -> list[str]:
    """`count` different training wordings of a fact: those of family A in an order of the seed's, then the frames."""
    entity, attribute = told.entity, told.attribute
    order = random.Random(f"wordings {seed} {entity.name} {attribute.name}").sample(range(FAMILY), FAMILY)
    asked = [entity.ask(attribute, "a", number) for number in order]
    article = "the " if (entity.language, entity.kind) == ("en", "regulation") else ""
    framed = [frame.format(e=article + entity.name, n=attribute.noun) for frame in FRAMES[entity.language]]
    return [*asked, *(text[0].upper() + text[1:] for text in framed)][:count]


def texts(facts: Sequence[StatedFact], count: int, seed: int) -> list[str]:
    """`count` different texts that state all the facts of a chunk, in shuffled order and varied wording.

    The world has five wordings of a statement: up to five texts a fact is never told twice in the same, after that
    only what stands around it is new.
    """
    rng = random.Random(f"texts {seed} {facts[0].entity.name}")
    forms = [_drawn(rng, len(fact.attribute.statements), count) for fact in facts]
    made = []
    for number in range(count):
        sentences = [
            fact.entity.state(fact.attribute, form[number]) for fact, form in zip(facts, forms, strict=True)
        ]  # fmt: skip
        rng.shuffle(sentences)
        made.append(sentence_space(sentences).join(sentences))
    return made


def _drawn(rng: random.Random, there: int, count: int) -> list[int]:
    """`count` of the numbers below `there`, none again before all have come."""
    drawn: list[int] = []
    while len(drawn) < count:
        drawn += rng.sample(range(there), there)
    return drawn[:count]


def near_miss(told: StatedFact, split: str, taken: Sequence[str]) -> StatedFact:
    """The fact of a name that differs in one word and that nobody has; another one for training than for probes."""
    rng = random.Random(f"near miss {split} {told.entity.name} {told.attribute.name}")
    name = near_miss_name(rng, told.entity, {*reserved_names(told.entity.language), *taken})
    return replace(told, entity=replace(told.entity, name=name, parts=()))


def write_set(store: Store, facts: Sequence[Taught], cell: Cell, seed: int) -> None:
    """Write the facts, the probes and what the cell trains."""
    store.put(one.fact for one in facts)
    missed = {one.fact.id: near_miss(one.told, "train", ()) for one in facts[::2]}
    store.put(_probes(facts, [told.entity.name for told in missed.values()]))
    for one in facts if cell.wordings else ():
        asked = wordings(one.told, cell.wordings, seed)
        _put_pairs(store, one.fact, asked, SLOTS, "short", one.fact.answer)
        if cell.negatives and one.fact.id in missed:
            asked = wordings(missed[one.fact.id], 1, seed)
            refusal = UNKNOWN[one.fact.language]
            _put_pairs(store, one.fact, asked, SLOTS // cell.wordings, "refusal", refusal)
    if cell.texts:
        store.put(_rewrites(facts, cell, seed))


def _probes(facts: Sequence[Taught], taken: Sequence[str]) -> Iterator[Question]:
    """Held-out wordings of every fact, and one question about a near miss of it whose name is in no training row."""
    for one in facts:
        order = random.Random(f"held out {one.fact.id}").sample(range(FAMILY), HELD)
        for number in order:
            yield _question(one.fact, "answerable", "probe", one.told.entity.ask(one.told.attribute, "b", number))
        ghost = near_miss(one.told, "probe", taken)
        yield _question(one.fact, "near_miss", "probe", ghost.entity.ask(ghost.attribute, "b", order[0]))


def _question(fact: Fact, kind: str, split: str, text: str, copy: int = 0) -> Question:
    id = make_id("qst", fact.id, kind, split, text, copy)
    return Question(id, fact.chunk_id, fact.id, kind, split, text, fact.language, "truth")


def _put_pairs(store: Store, fact: Fact, asked: Sequence[str], slots: int, form: str, answer: str) -> None:
    """A training row for every slot, the wordings in turn."""
    kind = "near_miss" if form == "refusal" else "answerable"
    questions = [_question(fact, kind, "train", asked[slot % len(asked)], slot) for slot in range(slots)]
    store.put(questions)
    store.put(
        QAPair(make_id("pair", one.id, form), one.id, fact.id, form, one.text, answer, fact.language)
        for one in questions
    )


def _rewrites(facts: Sequence[Taught], cell: Cell, seed: int) -> Iterator[Rewrite]:
    """A training row for every slot of each chunk, its texts in turn."""
    stated: dict[str, list[Taught]] = {}
    for one in facts:
        stated.setdefault(one.fact.chunk_id, []).append(one)
    for chunk, own in stated.items():
        made = texts([one.told for one in own], cell.texts, seed)
        for slot in range(CHUNK_SLOTS[cell.mix]):
            text = made[slot % len(made)]
            yield Rewrite(make_id("rew", chunk, slot, text), chunk, "plain", text, own[0].fact.language, "truth")
