"""Every stage after SFT on TRL's trainers: it trains, saves, comes back with effect, and goes on after a kill."""

import json
import re
import shutil
from dataclasses import asdict

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForSequenceClassification
from trl import SFTConfig, SFTTrainer

from kb.finetune import dpo, kto, reinforce, reward, sft, unreferenced
from kb.finetune.batches import IGNORED, encode
from kb.finetune.config import TrainConfig
from kb.finetune.data import LabelledRow, PreferenceRow, Row
from kb.finetune.model import stop_tokens, trainable_adapter, trainable_base
from kb.finetune.run import run
from kb.finetune.stages import EXPERIMENTAL, RATES, REWARD, SHARPENING
from kb.finetune.verified import WRONG, VerifiedQuestion
from kb.llm import ModelConfig, Request, user
from kb.llm.closed import ANSWER_TOKENS
from kb.llm.local import LocalLLM
from kb.llm.weights import load_tokenizer, load_weights
from kb.runs import find_run

pytestmark = pytest.mark.slow

MODULES = {
    "sft": sft, "dpo": dpo, "kto": kto, "grpo": reinforce, "rloo": reinforce, "orpo": unreferenced,
    "simpo": unreferenced, "reward": reward,
}  # fmt: skip
HYBRID = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""As Qwen3's: an answer has an empty thought before it, a prompt only with thinking off."""
QUESTIONS = ("What does Arin weigh?", "一丁三上？", "How heavy is Bolt?", "Weight of Coro?")


def settings(stage, **changes):
    """Two steps, with a checkpoint after each."""
    kept = {
        "rank": 4, "alpha": 8, "batch_size": 4, "micro_batch": 2, "replay": "none", "gradient_checkpointing": False,
        "rl_samples": 2, "checkpoints": 2, "warmup": 0.0, "experimental": True, RATES[stage]: 1e-2,
        "reward_held_out": 0.5, "reward_epochs": 4.0, "stages": ("sft",) if stage == "sft" else ("sft", stage),
    }  # fmt: skip
    return TrainConfig(**(kept | changes))


def rows_of(stage, questions=QUESTIONS):
    """What a stage learns from, in both languages; eight answers."""
    chats = [user(question, "Be brief.") for question in questions]
    if stage == "kto":
        return [
            LabelledRow(chat, "3 kg" if right else "4 kg", right, "own") for chat in chats for right in (True, False)
        ]
    if stage in ("grpo", "rloo"):
        return [VerifiedQuestion(chat, "3 kg", "number", (), "answered") for chat in chats]
    if stage == "sft":
        return [Row(chat, "3 kg", "short", f"pair_{number}") for number, chat in enumerate(chats)]
    return [PreferenceRow(chat, "3 kg", wrong, "own") for chat in chats for wrong in ("4 kg", "五丁")]


@pytest.fixture(scope="module")
def taught(tiny, tmp_path_factory):
    """The folder of an adapter that changes much, as SFT would have left it."""
    folder = tmp_path_factory.mktemp("taught") / "sft" / "adapter"
    torch.manual_seed(1)
    adapter = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    get_peft_model(trainable_base(tiny, False, TrainConfig()), adapter).save_pretrained(folder)
    return folder


def train(stage, tiny, taught, folder, rows=None, **changes):
    """A stage in `folder`; its figures."""
    rows, config, tokenizer = rows or rows_of(stage), settings(stage, **changes), load_tokenizer(tiny)
    if stage == REWARD:
        return reward.train_reward(tiny, False, tokenizer, rows, config, folder / stage)
    if stage == "sft":
        examples = encode(rows, tokenizer, stop_tokens(tiny, tokenizer), 1 << 20)
        return sft.train_sft(trainable_base(tiny, False, config), tokenizer, examples, config, folder / stage)
    names = {"dpo": "train_dpo", "kto": "train_kto", "grpo": "train_verified", "rloo": "train_verified"}
    model = trainable_adapter(tiny, False, config, taught)
    trainer = getattr(MODULES[stage], names.get(stage, "train_unreferenced"))
    return trainer(model, tokenizer, rows, config, folder / stage)


@pytest.mark.parametrize("stage", [*SHARPENING, REWARD])
def test_a_stage_goes_on_after_a_kill_and_comes_back_with_effect(stage, tiny, taught, tmp_path, monkeypatch, lasting):
    """The same bytes and figures as without the kill, no copy of the reference in them, and another model than before.

    Random weights earn no reward for truth, so answers earn one for their length.
    """
    monkeypatch.setattr(reinforce, "reward", lambda said, *_: float(len(said) % 3))
    monkeypatch.setattr(reinforce, "ANSWER_TOKENS", 12)
    figures = train(stage, tiny, taught, tmp_path)
    folder = tmp_path / stage
    calm = (folder / "adapter" / "adapter_model.safetensors").read_bytes()
    logged = lasting(folder)
    assert figures["steps"] >= 2
    shutil.rmtree(folder / "adapter")
    shutil.rmtree(folder / f"checkpoint-{figures['steps']}")
    assert train(stage, tiny, taught, tmp_path) == figures
    assert (folder / "adapter" / "adapter_model.safetensors").read_bytes() == calm
    assert lasting(folder) == logged
    assert not (folder / "adapter" / "ref").exists()
    if stage == REWARD:
        assert accuracy(tiny, folder / "adapter") == figures["right of them"]
    else:
        assert changed(tiny, taught, folder / "adapter")


