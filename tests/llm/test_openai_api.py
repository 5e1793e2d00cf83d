"""The client of OpenAI-compatible servers, over real HTTP against a server that fails on purpose."""

import json
import os
import signal
import threading
import time

import pytest

from kb.errors import LLMError
from kb.llm import Completion, ModelConfig, Request, user
from kb.llm.openai_api import OpenAIServer
from kb.llm.replies import Failure

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Waits of milliseconds instead of seconds."""
    monkeypatch.setattr("kb.llm.limit.BACKOFF", 0.002)


def connect(server, model="m", **settings):
    return OpenAIServer(ModelConfig(base_url=server.url, **settings), model)


def requests(count, prompt="question {}"):
    return [Request(user(prompt.format(number)), max_tokens=50) for number in range(count)]


def answers(llm, asked, skip=()):
    return dict(llm.generate(asked, skip))


def no_threads_left():
    return not [thread for thread in threading.enumerate() if thread.name == "kb-requests"]


def test_answers_land_with_their_index(faulty_server):
    """Every request that is not skipped is answered, with token counts and seconds, in Chinese too."""
    server = faulty_server(lambda prompt: f"答：{prompt}")
    got = answers(connect(server), requests(20, "问题 {}"), skip={3})
    assert sorted(got) == [number for number in range(20) if number != 3]
    assert got[7] == Completion("答：问题 7", "stop", "", 4, 6)
    assert 0 < got[7].seconds < 5
    assert no_threads_left()


def test_what_is_sent(faulty_server):
    """Model, messages, limit and temperature go out; a seed only with a temperature, stop strings only if there are."""
    server = faulty_server()
    greedy = Request(user("q", "be brief"), max_tokens=9, seed=5)
    sampled = Request(user("q"), max_tokens=9, temperature=0.5, seed=5, stop=("\n", "。"))
    answers(connect(server, concurrency=1), [greedy, sampled])
    system = {"role": "system", "content": "be brief"}
    question = {"role": "user", "content": "q"}
    assert server.bodies == [
        {"model": "m", "messages": [system, question], "max_tokens": 9, "temperature": 0.0},
        {
            "model": "m", "messages": [question], "max_tokens": 9, "temperature": 0.5, "seed": 5, "stop": ["\n", "。"],
        },
    ]  # fmt: skip


def test_a_schema_is_sent_as_a_response_format(faulty_server):
    """In the form that vLLM, llama.cpp and Ollama take; requests without one have none."""
    server = faulty_server(schemas="honoured")
    schema = {"type": "object", "properties": {"word": {"type": "string", "enum": ["blue"]}}}
    held = Request(user("q"), schema=json.dumps(schema))
    got = answers(connect(server, concurrency=1), [held, Request(user("q"))])
    assert [got[0].text, got[1].text] == ['{"word": "blue"}', "answer to q"]
    form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    assert [body.get("response_format") for body in server.bodies] == [form, None]


def test_a_server_that_refuses_schemas_is_sent_no_more_of_them(faulty_server, caplog):
    """All such requests are refused, those after the first without being sent; it is said once, others are answered."""
    server = faulty_server(schemas="refused")
    asked = [Request(user(f"q{number}"), schema="{}" if number % 2 else "") for number in range(20)]
    llm = connect(server, concurrency=1)
    got = answers(llm, asked)
    assert [got[number].refused for number in range(20)] == [False, True] * 10
    assert "response_format" in got[1].error
    assert server.counts == {"schema": 1, "ok": 10}
    assert "refuses a JSON schema" in caplog.text
    assert len(caplog.records) == 1
    assert answers(llm, asked[1:2])[0].refused


def test_a_prompt_that_is_refused_is_no_refused_schema(faulty_server):
    """A prompt that is too long is refused in any form; the others keep their schema."""
    server = faulty_server(schemas="honoured", doomed=lambda prompt: "bad_request" if prompt == "q1" else None)
    asked = [Request(user(f"q{number}"), schema='{"properties": {}}') for number in range(4)]
    got = answers(connect(server, concurrency=1), asked)
    assert [got[number].refused for number in range(4)] == [False, True, False, False]


@pytest.mark.parametrize(
    "kind", ["not_json", "no_choices", "dropped", "rate_limited", "rate_limited_wait", "broken"]
)  # fmt: skip
def test_passing_faults_are_tried_again(faulty_server, kind):
    """Every prompt meets the fault twice and is answered by the third try."""
    server = faulty_server(faults={kind: 1.0}, most=2)
    got = answers(connect(server, retries=3), requests(6))
    assert [got[number].text for number in range(6)] == [f"answer to question {number}" for number in range(6)]
    assert server.counts == {kind: 12, "ok": 6}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("not_json", "the reply is not JSON (3 tries)"),
        ("no_choices", "the reply has no choices (3 tries)"),
        ("rate_limited", "HTTP 429: too many requests (3 tries)"),
        ("rate_limited_wait", "HTTP 429: too many requests (3 tries)"),
        ("broken", "HTTP 500: something broke (3 tries)"),
        ("dropped", "connection broken: Server disconnected without sending a response. (3 tries)"),
        ("slow", "no answer within the timeout (3 tries)"),
        ("template", "HTTP 500: Jinja Exception: Conversation roles must alternate"),
        ("bad_request", "HTTP 400: this model's maximum context length is 4096 tokens"),
        ("refused", "the server's content filter stopped the answer"),
    ],
)
def test_lasting_faults_fail_one_request_with_a_reason(faulty_server, kind, reason):
    """One prompt that never works is an error with its reason; the others are answered."""
    server = faulty_server(doomed=lambda prompt: kind if "3" in prompt else None, slow_seconds=0.5)
    got = answers(connect(server, retries=3, timeout=0.2), requests(5))
    assert got[3] == Completion("", "error", reason, *((10, 20) if kind == "refused" else (0, 0)))
    assert got[3].refused == (kind in ("template", "bad_request"))
    assert [got[number].finish for number in (0, 1, 2, 4)] == ["stop"] * 4
    assert server.asked["question 3"] == (3 if "tries" in reason else 1)


def test_a_cut_off_answer_is_marked(faulty_server):
    """finish_reason "length" comes through."""
    server = faulty_server(lambda prompt: "1234567890", faults={"truncated": 1.0})
    assert answers(connect(server), requests(1))[0] == Completion("12345", "length", "", 10, 5)


def test_never_more_in_flight_than_configured(faulty_server):
    """With many requests and a slow server the configured concurrency is reached and not exceeded."""
    server = faulty_server(seconds=0.05)
    answers(connect(server, concurrency=7), requests(100))
    assert server.most_in_flight == 7


def test_the_first_answers_are_not_waited_for(faulty_server):
    """As many requests as may be in flight are so before the first answer comes."""
    server = faulty_server(seconds=1.0)
    began = time.monotonic()
    answers(connect(server, concurrency=16), requests(16))
    assert server.most_in_flight == 16
    assert time.monotonic() - began < 1.9


def test_the_first_requests_are_not_sent_all_at_once(faulty_server, monkeypatch):
    """What the first one is told can end the run before the others are on their way."""
    monkeypatch.setattr("kb.llm.openai_api.APART", 0.05)
    server = faulty_server(faults={"403": 1.0})
    with pytest.raises(LLMError):
        answers(connect(server, concurrency=32), requests(32))
    assert server.counts["403"] < 16


def test_overload_lowers_the_load(faulty_server, monkeypatch):
    """A server that refuses whatever exceeds three at a time is soon asked little more than three at a time."""
    server = faulty_server(seconds=0.01)
    begin = server.begin
    refused = []

    def refuse_over_three(body):
        kind = begin(body)
        if server.in_flight > 3:
            refused.append(body)
            return "rate_limited"
        return kind

    monkeypatch.setattr(server, "begin", refuse_over_three)
    got = answers(connect(server, concurrency=32, retries=8), requests(200))
    assert [done.finish for done in got.values()] == ["stop"] * 200
    assert 1 < len(refused) < 100


def test_retry_after_is_honoured(faulty_server):
    """No request is sent before the time that the server asked for is over."""
    server = faulty_server(faults={"rate_limited_wait": 1.0}, most=1, retry_after="1")
    began = time.monotonic()
    got = answers(connect(server), requests(3))
    assert time.monotonic() - began >= 1
    assert [done.finish for done in got.values()] == ["stop"] * 3


def test_a_pause_too_long_to_wait_for_ends_the_run(faulty_server):
    """A server that asks for an hour is not waited for; the message says that the command can go on later."""
    server = faulty_server(faults={"rate_limited_wait": 1.0}, retry_after="3600")
    with pytest.raises(LLMError, match=r"asks to wait 3600 s .*goes on where this one stopped"):
        answers(connect(server), requests(3))
    assert no_threads_left()


def test_tasks_do_not_grow_with_the_list(faulty_server):
    """Of 30,000 requests only a few are begun when the one who takes the answers stops after the third."""
    server = faulty_server()
    began = time.monotonic()
    taken = connect(server, concurrency=4).generate(requests(30_000))
    for _ in range(3):
        next(taken)
    taken.close()
    assert time.monotonic() - began < 10
    assert len(server.bodies) < 20
    assert no_threads_left()


def test_ending_early_cancels_what_is_under_way(faulty_server):
    """Closing the iterator does not wait for slow answers."""
    server = faulty_server(doomed=lambda prompt: None if "0" in prompt else "slow", slow_seconds=5.0)
    taken = connect(server).generate(requests(4))
    assert next(taken)[0] == 0
    began = time.monotonic()
    taken.close()
    assert time.monotonic() - began < 1
    assert no_threads_left()


def test_ctrl_c_ends_the_run(faulty_server):
    """An interrupt while waiting for answers leaves no thread behind."""
    server = faulty_server(faults={"slow": 1.0}, slow_seconds=5.0)
    interrupt = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    interrupt.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        answers(connect(server), requests(4))
    assert time.monotonic() - began < 3
    assert no_threads_left()


def test_nothing_answers(faulty_server):
    """A server that is not there is one clear error for identity, list and answers, with what to do."""
    server = faulty_server()
    server.close()
    llm = connect(server, retries=3)
    cure = rf"nothing answers at http://127.0.0.1:{server.port}/v1 \(no connection: .*\)\. Start the server .* base_url"
    for call in (lambda: answers(llm, requests(40)), lambda: llm.identity, llm.models):
        with pytest.raises(LLMError, match=cure):
            call()
    assert no_threads_left()


def test_a_server_that_comes_back_is_waited_for(faulty_server, monkeypatch):
    """Requests refused while the server restarts are answered by a later try."""
    monkeypatch.setattr("kb.llm.limit.BACKOFF", 0.2)
    server = faulty_server()
    server.close()
    restart = threading.Timer(0.5, lambda: faulty_server(port=server.port))
    restart.start()
    got = answers(connect(server, retries=8), requests(5))
    assert [got[number].text for number in range(5)] == [f"answer to question {number}" for number in range(5)]
    restart.join()


def test_a_server_that_dies_ends_the_run_soon(faulty_server):
    """When nothing answers any more, the rest of a long list is not tried one by one."""
    server = faulty_server(seconds=0.01)
    landed = 0
    with pytest.raises(LLMError, match="nothing answers"):
        for _ in connect(server, concurrency=4, retries=4).generate(requests(5_000)):
            landed += 1
            if landed == 20:
                server.close()
    assert 20 <= landed < 200


def test_one_request_that_finds_no_connection_is_no_dead_server(faulty_server, monkeypatch):
    """While others are answered, a request whose every try found no connection is an error of its own."""
    try_one = OpenAIServer._try

    async def unlucky(self, run, client, request):
        if request.messages[0].content == "question 3":
            return Failure("no connection: refused", unreachable=True)
        return await try_one(self, run, client, request)

    monkeypatch.setattr(OpenAIServer, "_try", unlucky)
    got = answers(connect(faulty_server(seconds=0.002), retries=4), requests(60))
    assert [number for number, done in got.items() if done.error] == [3]
    assert got[3].error == "no connection: refused (4 tries)"


def test_a_prompt_that_breaks_the_connection_is_no_dead_server(faulty_server):
    """A server that is there and hangs up on the last prompt left is not called silent."""
    server = faulty_server(faults={"dropped": 1.0})
    got = answers(connect(server, retries=2), requests(1))
    assert got[0].error.startswith("connection broken")


def test_a_wrong_model_or_address_ends_the_run(faulty_server):
    """404 names what the server has and what to check."""
    server = faulty_server()
    with pytest.raises(LLMError, match=r"the model x does not exist\. It lists these models: m\. Check the name 'x'"):
        answers(connect(server, "x"), requests(10))
    wrong = OpenAIServer(ModelConfig(base_url=server.url.removesuffix("/v1")), "m")
    with pytest.raises(LLMError, match="usually ends in /v1"):
        answers(wrong, requests(10))


def test_a_server_that_sends_elsewhere_is_not_followed(faulty_server):
    """Only the configured address is connected to; the message says where the server points."""
    server = faulty_server(faults={"308": 1.0})
    with pytest.raises(LLMError, match=r"Set base_url under \[model\] to http://127\.0\.0\.1:9/v1"):
        answers(connect(server), requests(3))


def test_forbidden_means_everything_at_first_and_one_prompt_later(faulty_server):
    """403 before any answer is a wrong key; after one it is a gateway that dislikes a single prompt."""
    server = faulty_server(faults={"403": 1.0})
    with pytest.raises(LLMError, match="environment variable OPENAI_API_KEY, which is not set"):
        answers(connect(server), requests(3))
    server.lift()
    server.doomed = lambda prompt: "403" if "2" in prompt else None
    got = answers(connect(server, concurrency=1), requests(4))
    assert [got[number].error for number in range(4)] == ["", "", "HTTP 403: status 403", ""]
