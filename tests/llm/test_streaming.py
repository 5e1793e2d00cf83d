"""An answer in pieces is the answer."""

import pytest

from kb.llm import Completion, Request, user
from kb.llm.fake import FakeLLM
from kb.llm.streaming import _Pieces, answer


def pieces(texts, final, **options):
    """What is told of a text that grows."""
    told = []
    growing = _Pieces(Request(user("?"), **options), told.append)
    for text in texts:
        growing.grow(text)
    growing.finish(final)
    return [text for text in told if text]


def test_pieces_add_up_to_the_text():
    """In any language, with the blanks that stand between words and without those that may be at an end."""
    assert pieces(["Ana", "Ana ", "Ana 和", "Ana 和 "], "Ana 和") == ["Ana", " 和"]


def test_thinking_is_not_told():
    """Neither while it goes on nor when it is over."""
    assert pieces(["<think>", "<think>so", "<think>so</think>", "<think>so</think>\n\nAna"], "Ana") == ["Ana"]


def test_what_may_become_a_stop_string_is_held_back():
    """A beginning of one is told when it has become something else, and what follows one never."""
    assert pieces(["one", "one E", "one ENX"], "one ENX", stop=("END",)) == ["o", "ne", " E", "NX"]
    assert pieces(["one", "one EN", "one END", "one END more"], "one", stop=("END",)) == ["o", "ne"]


def test_a_model_elsewhere_tells_all_at_once():
    """A server's answer is one piece."""
    told = []
    done = answer(FakeLLM(lambda request: Completion("two words", "stop")), Request(user("?")), told.append)
    assert (told, done.text) == (["two words"], "two words")


@pytest.mark.slow
def test_a_local_model_tells_each_token(llm):
    """The pieces add up to what the model says without them, ended or cut off, with stop strings or not."""
    requests = [Request(user(f"question {n}，中一丁"), max_tokens=24) for n in range(4)]
    whole = dict(llm.generate(requests))
    requests += [Request(request.messages, 24, stop=(whole[n].text[3:5],)) for n, request in enumerate(requests)]
    whole = {n: next(iter(llm.generate([request])))[1] for n, request in enumerate(requests)}
    pieces = 0
    for number, request in enumerate(requests):
        told = []
        done = answer(llm, request, told.append)
        assert (done, "".join(told)) == (whole[number], whole[number].text)
        pieces += len(list(filter(None, told)))
    assert pieces > 2 * len(requests)


@pytest.mark.slow
def test_what_the_listener_raises_ends_the_generation(llm):
    """At the token that it is raised for."""
    told = []

    def tell(text):
        told.append(text)
        if len(told) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        answer(llm, Request(user("question 1，中"), max_tokens=200), tell)
    assert len(told) == 3
