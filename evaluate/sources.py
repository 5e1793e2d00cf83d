"""What the page shows beside the answers: the chats that were asked, the passages in them, and where each fact stands.

A chat is kept as a template in which the question and the passages are places: ten thousand chats are a handful of
templates, and each passage is there once. A text that cannot be found in its chat word for word stays in the template,
so that what is put together again is always the chat that was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kb.llm.tuned import TRAINED
from kb.records import Chunk, Fact, Probe, Score, make_id
from kb.retrieval.hybrid import without_blank_lines
from kb.store import Store
from kb.workspace import read_jsonl

ANSWERS = "answers.jsonl"
"""In the folder of an evaluation: every answer, with the id of its chat."""
CHATS = "prompts.jsonl"
"""In the folder of an evaluation: every chat, once."""
QUESTION = 0
"""In a template, the place of the question; the passages have the places 1, 2, 3 and so on."""

Template = tuple[tuple[str, tuple[str | int, ...]], ...]
"""Role and content of each message, the content as texts and places in their order."""


@dataclass(frozen=True)
class Passage:
    """A passage as prompts show it."""

    title: str
    """Heading path; empty where the passage came with its question."""
    text: str

    @property
    def whole(self) -> str:
        """Title and text."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@dataclass(frozen=True)
class Place:
    """Where a fact's evidence stands."""

    passage: str
    start: int
    """In characters of the passage's text."""
    end: int


@dataclass(frozen=True)
class Sources:
    """What was read, as far as it is known; all empty where only answers are."""

    passages: Mapping[str, Passage] = field(default_factory=dict)
    """By id: all that were shown, and those that facts stand in."""
    templates: tuple[Template, ...] = ()
    asked: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Arm and probe to the number of the template."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """Of each fact whose evidence stands in one passage."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Fact to the number of its training rows in the set as it is now; facts without any are not in it."""


NO_SOURCES = Sources()


def shown(probe: Probe, score: Score) -> tuple[str, ...]:
    """Ids of the passages of a chat, in their order: those of the arm, else what came with the question."""
    return score.passages or ((make_id("own", probe.passages),) if probe.passages else ())


def read_sources(store: Store, folder: Path, probes: Sequence[Probe], scores: Sequence[Score]) -> Sources:
    """What the answers of an evaluation were made from: the chats from its folder, the rest from the workspace.

    Without the two files, as in a folder of an old version, there are no templates. Passages of retired documents are
    found too.
    """
    by_id = {probe.id: probe for probe in probes}
    facts = store.all(Fact, live=False)
    wanted = {probe.fact_id for probe in probes}
    chunks = store.all(Chunk, live=False)
    places = _places(chunks, [fact for fact in facts if fact.id in wanted])
    read = {id for one in scores for id in one.passages} | {place.passage for place in places.values()}
    chosen = (chunk for chunk in chunks if chunk.id in read)
    passages = {chunk.id: Passage(chunk.header, without_blank_lines(chunk.text)) for chunk in chosen}
    passages |= {make_id("own", probe.passages): Passage("", probe.passages) for probe in probes if probe.passages}
    templates, asked = _templates(folder, by_id, scores, passages)
    rows = store.sql(f"SELECT fact_id, COUNT(*) AS n FROM qa_pairs WHERE {TRAINED} GROUP BY fact_id")
    return Sources(passages, templates, asked, places, {row["fact_id"]: row["n"] for row in rows if row["fact_id"]})


def templated(messages: Iterable[Mapping[str, Any]], question: str, passages: Sequence[str]) -> Template:
    """A chat with its question and its passages as places; a system message is kept as it is."""
    return tuple(
        (one["role"], (one["content"],) if one["role"] == "system" else _parts(one["content"], question, passages))
        for one in messages
    )


def _parts(content: str, question: str, passages: Sequence[str]) -> tuple[str | int, ...]:
    """The passages from the start, each after the one before; the question behind them, where it comes last."""
    parts: list[str | int] = []
    at = 0
    for number, text in enumerate(passages, QUESTION + 1):
        found = content.find(text, at) if text else -1
        if found >= 0:
            parts += [content[at:found], number]
            at = found + len(text)
    before, found_question, after = content[at:].rpartition(question) if question else ("", "", content[at:])
    parts += [before, QUESTION, after] if found_question else [after]
    return tuple(part for part in parts if part != "")


def _templates(
    folder: Path, probes: Mapping[str, Probe], scores: Sequence[Score], passages: Mapping[str, Passage]
) -> tuple[tuple[Template, ...], dict[tuple[str, str], int]]:
    """The templates, and which of them each answer was asked with."""
    if not (folder / ANSWERS).exists() or not (folder / CHATS).exists():
        return (), {}
    chats = {(row["arm"], row["probe_id"]): row.get("prompt", "") for row in read_jsonl(folder / ANSWERS)}
    first: dict[str, Score] = {}
    for one in scores:
        first.setdefault(chats.get((one.arm, one.probe_id), ""), one)
    numbers: dict[Template, int] = {}
    of_chat: dict[str, int] = {}
    for row in read_jsonl(folder / CHATS):
        if row["id"] in first:
            one = first[row["id"]]
            probe = probes[one.probe_id]
            texts = [passages[id].whole if id in passages else "" for id in shown(probe, one)]
            template = templated(row["messages"], probe.question, texts)
            of_chat[row["id"]] = numbers.setdefault(template, len(numbers))
    return tuple(numbers), {key: of_chat[chat] for key, chat in chats.items() if chat in of_chat}


def _places(chunks: Sequence[Chunk], facts: Iterable[Fact]) -> dict[str, Place]:
    """The smallest chunk of a fact's section in which its whole evidence stands."""
    parts: dict[str, list[Chunk]] = {}
    for chunk in sorted(chunks, key=lambda chunk: len(chunk.text)):
        parts.setdefault(chunk.root, []).append(chunk)
    places = {}
    for fact in facts:
        around = (part for part in parts.get(fact.chunk_id, ()) if part.start <= fact.start and fact.end <= part.end)
        place = next((found for found in (_place(fact, part) for part in around) if found), None)
        if place:
            places[fact.id] = place
    return places


def _place(fact: Fact, chunk: Chunk) -> Place | None:
    evidence = without_blank_lines(fact.evidence)
    before = without_blank_lines(chunk.text[: fact.start - chunk.start])
    start = without_blank_lines(chunk.text).find(evidence, max(0, len(before) - 1)) if evidence else -1
    return Place(chunk.id, start, start + len(evidence)) if start >= 0 else None
