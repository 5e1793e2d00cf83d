"""A workspace with documents, and functions that register runs and evaluations of them without any model."""

import json

import pytest

from kb.llm.identity import combine, folder_identity
from kb.records import Document, Fact, Probe, Score
from kb.runs import Lineage, register
from kb.workspace import Workspace

NAMES = ("Arin", "Bolt", "Coro")


def documents(store, **contents):
    """Documents by name and content, in place of those that were there."""
    store.sql("UPDATE documents SET retired = 1")
    for name, sha256 in contents.items():
        store.put([Document(f"doc_{name}_{sha256}", f"/docs/{name}.md", sha256, "md", name, "en", "")], replace=True)


@pytest.fixture
def place(tmp_path):
    """A workspace with two documents and three facts."""
    workspace = Workspace(tmp_path / "kb", create=True)
    store = workspace.store
    documents(store, prices="p1", 员工="y1")
    for number, name in enumerate(NAMES):
        text = f"{name} weighs {number} kg."
        store.put([Fact(f"fct_{number}", "chk_1", text, f"{number} kg", "number", text, 0, len(text), "en")])
    yield workspace
    store.close()


@pytest.fixture
def train(place):
    """A function that registers a run as `kb train` does, its adapter a file of a few bytes."""

    def trained(name, weights="weights", config=None, metrics=None, **changes):
        adapter = place.run(name) / "sft" / "adapter"
        adapter.mkdir(parents=True, exist_ok=True)
        (adapter / "adapter_model.safetensors").write_text(weights, encoding="utf-8")
        rows = place.store.sql("SELECT path, sha256 FROM documents WHERE retired = 0 ORDER BY sha256")
        made = {
            "base": "lab", "base_identity": "b", "adapter": str(adapter), "adapter_identity": folder_identity(adapter),
            "data": "d", "documents": combine(row["sha256"] for row in rows), "facts": 3,
            "files": {row["path"]: row["sha256"] for row in rows},
        }  # fmt: skip
        figures = metrics or {"sft": {"rows": 9, "steps": 3, "loss": 0.25}}
        register(place.store, name, config or {"rank": 8}, figures, Lineage(**made | changes))
        return adapter

    return trained


@pytest.fixture
def evaluate(place):
    """A function that stores an evaluation of a run: `right` are the numbers of the facts that it answers."""

    def evaluated(run, suffix, right=(), gold="kg", adapter=None):
        name, store = f"{run}-{suffix}", place.store
        identity = folder_identity(adapter or place.run(run) / "sft" / "adapter")
        probes = [
            Probe(f"prb_{fact}{wording}", f"fct_{fact}", "held_out", "?", f"{fact} {gold}", "number", "en")
            for fact in range(3) for wording in range(2)
        ]  # fmt: skip
        verdicts = {probe.id: "correct" if int(probe.fact_id[-1]) in right else "wrong" for probe in probes}
        store.put(probes, eval=name)
        store.put([Score(id, "tuned", "x", verdict, "exact") for id, verdict in verdicts.items()], eval=name)
        shares = {"base": 0.0, "tuned": len(right) / 3}
        report = {
            "name": name, "created": "2026-01-02T03:04:05", "facts": 3,
            "provenance": {"base identity": "w", "tuned identity": combine(["w", identity])},
            "arms": [
                {"arm": arm, "correct": {"value": share, "low": 0.0, "high": 1.0}} for arm, share in shares.items()
            ],
            "probes": 1, "retention": None, "rings": [],
        }  # fmt: skip
        place.eval(name).mkdir(parents=True)
        (place.eval(name) / "report.json").write_text(json.dumps(report), encoding="utf-8")
        return name

    return evaluated


@pytest.fixture
def ingest(place):
    """A function that puts documents, by name and content, in place of those that are there."""
    return lambda **contents: documents(place.store, **contents)
