"""What replies and errors of servers mean."""

import json

import httpx2
import openai
import pytest

from kb.llm.base import Completion
from kb.llm.replies import THINKING, Failure, explain, read_answer, read_models


def reply(content, finish="stop", **more):
    message = content if isinstance(content, dict) else {"role": "assistant", "content": content}
    return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": finish}], **more}).encode()


def error(status, body, headers=None):
    response = httpx2.Response(status, json=body, headers=headers, request=httpx2.Request("POST", "http://x/v1"))
    client = openai.OpenAI(api_key="k", base_url="http://x/v1")
    return client._make_status_error_from_response(response)


def test_an_answer_with_its_token_counts():
    """Text, finish and usage are taken over."""
    got = read_answer(reply(" 四十二 \n", usage={"prompt_tokens": 7, "completion_tokens": 3}), ())
    assert got == Completion("四十二", "stop", "", 7, 3)


@pytest.mark.parametrize("usage", [{}, {"usage": None}, {"usage": {"prompt_tokens": None}}, {"usage": "none"}])
def test_missing_token_counts_are_zero(usage):
    """Servers that count nothing, or say so oddly, are understood."""
    assert read_answer(reply("yes", **usage), ()) == Completion("yes", "stop")


def test_cut_off_at_the_limit():
    """finish_reason "length" is not taken for an answer that ended."""
    assert read_answer(reply("half an ans", "length"), ()) == Completion("half an ans", "length")


def test_a_stop_string_that_the_server_left_in():
    """`transformers serve` keeps stop strings, and may report the limit; the answer ends before the first of them."""
    assert read_answer(reply("one\n###two", "length"), ("@@", "###")) == Completion("one", "stop")


def test_a_header_that_the_server_left_in():
    """`transformers serve` may give the opening of the turn as part of the answer."""
    assert read_answer(reply("<|im_start|> assistant\n北京"), ()) == Completion("北京", "stop")
    assert read_answer(reply("an <|im_start|>assistant"), ()) == Completion("an <|im_start|>assistant", "stop")


def test_thinking_is_cut():
    """A leading think block is no part of the answer."""
    assert read_answer(reply("<think>hmm</think>\n\n北京"), ()) == Completion("北京", "stop")


@pytest.mark.parametrize(
    "message",
    [
        {"content": "<think>still at it"},
        {"content": None, "reasoning_content": "still at it"},
        {"content": "", "reasoning": "still at it"},
    ],
)
def test_cut_off_while_thinking_names_the_cure(message):
    """An answer that never began because the model thought too long says so, in every form servers give it."""
    assert read_answer(reply(message, "length"), ()) == Completion("", "length", THINKING)


def test_content_filter_is_an_error():
    """What the server's filter cut is not an answer."""
    got = read_answer(reply("par", "content_filter"), ())
    assert got == Completion("", "error", "the server's content filter stopped the answer")


def test_a_refusal_is_text():
    """Whether a refusal is an answer is for the caller to say."""
    assert read_answer(reply({"content": None, "refusal": "I can't."}), ()) == Completion("I can't.", "stop")


def test_content_in_parts():
    """Some servers give the content as a list."""
    parts = {"content": [{"type": "text", "text": "甲"}, {"type": "text", "text": "乙"}]}
    assert read_answer(reply(parts), ()) == Completion("甲乙", "stop")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"choices": [', "the reply is not JSON"),
        (b"<html>502</html>", "the reply is not JSON"),
        (b"\xff\xfe\xfa", "the reply is not JSON"),
        (b"", "the reply is not JSON"),
        (b"[]", "the reply has no choices"),
        (b"null", "the reply has no choices"),
        (b'{"choices": []}', "the reply has no choices"),
        (b'{"choices": null}', "the reply has no choices"),
        (b'{"choices": [{"message": "hi"}]}', "the reply has no choices"),
        (b'{"choices": [{"message": {"content": ["hi"]}}]}', "the reply has no choices"),
        (b'{"error": {"message": "upstream is busy"}}', "the reply has no choices: upstream is busy"),
    ],
)
def test_malformed_replies_are_worth_another_try(content, reason):
    """What is not a chat completion is a failure with a reason, never an exception."""
    assert read_answer(content, ()) == Failure(reason)


@pytest.mark.parametrize(
    ("status", "again", "overload"),
    [(400, False, False), (408, True, True), (409, True, False), (422, False, False), (429, True, True)]
    + [(status, True, True) for status in (500, 502, 503, 529)],
)
def test_which_statuses_are_tried_again(status, again, overload):
    """Server errors and 408, 409 and 429 are; other client errors are not."""
    failure = explain(error(status, {"error": {"message": "没有"}}))
    assert failure == Failure(f"HTTP {status}: 没有", again, overload)


@pytest.mark.parametrize(
    ("body", "text"),
    [({"error": "busy"}, "busy"), ({"detail": "bad field"}, "bad field"), ({"error": {"message": "a\n  b"}}, "a b")],
)
def test_the_servers_own_words(body, text):
    """Messages are found where OpenAI, Ollama and FastAPI put them, and fit on a line."""
    assert explain(error(400, body)).reason == f"HTTP 400: {text}"


def test_pauses_are_read_from_refusals_that_pass():
    """Retry-After counts for a 429 and not for a 400."""
    assert explain(error(429, {}, {"retry-after": "3"})).pause == 3
    assert explain(error(400, {}, {"retry-after": "3"})).pause == 0


def test_lists_of_models():
    """Entries are found; anything of another form is an empty list."""
    assert read_models(b'{"object": "list", "data": [{"id": "m"}]}') == [{"id": "m"}]
    assert [read_models(text) for text in (b"", b"[]", b'{"data": null}', b'{"data": ["m"]}')] == [[], [], [], []]
