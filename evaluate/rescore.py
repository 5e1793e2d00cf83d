"""`kb eval --rescore`: the stored answers of an evaluation scored anew by the present scorer, without a model."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any

from kb import __version__
from kb.errors import UsageError, WorkspaceError
from kb.evals import REPORT
from kb.evaluate.bench.found import benchmarks_of
from kb.evaluate.beside import Cost, General, Hybrid, Judging
from kb.evaluate.failures import keep_findings
from kb.evaluate.hybrid import NOT_SURE
from kb.evaluate.report import as_json, write_report
from kb.evaluate.results import Check
from kb.evaluate.run import EvalConfig, document_titles
from kb.evaluate.scorers import judged_again
from kb.evaluate.sources import ANSWERS, read_sources
from kb.evaluate.summary import Report, summarise
from kb.evaluate.training_set import read_training_set
from kb.llm.known import known_mixes
from kb.records import Fact, Knownness, Probe, Score
from kb.store import now
from kb.workspace import Workspace, read_jsonl, write_jsonl

HYBRID = {"tuned", "tuned_rag", "rag", "hybrid"}
"""Arms whose verdicts the hybrid's figures are made of."""
SHOWN = 10
"""Changed verdicts that are listed."""


@dataclass(frozen=True)
class Change:
    """An answer with another verdict than before."""

    probe_id: str
    arm: str
    gold: str
    answer: str
    before: str
    """Verdict and rule."""
    after: str

    def __str__(self) -> str:
        answer = " ".join(self.answer.split())
        return f"{self.arm} {self.probe_id}: {answer!r} for {self.gold!r}: {self.before} -> {self.after}"


@dataclass(frozen=True)
class Rescored:
    """An evaluation with the verdicts of the present scorer."""

    name: str
    report: Report
    folder: str
    answers: int
    rules: int
    """Answers whose verdict stays and whose rule does not."""
    changes: tuple[Change, ...]

    def json(self) -> dict[str, Any]:
        """The report and the rest as plain values."""
        changes = [vars(change) for change in self.changes]
        return as_json(self.report) | {"folder": self.folder, "rescored": self.answers, "changes": changes}

    def lines(self) -> list[str]:
        """For the terminal."""
        told = f"{len(self.changes)} verdicts changed" if self.changes else "no verdict changed"
        lines = [f"{self.answers} stored answers of {self.name} scored again: {told}, {self.rules} by another rule"]
        lines += [f"  {change}" for change in self.changes[:SHOWN]]
        if len(self.changes) > SHOWN:
            lines.append(f"  and {len(self.changes) - SHOWN} more, in --json")
        shares = ", ".join(f"{arm.arm} {100 * arm.correct.value:.1f}%" for arm in self.report.arms)
        return [*lines, f"correct: {shares}", f"report: {self.folder}/report.html"]


def rescore(workspace: Workspace, of: str = "") -> Rescored:
    """Score the stored answers of an evaluation again, and write its report anew.

    `of` names a training run or an evaluation, of which the newest is taken; empty: the newest of all. No model is
    loaded, nothing is asked. Settings of the intervals, checks and provenance are those of the evaluation. Requests
    without an answer stay unparsed; so does an answer that was cut off, unless it is right by now. Raises
    WorkspaceError when there is no evaluation, and UsageError when none has this name.
    """
    folder, told = _newest(workspace, of)
    name, store = told["name"], workspace.store
    probes = store.all(Probe, "eval = ?", name)
    before = store.all(Score, "eval = ?", name)
    asked = {probe.id: probe for probe in probes}
    scores = [one if one.rule == NOT_SURE else judged_again(asked[one.probe_id], one) for one in before]
    changes = _changes(asked, before, scores)
    rules = sum(old.rule != new.rule and old.verdict == new.verdict for old, new in zip(before, scores, strict=True))
    report = _summarised(workspace, told, probes, scores, {change.arm for change in changes})
    _keep(workspace, name, scores)
    write_report(report, probes, scores, folder, read_sources(store, folder, probes, scores))
    keep_findings(workspace, report, probes, scores)
    return Rescored(name, report, str(folder), len(scores), rules, changes)


