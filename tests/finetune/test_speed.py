"""Operations of a training step against the figures of the research page."""

import pytest

from kb.finetune.memory import ModelShape
from kb.finetune.speed import batch_flops, head_flops, token_flops

QWEN3_8B = ModelShape(36, 4096, 12288, 4096, 1024, 151936, False)


@pytest.mark.parametrize(
    ("shape", "checkpointing", "giga"),
    [
        (ModelShape(36, 2560, 9728, 4096, 1024, 151936, True), True, 26.9),
        (ModelShape(28, 3584, 18944, 3584, 512, 152064, False), True, 44.3),
        (QWEN3_8B, True, 48.1),
        (QWEN3_8B, False, 33.6),
        (ModelShape(40, 5120, 17408, 5120, 1024, 151936, False), True, 87.7),
    ],
)
def test_operations_for_a_token_are_those_of_the_published_table(shape, checkpointing, giga):
    """Qwen3-4B, Qwen2.5-7B, Qwen3-8B and Qwen3-14B at 2k tokens, frozen base."""
    trained = token_flops(shape, 2048, checkpointing) + head_flops(shape)
    assert trained / 1e9 == pytest.approx(giga, abs=0.05)


def test_full_fine_tuning_adds_the_gradient_of_every_weight():
    """Two operations for each parameter of the matrices and the head, and nothing for attention."""
    more = token_flops(QWEN3_8B, 2048, True, full=True) - token_flops(QWEN3_8B, 2048, True)
    assert more == 2 * QWEN3_8B.linear
    assert head_flops(QWEN3_8B, full=True) - head_flops(QWEN3_8B) == 2 * QWEN3_8B.vocabulary * QWEN3_8B.hidden


def test_a_batch_is_the_sum_of_its_tokens():
    """Rows count with their padded length, longer rows cost more a token, and only trained tokens have a head."""
    one, two = token_flops(QWEN3_8B, 100, False), token_flops(QWEN3_8B, 200, False)
    assert batch_flops(QWEN3_8B, [(4, 100), (1, 200)], 70, False) == 400 * one + 200 * two + 70 * head_flops(QWEN3_8B)
    assert two > one
