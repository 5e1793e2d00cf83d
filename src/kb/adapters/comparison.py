"""`kb adapters compare`: what two adapters were made from and what they know, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kb.adapters.columns import aligned
from kb.adapters.measured import Evaluation, answered, asked, measured
from kb.records import Fact
from kb.runs import Run, named_run
from kb.store import Store
from kb.workspace import Workspace

SHOWN = 10
"""Facts that only one answers that the terminal lists of each; --json has all."""
LINEAGE = ("base", "base_identity", "data", "documents", "facts", "questions", "tag")
"""What of a lineage is compared as it stands; documents are compared one by one."""


@dataclass(frozen=True)
class Known:
    """A fact that only one of two adapters answers."""

    id: str
    statement: str


@dataclass(frozen=True)
class Comparison:
    """Two runs. Pairs are (first, second), with null for what one does not have."""

    names: tuple[str, str]
    settings: Mapping[str, tuple[Any, Any]]
    """Those that differ, and what differs in their lineage."""
    documents: Mapping[str, str]
    """Path to `only FIRST`, `only SECOND` or `other version`; those that both were trained on alike are left out."""
    metrics: Mapping[str, tuple[Any, Any]]
    """"sft loss" to both figures."""
    evaluations: tuple[Evaluation, Evaluation] | None
    """The last ones that asked the same probes; None where there are none, and then nothing below is known."""
    only: tuple[tuple[Known, ...], tuple[Known, ...]]
    """Facts that the first alone answers, and the second alone."""

    def lines(self) -> list[str]:
        """For the terminal."""
        differ = aligned([("", *self.names), *((key, *map(str, pair)) for key, pair in self.settings.items())])
        lines = ["what differs:", *differ[1:]] if self.settings else ["settings, data and base are the same"]
        lines += [f"{what}: {path}" for path, what in self.documents.items()]
        lines += aligned([("", *self.names), *((key, *map(_figure, pair)) for key, pair in self.rows().items())])
        if self.evaluations is None:
            return [*lines, "no scores side by side: no evaluations of both asked the same probes; kb eval --run NAME"]
        for name, facts in zip(self.names, self.only, strict=True):
            more = f", the first {SHOWN}:" if len(facts) > SHOWN else ":" if facts else ""
            lines.append(f"answered by {name} alone: {len(facts)} facts{more}")
            lines += [f"  {fact.id}  {fact.statement}" for fact in facts[:SHOWN]]
        return [*lines, "no test was made of the difference: the report of kb eval says how wide its intervals are"]

    def rows(self) -> dict[str, tuple[Any, Any]]:
        """Every figure that stands side by side: metrics, and the scores of the arms that both were asked."""
        rows = dict(self.metrics)
        if self.evaluations:
            first, second = (one.held_out for one in self.evaluations)
            rows |= {f"held out, {arm}": (share, second[arm]) for arm, share in first.items() if arm in second}
        return rows


def _figure(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}"


def compare(workspace: Workspace, first: str, second: str) -> Comparison:
    """Two runs side by side. Raises UsageError where one does not exist."""
    runs = named_run(workspace.store, first), named_run(workspace.store, second)
    evaluations = _same_probes(workspace, *runs)
    return Comparison(
        (first, second), _differing(*map(_made_from, runs)), _documents(*runs), _metrics(*runs), evaluations,
        _only(workspace.store, *evaluations) if evaluations else ((), ()),
    )  # fmt: skip


def _made_from(run: Run) -> dict[str, Any]:
    return dict(run.config) | {key: getattr(run.lineage, key) for key in LINEAGE}


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    keys = list(dict.fromkeys([*first, *second]))
    return {key: (first.get(key), second.get(key)) for key in keys if first.get(key) != second.get(key)}


def _documents(first: Run, second: Run) -> dict[str, str]:
    ours, theirs = first.lineage.files, second.lineage.files
    if not ours or not theirs:
        return {}
    found = {}
    for path in sorted(ours.keys() | theirs.keys()):
        if ours.get(path) != theirs.get(path):
            missing = first.name if path not in theirs else second.name if path not in ours else ""
            found[path] = f"only {missing}" if missing else "other version"
    return found


def _metrics(first: Run, second: Run) -> dict[str, tuple[Any, Any]]:
    flat = [
        {f"{stage} {key}": value for stage, figures in run.metrics.items() for key, value in figures.items()}
        for run in (first, second)
    ]
    return {key: (flat[0].get(key), flat[1].get(key)) for key in dict.fromkeys([*flat[0], *flat[1]])}


def _same_probes(workspace: Workspace, first: Run, second: Run) -> tuple[Evaluation, Evaluation] | None:
    """The last evaluations of the two that asked the same and held the same for right."""
    theirs = {asked(workspace.store, one.name): one for one in measured(workspace, second)}
    for one in reversed(measured(workspace, first)):
        other = theirs.get(asked(workspace.store, one.name))
        if other:
            return one, other
    return None


def _only(store: Store, first: Evaluation, second: Evaluation) -> tuple[tuple[Known, ...], tuple[Known, ...]]:
    ours, theirs = answered(store, first.name), answered(store, second.name)
    statements = {fact.id: fact.statement for fact in store.all(Fact, live=False)}

    def alone(one: Mapping[str, bool], other: Mapping[str, bool]) -> tuple[Known, ...]:
        return tuple(Known(id, statements.get(id, "")) for id, right in one.items() if right and not other.get(id))

    return alone(ours, theirs), alone(theirs, ours)
