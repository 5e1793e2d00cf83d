"""`kb serve` over real HTTP, asked with OpenAI's own client, answers as the evaluation does."""

import functools
import shutil
import signal
import socket
import sys
import threading
import time
from dataclasses import replace

import openai
import pytest

from kb.errors import KBError, UsageError
from kb.evaluate.arms import ARMS, Asker
from kb.llm import ModelConfig
from kb.llm.open import lab_folder, open_model
from kb.llm.tuned import open_tuned
from kb.prompt import open_pack
from kb.records import Probe
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.runs import all_runs
from kb.serving.config import ServeConfig
from kb.serving.run import opened

pytestmark = pytest.mark.slow

QUESTIONS = (
    "What does Tulvao Core cost?",
    "图尔沃芯片重多少？",
    "Where is the head office of Brazao?",
    "谁设计了图尔沃芯片？",
)
TOKENS = 10
"""Fewer than in the evaluation: what adapters that are drawn at random say would not end."""
PROBES = [
    Probe(f"prb_{number}", f"fct_{number}", "held_out", text, "x", "text", "zh" if number % 2 else "en")
    for number, text in enumerate(QUESTIONS)
]


def pack():
    """The prompts of the lab model."""
    return open_pack(str(lab_folder() / "prompts"), "")


@pytest.fixture(scope="module")
def expected(lab_place):
    """What the evaluation asks and gets, by model: the arms' own requests to the models in this process."""
    retriever = functools.partial(open_retriever, lab_place, RetrievalConfig(embedder="none", top_k=2))
    asker = Asker(pack(), retriever, lab_place.store)
    base = open_model(ModelConfig(name="lab"), lab_place.store)
    models = {"base": base} | {run.name: open_tuned(base, run, lab_place.store) for run in all_runs(lab_place.store)}
    found = {}
    for name, arm, model in (
        ("base", "base", "base"), ("rag", "rag", "base"), ("tuned:one", "tuned", "one"), ("tuned:二", "tuned", "二"),
        ("tuned", "tuned", "二"), ("tuned_rag:one", "tuned_rag", "one"),
    ):  # fmt: skip
        requests = [replace(one.item.request, max_tokens=TOKENS) for one in asker.ask(ARMS[arm], PROBES)]
        # One by one, as a server is asked: adapters drawn at random are so unsure that a batch may tip the scales.
        found[name] = [done for request in requests for _, done in models[model].generate([request])]
    base.close()
    return found


@pytest.fixture(scope="module")
def server(lab_place, serving):
    """A running `kb serve`, and the address it printed."""
    with serving(lab_place.root.parent) as running:
        yield running


@pytest.fixture
def client(server):
    """OpenAI's client."""
    with openai.OpenAI(base_url=server[1].split()[0], api_key="none", max_retries=0) as client:
        yield client


def ask(client, model, question, max_tokens=TOKENS, **options):
    messages = [{"role": "user", "content": question}]
    return client.chat.completions.create(model=model, messages=messages, max_tokens=max_tokens, **options)


def test_answers_over_http_are_those_of_the_evaluation(client, expected):
    """Every question to every model in turn, so that adapters are switched from request to request."""
    apart = [expected[name] for name in ("base", "rag", "tuned:one", "tuned:二")]
    assert len({tuple(done.text for done in answers) for answers in apart}) == len(apart)
    for number, question in enumerate(QUESTIONS):
        for name, answers in expected.items():
            got = ask(client, name, question)
            assert got.choices[0].message.content == answers[number].text, (name, question)
            assert got.usage.prompt_tokens == answers[number].prompt_tokens, (name, question)
            assert bool(got.kb_sources) == ("rag" in name), (name, question)


def test_clients_at_the_same_time_get_their_own_answers(client, expected):
    """Streams of several models at once do not mix."""
    found = {}

    def listen(name):
        pieces = [chunk for chunk in ask(client, name, QUESTIONS[0], stream=True) if chunk.choices]
        found[name] = "".join(chunk.choices[0].delta.content or "" for chunk in pieces)

    threads = [threading.Thread(target=listen, args=(name,)) for name in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: answers[0].text for name, answers in expected.items()}


