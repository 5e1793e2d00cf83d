"""`kb eval --rescore`: stored answers, scored again."""

import json
from pathlib import Path

import pytest

from kb import __version__
from kb.errors import UsageError, WorkspaceError
from kb.evaluate import rescore as rescoring
from kb.evaluate import run as evaluation
from kb.evaluate.rescore import rescore
from kb.evaluate.run import EvalConfig
from kb.llm import Completion, ModelConfig
from kb.llm.fake import FakeLLM
from kb.prompt import Prompts
from kb.records import Score

pytestmark = pytest.mark.slow
"""Each test runs a whole evaluation first."""


@pytest.fixture
def evaluated(handmade, monkeypatch):
    """An evaluation of a model without a training run, with an answer that was cut off and one that failed."""
    script = handmade.script()

    def answer(request):
        asked = request.messages[-1].content
        if "Quick question. Who designed" in asked:
            return Completion("Well, the designer of", "length")
        return (
            Completion("", "error", "the server answers 500") if "In short: Who designed" in asked else script(request)
        )

    monkeypatch.setattr(evaluation, "open_model", lambda model, store: FakeLLM(answer, "base model"))
    config, prompts = EvalConfig(rings="none", resamples=200), Prompts()
    return evaluation.run(handmade.workspace, config, ModelConfig(name="lab"), prompts, handmade.retriever())


def spoil(store, answer, verdict, rule):
    """Let an older scorer have said this of an answer of RAG. Returns its probe."""
    rows = store.sql("SELECT probe_id FROM scores WHERE answer = ? AND arm = 'rag' ORDER BY probe_id", answer)
    probe = rows[0]["probe_id"]
    where = "WHERE arm = 'rag' AND probe_id = ?"
    store.sql(f"UPDATE scores SET verdict = ?, rule = ? {where}", verdict, rule, probe)
    return probe


def test_nothing_changes_where_the_scorer_did_not(evaluated, handmade):
    """Verdicts, figures and answers.jsonl stay; cut off and failed answers too."""
    folder = Path(evaluated.folder)
    before, answers = handmade.workspace.store.all(Score), (folder / "answers.jsonl").read_text("utf-8")
    done = rescore(handmade.workspace)
    assert (done.name, done.answers, done.rules, done.changes) == (evaluated.name, len(before), 0, ())
    assert handmade.workspace.store.all(Score) == before
    assert (folder / "answers.jsonl").read_text("utf-8") == answers
    assert done.report.arms == evaluated.report.arms
    assert (done.report.created, done.report.checks) == (evaluated.report.created, evaluated.report.checks)
    assert "no verdict changed" in done.lines()[0]
    assert {one.rule for one in before} >= {"cut off at the token limit", "no answer: the server answers 500"}


def test_a_verdict_of_an_older_scorer_is_corrected_everywhere(evaluated, handmade):
    """In the store, in answers.jsonl and in the report; the change is told with both rules."""
    probe = spoil(handmade.workspace.store, "210元", "wrong", "other_value")
    done = rescore(handmade.workspace)
    assert [(one.probe_id, one.arm, one.answer) for one in done.changes] == [(probe, "rag", "210元")]
    assert (done.changes[0].before, done.changes[0].after) == ("wrong (other_value)", "correct (value)")
    assert done.lines()[1] == f"  rag {probe}: '210元' for '210元': wrong (other_value) -> correct (value)"
    rows = [json.loads(line) for line in Path(done.folder, "answers.jsonl").read_text("utf-8").splitlines()]
    assert [row["verdict"] for row in rows if (row["arm"], row["probe_id"]) == ("rag", probe)] == ["correct"]
    report = json.loads(Path(done.folder, "report.json").read_text("utf-8"))
    assert report["provenance"]["scored again"].endswith(f"by kb {__version__}")
    assert rescore(handmade.workspace).changes == ()


def test_another_rule_alone_is_no_change_of_verdict(evaluated, handmade):
    """It is counted apart."""
    spoil(handmade.workspace.store, "210元", "correct", "an older rule")
    done = rescore(handmade.workspace)
    assert (done.rules, done.changes) == (1, ())


def test_the_first_ten_changes_are_listed(evaluated, handmade):
    """The others are counted."""
    handmade.workspace.store.sql("UPDATE scores SET verdict = 'wrong', rule = 'x' WHERE verdict = 'correct'")
    done = rescore(handmade.workspace)
    assert len(done.changes) > rescoring.SHOWN
    assert done.lines()[11] == f"  and {len(done.changes) - 10} more, in --json"
    assert len(done.json()["changes"]) == len(done.changes)


def test_no_evaluation_and_a_wrong_name_are_said(handmade, evaluated):
    """What there is stands in the message."""
    with pytest.raises(UsageError, match=f"no evaluation mine and none of a run mine; there are: {evaluated.name}"):
        rescore(handmade.workspace, "mine")
    assert rescore(handmade.workspace, evaluated.name).name == evaluated.name
    Path(evaluated.folder, "report.json").unlink()
    with pytest.raises(WorkspaceError, match="run kb eval first"):
        rescore(handmade.workspace)
