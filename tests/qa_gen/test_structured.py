"""Facts and questions as JSON: what is read, what is asked of a server that holds to schemas, and what comes out."""

import json
import logging

import pytest

from kb.errors import Unparsed
from kb.llm import Completion, ModelConfig, Request, user
from kb.llm.openai_api import OpenAIServer
from kb.prompt import Prompts
from kb.qa_gen.replies import Draft, parse_facts, parse_lines
from kb.qa_gen.structured import SCHEMAS, as_json

ONE = '{"quote": "the price is 349 crowns", "fact": "Tulvao Core costs 349 crowns.", "answer": "349 crowns"}'
READ = (Draft("the price is 349 crowns", "Tulvao Core costs 349 crowns.", "349 crowns"),)
HELLO = Completion("Hello! How can I help you?", "stop")
JSON_STEPS = ("facts", "questions", "probes", "near misses", "unanswerable")


@pytest.mark.parametrize(
    ("text", "drafts"),
    [
        (f'{{"facts": [{ONE}]}}', READ),
        (f"[{ONE}]", READ),
        (f'Sure! Here is the JSON:\n```json\n{{"facts": [{ONE}]}}\n```\nI hope it helps.', READ),
        (f'{{"facts": [{ONE}]}}\n\nNote: all facts.', READ),
        ('{"facts": [{"原文": "售价：\n349元", "事实": "青豹的售价是349元。", "答案": 349}]}',
         (Draft("售价：\n349元", "青豹的售价是349元。", "349"),)),
        ('{"facts": [{"quote": "a", "fact": "A."}, ' + ONE + ', "talk"]}', (Draft("a", "A."), *READ)),
        ('{"facts": []}', ()),
        ("[]", ()),
        ('{"facts": [{"quote": "NONE", "fact": "NONE", "answer": "NONE"}]}', ()),
    ],
)  # fmt: skip
def test_facts_in_json(text, drafts):
    """An object of the schema or a bare list, in a fence or with words around it, Chinese keys, and nothing to tell."""
    assert parse_facts(text) == drafts


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        ('{"questions": ["What is A1?", "State B2."]}', ("What is A1?", "State B2.")),
        ('```\n{"questions": ["- 甲的价格是多少？"]}\n```', ("甲的价格是多少？",)),
        ('["What is A1?",\n "State B2."]', ("What is A1?", "State B2.")),
        ('["What is A1?",\n "What is B2?"', ("What is A1?", "What is B2?")),
        ("[Formal] What is A1?", ("What is A1?",)),
        ('{"questions": []}', ()),
        ('{"questions": ["NONE"]}', ()),
    ],
)
def test_questions_in_json(text, questions):
    """The same for questions; what only looks like JSON is still read as lines."""
    assert parse_lines(text) == questions


@pytest.mark.parametrize(
    ("text", "fault", "chinese"),
    [
        (f'{{"facts": [{ONE}', "malformed JSON: Expecting ',' delimiter", "JSON 格式有误：Expecting ',' delimiter"),
        ('{"facts": [{"quote": "a', "malformed JSON: Unterminated string starting", ""),
        ('{"a":' * 100_000, "malformed JSON: ", ""),
        ("{}", 'no list "facts" in the JSON', "JSON 中没有列表“facts”"),
        ('{"facts": "none"}', 'no list "facts" in the JSON', ""),
        ('{"facts": [{"quote": "a", "fact": "b"}]}', "no ANSWER lines in the answer", "回答中没有“答案”行"),
    ],
)
def test_other_json_is_unparsed_with_the_reason(text, fault, chinese):
    """The decoder's words, without the place, so that there are few reasons to count; the model is told them."""
    with pytest.raises(Unparsed) as caught:
        parse_facts(text)
    assert str(caught.value).startswith(fault)
    assert caught.value.said("zh").startswith(chinese)


def test_malformed_json_gives_no_questions():
    """The beginning of an object that ends with a question mark is no question."""
    with pytest.raises(Unparsed, match="malformed JSON"):
        parse_lines('{"questions": ["What is A1?",\n"What is B2?"')


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("form", SCHEMAS)
def test_the_wish_for_json_stands_in_the_system_message(form, language):
    """Behind the prompt's own words, or alone where it has none; the user's message stays data."""
    wish = Prompts().get("kb.qa_gen", f"json_{form}", language).text
    request = as_json(Request(user("data", "words"), seed=3, temperature=1.0), form, wish)
    assert request == Request(user("data", f"words\n{wish}"), seed=3, temperature=1.0, schema=SCHEMAS[form])
    assert as_json(Request(user("data")), form, wish).messages == user("data", wish)
    assert f'{{"{form}": []}}' in wish
    assert json.loads(SCHEMAS[form])["required"] == [form]


@pytest.fixture
def quick(monkeypatch):
    """Waits of milliseconds instead of seconds."""
    monkeypatch.setattr("kb.llm.limit.BACKOFF", 0.002)


