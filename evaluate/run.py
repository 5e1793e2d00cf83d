"""`kb eval`: the same probes to every arm, verdicts, and the report.

Each answer is stored as it lands under a key that holds the hash of weights, adapter, tokenizer and template, so no arm
can be served another's answers; a check asserts that the arms really differ.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from kb import __version__
from kb.errors import ConfigError, UsageError
from kb.evaluate.arms import ARMS, Arm, Asker
from kb.evaluate.failures import FILE as FAILURES
from kb.evaluate.failures import failures
from kb.evaluate.outcome import EvalReport
from kb.evaluate.probes import CONTROLS, document_probes, leaked, ring_file, ring_probes, unwatched
from kb.evaluate.report import write_report
from kb.evaluate.scorers import score
from kb.evaluate.summary import Report, summarise
from kb.evaluate.training_set import read_training_set
from kb.llm import LLM, ask
from kb.llm.base import ModelConfig
from kb.llm.identity import combine
from kb.llm.known import known_mixes
from kb.llm.open import find_folder, is_local, open_model
from kb.llm.tuned import documents_changed, open_tuned, questions_changed, tag_differs
from kb.prompt import Prompts
from kb.records import Chunk, Diagnosis, Document, Fact, Knownness, Probe, Score
from kb.retrieval.hybrid import Retriever
from kb.runs import Run, find_run
from kb.store import Store, histogram, now
from kb.workspace import Workspace, write_jsonl

log = logging.getLogger(__name__)

STAGE = "eval"
PROBE_FIELDS = ("fact_id", "kind", "language", "question", "gold")
"""What stands beside each answer in answers.jsonl."""


@dataclass(frozen=True)
class EvalConfig:
    """The `[eval]` section of kb.toml."""

    compare: str = "rag"
    """What the tuned model is set against besides the base: `rag` or `none`."""
    probes_per_fact: int = 5
    """Held-out wordings a fact; more facts say more than more wordings."""
    limit: int = 0
    """Facts to probe; 0: all."""
    rings: str = "auto"
    """JSONL with what the base could do before; `auto`: the model's own if it ships one; `none`."""
    run: str = ""
    """Training run to evaluate; empty: the last one."""
    resamples: int = 10_000
    """Bootstrap resamples of the intervals."""
    seed: int = 0


def run(
    workspace: Workspace, config: EvalConfig, model: ModelConfig, prompts: Prompts, retriever: Retriever
) -> EvalReport:
    """Answer, score and report. Without a training run, the arms without an adapter alone.

    Raises ConfigError for settings that mean nothing, WorkspaceError when there is nothing to probe, and UsageError for
    a run that does not exist or that this model cannot carry.
    """
    _check(config, model)
    store = workspace.store
    trained = find_run(store, config.run) if is_local(model.name) else None
    folder = find_folder(model.name) if is_local(model.name) else None
    probes = document_probes(store, config.probes_per_fact, config.limit)
    if trained and questions_changed(trained, store):
        # It may have been trained on them, when they were not withheld yet.
        probes = [probe for probe in probes if probe.kind not in CONTROLS]
    watched = trained.lineage.watched if trained else ()
    probes = unwatched(probes, watched)
    rings = ring_file(config.rings, folder)
    probes += ring_probes(rings) if rings else []
    arms = _arms(config, trained)
    _announce(model, trained, arms, probes, store)
    differs = tag_differs(trained, prompts) if trained else ""
    if differs:
        log.warning(differs)
    with _opened(model, trained, store) as models:
        scores = _answer(store, Asker(prompts, retriever, store), arms, models, probes)
        name = _name(config, trained, models, prompts, retriever, probes)
        report = summarise(
            probes, scores, name=name, created=now(), resamples=config.resamples, seed=config.seed,
            statements={fact.id: fact.statement for fact in store.all(Fact)},
            documents=_documents(store),
            known={one.fact_id: one.level for one in store.all(Knownness, "model = ?", models["base"].identity)},
            training_set=read_training_set(workspace.qa_report, known_mixes(store)),
            checks=_checks(store, probes, scores, models),
            provenance=_provenance(config, model, models, trained, prompts, retriever)
            | {"probes": str(len(probes))},
            watched=len(watched),
        )  # fmt: skip
    _keep(workspace, report, probes, scores)
    target = workspace.eval(name)
    write_report(report, probes, scores, target)
    write_jsonl(target / FAILURES, failures(report, probes, scores))
    unanswered = histogram([row for arm in arms for row in store.failures(f"{STAGE}: {arm.name}")])
    return EvalReport(name, report, str(target), unanswered)


