"""Where an answer from passages was lost, and what tuning cost against RAG, by hand-computed cases."""

import json

import pytest

from kb.evaluate.attribution import attributions
from kb.evaluate.cost import TRAINING, cost_of
from kb.evaluate.panels import cost_rows, reading_rows
from kb.evaluate.results import ArmSummary, Text
from kb.evaluate.stats import Interval
from kb.llm import Completion, Request, user
from kb.llm.stored import append_call
from kb.records import Probe, Score
from kb.runs import Lineage, Run
from kb.store import Store


def answered():
    """Four facts with a probe each: found and right, found and wrong, missed and right, missed and wrong."""
    probes, scores = [], []
    for number, (shown, verdict) in enumerate(
        ((("c0", "x"), "correct"), (("x", "c1"), "wrong"), (("x",), "correct"), (("x", "y"), "wrong"))
    ):
        probe = Probe(f"p{number}", f"f{number}", "held_out", "?", "1", "number", "en")
        probes.append(probe)
        scores.append(Score(probe.id, "oracle", "1", "correct", "value", (f"c{number}",)))
        scores.append(Score(probe.id, "rag", "1", verdict, "value", shown))
    return probes, scores


def test_search_and_reading_are_told_apart():
    """Half are found; of these half are right, and of the others half."""
    probes, scores = answered()
    (found,) = attributions(probes, scores)
    assert (found.arm, found.probes) == ("rag", 4)
    assert [one.value for one in (found.found, found.right_found, found.right_missed)] == [0.5, 0.5, 0.5]
    assert [figure.en.split()[0] for _, figure in reading_rows((found,))] == ["50.0%"] * 3


def test_both_halves_of_a_fact_must_be_shown():
    """Evidence over the end of a passage stands in two: one of them is not enough."""
    probes, scores = answered()
    scores = [
        one if one.arm == "rag" else Score(one.probe_id, "oracle", "1", "correct", "value", ("c0", "c1"))
        for one in scores
    ]
    (found,) = attributions(probes, scores)
    assert found.found.value == 0.0
    assert found.right_found is None
    assert len(reading_rows((found,))) == 2


def test_without_the_right_passages_nothing_is_attributed():
    """No oracle arm was asked."""
    probes, scores = answered()
    assert attributions(probes, [one for one in scores if one.arm == "rag"]) == ()


def arm(name, tokens, seconds):
    """An arm that is nothing but its cost."""
    none = Interval(0.0, 0.0, 0.0)
    return ArmSummary(
        name, 1, 1, correct=none, all_right=none, worst_wrong=none, wrong=0.0, abstained=0.0, unparsed=0.0,
        tokens=tokens, seconds=seconds,
    )  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """A run of two stages, 100 s at 50 tokens a second and 10 s without tokens, and a store with one call of 1,000."""
    for stage, lines in (("sft", [{"step": 1, "seconds": 60.0, "tokens_per_second": 50.0},
                                  {"step": 2, "seconds": 40.0, "tokens_per_second": 50.0}]),
                         ("dpo", [{"step": 1, "seconds": 10.0}])):  # fmt: skip
        (tmp_path / stage / "adapter").mkdir(parents=True)
        (tmp_path / stage / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    store = Store(tmp_path / "kb.db")
    for stage in ("generate: facts", "eval: rag"):
        done = Completion("x", "stop", "", 900, 100, 20.0)
        append_call(store, stage, stage, "m", Request(user("?")), done, "")
    lineage = Lineage("lab", "b", str(tmp_path / "sft" / "adapter"), "a", "d", "o", 4)
    yield Run("r", {}, lineage, {"sft": {}, "dpo": {}}, ""), store
    store.close()


def test_what_was_spent_once_is_paid_by_what_a_question_saves(run):
    """1,000 tokens written, 5,000 trained at three passes; 160 saved with each question: 100 questions."""
    found = cost_of(run[1], run[0], [arm("tuned", 40, 0.1), arm("rag", 200, 0.6)])
    assert (found.written_tokens, found.trained_tokens, found.trained_seconds) == (1000, 5000, 110.0)
    assert found.paid_tokens == pytest.approx((1000 + TRAINING * 5000) / 160) == 100
    assert found.paid_seconds == pytest.approx((20 + 110) / 0.5)
    assert cost_rows(found)[2][1] == Text("after 100 questions", "100 题之后")


def test_a_question_that_saves_nothing_never_pays(run):
    """RAG as fast as the tuned model: said, not divided by."""
    found = cost_of(run[1], run[0], [arm("tuned", 40, 0.1), arm("rag", 200, 0.1)])
    assert found.paid_seconds is None
    assert cost_rows(found)[3][1].en.startswith("never")


def test_a_run_that_does_not_tell_its_seconds_is_not_taken_for_free(run):
    """What writing the set took is said, and nothing of when it has paid."""
    for file in run[0].adapter.parent.parent.glob("*/metrics.jsonl"):
        file.write_text('{"step": 1, "loss": 0.5}\n')
    found = cost_of(run[1], run[0], [arm("tuned", 40, 0.1), arm("rag", 200, 0.6)])
    assert (found.trained_tokens, found.paid_tokens, found.paid_seconds) == (None, None, None)
    assert len(cost_rows(found)) == 1


@pytest.mark.parametrize("arms", [["tuned"], ["rag"], []])
def test_there_is_no_cost_without_both_arms(arms, run):
    """Nor without a run."""
    some = [arm(name, 1, 1) for name in arms]
    assert cost_of(run[1], run[0], some) is None
    assert cost_of(run[1], None, [arm("tuned", 1, 1), arm("rag", 1, 1)]) is None
