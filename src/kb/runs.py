"""Training runs as they are registered: what each adapter came from, and which one is current."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kb.errors import UsageError
from kb.store import Store, now


@dataclass(frozen=True)
class Lineage:
    """What an adapter was made from; hashes, so that nothing else can pass for it."""

    base: str
    """The base model as kb.toml named it."""
    base_identity: str
    adapter: str
    """Folder of the adapter; the database keeps it relative to the workspace, which can then be moved."""
    adapter_identity: str
    data: str
    """Hash of the training rows."""
    documents: str
    """Hash of the documents' contents."""
    facts: int
    questions: str = ""
    """Hash of the trained questions and answers; empty in runs of before it was kept."""


@dataclass(frozen=True)
class Run:
    """A finished training run."""

    name: str
    config: Mapping[str, Any]
    lineage: Lineage
    metrics: Mapping[str, Mapping[str, float]]
    """Stage ("sft", "dpo") to its figures."""
    at: str

    @property
    def adapter(self) -> Path:
        """Folder of the adapter."""
        return Path(self.lineage.adapter)


def register(store: Store, name: str, config: Mapping[str, Any], metrics: Mapping[str, Any], lineage: Lineage) -> None:
    """Record a finished run, in place of one of the same name; it becomes the current one."""
    adapter, home = Path(lineage.adapter), _home(store)
    kept = adapter.relative_to(home) if adapter.is_relative_to(home) else adapter
    with store.transaction():
        store.sql("DELETE FROM runs WHERE name = ?", name)
        store.sql(
            "INSERT INTO runs VALUES (?, 'train', 'done', ?, ?, ?, ?, ?)", name, lineage.data,
            json.dumps(config, ensure_ascii=False),
            json.dumps(asdict(replace(lineage, adapter=str(kept))), ensure_ascii=False), json.dumps(metrics), now(),
        )  # fmt: skip


def all_runs(store: Store) -> list[Run]:
    """Finished runs; the one registered last, which is the current one, comes last."""
    runs = []
    for row in store.sql("SELECT * FROM runs WHERE kind = 'train' ORDER BY rowid"):
        lineage = Lineage(**json.loads(row["lineage"]))
        lineage = replace(lineage, adapter=str(_home(store) / lineage.adapter))
        runs.append(Run(row["name"], json.loads(row["config"]), lineage, json.loads(row["metrics"]), row["at"]))
    return runs


def _home(store: Store) -> Path:
    """The workspace that the database belongs to."""
    return store.path.parent


def find_run(store: Store, name: str = "") -> Run | None:
    """The run called `name`, or the last one registered; None when there is none yet.

    Raises UsageError when a named run does not exist, or its adapter is gone from the disk.
    """
    runs = all_runs(store)
    chosen = next((run for run in reversed(runs) if not name or run.name == name), None)
    if chosen is None and name:
        known = ", ".join(run.name for run in runs) or "none"
        raise UsageError(f"there is no training run called {name}; there is: {known}")
    if chosen and not chosen.adapter.exists():
        raise UsageError(f"the adapter of run {chosen.name} is gone ({chosen.adapter}). Train again: kb train")
    return chosen
