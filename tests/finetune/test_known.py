"""What the base knew, where another model wrote the questions: asked before it is trained, and only then."""

import logging
from dataclasses import replace

import pytest

from kb.finetune.config import TrainConfig
from kb.finetune.known import ask_base, known_note, unasked
from kb.finetune.run import run
from kb.llm import ModelConfig
from kb.llm.fake import FakeLLM
from kb.records import Fact, Knownness


def asked_of(store, model="server", samples=4):
    """Another model was asked about every fact."""
    store.put([Knownness(f"kno_{model}{f.id}", f.id, model, samples, 0) for f in store.all(Fact)])


def test_the_base_is_asked_as_often_as_the_other_model(workspace, prompts):
    """Its own rows stand beside those of the other; a second time nothing is left to ask."""
    store = workspace.store
    asked_of(store)
    base = FakeLLM(lambda r: "3 kg" if "Arin" in r.messages[-1].content else "I don't know.", "base")
    facts = unasked(store, base.identity)
    assert len(facts) == 12
    ask_base(base, store, prompts, facts)
    found = {one.fact_id: one for one in store.all(Knownness, "model = 'base'")}
    assert (found["fct_0"].level, found["fct_1"].level, found["fct_3"].level) == ("known", "unknown", "unknown")
    assert {one.samples for one in found.values()} == {4}
    assert len(base.history) == 12 * 4
    assert not any("PROBE" in request.messages[-1].content for request in base.history)
    assert unasked(store, base.identity) == []
    assert known_note(store, "base") == "known before training: unknown 11, maybe 0, known 1 (4 samples of base)"


def test_nobody_was_asked_or_it_was_the_base(workspace):
    """Then there is nothing to do, and without a measurement nothing to say."""
    store = workspace.store
    assert (unasked(store, "base"), known_note(store, "base")) == ([], "")
    asked_of(store, "base")
    assert unasked(store, "base") == []
    store.put([replace(store.all(Fact)[0], id="fct_new")])
    assert unasked(store, "base") == []


@pytest.mark.slow
def test_training_asks_the_base_first(workspace, prompts, retriever, tiny, caplog):
    """One line says why, and the report says what it knew; a run that was measured is not measured again."""
    caplog.set_level(logging.INFO, "kb")
    asked_of(workspace.store, samples=2)
    model = ModelConfig(name=str(tiny), load_in_4bit=False)
    settings = TrainConfig(stages=("sft",), max_steps=1, replay="none", gradient_checkpointing=False, watch=False)
    report = run(workspace, settings, model, prompts, retriever)
    assert "knownness: another model was asked; the one that is trained is asked about 12 facts" in caplog.messages
    assert "known before training: unknown 12, maybe 0, known 0" in report.lines()[-1]
    mine = [one for one in workspace.store.all(Knownness) if one.model != "server"]
    assert len(mine) == 12
    caplog.clear()
    run(workspace, replace(settings, max_steps=2), model, prompts, retriever)
    assert not any("another model" in line for line in caplog.messages)
