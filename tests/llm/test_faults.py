"""A generation of 200 items against a server of which 30% of the replies are faulty, by way of the store."""

import threading
from collections import Counter

import pytest

from kb.errors import Unparsed
from kb.llm import Item, ModelConfig, Request, ask, user
from kb.llm.openai_api import OpenAIServer
from kb.prompt import Prompts
from kb.store import histogram

pytestmark = pytest.mark.slow

STAGE = "generate: facts"
DOOMED = {
    17: "broken",
    42: "dropped",
    77: "rate_limited",
    101: "junk",
    133: "truncated",
    160: "refused",
    199: "not_json",
}
STUBBORN = {8: "stubborn", 9: "stubborn", 120: "stubborn", 121: "stubborn"}
"""Passages to which the model answers in the wrong form until it is told so."""
TEXTS = [f"第 {n} 段：合同编号为 {n}。" if n % 2 else f"Passage {n}: the contract is no. {n}." for n in range(200)]
AGAIN = [Prompts().get("kb", "again", language) for language in ("en", "zh")]
ITEMS = [Item(f"chk_{n}", Request(user(text), max_tokens=100), again=AGAIN[n % 2]) for n, text in enumerate(TEXTS)]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Waits of milliseconds instead of seconds."""
    monkeypatch.setattr("kb.llm.limit.BACKOFF", 0.002)


@pytest.fixture
def server(faulty_server):
    doomed = {TEXTS[number]: kind for number, kind in (DOOMED | STUBBORN).items()}
    return faulty_server(lambda prompt: f"FACT: {prompt}", 0.3, seed=7, doomed=doomed.get, slow_seconds=0.02)


def parse(text):
    if not text.startswith("FACT: "):
        raise Unparsed("no FACT line", "没有 FACT 行")
    return text.removeprefix("FACT: ")


def run(server, store):
    llm = OpenAIServer(ModelConfig(base_url=server.url, concurrency=16, retries=6), "m")
    return list(ask(llm, store, ITEMS, parse, STAGE, attempts=3, show=False))


def test_no_item_is_lost_and_a_rerun_finishes(server, store):
    """All are done or listed with the reason; when the faults are over, a rerun asks only what failed and finishes."""
    results = run(server, store)
    values = {number: result.value for number, result in enumerate(results) if not result.reason}
    assert values == {number: TEXTS[number] for number in range(200) if number not in DOOMED}
    assert histogram(store.failures(STAGE)) == {
        "HTTP 429: too many requests (6 tries)": 1,
        "HTTP 500: something broke (6 tries)": 1,
        "answer cut off at the token limit": 1,
        "connection broken: Server disconnected without sending a response. (6 tries)": 1,
        "no FACT line": 1,
        "the reply is not JSON (6 tries)": 1,
        "the server's content filter stopped the answer": 1,
    }
    assert {item for item, _, _ in store.failures(STAGE)} == {f"chk_{number}" for number in DOOMED}

    asked = server.asked.copy()
    server.lift()
    again = run(server, store)
    assert [result.value for result in again] == TEXTS
    assert store.failures(STAGE) == []
    assert server.asked - asked == Counter({TEXTS[number]: 1 for number in DOOMED})


def test_every_reply_is_on_record(server, store):
    """Each well-formed reply of the server is a row, good answers once; what got no reply is a row with an error."""
    run(server, store)
    rows = store.sql("SELECT response, finish, error FROM llm_calls")
    finishes = Counter(row["finish"] for row in rows)
    counts = server.counts
    assert min(counts[kind] for kind in ("junk", "truncated", "refused", "dropped", "rate_limited_wait", "slow")) > 2
    assert finishes["stop"] == counts["ok"] + counts["slow"] + counts["junk"] + counts["stubborn"]
    assert finishes["length"] == counts["truncated"]
    # Doomed to no reply at all: three attempts each for the four kinds; the filter's refusals are replies.
    assert finishes["error"] == counts["refused"] + 3 * 4
    good = [row["response"] for row in rows if not row["error"]]
    assert sorted(good) == sorted(f"FACT: {text}" for number, text in enumerate(TEXTS) if number not in DOOMED)


def test_answers_of_the_wrong_form_are_mended_by_saying_so(server, store):
    """The second request shows the model its answer and the fault, in its language, and gets it right."""
    run(server, store)
    assert server.counts["stubborn"] == 2 * len(STUBBORN)
    for number in STUBBORN:
        first, second = (body for body in server.bodies if body["messages"][0]["content"] == TEXTS[number])
        assert second["messages"][:1] == first["messages"]
        assert [turn["role"] for turn in second["messages"][1:]] == ["assistant", "user"]
        told = {0: "That could not be read: no FACT line.", 1: "上面的回答无法读取：没有 FACT 行。"}[number % 2]
        assert second["messages"][2]["content"].startswith(told)


def test_a_run_killed_amid_the_faults_goes_on(server, store):
    """Stopped after 60 answers, the next run ends with the results of an undisturbed one and asks no good one twice."""
    llm = OpenAIServer(ModelConfig(base_url=server.url, concurrency=16, retries=6), "m")
    generate, landed = llm.generate, 0

    def dies(requests, skip=()):
        nonlocal landed
        for found in generate(requests, skip):
            landed += 1
            if landed > 60:
                raise KeyboardInterrupt
            yield found

    llm.generate = dies
    with pytest.raises(KeyboardInterrupt):
        list(ask(llm, store, ITEMS, parse, STAGE, attempts=3, show=False))
    assert not [thread for thread in threading.enumerate() if thread.name == "kb-requests"]
    assert store.sql("SELECT COUNT(*) FROM llm_calls")[0][0] == 60
    answered = {row["response"].removeprefix("FACT: ") for row in store.sql("SELECT * FROM llm_calls WHERE error = ''")}
    before = server.asked.copy()
    results = run(server, store)
    assert {n: r.value for n, r in enumerate(results) if r.reason == ""} == {
        n: TEXTS[n] for n in range(200) if n not in DOOMED
    }
    assert not [text for text in server.asked - before if text in answered]
