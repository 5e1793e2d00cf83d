"""Training on a tiny model: the step that is run before it, memory that runs out, a disk that is full."""

import errno
import json
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from transformers.models.qwen3.modeling_qwen3 import Qwen3Model

from kb.errors import KBError
from kb.finetune import rehearsal
from kb.finetune.cards import GIB, Card
from kb.finetune.config import TrainConfig
from kb.finetune.memory import ModelShape
from kb.finetune.plan import planned
from kb.finetune.room import Room
from kb.finetune.run import run
from kb.finetune.sizes import Sizes, calibration
from kb.finetune.speed import batch_flops
from kb.finetune.training import disk_full
from kb.llm.base import ModelConfig

pytestmark = pytest.mark.slow

SETTINGS = {
    "max_steps": 3,
    "warmup": 0.0,
    "rank": 4,
    "batch_size": 8,
    "replay": "none",
    "checkpoints": 3,
    "watch": False,
}


@pytest.fixture
def train(workspace, prompts, retriever, tiny):
    """A function that trains under a name, not taking over what another run has trained; its stage's folder."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def start(name, stages=("sft",), **settings):
        for key in (workspace.root / "runs").glob("*/sft/key"):
            key.write_text("another")
        config = TrainConfig(name=name, stages=stages, **(SETTINGS | settings))
        run(workspace, config, ModelConfig(name=str(tiny), load_in_4bit=False), prompts, retriever)
        return workspace.root / "runs" / name / stages[-1]

    yield start
    torch.set_num_threads(threads)


def weights(stage):
    return load_file(stage / "adapter" / "adapter_model.safetensors")


def assert_alike(stage, other):
    """Equal but for rounding: by a hundredth of what training has moved the weights, which began at 0."""
    ours, theirs = weights(stage), weights(other)
    moved = max(float(tensor.abs().max()) for name, tensor in theirs.items() if "lora_B" in name)
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in theirs) < moved / 100


@pytest.fixture
def figures(lasting):
    """A function that reads what a stage logged and what it ended with."""
    return lambda stage: (lasting(stage), json.loads((stage / "result.json").read_text()))


def kept(stage):
    return json.loads((stage / "plan.json").read_text())


@pytest.fixture
def crowd(monkeypatch):
    """A function that lets the model's forward run out of memory: with more than `most` rows, after so many calls."""
    forward = Qwen3Model.forward
    sizes = []

    def start(most, after=0):
        sizes.clear()

        def crowded(self, input_ids=None, **others):
            sizes.append(len(input_ids))
            if len(input_ids) > most and len(sizes) > after:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return forward(self, input_ids=input_ids, **others)

        monkeypatch.setattr(Qwen3Model, "forward", crowded)
        return sizes

    return start


def test_the_step_before_training_leaves_no_trace_in_it(train, monkeypatch, figures):
    """Weights and every logged figure are bitwise those of a run without it; what it measured is kept."""
    with_it = train("with")
    monkeypatch.setattr(rehearsal.Rehearsal, "watch", lambda *_: None)
    without = train("without")
    assert kept(with_it)["measured"]["seconds"] > 0
    assert kept(without)["measured"] is None
    assert figures(with_it) == figures(without)
    ours, theirs = weights(with_it), weights(without)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_real_step_is_stored_for_the_next_plan(train, workspace, prompts, retriever, tiny):
    """Its speed times the next plan, in which nothing is begun; of so little memory no error is learnt."""
    train("first")
    config = TrainConfig(name="next", **SETTINGS)
    made = planned(workspace, config, ModelConfig(name=str(tiny), load_in_4bit=False), prompts, retriever, None)
    assert made.calibration.flops > 0
    assert made.calibration.memory == 0
    assert made.seconds > 0
    assert not (workspace.root / "runs" / "next").exists()


