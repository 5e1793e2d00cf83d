"""The registered runs as a table, and choosing or deleting one."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kb.adapters.columns import aligned
from kb.adapters.measured import Evaluation, measured
from kb.errors import ModelUnavailable, UsageError
from kb.llm.identity import folder_identity
from kb.llm.tuned import check_files
from kb.runs import Run, all_runs, find_run, forget, make_current, named_run
from kb.store import Store
from kb.workspace import Workspace

MIB = 2**20
NONE = "there is no adapter yet. Train one with: kb train"
HEAD = ("", "name", "stages", "base", "rows", "facts", "loss", "held out", "MiB", "date", "")


@dataclass(frozen=True)
class Adapter:
    """A registered run at a glance."""

    name: str
    current: bool
    """Whether eval, chat, export and serve use it where none is named."""
    state: str
    """Empty; `gone`: its folder is not there; `changed`: its files are not those that were registered."""
    stages: tuple[str, ...]
    base: str
    rows: int
    """Rows of its first stage; 0 for a combined one."""
    facts: int
    metrics: Mapping[str, Mapping[str, float]]
    evaluation: Evaluation | None
    """The last one of this very adapter."""
    bytes: int
    """What the run's folder holds on disk."""
    at: str

    def cells(self) -> tuple[str, ...]:
        """A row of the table under `HEAD`."""
        loss = ", ".join(f"{figures['loss']:.3g}" for figures in self.metrics.values() if "loss" in figures)
        tuned = self.evaluation.held_out.get("tuned") if self.evaluation else None
        return (
            "*" if self.current else "", self.name, "+".join(self.stages), self.base, str(self.rows), str(self.facts),
            loss, f"{tuned:.1%}" if tuned is not None else "-", f"{self.bytes / MIB:.1f}", self.at[:16], self.state,
        )  # fmt: skip


def stages(run: Run) -> tuple[str, ...]:
    """What the run went through."""
    return ("combined",) if run.lineage.parts else tuple(run.metrics)


def state(run: Run, store: Store) -> str:
    """Whether the adapter is what was registered: see `Adapter.state`."""
    try:
        same = folder_identity(run.adapter, store) == run.lineage.adapter_identity
    except ModelUnavailable:
        return "gone"
    return "" if same else "changed"


def summary(workspace: Workspace, run: Run, current: bool) -> Adapter:
    """One run at a glance."""
    store, first = workspace.store, next(iter(run.metrics.values()), {})
    evaluations = measured(workspace, run)
    return Adapter(
        run.name, current, state(run, store), stages(run), run.lineage.base, int(first.get("rows", 0)),
        run.lineage.facts, run.metrics, evaluations[-1] if evaluations else None,
        _size(workspace.run(run.name)), run.at,
    )  # fmt: skip


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def listed(workspace: Workspace) -> list[Adapter]:
    """All registered runs; the current one comes last."""
    runs = all_runs(workspace.store)
    return [summary(workspace, run, run is runs[-1]) for run in runs]


def as_lines(adapters: Sequence[Adapter]) -> list[str]:
    """The table for the terminal."""
    if not adapters:
        return [NONE]
    lines = aligned([HEAD, *(one.cells() for one in adapters)])
    if any(one.state for one in adapters):
        lines.append("gone, changed: the files are not those that were trained, and no command uses them; kb train")
    return [*lines, "* is used by eval, chat, export and serve; another: kb adapters use NAME"]


def use(store: Store, name: str) -> Run:
    """Make a run the current one. Raises UsageError where there is none, or its files are not those registered."""
    run = find_run(store, name)
    if run is None:
        raise UsageError(NONE)
    check_files(run, store)
    make_current(store, name)
    return run


def check_deletable(store: Store, name: str, force: bool) -> Run:
    """The run, if it may be deleted. Raises UsageError for the current one without `force`."""
    run = named_run(store, name)
    if name == all_runs(store)[-1].name and not force:
        raise UsageError(f"{name} is the one in use. Choose another (kb adapters use NAME), or add --force")
    return run


def delete(workspace: Workspace, run: Run) -> list[str]:
    """Remove a run's folder, then its row: what a kill leaves is listed as gone. Says what is kept."""
    folder = workspace.run(run.name)
    if folder.exists():
        shutil.rmtree(folder)
    forget(workspace.store, run.name)
    lines = [f"deleted run {run.name}"]
    if not run.adapter.is_relative_to(folder):
        lines.append(f"its adapter lies outside the workspace and stays: {run.adapter}")
    left = all_runs(workspace.store)
    return [*lines, f"in use: {left[-1].name if left else 'none'}"]
