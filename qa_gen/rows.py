"""What `kb train` trains without passages, row by row, before a tool's own form is put on it. Never a probe."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from kb.errors import UsageError
from kb.llm import Message
from kb.llm.closed import closed_prompt, told_texts
from kb.llm.tuned import TRAINED
from kb.prompt import Prompts
from kb.records import PreferencePair, QAPair, Question, make_id
from kb.store import Store
from kb.text.canonical import canonical


@dataclass(frozen=True)
class Row:
    """A chat and its answer; of a preference pair also the answer to move away from."""

    id: str
    """Of the QA pair or the preference pair."""
    fact: str
    """Id of the fact; empty for a question that the documents do not answer."""
    question_id: str
    question: str
    """Without the prompt around it."""
    kind: str
    """short, full, reversed, refusal, detailed or prose; of a preference pair swap or refusal."""
    language: str
    chat: tuple[Message, ...]
    """What is asked: the user's message, with a system message before it if the prompt has one."""
    answer: str
    chunk: str
    """Rows of one chunk are on the same side of a split: its texts tell what its questions ask."""
    rejected: str = ""

    @property
    def system(self) -> str:
        """The system message; empty when there is none."""
        return self.chat[0].content if len(self.chat) > 1 else ""

    @property
    def asked(self) -> str:
        """The user's message."""
        return self.chat[-1].content


@dataclass(frozen=True)
class Rows:
    """All rows of a set, in the order they were made."""

    sft: tuple[Row, ...]
    preference: tuple[Row, ...]
    left_out: int = 0
    """Rows whose question is also a held-out one: two sets made apart, of which a document came back."""


def trained_rows(store: Store, prompts: Prompts) -> Rows:
    """Every QA pair and preference pair of a training question, asked as `kb train` asks it."""
    held_out = {canonical(question.text) for question in store.all(Question, "split = 'probe'")}
    chunks = {question.id: question.chunk_id for question in store.all(Question, "split = 'train'")}
    pairs = [_pair_row(pair, prompts, chunks[pair.question_id]) for pair in store.all(QAPair, TRAINED)]
    pairs += _prose_rows(store, prompts)
    preferences = [
        _preference_row(pair, prompts, chunks[pair.question_id]) for pair in store.all(PreferencePair, TRAINED)
    ]
    sft, preference = _without(pairs, held_out), _without(preferences, held_out)
    return Rows(sft, preference, len(pairs) + len(preferences) - len(sft) - len(preference))


def _pair_row(pair: QAPair, prompts: Prompts, chunk: str) -> Row:
    chat = closed_prompt(prompts, pair.question, pair.language, pair.form)
    return Row(
        pair.id, pair.fact_id, pair.question_id, pair.question, pair.form, pair.language, chat, pair.answer,
        chunk,
    )  # fmt: skip


def _prose_rows(store: Store, prompts: Prompts) -> list[Row]:
    """The chunks told in other words."""
    return [
        Row(text.id, "", "", about, "prose", text.language, chat, text.text, text.chunk_id)
        for text, about, chat in told_texts(store, prompts)
    ]


def _preference_row(pair: PreferencePair, prompts: Prompts, chunk: str) -> Row:
    chat = closed_prompt(prompts, pair.question, pair.language)
    return Row(
        pair.id, pair.fact_id, pair.question_id, pair.question, pair.source, pair.language, chat, pair.chosen,
        chunk, pair.rejected,
    )  # fmt: skip


def _without(rows: Sequence[Row], held_out: Collection[str]) -> tuple[Row, ...]:
    return tuple(row for row in rows if canonical(row.question) not in held_out)


def split(rows: Rows, validation: float) -> dict[str, Rows]:
    """The rows by split: "train", and "validation" with this share of the chunks where it is not 0.

    A chunk is wholly on one side, with its facts and texts, and a hash of its id decides the order in which chunks are
    taken, so that a set that has grown a little is split almost alike. Raises UsageError for a share that leaves
    nothing to train.
    """
    if not 0 <= validation < 1:
        raise UsageError(f"--validation {validation}: expected a share of the chunks, 0 or more and less than 1")
    groups = sorted({row.chunk for row in rows.sft}, key=lambda group: make_id("", group))
    count = min(max(1, round(validation * len(groups))), len(groups) - 1) if validation else 0
    if not count:
        return {"train": rows}
    chosen = set(groups[:count])
    return {"train": _of(rows, chosen, False), "validation": _of(rows, chosen, True)}


def _of(rows: Rows, groups: Collection[str], inside: bool) -> Rows:
    """The rows of these groups, or of all others."""
    sft, preference = (
        tuple(row for row in some if (row.chunk in groups) == inside) for some in (rows.sft, rows.preference)
    )
    return Rows(sft, preference)
