"""Whether a model holds answers to a JSON schema: found out once, by a probe that only such a model passes."""

import json
import logging

import pytest

from kb.llm import Completion
from kb.llm.fake import FakeLLM
from kb.llm.schema import PROBE, WORD, holds_schemas

HELD = json.dumps({"word": WORD})


@pytest.fixture
def said(caplog):
    """What was said so far."""
    caplog.set_level(logging.INFO, "kb")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("reply", "held", "words"),
    [
        (HELD, True, "m: holds answers to a JSON schema"),
        (f"```json\n{HELD}\n```", False, "does not hold"),
        ("Hello! How can I help you?", False, "does not hold"),
        ('{"word": "hello"}', False, "does not hold"),
        ("", False, "does not hold"),
        (Completion('{"wo', "length"), False, "does not hold"),
        (Completion("", "error", "HTTP 400: response_format", refused=True), False, "(HTTP 400: response_format)"),
    ],
)
def test_a_probe_tells(store, said, reply, held, words):
    """Only a server that holds to the schema says the one word that it allows; it is asked once and said once."""
    fake = FakeLLM([reply], "m", "auto")
    assert [holds_schemas(fake, store), holds_schemas(fake, store)] == [held, held]
    assert fake.history == [PROBE]
    (line,) = said()
    assert words in line


def test_every_model_is_probed_for_itself(store):
    """Another server, or another model behind it, is another identity."""
    assert holds_schemas(FakeLLM([HELD], "one", "auto"), store)
    assert not holds_schemas(FakeLLM(["hi"], "two", "auto"), store)
    assert holds_schemas(FakeLLM(["hi"], "one", "auto"), store)


@pytest.mark.parametrize(("mode", "held"), [("on", True), ("off", False)])
def test_the_setting_decides_without_a_probe(store, mode, held):
    """Neither asks the model, and what was found out before does not matter."""
    holds_schemas(FakeLLM(["hi"], "m", "auto"), store)
    silent = FakeLLM([], "m", mode)
    assert holds_schemas(silent, store) == held


def test_a_probe_without_an_answer_shows_nothing(store, said):
    """Lines for this run, and another probe in the next one."""
    assert not holds_schemas(FakeLLM([Completion("", "error", "HTTP 500: busy")], "m", "auto"), store)
    assert "HTTP 500: busy" in said()[0]
    assert holds_schemas(FakeLLM([HELD], "m", "auto"), store)
