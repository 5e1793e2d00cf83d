"""The watch on real trainers and a tiny model: what is kept, what ends, what a resume does, what it must not touch."""

import json
import random
import shutil
from dataclasses import replace

import pytest
import torch
from peft import get_peft_model
from safetensors.torch import load_file

from kb.finetune import watch
from kb.finetune.batches import encode
from kb.finetune.config import TrainConfig
from kb.finetune.data import PreferenceRow, Row
from kb.finetune.dpo import train_dpo
from kb.finetune.model import lora, stop_tokens, trainable_adapter, trainable_base
from kb.finetune.run import run
from kb.finetune.sft import train_sft
from kb.finetune.stopping import read_looks
from kb.finetune.watchlist import Asked, Watchlist, write_watchlist
from kb.llm import Request, user
from kb.llm.base import ModelConfig
from kb.llm.live import LiveLLM, evaluating
from kb.llm.weights import load_tokenizer
from kb.runs import find_run

pytestmark = pytest.mark.slow

FACTS = 10
ROWS = [
    Row(user(f"Q: {place}?" if place % 2 else f"一 {place}？"), f"{place} kg", "short", str(place))
    for place in range(6)
]
PAIRS = [PreferenceRow(row.messages, row.answer, "9 g", "swap") for row in ROWS]
CONFIG = TrainConfig(
    rank=4, alpha=8, learning_rate=1e-2, dpo_learning_rate=1e-3, max_steps=6, batch_size=2, micro_batch=2,
    checkpoints=3, watch_times=6, gradient_checkpointing=True,
)  # fmt: skip


def some_facts(count):
    """A watchlist of so many facts with a wording each, and two general prompts."""
    asked = tuple(Asked(f"fct_{place}", user(f"Q: {place}?"), f"{place} kg", "number") for place in range(count))
    general = user("Say a b c."), user("说一二三。")
    return Watchlist(tuple(one.fact for one in asked), asked, asked[:2], (), asked[:1], general, 4096)


@pytest.fixture
def train(tiny, tmp_path):
    """A function that trains a stage in the folder of a run, watched if there is a list. Returns the stage's folder."""

    def start(run, watched=None, config=CONFIG, after=None):
        stage = tmp_path / run / ("dpo" if after else "sft")
        stage.mkdir(parents=True, exist_ok=True)
        if watched:
            write_watchlist(stage.parent, watched)
        tokenizer = load_tokenizer(tiny)
        if after:
            train_dpo(trainable_adapter(tiny, False, config, after), tokenizer, PAIRS, config, stage)
        else:
            examples = encode(ROWS, tokenizer, stop_tokens(tiny, tokenizer), 512)
            train_sft(trainable_base(tiny, False, config), tokenizer, examples, config, stage)
        return stage

    return start


@pytest.fixture
def scripted(monkeypatch):
    """A function that makes the model know so many facts at each look; "kill" ends the process there."""

    def script(*known):
        rest = iter(known)

        def right(llm, asked):
            if len(asked) == 1:
                return [False]
            count = next(rest, 0) if asked else 0
            if count == "kill":
                raise KeyboardInterrupt
            return [] if not asked else [place < count for place in range(FACTS)] + [False] * (len(asked) - FACTS)

        monkeypatch.setattr(watch, "_right", right)

    return script


def weights(folder):
    """The tensors of an adapter."""
    return load_file(folder / "adapter_model.safetensors")


def same(one, other):
    """Whether two adapters are the same to the last bit."""
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def seen(stage):
    """The looks at a stage, without the time that they took."""
    return [replace(look, seconds=0, training=0) for look in read_looks(stage)]


def test_watching_changes_no_weight_and_no_random_number(train):
    """With and without, the adapter is the same to the last bit, and so is what is drawn next."""
    plain = train("plain", config=replace(CONFIG, watch=False))
    drawn = torch.rand(3), random.random()
    watched = train("watched", some_facts(3))
    assert torch.equal(torch.rand(3), drawn[0])
    assert random.random() == drawn[1]
    assert same(plain / "adapter", watched / "adapter")
    looks = read_looks(watched)
    assert [look.step for look in looks] == list(range(7))
    assert looks[0].agreement == 1
    assert looks[0].kl == pytest.approx(0, abs=1e-6)
    assert looks[-1].kl > 0.01
    assert looks[-1].counts["held_out"] == 3
    logged = [json.loads(line) for line in (watched / "metrics.jsonl").read_text().splitlines()]
    assert all(line["tokens_per_second"] > 0 and line["seconds"] > 0 and line["peak_gib"] > 0 for line in logged)


