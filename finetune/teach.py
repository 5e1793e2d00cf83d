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
    """SFT before its first step."""

    tokens: Tokens
    plan: Plan


def prepared(job: Job, store: Store) -> tuple[Job, Prepared | None]:
    """The job with what its plan has picked, which is said where the first stage is still to be done.

    Distillation has no plan: what it holds in memory depends on answers that are not written yet. Raises KBError for
    what cannot fit, and as `kb.finetune.batches.encode` does.
    """
    if job.first != "sft":
        return job, None
    tokens = in_tokens(job)
    made = make_plan(job, tokens, store)
    if not job.adapter(job.first).exists():
        for line in made.lines():
            log.info("%s", line)
        made.refuse()
        for line in made.warnings:
            log.warning("%s", line)
    return settled(job, made.room), Prepared(tokens, made)


def teach(job: Job, made: Prepared | None, store: Store) -> dict[str, float]:
    """Train the first stage, unless it is done here or was in another run; its figures."""
    from kb.finetune.training import stage_figures

    folder = job.folder / job.first
    if not job.adapter(job.first).exists():
        taken = take_first(job)
        if taken:
            log.info("%s: taken from run %s, which has the same data and settings", job.first, taken)
    if made:
        # Also where SFT is done: the order of rows in the stages after it follows from it.
        keep_room(folder, made.plan.room)
    return stage_figures(folder, job.config.batch_size, lambda: _train(job, made, store))


def _train(job: Job, made: Prepared | None, store: Store) -> dict[str, float]:
    write_text(job.folder / job.first / "key", job.first_key)
    return _sft(job, made, store) if made else _distil(job)


def _sft(job: Job, made: Prepared, store: Store) -> dict[str, float]:
    from kb.finetune.rehearsal import Rehearsal

    tokens = made.tokens
    if count() > 1:
        # The step of a rehearsal would be one of a process alone.
        return together(_on_base, job, tokens.examples, None)
    rehearsal = Rehearsal(made.plan, sizes_of(job, tokens, made.plan.card), store, job.folder / "sft")
    return _on_base(job, tokens.examples, rehearsal)


def _on_base(job: Job, examples: Sequence[Example], rehearsal: Rehearsal | None) -> dict[str, float]:
    from kb.finetune.model import trainable_base
    from kb.finetune.sft import train_sft
    from kb.llm.local import load_tokenizer

    model = trainable_base(job.base, job.model.load_in_4bit, job.config)
    return train_sft(model, load_tokenizer(job.base), examples, job.config, job.folder / "sft", rehearsal)


def _distil(job: Job) -> dict[str, float]:
    from kb.finetune.distil import train_distil
    from kb.finetune.model import trainable_base
    from kb.llm.local import load_tokenizer

    rows = [row for row in job.rows if isinstance(row, DistilRow)]
    model = trainable_base(job.base, job.model.load_in_4bit, job.config)
    return train_distil(model, load_tokenizer(job.base), rows, job.config, job.folder / "distil")
