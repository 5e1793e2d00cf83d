"""`kb train`: QA pairs to an adapter by SFT, then by what sharpens it, such as DPO on the model's own checked answers.

A run is keyed by its data, settings and base model: the same command again goes on with it, or says it is done. What a
stage has finished is its `adapter` folder; the run's manifest comes last.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kb.finetune.config import TrainConfig
from kb.finetune.data import data_hash, forgetting
from kb.finetune.device import check_device, check_still_there, device_name
from kb.finetune.job import Job, plan
from kb.finetune.known import ask_base, known_note, unasked
from kb.finetune.processes import check_shared, leading
from kb.finetune.scaling import scale_lines
from kb.finetune.sharpen import sharpen
from kb.finetune.stopping import Rules, read_looks, summary
from kb.finetune.teach import prepared, teach
from kb.finetune.untrained import Untrained
from kb.finetune.watchlist import with_known, write_watchlist
from kb.llm.base import ModelConfig
from kb.llm.identity import combine, folder_identity
from kb.llm.tuned import questions_hash
from kb.prompt import Prompts
from kb.records import Fact
from kb.retrieval.hybrid import Retriever
from kb.runs import Lineage, register
from kb.store import Store
from kb.workspace import Workspace, write_json

log = logging.getLogger(__name__)

ALWAYS = ("rows", "steps", "planned", "loss")
"""Figures that every stage has."""
FULL_RATE = 5e-5
"""Learning rate above which training all weights is warned of: the best for LoRA is about ten times the best there
(LoRA Without Regret, 2025)."""


@dataclass(frozen=True)
class TrainReport:
    """What a run trained."""

    name: str
    adapter: Path
    rows: dict[str, int]
    """Rows of the first stage by kind."""
    sources: dict[str, dict[str, int]]
    """Stage after it to its rows by source; one that was left out is not there."""
    metrics: dict[str, dict[str, float]]
    """Stage to rows, steps and mean loss, and what else there is to say of it."""
    notes: tuple[str, ...]
    already_done: bool

    def lines(self) -> list[str]:
        """What was trained, for the terminal."""
        lines = [f"run {self.name}{' was done already' if self.already_done else ''}: {self.adapter}"]
        for stage, figures in self.metrics.items():
            kinds = self.sources.get(stage, self.rows)
            parts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            more = "".join(f", {name} {value}" for name, value in figures.items() if name not in ALWAYS)
            steps = f"{figures['steps']} steps, mean loss {figures['loss']}"
            lines.append(f"{stage}: {figures['rows']} rows ({parts}), {steps}{more}")
        return [*lines, *self.notes]


@dataclass(frozen=True)
class Manifest:
    """A finished run as it stands in manifest.json."""

    stage: str
    """The stage whose adapter is the run's."""
    adapter_identity: str
    rows: dict[str, int]
    sources: dict[str, dict[str, int]]
    metrics: dict[str, dict[str, float]]
    notes: tuple[str, ...]


@leading()
def run(
    workspace: Workspace, config: TrainConfig, model: ModelConfig, prompts: Prompts, retriever: Retriever
) -> TrainReport:
    """Train what is missing of the run that these settings name, and register its adapter.

    Raises UsageError, WorkspaceError and ModelUnavailable before anything is trained; KBError when a row does not fit,
    the loss is not a number, memory runs out or the GPU that it was begun on is gone.
    """
    check_shared(config, model.load_in_4bit)
    check_device(config)
    untrained = Untrained(model, workspace.store)
    job = plan(workspace, config, model, prompts, retriever, untrained)
    manifest = finished(job)
    done = manifest or _train(job, workspace.store, prompts, untrained)
    register(workspace.store, job.name, asdict(config), done.metrics, _lineage(workspace.store, job, done, prompts))
    return TrainReport(
        job.name, job.adapter(done.stage), done.rows, done.sources, done.metrics, tuple(done.notes), bool(manifest)
    )


