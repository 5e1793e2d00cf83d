"""The last evaluation of a run, read from report.json."""

import json

from kb.evals import Measured, last_evaluation
from kb.llm.identity import combine
from kb.runs import Lineage, Run

SHARE = {"value": 0.5, "low": 0.4, "high": 0.6}
RUN = Run("one", {}, Lineage("lab", "b", "a", "i", "data", "文件", 3), {}, "now")


def write(root, name, created, adapter="i", retention=SHARE):
    provenance = {"base identity": "w", "tuned identity": combine(["w", adapter])}
    report = {
        "name": name, "created": created, "facts": 2, "probes": 10, "retention": retention,
        "provenance": provenance, "arms": [{"arm": "tuned", "correct": SHARE, "wrong": 0.1}],
        "rings": [{"name": "known", "difference": {"value": -0.1, "low": -0.2, "high": 0.0}}],
    }  # fmt: skip
    folder = root / "evals" / name
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")


def test_the_newest_of_the_run_is_read(tmp_path):
    """With its arms, losses and retention, which may not have been measured."""
    write(tmp_path, "one-aaa", "2026-01-02")
    write(tmp_path, "one-bbb", "2026-01-03", retention=None)
    write(tmp_path, "two-ccc", "2026-01-04", adapter="two")
    found = last_evaluation(tmp_path, RUN)
    assert found.name == "one-bbb"
    assert found.arms == {"tuned": Measured(0.5, 0.4, 0.6)}
    assert found.losses == {"known": Measured(-0.1, -0.2, 0.0)}
    assert found.retention is None


def test_an_earlier_run_of_the_name_is_not_taken_for_it(tmp_path):
    """Its adapter is another one; without evaluations there is nothing."""
    assert last_evaluation(tmp_path, RUN) is None
    write(tmp_path, "one-aaa", "2026-01-02", adapter="other")
    assert last_evaluation(tmp_path, RUN) is None
