"""Replay that a model writes itself: its answers to general prompts, asked once, and no more than are needed."""

import random
from collections import Counter

import pytest

from kb.finetune.replay import SAMPLES, own_replay
from kb.finetune.untrained import Untrained
from kb.llm import Completion, Item, ModelConfig, ask, user
from kb.llm.base import Request
from kb.llm.fake import FakeLLM
from kb.llm.general import general_chats

WATCHED = {prompt.messages for prompt in general_chats("watch")}


def said(request):
    """An answer that differs by prompt and sample."""
    return f"答 {request.prompt[:20]} {request.seed}"


def replay(model, store, count, seed=0):
    return own_replay(model, store, count, random.Random(seed))


def test_rows_are_the_models_answers_in_both_languages(workspace):
    """As many as are wanted, each the answer to a prompt that may be replayed, with the prompt as it was asked."""
    model = FakeLLM(said)
    rows = replay(model, workspace.store, 60)
    assert len(rows) == len({row.source for row in rows}) == 60
    assert {row.kind for row in rows} == {"replay"}
    assert all(row.answer.startswith(f"答 {row.messages[-1].content[:20]}") for row in rows)
    assert {len(request.messages) for request in model.history} == {1}
    languages = Counter(prompt.language for prompt in general_chats("replay") for row in rows
                        if row.messages == prompt.messages)  # fmt: skip
    assert min(languages.values()) >= 15
    assert not WATCHED & {request.messages for request in model.history}


@pytest.mark.slow
def test_no_prompt_is_answered_twice_before_all_are_answered_once(workspace):
    """Where more rows are wanted than there are prompts, further samples are drawn, up to so many of each."""
    rows = replay(FakeLLM(said), workspace.store, 500)
    assert sorted(Counter(row.messages for row in rows).values()) == [1] * 300 + [2] * 100
    assert len(replay(FakeLLM(said, "other"), workspace.store, 9999)) == 400 * SAMPLES


@pytest.mark.slow
def test_what_is_empty_cut_off_or_said_already_is_no_row(workspace):
    """Others take its place as long as there are prompts, and nothing is recorded as failed."""

    def script(request):
        if request.seed % 3 == 0:
            return " "
        return Completion("cut", "length") if request.seed % 3 == 1 else "ja"

    rows = replay(FakeLLM(script), workspace.store, 100)
    assert len(rows) == len({row.messages for row in rows}) == 100
    assert {row.answer for row in rows} == {"ja"}
    assert workspace.store.failures("train: replay") == []


def test_a_model_whose_answers_never_end_is_not_asked_on(workspace):
    """One round without a usable answer is enough to see that there will be no replay."""
    model = FakeLLM(lambda request: Completion("und und und", "length"))
    assert replay(model, workspace.store, 50) == []
    assert len(model.history) == 32


@pytest.mark.slow
def test_answers_are_asked_once_and_do_not_depend_on_the_seed_of_the_run(workspace):
    """The same call again asks nothing; another seed of the run takes other prompts, and the same answers to them."""
    model = FakeLLM(said)
    first = replay(model, workspace.store, 350)
    asked = len(model.history)
    assert replay(model, workspace.store, 350) == first
    assert len(model.history) == asked
    other = {row.source: row for row in replay(FakeLLM(said, "other"), workspace.store, 350, seed=1)}
    shared = [row for row in first if row.source in other]
    assert 250 < len(shared) < 350
    assert all(other[row.source] == row for row in shared)


@pytest.mark.slow
def test_the_untrained_model_is_loaded_when_it_must_answer(tiny, workspace):
    """Its identity and what the store has need no weights; its answers are those of the model, and are found again."""
    model = Untrained(ModelConfig(name=str(tiny), load_in_4bit=False), workspace.store)
    item = Item("one", Request(user("What?"), 4))

    def answer():
        (result,) = ask(model, workspace.store, [item], str, "test", cut=True)
        return result.completion

    first = answer()
    assert first.completion_tokens == 4
    assert model._loaded is not None
    model.close()
    assert answer().text == first.text
    assert model._loaded is None
