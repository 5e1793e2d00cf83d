"""The stages after the first: what each learns from, and its trainer."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kb.finetune.data import LabelledRow, PreferenceRow
from kb.finetune.job import Job
from kb.finetune.preference import (
    labelled_rows,
    own_preferences,
    preference_rows,
    read_labelled,
    read_rows,
    save_rows,
)
from kb.finetune.processes import together
from kb.finetune.stages import EXPERIMENTAL, PINNED, REWARD, VERIFIED
from kb.finetune.verified import VerifiedQuestion, declining_note, verified_questions
from kb.prompt import Prompts
from kb.runs import note_weak
from kb.store import Store
from kb.workspace import write_text

log = logging.getLogger(__name__)


@dataclass
class Sharpened:
    """What came of the stages after the first."""

    stage: str
    """The last one whose adapter is the run's; the first of all where none followed."""
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    """Stage to its figures."""
    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    """Stage to its rows by source."""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Material:
    """What the answers of the taught model give to learn from."""

    pairs: tuple[PreferenceRow, ...]
    labelled: tuple[LabelledRow, ...]
    note: str


def sharpen(job: Job, store: Store, prompts: Prompts) -> Sharpened:
    """The stages after the first, as far as they are missing; one with too few rows is left out, and a note says so."""
    first, *after = job.config.stages
    found = Sharpened(first)
    own = _material(job, store, prompts) if set(after) - set(VERIFIED) else None
    if own:
        found.notes.append(own.note)
    for stage in after:
        rows = _rows(stage, own, store, prompts)
        if len(rows) < job.config.dpo_least:
            what = "questions" if stage in VERIFIED else "preference rows"
            found.notes.append(f"{stage} left out: {len(rows)} {what}, fewer than {job.config.dpo_least}")
            continue
        found.metrics[stage] = _stage(job, stage, rows)
        if stage in VERIFIED:
            found.notes.append(declining_note(stage, found.metrics[stage], job.config.rl_declining))
        found.sources[stage] = dict(Counter(row.source for row in rows))
        found.stage = found.stage if stage == REWARD else stage
    found.notes = [note for note in found.notes if note]
    return found


def _rows(
    stage: str, own: Material | None, store: Store, prompts: Prompts
) -> Sequence[PreferenceRow | LabelledRow | VerifiedQuestion]:
    """What a stage learns from."""
    if own is None or stage in VERIFIED:
        return verified_questions(store, prompts)
    return own.labelled if stage == "kto" else own.pairs


def _material(job: Job, store: Store, prompts: Prompts) -> Material:
    """Preference rows and what the sampled answers said: sampled once, then read from the run's folder."""
    folder = job.folder / "answers"
    pairs, labelled, note = folder / "rows.jsonl", folder / "labelled.jsonl", folder / "own.txt"
    if not pairs.exists():
        from kb.finetune.training import free
        from kb.llm.local import LocalLLM
        from kb.llm.weights import load_weights

        weights = load_weights(job.base, job.model.load_in_4bit, job.model.batch_tokens, store)
        tuned = LocalLLM(weights, job.adapter(job.first), store)
        # The same weights with the adapter off, or those before all of them were trained.
        base = LocalLLM(weights, None, store)
        own = own_preferences(tuned, store, prompts, job.config, base)
        base.close()
        free()
        rows = preference_rows(own.rows, job.ready, job.config)
        note_weak(store, job.name, own.weak)
        write_text(note, own.note)
        save_rows(labelled, labelled_rows(rows, own.checked))
        save_rows(pairs, rows)
    return Material(tuple(read_rows(pairs)), tuple(read_labelled(labelled)), note.read_text(encoding="utf-8"))


def _stage(job: Job, stage: str, rows: Sequence[Any]) -> dict[str, float]:
    """Train a stage on its rows, unless it is done; its figures."""
    from kb.finetune.training import stage_figures

    # KTO compares the rows that are in memory together.
    least = 2 if stage == "kto" else 1
    return stage_figures(job.folder / stage, job.config.batch_size, lambda: together(_train, job, stage, rows), least)


def _train(job: Job, stage: str, rows: Sequence[Any]) -> dict[str, float]:
    from kb.finetune.model import trainable_adapter
    from kb.llm.weights import load_tokenizer

    tokenizer, folder = load_tokenizer(job.base), job.folder / stage
    if stage == REWARD:
        from kb.finetune.reward import train_reward

        return train_reward(job.base, job.model.load_in_4bit, tokenizer, rows, job.config, folder)
    if stage in EXPERIMENTAL:
        log.info("%s is in TRL's experimental set; kb has it for trl %s", stage, PINNED)
    first = job.adapter(job.first)
    model = trainable_adapter(job.base, job.model.load_in_4bit, job.config, first)
    return _trainer(stage)(model, tokenizer, rows, job.config, folder)


def _trainer(stage: str) -> Callable[..., dict[str, float]]:
    """The function that trains a stage from the adapter of the first; its libraries are loaded with it."""
    if stage == "dpo":
        from kb.finetune.dpo import train_dpo

        return train_dpo
    if stage == "kto":
        from kb.finetune.kto import train_kto

        return train_kto
    if stage in VERIFIED:
        from kb.finetune.reinforce import train_verified

        return train_verified
    from kb.finetune.unreferenced import train_unreferenced

    return train_unreferenced
