"""Each way of tuning trains, is saved, goes on after a kill to the same weights, and comes back with an effect."""

import json
import shutil

import pytest

from kb.errors import KBError, UsageError
from kb.finetune.cards import named_card
from kb.finetune.config import TrainConfig
from kb.finetune.job import plan
from kb.finetune.plan import planned
from kb.finetune.run import run
from kb.llm.base import ModelConfig
from kb.llm.identity import folder_identity
from kb.llm.open import open_model
from kb.llm.tuned import open_tuned
from kb.runs import find_run

pytestmark = pytest.mark.slow

FULL = {"tuning": "full", "learning_rate": 1e-3, "dpo_learning_rate": 1e-4}
WAYS = {
    "lora": {},
    "qlora": {"four_bit": True, "optimizer": "paged_adamw_8bit", "rank": 64, "gradient_checkpointing": True},
    "rslora": {"rslora": True, "optimizer": "paged_adamw_32bit", "rank": 64},
    "dora": {"dora": True, "four_bit": True, "schedule": "wsd", "decay": 0.5},
    "pissa": {"init": "pissa", "schedule": "constant"},
    "pissa and rslora": {"init": "pissa", "rslora": True},
    "lora+": {"lora_plus": 16.0, "optimizer": "adamw_8bit", "rank": 64},
    "neftune": {"neftune": 5.0, "precision": "bf16"},
    "full": FULL | {"optimizer": "adamw_8bit", "gradient_checkpointing": True},
    "prompt": {"tuning": "prompt", "four_bit": True, "gradient_checkpointing": True},
    "prefix": {"tuning": "prefix"},
}
RATES = {"wsd": [1e-2, 1e-2, 1e-2, 0.5e-2], "constant": [1e-2] * 4}


@pytest.fixture(scope="module")
def trained(lesson, tmp_path_factory):
    """A function from the name of a way to the folder in which it was trained and the model, trained once."""
    done = {}

    def train(way):
        if way not in done:
            folder = tmp_path_factory.mktemp("way")
            done[way] = folder, lesson.sft(folder, **WAYS[way])
        return done[way]

    return train


@pytest.mark.parametrize("way", WAYS)
def test_each_way_comes_back_as_it_was_trained(way, lesson, trained):
    """What was saved answers otherwise than the base; on the base's own weights it is the model that was trained."""
    folder, model = trained(way)
    base = lesson.open(WAYS[way].get("four_bit", False))
    before = lesson.answers(base)
    after = lesson.answers(base.with_adapter(folder / "sft" / "adapter"))
    assert all(abs(one - other) > 1e-3 for one, other in zip(before, after, strict=True))
    assert lesson.answers(base) == before
    if way not in ("prompt", "prefix", "neftune"):
        assert lesson.answers(lesson.of(model)) == pytest.approx(after, abs=2e-3)


@pytest.fixture(scope="module")
def moved(lesson, tmp_path_factory):
    """The same base in another place."""
    return type(lesson)(shutil.copytree(lesson.base, tmp_path_factory.mktemp("moved") / "base"))


@pytest.mark.parametrize("way", WAYS)
def test_each_way_goes_on_after_a_kill_to_the_same_weights(way, moved, trained, tmp_path):
    """From the checkpoint in the middle the files come out the same to the last bit, wherever run and base lie."""
    folder, _ = trained(way)
    moved.sft(moved.killed(folder / "sft", tmp_path), **WAYS[way])
    assert folder_identity(tmp_path / "sft" / "adapter") == folder_identity(folder / "sft" / "adapter")
    lines = (folder / "sft" / "metrics.jsonl").read_text().splitlines()
    rates = [json.loads(line)["learning_rate"] for line in lines]
    assert rates == pytest.approx(RATES.get(WAYS[way].get("schedule"), rates))
    assert WAYS[way].get("schedule") or (rates == sorted(rates, reverse=True) and rates[0] > rates[-1] > 0)


@pytest.mark.parametrize("way", ["qlora", "full", "prompt"])
def test_dpo_goes_on_from_each_way_and_after_a_kill(way, lesson, trained, tmp_path):
    """Its adapter is of the same kind, answers otherwise than SFT's, and is the same after a kill."""
    start, _ = trained(way)
    lesson.dpo(tmp_path, start, **WAYS[way])
    lesson.dpo(lesson.killed(tmp_path / "dpo", tmp_path / "again"), start, **WAYS[way])
    made = tmp_path / "dpo" / "adapter"
    assert folder_identity(tmp_path / "again" / "dpo" / "adapter") == folder_identity(made)
    assert {file.name for file in made.iterdir()} == {file.name for file in (start / "sft" / "adapter").iterdir()}
    base = lesson.open(WAYS[way].get("four_bit", False))
    before = base.with_adapter(start / "sft" / "adapter")
    assert lesson.answers(before) != lesson.answers(base.with_adapter(made))