def test_the_adapter_that_knows_most_is_kept_and_a_fall_ends_the_stage(train, scripted):
    """The fourth step knows most: its weights are the adapter, and the stage ends at the sixth look."""
    scripted(0, 1, 3, 5, 9, 2, 2)
    stage = train(
        "run", some_facts(FACTS), replace(CONFIG, max_steps=12, watch_times=12, checkpoints=6, general_margin=0)
    )
    result = json.loads((stage / "result.json").read_text())
    assert (result["steps"], result["planned"]) == (6, 12)
    assert [look.step for look in read_looks(stage)] == list(range(7))
    assert sorted(path.name for path in stage.glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-4"]
    assert same(stage / "adapter", stage / "checkpoint-4")


def test_a_killed_run_decides_as_an_undisturbed_one(train, scripted):
    """Killed at the look after the best one: later lines go, the best adapter stays, the end is the same."""
    known = (0, 2, 9, 5, 5, 5, 5)
    config = replace(CONFIG, early_stop=False)
    scripted(*known)
    calm = train("calm", some_facts(FACTS), config)
    scripted(*known[:3], 4, "kill")
    with pytest.raises(KeyboardInterrupt):
        train("killed", some_facts(FACTS), config)
    scripted(*known[3:])
    killed = train("killed", some_facts(FACTS), config)
    assert seen(killed) == seen(calm)
    assert seen(calm)[2].held_out == 0.9
    assert same(killed / "adapter", calm / "adapter")
    assert not list(killed.glob("best-*"))


def test_the_adapter_is_scaled_as_far_as_the_watch_finds_it_worth(train, scripted):
    """What it adds is the scale times that of the unscaled one, which is the one that knew most."""
    whole = replace(CONFIG, max_steps=4, watch_times=4, learning_rate=5e-2, general_margin=0, rescale=False)
    known = (0, 2, 9, 2, 2)
    scripted(*known)
    plain = train("plain", some_facts(FACTS), whole)
    # Scales .95, .9 and .85 lose nothing; at .8 too much is gone.
    scripted(*known, 9, 9, 9, 2)
    stage = train("scaled", some_facts(FACTS), replace(whole, rescale=True))
    tried = [json.loads(line) for line in (stage / "scales.jsonl").read_text().splitlines()]
    assert [(one["scale"], one["held_out"]) for one in tried] == [
        (1, 0.9),
        (0.95, 0.9),
        (0.9, 0.9),
        (0.85, 0.9),
        (0.8, 0.2),
    ]
    scale = json.loads((stage / "result.json").read_text())["scale"]
    assert scale == max(tried[:-1], key=lambda one: one["worth"])["scale"] < 1
    before, after = weights(plain / "adapter"), weights(stage / "adapter")
    assert all(torch.allclose(after[name], before[name] * (scale if "lora_B" in name else 1)) for name in before)


def test_a_later_stage_is_watched_and_its_reference_is_left_alone(train, scripted):
    """DPO ends bitwise as without the watch, and is given up for what it began with where it cost knowledge."""
    first = train("run", some_facts(FACTS), replace(CONFIG, max_steps=2))
    go_on = replace(CONFIG, early_stop=False)
    plain = train("plain", after=first / "adapter", config=replace(go_on, watch=False))
    watched = train("run", after=first / "adapter", config=go_on)
    assert same(plain / "adapter", watched / "adapter")
    assert not same(first / "adapter", watched / "adapter")
    assert read_looks(watched)[0].kl == pytest.approx(read_looks(first)[-1].kl, abs=1e-6)
    shutil.rmtree(watched)
    scripted(9, 2, 2)
    train("run", after=first / "adapter")
    assert same(first / "adapter", watched / "adapter")


def test_a_four_bit_model_goes_on_learning_after_it_was_asked(tiny):
    """Gradients after an answer in evaluation mode are those of before: bitsandbytes may pack no weights meanwhile."""
    tokenizer, model = load_tokenizer(tiny), get_peft_model(trainable_base(tiny, True, CONFIG), lora(CONFIG))
    ids = torch.tensor([tokenizer.encode("Q: 1 kg")])

    def gradient():
        model.zero_grad()
        model(ids, labels=ids).loss.backward()
        return {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}

    before = gradient()
    with evaluating(model):
        list(LiveLLM(model, tokenizer, 4096).generate([Request(user("Q: 1?"), 4)]))
    after = gradient()
    assert before.keys() == after.keys()
    assert len(before) > 20
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_run_says_what_was_seen_and_which_facts_chose(workspace, prompts, retriever, tiny, scripted):
    """In its lines and its lineage; a run that takes over its SFT takes over what was seen."""
    model = ModelConfig(name=str(tiny), load_in_4bit=False)
    settings = TrainConfig(
        stages=("sft",), max_steps=2, rank=4, batch_size=2, replay="none", watch_share=1.0, watch_facts=FACTS,
        watch_times=2, warmup=0,
    )  # fmt: skip
    scripted(0, 8, 2)
    report = run(workspace, settings, model, prompts, retriever)
    said = "\n".join(report.lines())
    assert "watch, sft: held-out 0% before, 80% at step 1 (kept), 20% at the end (step 2 of 2; 10 facts)" in said
    assert report.metrics["sft"]["planned"] == 2
    watched = find_run(workspace.store, report.name).lineage.watched
    assert len(watched) == FACTS
    again = run(workspace, replace(settings, gradient_checkpointing=False), model, prompts, retriever)
    assert again.name != report.name
    assert again.notes == report.notes
    few = run(workspace, replace(settings, watch_facts=2, max_steps=1), model, prompts, retriever)
    assert find_run(workspace.store, few.name).lineage.watched == ()
    assert "nothing is decided" in few.lines()[-1]