def test_the_models_are_listed_and_others_refused(client, server):
    """The arms, and each run by its name; the first line of the command says the same."""
    names = [model.id for model in client.models.list()]
    assert names[:4] == ["base", "rag", "tuned", "tuned_rag"] and {"tuned:one", "tuned:二"} <= set(names)
    assert f"models: {', '.join(names)} (tuned: run 二)" in server[1]
    with pytest.raises(openai.NotFoundError, match="there is no model 'gpt-4'"):
        ask(client, "gpt-4", "?")


def test_a_port_in_use_is_one_clear_line(server, lab_place):
    """What is listening there is left alone."""
    port = int(server[1].split()[0].split(":")[2].partition("/")[0])
    config = ServeConfig(port=port)
    with pytest.raises(UsageError, match=rf"cannot listen at 127.0.0.1:{port}: .*Choose another --port"):
        opened(lab_place, config, ModelConfig(name="lab"), pack(), None).__enter__()


def test_ctrl_c_ends_it_at_once(server, client):
    """Even in the middle of an answer, with exit code 0, and the port is free again."""
    running, first = server
    stream = ask(client, "base", "Tell me everything you know.", 1000, stream=True, temperature=2.0)
    next(iter(stream))
    running.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert running.wait(30) == 0
    assert time.monotonic() - began < 20
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", int(first.split()[0].split(":")[2].partition("/")[0])))


FAKE = """#!{python}
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

names = ["base", *(word.partition("=")[0] for word in sys.argv[sys.argv.index("--lora-modules") + 1:])]

class Server(BaseHTTPRequestHandler):
    def answer(self, body):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_GET(self):
        self.answer({{"data": [{{"id": name}} for name in names]}})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {{"role": "assistant", "content": "I am " + asked["model"]}}
        self.answer({{"choices": [{{"index": 0, "finish_reason": "stop", "message": message}}]}})

    def log_message(self, *words):
        pass

HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Server).serve_forever()
"""


def test_vllm_is_started_asked_by_name_and_ended(lab_place, tmp_path, monkeypatch):
    """A stand-in for it that says whom it was asked for: the base, and each run under its name."""
    from starlette.testclient import TestClient

    (tmp_path / "vllm").write_text(FAKE.format(python=sys.executable), encoding="utf-8")
    (tmp_path / "vllm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    retriever = open_retriever(lab_place, RetrievalConfig(embedder="none", top_k=2))
    said = {}
    with (
        opened(lab_place, ServeConfig(port=0, engine="vllm"), ModelConfig(name="lab"), pack(), retriever) as ready,
        TestClient(ready.server.config.app, base_url="http://localhost") as client,
    ):
        for name in ("base", "tuned", "tuned:one", "rag"):
            body = {"model": name, "messages": [{"role": "user", "content": "?"}]}
            found = client.post("/v1/chat/completions", json=body).json()
            said[name] = found["choices"][0]["message"]["content"]
    assert said == {"base": "I am base", "tuned": "I am 二", "tuned:one": "I am one", "rag": "I am base"}


def test_a_vllm_that_ends_is_said_to_lack_a_gpu_where_there_is_none(lab_place, tmp_path, monkeypatch):
    """With the engine that needs none."""
    (tmp_path / "vllm").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (tmp_path / "vllm").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(KBError, match=r"did not start.*finds no GPU here.*--engine local needs none"):
        opened(lab_place, ServeConfig(port=0, engine="vllm"), ModelConfig(name="lab"), pack(), None).__enter__()


def test_without_vllm_the_command_to_start_elsewhere_is_said(lab_place, monkeypatch):
    """With how to point at it."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(KBError, match=r"(?s)vLLM is not installed here.*vllm serve .*--enable-lora.*--backend-url"):
        opened(lab_place, ServeConfig(port=0, engine="vllm"), ModelConfig(name="lab"), pack(), None).__enter__()