def finished(job: Job) -> Manifest | None:
    """The manifest of a run that is done; None where it is missing, or its adapter is gone or not the one it names."""
    file = job.folder / "manifest.json"
    if not file.exists():
        return None
    manifest = Manifest(**json.loads(file.read_text(encoding="utf-8")))
    adapter = job.adapter(manifest.stage)
    whole = adapter.exists() and folder_identity(adapter) == manifest.adapter_identity
    return manifest if whole else None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings by which TRL, transformers and peft tell each other what will be renamed some day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.filterwarnings("ignore", "You are importing from 'trl.experimental'")
        yield


@_quiet()
def _train(job: Job, store: Store, prompts: Prompts, untrained: Untrained) -> Manifest:
    """Every stage, as far as it is missing, and the manifest."""
    check_still_there(job.folder)
    if job.config.tuning == "full" and job.config.learning_rate > FULL_RATE:
        log.warning("learning_rate %g is one for LoRA; all weights want about a tenth", job.config.learning_rate)
    settings = asdict(job.config) | {"base": str(job.base), "base_identity": job.base_identity, "device": device_name()}
    write_json(job.folder / "config.json", settings)
    job, made = prepared(job, store)
    notes = _known(untrained, store, prompts)
    alone = forgetting(job.rows)
    if alone:
        log.warning("%s", alone)
        notes.append(alone)
    _begin_watch(job, store, prompts, untrained.identity)
    metrics = {job.first: teach(job, made, store)}
    after = sharpen(job, store, prompts)
    notes += [*after.notes, *_watched(job, metrics | after.metrics)]
    manifest = Manifest(
        after.stage, folder_identity(job.adapter(after.stage)), dict(Counter(row.kind for row in job.rows)),
        after.sources, metrics | after.metrics, tuple(notes),
    )  # fmt: skip
    write_json(job.folder / "manifest.json", asdict(manifest))
    return manifest


def _known(untrained: Untrained, store: Store, prompts: Prompts) -> list[str]:
    """Measure what the base knew where only another model was asked, and the note on it, if there is any.

    Nothing asks the base after this: its memory is freed.
    """
    from kb.finetune.training import free

    facts = unasked(store, untrained.identity)
    if facts:
        log.info("knownness: another model was asked; the one that is trained is asked about %d facts", len(facts))
        ask_base(untrained, store, prompts, facts)
    untrained.close()
    free()
    note = known_note(store, untrained.identity)
    return [note] if note else []


def _begin_watch(job: Job, store: Store, prompts: Prompts, identity: str) -> None:
    """Leave the watchlist where every stage finds it, with what the base of this identity knows of the facts."""
    if job.watchlist.facts:
        write_watchlist(job.folder, with_known(job.watchlist, store, prompts, identity))
    elif job.config.watch:
        log.info("watch: no fact has held-out wordings, so nothing is watched")


def _watched(job: Job, metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What was seen while the stages were trained."""
    looks = {stage: read_looks(job.folder / stage) for stage in metrics}
    return [
        line for stage, figures in metrics.items()
        for line in (
            *summary(stage, looks[stage], Rules.of(job.config, stage), int(figures["planned"])),
            *scale_lines(job.folder / stage),
        )
    ]  # fmt: skip


def _lineage(store: Store, job: Job, done: Manifest, prompts: Prompts) -> Lineage:
    documents = store.sql("SELECT path, sha256 FROM documents WHERE retired = 0 ORDER BY sha256")
    return Lineage(
        base=job.model.name, base_identity=job.base_identity, adapter=str(job.adapter(done.stage)),
        adapter_identity=done.adapter_identity, data=data_hash(job.rows),
        documents=combine(row["sha256"] for row in documents), facts=store.count(Fact),
        questions=questions_hash(store), tag=prompts.tag, files={row["path"]: row["sha256"] for row in documents},
        watched=job.watchlist.facts if job.watchlist.decides else (), **_unsharpened(job, done),
    )  # fmt: skip


def _unsharpened(job: Job, done: Manifest) -> dict[str, Any]:
    """What the first stage alone left, for an evaluation that sets the one after it against it."""
    if done.stage == job.first:
        return {}
    adapter = job.adapter(job.first)
    return {"sft_adapter": str(adapter), "sft_identity": folder_identity(adapter)}
