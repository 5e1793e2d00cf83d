"""For which facts more is written than for the others: what trained models did not learn, by the kind of cure.

A list of facts comes from a run (`--strengthen`: never right in any sample) or from an evaluation (`--for-failures`:
what its decision table found). Lists are kept with the set that they are applied to, each once by the name of what it
came from, and every further list that a fact is in doubles what is written for it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kb.errors import UsageError
from kb.qa_gen.selection import Choice
from kb.records import FINDINGS, Diagnosis
from kb.runs import STRENGTHENED, all_runs, evaluations, last_weak, strengthened, times_weak
from kb.store import Store
from kb.workspace import read_jsonl

log = logging.getLogger(__name__)

Lists = dict[str, list[str]]
CURES = {
    "under_trained": "wordings", "phrasing_overfit": "wordings", "unstable": "wordings",
    "reversed_fails": "reversed", "near_miss_answered": "contrast",
}  # fmt: skip
"""What is written more of for a finding. The others no row of the set cures."""
DOOMED = "question_defect"
"""Where the question is wrong, more of it would teach what is wrong."""
SETTINGS = {
    "wordings": STRENGTHENED, "reversed": "generate: more reversed questions", "contrast": "generate: contrast",
}  # fmt: skip
"""Where each kind of lists is kept: what it came from to ids of facts."""
SHOWN = 5
"""Facts that a line names."""


@dataclass(frozen=True)
class Failure:
    """What an evaluation found of a fact."""

    evaluation: str
    fact_id: str
    findings: tuple[str, ...]


@dataclass(frozen=True)
class Remedies:
    """Lists of facts by the kind of cure, and what no row cures."""

    lists: Mapping[str, Lists]
    """Kind of cure to what a list came from to ids of facts."""
    uncured: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Finding to ids of facts, of the failures that were asked about now."""

    def times(self, cure: str) -> Mapping[str, int]:
        """Fact id to the number of lists of a kind that it is in."""
        return times_weak(self.lists[cure])

    def write(self, store: Store) -> None:
        """Keep the lists with the set."""
        for cure, lists in self.lists.items():
            store.set_setting(SETTINGS[cure], json.dumps(lists))


def prescribe(store: Store, choice: Choice) -> Remedies:
    """The lists of before and what the choice adds.

    Raises UsageError for `strengthen` when no run has said what its model never answers right, and for `failures` that
    are not there or cannot be read.
    """
    lists = {cure: json.loads(store.setting(setting) or "{}") for cure, setting in SETTINGS.items()}
    if choice.strengthen:
        lists["wordings"] = _strengthened(store)
    if choice.failures is None:
        return Remedies(lists)
    found = read_failures(store, choice.failures)
    for cure in SETTINGS:
        for failure in found:
            lists[cure].pop(failure.evaluation, None)
        for failure in found:
            if DOOMED not in failure.findings and cure in {CURES.get(name) for name in failure.findings}:
                lists[cure].setdefault(failure.evaluation, []).append(failure.fact_id)
    uncured = {
        name: [failure.fact_id for failure in found if name in failure.findings]
        for name in FINDINGS
        if name not in CURES and name != "learnt"
    }
    return Remedies(lists, {name: facts for name, facts in uncured.items() if facts})


def _strengthened(store: Store) -> Lists:
    last = last_weak(store)
    if last is None:
        raise UsageError(
            "--strengthen is for facts that a trained model never answers right, and no run has found any out;"
            ' the dpo stage of kb train does: stages = ["sft", "dpo"] under [train]'
        )
    log.info("strengthen: %d facts that run %s never answers right", len(last.facts), last.run)
    return strengthened(store, last)


def read_failures(store: Store, file: str) -> list[Failure]:
    """What `kb eval --export-failures` wrote, or without a file what the last evaluation of the current run found.

    Raises UsageError for a file that is not there, a line of another form, or when nothing was evaluated yet.
    """
    if file:
        path = Path(file).expanduser()
        if not path.is_file():
            raise UsageError(f"{path}: there is no such file; kb eval --export-failures writes one")
        return [_failure(row, f"{path}, line {number}") for number, row in enumerate(read_jsonl(path), 1)]
    runs = all_runs(store)
    names = evaluations(store, runs[-1].name) if runs else []
    found = store.all(Diagnosis, "eval = ?", names[-1]) if names else []
    if not found:
        raise UsageError("--for-failures is for what an evaluation of the run in use found: kb eval --compare rag")
    log.info("for failures: of evaluation %s", names[-1])
    return [Failure(names[-1], one.fact_id, one.findings) for one in found]


def _failure(row: Mapping[str, Any], where: str) -> Failure:
    evaluation, fact, findings = (row.get(key) for key in ("evaluation", "fact_id", "findings"))
    known = isinstance(findings, list) and set(map(str, findings)) <= set(FINDINGS)
    if not known or not isinstance(evaluation, str) or not isinstance(fact, str):
        raise UsageError(f"{where}: expected evaluation, fact_id and findings, of {', '.join(FINDINGS)}")
    return Failure(evaluation, fact, tuple(map(str, findings or ())))


def uncured_lines(uncured: Mapping[str, Iterable[str]]) -> list[str]:
    """What no row of the set cures, for the terminal."""
    lines = []
    for name, facts in uncured.items():
        ids = list(facts)
        shown = ", ".join(ids[:SHOWN]) + (", ..." if len(ids) > SHOWN else "")
        lines.append(f"not cured by further rows, {name.replace('_', ' ')}: {len(ids)} ({shown})")
    return lines
