"""Logits where a token is trained and nowhere else."""

from contextlib import nullcontext

import pytest
import torch
from safetensors.torch import load_file
from trl.trainer import utils

from kb.finetune import training

pytestmark = pytest.mark.slow


@pytest.fixture
def projected(monkeypatch):
    """How many places each call of TRL's loss projects to the vocabulary."""
    counts = []
    loss = utils._ChunkedLogProbFunction

    class Counted:
        @staticmethod
        def apply(hidden, *more):
            counts.append(len(hidden))
            return loss.apply(hidden, *more)

    monkeypatch.setattr(utils, "_ChunkedLogProbFunction", Counted)
    return counts


@pytest.mark.parametrize("stage", ["sft", "dpo"])
def test_prompts_and_padding_get_no_logits_and_all_that_is_trained_gets_its_own(
    stage, lesson, tmp_path, projected, monkeypatch
):
    """On a CPU TRL computes them everywhere; where only the trained places get them, a run learns the same."""

    def train(folder):
        lesson.sft(folder)
        if stage == "dpo":
            projected.clear()
            lesson.dpo(folder, folder)
        return load_file(folder / stage / "adapter" / "adapter_model.safetensors"), sum(projected)

    ours, few = train(tmp_path / "kb")
    assert not utils._use_triton(torch.device("cpu")), "as it was before"
    projected.clear()
    monkeypatch.setattr(training, "trained_places_only", nullcontext)
    theirs, all_places = train(tmp_path / "bare")
    moved = max(float(tensor.abs().max()) for name, tensor in theirs.items() if "lora_B" in name)
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in theirs) < moved / 100
    assert few < all_places / 3
    if stage == "sft":
        assert few == 2 * sum(example.trained for example in lesson.examples), "two epochs"
