"""The judge of what no rule can decide: measured first, and used only where it is good."""

import json
import re

import pytest

from kb.errors import ConfigError, Unparsed
from kb.evaluate import contenders, judging
from kb.evaluate import run as evaluation
from kb.evaluate.arms import Asked
from kb.evaluate.following import FOLLOWING
from kb.evaluate.judging import (
    HEDGES,
    Case,
    cohens_kappa,
    judged_residue,
    known_cases,
    parse_verdict,
    prompt_ids,
    read_labels,
)
from kb.evaluate.run import EvalConfig
from kb.evaluate.scorers import CUT, judged_again
from kb.evaluate.wording import judge_said
from kb.llm import Item, ModelConfig, Request, user
from kb.llm.fake import FakeLLM
from kb.prompt import Prompts
from kb.records import Probe, Score
from kb.store import Store

RIGHT = {
    ("within three days of receipt", "no later than three days after it arrives"),
    ("收到后三天内", "最迟在到货三日之内"),
}
"""Gold and answer in other words."""
ROWS = (
    ("within three days of receipt", "text", "en"), ("the safety officer", "category", "en"),
    ("north gate", "place", "en"),
    ("收到后三天内", "text", "zh"), ("安全员", "category", "zh"), ("349元", "money", "zh"),
)  # fmt: skip
PROBES = [
    Probe(f"p{at}", f"f{at}", "held_out", f"question {at}?", gold, kind, language)
    for at, (gold, kind, language) in enumerate(ROWS)
]


def fields(request):
    """Right answer and answer of a judge's request."""
    text = request.messages[-1].content
    return tuple(
        re.search(rf"(?:{key})[:：] ?(.*)", text)[1]
        for key in ("Right answer|正确答案", "Answer to judge|待判断的回答")
    )


def honest(request):
    """A judge that knows what is right, and says it in the language of the request."""
    gold, answer = fields(request)
    is_right = gold == answer or (gold, answer) in RIGHT
    if answer in HEDGES.values():
        return "DECLINED" if answer.isascii() else "拒答。"
    english = request.messages[-1].content.isascii()
    return ("CORRECT" if is_right else "WRONG") if english else ("正确" if is_right else "错误")


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    return Store(tmp_path / "kb.db")


def answered(*answers, rule="other_value", verdict="wrong"):
    """Answers of one arm, one for each probe."""
    return [
        (
            Asked(probe, Item(f"tuned:{probe.id}", Request(user("?"))), ()),
            Score(probe.id, "tuned", answer, verdict, rule),
        )
        for probe, answer in zip(PROBES, answers, strict=False)
    ]


def test_a_judge_decides_only_what_no_rule_could(store):
    """Other words are right, other roles wrong; a place and an amount are not its business, nor is another number."""
    scores = answered(
        "no later than three days after it arrives", "the owner", "the gate in the north", "四天内", "看情况", "350元"
    )
    new, found = judged_residue(FakeLLM(honest, "honest"), store, PROBES, scores)
    assert [(one.verdict, one.rule) for _, one in new] == [
        ("correct", "judge"), ("wrong", "judge"), ("wrong", "other_value"), ("wrong", "other_value"),
        ("wrong", "judge"), ("wrong", "other_value"),
    ]  # fmt: skip
    assert (found.asked, found.decided, found.used) == (3, {"correct": 1, "wrong": 2}, True)
    assert found.kappa.value == 1.0
    assert found.kappa.low < 1.0
    assert [(one.kind, one.cases, one.agreed) for one in found.known] == [
        ("gold", 6, 6),
        ("hedge", 6, 6),
        ("other", 6, 6),
    ]
    assert "asked about 3 answers that no rule decided: 1 correct, 2 wrong" in judge_said(found).en


def test_an_answer_to_an_instruction_is_no_business_of_a_judge(store):
    """Neither a broken one nor one that was cut off: a program decides of all of them."""
    probe = Probe("i", "following:i", FOLLOWING, "Two lines?", '{"lines": 2}', "instruction", "en")
    asked = Asked(probe, Item("tuned:i", Request(user("?"))), ())
    scores = [(asked, Score("i", "tuned", "one", *said)) for said in (("unparsed", CUT), ("wrong", "broken: lines"))]
    new, found = judged_residue(FakeLLM(honest, "honest"), store, [*PROBES, probe], scores)
    assert (new, found.used, found.asked) == (scores, True, 0)


@pytest.mark.parametrize("word", ["CORRECT", "WRONG", "well", ""])
def test_a_judge_that_always_says_the_same_is_caught(word, store):
    """Yes to everything, no to everything, nothing that can be read: kappa is 0 or less, and no verdict changes."""
    scores = answered("no later than three days after it arrives")
    new, found = judged_residue(FakeLLM(lambda request: word, "always"), store, PROBES, scores)
    assert new == scores
    assert (found.used, found.asked, found.decided) == (False, 0, {})
    assert found.kappa.value <= 0.0
    assert "not good enough" in judge_said(found).en


