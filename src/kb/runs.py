"""Training runs as they are registered: what each adapter came from, and which one is current."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from kb.errors import UsageError
from kb.store import Store, now

WEAK = "train: never right in "
"""The beginning of settings that hold the ids of the facts that a run's model never answers right, by the run."""
STRENGTHENED = "generate: strengthened"
"""The setting that holds the lists that `kb generate-qa` wrote more questions by: run and data to ids of facts."""
CURRENT = "runs: current"
"""The setting that holds the name of the run that eval, chat, export and serve use."""


@dataclass(frozen=True)
class Part:
    """A run that went into a combined one."""

    run: str
    adapter_identity: str
    weight: float


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
    sft_adapter: str = ""
    """Folder of the adapter of the first stage; empty where none followed, and in runs of before it was kept."""
    sft_identity: str = ""
    tag: str = ""
    """What stood before every question about the documents (`[model] tag`); empty: nothing."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Path to SHA-256 of each document that was live; empty in runs of before it was kept."""
    parts: tuple[Part, ...] = ()
    """What an adapter was combined from; empty for a trained one."""
    watched: tuple[str, ...] = ()
    """Ids of the facts whose held-out wordings chose the adapter: these wordings measure it no more."""


@dataclass(frozen=True)
class Run:
    """A finished training run."""

    name: str
    config: Mapping[str, Any]
    lineage: Lineage
    metrics: Mapping[str, Mapping[str, float]]
    """Stage ("sft", "dpo") to its figures, in the order they were trained."""
    at: str

    @property
    def adapter(self) -> Path:
        """Folder of the adapter."""
        return Path(self.lineage.adapter)

    @property
    def sharpened_by(self) -> str:
        """The stage after the first as the field writes it ("DPO", "SimPO"); empty where none followed."""
        stages = list(self.metrics)
        if not self.lineage.sft_adapter or len(stages) < 2:
            return ""
        return "SimPO" if stages[1] == "simpo" else stages[1].upper()

    @property
    def unsharpened(self) -> Run | None:
        """The run as its first stage alone left it; None where none followed, or its adapter is gone."""
        folder = self.lineage.sft_adapter
        if not folder or not Path(folder).exists():
            return None
        return replace(self, lineage=replace(self.lineage, adapter=folder, adapter_identity=self.lineage.sft_identity))


def register(store: Store, name: str, config: Mapping[str, Any], metrics: Mapping[str, Any], lineage: Lineage) -> None:
    """Record a finished run, in place of one of the same name; it becomes the current one."""
    kept = _moved(lineage, lambda folder: _from(_home(store), folder))
    with store.transaction():
        make_current(store, name)
        store.sql("DELETE FROM runs WHERE name = ?", name)
        store.sql(
            "INSERT INTO runs VALUES (?, 'train', 'done', ?, ?, ?, ?, ?)", name, lineage.data,
            json.dumps(config, ensure_ascii=False),
            json.dumps(asdict(kept), ensure_ascii=False), json.dumps(metrics), now(),
        )  # fmt: skip


def nameable(name: str) -> bool:
    """Whether a run can be called this: it is the name of a folder."""
    return bool(name) and not name.startswith(".") and not any(letter in name for letter in "/\\\0")


def make_current(store: Store, name: str) -> None:
    """Let a run be the one that is used where none is named."""
    store.set_setting(CURRENT, name)


def forget(store: Store, name: str) -> None:
    """Take a run off the register. What was evaluated of it stays; where it was current, the last one left is."""
    with store.transaction():
        store.sql("DELETE FROM runs WHERE name = ?", name)
        store.sql("DELETE FROM settings WHERE key = ? OR (key = ? AND value = ?)", WEAK + name, CURRENT, name)


