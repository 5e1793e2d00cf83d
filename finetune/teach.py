"""The first stage of a run, which puts the documents into the model: its plan, then SFT or distillation."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kb.finetune.batches import Example
from kb.finetune.contexts import DistilRow
from kb.finetune.job import Job, take_first
from kb.finetune.plan import Plan, make_plan, settled
from kb.finetune.processes import count, together
from kb.finetune.room import keep_room
from kb.finetune.sizes import Tokens, in_tokens, sizes_of
from kb.store import Store
from kb.workspace import write_text

if TYPE_CHECKING:
    from kb.finetune.rehearsal import Rehearsal

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """The first stage before its first step."""

    tokens: Tokens
    plan: Plan


def prepared(job: Job, store: Store) -> tuple[Job, Prepared]:
    """The job with what its plan has picked, which is said where the first stage is still to be done.

    Raises KBError for what cannot fit, and as `kb.finetune.batches.encode` does.
    """
    tokens = in_tokens(job)
    made = make_plan(job, tokens, store)
    if not job.adapter(job.first).exists():
        for line in made.lines():
            log.info("%s", line)
        made.refuse()
        for line in made.warnings:
            log.warning("%s", line)
    return settled(job, made.room), Prepared(tokens, made)


def teach(job: Job, made: Prepared, store: Store) -> dict[str, float]:
    """Train the first stage, unless it is done here or was in another run; its figures."""
    from kb.finetune.training import stage_figures

    folder = job.folder / job.first
    if not job.adapter(job.first).exists():
        taken = take_first(job)
        if taken:
            log.info("%s: taken from run %s, which has the same data and settings", job.first, taken)
    # Also where it is done: the order of rows in the stages after it follows from it.
    keep_room(folder, made.plan.room)
    return stage_figures(folder, job.config.batch_size, lambda: _train(job, made, store))


def _train(job: Job, made: Prepared, store: Store) -> dict[str, float]:
    from kb.finetune.rehearsal import Rehearsal

    folder, tokens = job.folder / job.first, made.tokens
    write_text(folder / "key", job.first_key)
    if count() > 1:
        # The step of a rehearsal would be one of a process alone.
        return together(_on_base, job, tokens.examples, None)
    rehearsal = Rehearsal(made.plan, sizes_of(job, tokens, made.plan.card), store, folder)
    return _on_base(job, tokens.examples, rehearsal)


def _on_base(job: Job, examples: Sequence[Example], rehearsal: Rehearsal | None) -> dict[str, float]:
    from kb.finetune.model import trainable_base
    from kb.llm.weights import load_tokenizer

    folder = job.folder / job.first
    model, tokenizer = trainable_base(job.base, job.model.load_in_4bit, job.config), load_tokenizer(job.base)
    if job.first == "distil":
        from kb.finetune.distil import train_distil

        rows = [row for row in job.rows if isinstance(row, DistilRow)]
        return train_distil(model, tokenizer, rows, job.config, folder, rehearsal)
    from kb.finetune.sft import train_sft

    return train_sft(model, tokenizer, examples, job.config, folder, rehearsal)
