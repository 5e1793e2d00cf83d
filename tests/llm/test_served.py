"""A local model behind `transformers serve`, asked over real HTTP, gives what it gives without the server."""

import http.client
import logging
import socket
import subprocess
import sys
import time

import pytest

from kb.errors import Unparsed
from kb.llm import Item, ModelConfig, Request, ask, user
from kb.llm.open import lab_folder
from kb.llm.openai_api import OpenAIServer
from kb.llm.schema import holds_schemas
from kb.store import Store

pytestmark = pytest.mark.slow

REQUESTS = [
    Request(user(text), max_tokens=12)
    for text in ("Where is it?", "它在哪里？", "Who runs the place, and since when?", "谁？", "一丁七万", "no. 7")
]


@pytest.fixture(scope="module")
def folder(make_model, tmp_path_factory):
    """The lab model, or a tiny one where the lab model is not there."""
    if (lab_folder() / "model.safetensors").exists():
        return lab_folder()
    folder = tmp_path_factory.mktemp("tiny")
    make_model(folder, ends="")
    return folder


@pytest.fixture(scope="module")
def url(folder, guarded_env, tmp_path_factory):
    """The base URL of a running `transformers serve`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("serve")
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder)]
    command += ["--device", "cpu", "--dtype", "float32", "--host", "127.0.0.1", "--port", str(port)]
    env = guarded_env(home) | {"OMP_NUM_THREADS": "1"}
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            wait_for(server, port, home / "log")
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(30)


def wait_for(server, port, log):
    """Until the server says that it is well; fails with its log when it ends or takes minutes."""
    for _ in range(600):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.3)
        finally:
            connection.close()
        if server.poll() is not None:
            break
    pytest.fail(log.read_text()[-3000:])


@pytest.fixture
def served(url, folder):
    return OpenAIServer(ModelConfig(base_url=url, concurrency=4, timeout=60), str(folder))


@pytest.fixture(scope="module")
def expected(folder):
    """The answers of the same model in this process."""
    from kb.llm.local import LocalLLM
    from kb.llm.weights import load_weights

    local = LocalLLM(load_weights(folder, False, 4096, None))
    return dict(local.generate(REQUESTS))


def test_a_served_model_answers_as_the_local_one(served, expected):
    """Texts and token counts are those of the model asked directly, in both languages."""
    got = dict(served.generate(REQUESTS))
    assert [got[n].text for n in range(len(REQUESTS))] == [expected[n].text for n in range(len(REQUESTS))]
    assert [got[n].prompt_tokens for n in got] == [expected[n].prompt_tokens for n in got]
    assert all(got[n].finish == "length" for n in got if expected[n].finish == "length")


def test_stop_strings_that_the_server_leaves_in_are_cut(served, expected):
    """`transformers serve` ends at a stop string but keeps it; the answer is without it."""
    whole = expected[0].text
    mark = whole[1:3]
    ((_, done),) = served.generate([Request(REQUESTS[0].messages, max_tokens=12, stop=(mark,))])
    assert done.text == whole[: whole.find(mark)].strip()
    assert done.finish == "stop"


def test_asked_through_the_store(served, expected, tmp_path):
    """Every answer is on record, what is cut off at the limit is a failure, and a second run asks nothing."""

    def parse(text):
        if not text:
            raise Unparsed("empty")
        return text

    store = Store(tmp_path / "kb.db")
    items = [Item(f"q{number}", request) for number, request in enumerate(REQUESTS)]
    results = list(ask(served, store, items, parse, "test", attempts=1, show=False))
    for number, result in enumerate(results):
        assert result.value == expected[number].text or result.reason == "answer cut off at the token limit"
    failed = len(store.failures("test"))
    assert store.sql("SELECT COUNT(*) FROM llm_calls WHERE error = ''")[0][0] == len(items) - failed
    again = list(ask(served, store, items, parse, "test", attempts=1, show=False))
    assert [result.value for result in again] == [result.value for result in results]
    assert store.sql("SELECT COUNT(*) FROM llm_calls")[0][0] == len(items) + failed
    store.close()


def test_a_server_that_knows_no_schemas_is_found_out(served, tmp_path, caplog):
    """`transformers serve` does not decode by a schema: one probe shows it, and it is said once."""
    caplog.set_level(logging.INFO, "kb")
    store = Store(tmp_path / "kb.db")
    assert [holds_schemas(served, store), holds_schemas(served, store)] == [False, False]
    store.close()
    (line,) = [record.getMessage() for record in caplog.records if "JSON schema" in record.getMessage()]
    assert "does not hold answers to a JSON schema" in line


def test_a_server_without_a_list_of_models_has_an_identity(served, url, folder):
    """`transformers serve` fails to list models when the hub's cache is empty; address and name identify it then."""
    assert len(served.identity) == 16
    assert OpenAIServer(ModelConfig(base_url=url), str(folder)).identity == served.identity


def test_a_model_that_the_server_does_not_have(url):
    """The server's own words say which model it is pinned to."""
    other = OpenAIServer(ModelConfig(base_url=url), "other")
    ((_, done),) = other.generate(REQUESTS[:1])
    assert done.error.startswith("HTTP 400: Server is pinned to")
