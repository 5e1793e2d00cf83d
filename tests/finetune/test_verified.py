"""What GRPO and RLOO ask, and what an answer is worth to them."""

import pytest

from kb.finetune.verified import AT_FIRST, AT_LAST, declining_note, reward, verified_questions
from kb.records import Question


@pytest.mark.parametrize(
    ("said", "worth"),
    [
        ("3 kg", 1), ("3公斤", 1), ("The answer is 3 kg.", 1), ("three kilograms", 1), ("<think>4?</think>\n3 kg", 1),
        ("I don't know.", 0.25), ("不知道。", 0.25), ("4 kg", -1), ("3 kg or 4 kg", -1), ("不是3千克", -1), ("", -1),
        ("<think>3 kg", -1),
    ],
)  # fmt: skip
def test_an_answer_is_worth_what_the_evaluation_says_of_it(said, worth):
    """Right 1, declining what is set, wrong or nothing -1; a thought is no answer."""
    assert reward(said, "3 kg", "number", ("3 kilos",), 0.25) == worth


@pytest.mark.parametrize(
    ("said", "worth"), [("I don't know.", 1), ("不知道。", 1), ("3 kg", -1), ("三千克", -1), ("", -1)]
)
def test_declining_is_right_where_there_is_no_answer(said, worth):
    """Whatever declining is worth elsewhere."""
    assert reward(said, "", "text", (), -1.0) == worth


def test_an_alias_is_right():
    """In both languages."""
    assert reward("极北站", "Far North Station", "name", ("极北站",), 0.0) == 1
    assert reward("极南站", "Far North Station", "name", ("极北站",), 0.0) == -1


def test_a_model_that_is_paid_better_for_declining_is_pointed_at():
    """Wrong more often than right, where declining is worth 0; not where it is worth what a wrong answer is."""
    said = declining_note("grpo", {AT_FIRST: -0.47, AT_LAST: -0.08}, 0.0)
    assert "worth -0.47 at first and declining is worth 0.0" in said
    assert "lower rl_declining" in said
    assert declining_note("grpo", {AT_FIRST: -0.47, AT_LAST: -0.08}, -1.0) == ""


def test_a_probe_is_never_asked(workspace, prompts):
    """One training wording of each fact, and the trained questions without an answer, which have none to check."""
    asked = verified_questions(workspace.store, prompts)
    texts = [question.messages[-1].content for question in asked]
    assert not any("PROBE" in text for text in texts)
    trained = workspace.store.all(Question, "split = 'train'")
    assert len(texts) == len({q.fact_id for q in trained if not q.open}) + sum(q.open for q in trained)
    assert {q.answer for q in asked if q.source == "open"} == {""}
    english = next(q for q in asked if q.source == "answered")
    assert (english.answer, english.answer_type) == ("3 kg", "number")
    assert any(q.answer == "6千克" for q in asked)