def test_labels_of_people_count_by_themselves(store, tmp_path):
    """A judge that is good at the known cases and disagrees with people is not used."""
    row = {"question": "q", "gold": "g", "language": "en"}
    rows = [row | {"answer": f"a{at}", "verdict": ("correct", "wrong", "declined")[at % 3]} for at in range(30)]
    file = tmp_path / "labels.jsonl"
    file.write_text("\n".join(json.dumps(one) for one in rows), encoding="utf-8")
    found = judged_residue(FakeLLM(honest, "honest"), store, PROBES, [], str(file))[1]
    assert (found.kappa.value, found.people.value, found.labels, found.used) == (1.0, 0.0, 30, False)
    assert "on 30 labels of people" in judge_said(found).en


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "q"}, "row 1: gold is missing"),
        (
            {"question": "q", "gold": "g", "answer": "a", "language": "fr", "verdict": "wrong"},
            "language 'fr' is none of en",
        ),
        ({"question": "q", "gold": "g", "answer": "a", "language": "en", "verdict": "yes"}, "verdict 'yes' is none of"),
    ],
)
def test_labels_that_cannot_be_read_are_refused(row, said, tmp_path):
    """With file, row and what is wrong."""
    file = tmp_path / "labels.jsonl"
    file.write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        read_labels(str(file))
    with pytest.raises(ConfigError, match=r"there is no file nowhere\.jsonl"):
        read_labels("nowhere.jsonl")


def test_known_cases_are_made_of_the_probes():
    """The other gold is of the same language and not right by the rules; text comes first; the same seed, the same."""
    cases = known_cases(PROBES)
    assert cases == known_cases(list(reversed(PROBES)))
    by_id = {probe.id: probe for probe in PROBES}
    for case in cases:
        probe = by_id[case.id.rpartition(":")[2]]
        assert (case.gold, case.is_correct) == (probe.gold, case.kind == "gold")
        assert case.kind != "other" or case.answer in {one.gold for one in PROBES if one.language == case.language}
    assert {case.gold for case in cases[:12]} == {
        probe.gold for probe in PROBES if probe.answer_type in ("text", "category")
    }
    near = Probe("n", "f9", "near_miss", "?", "", "text", "en")
    assert known_cases([near]) == []
    assert {case.kind for case in known_cases(PROBES[:1])} == {"gold", "hedge"}


def test_kappa_by_hand():
    """Cohen's example: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no give .4."""
    cases, said = [], {}
    for count, truth, verdict in (
        (20, True, "correct"),
        (5, True, "wrong"),
        (10, False, "correct"),
        (15, False, "declined"),
    ):
        for _ in range(count):
            id = str(len(cases))
            cases.append(Case(id, id, "label", "", "", (), "", "en", truth))
            said[id] = verdict
    found = cohens_kappa(cases, said)
    assert found.value == pytest.approx(0.4)
    assert found.low < 0.4 < found.high
    assert cohens_kappa([], {}) is None


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("CORRECT", "correct"), ("**Wrong**.", "wrong"), ("Incorrect, because", "wrong"), ("declined", "declined"),
        ("正确。", "correct"), ("不正确", "wrong"), ("错误：数字不同", "wrong"), ("拒答", "declined"),
    ],
)  # fmt: skip
def test_replies(reply, verdict):
    """The first word decides."""
    assert parse_verdict(reply) == verdict
    with pytest.raises(Unparsed):
        parse_verdict(f"I would say {reply}")


def test_an_answer_that_was_cut_off_can_be_right_by_the_judge_and_never_wrong(store):
    """What is not there yet stays unparsed."""
    scores = answered("no later than three days after it arrives", "the owner of", rule=CUT, verdict="unparsed")
    new, _ = judged_residue(FakeLLM(honest, "honest"), store, PROBES, scores)
    assert [(one.verdict, one.rule) for _, one in new] == [("correct", "judge"), ("unparsed", CUT)]


def test_what_a_judge_decided_stays_when_it_is_scored_again():
    """Unless a rule decides it by now."""
    probe = PROBES[0]
    judged = Score("p0", "tuned", "no later than three days after it arrives", "correct", "judge")
    assert judged_again(probe, judged) == judged
    by_rule = judged_again(probe, Score("p0", "tuned", "within three days of receipt", "wrong", "judge"))
    assert (by_rule.verdict, by_rule.rule) == ("correct", "exact")


@pytest.mark.slow
@pytest.mark.parametrize(("script", "used"), [(honest, True), (lambda request: "CORRECT", False)])
def test_a_whole_evaluation_with_a_judge(script, used, handmade, monkeypatch):
    """What it is worth is in the report, the terminal and the page; its prompts and identity too."""
    monkeypatch.setattr(contenders, "open_model", lambda model, store: FakeLLM(handmade.script(), "base model"))
    monkeypatch.setattr(judging, "open_model", lambda model, store: FakeLLM(script, f"judge {model.name}"))
    config = EvalConfig(rings="none", resamples=200, judge="other", instructions=0)
    done = evaluation.run(handmade.workspace, config, ModelConfig(name="lab"), Prompts(), handmade.retriever)
    report = json.loads((handmade.workspace.eval(done.name) / "report.json").read_text("utf-8"))
    told = report["judging"]
    assert (told["judge"], told["used"], told["prompts"]) == ("judge other", used, prompt_ids())
    assert ("kappa 1.00" in done.lines()[0]) is used
    for suffix in ("md", "html"):
        assert "kappa" in (handmade.workspace.eval(done.name) / f"report.{suffix}").read_text("utf-8")
