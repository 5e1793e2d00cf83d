"""What is distilled: the chat that the student is asked, and the one that its teacher reads. No torch here."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kb.errors import WorkspaceError
from kb.finetune.config import TrainConfig
from kb.finetune.data import Replay, Row, closed_rows, mixed_in, reading_rows
from kb.llm import Message, user
from kb.llm.tuned import TRAINED, placebo_documents
from kb.prompt import Prompts
from kb.records import Chunk, Fact, QAPair
from kb.retrieval.hybrid import Retriever, passages_text
from kb.store import Store

READ = {"short": "rag", "reversed": "rag", "refusal": "rag", "full": "rag_full"}
"""Form of a closed-book row to the prompt by which its teacher reads. For a detailed answer there is none."""


@dataclass(frozen=True)
class DistilRow(Row):
    """A chat that is to be answered as the teacher answers its own. `answer` is what is right, and is not trained."""

    teacher: tuple[Message, ...]
    """What the model is asked with its adapter off; the row's own messages where it is to stay as it is."""


def distil_rows(
    store: Store, prompts: Prompts, retriever: Retriever, config: TrainConfig, replay: Replay | None
) -> list[DistilRow]:
    """All rows of a run, shuffled by the seed. Raises WorkspaceError when there is nothing to distil.

    Questions without passages, whose teacher is asked with the fact's own passage among those that are found; trained
    questions without an answer, whose teacher sees that none of the passages has one; and, to stay as the base is,
    reading rows and replay, whose teacher is asked the same.
    """
    rows = list(_closed(store, prompts, retriever, config))
    if not rows:
        raise WorkspaceError("there are no QA pairs to distil. Make them with: kb generate-qa")
    rows += map(_staying, reading_rows(store, prompts, retriever, config))
    rng = random.Random(config.seed)
    if replay:
        rows += map(_staying, mixed_in(replay, len(rows), config, rng))
    rng.shuffle(rows)
    return rows


def _staying(row: Row) -> DistilRow:
    return DistilRow(row.messages, row.answer, row.kind, row.source, row.messages)


def _closed(store: Store, prompts: Prompts, retriever: Retriever, config: TrainConfig) -> Iterator[DistilRow]:
    """The closed-book rows whose answer a teacher can read, or can see to be missing.

    A question for which only documents that are never trained are found gives none, as in `reading_rows`.
    """
    pairs = {pair.id: pair for pair in store.all(QAPair, TRAINED)}
    facts = {fact.id: fact for fact in store.all(Fact)}
    placebo = placebo_documents(store)
    rows = [row for row in closed_rows(store, prompts, config) if row.kind in READ]
    questions = list(dict.fromkeys(pairs[row.source].question for row in rows))
    found = dict(zip(questions, retriever.search(questions), strict=True))
    for row in rows:
        pair = pairs[row.source]
        source = [] if row.kind == "refusal" else retriever.source(facts[pair.fact_id])
        hits = found[pair.question]
        shown = _with_source([hit.chunk for hit in hits if hit.chunk.document_id not in placebo], source)
        if shown or not hits:
            prompt = prompts.get("kb", READ[row.kind], pair.language)
            chat = user(prompt.fill(passages=passages_text(shown), question=pair.question), prompt.system)
            yield DistilRow(row.messages, row.answer, row.kind, row.source, chat)


def _with_source(found: Sequence[Chunk], source: Sequence[Chunk]) -> list[Chunk]:
    """As many passages as were found, in their order, those of the fact among them: they take the place of the last."""
    ids = {chunk.id for chunk in found}
    missing = [chunk for chunk in source if chunk.id not in ids]
    own = {chunk.id for chunk in source}
    others = [chunk for chunk in found if chunk.id not in own]
    spare = {chunk.id for chunk in others[max(len(others) - len(missing), 0) :]}
    return [chunk for chunk in found if chunk.id not in spare] + missing
