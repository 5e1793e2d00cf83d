"""`kb train`: QA pairs to an adapter by SFT, then DPO on the tuned model's own checked answers.

A run is keyed by its data, settings and base model: the same command again goes on with it, or says it is done. What a
stage has finished is its `adapter` folder; the run's manifest comes last.
"""

from __future__ import annotations

import gc
import json
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from kb.finetune.config import TrainConfig
from kb.finetune.data import PreferenceRow, data_hash
from kb.finetune.job import Job, plan, take_sft
from kb.finetune.known import ask_base, known_note, unasked
from kb.finetune.plan import Plan, make_plan, settled
from kb.finetune.preference import own_preferences, preference_rows, read_rows, save_rows
from kb.finetune.room import keep_room, within_memory
from kb.finetune.sizes import Tokens, in_tokens, sizes_of
from kb.llm.base import ModelConfig
from kb.llm.identity import combine, folder_identity
from kb.llm.tuned import questions_hash
from kb.prompt import Prompts
from kb.records import Fact
from kb.retrieval.hybrid import Retriever
from kb.runs import Lineage, note_weak, register
from kb.store import Store
from kb.workspace import Workspace, write_json, write_text

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainReport:
    """What a run trained."""

    name: str
    adapter: Path
    rows: dict[str, int]
    """SFT rows by kind."""
    preferences: dict[str, int]
    """DPO rows by source; empty when the stage was left out."""
    metrics: dict[str, dict[str, float]]
    """Stage to rows, steps and mean loss."""
    notes: tuple[str, ...]
    already_done: bool

    def lines(self) -> list[str]:
        """What was trained, for the terminal."""
        lines = [f"run {self.name}{' was done already' if self.already_done else ''}: {self.adapter}"]
        kinds = {"sft": self.rows, "dpo": self.preferences}
        for stage, figures in self.metrics.items():
            parts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds[stage].items()))
            lines.append(
                f"{stage}: {figures['rows']} rows ({parts}), {figures['steps']} steps, mean loss {figures['loss']}"
            )
        return [*lines, *self.notes]


@dataclass(frozen=True)
class Manifest:
    """A finished run as it stands in manifest.json."""

    stage: str
    """The stage whose adapter is the run's."""
    adapter_identity: str
    rows: dict[str, int]
    preferences: dict[str, int]
    metrics: dict[str, dict[str, float]]
    notes: tuple[str, ...]


