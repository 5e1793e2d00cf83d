"""`kb bench run`: public benchmarks asked of the base and of the tuned model, on one set of weights, in memory.

The harness gives an answer and log-probabilities for every item; the comparison is kb's own, paired by item.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kb import __version__
from kb.errors import KBError, UsageError
from kb.evaluate.bench.found import REPORT
from kb.evaluate.bench.imported import items_of, listed, read
from kb.evaluate.bench.results import Answered, BenchReport, TaskResult
from kb.evaluate.bench.sets import GOLD, SETS, SUBJECT
from kb.evaluate.bench.tasks import spread, task_name, write_task
from kb.evaluate.contenders import Contenders, opened
from kb.evaluate.pvalues import holm, sign_flip
from kb.evaluate.stats import (
    Integers,
    detectable,
    difference_intervals,
    mean_intervals,
    share_intervals,
)
from kb.llm.base import ModelConfig
from kb.llm.identity import combine
from kb.llm.open import is_local
from kb.runs import Run, find_run
from kb.store import now
from kb.workspace import Workspace, write_json, write_jsonl, write_text

if TYPE_CHECKING:
    from kb.llm.local import LocalLLM

log = logging.getLogger(__name__)

WORST = 10
LEAST_SUBJECTS = 30
"""With so many subjects or more they are what is resampled, as the questions of a subject may be lost together."""
ITEM_TOKENS = 1024
"""What an item of a batch is taken to need."""
LOOSE = "flexible-extract"
"""The filter of gsm8k that takes the last number: without examples no model knows the form of the strict one."""


@dataclass(frozen=True)
class Sample:
    """What a model made of an item."""

    right: float
    gold: float | None
    """Log-probability of the right choice in nats; None without choices."""


def run(workspace: Workspace, model: ModelConfig, names: Sequence[str], limit: int, run_name: str) -> BenchReport:
    """Ask base and tuned all items, or `limit` of each benchmark, and write the report.

    Raises UsageError for a benchmark that was not imported, a model that cannot carry an adapter, or without a training
    run, and KBError when the harness is not installed.
    """
    chosen = list(dict.fromkeys(names)) or [one.name for one in listed(workspace)]
    if not chosen:
        raise UsageError("no benchmark has been imported. Get a file of one, then: kb bench import NAME FILE")
    sources = {name: read(workspace, name) for name in chosen}
    trained = _trained(workspace, model, run_name)
    _need_harness()
    from kb.llm.local import LocalLLM

    items = {name: spread(items_of(workspace, name), limit) for name in chosen}
    asked = Contenders((), {"tuned": trained}, ())
    with tempfile.TemporaryDirectory() as folder, opened(model, asked, workspace.store) as models:
        for name in chosen:
            write_task(Path(folder), name, items[name])
        found = {}
        for which, llm in models.items():
            assert isinstance(llm, LocalLLM)
            log.info("bench: %s to %s", ", ".join(f"{len(items[name])} of {name}" for name in chosen), which)
            found[which] = _samples(llm, Path(folder), chosen, max(1, model.batch_tokens // ITEM_TOKENS))
        identities = {which: llm.identity for which, llm in models.items()}
    answers = {name: _paired(items[name], found["base"][name], found["tuned"][name]) for name in chosen}
    tasks = _adjusted(
        [
            summarised(
                name, answers[name], sources[name].licence, {one.file: one.sha256 for one in sources[name].sources}
            )
            for name in chosen
        ]
    )
    provenance = _provenance(model, trained, identities, limit)
    parts = [*provenance.values(), *(digest for task in tasks for digest in (task.name, *task.sources.values()))]
    name = f"bench-{trained.name}-{combine(parts)[:6]}"
    applied = any(one.base != one.tuned or one.shift for own in answers.values() for one in own)
    target = workspace.eval(name)
    report = BenchReport(name, now(), trained.name, tasks, applied, provenance, str(target))
    _write(target, report, answers)
    return report


def _trained(workspace: Workspace, model: ModelConfig, run_name: str) -> Run:
    if not is_local(model.name):
        raise UsageError(f"{model.name} is not a local model: kb bench run compares a base with its adapter in memory")
    trained = find_run(workspace.store, run_name)
    if trained is None:
        raise UsageError("there is no training run yet. Train one with: kb train")
    return trained


def _need_harness() -> None:
    try:
        import lm_eval.models.huggingface  # noqa: F401
    except ModuleNotFoundError as error:
        raise KBError(f"kb bench run needs {error.name}: pip install 'kb[bench]'") from error


def _samples(llm: LocalLLM, folder: Path, names: Sequence[str], batch: int) -> dict[str, dict[str, Sample]]:
    """Every item of every task as one model answers it, by task and item."""
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    weights = llm.weights
    # What the harness prints is about its own command line.
    with llm.active(), contextlib.redirect_stdout(io.StringIO()):
        lm = HFLM(
            pretrained=weights.model, tokenizer=weights.tokenizer, batch_size=batch, device=str(weights.model.device)
        )
        tasks = TaskManager(include_path=str(folder), include_defaults=False).load([task_name(name) for name in names])
        found = evaluate(lm=lm, task_dict=tasks, bootstrap_iters=0)
    return {name: dict(map(_sample, _kept(found["samples"][task_name(name)]))) for name in names}


def _kept(samples: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One sample an item: where a task has several filters, those of the looser one."""
    loose = [one for one in samples if one["filter"] == LOOSE]
    return loose or list(samples)


