"""`kb eval --rescore`: stored answers, scored again."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from kb import __version__
from kb.cli import app
from kb.errors import UsageError, WorkspaceError
from kb.evaluate import contenders
from kb.evaluate import rescore as rescoring
from kb.evaluate import run as evaluation
from kb.evaluate.beside import Agreement, General, GoldShift, Hybrid, Judging, Regression
from kb.evaluate.hybrid import NOT_SURE
from kb.evaluate.rescore import rescore
from kb.evaluate.run import EvalConfig
from kb.evaluate.stats import Interval
from kb.llm import Completion, ModelConfig
from kb.llm.fake import FakeLLM
from kb.prompt import Prompts
from kb.records import Diagnosis, Score

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

    monkeypatch.setattr(contenders, "open_model", lambda model, store: FakeLLM(answer, "base model"))
    config, prompts = EvalConfig(rings="none", resamples=200, instructions=0), Prompts()
    return evaluation.run(handmade.workspace, config, ModelConfig(name="lab"), prompts, handmade.retriever)


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


def test_an_evaluation_of_an_older_version_is_scored_again(evaluated, handmade):
    """Its report has none of the parts that were added since, nor do its answers name their chats."""
    folder = Path(evaluated.folder)
    told = json.loads((folder / "report.json").read_text("utf-8"))
    old = ("untaught", "kept", "watched", "unfollowed", "hybrid", "judging", "cost", "general", "benchmarks")
    (folder / "report.json").write_text(json.dumps({key: told[key] for key in told if key not in old}), "utf-8")
    (folder / "prompts.jsonl").unlink()
    rows = [json.loads(line) for line in (folder / "answers.jsonl").read_text("utf-8").splitlines()]
    (folder / "answers.jsonl").write_text("".join(json.dumps(row | {"prompt": ""}) + "\n" for row in rows), "utf-8")
    done = rescore(handmade.workspace)
    assert (done.changes, done.report.arms) == ((), evaluated.report.arms)


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


def test_parts_of_a_report_come_back_from_their_json():
    """Nested records, tuples, mappings and what was not measured."""
    span = Interval(0.5, 0.25, 0.75)
    judging = Judging("m", "i", "p", (Agreement("gold", 3, 2),), span, None, 0, True, 4, {"correct": 1})
    shift, worst = GoldShift("known", 3, -1.0, -2.0, span), Regression("p", "k", "q", "g", 0, 1)
    general = General(2, 9, None, 0.5, (shift,), (worst,))
    for kind, made in ((Judging, judging), (General, general), (Hybrid, Hybrid(span, None, span, 0.5, None, None))):
        assert rescoring.rebuilt(kind, json.loads(json.dumps(asdict(made)))) == made
    assert rescoring.rebuilt(Judging, None) is None


def test_what_the_hybrid_held_back_stays_so_and_its_figures_go_with_a_changed_verdict(evaluated, handmade):
    """A refusal in its place is not scored for what it says; confidences are not stored, so figures are not made up."""
    store, file = handmade.workspace.store, Path(evaluated.folder, "report.json")
    spoil(store, "210元", "abstained", NOT_SURE)
    told = json.loads(file.read_text("utf-8")) | {"hybrid": asdict(Hybrid(None, None, None, 0.5, None, None))}
    file.write_text(json.dumps(told), "utf-8")
    kept = rescore(handmade.workspace)
    assert (kept.changes, kept.report.hybrid.auroc) == ((), 0.5)
    store.sql("UPDATE scores SET verdict = 'wrong', rule = 'x' WHERE arm = 'rag' AND verdict = 'correct'")
    assert rescore(handmade.workspace).report.hybrid is None


def test_what_is_to_be_done_about_each_fact_follows_the_verdicts(evaluated, handmade):
    """In the store and in the rows that the next `kb generate-qa --for-failures` reads; no gate goes with it."""
    store = handmade.workspace.store
    found = {row.fact_id: row.findings for row in evaluated.report.fact_rows}
    store.sql("UPDATE diagnoses SET findings = '[\"learnt\"]'")
    (Path(evaluated.folder) / "failures.jsonl").unlink()
    rescore(handmade.workspace)
    assert {one.fact_id: one.findings for one in store.all(Diagnosis)} == found
    assert (Path(evaluated.folder) / "failures.jsonl").exists()
    with pytest.raises(UsageError, match="only --run goes with it"):
        app(["eval", "--rescore", "--fail-if", "facts < 3"], standalone_mode=False)
