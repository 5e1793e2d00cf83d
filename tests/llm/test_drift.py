"""How far a model is from its base: KL and agreement on the base's own answers, by a tiny model."""

from dataclasses import replace

import pytest
import torch

from kb.llm import Request, user
from kb.llm.drift import load_base, measure_base, measure_drift, save_base
from kb.llm.live import LiveLLM, evaluating
from kb.llm.weights import load_base as load_model
from kb.llm.weights import load_tokenizer

pytestmark = pytest.mark.slow


def test_drift_is_kl_and_agreement_on_the_bases_own_answers(tiny_folder, tmp_path):
    """None of itself; of another model what the whole distributions say, all but the rare tokens; kept on disk."""
    tokenizer, model = load_tokenizer(tiny_folder), load_model(tiny_folder, False)
    prompts = [Request(user(text), 12) for text in ("Say a b c.", "说一二三。", "x" * 600)]
    with evaluating(model):
        llm = LiveLLM(model, tokenizer, 4096)
        save_base(tmp_path / "base", measure_base(llm, prompts, {"fct_1"}))
        base = load_base(tmp_path / "base")
        still = measure_drift(llm, prompts, base)
        assert (still.agreement, base.knows, base.answers[2]) == (1, {"fct_1"}, ())
        assert still.kl == pytest.approx(0, abs=1e-6)
        ids = torch.tensor([[*llm.prompt_ids(prompts[0]), *base.answers[0]]])
        count = len(base.answers[0])
        with torch.no_grad():
            before = model(ids).logits[0, -count - 1 : -1].log_softmax(-1)
            model.lm_head.weight.mul_(0.8)
            after = model(ids).logits[0, -count - 1 : -1].log_softmax(-1)
        exact = float((before.exp() * (before - after)).sum(-1).mean())
        one = replace(base, answers=base.answers[:1], likeliest=base.likeliest[:count], logprobs=base.logprobs[:count])
        found = measure_drift(llm, prompts[:1], one)
    assert 0 < found.kl <= exact + 1e-6
    assert found.kl == pytest.approx(exact, rel=0.05)
    assert found.tokens == count
