"""What `kb eval --export-failures` writes of made-up evaluations."""

import json

from kb.evaluate.diagnosis import KINDS
from kb.evaluate.failures import failures
from kb.evaluate.summary import summarise
from kb.records import FINDINGS


def test_every_fact_to_act_on_is_there_once(sample):
    """First things first, and with it the Venn lists: what is only known to one of RAG and tuned, or to neither."""
    made = sample(60, 3)
    report = summarise(made.probes, made.scores, name="run-1", resamples=100, statements=made.statements)
    rows = list(failures(report, made.probes, made.scores))
    acted = {row.fact_id: row for row in report.fact_rows if row.to_act_on}
    assert len(rows) == len(acted) and {row["fact_id"] for row in rows} == acted.keys()
    order = [FINDINGS.index(row["diagnosis"]) for row in rows]
    assert order == sorted(order) and len(set(order)) > 3
    venn = report.venn
    for name in ("only_rag", "only_tuned", "neither"):
        assert sum(row["known_by"] == name for row in rows) == getattr(venn, name)
    for row in rows:
        assert row["findings"] == list(acted[row["fact_id"]].findings)
        assert row["shares"]["held_out"] == acted[row["fact_id"]].shares
        assert set(row["shares"]) <= set(KINDS)
        assert all(one["arm"] != "base" and one["verdict"] != "correct" for one in row["wrong"])
    assert json.loads(json.dumps(rows)) == rows
