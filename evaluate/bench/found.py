"""What `kb bench run` found of the models of an evaluation, for its report."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from kb.evaluate.beside import Benchmark
from kb.evaluate.pvalues import holm
from kb.evaluate.stats import Interval
from kb.workspace import Workspace

log = logging.getLogger(__name__)

REPORT = "bench.json"
"""In the folder of a run of benchmarks."""
IDENTITIES = ("base identity", "tuned identity")


def benchmarks_of(workspace: Workspace, provenance: Mapping[str, str]) -> tuple[Benchmark, ...]:
    """The newest result of every benchmark that was run with the very base and adapter that `provenance` names.

    p is adjusted for all of them together, as they are read together. Results of other models, of the same run trained
    anew or on a base in other digits, and those in which the adapter changed nothing, are none of theirs; so is a file
    that cannot be read, which is said.
    """
    wanted = [provenance.get(name, "") for name in IDENTITIES]
    newest: dict[str, Benchmark] = {}
    for file in workspace.root.glob(f"evals/*/{REPORT}") if all(wanted) else ():
        try:
            told = json.loads(file.read_text("utf-8"))
            ours = told["applied"] and [told["provenance"].get(name) for name in IDENTITIES] == wanted
            results = [_benchmark(told, task) for task in told["tasks"]] if ours else []
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("%s cannot be read and is left out of the report (%r). Run it again: kb bench run", file, error)
            continue
        for one in results:
            if one.name not in newest or newest[one.name].created < one.created:
                newest[one.name] = one
    found = [newest[name] for name in sorted(newest)]
    adjusted = holm(np.array([one.p for one in found])) if found else ()
    return tuple(replace(one, p_adjusted=float(p)) for one, p in zip(found, adjusted, strict=True))


def _benchmark(told: Mapping[str, Any], task: Mapping[str, Any]) -> Benchmark:
    base, tuned, difference = (Interval(**task[name]) for name in ("base", "tuned", "difference"))
    shift = Interval(**task["shift"]) if task["shift"] else None
    return Benchmark(
        task["name"], told["name"], told["created"], task["items"], base, tuned, difference, task["p"], task["p"],
        task["detectable"], shift,
    )  # fmt: skip
