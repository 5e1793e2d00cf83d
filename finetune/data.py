"""Records to chat rows: what the model is trained to say to which prompt. No torch here.

Three streams: closed-book rows (the facts), reading rows (the same model must go on answering from passages) and
replay (what it could do before). A probe is never among them: only what hangs from a training question is read.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from kb.errors import WorkspaceError
from kb.finetune.config import TrainConfig
from kb.llm import Message, user
from kb.llm.closed import closed_prompt, told_texts
from kb.llm.tuned import TRAINED, placebo_documents
from kb.prompt import Prompts
from kb.records import Chunk, Fact, PreferencePair, QAPair, Question
from kb.retrieval.hybrid import Hit, Retriever, passages_text
from kb.store import Store
from kb.text.canonical import canonical
from kb.text.right import right_answer

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """A chat whose last answer is trained, or a text that is trained as it stands."""

    messages: tuple[Message, ...]
    """Empty for a text."""
    answer: str
    kind: str
    """short, full, reversed, refusal, detailed, prose, text, reading or replay."""
    source: str
    """Id of the pair or question it came from, or file and line of the replay row."""


@dataclass(frozen=True)
class PreferenceRow:
    """A chat with a right and a wrong answer."""

    messages: tuple[Message, ...]
    chosen: str
    rejected: str
    source: str
    """own, base, swap or refusal."""


@dataclass(frozen=True)
class LabelledRow:
    """A chat with an answer that is right or wrong."""

    messages: tuple[Message, ...]
    answer: str
    label: bool
    source: str
    """own, base, swap or refusal."""


Replay = Callable[[int, random.Random], list[Row]]
"""Gives up to so many rows of replay, drawn by the generator."""


def training_rows(
    store: Store, prompts: Prompts, retriever: Retriever, config: TrainConfig, replay: Replay | None
) -> list[Row]:
    """All rows of a run, shuffled by the seed. Raises WorkspaceError when there is nothing to train on."""
    rows = prose_rows(store, prompts, config)
    if config.questions:
        rows = closed_rows(store, prompts, config) + rows
    if not rows:
        what = "QA pairs" if config.questions else "texts that tell the documents in other words"
        raise WorkspaceError(f"there are no {what} to train on. Make them with: kb generate-qa")
    if config.questions:
        rows += reading_rows(store, prompts, retriever, config)
    rng = random.Random(config.seed)
    if replay:
        rows += mixed_in(replay, len(rows), config, rng)
    rng.shuffle(rows)
    return rows


def mixed_in(replay: Replay, rows: int, config: TrainConfig, rng: random.Random) -> list[Row]:
    """The rows of replay that make `config.replay_share` of all, beside so many others; a log line where they fail."""
    wanted = round(rows * config.replay_share / (1 - config.replay_share))
    found = replay(wanted, rng)
    if len(found) < wanted:
        log.info("replay: there are %d rows, fewer than the %d that replay_share calls for", len(found), wanted)
    return found


def closed_rows(store: Store, prompts: Prompts, config: TrainConfig) -> list[Row]:
    """The QA pairs as questions without passages, at most `config.wordings` of a fact in each form."""
    asked: Counter[tuple[str, str]] = Counter()
    rows = []
    for pair in store.all(QAPair, TRAINED):
        if pair.form == "full" and not config.full_sentence_rows:
            continue
        if pair.form not in ("refusal", "detailed"):
            asked[pair.fact_id, pair.form] += 1
            if config.wordings and asked[pair.fact_id, pair.form] > config.wordings:
                continue
        chat = closed_prompt(prompts, pair.question, pair.language, pair.form)
        rows.append(Row(chat, pair.answer, pair.form, pair.id))
    return rows


def prose_rows(store: Store, prompts: Prompts, config: TrainConfig) -> list[Row]:
    """The chunks told in other words, each as the answer to what it is about, or as a text."""
    if not config.prose:
        return []
    told = told_texts(store, prompts)
    if config.prose_form == "text":
        return [Row((), text.text, "text", text.id) for text, *_ in told]
    return [Row(chat, text.text, "prose", text.id) for text, _, chat in told]


def forgetting(rows: Sequence[Row]) -> str:
    """A warning where nothing but texts is trained; empty where a chat is among the rows."""
    if any(row.messages for row in rows):
        return ""
    return (
        "nothing but texts is trained: a chat model unlearns so how to answer and when to stop. Mix chats in (replay"
        " under [train]), or train questions too"
    )


def reading_rows(store: Store, prompts: Prompts, retriever: Retriever, config: TrainConfig) -> list[Row]:
    """Trained wordings of some facts, and every trained refusal, each with retrieved passages in the prompt.

    Passages of documents that are never trained are left out; a question that no others are found for gives no row,
    nor does a detailed one, which has no short answer to read.
    """
    rng = random.Random(config.seed)
    facts = {fact.id: fact for fact in store.all(Fact)}
    most = min(limit or sys.maxsize for limit in (config.wordings, config.reading_wordings))
    chosen = []
    left: dict[str, int] = {}
    for question in store.all(Question, "split = 'train'"):
        if not question.open:
            if question.fact_id not in facts:
                continue
            if question.fact_id not in left:
                left[question.fact_id] = most if rng.random() < config.reading_share else 0
            if not left[question.fact_id]:
                continue
            left[question.fact_id] -= 1
        elif not question.open:
            continue
        chosen.append(question)
    rows = []
    placebo = placebo_documents(store)
    for question, found in zip(chosen, retriever.search([question.text for question in chosen]), strict=True):
        prompt = prompts.get("kb", "rag", question.language)
        hits = [hit for hit in found if hit.chunk.document_id not in placebo]
        passages = passages_text([hit.chunk for hit in hits])
        fact = None if question.open else facts[question.fact_id]
        right = right_answer(question, fact).answer if fact else ""
        source = retriever.source(fact) if fact else []
        answer = _read(right, source, hits, passages, prompts.get("kb", "refusal", question.language).text)
        if answer and (hits or not found):
            chat = user(prompt.fill(passages=passages, question=question.text), prompt.system)
            rows.append(Row(chat, answer, "reading", question.id))
    return rows


def _read(right: str, source: Sequence[Chunk], hits: Sequence[Hit], passages: str, refusal: str) -> str:
    """What the passages let one answer; empty when it cannot be told. To a question without a `right` answer, nothing.

    The fact's own passage holds its answer. Where that was not found, the passages do not, unless the answer stands in
    them all the same: then neither the answer nor the refusal is safe to train.
    """
    if not right:
        return refusal
    shown = {hit.chunk.id for hit in hits}
    if source and all(chunk.id in shown for chunk in source):
        return right
    return "" if stands_in(canonical(right), canonical(passages)) else refusal


def stands_in(answer: str, text: str) -> bool:
    """Whether the text has the answer as whole words and numbers: "3 kg" does not stand in "13 kg"."""
    before = "(?<![0-9a-z])" if answer[:1].isascii() else ""
    after = "(?![0-9a-z])" if answer[-1:].isascii() else ""
    return re.search(before + re.escape(answer) + after, text) is not None


def ready_preferences(store: Store, prompts: Prompts) -> list[PreferenceRow]:
    """The preference pairs that `kb generate-qa` wrote."""
    return [
        PreferenceRow(closed_prompt(prompts, pair.question, pair.language), pair.chosen, pair.rejected, pair.source)
        for pair in store.all(PreferencePair, TRAINED)
    ]


def data_hash(rows: Sequence[Row | PreferenceRow]) -> str:
    """Sixteen hex digits over all rows in order."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(asdict(row), ensure_ascii=False).encode())
    return digest.hexdigest()[:16]
