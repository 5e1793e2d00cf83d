"""Tasks of lm-evaluation-harness over imported items: its own task files, with the data of the workspace."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kb.evaluate.bench.sets import SETS, SUBJECT, BenchSet
from kb.workspace import write_text

DESCRIPTION = "kb_description"
"""Column with what is said before an item's question; the published words name its subject."""


def spread(items: Sequence[dict[str, Any]], limit: int) -> list[dict[str, Any]]:
    """So many of the items, evenly spaced, so that all subjects of a sorted file are there; all for 0."""
    count = min(limit, len(items)) if limit else len(items)
    return [items[at * len(items) // count] for at in range(count)]


def task_name(name: str) -> str:
    """What the task is called; not the stock name, since its prompts have no examples."""
    return f"kb_bench_{name}"


def write_task(folder: Path, name: str, items: Sequence[dict[str, Any]]) -> None:
    """Write the task of a benchmark over these items: a YAML file that includes the stock one, and a parquet file.

    Parquet and not JSON, where `datasets` makes moments of a column that holds nothing but dates.
    """
    from datasets import Dataset
    from datasets.utils.logging import disable_progress_bar

    disable_progress_bar()
    stock = _stock()
    wanted = SETS[name]
    known: dict[str, str] = {}
    rows = [item | {DESCRIPTION: _description(wanted, item[SUBJECT], stock, known)} for item in items]
    data = folder / f"{name}.parquet"
    Dataset.from_list(rows).to_parquet(data)
    write_text(folder / f"{name}.yaml", "\n".join(_lines(wanted, stock, data)) + "\n")


def _lines(wanted: BenchSet, stock: Path, data: Path) -> list[str]:
    """JSON is YAML, so every value is written as JSON."""
    changed: Mapping[str, Any] = {
        "task": task_name(wanted.name), "tag": None, "dataset_path": "parquet", "dataset_name": None,
        "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(data.parent / "cache")},
        "training_split": None, "validation_split": None, "test_split": "test", "fewshot_split": None,
        "fewshot_config": None, "num_fewshot": 0, "description": DESCRIPTION,
    }  # fmt: skip
    lines = [f"include: {json.dumps(str(stock / wanted.task))}"]
    return lines + [f"{key}: {json.dumps(value)}" for key, value in changed.items()]


def _description(wanted: BenchSet, subject: str, stock: Path, known: dict[str, str]) -> str:
    """The words before a question: those of the stock task of the subject, the general ones for a subject of no task,
    none without a subject.
    """
    if not subject:
        return ""
    if subject not in known:
        file = stock / wanted.one_subject.format(subject)
        general = wanted.about.format(subject.replace("_", " "))
        known[subject] = _published(file) if file.is_file() else general
    return known[subject]


def _published(file: Path) -> str:
    import yaml

    found: str = yaml.safe_load(file.read_text(encoding="utf-8"))["description"]
    return found


def _stock() -> Path:
    """The folder of the harness's own tasks."""
    import lm_eval.tasks

    return Path(lm_eval.tasks.__file__).parent
