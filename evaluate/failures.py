"""Facts that need something done about them, as rows that the next `kb generate-qa --for-failures` reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from kb.evaluate.diagnosis import KINDS, in_order
from kb.evaluate.results import Report
from kb.evaluate.tables import tabulate
from kb.records import Diagnosis, Probe, Score
from kb.workspace import Workspace, write_jsonl

FILE = "failures.jsonl"
"""In the folder of an evaluation."""
TELLING = ("rag", "tuned", "tuned_rag", "oracle", "tuned_oracle")
"""Arms whose wrong answers say something: those that the decision table looks at."""


def keep_findings(workspace: Workspace, report: Report, probes: Sequence[Probe], scores: Sequence[Score]) -> None:
    """Store what was found of each fact, in place of what was, and write the rows of `failures` beside the report."""
    store = workspace.store
    with store.transaction():
        store.sql("DELETE FROM diagnoses WHERE eval = ?", report.name)
        store.put((Diagnosis(row.fact_id, row.findings) for row in report.fact_rows), eval=report.name)
    write_jsonl(workspace.eval(report.name) / FILE, failures(report, probes, scores))


def failures(report: Report, probes: Sequence[Probe], scores: Sequence[Score]) -> Iterator[dict[str, Any]]:
    """A row for each fact that something is to be done about, by what is to be done first.

    Each says what was found, who knows the fact (the Venn group), the share right by kind of probe and arm, and every
    answer that was not right, of the arms that tell something.
    """
    shares, wrong = _shares(probes, scores), _wrong(probes, scores)
    for row in in_order(report.fact_rows):
        if row.to_act_on:
            yield {
                "evaluation": report.name, "fact_id": row.fact_id, "statement": row.statement, "answer": row.gold,
                "document": row.document, "language": row.language, "diagnosis": row.findings[0],
                "findings": list(row.findings), "known_by": row.known_by, "shares": shares[row.fact_id],
                "wrong": wrong[row.fact_id],
            }  # fmt: skip


def _shares(probes: Sequence[Probe], scores: Sequence[Score]) -> dict[str, dict[str, dict[str, float]]]:
    """Fact to kind of probe to arm to the share right; what was not asked is left out."""
    found: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    table = tabulate(probes, scores)
    for kind in KINDS:
        part = table.of_kind(kind)
        for fact, row in zip(part.facts, part.shares().tolist() if part.probes else (), strict=True):
            found[fact][kind] = {arm: share for arm, share in zip(part.arms, row, strict=True) if share == share}
    return found


def _wrong(probes: Sequence[Probe], scores: Sequence[Score]) -> dict[str, list[dict[str, str]]]:
    asked = {probe.id: probe for probe in probes if probe.kind in KINDS}
    found: dict[str, list[dict[str, str]]] = defaultdict(list)
    for one in scores:
        probe = asked.get(one.probe_id)
        if probe and one.verdict != "correct" and one.arm in TELLING:
            found[probe.fact_id].append(
                {"arm": one.arm, "kind": probe.kind, "question": probe.question, "answer": one.answer,
                 "verdict": one.verdict}
            )  # fmt: skip
    return found