def all_runs(store: Store) -> list[Run]:
    """Finished runs in the order they were registered, and last the current one: `make_current`'s, or the newest."""
    runs = []
    for row in store.sql("SELECT * FROM runs WHERE kind = 'train' ORDER BY rowid"):
        kept = json.loads(row["lineage"])
        tuples = {"parts": tuple(Part(**part) for part in kept.get("parts", ()))}
        lineage = Lineage(**kept | tuples | {"watched": tuple(kept.get("watched", ()))})
        lineage = _moved(lineage, lambda folder: _home(store) / folder)
        runs.append(Run(row["name"], json.loads(row["config"]), lineage, json.loads(row["metrics"]), row["at"]))
    current = store.setting(CURRENT)
    return sorted(runs, key=lambda run: run.name == current)


def evaluations(store: Store, name: str) -> list[str]:
    """Names of the evaluations that are stored of runs of this name, oldest first."""
    rows = store.sql("SELECT eval FROM scores GROUP BY eval ORDER BY MIN(rowid)")
    return [row["eval"] for row in rows if evaluated_run(row["eval"]) == name]


def evaluated_run(evaluation: str) -> str:
    """The run that an evaluation is named after."""
    return evaluation.rpartition("-")[0]


def _moved(lineage: Lineage, move: Callable[[Path], Path]) -> Lineage:
    """The lineage with its folders through a function."""
    sft = str(move(Path(lineage.sft_adapter))) if lineage.sft_adapter else ""
    return replace(lineage, adapter=str(move(Path(lineage.adapter))), sft_adapter=sft)


def _from(home: Path, folder: Path) -> Path:
    """A folder as it is named from another one that it lies in; elsewhere, as it is."""
    return folder.relative_to(home) if folder.is_relative_to(home) else folder


def _home(store: Store) -> Path:
    """The workspace that the database belongs to."""
    return store.path.parent


def find_run(store: Store, name: str = "") -> Run | None:
    """The run called `name`, or the current one; None when there is none yet.

    Raises UsageError when a named run does not exist, or its adapter is gone from the disk.
    """
    runs = all_runs(store)
    chosen = named_run(store, name) if name else runs[-1] if runs else None
    if chosen and not chosen.adapter.exists():
        raise UsageError(f"the adapter of run {chosen.name} is gone ({chosen.adapter}). Train again: kb train")
    return chosen


def named_run(store: Store, name: str) -> Run:
    """The run called `name`, whether its adapter is there or not. Raises UsageError when there is none."""
    runs = all_runs(store)
    for run in runs:
        if run.name == name:
            return run
    known = ", ".join(run.name for run in runs) or "none"
    raise UsageError(f"there is no training run called {name}; there is: {known}")


@dataclass(frozen=True)
class Weak:
    """Facts that the model of a run does not answer right in any sample, right after its SFT."""

    run: str
    data: str
    """Hash of what it was trained on: a run may be trained anew under its name."""
    facts: tuple[str, ...]


def note_weak(store: Store, run: str, facts: Iterable[str]) -> None:
    """Keep which facts the model of a run never answers right."""
    store.set_setting(WEAK + run, json.dumps(list(facts)))


def last_weak(store: Store) -> Weak | None:
    """What the current run never answers right; None where there is no run, or its model was not sampled."""
    runs = all_runs(store)
    noted = store.setting(WEAK + runs[-1].name) if runs else ""
    return Weak(runs[-1].name, runs[-1].lineage.data, tuple(json.loads(noted))) if noted else None


def strengthened(store: Store, also: Weak | None = None) -> dict[str, list[str]]:
    """The lists of facts that more questions were written for, each once: run and data to ids; `also` is a new one."""
    lists: dict[str, list[str]] = json.loads(store.setting(STRENGTHENED) or "{}")
    return lists | ({f"{also.run} {also.data}": list(also.facts)} if also and also.facts else {})


def still_weak(store: Store) -> Weak | None:
    """What the current run never answers right, as long as no more questions were written for it."""
    weak = last_weak(store)
    return weak if weak and strengthened(store, weak) != strengthened(store) else None


def times_weak(lists: Mapping[str, Iterable[str]]) -> Counter[str]:
    """Fact id to the number of lists that it is in."""
    return Counter(fact for facts in lists.values() for fact in facts)