def changed(tiny, before, after):
    """Whether an adapter answers otherwise than the one it came from and than the base."""
    base = LocalLLM(load_weights(tiny, False, 4096, None))
    asked = [Request(user(question), 8) for question in QUESTIONS]
    said = [llm.logprobs(asked, ["3 kg"] * 4) for llm in (base, base.with_adapter(before), base.with_adapter(after))]
    return said[0] != said[1] != said[2] != said[0]


def accuracy(tiny, adapter):
    """Share of the held-out pairs whose chosen answer the reloaded reward model scores higher."""
    tokenizer = load_tokenizer(tiny)
    torch.manual_seed(7)
    model = AutoModelForSequenceClassification.from_pretrained(tiny, num_labels=1, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, str(adapter)).eval()
    _, apart = reward.held_out(rows_of(REWARD), 0.5, 0)

    def score(row, answer):
        chat = [*(asdict(message) for message in row.messages), {"role": "assistant", "content": answer}]
        ids = tokenizer.apply_chat_template(chat, return_dict=True, return_tensors="pt")
        with torch.no_grad():
            return float(model(**ids).logits)

    return sum(score(row, row.chosen) > score(row, row.rejected) for row in apart) / len(apart)


@pytest.fixture
def caught(monkeypatch, tiny, taught, tmp_path):
    """A function that builds the trainer of a stage with the hybrid template and gives it instead of training."""

    def catch(stage, rows, **changes):
        found = []
        monkeypatch.setattr(MODULES[stage], "fit", lambda trainer, *_: found.append(trainer) or {})
        folder = tmp_path / "hybrid"
        if not folder.exists():
            shutil.copytree(tiny, folder)
            (folder / "chat_template.jinja").write_text(HYBRID)
        train(stage, folder, taught, tmp_path, rows, **changes)
        return found[0]

    return catch


def sequences(stage, trainer):
    """Prompt and answer of the first batch as the model gets them; of the answer, what its loss is over."""
    tokenizer, batch = trainer.processing_class, next(iter(trainer.get_train_dataloader()))
    if stage in ("grpo", "rloo"):
        return [(tokenizer.decode(ids), "") for ids in trainer._tokenize_prompts([row["prompt"] for row in batch])[0]]
    side = "chosen_" if stage in EXPERIMENTAL else ""
    whole, attended = batch[f"{side}input_ids"], batch[f"{side}attention_mask"].bool()
    if stage == REWARD:
        return [split(tokenizer.decode(ids[kept])) for ids, kept in zip(whole, attended, strict=True)]
    labels = batch.get(f"{side}labels")
    trained = labels != IGNORED if labels is not None else batch["completion_mask"].bool()
    return [
        (tokenizer.decode(ids[kept & ~own]), tokenizer.decode(ids[own]))
        for ids, kept, own in zip(whole, attended, trained, strict=True)
    ]


def split(chat):
    """A whole chat in what is asked and what is answered, with the thought before it."""
    asked, thought, answer = chat.partition("</think>\n\n")
    return asked + thought, answer


@pytest.mark.parametrize("stage", MODULES)
def test_every_stage_asks_as_the_model_is_asked_and_cuts_nothing(stage, caught):
    """A hybrid template's empty thought is in the prompt, never in what is trained; a row of 1,300 tokens is whole.

    TRL's default cuts at 1,024, and ORPO's and SimPO's at 512 where they are told of no limit; of thinking it hears
    through each row, or through the settings of GRPO and RLOO alone.
    """
    question = "丁" * 1300
    trainer = caught(stage, rows_of(stage, (question, question, question, question)))
    asked = f"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    for prompt, answer in sequences(stage, trainer):
        assert prompt.startswith(asked + "<think>\n\n</think>\n\n")
        if stage not in ("grpo", "rloo"):
            assert answer.split("<|im_end|>")[0] in ("3 kg", "4 kg", "五丁")
            assert answer.count("<|im_end|>") == 1
    if stage in ("grpo", "rloo"):
        assert trainer.args.max_completion_length == ANSWER_TOKENS


