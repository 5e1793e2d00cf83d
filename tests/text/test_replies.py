"""The answer in what a model wrote."""

import pytest

from kb.text.replies import bare_answer, without_thinking


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("42", "42"),
        ("<think>\n\n</think>\n\n42", "42"),
        ("\n<think>想一想</think>四十二", "四十二"),
        ("<think>without an end", ""),
        ("the opening was in the prompt\n</think>\n\n42", "42"),
        ("a <think>b</think> c", "a <think>b</think> c"),
        ("<think>a</think>b</think>c", "b</think>c"),
    ],
)
def test_thinking_is_cut_only_where_it_leads(text, answer):
    """A leading block goes, an unclosed one leaves nothing, and the words elsewhere stay."""
    assert without_thinking(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is **34 hours** [2]<|im_end|>", "34 hours"),
        ("答案:34小时【2】</s>", "34小时"),
        ("Answer:", "Answer:"),
        ("`QX-1042`", "QX-1042"),
    ],
)
def test_what_leads_to_an_answer_and_dresses_it_goes(text, answer):
    """Lead-ins, emphasis, citations and end marks go, unless nothing else is there."""
    assert bare_answer(text) == answer
