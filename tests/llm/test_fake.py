"""The scripted model."""

import json

import pytest

from kb.errors import ModelUnavailable, UsageError
from kb.llm import Completion, ModelConfig, Request, open_model, user
from kb.llm.fake import FakeLLM

ASKED = [Request(user("one")), Request(user("two")), Request(user("three"))]


def script(tmp_path, *rows):
    path = tmp_path / "script.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_answers_in_turn_and_keeps_the_history():
    """A list is answered in turn, again from its start when it is used up; what is skipped takes no turn."""
    fake = FakeLLM(["a", Completion("b", "length")])
    assert list(fake.generate(ASKED, skip={1})) == [(0, Completion("a", "stop")), (2, Completion("b", "length"))]
    assert [text for _, text in fake.generate(ASKED[:1])] == [Completion("a", "stop")]
    assert [request.messages[-1].content for request in fake.history] == ["one", "three", "one"]


def test_answers_by_a_function():
    """A function sees the whole request."""
    fake = FakeLLM(lambda request: request.messages[-1].content.upper())
    assert [done.text for _, done in fake.generate(ASKED)] == ["ONE", "TWO", "THREE"]


def test_answers_from_a_file(tmp_path):
    """The first row whose text is in the prompt answers; a prompt without a row is an error."""
    path = script(tmp_path, {"contains": "tw", "answer": "二"}, {"contains": "t", "answer": "三"})
    model = open_model(ModelConfig(name=f"fake:{path}"))
    answers = [done for _, done in model.generate(ASKED)]
    assert [done.text for done in answers] == ["", "二", "三"]
    assert answers[0].error == "script.jsonl has no answer for this prompt"


def test_identity_is_what_the_file_says(tmp_path):
    """Another script is another model, wherever it lies; the same one is the same."""
    one = FakeLLM.from_file(script(tmp_path, {"contains": "a", "answer": "b"})).identity
    (tmp_path / "other").mkdir()
    assert FakeLLM.from_file(script(tmp_path / "other", {"contains": "a", "answer": "b"})).identity == one
    assert FakeLLM.from_file(script(tmp_path, {"contains": "a", "answer": "c"})).identity != one


def test_a_missing_or_wrong_file_is_named(tmp_path):
    """A file that is not there or lacks a field is an error a user can act on."""
    with pytest.raises(ModelUnavailable, match=r"gone\.jsonl: no such file"):
        FakeLLM.from_file(tmp_path / "gone.jsonl")
    with pytest.raises(UsageError, match='line 2: needs "contains" and "answer"'):
        FakeLLM.from_file(script(tmp_path, {"contains": "a", "answer": "b"}, {"contains": "a"}))
