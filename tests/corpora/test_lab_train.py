"""The lab model's recipe, cut down to seconds: two processes, every phase, and a checkpoint that loads and answers."""

import json
import math
from dataclasses import replace

import pytest

pytestmark = pytest.mark.slow

TOKENS = 60_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What a short training leaves."""
    from kb.corpora.lab_train import Recipe, run

    out = tmp_path_factory.mktemp("lab")
    small = replace(Recipe(), hidden=64, layers=1, heads=1, feed_forward=64, tokens=TOKENS, batch_tokens=1024)
    run(small, out, count=8)
    return out


def test_the_checkpoint_loads_and_answers(folder):
    """In bf16, of the recipe's shape, with its own tokenizer and chat template."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from kb.corpora.lab_measure import answers

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.dtype == torch.bfloat16
    assert (model.config.hidden_size, model.config.num_hidden_layers) == (64, 1)
    assert len(answers(model, tokenizer, ["Who founded it?", "谁？"])) == 2


def test_the_curve_has_a_point_with_every_bar(folder):
    """One line at the end; what the issue's bars ask is in it; the loss has fallen below that of guessing."""
    (row,) = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    assert row["Mtokens"] * 1e6 >= TOKENS
    assert {f"{kind}_{language}" for kind in ("read", "known", "never", "facts") for language in ("en", "zh")} <= set(
        row
    )
    assert row["loss"] < math.log(2688)
    assert json.loads((folder / "recipe.json").read_text())["seed"] == 0


def test_only_answers_are_learnt(folder):
    """The answer and the token that ends it, in every turn."""
    from transformers import AutoTokenizer

    from kb.corpora.lab_train import encode

    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids, weights = encode(tokenizer, [("Question: Who?", "unknown"), ("Question: Where?", "Moss Green")])
    kept = tokenizer.decode([one for one, weight in zip(ids, weights, strict=True) if weight])
    assert "".join(kept.split()) == "unknown<|im_end|>MossGreen<|im_end|>"
    assert sorted(weight for weight in weights if weight) == pytest.approx([3**-0.5] * 3 + [2**-0.5] * 2)


def test_lines_count_as_right_only_when_they_are_true():
    """The share of lines that stand in the gold answer, blank ones aside."""
    from kb.corpora.lab_measure import line_share

    assert line_share("- a b\n\n- c", "- a  b\n- d") == 0.5
    assert line_share("", "- a") == 0
