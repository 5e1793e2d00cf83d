"""`kb adapters show`: everything that one adapter was made from, and what became of that since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kb.adapters.measured import Evaluation, measured
from kb.adapters.overview import Adapter, summary
from kb.runs import Lineage, Run, all_runs, named_run
from kb.store import Store
from kb.workspace import Workspace


@dataclass(frozen=True)
class Source:
    """A document that an adapter was trained on."""

    path: str
    state: str
    """same, changed (the file has another version now) or gone (as of the last `kb ingest`)."""


@dataclass(frozen=True)
class Origin:
    """The whole lineage of an adapter."""

    adapter: Adapter
    lineage: Lineage
    config: Mapping[str, Any]
    documents: tuple[Source, ...]
    """Empty where the run is of before they were kept."""
    new: tuple[str, ...]
    """Paths of documents that came since."""
    evaluations: tuple[Evaluation, ...]
    """Oldest first."""

    def lines(self) -> list[str]:
        """For the terminal."""
        one, made = self.adapter, self.lineage
        used = "in use" if one.current else ""
        lines = [", ".join(filter(None, [f"run {one.name}", one.at, used, one.state]))]
        lines += [f"  {part.weight:g} x {part.run}  {part.adapter_identity}" for part in made.parts]
        lines += [
            f"base: {made.base}  {made.base_identity}", f"adapter: {made.adapter}  {made.adapter_identity}",
            f"data: {made.data}, {one.rows} rows, {one.facts} facts, tag {made.tag or 'none'}",
            *(f"{stage}: {_pairs(figures)}" for stage, figures in one.metrics.items()),
            f"settings: {_pairs(self.config)}",
            f"documents: {made.documents}, {len(self.documents) or 'paths not'} recorded",
            *(f"  {source.state:<7}  {source.path}" for source in self.documents),
            *(f"  {'new':<7}  {path}" for path in self.new),
        ]  # fmt: skip
        scored = [f"evaluation: {one.line()}" for one in self.evaluations]
        return [*lines, *(scored or [f"evaluations: none; kb eval --run {one.name}"])]


def _pairs(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in figures.items())


def origin(workspace: Workspace, name: str) -> Origin:
    """The lineage of the run called `name`. Raises UsageError when there is none."""
    run = named_run(workspace.store, name)
    current = all_runs(workspace.store)[-1].name == name
    documents, new = sources(workspace.store, run)
    return Origin(
        summary(workspace, run, current), run.lineage, run.config, documents, new, tuple(measured(workspace, run))
    )


def sources(store: Store, run: Run) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """The run's documents with what became of them, and the paths of those that came since."""
    rows = store.sql("SELECT path, sha256 FROM documents WHERE retired = 0 ORDER BY path")
    paths, contents = {row["path"] for row in rows}, {row["sha256"] for row in rows}

    def became(path: str, sha256: str) -> str:
        return "same" if sha256 in contents else "changed" if path in paths else "gone"

    files = run.lineage.files
    found = tuple(Source(path, became(path, files[path])) for path in sorted(files))
    known = {*files, *files.values()}
    new = (row["path"] for row in rows if files and not known.intersection(row))
    return found, tuple(new)
