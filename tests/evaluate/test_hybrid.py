"""The hybrid arm: closed-book where sure, else with passages, else not at all; thresholds from other facts."""

import random
from dataclasses import replace

import pytest

from kb.evaluate.arms import Asked
from kb.evaluate.hybrid import DECLINED, NOT_SURE, figures, routed
from kb.evaluate.stats import Interval
from kb.llm import Item, Request, user
from kb.records import Probe, Score


def answered(rows, kind="held_out", gold="349 crowns"):
    """Answers of both arms and how sure they were: (closed right, sure, read right, sure) a probe, a fact each."""
    found, sure = [], {}
    for number, (closed, certain, read, certain_read) in enumerate(rows):
        probe = Probe(f"prb_{kind}_{number:03d}", f"fct_{kind}_{number}", kind, "?", gold, "money", "en")
        asked = Asked(probe, Item(probe.id, Request(user("?"))), ())
        for arm, right, confidence, tokens in (("tuned", closed, certain, 20), ("tuned_rag", read, certain_read, 150)):
            verdict = "correct" if right else "wrong"
            shown = ("chk_1",) if arm == "tuned_rag" else ()
            found.append(
                (
                    asked,
                    Score(probe.id, arm, "349 crowns" if right else "12 crowns", verdict, "value", shown, tokens, 1.0),
                )
            )
            sure[arm, probe.id] = confidence
    return found, sure


def verdicts(route):
    """Verdicts by probe."""
    return {score.probe_id: score.verdict for _, score in route.answered}


def test_it_answers_by_heart_where_it_is_sure_and_reads_elsewhere():
    """The surer half is right by heart, passages tell the other: all right, half of the retrievals saved."""
    given, sure = answered([(True, -0.1, True, -0.1), (False, -2.0, True, -0.1)] * 40)
    route = routed(given, sure)
    assert set(verdicts(route).values()) == {"correct"}
    found = figures(route, [one for _, one in [*given, *route.answered]], sure)
    assert (found.coverage.value, found.right.value, found.held_back.value, found.auroc) == (0.5, 1.0, 0.0, 1.0)
    costs = {score.probe_id in route.alone: (score.tokens, score.seconds) for _, score in route.answered}
    assert costs == {True: (20, 1.0), False: (170, 2.0)}


def test_it_holds_back_what_it_is_sure_of_in_neither_way():
    """Where unsure answers are wrong with passages too, it declines, by a rule of its own."""
    given, sure = answered([(True, -0.1, True, -0.1), (False, -2.0, False, -3.0)] * 40)
    route = routed(given, sure)
    rest = [score for _, score in route.answered if score.verdict != "correct"]
    assert {(score.answer, score.verdict, score.rule) for score in rest} == {(DECLINED["en"], "abstained", NOT_SURE)}
    assert len(rest) == 40
    found = figures(route, [one for _, one in [*given, *route.answered]], sure)
    assert found.held_back.value == 0.5


def test_near_misses_teach_it_to_be_careful():
    """It answers those confidently by heart and declines with passages: at that confidence, it reads."""
    facts, sure = answered([(True, -0.1, True, -0.1)] * 10)
    traps, more = answered([(False, -0.1, True, -0.1)] * 30, "near_miss", "")
    route = routed([*facts, *traps], sure | more)
    assert set(verdicts(route).values()) == {"correct"}
    assert route.alone == frozenset()


def test_a_refusal_is_no_answer_to_be_sure_of():
    """The tuned model declines with full confidence: the passages are asked."""
    given, sure = answered([(True, -0.1, True, -0.1)] * 40)
    declined = [
        (asked, replace(one, answer="I don't know.", verdict="abstained") if one.arm == "tuned" else one)
        for asked, one in given
    ]
    route = routed(declined, sure | {key: 0.0 for key in sure if key[0] == "tuned"})
    assert route.alone == frozenset()
    assert set(verdicts(route).values()) == {"correct"}


def test_no_fact_chooses_its_own_threshold():
    """Confidence that says nothing gains nothing: by heart it is right as often as ever, not as hindsight would be."""
    chance = random.Random(3)
    rows = [(chance.random() < 0.5, chance.random(), False, -9.0) for _ in range(600)]
    given, sure = answered(rows)
    route = routed(given, sure)
    found = figures(route, [one for _, one in [*given, *route.answered]], sure)
    assert found.auroc == pytest.approx(0.5, abs=0.06)
    assert found.right is None or found.right.low < 0.5 < found.right.high


def test_headroom_is_set_against_that_of_another_run():
    """Tuned and RAG right on different halves: 50 points; two runs that differ on a fifth: what of it is chance."""
    rows = [(bool(number % 2), -0.1, True, -0.1) for number in range(40)]
    given, sure = answered(rows)
    route = routed(given, sure)
    scores = [one for _, one in [*given, *route.answered]]
    for number, (asked, _) in enumerate(given[::2]):
        scores.append(Score(asked.probe.id, "rag", "", "wrong" if number % 2 else "correct", "r"))
        same = bool(number % 2) != (number % 5 == 0)
        scores.append(Score(asked.probe.id, "run:other", "", "correct" if same else "wrong", "r"))
    found = figures(route, scores, sure)
    assert found.headroom.value == 0.5
    assert isinstance(found.control, Interval) and found.control.value == pytest.approx(0.1)


@pytest.mark.parametrize("missing", ["arm", "confidence"])
def test_there_is_none_without_its_parts(missing):
    """No arm with passages, or nobody who says how sure an answer was: no hybrid, and no figures."""
    given, sure = answered([(True, -0.1, True, -0.1)] * 4)
    if missing == "arm":
        given = [(asked, one) for asked, one in given if one.arm == "tuned"]
    else:
        sure.popitem()
    route = routed(given, sure)
    assert route.answered == ()
    assert figures(route, [one for _, one in given], sure) is None
