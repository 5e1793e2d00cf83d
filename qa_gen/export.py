"""What `kb generate-qa` made, as files people and other tools read: UTF-8, not escaped, one object a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kb.prompt import Prompts
from kb.qa_gen.asking import STAGE, Failed
from kb.qa_gen.formats import alpaca, messages, preference
from kb.qa_gen.rows import trained_rows
from kb.records import Fact, Question
from kb.store import Store
from kb.text.right import right_answer
from kb.workspace import write_json, write_jsonl


def export(store: Store, folder: Path, prompts: Prompts, failed: Sequence[Failed]) -> dict[str, int]:
    """Write all datasets to `folder`; without a manifest, which is written last, they are not whole.

    Returns rows by file name. Probes are in a file of their own; of the others, only what was rejected can have their
    words, as near misses and doubles of them.
    """
    (folder / "manifest.json").unlink(missing_ok=True)
    rows = trained_rows(store, prompts)
    questions = store.all(Question)
    facts = {fact.id: fact for fact in store.all(Fact)}
    counts = {
        "alpaca.jsonl": write_jsonl(folder / "alpaca.jsonl", map(alpaca, rows.sft)),
        "messages.jsonl": write_jsonl(folder / "messages.jsonl", map(messages, rows.sft)),
        "preferences.jsonl": write_jsonl(folder / "preferences.jsonl", map(preference, rows.preference)),
        "facts.jsonl": write_jsonl(folder / "facts.jsonl", map(fact_row, facts.values())),
        "probes.jsonl": write_jsonl(
            folder / "probes.jsonl", (probe_row(q, facts) for q in questions if q.split == "probe")
        ),
        "rejected.jsonl": write_jsonl(
            folder / "rejected.jsonl",
            map(dict, store.sql("SELECT * FROM rejects WHERE stage = ? ORDER BY rowid", STAGE)),
        ),
        "failed.jsonl": write_jsonl(folder / "failed.jsonl", map(asdict, failed)),
    }
    write_json(folder / "manifest.json", counts)
    return counts


def fact_row(fact: Fact) -> dict[str, Any]:
    """A fact with its evidence."""
    return {
        "id": fact.id, "statement": fact.statement, "answer": fact.answer, "type": fact.answer_type,
        "evidence": fact.evidence, "chunk": fact.chunk_id, "start": fact.start, "end": fact.end,
        "language": fact.language, "taught": fact.taught,
    }  # fmt: skip


def probe_row(question: Question, facts: dict[str, Fact]) -> dict[str, Any]:
    """A held-out question with its answer; empty where the documents have none. Never to be trained on.

    `translated` is the answer to a question in the other language, where it is written in another way there.
    """
    fact = facts.get(question.fact_id) if question.fact_id and not question.open else None
    return {
        "id": question.id, "kind": question.kind, "question": question.text,
        "answer": right_answer(question, fact).answer if fact else "",
        "translated": question.answer if question.kind == "cross_lingual" else "", "fact": question.fact_id,
    }  # fmt: skip