def _sample(given: Mapping[str, Any]) -> tuple[str, Sample]:
    doc = given["doc"]
    right = given["acc"] if "acc" in given else given["exact_match"]
    gold = float(given["filtered_resps"][doc[GOLD]][0]) if GOLD in doc else None
    return doc["id"], Sample(float(right), gold)


def _paired(
    items: Sequence[Mapping[str, Any]], base: Mapping[str, Sample], tuned: Mapping[str, Sample]
) -> list[Answered]:
    pairs = []
    for item in items:
        before, after = base[item["id"]], tuned[item["id"]]
        shift = None if before.gold is None or after.gold is None else after.gold - before.gold
        question = next(str(item[key]) for key in ("question", "Question", "ctx_a") if key in item)
        pairs.append(Answered(item["id"], item[SUBJECT], question, before.right, after.right, shift))
    return pairs


def summarised(name: str, answers: Sequence[Answered], licence: str, sources: Mapping[str, str]) -> TaskResult:
    """The figures of one benchmark, its p not yet adjusted; `answers` are not empty. Every item weighs the same."""
    groups, count = _clusters(answers)
    shares = np.array([[one.base, one.tuned] for one in answers])
    shifts = np.array([[np.nan if one.shift is None else one.shift] for one in answers])
    difference = shares[:, 1:] - shares[:, :1]
    base, tuned = share_intervals(shares, groups=groups)
    (paired,) = difference_intervals(difference, groups)
    (shift,) = mean_intervals(shifts, groups)
    assert base and tuned and paired
    p = float(sign_flip(difference, groups=groups)[0])
    worst = sorted(answers, key=lambda one: (one.tuned - one.base, one.shift or 0.0))
    lost = [one for one in worst if one.tuned < one.base or (one.shift or 0.0) < 0.0]
    return TaskResult(
        name, len(answers), count, base, tuned, paired, p, p, detectable(difference[:, 0]), shift, tuple(lost[:WORST]),
        "share of right answers" + ("" if shift is None else ", the likeliest choice counting as the answer"),
        SETS[name].differs, licence, sources,
    )  # fmt: skip


def _adjusted(tasks: Sequence[TaskResult]) -> tuple[TaskResult, ...]:
    """With p after Holm, for all benchmarks that are read together."""
    found = holm(np.array([task.p for task in tasks]))
    return tuple(replace(task, p_adjusted=float(p)) for task, p in zip(tasks, found, strict=True))


def _clusters(answers: Sequence[Answered]) -> tuple[Integers, int]:
    """The cluster of each item, and how many there are: its subject where there are enough of them, else itself."""
    subjects = {subject: at for at, subject in enumerate(sorted({one.subject for one in answers}))}
    if len(subjects) < LEAST_SUBJECTS:
        return np.arange(len(answers), dtype=np.int64), len(answers)
    return np.array([subjects[one.subject] for one in answers], dtype=np.int64), len(subjects)


def _provenance(model: ModelConfig, trained: Run, identities: Mapping[str, str], limit: int) -> dict[str, str]:
    from importlib.metadata import version

    return {
        "kb": __version__, "lm_eval": version("lm_eval"), "model": model.name, "run": trained.name,
        "base identity": identities["base"], "tuned identity": identities["tuned"],
        "4-bit NF4": str(model.load_in_4bit), "limit": str(limit), "examples in the prompt": "0", "chat template": "no",
    }  # fmt: skip


def _write(folder: Path, report: BenchReport, answers: Mapping[str, Sequence[Answered]]) -> None:
    """bench.json, bench.md, and every item as both answered it."""
    write_jsonl(folder / "items.jsonl", ({"task": name} | asdict(one) for name, own in answers.items() for one in own))
    write_text(folder / "bench.md", report.markdown())
    write_json(folder / REPORT, report.json())
