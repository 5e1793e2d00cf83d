"""What the application answers to clients, right and wrong ones, with a scripted model."""

import json

import pytest

from kb.errors import LLMError
from kb.llm import Completion
from kb.llm.fake import FakeLLM
from kb.prompt import Prompts
from kb.retrieval.hybrid import RetrievalConfig, open_retriever
from kb.serving.asking import Desk

pytestmark = pytest.mark.slow

QUESTION = {"role": "user", "content": "What does Tulvao Core cost?"}


class Scripted:
    """A model that answers by a function."""

    concurrency = 2

    def __init__(self, script):
        self.llm = FakeLLM(script)

    def of(self, arm):
        """The same for all."""
        return self.llm

    def runs(self, runs):
        """None."""
        return []


@pytest.fixture
def client(place):
    """A function that gives a client of the application over a scripted model."""
    from starlette.testclient import TestClient

    from kb.serving.app import build

    def make(script=lambda request: "349 crowns", key="", local=True, **options):
        retriever = open_retriever(place, RetrievalConfig(embedder="none", top_k=1))
        app = build(Desk(place.store, Prompts(), retriever, Scripted(script)), key, local)
        return TestClient(app, base_url="http://localhost:8000", raise_server_exceptions=False, **options)

    return make


def ask(client, **body):
    return client.post("/v1/chat/completions", json={"model": "rag", "messages": [QUESTION]} | body)


def test_an_answer_has_its_sources_and_its_usage(client):
    """In OpenAI's form, with the passages that were shown beside it."""
    done = Completion("349 crowns", "stop", "", 12, 3)
    with client(lambda request: done) as one:
        found = ask(one).json()
    assert found["choices"] == [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "349 crowns"}}
    ]
    assert found["usage"] == {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
    assert (found["model"], [source["id"] for source in found["kb_sources"]]) == ("rag", ["chk_0"])
    assert found["kb_sources"][0]["text"].startswith("Tulvao Core costs 349 crowns.")


def test_a_stream_ends_with_the_sources(client):
    """Server-sent events, the last before [DONE] with usage and passages."""
    with client() as one:
        lines = [line.removeprefix("data: ") for line in ask(one, stream=True).text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    first, last = json.loads(lines[0]), json.loads(lines[-2])
    assert first["choices"][0]["delta"]["content"] == "349 crowns"
    assert last["choices"][0]["finish_reason"] == "stop" and last["kb_sources"][0]["id"] == "chk_0"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"model": "gpt-4"}, 404, "there is no model 'gpt-4'; there is: base, rag"),
        ({"messages": []}, 400, "messages: List should have at least 1 item"),
        ({"messages": [QUESTION, {"role": "assistant", "content": "?"}]}, 400, "must be a question of the user's"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "may be text alone"),
        ({"temperature": 3}, 400, "temperature: Input should be less than or equal to 2"),
        ({"n": 2}, 400, "n: Input should be 1"),
        ({"tools": [{"type": "function"}]}, 400, "does not offer tools"),
        ({"response_format": {"type": "json_object"}}, 400, "does not offer response_format"),
    ],
)
def test_what_is_not_understood_is_an_error_in_openais_form(client, body, status, said):
    """One sentence that says which field, and the status that clients know."""
    with client() as one:
        answer = ask(one, **body)
    assert answer.status_code == status and said in answer.json()["error"]["message"]


def test_text_in_parts_and_harmless_fields_are_taken(client):
    """As chat applications send them; the greedy answer of the evaluation is what they get without a temperature."""
    asked = []
    with client(lambda request: asked.append(request) or "well") as one:
        parts = [{"type": "text", "text": "What does "}, {"type": "text", "text": "Tulvao Core cost?"}]
        messages = [{"role": "user", "content": parts}]
        answer = ask(one, messages=messages, top_p=0.9, user="u", response_format={"type": "text"}, stop="END")
    assert answer.status_code == 200
    assert asked[0].messages[-1].content.endswith("Question: What does Tulvao Core cost?")
    assert (asked[0].temperature, asked[0].stop) == (0.0, ("END",))


def test_what_the_model_cannot_do_is_an_error(client):
    """A prompt that is too long is the client's fault, a model or server that fails is not; a stream says it, too."""

    def fail(request):
        raise LLMError("nothing answers at http://x")

    for script, status, said in (
        (lambda request: Completion("", "error", "prompt of 9 tokens is over", refused=True), 400, "is over"),
        (lambda request: Completion("", "error", "status 500"), 502, "status 500"),
        (fail, 502, "nothing answers"),
    ):
        with client(script) as one:
            answer, stream = ask(one), ask(one, stream=True)
        assert (answer.status_code, said in answer.json()["error"]["message"]) == (status, True)
        assert said in stream.text and stream.text.endswith("data: [DONE]\n\n")


def test_a_key_is_asked_for_where_one_is_set(client):
    """Without it nothing about the documents is told, not even the names of the models."""
    with client(key="s3cret") as one:
        assert one.get("/v1/models").status_code == ask(one).status_code == 401
        assert one.get("/v1/models", headers={"Authorization": "Bearer other"}).status_code == 401
        good = one.get("/v1/models", headers={"Authorization": "Bearer s3cret"})
        assert [model["id"] for model in good.json()["data"]] == ["base", "rag"]
        assert one.get("/health").json() == {"status": "ok"}


def test_a_page_in_a_browser_gets_nothing(client):
    """Neither by a name of its own that points here, nor by a form that is no JSON; another machine's name is fine
    where others are let in.
    """
    with client() as one:
        assert one.get("/v1/models", headers={"Host": "evil.example"}).status_code == 400
        body = json.dumps({"model": "base", "messages": [QUESTION]})
        form = one.post("/v1/chat/completions", content=body, headers={"Content-Type": "text/plain"})
        assert form.status_code == 400
        assert "access-control-allow-origin" not in one.get("/v1/models", headers={"Origin": "http://x"}).headers
        assert one.get("/docs").status_code == one.get("/openapi.json").status_code == 404
    with client(local=False) as one:
        assert one.get("/v1/models", headers={"Host": "gpu.example"}).status_code == 200
