"""Exported probes run back by lm-evaluation-harness itself; test_peers.py has those that kb does not install."""

import pytest

from kb.llm.open import lab_folder
from kb.llm.weights import load_weights

pytestmark = pytest.mark.slow


def test_lm_eval_gives_the_same_figures(own, known, tmp_path, monkeypatch):
    """On the same weights it asks the same prompts, gets the same answers and prints kb's own closed-book figures."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    monkeypatch.chdir(tmp_path)
    rows, arm = own
    weights = load_weights(lab_folder(), False, 4096, None)
    lm = HFLM(pretrained=weights.model, tokenizer=weights.tokenizer, batch_size=8, enable_thinking=False)
    tasks = TaskManager(include_path=str(known("lm-eval")), include_defaults=False)
    found = simple_evaluate(
        model=lm, tasks=["kb_held_out", "kb_near_miss"], task_manager=tasks, apply_chat_template=True, bootstrap_iters=0
    )
    held, near = (found["results"][f"kb_{kind}"] for kind in ("held_out", "near_miss"))
    assert held["correct,none"] == pytest.approx(arm.correct.value)
    assert [held[f"{verdict},none"] for verdict in ("wrong", "abstained", "unparsed")] == pytest.approx(
        [arm.wrong, arm.abstained, arm.unparsed]
    )
    assert near["correct,none"] == pytest.approx(arm.near_miss.value)
    for sample in (sample for samples in found["samples"].values() for sample in samples):
        asked, answer = sample["arguments"][0][0], sample["filtered_resps"][0]
        chat = [{"role": "user", "content": sample["doc"]["user"]}]
        assert asked == weights.tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        assert answer.strip() == rows[sample["doc"]["id"]]["answer"]
