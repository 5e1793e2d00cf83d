"""Context distillation with the real trainer: who the teacher is, what it sees, and what is left at the end."""

import json
import shutil
from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from kb.errors import KBError
from kb.finetune.cards import Card
from kb.finetune.config import TrainConfig
from kb.finetune.contexts import DistilRow
from kb.finetune.memory import model_shape
from kb.finetune.room import Room
from kb.finetune.run import run
from kb.finetune.sizes import Calibration, Sizes, calibration
from kb.llm import ModelConfig, Request, user
from kb.runs import find_run
from kb.store import Store

CONFIG = TrainConfig(
    stages=("distil",), max_steps=4, warmup=0, rank=4, learning_rate=2e-2, batch_size=4, micro_batch=2, checkpoints=4,
    distil_tokens=6, gradient_checkpointing=False, replay="none",
)  # fmt: skip
ROWS = [
    DistilRow(
        user(f"Q: {name}?"), "3 kg", "short", f"pair_{name}", user(f"PASSAGE {name} weighs 3 kg. Q: {name}?", "Read.")
    )
    for name in ("Arin", "Bolt", "Coro", "Dema", "一二", "Esko")
]

pytestmark = pytest.mark.slow


@dataclass
class Pass:
    """One run of the model: what it read, what came out, whether the adapter was on, and whether it was learnt from."""

    text: list[str]
    inputs: object
    logits: object
    adapter: bool
    learning: bool

    @property
    def writing(self) -> bool:
        """Whether an answer is begun: then nothing but its first token is asked for."""
        return self.logits.shape[1] == 1


def train(tiny, folder, rows=ROWS, config=CONFIG, passes=None, rehearsal=None):
    """Distil the tiny model, one thread, noting every pass of the model over more than one token."""
    import torch

    from kb.finetune.distil import train_distil
    from kb.llm.weights import load_base, load_tokenizer

    torch.set_num_threads(1)
    tokenizer, model = load_tokenizer(tiny), load_base(tiny, False).train()

    def note(module, args, kwargs, output):
        ids = kwargs["input_ids"]
        if passes is not None and ids.shape[1] > 1:
            layers = [part for part in model.modules() if hasattr(part, "lora_A")]
            on = {not layer.disable_adapters for layer in layers}
            assert len(on) == 1
            keep = {key: kwargs.get(key) for key in ("input_ids", "attention_mask")}
            passes.append(
                Pass(tokenizer.batch_decode(ids), keep, output.logits.detach(), on.pop(), torch.is_grad_enabled())
            )

    model.register_forward_hook(note, with_kwargs=True)
    return train_distil(model, tokenizer, rows, config, folder, rehearsal)


def test_the_teacher_is_the_base_with_the_passage_and_the_student_the_adapter_without(tiny, tmp_path):
    """At every step: what is learnt from has no passage and the adapter on; what it is compared with has the passage,
    and, after the adapter has changed, still gives the logits of the untouched base. At the first step they differ.
    The answers are written by the teacher, and both see the same.
    """
    import torch

    from kb.llm.weights import load_base

    passes = []
    train(tiny, tmp_path / "distil", passes=passes)
    students = [one for one in passes if one.learning]
    teachers = [one for one in passes if not one.adapter and not one.writing]
    assert len(students) == len(teachers) == 8
    assert all(one.adapter and not any("PASSAGE" in text for text in one.text) for one in students)
    assert len(passes) == 8 + 8 + 4
    assert all(not one.adapter and all("PASSAGE" in text for text in one.text) for one in passes if not one.learning)
    first = min(students[0].logits.shape[1], teachers[0].logits.shape[1])
    assert (students[0].logits[:, -first:] - teachers[0].logits[:, -first:]).abs().max() > 0.1
    base = load_base(tiny, False)
    with torch.no_grad():
        last = teachers[-1].logits
        assert torch.equal(base(**teachers[-1].inputs, logits_to_keep=last.shape[1]).logits, last)
    for student, teacher in zip(students, teachers, strict=True):
        for own, read in zip(student.text, teacher.text, strict=True):
            assert own.partition("assistant\n")[2] == read.partition("assistant\n")[2]


def test_a_distilled_adapter_changes_the_model_and_a_run_knows_it(tiny, workspace, prompts, retriever):
    """Trained in 4 bits by `kb train`, registered, loaded again with effect, and sampled for DPO, which finds nothing
    to prefer; the same command says that it is done.
    """
    from kb.llm.local import LocalLLM
    from kb.llm.weights import load_weights

    model = ModelConfig(name=str(tiny))
    config = replace(
        CONFIG,
        stages=("distil", "dpo"),
        max_steps=2,
        max_length=400,
        reading_share=0.0,
        dpo_samples=1,
        dpo_least=100,
        gradient_checkpointing=True,
    )
    report = run(workspace, config, model, prompts, retriever)
    assert report.name.startswith("distil-dpo-")
    assert (report.adapter.parent.name, any("dpo left out" in note for note in report.notes)) == ("distil", True)
    assert report.lines()[1].startswith("distil: 74 rows (33 full, 4 reading, 4 refusal, 33 short), 2 steps, mean loss")
    assert report.metrics["distil"]["loss"] > 0
    assert find_run(workspace.store).adapter == report.adapter
    weights = load_weights(tiny, True, 4096, workspace.store)
    base, tuned = LocalLLM(weights, None), LocalLLM(weights, report.adapter)
    asked = [Request(user("Q: What does Arin weigh?"), 4)]
    assert tuned.logprobs(asked, ["3 kg"]) != base.logprobs(asked, ["3 kg"])
    assert run(workspace, config, model, prompts, retriever).already_done


def test_what_goes_on_from_a_checkpoint_ends_as_what_was_never_stopped(tiny, tmp_path):
    """Bitwise: the answers that were written again are the same, and a rehearsal before the first step left nothing."""
    from kb.finetune.model import model_config
    from kb.finetune.rehearsal import Rehearsal

    whole, resumed = tmp_path / "whole" / "distil", tmp_path / "resumed" / "distil"
    sizes = Sizes(model_shape(model_config(tiny)), 1, False, 16, False, 4, True, len(ROWS), 60, 0, 90, 6, 4)
    plan = SimpleNamespace(room=Room(2, 2, False), batch=4, reads=90, flops=None, card=Card("here", 1.0, 0.0),
                           load_in_4bit=False, stage="distil")  # fmt: skip
    store = Store(tmp_path / "kb.db")
    assert train(tiny, whole, rehearsal=Rehearsal(plan, sizes, store, whole))["steps"] == 4
    assert json.loads((whole / "plan.json").read_text())["measured"]["gib"] >= 0
    assert calibration(store, plan.card, False, "distil") == Calibration(), "too little to tell"
    store.close()
    resumed.mkdir(parents=True)
    shutil.copytree(whole / "checkpoint-3", resumed / "checkpoint-3")
    train(tiny, resumed)
    name = "adapter_model.safetensors"
    assert (resumed / "adapter" / name).read_bytes() == (whole / "adapter" / name).read_bytes()


def test_a_prompt_that_does_not_fit_is_named_before_anything_is_trained(tiny, tmp_path):
    """The teacher's prompt counts, and the answer that it may write."""
    long = DistilRow(user("Q: long?"), "x", "short", "pair_long", user("PASSAGE " + "一" * 490))
    with pytest.raises(KBError, match=r"the limit of 512 tokens; the longest is pair_long \(short\) with 5\d\d"):
        train(tiny, tmp_path / "distil", rows=[*ROWS, long])
