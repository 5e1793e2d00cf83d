"""What an evaluation found of a run, read from its report.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb.llm.identity import combine
from kb.runs import Run

REPORT = "report.json"
"""In the folder of an evaluation."""


@dataclass(frozen=True)
class Measured:
    """An estimate and its 95% interval; shares are 0 to 1, differences -1 to 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Evaluation:
    """The last evaluation of a run."""

    name: str
    created: str
    facts: int
    """With held-out probes."""
    probes: int
    arms: Mapping[str, Measured]
    """Arm (base, rag, tuned, ...) to its share of right answers."""
    retention: Measured | None
    """What the tuned model answers without documents, as a share of what RAG answers; None: not measured."""
    losses: Mapping[str, Measured]
    """What the base could do (known, reading, never, near_miss, unanswerable) to tuned minus base."""


def last_evaluation(root: Path, run: Run) -> Evaluation | None:
    """The newest evaluation of this run in the workspace at `root`; None where it was not evaluated.

    One of another adapter that had the name before is not taken for it.
    """
    found = [read_evaluation(file, run) for file in (root / "evals").glob(f"*/{REPORT}")]
    return max((one for one in found if one), key=lambda one: one.created, default=None)


def read_evaluation(file: Path, run: Run) -> Evaluation | None:
    """What a report says of this run; None where it is of another adapter, or there is no such file."""
    report = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    return _evaluation(report) if report and _is_of(report["provenance"], run) else None


def _is_of(provenance: Mapping[str, Any], run: Run) -> bool:
    """Whether the tuned model that was asked is the base with this adapter: its identity is a hash over both."""
    base = provenance.get("base identity", "")
    return provenance.get("tuned identity") == combine([base, run.lineage.adapter_identity])


def _evaluation(report: Mapping[str, Any]) -> Evaluation:
    return Evaluation(
        report["name"], report["created"], report["facts"], report["probes"],
        {arm["arm"]: Measured(**arm["correct"]) for arm in report["arms"]},
        Measured(**report["retention"]) if report["retention"] else None,
        {ring["name"]: Measured(**ring["difference"]) for ring in report["rings"]},
    )  # fmt: skip
