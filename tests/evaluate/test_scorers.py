"""Answers to verdicts, and what becomes of a request that failed."""

import pytest

from kb.evaluate.arms import ARMS, Asked
from kb.evaluate.following import FOLLOWING
from kb.evaluate.scorers import judged_again, score
from kb.llm import Completion, Item, Request, Result, user
from kb.records import Probe


def scored(answer, gold, kind="text", aliases=(), reason="", finish="stop"):
    """The score of one answer."""
    probe = Probe("prb_1", "fct_1", "held_out", "?", gold, kind, "en", aliases)
    item = Item("rag:prb_1", Request(user("?")))
    done = Completion(answer, finish, prompt_tokens=7, completion_tokens=2, seconds=0.5)
    result = Result(item, None if reason else answer, done, reason)
    return score(ARMS["rag"], Asked(probe, item, ("chk_1", "chk_2")), result)


@pytest.mark.parametrize(
    ("answer", "gold", "kind", "verdict"),
    [
        ("349 crowns", "349 crowns", "money", "correct"),
        ("It costs 350 crowns.", "349 crowns", "money", "wrong"),
        ("三月", "2020年3月1日", "date", "wrong"),
        ("2020-03-01", "2020年3月1日", "date", "correct"),
        ("I don't know.", "349 crowns", "money", "abstained"),
        ("不知道。", "", "text", "correct"),
        ("349 crowns", "", "text", "wrong"),
        ("", "349 crowns", "money", "unparsed"),
    ],
)
def test_verdicts(answer, gold, kind, verdict):
    """By the type of the answer; where nothing is to be known, declining is right and everything else wrong."""
    assert scored(answer, gold, kind).verdict == verdict


def test_an_alias_is_right():
    """Any of the names counts."""
    assert scored("Core T", "Tulvao Core", "name", ("Core T",)).verdict == "correct"


def test_a_score_carries_what_it_came_from():
    """Probe, arm, answer, rule, passages shown, tokens of prompt and answer together, seconds."""
    made = scored("349 crowns", "349 crowns", "money")
    assert (made.probe_id, made.arm, made.answer, made.rule) == ("prb_1", "rag", "349 crowns", "value")
    assert (made.passages, made.tokens, made.seconds) == (("chk_1", "chk_2"), 9, 0.5)


def test_a_failed_request_is_unparsed_and_says_why():
    """Neither wrong nor an abstention, also where there is no answer to know; what came of it is kept."""
    for gold in ("349 crowns", ""):
        made = scored("", gold, reason="the server answers 500", finish="error")
        assert (made.verdict, made.rule) == ("unparsed", "no answer: the server answers 500")


def test_an_answer_that_was_cut_off_counts_as_far_as_it_got():
    """Right or declined before the limit stays so; what is not there yet is unparsed and not wrong."""
    cut = scored("The price of it is", "349 crowns", finish="length")
    assert (cut.verdict, cut.answer) == ("unparsed", "The price of it is")
    assert scored("349 crowns", "349 crowns", "money", finish="length").verdict == "correct"
    assert scored("I do not know", "349 crowns", finish="length").verdict == "abstained"


@pytest.mark.parametrize(
    ("answer", "finish", "verdict", "rule"),
    [
        ("one\ntwo", "stop", "correct", "followed"),
        ("one", "stop", "wrong", "broken: lines"),
        ("one\ntwo", "length", "unparsed", "cut off at the token limit"),
        ("我不知道。", "stop", "abstained", "refusal"),
    ],
)
def test_an_instruction_is_followed_or_not(answer, finish, verdict, rule):
    """By its constraints; one whose answer was still going on was not, and scoring again says the same."""
    probe = Probe("prb_1", "following:x", FOLLOWING, "?", '{"lines": 2}', "instruction", "en")
    item = Item("base:prb_1", Request(user("?")))
    made = score(ARMS["base"], Asked(probe, item, ()), Result(item, answer, Completion(answer, finish)))
    assert (made.verdict, made.rule) == (verdict, rule)
    assert judged_again(probe, made) == made


@pytest.mark.parametrize(
    ("answer", "finish", "verdict", "rule"),
    [
        ("", "stop", "unparsed", "empty"),
        (" ……。", "stop", "unparsed", "empty"),
        ("<think>349 crowns</think>", "stop", "unparsed", "thinking"),
        ("<think>349 crowns, or", "length", "unparsed", "thinking"),
        ("<think>350?</think>349 crowns", "stop", "correct", "value"),
        ("<think>349</think>I don't know.", "stop", "abstained", "refusal"),
        ("资料中没有提到。", "stop", "abstained", "refusal"),
        ("I don't know, but it could be 349 crowns or 350 crowns.", "stop", "wrong", "competing_values"),
        ("It costs", "length", "unparsed", "cut off at the token limit"),
        ("It costs", "stop", "wrong", "no_value"),
    ],
)
def test_the_four_verdicts_of_what_is_hardly_an_answer(answer, finish, verdict, rule):
    """As docs/scoring.md has them: nothing is dropped, and what was thought is not scored."""
    made = scored(answer, "349 crowns", "money", finish=finish)
    assert (made.verdict, made.rule) == (verdict, rule)
