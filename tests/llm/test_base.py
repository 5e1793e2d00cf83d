"""Requests, their keys, and answers without their thinking."""

from dataclasses import replace

import pytest

from kb.llm.base import Message, Request, user

REQUEST = Request(user("什么是 Tulvao?"), max_tokens=64)


def test_a_chat_of_one_message():
    """A system message comes first, and only where there is one."""
    assert user("hi") == (Message("user", "hi"),)
    assert user("hi", "be brief") == (Message("system", "be brief"), Message("user", "hi"))


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, messages=user("什么是 Tulvao？")),
        replace(REQUEST, messages=user("什么是 Tulvao?", "简短")),
        replace(REQUEST, max_tokens=65),
        replace(REQUEST, temperature=0.5),
        replace(REQUEST, stop=("\n",)),
        replace(REQUEST, schema="{}"),
    ],
)
def test_whatever_decides_the_answer_is_in_the_key(other):
    """Another message, limit, temperature, stop string or schema is another request."""
    assert other.key("model") != REQUEST.key("model")


def test_keys_are_those_of_the_calls_in_the_store():
    """Answers of earlier versions of kb are found: a request without a schema has the key that it always had."""
    request = Request(user("问", "s"), max_tokens=9, temperature=0.5, seed=3, stop=("x",))
    assert request.key("m") == "ddad5f58f1cae27cce24f6c0f93780e1"


def test_what_is_asked_is_the_users_first_message():
    """Whatever stands before it or comes after."""
    turns = (Message("assistant", "junk"), Message("user", "again"))
    assert replace(REQUEST, messages=user("q", "s") + turns).prompt == "q"


def test_keys_depend_on_the_model_and_on_the_seed_only_when_sampling():
    """The same request to another model has another key; the seed of a greedy request does not matter."""
    assert REQUEST.key("one") != REQUEST.key("two")
    assert REQUEST.key("one") == replace(REQUEST, seed=9).key("one")
    sampled = replace(REQUEST, temperature=0.5)
    assert sampled.key("one") != replace(sampled, seed=9).key("one")
