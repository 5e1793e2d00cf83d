"""Records to chat rows: what the model is trained to say to which prompt. No torch here.

Three streams: closed-book rows (the facts), reading rows (the same model must go on answering from passages) and
replay (what it could do before). A probe is never among them: only what hangs from a training question is read.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kb.errors import ConfigError, WorkspaceError
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
from kb.workspace import read_jsonl


@dataclass(frozen=True)
class Row:
    """A chat whose last answer is trained."""

    messages: tuple[Message, ...]
    answer: str
    kind: str
    """short, full, reversed, refusal, detailed, prose, reading or replay."""
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


def training_rows(
    store: Store, prompts: Prompts, retriever: Retriever, config: TrainConfig, replay: Path | None
) -> list[Row]:
    """All rows of a run, shuffled by the seed. Raises WorkspaceError when there is nothing to train on."""
    rows = closed_rows(store, prompts, config) + prose_rows(store, prompts, config)
    if not rows:
        raise WorkspaceError("there are no QA pairs to train on. Make them with: kb generate-qa")
    rows += reading_rows(store, prompts, retriever, config)
    rng = random.Random(config.seed)
    if replay:
        rows += replay_rows(replay, round(len(rows) * config.replay_share / (1 - config.replay_share)), rng)
    rng.shuffle(rows)
    return rows


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
    """The chunks told in other words, each as the answer to what it is about."""
    if not config.prose:
        return []
    return [Row(chat, text.text, "prose", text.id) for text, _, chat in told_texts(store, prompts)]


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
    return "" if _stands_in(canonical(right), canonical(passages)) else refusal


def _stands_in(answer: str, text: str) -> bool:
    """Whether the text has the answer as whole words and numbers: "3 kg" does not stand in "13 kg"."""
    before = "(?<![0-9a-z])" if answer[:1].isascii() else ""
    after = "(?![0-9a-z])" if answer[-1:].isascii() else ""
    return re.search(before + re.escape(answer) + after, text) is not None


def replay_rows(path: Path, count: int, rng: random.Random) -> list[Row]:
    """Up to `count` rows of a replay file, drawn without repetition. Raises ConfigError for rows of another form."""
    rows = []
    for number, row in enumerate(read_jsonl(path), 1):
        turns = row.get("messages")
        if not isinstance(turns, list) or not _is_chat(turns) or turns[-1]["role"] != "assistant":
            raise ConfigError(
                f'{path}, row {number}: a replay row is {{"messages": [{{"role": ..., "content": ...}}, ...]}} and ends'
                f" with an assistant's answer; this one has {', '.join(row) or 'nothing'}"
            )
        messages = tuple(Message(turn["role"], turn["content"]) for turn in turns)
        rows.append(Row(messages[:-1], messages[-1].content, "replay", f"{path.name}:{number}"))
    return rng.sample(rows, min(count, len(rows)))


def _is_chat(turns: Sequence[object]) -> bool:
    """Whether there are at least two turns, each with a role and text."""
    return len(turns) > 1 and all(
        isinstance(turn, dict) and isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str)
        for turn in turns
    )


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