def run(
    workspace: Workspace, config: TrainConfig, model: ModelConfig, prompts: Prompts, retriever: Retriever
) -> TrainReport:
    """Train what is missing of the run that these settings name, and register its adapter.

    Raises UsageError, WorkspaceError and ModelUnavailable before anything is trained; KBError when a row does not fit,
    the loss is not a number or memory runs out.
    """
    job = plan(workspace, config, model, prompts, retriever)
    manifest = finished(job)
    done = manifest or _train(job, workspace.store, prompts)
    register(workspace.store, job.name, asdict(config), done.metrics, _lineage(workspace.store, job, done, prompts))
    return TrainReport(
        job.name, job.adapter(done.stage), done.rows, done.preferences, done.metrics, tuple(done.notes), bool(manifest)
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
        yield


@_quiet()
def _train(job: Job, store: Store, prompts: Prompts) -> Manifest:
    """Both stages, as far as they are missing, and the manifest."""
    settings = asdict(job.config) | {"base": str(job.base), "base_identity": job.base_identity}
    write_json(job.folder / "config.json", settings)
    tokens = in_tokens(job)
    made = make_plan(job, tokens, store)
    _announce(job, made)
    job = settled(job, made.room)
    last, notes, sources = "sft", _known(job, store, prompts), {}
    metrics = {"sft": _sft(job, tokens, made, store)}
    if "dpo" in job.config.stages:
        preferences, note = _preferences(job, store, prompts)
        notes.append(note)
        if len(preferences) < job.config.dpo_least:
            notes.append(f"DPO left out: {len(preferences)} preference rows, fewer than {job.config.dpo_least}")
        else:
            last = "dpo"
            metrics["dpo"] = _dpo(job, preferences)
            sources = dict(Counter(row.source for row in preferences))
    rows = dict(Counter(row.kind for row in job.rows))
    manifest = Manifest(last, folder_identity(job.adapter(last)), rows, sources, metrics, tuple(notes))
    write_json(job.folder / "manifest.json", asdict(manifest))
    return manifest


def _known(job: Job, store: Store, prompts: Prompts) -> list[str]:
    """Measure what the base knew where only another model was asked, and the note on it, if there is any."""
    from kb.llm.local import LocalLLM, load_weights, weights_identity

    identity = weights_identity(job.base, job.model.load_in_4bit, store)
    facts = unasked(store, identity)
    if facts:
        log.info("knownness: another model was asked; the one that is trained is asked about %d facts", len(facts))
        base = LocalLLM(load_weights(job.base, job.model.load_in_4bit, job.model.batch_tokens, store), None, store)
        ask_base(base, store, prompts, facts)
        base.close()
        _free()
    note = known_note(store, identity)
    return [note] if note else []


def _announce(job: Job, made: Plan) -> None:
    """Say what is planned while SFT is still to be done. Raises KBError for what cannot fit."""
    if job.adapter("sft").exists():
        return
    for line in made.lines():
        log.info("%s", line)
    made.refuse()
    for line in made.warnings:
        log.warning("%s", line)


def _sft(job: Job, tokens: Tokens, made: Plan, store: Store) -> dict[str, float]:
    if not job.adapter("sft").exists():
        taken = take_sft(job)
        if taken:
            log.info("sft: taken from run %s, which has the same data and settings", taken)
    folder, four_bit = job.folder / "sft", job.model.load_in_4bit
    # Also where SFT is done: DPO's order of rows follows from it.
    keep_room(folder, made.room)
    if job.adapter("sft").exists():
        return _stage_metrics(job, "sft")
    write_text(folder / "key", job.sft_key)
    from kb.finetune.model import trainable_base
    from kb.finetune.rehearsal import Rehearsal
    from kb.finetune.sft import train_sft
    from kb.llm.local import load_tokenizer

    sizes = sizes_of(job, tokens, made.card)
    tokenizer = load_tokenizer(job.base)

    def attempt() -> dict[str, float]:
        _free()
        rehearsal = Rehearsal(made, sizes, store, folder)
        return train_sft(trainable_base(job.base, four_bit), tokenizer, tokens.examples, job.config, folder, rehearsal)

    return _done(job, "sft", within_memory(folder, job.config.batch_size, attempt))


def _preferences(job: Job, store: Store, prompts: Prompts) -> tuple[list[PreferenceRow], str]:
    """What DPO is trained on, and what the sampled answers said: sampled once, then read from the run's folder."""
    file, note = job.folder / "dpo" / "rows.jsonl", job.folder / "dpo" / "own.txt"
    if file.exists():
        return read_rows(file), note.read_text(encoding="utf-8") if note.exists() else ""
    from kb.llm.local import LocalLLM, load_weights

    weights = load_weights(job.base, job.model.load_in_4bit, job.model.batch_tokens, store)
    tuned = LocalLLM(weights, job.adapter("sft"), store)
    # The same weights with the adapter off.
    base = LocalLLM(weights, None, store)
    own = own_preferences(tuned, store, prompts, job.config, base)
    tuned.close()
    _free()
    rows = preference_rows(own.rows, job.ready, job.config)
    note_weak(store, job.name, own.weak)
    write_text(note, own.note)
    save_rows(file, rows)
    return rows, own.note


def _dpo(job: Job, rows: Sequence[PreferenceRow]) -> dict[str, float]:
    if job.adapter("dpo").exists():
        return _stage_metrics(job, "dpo")
    from kb.finetune.dpo import train_dpo
    from kb.finetune.model import trainable_adapter, trainable_base
    from kb.llm.local import load_tokenizer

    folder, tokenizer = job.folder / "dpo", load_tokenizer(job.base)

    def attempt() -> dict[str, float]:
        _free()
        model = trainable_adapter(trainable_base(job.base, job.model.load_in_4bit), job.adapter("sft"))
        return train_dpo(model, tokenizer, rows, job.config, folder)

    return _done(job, "dpo", within_memory(folder, job.config.batch_size, attempt))


def _done(job: Job, stage: str, metrics: dict[str, float]) -> dict[str, float]:
    """Tidy up after a stage: its memory, and the checkpoints that no resume needs any more."""
    from kb.finetune.training import remove_scaffolding

    _free()
    remove_scaffolding(job.folder / stage)
    return metrics


def _stage_metrics(job: Job, stage: str) -> dict[str, float]:
    """Figures of a stage that is done; they are written before its adapter."""
    found: dict[str, float] = json.loads((job.folder / stage / "result.json").read_text(encoding="utf-8"))
    return _done(job, stage, found)


def _lineage(store: Store, job: Job, done: Manifest, prompts: Prompts) -> Lineage:
    documents = store.sql("SELECT sha256 FROM documents WHERE retired = 0 ORDER BY sha256")
    return Lineage(
        base=job.model.name, base_identity=job.base_identity, adapter=str(job.adapter(done.stage)),
        adapter_identity=done.adapter_identity, data=data_hash(job.rows),
        documents=combine(row["sha256"] for row in documents), facts=store.count(Fact),
        questions=questions_hash(store), tag=prompts.tag, **_before_dpo(job, done),
    )  # fmt: skip


def _before_dpo(job: Job, done: Manifest) -> dict[str, str]:
    """What SFT alone left, for an evaluation that sets DPO against it."""
    if done.stage == "sft":
        return {}
    adapter = job.adapter("sft")
    return {"sft_adapter": str(adapter), "sft_identity": folder_identity(adapter)}


def _free() -> None:
    """Give the model's memory back before the next one is loaded."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