def _newest(workspace: Workspace, of: str) -> tuple[Path, Mapping[str, Any]]:
    """Folder and report of the newest evaluation, of all or of those that have this name or are of this run."""
    found = [(file.parent, json.loads(file.read_text("utf-8"))) for file in workspace.root.glob(f"evals/*/{REPORT}")]
    if not found:
        raise WorkspaceError("there is no evaluation to score again yet: run kb eval first")
    chosen = [one for one in found if of in ("", one[1]["name"], one[1]["provenance"].get("run", ""))]
    if not chosen:
        names = ", ".join(sorted(report["name"] for _, report in found))
        raise UsageError(f"there is no evaluation {of} and none of a run {of}; there are: {names}")
    return max(chosen, key=lambda one: str(one[1]["created"]))


def _changes(asked: Mapping[str, Probe], before: Sequence[Score], after: Sequence[Score]) -> tuple[Change, ...]:
    return tuple(
        Change(
            old.probe_id, old.arm, asked[old.probe_id].gold, old.answer, f"{old.verdict} ({old.rule})",
            f"{new.verdict} ({new.rule})",
        )
        for old, new in zip(before, after, strict=True)
        if old.verdict != new.verdict
    )  # fmt: skip


def _summarised(
    workspace: Workspace, told: Mapping[str, Any], probes: Sequence[Probe], scores: Sequence[Score], moved: Set[str]
) -> Report:
    """The report as the evaluation made it, of other verdicts.

    What is told of the hybrid beside its answers follows from how sure the model was, which no score holds: it is left
    out where a verdict of an arm that it depends on has `moved`.
    """
    store, provenance = workspace.store, dict(told["provenance"])
    base = provenance["base identity"]
    settings = dict(part.partition("=")[::2] for part in provenance["settings"].split())
    report = summarise(
        probes, scores, name=told["name"], created=told["created"], seed=told["seed"],
        resamples=int(settings.get("resamples", EvalConfig.resamples)),
        statements={fact.id: fact.statement for fact in store.all(Fact)},
        documents=document_titles(store),
        known={one.fact_id: one.level for one in store.all(Knownness, "model = ?", base)},
        training_set=read_training_set(workspace.qa_report, known_mixes(store)),
        checks=[Check(**check) for check in told["checks"]],
        provenance=provenance | {"scored again": f"{now()} by kb {__version__}"},
        watched=told.get("watched", 0), hybrid=None if moved & HYBRID else rebuilt(Hybrid, told.get("hybrid")),
        general=rebuilt(General, told.get("general")),
    )  # fmt: skip
    return replace(
        report, judging=rebuilt(Judging, told.get("judging")), cost=rebuilt(Cost, told.get("cost")),
        benchmarks=benchmarks_of(workspace, provenance),
    )  # fmt: skip


def rebuilt(kind: Any, plain: Any) -> Any:
    """A part of a report from what its JSON says: `kind` is its type, with None, tuples and mappings in it."""
    if plain is None or not (is_dataclass(kind) or typing.get_args(kind)):
        return plain
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{name: rebuilt(hints[name], value) for name, value in plain.items()})  # type: ignore[operator]
    inner = [one for one in typing.get_args(kind) if one not in (type(None), ...)]
    if isinstance(plain, list):
        return tuple(rebuilt(inner[0], one) for one in plain)
    if isinstance(plain, dict) and not any(map(is_dataclass, inner[:1])):
        return {key: rebuilt(inner[-1], value) for key, value in plain.items()}
    return rebuilt(inner[0], plain)


def _keep(workspace: Workspace, name: str, scores: Sequence[Score]) -> None:
    """Store the verdicts, and write them beside the answers, whatever else stands there."""
    store = workspace.store
    with store.transaction():
        for one in scores:
            store.sql(
                "UPDATE scores SET verdict = ?, rule = ? WHERE eval = ? AND arm = ? AND probe_id = ?",
                one.verdict, one.rule, name, one.arm, one.probe_id,
            )  # fmt: skip
    by_answer = {(one.arm, one.probe_id): one for one in scores}
    file = workspace.eval(name) / ANSWERS
    rows = read_jsonl(file) if file.exists() else []
    found = [(row, by_answer[row["arm"], row["probe_id"]]) for row in rows]
    write_jsonl(file, (row | {"verdict": one.verdict, "rule": one.rule} for row, one in found))