def _check(config: EvalConfig, model: ModelConfig) -> None:
    if config.compare not in ("rag", "none"):
        raise ConfigError(f"[eval] compare: expected rag or none, got {config.compare!r}")
    for key, least in (("probes_per_fact", 1), ("limit", 0), ("resamples", 100)):
        if getattr(config, key) < least:
            raise ConfigError(f"[eval] {key}: expected {least} or more, got {getattr(config, key)}")
    if config.run and not is_local(model.name):
        raise UsageError(f"{model.name} is not a local model and cannot carry the adapter of run {config.run}")


def _arms(config: EvalConfig, trained: Run | None) -> list[Arm]:
    """The arms that there is a model for and that are asked for."""
    there = {"base", *(("tuned",) if trained else ()), *(("sft",) if trained and trained.unsharpened else ())}
    return [arm for arm in ARMS.values() if arm.model in there and (config.compare == "rag" or arm.passages == "none")]


def _announce(
    model: ModelConfig, trained: Run | None, arms: Sequence[Arm], probes: Sequence[Probe], store: Store
) -> None:
    """What is about to happen, and what the user may not expect of it."""
    if not is_local(model.name):
        log.info("%s cannot carry an adapter, so the tuned arms are left out", model.name)
    elif trained is None:
        log.info("there is no training run yet, so the tuned arms are left out")
    elif documents_changed(trained, store):
        log.warning("documents have changed since run %s was trained; it cannot know what is new", trained.name)
    elif questions_changed(trained, store):
        log.warning(
            "questions have been made anew since run %s was trained: it may be asked what it never saw, or what it was"
            " trained on, and what is withheld today (placebo, text only) is not asked. For figures of today's"
            " questions: kb train",
            trained.name,
        )
    log.info("eval: %d probes to %s", len(probes), ", ".join(arm.name for arm in arms))


@contextmanager
def _opened(model: ModelConfig, trained: Run | None, store: Store) -> Iterator[dict[str, LLM]]:
    """The base and, where there is a run, the tuned model and what its first stage left, on one set of weights."""
    base = open_model(model, store)
    runs = {"tuned": trained, "sft": trained.unsharpened if trained else None}
    try:
        yield {"base": base} | {name: open_tuned(base, run, store) for name, run in runs.items() if run}
    finally:
        base.close()


def _answer(
    store: Store, asker: Asker, arms: Sequence[Arm], models: dict[str, LLM], probes: Sequence[Probe]
) -> list[Score]:
    """Ask every arm everything and score it.

    One attempt each: a sampled answer in place of a greedy one would not be decoded as the others are. Failures of
    probes that are not asked any more are forgotten.
    """
    scores: list[Score] = []
    for arm in ARMS.values():
        stage = f"{STAGE}: {arm.name}"
        asked = asker.ask(arm, probes) if arm in arms else []
        items = [one.item for one in asked]
        for item in {item for item, _, _ in store.failures(stage)} - {item.id for item in items}:
            store.unfail(stage, item)
        if items:
            results = ask(models[arm.model], store, items, str.strip, stage, attempts=1, cut=True)
            scores += [score(arm, one, result) for one, result in zip(asked, results, strict=True)]
    return scores


