"""The memory estimate against the published table, and what it says of other settings."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from kb.finetune.memory import TRAINED_BYTES_8BIT, ModelShape, Step, cure, estimate, model_shape

QWEN3_8B = ModelShape(36, 4096, 12288, 4096, 1024, 151936, False)
QWEN3_14B = ModelShape(40, 5120, 17408, 5120, 1024, 151936, False)
QWEN3_4B = ModelShape(36, 2560, 9728, 4096, 1024, 151936, True)


def qlora(shape, tokens, rank=64, **others):
    """A step of QLoRA with gradient checkpointing."""
    return Step(tokens, True, shape.adapter(rank), **others)


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
    steps = [qlora(shape, tokens, trained_bytes=TABLE_BYTES) for tokens in (2048, 4096, 8192, 16384)]
    totals = [estimate(shape, step).total for step in steps]
    assert totals == pytest.approx(gib, rel=0.02)


def test_fp32_adapters_and_optimiser_cost_what_the_page_says():
    """1.6 GiB more at rank 64 on 8 B than the table's 6 bytes a parameter."""
    ours = estimate(QWEN3_8B, qlora(QWEN3_8B, 2048))
    assert ours.trained == pytest.approx(2.60, abs=0.01)
    assert ours.total == pytest.approx(10.84, abs=0.05)


def test_components_add_up_and_each_grows_with_its_cause():
    """Rank moves the adapter alone, tokens the activations, 16-bit weights the weights alone."""
    step = qlora(QWEN3_8B, 4096)
    plain = estimate(QWEN3_8B, step)
    parts = vars(plain)
    assert plain.total == pytest.approx(sum(parts.values()))

    def changed(other):
        return {key for key, value in vars(estimate(QWEN3_8B, other)).items() if value != parts[key]}

    assert changed(qlora(QWEN3_8B, 4096, rank=128)) == {"trained"}
    assert changed(replace(step, reference=1000)) == {"trained"}, "DPO's copy of the adapter"
    assert changed(replace(step, tokens=2048)) == {"kept", "live", "loss"}
    assert changed(replace(step, tokens=8192)) == {"kept", "live"}, "the loss is computed in tiles"
    assert changed(replace(step, load_in_4bit=False)) == {"weights", "cast"}


def test_a_real_step_corrects_what_comes_and_goes_and_not_the_weights():
    """Half as much working memory again, as measured; what lies in memory all the time stays."""
    plain = estimate(QWEN3_8B, qlora(QWEN3_8B, 4096))
    corrected = plain.calibrated(1.5)
    assert corrected.working == pytest.approx(1.5 * plain.working)
    assert corrected.total - plain.total == pytest.approx(0.5 * plain.working)


def test_without_checkpointing_all_layers_keep_their_activations():
    """At 2k tokens an 8 B model keeps 11 to 17 GiB more."""
    step = qlora(QWEN3_8B, 2048)
    more = estimate(QWEN3_8B, replace(step, checkpointing=False)).total
    assert 11 < more - estimate(QWEN3_8B, step).total < 17


def test_distillation_compares_whole_logits_and_its_teacher_passes_by():
    """28 bytes a logit in place of the tiles; a teacher that reads much counts by its layer, an answer by its cache."""
    step = qlora(QWEN3_8B, 4096)
    plain, compared = (estimate(QWEN3_8B, one) for one in (step, replace(step, compared=512)))
    assert compared.loss == 28 * 512 * 151936 / (1 << 30)
    assert estimate(QWEN3_8B, replace(step, read=1024)).live == plain.live
    assert estimate(QWEN3_8B, replace(step, read=16384)).live > plain.live
    writing = estimate(QWEN3_8B, replace(step, tokens=0, cached=16384))
    assert writing.kept == 2 * 2 * 36 * 1024 * 16384 / (1 << 30)
    assert writing.loss == 0


def test_full_fine_tuning_holds_every_parameter_with_gradient_and_moments():
    """16 bytes each in place of the frozen weights, and a bf16 copy to compute with; 8-bit moments save six of them."""
    count = QWEN3_4B.parameters
    full = Step(2048, True, count, full=True, load_in_4bit=False)
    made = estimate(QWEN3_4B, full)
    assert (made.weights, made.trained) == (0.0, 16 * count / (1 << 30))
    assert made.cast == 2 * QWEN3_4B.linear / (1 << 30)
    assert estimate(QWEN3_4B, replace(full, compute_bytes=4)).cast == 0.0
    assert estimate(QWEN3_4B, replace(full, trained_bytes=TRAINED_BYTES_8BIT)).trained == 10 * count / (1 << 30)


def test_the_cure_names_what_can_still_be_changed():
    """The micro-batch while it is above one, checkpointing while it is off, and in the end a smaller model."""
    assert cure(4, True).startswith("lower micro_batch (it is 4); or lower rank")
    assert cure(1, False).startswith("set gradient_checkpointing = true; or")
    assert cure(1, True) == "lower rank, ingest with smaller chunks, or take a smaller model"
