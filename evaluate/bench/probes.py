"""The probes as rows for other harnesses: the very chats that the closed-book arms are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kb.evaluate.arms import KINDS
from kb.evaluate.probes import CONTROLS, RINGS, document_probes, unwatched
from kb.evaluate.run import EvalConfig
from kb.llm.closed import closed_prompt
from kb.llm.tuned import questions_changed
from kb.prompt import Prompts
from kb.records import Probe
from kb.runs import find_run
from kb.store import Store


@dataclass(frozen=True)
class ProbeRow:
    """A probe as another harness asks it; the field names are those of the files."""

    id: str
    fact_id: str
    """The cluster: all wordings of a fact stand or fall together."""
    kind: str
    language: str
    system: str
    """System message; empty: none."""
    user: str
    """The user's message, as kb asks it."""
    gold: str
    """Empty where not knowing is right."""
    answer_type: str
    aliases: tuple[str, ...]


def probe_rows(store: Store, config: EvalConfig, prompts: Prompts) -> dict[str, list[ProbeRow]]:
    """What `kb eval` would ask the closed-book arms about the documents, by kind of probe.

    As there, without the held-out wordings that chose the adapter of the run, and without the controls where questions
    have been made anew since it was trained. Raises WorkspaceError when there are no facts and UsageError for a run
    that does not exist.
    """
    probes = document_probes(store, config.probes_per_fact, config.limit)
    run = find_run(store, config.run)
    if run:
        probes = unwatched(probes, run.lineage.watched)
        if questions_changed(run, store):
            probes = [probe for probe in probes if probe.kind not in CONTROLS]
    kinds = sorted((KINDS["none"] - set(RINGS)) & {probe.kind for probe in probes})
    return {kind: _rows(prompts, [probe for probe in probes if probe.kind == kind]) for kind in kinds}


def _rows(prompts: Prompts, probes: Sequence[Probe]) -> list[ProbeRow]:
    rows = []
    for probe in probes:
        chat = {message.role: message.content for message in closed_prompt(prompts, probe.question, probe.language)}
        rows.append(
            ProbeRow(
                probe.id, probe.fact_id, probe.kind, probe.language, chat.get("system", ""), chat["user"], probe.gold,
                probe.answer_type, probe.aliases,
            )
        )  # fmt: skip
    return rows