def test_bare_rows_of_prompt_and_completion_would_train_the_thought(tiny, tmp_path):
    """What TRL makes of the same question and template when nobody tells it of thinking: kb's rows differ in that."""
    tokenizer = load_tokenizer(tiny)
    tokenizer.chat_template = HYBRID
    row = {"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "3 kg"}]}
    arguments = SFTConfig(str(tmp_path), use_cpu=True, bf16=False, report_to="none")
    trainer = SFTTrainer(
        trainable_base(tiny, False, TrainConfig()),
        arguments,
        train_dataset=Dataset.from_list([row]),
        processing_class=tokenizer,
    )
    batch = next(iter(trainer.get_train_dataloader()))
    assert tokenizer.decode(batch["input_ids"][batch["labels"] != IGNORED]).startswith("<think>")
    (example,) = encode([Row(user("q"), "3 kg", "short", "p")], tokenizer, stop_tokens(tiny, tokenizer), 100)
    assert tokenizer.decode([label for label in example.labels if label != IGNORED]) == "3 kg<|im_end|>"


def test_every_token_of_every_answer_is_trained_once_an_epoch(caught):
    """Rows of very different lengths and texts among them: nothing is packed, so nothing that overflows is dropped."""
    rows = [Row(user("q"), "丁" * length, "short", f"pair_{length}") for length in (1, 2, 3, 50, 700, 1500)]
    rows += [Row((), "Arin weighs 3 kg. " * 80, "text", "rw_1")]
    trainer = caught("sft", rows, epochs=2.0)
    trained = sum(int((batch["labels"] != IGNORED).sum()) for batch in trainer.get_train_dataloader())
    assert trained == 2 * sum(len(row.answer) + 1 for row in rows)


def test_an_answer_that_does_not_end_is_wrong_whatever_it_says():
    """It would teach to go on and on."""
    verify = reinforce.fact_rewards(0.0, 4)
    said = [[{"role": "assistant", "content": text}] for text in ("3 kg", "3 kg", "我不知道")]
    facts = {"answer": ["3 kg"] * 3, "answer_type": ["number"] * 3, "aliases": [[]] * 3}
    ids = [[1, 2, 3], [1, 2, 3, 4], [1]]
    assert verify(completions=said, completion_ids=ids, prompts=[], **facts) == [1.0, WRONG, 0.0]


def test_the_reward_is_told_of_the_first_and_the_last_quarter():
    """Of what was logged of it; a run of one step has one reward."""
    history = [{"reward": value} for value in (-1.0, 0.0, 0.5, 0.5, 0.5, 0.5, 1.0, 0.5)] + [{"train_runtime": 3.0}]
    assert reinforce.rewards(history) == {"reward at first": -0.5, "at last": 0.75}
    assert reinforce.rewards(history[:1]) == {"reward at first": -1.0, "at last": -1.0}


def test_right_and_wrong_rows_count_alike_to_kto():
    """The rarer kind weighs more; of one kind alone there is nothing to weigh."""
    rows = [LabelledRow(user("q"), "a", right, "own") for right in (True, True, True, False)]
    assert kto.label_weights(rows) == (1.0, 3.0)
    assert kto.label_weights(rows[2:]) == (1.0, 1.0)
    assert kto.label_weights(rows[:2]) == (1.0, 1.0)


def test_a_question_is_on_one_side_of_the_reward_models_rows():
    """With all its pairs; never all questions are held out, and none where the share is 0."""
    rows = rows_of(REWARD)
    trained, apart = reward.held_out(rows, 0.25, 0)
    assert (len(trained), len(apart)) == (6, 2)
    assert {row.messages for row in trained}.isdisjoint(row.messages for row in apart)
    assert reward.held_out(rows, 0.0, 0) == (rows, [])
    assert len(reward.held_out(rows[:2], 0.9, 0)[0]) == 2


def test_a_run_of_three_stages_is_that_of_the_second(workspace, prompts, retriever, tiny, monkeypatch):
    """KTO's adapter is the run's, SFT's is kept to be compared with, the reward model is beside them with its figure.

    The model of random weights answers nothing right, so its own answers are those of a script.
    """
    monkeypatch.setattr("kb.finetune.sharpen.own_preferences", scripted)
    config = settings("kto", max_steps=2, stages=("sft", "kto", "reward"), name="three", dpo_swap_share=1.0)
    report = run(workspace, config, ModelConfig(name=str(tiny), load_in_4bit=False), prompts, retriever)
    assert report.adapter == workspace.run("three") / "kto" / "adapter"
    told = "\n".join(report.lines())
    assert re.search(r"kto: \d+ rows \(2 own, \d+ refusal, \d+ swap\), \d+ steps, mean loss 0\.", told)
    assert re.search(r"reward: .*, held-out pairs \d+, right of them [01]\.", told)
    assert "own answers: 0 questions always right, 1 sometimes, 0 never" in report.notes
    found = find_run(workspace.store)
    assert (found.adapter, found.sharpened_by) == (report.adapter, "KTO")
    assert found.unsharpened.adapter == workspace.run("three") / "sft" / "adapter"
    assert list(found.metrics) == ["sft", "kto", "reward"]
    again = run(workspace, config, ModelConfig(name=str(tiny), load_in_4bit=False), prompts, retriever)
    assert (again.already_done, again.metrics) == (True, json.loads(json.dumps(report.metrics)))


def scripted(tuned, store, prompts, config, base):
    """One own pair."""
    from kb.finetune.preference import OwnAnswers

    return OwnAnswers((PreferenceRow(user("What?"), "3 kg", "4 kg", "own"),), 0, 1, 0)