def test_the_optimiser_is_the_one_asked_for(trained):
    """Moments of large matrices in 8 bits (embeddings' never) or in 32, and B's learning rate sixteen times A's."""
    import torch

    def optimizer(way):
        return torch.load(trained(way)[0] / "sft" / "checkpoint-2" / "optimizer.pt", weights_only=False)

    dtypes = {"qlora": torch.uint8, "lora+": torch.uint8, "full": torch.uint8, "rslora": torch.float32}
    for way, dtype in dtypes.items():
        states = [state["__bnb_optimizer_quant_state__"]["state1"] for state in optimizer(way)["state"].values()]
        assert dtype in {state.dtype for state in states if state.numel() >= 1 << 12}
        assert way == "full" or len({state.dtype for state in states if state.numel() >= 1 << 12}) == 1
    rates = {group["initial_lr"] for group in optimizer("lora+")["param_groups"] if group["params"]}
    assert rates == {1e-2, 16e-2}


def test_a_whole_model_is_used_as_an_adapter_is(lesson, workspace, prompts, retriever, tiny, monkeypatch):
    """`kb train` with both stages, then the tuned model and what it was before DPO beside the base, each its own."""
    settings = TrainConfig(
        tuning="full", max_steps=2, warmup=0, batch_size=2, micro_batch=2, replay="none", gradient_checkpointing=False,
        dpo_samples=1, learning_rate=1e-3, dpo_learning_rate=1e-4,
    )  # fmt: skip
    # A model of random weights has no right answer to prefer.
    monkeypatch.setattr("kb.finetune.sharpen.preference_rows", lambda *_: lesson.pairs)
    model = ModelConfig(name=str(tiny), load_in_4bit=False)
    report = run(workspace, settings, model, prompts, retriever)
    assert (report.adapter / "model.safetensors").exists()
    assert (report.adapter / "generation_config.json").exists()
    assert run(workspace, settings, model, prompts, retriever).already_done
    base, found = open_model(model), find_run(workspace.store)
    tuned, again = (open_tuned(base, found, workspace.store) for _ in range(2))
    before = open_tuned(base, found.unsharpened, workspace.store)
    assert tuned.weights is again.weights
    assert len({llm.identity for llm in (base, before, tuned)}) == 3
    assert len({tuple(lesson.answers(llm)) for llm in (base, before, tuned)}) == 3
    base.close()
    assert tuned.weights.model is None


def test_a_run_begun_on_a_gpu_stops_where_there_is_none(workspace, prompts, retriever, tiny, monkeypatch):
    """Before a weight is loaded; what is there of it stays as it is."""
    settings, model = TrainConfig(replay="none"), ModelConfig(name=str(tiny), load_in_4bit=False)
    folder = plan(workspace, settings, model, prompts, retriever).folder
    (folder / "config.json").write_text(json.dumps({"device": "RTX 4090"}))
    monkeypatch.setattr("kb.finetune.device.device_name", lambda: "cpu")
    with pytest.raises(KBError, match="begun on RTX 4090"):
        run(workspace, settings, model, prompts, retriever)
    assert {file.name for file in folder.iterdir()} == {"key", "config.json"}


def test_half_precision_without_a_gpu_is_refused_before_training(workspace, prompts, retriever, tiny, monkeypatch):
    """fp16 needs a GPU; bf16 one that has it, or a CPU. Nothing is begun; a plan says so too, but for another card."""
    import torch

    from kb.finetune.model import training_dtype

    model = ModelConfig(name=str(tiny), load_in_4bit=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    half = TrainConfig(precision="fp16", replay="none")
    for refusing in (lambda: run(workspace, half, model, prompts, retriever),
                     lambda: planned(workspace, half, model, prompts, retriever, None)):  # fmt: skip
        with pytest.raises(UsageError, match=r'"fp16" needs a GPU.*set precision = "auto"'):
            refusing()
    assert not list(workspace.root.glob("runs/*"))
    assert planned(workspace, half, model, prompts, retriever, named_card("4090")).fits
    assert training_dtype("bf16") == torch.bfloat16
    assert training_dtype("auto") == training_dtype("fp32") == torch.float32
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert training_dtype("fp16") == torch.float16
    with pytest.raises(UsageError, match='"bf16": this GPU does not have it'):
        training_dtype("bf16")
