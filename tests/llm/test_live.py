"""A model asked while it is trained: it answers as on disk, and is left exactly as it was."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from kb.llm import Request, user
from kb.llm.live import LiveLLM, evaluating
from kb.llm.local import LocalLLM
from kb.llm.weights import load_weights

pytestmark = pytest.mark.slow

ASKED = [Request(user(text), 8) for text in ("How heavy is it?", "多重？")]
SAID = ["3 kg", "三"]


@pytest.fixture
def weights(tiny_folder):
    """A tiny model, loaded."""
    return load_weights(tiny_folder, False, 4096, None)


@pytest.fixture
def model(weights):
    """The model, in training."""
    return weights.model.train()


def test_evaluating_leaves_everything_as_it_was(model):
    """Modes, gradients and the cache, also after an error, and generation uses the cache meanwhile."""
    model.config.use_cache = False
    model.model.layers[0].eval()
    model.lm_head.weight.requires_grad_(False)
    with pytest.raises(KeyboardInterrupt), evaluating(model):
        assert not model.training
        assert model.config.use_cache
        model.requires_grad_(False)
        raise KeyboardInterrupt
    assert not model.config.use_cache
    assert model.training
    assert not model.model.layers[0].training
    assert not model.lm_head.weight.requires_grad
    assert model.model.embed_tokens.weight.requires_grad


def test_it_answers_as_the_loaded_model_does(weights):
    """Without an adapter as the base; with one, as that one, even where a second is there; none is switched."""
    base = LocalLLM(weights)
    plain, before = sorted(base.generate(ASKED)), base.logprobs(ASKED, SAID)
    with evaluating(weights.model):
        live = LiveLLM(weights.model, weights.tokenizer, 4096)
        assert sorted(live.generate(ASKED)) == plain
        assert live.logprobs(ASKED, SAID) == before
    peft = get_peft_model(weights.model, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    peft.add_adapter("ref", peft.peft_config["default"])
    with torch.no_grad():
        for name, parameter in peft.named_parameters():
            if "lora_B.default" in name:
                parameter.fill_(0.05)
    trained = {name for name, one in peft.named_parameters() if one.requires_grad}
    with evaluating(peft):
        live = LiveLLM(peft, weights.tokenizer, 4096)
        assert live.logprobs(ASKED, SAID) != before
    assert peft.active_adapters == ["default"]
    assert {name for name, one in peft.named_parameters() if one.requires_grad} == trained
    assert not [name for name in trained if ".ref." in name]
