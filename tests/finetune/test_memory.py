"""The memory estimate against the published table, and what it says of other settings."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from kb.finetune.config import TrainConfig
from kb.finetune.memory import ModelShape, cure, estimate, model_shape

QWEN3_8B = ModelShape(36, 4096, 12288, 4096, 1024, 151936, False)
QWEN3_14B = ModelShape(40, 5120, 17408, 5120, 1024, 151936, False)
QWEN3_4B = ModelShape(36, 2560, 9728, 4096, 1024, 151936, True)
CONFIG = TrainConfig()
TABLE_BYTES = 6
"""The table has bf16 adapters and an 8-bit optimiser: 2 + 2 + 2 bytes a parameter."""


def test_a_configuration_gives_the_shape():
    """Qwen3-8B's own config.json, whose head width is given; the parameters are those of its card (6.95 B, 175 M)."""
    config = SimpleNamespace(
        num_hidden_layers=36, hidden_size=4096, intermediate_size=12288, num_attention_heads=32, num_key_value_heads=8,
        head_dim=128, vocab_size=151936, tie_word_embeddings=False,
    )  # fmt: skip
    assert model_shape(config) == QWEN3_8B
    assert QWEN3_8B.linear == 6_945_767_424
    assert QWEN3_8B.adapter(64) == 174_587_904


def test_a_configuration_without_head_width_or_key_heads_has_the_usual_ones():
    """Llama-2's configuration: width by heads, as many key heads as query heads."""
    config = SimpleNamespace(
        num_hidden_layers=32, hidden_size=4096, intermediate_size=11008, num_attention_heads=32, vocab_size=32000
    )
    assert model_shape(config) == ModelShape(32, 4096, 11008, 4096, 4096, 32000, False)


@pytest.mark.parametrize("odd", [{"num_experts": 128}, {"intermediate_size": None}, {"num_local_experts": 8}])
def test_no_figure_is_given_for_what_is_not_a_plain_decoder(odd):
    """Experts are not quantised or adapted as the formula has it: no estimate is better than a wrong one."""
    config = SimpleNamespace(
        num_hidden_layers=36, hidden_size=4096, intermediate_size=12288, num_attention_heads=32, vocab_size=151936
    )
    assert model_shape(SimpleNamespace(**(vars(config) | odd))) is None


@pytest.mark.parametrize(
    ("shape", "gib"),
    [
        (QWEN3_8B, (9.2, 10.7, 12.7, 16.7)),
        (QWEN3_14B, (13.8, 15.6, 18.4, 23.9)),
        (QWEN3_4B, (5.4, 6.6, 8.0, 10.7)),
    ],
)
def test_the_published_table_is_reproduced(shape, gib):
    """Rank 64 at 2k, 4k, 8k and 16k tokens a step: within 2% of the table of finetune.md, section 6."""
    totals = [estimate(shape, CONFIG, tokens, trained_bytes=TABLE_BYTES).total for tokens in (2048, 4096, 8192, 16384)]
    assert totals == pytest.approx(gib, rel=0.02)


def test_fp32_adapters_and_optimiser_cost_what_the_page_says():
    """1.6 GiB more at rank 64 on 8 B than the table's 6 bytes a parameter."""
    ours = estimate(QWEN3_8B, CONFIG, 2048)
    assert ours.adapter == pytest.approx(2.60, abs=0.01)
    assert ours.total == pytest.approx(10.84, abs=0.05)


def test_components_add_up_and_each_grows_with_its_cause():
    """Rank moves the adapter alone, tokens the activations, 16-bit weights the weights alone."""
    plain = estimate(QWEN3_8B, CONFIG, 4096)
    parts = vars(plain)
    assert plain.total == pytest.approx(sum(parts.values()))

    def changed(other):
        return {key for key, value in vars(other).items() if value != parts[key]}

    assert changed(estimate(QWEN3_8B, replace(CONFIG, rank=128), 4096)) == {"adapter"}
    assert changed(estimate(QWEN3_8B, CONFIG, 2048)) == {"kept", "live", "loss"}
    assert changed(estimate(QWEN3_8B, CONFIG, 8192)) == {"kept", "live"}, "the loss is computed in tiles"
    assert changed(estimate(QWEN3_8B, CONFIG, 4096, load_in_4bit=False)) == {"weights", "dequantised"}


def test_without_checkpointing_all_layers_keep_their_activations():
    """At 2k tokens an 8 B model keeps 11 to 17 GiB more."""
    more = estimate(QWEN3_8B, replace(CONFIG, gradient_checkpointing=False), 2048).total
    assert 11 < more - estimate(QWEN3_8B, CONFIG, 2048).total < 17


def test_the_cure_names_what_can_still_be_changed():
    """The micro-batch while it is above one, checkpointing while it is off, and in the end a smaller model."""
    assert cure(CONFIG).startswith("lower micro_batch (it is 4); or lower rank")
    last = cure(TrainConfig(micro_batch=1, gradient_checkpointing=False))
    assert last.startswith("set gradient_checkpointing = true; or")
    assert cure(TrainConfig(micro_batch=1)) == "lower rank, ingest with smaller chunks, or take a smaller model"