def test_the_error_of_the_estimate_is_learnt_where_it_is_of_some_size(workspace, tmp_path, caplog):
    """Half as much again as estimated beside the weights, gradients included, is a ratio of 1.5; and the speed."""
    shape = ModelShape(36, 4096, 12288, 4096, 1024, 151936, False)
    sizes = Sizes(shape, shape.adapter(64), False, 16, True, 2, False, 100, 1024, 0, 256)
    card = Card("some card", 80.0, 300.0)
    made = SimpleNamespace(room=Room(4, 4, True), card=card, load_in_4bit=True, flops=1e18)
    expected = sizes.first(4, True).working + 4 * sizes.trained / GIB
    took = rehearsal.Measured(2.0, 1.5 * expected)
    with caplog.at_level(logging.INFO):
        rehearsal.Rehearsal(made, sizes, workspace.store, tmp_path)._say(took, 4, sizes)
    found = calibration(workspace.store, card, True)
    assert found.memory == pytest.approx(1.5)
    assert found.flops == pytest.approx(batch_flops(shape, [(4, 1024)], 4 * 256, True) / 2.0)
    assert "a real step of 4 rows of 1024 tokens: 2.0 s" in caplog.text


def test_memory_that_runs_out_halves_the_micro_batch_and_nothing_else(train, crowd, caplog, figures):
    """Weights, figures and rows of every step are those of the run that had room, but for rounding."""
    roomy = train("roomy", micro_batch=8)
    sizes = crowd(most=2)
    with caplog.at_level(logging.WARNING):
        tight = train("tight", micro_batch=8)
    assert sizes == [8, 4, 2, *[2] * 12], "two tries, the step before training, three steps of four micro-batches"
    assert (kept(tight)["order"], kept(tight)["micro"]) == (8, 2)
    assert "sft: out of memory; going on with micro-batches of 4 rows, 2 for a step" in caplog.text
    assert_alike(tight, roomy)
    assert figures(tight)[1] == figures(roomy)[1]


def test_memory_that_runs_out_late_costs_the_steps_since_the_last_checkpoint(train, crowd):
    """The two steps that were done are not done again; the end is the same."""
    roomy = train("roomy", micro_batch=8)
    sizes = crowd(most=4, after=3)
    late = train("late", micro_batch=8)
    assert sizes == [8, 8, 8, 8, 4, 4, 4], "the step before, two steps, the third fails; once before, and in halves"
    assert_alike(late, roomy)


def test_one_row_with_checkpointing_is_the_last_try(train, crowd):
    """Then it is one line with what is left to do, and exit code 1."""
    sizes = crowd(most=0)
    with pytest.raises(KBError, match=r"^out of memory. Under \[train\], lower rank") as caught:
        train("hopeless", micro_batch=2, gradient_checkpointing=False)
    assert caught.value.exit_code == 1
    assert sizes == [2, 1, 1]


def test_a_full_disk_keeps_what_is_trained(train, monkeypatch, figures):
    """One line with how much is needed and what is kept; once there is space, the end is that of a run that had it."""
    calm = train("calm")
    saves, save = [], torch.save

    def full(state, file, *others, **options):
        saves.append(file)
        if len(saves) == 5:
            Path(file).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        save(state, file, *others, **options)

    monkeypatch.setattr(torch, "save", full)
    said = r"the disk of .*/runs/full/sft is full: the checkpoints take up to 0\.\d MiB together, and .* MiB are free;"
    with pytest.raises(
        KBError, match=said + r" what was trained up to checkpoint-1 is kept\. Free some space"
    ) as caught:
        train("full")
    assert caught.value.exit_code == 1
    assert not list(calm.parents[1].glob("full/sft/checkpoint-2")), "the checkpoint that is not whole is gone"
    again = train("full")
    assert figures(again) == figures(calm)
    ours, theirs = weights(again), weights(calm)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 23872 vs 23760"),
    ],
)
def test_every_librarys_word_for_a_full_disk_is_known(error):
    """As Python, safetensors and torch said it on a disk of 2 MiB; other errors are none of it."""
    assert disk_full(error)
    assert not disk_full(OSError(errno.EACCES, "Permission denied"))
    assert not disk_full(RuntimeError("CUDA error: device-side assert triggered"))


def test_a_loss_that_is_no_number_keeps_the_checkpoints_before(train, workspace):
    """The first steps of an absurd learning rate are sound; the message names the setting and where they are."""
    with pytest.raises(KBError, match=r"stopped being a number between step \d and step \d. Lower learning_rate under"):
        train("broken", max_steps=8, checkpoints=8, learning_rate=1e30)
    assert list((workspace.root / "runs" / "broken" / "sft").glob("checkpoint-*"))
