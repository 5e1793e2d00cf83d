"""A task of Inspect that kb exported. kb must be installed: its scorer decides.

`kb bench export inspect` copies this file beside the probes. The verdicts are those of `kb.text.match.judge`; standard
error and interval are clustered by fact, because all wordings of a fact stand or fall together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import Sample, json_dataset
from inspect_ai.model import ChatMessage, ChatMessageSystem, ChatMessageUser, GenerateConfig
from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, Score, Scorer, Target, accuracy, ci, scorer, stderr
from inspect_ai.solver import TaskState, generate

from kb.text.match import judge

HERE = Path(__file__).parent
VALUES = {"correct": CORRECT, "wrong": INCORRECT, "abstained": NOANSWER, "unparsed": NOANSWER}


def sample(row: dict[str, Any]) -> Sample:
    """A probe: the chat that kb asks, the right answers, and what the scorer needs."""
    chat: list[ChatMessage] = [ChatMessageSystem(content=row["system"])] if row["system"] else []
    target = [row["gold"], *row["aliases"]]
    about = {field: row[field] for field in ("fact_id", "kind", "language", "answer_type")}
    return Sample(input=[*chat, ChatMessageUser(content=row["user"])], target=target, id=row["id"], metadata=about)


@scorer(metrics=[accuracy(), stderr(cluster="fact_id"), ci(cluster="fact_id")])
def kb_judge() -> Scorer:
    """Kb's typed comparison; the explanation names the rule that decided."""

    async def score(state: TaskState, target: Target) -> Score:
        answer = state.output.completion.strip()
        found = judge(answer, target[0], state.metadata["answer_type"], target[1:])
        return Score(value=VALUES[found.verdict], answer=answer, explanation=f"{found.verdict}: {found.rule}")

    return score


@task
def kb_probes(kind: str = "held_out", max_tokens: int = 96) -> Task:
    """The probes of one kind, greedily answered; `-T kind=near_miss` for another."""
    config = GenerateConfig(temperature=0.0, max_tokens=max_tokens)
    dataset = json_dataset(str(HERE / f"{kind}.jsonl"), sample)
    return Task(dataset=dataset, solver=generate(), scorer=kb_judge(), config=config)
