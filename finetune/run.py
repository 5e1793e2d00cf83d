"""`kb train`: QA pairs to an adapter by SFT, then DPO on the tuned model's own checked answers.

A run is keyed by its data, settings and base model: the same command again goes on with it, or says it is done. What a
stage has finished is its `adapter` folder; the run's manifest comes last.
"""

from __future__ import annotations

import gc
import json
import logging
import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kb.finetune.batches import Example, encode, fitting_micro_batch, padded_tokens, training_order
from kb.finetune.config import TrainConfig
from kb.finetune.data import PreferenceRow, data_hash
from kb.finetune.job import Job, plan, take_sft
from kb.finetune.known import ask_base, known_note, unasked
from kb.finetune.memory import GIB, SAFETY, cure, estimate, model_shape
from kb.finetune.preference import own_preferences, preference_rows, read_rows, save_rows
from kb.finetune.stopping import Rules, read_looks, summary
from kb.finetune.watchlist import with_known, write_watchlist
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
    last, notes, sources = "sft", _known(job, store, prompts), {}
    _begin_watch(job, store, prompts)
    metrics = {"sft": _sft(job)}
    if "dpo" in job.config.stages:
        preferences, note = _preferences(job, store, prompts)
        notes.append(note)
        if len(preferences) < job.config.dpo_least:
            notes.append(f"DPO left out: {len(preferences)} preference rows, fewer than {job.config.dpo_least}")
        else:
            last = "dpo"
            metrics["dpo"] = _dpo(job, preferences)
            sources = dict(Counter(row.source for row in preferences))
    notes += _watched(job, metrics)
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


def _begin_watch(job: Job, store: Store, prompts: Prompts) -> None:
    """Leave the watchlist where every stage finds it, with what the base knows of the facts."""
    from kb.llm.local import weights_identity

    if job.watchlist.facts:
        identity = weights_identity(job.base, job.model.load_in_4bit, store)
        write_watchlist(job.folder, with_known(job.watchlist, store, prompts, identity))
    elif job.config.watch:
        log.info("watch: no fact has held-out wordings, so nothing is watched")


def _watched(job: Job, metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What was seen while the stages were trained."""
    looks = {stage: read_looks(job.folder / stage) for stage in metrics}
    return [
        line for stage, figures in metrics.items()
        for line in summary(stage, looks[stage], Rules.of(job.config, stage), int(figures["planned"]))
    ]  # fmt: skip


def _sft(job: Job) -> dict[str, float]:
    if not job.adapter("sft").exists():
        taken = take_sft(job)
        if taken:
            log.info("sft: taken from run %s, which has the same data and settings", taken)
    if job.adapter("sft").exists():
        return _stage_metrics(job, "sft")
    write_text(job.folder / "sft" / "key", job.sft_key)
    from kb.finetune.model import model_config, stop_tokens, trainable_base
    from kb.finetune.sft import train_sft
    from kb.llm.local import load_tokenizer

    tokenizer = load_tokenizer(job.base)
    limits = (job.config.max_length, getattr(model_config(job.base), "max_position_embeddings", None))
    limit = min((one for one in limits if one), default=1 << 30)
    examples = encode(job.rows, tokenizer, stop_tokens(job.base, tokenizer), limit)
    _say_plan(job, examples, model_config(job.base))
    model = trainable_base(job.base, job.model.load_in_4bit)
    metrics = train_sft(model, tokenizer, examples, job.config, job.folder / "sft")
    del model
    return _done(job, "sft", metrics)


def _say_plan(job: Job, examples: Sequence[Example], config: Any) -> None:
    """One line on what is about to be trained, and a warning when the GPU's free memory will not do."""
    import torch

    from kb.llm.local import compute_dtype

    settings = job.config
    lengths = [len(example.input_ids) for example in examples]
    micro = fitting_micro_batch(settings.batch_size, settings.micro_batch)
    epochs = settings.epochs_over(len(lengths))
    order = training_order(lengths, epochs, settings.batch_size, micro, settings.seed)
    padded = padded_tokens(lengths, order, micro)
    line = (
        f"sft: {len(lengths)} rows of {sum(lengths)} tokens, {epochs:.3g} epochs ="
        f" {math.ceil(len(order) / settings.batch_size)} steps, longest row {max(lengths)} tokens,"
        f" padding {1 - sum(lengths[place] for place in order) / sum(padded):.0%}"
    )
    shape = model_shape(config)
    if shape is None:
        log.info("%s; no memory estimate for this architecture", line)
        return
    peak = estimate(shape, settings, max(padded), job.model.load_in_4bit, compute_dtype().itemsize).total
    if not torch.cuda.is_available():
        log.info("%s; estimated peak %.1f GiB", line, peak)
        return
    free = torch.cuda.mem_get_info()[0] / GIB
    log.info("%s; estimated peak %.1f GiB, free on the GPU %.1f GiB", line, peak, free)
    if peak * SAFETY > free:
        log.warning("this may not fit: %.1f GiB and a margin of 15%%. Under [train], %s.", peak, cure(settings))


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

    model = trainable_adapter(trainable_base(job.base, job.model.load_in_4bit), job.adapter("sft"))
    metrics = train_dpo(model, load_tokenizer(job.base), rows, job.config, job.folder / "dpo")
    del model
    return _done(job, "dpo", metrics)


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
        questions=questions_hash(store), tag=prompts.tag,
        watched=job.watchlist.facts if job.watchlist.decides else (), **_before_dpo(job, done),
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
