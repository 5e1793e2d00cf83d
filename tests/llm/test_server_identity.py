"""Which server and model are asked, with which key, and what nobody gets to see."""

import json
import logging
import time

import pytest

from kb.errors import LLMError
from kb.llm import ModelConfig, Request, user
from kb.llm.openai_api import OpenAIServer

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Waits of milliseconds instead of seconds."""
    monkeypatch.setattr("kb.llm.limit.BACKOFF", 0.002)


def connect(server, model="m", **settings):
    return OpenAIServer(ModelConfig(base_url=server.url, **settings), model)


def requests(count):
    return [Request(user(f"question {number}"), max_tokens=50) for number in range(count)]


def answers(llm, asked):
    return dict(llm.generate(asked))


def test_identity_of_a_server(faulty_server):
    """Address and model decide; the time in the server's entry does not, and neither does a missing list of models."""
    server = faulty_server()
    first = connect(server).identity
    time.sleep(1.1)
    assert connect(server).identity == first
    assert connect(server, "n").identity != first
    assert connect(faulty_server()).identity != first
    silent = connect(faulty_server(models=False))
    assert len(silent.identity) == 16
    assert silent.models() == []
    assert connect(server).models() == ["m"]


def test_the_effort_of_thinking_is_sent_and_makes_another_model(faulty_server):
    """Where it is set; with the same weights other answers come."""
    server = faulty_server()
    plain, quick = connect(server), connect(server, reasoning_effort="none")
    for llm in (plain, quick):
        answers(llm, requests(1))
    assert [body.get("reasoning_effort") for body in server.bodies] == [None, "none"]
    assert plain.identity != quick.identity


def test_a_password_in_the_address_is_not_shown(faulty_server):
    """A password in the address is part neither of the identity nor of messages."""
    server = faulty_server()
    secret = server.url.replace("//", "//user:password@")
    llm = OpenAIServer(ModelConfig(base_url=secret), "m")
    assert llm.identity == connect(server).identity
    server.close()
    with pytest.raises(LLMError) as caught:
        llm.models()
    assert "password" not in str(caught.value)


def test_the_key_comes_from_the_environment(faulty_server, monkeypatch):
    """The variable that the settings name is read for each run; without one a placeholder is sent."""
    server = faulty_server()
    llm = connect(server, api_key_env="MY_KEY")
    answers(llm, requests(1))
    monkeypatch.setenv("MY_KEY", "sk-1")
    answers(llm, requests(1))
    assert server.keys == {"EMPTY", "sk-1"}


def test_a_wrong_key_ends_the_run_and_is_never_shown(faulty_server, monkeypatch, caplog):
    """401 concerns every request: one error that names the variable, without the key, also if the server repeats it."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("MY_KEY", "sk-geheim-9")
    server = faulty_server(key="sk-other")
    llm = connect(server, api_key_env="MY_KEY")
    with pytest.raises(LLMError) as caught:
        answers(llm, requests(10))
    assert str(caught.value) == (
        f"{server.url} answers HTTP 401: wrong key ***."
        " The key is read from the environment variable MY_KEY, which is set."
    )
    assert "sk-geheim-9" not in caplog.text
    assert "sk-geheim-9" not in json.dumps(vars(llm), default=repr)
    assert len(server.bodies) == 0


def test_no_proxy_for_this_machine(faulty_server, monkeypatch):
    """A proxy in the environment is not asked for a server on this machine."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert answers(connect(faulty_server()), requests(1))[0].text == "answer to question 0"