@pytest.fixture
def serve(faulty_server, world, quick):
    """A function that serves the oracle, which knows no greeting, with or without schemas; the server and the model."""

    def script(request):
        return world.oracle(request) if request.messages[0].role == "system" else HELLO

    def make(schemas, json_schema="auto", **faults):
        server = faulty_server(script=script, schemas=schemas, **faults)
        return server, OpenAIServer(ModelConfig(base_url=server.url, concurrency=8, json_schema=json_schema), "m")

    return make


def kinds(store):
    """Steps of which answers are JSON, and those of which answers are lines."""
    found = {"json": set(), "lines": set()}
    for row in store.sql("SELECT stage, request FROM llm_calls WHERE error = ''"):
        found["json" if json.loads(row["request"])["schema"] else "lines"].add(row["stage"].removeprefix("generate: "))
    return found


@pytest.fixture
def lines(caplog):
    """What was said of schemas so far."""
    caplog.set_level(logging.INFO, "kb")
    return lambda: [record.getMessage() for record in caplog.records if "JSON schema" in record.getMessage()]


@pytest.mark.slow
def test_a_server_that_holds_to_schemas_gives_the_same_set(world, calm, serve, lines):
    """In both languages: facts and questions come as JSON, answers as text, and every table is as with lines."""
    server, llm = serve("honoured")
    report = world.generate(llm)
    assert world.tables() == calm.tables()
    assert (report.complete, report.facts) == (True, calm.report.facts)
    found = kinds(world.workspace.store)
    assert (found["json"], found["json"] & found["lines"]) == (set(JSON_STEPS), set())
    wishes = [body["messages"][0]["content"] for body in server.bodies if "response_format" in body][1:]
    assert {'{"facts": []}' in wish or '{"questions": []}' in wish for wish in wishes} == {True}
    assert lines() == ["openai:m: holds answers to a JSON schema; facts and questions are asked for in JSON"]
    asked = len(server.bodies)
    world.generate(llm)
    assert len(server.bodies) == asked


@pytest.mark.slow
@pytest.mark.parametrize(("schemas", "why"), [("ignored", ""), ("refused", " (HTTP 400: response_format of type")])
def test_a_server_that_does_not_is_asked_for_lines(world, calm, serve, lines, schemas, why):
    """One probe shows it, whether it ignores the schema or refuses it; no later request has one."""
    server, llm = serve(schemas)
    world.generate(llm)
    assert world.tables() == calm.tables()
    assert kinds(world.workspace.store)["json"] == set()
    assert sum("response_format" in body for body in server.bodies) + server.counts["schema"] == 1
    (line,) = lines()
    assert line.startswith(
        "openai:m: does not hold answers to a JSON schema; facts and questions are asked for as lines"
    )
    assert why in line


@pytest.mark.slow
def test_a_server_that_refuses_schemas_in_mid_run_loses_nothing(world, calm, serve, lines, caplog):
    """What was answered stays, the rest is asked for as lines, it is said once, and a rerun asks nothing again."""
    server, llm = serve("honoured")
    answered = 0

    def script(request):
        nonlocal answered
        answered += bool(request.schema)
        server.schemas = "refused" if answered >= 20 else "honoured"
        return as_before(request)

    server.script, as_before = script, server.script
    assert world.generate(llm).complete
    assert world.tables() == calm.tables()
    found = kinds(world.workspace.store)
    assert "facts" in found["json"] and "probes" in found["lines"]
    assert 0 < server.counts["schema"] <= 8
    assert [line.partition(" (")[0] for line in lines()[1:]] == ["openai:m refuses a JSON schema"]
    again = OpenAIServer(ModelConfig(base_url=server.url), "m")
    before = len(server.bodies)
    assert world.generate(again).calls == 0
    assert len(server.bodies) == before
    assert world.tables() == calm.tables()


@pytest.mark.slow
def test_a_server_that_no_longer_holds_to_its_schemas_still_works(world, calm, serve):
    """With json_schema = on and lines for an answer: they are read all the same."""
    _, llm = serve("ignored", json_schema="on")
    assert world.generate(llm).complete
    assert world.tables() == calm.tables()
    assert kinds(world.workspace.store)["json"] == set(JSON_STEPS)


@pytest.mark.slow
def test_switched_off_no_schema_is_sent(world, calm, serve):
    """Not even a probe."""
    server, llm = serve("honoured", json_schema="off")
    world.generate(llm)
    assert not [body for body in server.bodies if "response_format" in body]
    assert world.tables() == calm.tables()


@pytest.mark.slow
def test_with_faults_as_well(world, calm, serve):
    """Junk, cut-off answers and errors on the way to JSON: corrected, repeated, and the same set in the end."""
    faults = {"junk": 0.1, "truncated": 0.1, "broken": 0.1, "not_json": 0.1}
    server, llm = serve("honoured", faults=faults, most=2, seed=4)
    assert world.generate(llm).complete
    assert world.tables() == calm.tables()
    assert min(server.counts[kind] for kind in faults) > 3
