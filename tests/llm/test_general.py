"""The general prompts: as many in both languages, of many kinds, apart from what is watched, and none twice."""

from collections import Counter

import pytest
from rapidfuzz import fuzz, process

from kb.llm.general import general_chats

ALL = [*general_chats("replay"), *general_chats("watch")]


def text(prompt):
    return prompt.messages[-1].content


def test_a_sixth_of_the_prompts_of_each_language_is_watched():
    """240 in English and in Chinese: 200 to replay, 40 to watch, and no prompt is in both parts."""
    for part, count in (("replay", 200), ("watch", 40)):
        assert Counter(prompt.language for prompt in general_chats(part)) == {"en": count, "zh": count}
    assert {text(one) for one in general_chats("replay")}.isdisjoint(text(one) for one in general_chats("watch"))


def test_a_prompt_is_one_message_of_the_user():
    """Not empty, and without blanks around it."""
    assert {len(prompt.messages) for prompt in ALL} == {1}
    assert {prompt.messages[0].role for prompt in ALL} == {"user"}
    assert all(text(prompt) == text(prompt).strip() != "" for prompt in ALL)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_two_prompts_are_alike(language):
    """None is another one with a word changed."""
    texts = [text(prompt) for prompt in ALL if prompt.language == language]
    for place, one in enumerate(texts):
        found = process.extractOne(one, texts[:place], scorer=fuzz.ratio, score_cutoff=75)
        assert found is None, (one, found)


def test_the_order_is_fixed():
    """What is replayed and what is watched does not change from one call to the next."""
    assert general_chats("watch") == general_chats("watch")
    assert text(general_chats("replay")[0]).startswith("List five fruits")