def _name(
    config: EvalConfig,
    trained: Run | None,
    models: dict[str, LLM],
    prompts: Prompts,
    retriever: Retriever,
    probes: Sequence[Probe],
) -> str:
    """The run's name and six digits that stand for all that decides the figures: the same evaluation, the same name."""
    parts = [
        json_of(replace(config, run="")), models["tuned" if trained else "base"].identity, retriever.identity,
        _prompt_ids(prompts), *([f"tag={prompts.tag}"] if prompts.tag else []),
        *(chunk.id for chunk in retriever.chunks), *(f"{probe.id} {probe.gold}" for probe in probes),
    ]  # fmt: skip
    return f"{trained.name if trained else 'untrained'}-{combine(parts)[:6]}"


def _documents(store: Store) -> dict[str, str]:
    """Fact id to the title of its document."""
    titles = {document.id: document.title for document in store.all(Document)}
    chunks = {chunk.id: titles.get(chunk.document_id, "") for chunk in store.all(Chunk)}
    return {fact.id: chunks.get(fact.chunk_id, "") for fact in store.all(Fact)}


def _checks(
    store: Store, probes: Sequence[Probe], scores: Sequence[Score], models: dict[str, LLM]
) -> list[tuple[str, bool, str]]:
    """What must hold for the figures to mean anything: (name, whether it holds, detail)."""
    leaks = leaked(store, probes)
    shown = f", such as {leaks[0].id}: {leaks[0].question}" if leaks else ""
    checks = [("no probe is a trained question", not leaks, f"{len(leaks)} leaked of {len(probes)} probes{shown}")]
    if "tuned" in models:
        answers: dict[str, dict[str, str]] = {"base": {}, "tuned": {}}
        for one in scores:
            if one.arm in answers:
                answers[one.arm][one.probe_id] = one.answer
        differ = sum(answers["base"][id] != answers["tuned"][id] for id in answers["base"])
        detail = f"{differ} of {len(answers['base'])} closed-book answers differ between base and tuned"
        different = models["tuned"].identity != models["base"].identity and differ > 0
        checks.append(("base and tuned are different models", different, detail))
    return checks


def json_of(config: EvalConfig) -> str:
    """The settings as one line, for hashing and provenance."""
    return " ".join(f"{key}={value}" for key, value in asdict(config).items())


def _prompt_ids(prompts: Prompts) -> str:
    """Every prompt that an arm may be asked with."""
    return ", ".join(prompts.get("kb", name, language).id for name in ("closed", "rag") for language in ("en", "zh"))


def _provenance(
    config: EvalConfig,
    model: ModelConfig,
    models: dict[str, LLM],
    trained: Run | None,
    prompts: Prompts,
    retriever: Retriever,
) -> dict[str, str]:
    found: dict[str, Any] = {
        "kb": __version__, "model": model.name, "base identity": models["base"].identity,
        "4-bit NF4": model.load_in_4bit, "retrieval": retriever.description, "top_k": retriever.config.top_k,
        "prompts": _prompt_ids(prompts), "settings": json_of(config),
    }  # fmt: skip
    if prompts.tag:
        found["tag"] = prompts.tag
    if trained:
        found |= {
            "run": trained.name, "tuned identity": models["tuned"].identity, "training data": trained.lineage.data,
            "documents": trained.lineage.documents, "facts at training": trained.lineage.facts,
        }  # fmt: skip
        if trained.sharpened_by:
            found["sharpened by"] = trained.sharpened_by
    return {key: str(value) for key, value in found.items()}


def _keep(workspace: Workspace, report: Report, probes: Sequence[Probe], scores: Sequence[Score]) -> None:
    """Store the evaluation's probes, scores and diagnoses in place of those of an earlier one of the same name, and
    write the answers.
    """
    store, name = workspace.store, report.name
    with store.transaction():
        for table in ("probes", "scores", "diagnoses"):
            store.sql(f"DELETE FROM {table} WHERE eval = ?", name)
        store.put(probes, eval=name)
        store.put(scores, eval=name)
        store.put((Diagnosis(row.fact_id, row.findings) for row in report.fact_rows), eval=name)
    questions = {probe.id: probe for probe in probes}
    write_jsonl(
        workspace.eval(name) / "answers.jsonl",
        (asdict(one) | {field: getattr(questions[one.probe_id], field) for field in PROBE_FIELDS} for one in scores),
    )
