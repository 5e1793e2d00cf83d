"""`kb eval`: the same probes to every arm, verdicts, and the report.

Each answer is stored as it lands under a key that holds the hash of weights, adapter, tokenizer and template, so no arm
can be served another's answers; a check asserts that the arms really differ.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kb import __version__
from kb.errors import ConfigError
from kb.evaluate.answering import answers, stage
from kb.evaluate.arms import Asked, Asker
from kb.evaluate.bench.found import benchmarks_of
from kb.evaluate.checks import checked
from kb.evaluate.contenders import Contenders, announce, contenders, opened
from kb.evaluate.cost import cost_of
from kb.evaluate.failures import keep_findings
from kb.evaluate.following import following_probes
from kb.evaluate.forgetting import measured
from kb.evaluate.hybrid import figures, routed
from kb.evaluate.judging import judged_residue, opened_judge
from kb.evaluate.outcome import EvalReport
from kb.evaluate.probes import CONTROLS, document_probes, ring_file, rings_asked, rings_said, unwatched
from kb.evaluate.report import write_report
from kb.evaluate.sources import ANSWERS, CHATS, read_sources
from kb.evaluate.summary import summarise
from kb.evaluate.training_set import read_training_set
from kb.llm import LLM
from kb.llm.base import ModelConfig
from kb.llm.identity import combine
from kb.llm.known import known_mixes
from kb.llm.open import find_folder, is_local
from kb.llm.tuned import questions_changed, tag_differs
from kb.prompt import Prompts
from kb.records import Chunk, Document, Fact, Knownness, Probe, Score, make_id
from kb.retrieval.hybrid import Retriever
from kb.runs import Run
from kb.store import Store, histogram, now
from kb.workspace import Workspace, write_jsonl

log = logging.getLogger(__name__)

PROBE_FIELDS = ("fact_id", "kind", "language", "question", "gold")
"""What stands beside each answer in answers.jsonl."""


@dataclass(frozen=True)
class EvalConfig:
    """The `[eval]` section of kb.toml."""

    compare: tuple[str, ...] = ("rag",)
    """What the tuned model is set against besides the base: `rag` (all that is shown passages) or `none`, and any
    number of `run:NAME` (another training run on the same base) and `model:NAME` (another model, as under [model]);
    `control:WORKSPACE` is the run in use of a workspace with other documents.
    """
    probes_per_fact: int = 5
    """Held-out wordings a fact; more facts say more than more wordings."""
    limit: int = 0
    """Facts to probe; 0: all."""
    rings: str = "auto"
    """JSONL with what the base could do before; `auto`: the model's own if it ships one, else facts of the world,
    passages to read and questions that nobody can answer, which come with kb: some 420 more questions to base, tuned
    and every model compared, and with a `limit` at most so many of each ring in each language; `none`.
    """
    general_prompts: int = 80
    """General prompts on which it is measured how far the model moved, 80 at most, and no more than `limit` where there
    is one; 0: not at all.
    """
    instructions: int = 40
    """Instructions in each language that base and tuned are asked, to see whether tuning cost following them; 40 at
    most, and no more than `limit` where there is one; 0: none.
    """
    run: str = ""
    """Training run to evaluate; empty: the last one."""
    resamples: int = 20_000
    """Random sign patterns behind each p value."""
    seed: int = 0
    judge: str = ""
    """Model that judges the answers no rule can, in other words than the right one: as `[model] name`; empty: none."""
    judge_labels: str = ""
    """JSONL with people's verdicts, which the judge is measured against too (docs/scoring.md); empty: none."""

    def limited(self, count: int) -> int:
        """So many questions that are not of the documents, or `limit` of them where that is fewer."""
        return min(count, self.limit or count)


