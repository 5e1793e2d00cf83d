"""The records that flow through kb: document, chunk, fact, questions, pairs, probes, answers, scores.

Every record is frozen, and its `id` is a hash of what it is made of, so making it twice gives the same record. A table
of `kb.db` with the record's fields as columns holds each of them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field


def make_id(prefix: str, *parts: object) -> str:
    """A stable id such as `fct_1a2b3c4d5e6f7a8b`: prefix and 16 hex digits of SHA-256 over the parts."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).hexdigest()
    return f"{prefix}_{digest[:16]}"


@dataclass(frozen=True)
class Document:
    """One file as it was read. The same bytes are the same document, wherever they lie."""

    id: str
    path: str
    """Absolute path of the file when it was last seen."""
    sha256: str
    format: str
    """pdf, docx, pptx, txt or md."""
    title: str
    language: str
    """zh or en: what most of its letters are."""
    text: str
    """Everything that was read, in reading order; all spans are offsets into it, in characters."""
    notes: tuple[str, ...] = ()
    """What the reader should know about the reading: encoding guessed, pages without text."""
    lineage: str = ""
    """Id of the first version of this file; chunk ids hang from it, so unchanged chunks keep theirs."""


@dataclass(frozen=True)
class Chunk:
    """A slice of a document under one heading path: what facts are made from, or a passage of that, to be searched.

    A chunk that is short enough is its own passage.
    """

    id: str
    document_id: str
    ordinal: int
    text: str
    """Exactly `document.text[start:end]`."""
    header: str
    """Title and heading path, "Handbook > Products > Tulvao Core": goes with the text to prompts and indexes."""
    language: str
    start: int
    end: int
    page: int = 0
    """Page or slide the chunk starts on, from 1; 0 where the format has none."""
    tokens: int = 0
    """Estimated tokens."""
    section: str = ""
    """Id of the chunk that this passage is a part of; empty for that chunk itself."""

    @property
    def root(self) -> str:
        """Id of the chunk that facts and questions hang from: its section's, or its own."""
        return self.section or self.id


@dataclass(frozen=True)
class Fact:
    """One thing a document says, with the verbatim span that says it."""

    id: str
    chunk_id: str
    statement: str
    """Stands alone: names instead of pronouns."""
    answer: str
    """The canonical short answer."""
    answer_type: str
    """number, money, date, code, name or text: decides how answers are compared."""
    evidence: str
    """Verbatim from the document."""
    start: int
    end: int
    """Span of the evidence in the document's text."""
    language: str
    aliases: tuple[str, ...] = ()
    full_answer: str = ""
    """A sentence that answers the question, given by the model with the passages at hand."""
    taught: str = "questions"
    """questions; text: only in texts that tell the chunk in other words; never: only probed."""


@dataclass(frozen=True)
class FactSource:
    """A further place that states a fact."""

    id: str
    fact_id: str
    chunk_id: str
    evidence: str
    """Verbatim from the document."""
    start: int
    end: int
    """Span of the evidence in the document's text."""


@dataclass(frozen=True)
class Rewrite:
    """A chunk told in other words, to be trained as text."""

    id: str
    chunk_id: str
    style: str
    """plain, explanatory or dense."""
    text: str
    language: str
    prompt: str
    """Name and hash of the prompt that wrote it."""


@dataclass(frozen=True)
class Question:
    """A wording of a question. `split` "train" may be trained on; "probe" never is."""

    id: str
    chunk_id: str
    fact_id: str
    """Empty for questions that the documents do not answer."""
    kind: str
    """answerable; near_miss or unanswerable, which nothing answers; reversed: asks what the answer belongs to;
    cross_lingual: asked in the other language; detailed: asks for more than one fact."""
    split: str
    text: str
    language: str
    prompt: str
    """Name and hash of the prompt that wrote it."""
    answer: str = ""
    """What is right, where that is not the fact's answer; of a cross_lingual question what is right besides it, in the
    question's language. Empty where the fact's answer says it all.
    """

    @property
    def open(self) -> bool:
        """Whether the documents leave it open, and not knowing is the right answer."""
        return self.kind in OPEN


OPEN = ("near_miss", "unanswerable")
"""Kinds of question that the documents do not answer."""


@dataclass(frozen=True)
class Knownness:
    """How well a model knew a fact before it was trained, by closed-book samples."""

    id: str
    fact_id: str
    model: str
    """Identity of the model that was asked."""
    samples: int
    correct: int

    @property
    def level(self) -> str:
        """known: every sample was right; unknown: none was; maybe: some were."""
        if not self.correct:
            return "unknown"
        return "known" if self.correct == self.samples else "maybe"


@dataclass(frozen=True)
class QAPair:
    """A row to train on."""

    id: str
    question_id: str
    fact_id: str
    form: str
    """short, full, refusal, reversed or detailed."""
    question: str
    answer: str
    language: str


@dataclass(frozen=True)
class PreferencePair:
    """A row for preference training: the same prompt, a right and a wrong answer."""

    id: str
    question_id: str
    fact_id: str
    source: str
    """swap (same-type value of another fact) or refusal (a near miss answered as if it were known)."""
    question: str
    chosen: str
    rejected: str
    language: str


@dataclass(frozen=True)
class Probe:
    """A question of the evaluation, with what counts as right."""

    id: str
    fact_id: str
    """The cluster of the statistics; for rings, an id of their own."""
    kind: str
    """held_out, trained, near_miss, unanswerable; known, reading or never (rings); text_only, placebo, reversed or
    cross_lingual: what is measured apart; following: an instruction."""
    question: str
    gold: str
    """Empty where not knowing is the right answer; of an instruction its constraints, as JSON."""
    answer_type: str
    language: str
    aliases: tuple[str, ...] = ()
    passages: str = ""
    """Given passages (oracle or a reading ring); empty where the arm decides."""


@dataclass(frozen=True)
class Score:
    """The verdict on one answer of one arm."""

    probe_id: str
    arm: str
    answer: str
    verdict: str
    """correct, wrong, abstained or unparsed."""
    rule: str
    """The rule of the scorer that decided."""
    passages: tuple[str, ...] = field(default=())
    """Ids of the chunks that were shown."""
    tokens: int = 0
    """Prompt and completion tokens."""
    seconds: float = 0.0


FINDINGS = (
    "question_defect", "retrieval_defect", "under_trained", "phrasing_overfit", "unstable", "reversed_fails",
    "ignores_context", "near_miss_answered", "learnt",
)  # fmt: skip
"""What an evaluation may find of a fact, in the order in which it is to be seen to; `kb.evaluate.diagnosis` says what
each means.
"""


@dataclass(frozen=True)
class Diagnosis:
    """What an evaluation finds of a fact, and so what is to be done about it."""

    fact_id: str
    findings: tuple[str, ...]
    """Of FINDINGS, in their order; none where what was asked does not tell."""


@dataclass(frozen=True)
class Verdict:
    """What a filter says of an item."""

    keep: bool
    reason: str = ""
    """Why not: a few words that are counted and shown."""


KEEP = Verdict(True)
