"""Functions of a task of lm-evaluation-harness that kb exported. kb must be installed: its scorer decides.

`kb bench export lm-eval` copies this file beside the YAML that names its functions. The verdicts are those of
`kb.text.match.judge`, and each fact weighs the same, so `correct` is the figure that `kb eval` gives for these probes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kb.text.match import judge

VERDICTS = ("correct", "wrong", "abstained", "unparsed")


def probes(kind: str, **_: Any) -> dict[str, Any]:
    """The probes of a kind, from the file beside this one.

    Read here and not by `datasets`, which makes moments of a column that holds nothing but dates.
    """
    from datasets import Dataset

    lines = Path(__file__).with_name(f"{kind}.jsonl").read_text(encoding="utf-8").split("\n")
    return {"test": Dataset.from_list([json.loads(line) for line in lines if line])}


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, tuple[str, float]]:
    """Each of the four verdicts as 0 or 1, with the fact that the probe counts for."""
    answer = results[0].strip()
    found = judge(answer, doc["gold"], doc["answer_type"], doc["aliases"])
    return {verdict: (doc["fact_id"], float(found.verdict == verdict)) for verdict in VERDICTS}


def fact_mean(items: Sequence[tuple[str, float]]) -> float:
    """The mean over facts of the mean over their wordings."""
    facts: dict[str, list[float]] = defaultdict(list)
    for fact, value in items:
        facts[fact].append(value)
    return sum(sum(values) / len(values) for values in facts.values()) / len(facts)