def run(
    workspace: Workspace, config: EvalConfig, model: ModelConfig, prompts: Prompts, retriever: Callable[[], Retriever]
) -> EvalReport:
    """Answer, score and report. Without a training run, the arms without an adapter alone. `retriever` opens
    one; it is called once, when the first arm needs it.

    Raises ConfigError for settings that mean nothing, WorkspaceError when there is nothing to probe, and UsageError for
    a run that does not exist or that this model cannot carry.
    """
    _check(config)
    store = workspace.store
    asked = contenders(store, model, config.run, config.compare)
    trained = asked.trained
    folder = find_folder(model.name) if is_local(model.name) else None
    rings = ring_file(config.rings, folder)
    probes = _probes(store, config, asked, rings)
    of = rings_said(probes, rings, folder)
    if rings:
        log.info("rings of forgetting: %s", of)
    announce(model, asked, probes, store)
    differs = tag_differs(trained, prompts) if trained else ""
    if differs:
        log.warning(differs)
    with opened(model, asked, store) as models:
        asker = Asker(prompts, retriever, store)
        answered, sure = answers(store, asker, asked.arms, models, probes)
        judging = None
        if config.judge:
            with opened_judge(config.judge, model, models["base"], store) as llm:
                answered, judging = judged_residue(llm, store, probes, answered, config.judge_labels, config.seed)
            config = replace(config, judge=judging.identity)
        route = routed(answered, sure)
        answered += route.answered
        scores = [one for _, one in answered]
        name = _name(config, trained, models, prompts, asker.retriever, probes)
        report = summarise(
            probes, scores, name=name, created=now(), resamples=config.resamples, seed=config.seed,
            statements={fact.id: fact.statement for fact in store.all(Fact)},
            documents=document_titles(store),
            known={one.fact_id: one.level for one in store.all(Knownness, "model = ?", models["base"].identity)},
            training_set=read_training_set(workspace.qa_report, known_mixes(store)),
            checks=checked(store, probes, scores, models),
            provenance=_provenance(config, model, models, trained, prompts, asker.retriever)
            | {"probes": str(len(probes)), "rings": of},
            watched=len(asked.watched), hybrid=figures(route, scores, sure),
            general=measured(
                models["base"], models["tuned"], asker, probes,
                config.limited(config.general_prompts),
            )
            if trained else None,
        )  # fmt: skip
    report = replace(
        report, judging=judging, cost=cost_of(store, trained, report.arms),
        benchmarks=benchmarks_of(workspace, report.provenance),
    )  # fmt: skip
    _keep(workspace, name, probes, answered)
    target = workspace.eval(name)
    write_report(report, probes, scores, target, read_sources(store, target, probes, scores))
    keep_findings(workspace, report, probes, scores)
    failed = histogram([row for arm in asked.arms for row in store.failures(stage(arm))])
    return EvalReport(name, report, str(target), failed)


def _probes(store: Store, config: EvalConfig, asked: Contenders, rings: Path | None) -> list[Probe]:
    """What is asked: of the documents, and of tuned models what it cost."""
    probes = document_probes(store, config.probes_per_fact, config.limit)
    if asked.trained and questions_changed(asked.trained, store):
        # It may have been trained on them, when they were not withheld yet.
        probes = [probe for probe in probes if probe.kind not in CONTROLS]
    probes = unwatched(probes, asked.watched)
    # Of a file that the user names, everything is asked.
    limit = config.limit if config.rings == "auto" else 0
    probes += rings_asked(rings, limit, asked.trained is not None) if rings else []
    if asked.trained:
        probes += following_probes(config.limited(config.instructions))
    return probes


def _check(config: EvalConfig) -> None:
    least_of = {"probes_per_fact": 1, "limit": 0, "general_prompts": 0, "instructions": 0, "resamples": 100}
    for key, least in least_of.items():
        if getattr(config, key) < least:
            raise ConfigError(f"[eval] {key}: expected {least} or more, got {getattr(config, key)}")


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
        json_of(replace(config, run="")), *(one.identity for one in models.values()), retriever.identity,
        _prompt_ids(prompts), *([f"tag={prompts.tag}"] if prompts.tag else []),
        *(chunk.id for chunk in retriever.chunks), *(f"{probe.id} {probe.gold}" for probe in probes),
    ]  # fmt: skip
    return f"{trained.name if trained else 'untrained'}-{combine(parts)[:6]}"


def document_titles(store: Store) -> dict[str, str]:
    """Fact id to the title of its document."""
    titles = {document.id: document.title for document in store.all(Document)}
    chunks = {chunk.id: titles.get(chunk.document_id, "") for chunk in store.all(Chunk)}
    return {fact.id: chunks.get(fact.chunk_id, "") for fact in store.all(Fact)}


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


def _keep(workspace: Workspace, name: str, probes: Sequence[Probe], answered: Sequence[tuple[Asked, Score]]) -> None:
    """Store the evaluation's probes and scores in place of those of an earlier one of the same name, and write every
    answer and the whole chat that each was given to.
    """
    store = workspace.store
    with store.transaction():
        store.sql("DELETE FROM probes WHERE eval = ?", name)
        store.sql("DELETE FROM scores WHERE eval = ?", name)
        store.put(probes, eval=name)
        store.put([one for _, one in answered], eval=name)
    chats: dict[str, list[dict[str, str]]] = {}
    rows = []
    for asked, one in answered:
        messages = [asdict(message) for message in asked.item.request.messages]
        prompt = make_id("chat", *(message.content for message in asked.item.request.messages))
        chats[prompt] = messages
        fields = {field: getattr(asked.probe, field) for field in PROBE_FIELDS}
        rows.append(asdict(one) | fields | {"prompt": prompt})
    write_jsonl(workspace.eval(name) / ANSWERS, rows)
    write_jsonl(workspace.eval(name) / CHATS, ({"id": id, "messages": said} for id, said in chats.items()))
