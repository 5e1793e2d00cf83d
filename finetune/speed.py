"""How many operations a training step takes. No torch here."""

from __future__ import annotations

from collections.abc import Iterable

from kb.finetune.memory import ModelShape


def token_flops(shape: ModelShape, length: int, checkpointing: bool, full: bool = False) -> float:
    """Operations for one token of a row of `length` tokens, forward and backward, without the head.

    With n parameters in the matrices, L layers, T tokens and q the width of the queries:

        matrices   4 n        2 forward, 2 for the gradient of the input; 2 more to compute them again with
                              checkpointing, and 2 more for the weights' own gradient in full fine-tuning
        attention  7 L T q    causal: 2 L T q forward, 2.5 times that backward (FlashAttention-2, arXiv 2307.08691);
                              9 L T q with checkpointing

    What the adapters add is left out: r (in + out) beside in x out, 1 to 4% at rank 64.
    """
    again, own = 2 * checkpointing, 2 * full
    attention = (7 + again) * shape.layers * length * shape.queries
    return (4 + again + own) * shape.linear + attention


def head_flops(shape: ModelShape, full: bool = False) -> float:
    """Operations for the logits of one token that is trained: 6 V H, of which 2 forward, 2 again in the backward pass
    and 2 for the gradient; 2 more in full fine-tuning. A token that is not trained has none.
    """
    return (6 + 2 * full) * shape.vocabulary * shape.hidden


def batch_flops(
    shape: ModelShape, batches: Iterable[tuple[int, int]], scored: int, checkpointing: bool, full: bool = False
) -> float:
    """Operations for micro-batches, given as rows and padded length of each, in which `scored` tokens are trained."""
    passed = sum(rows * length * token_flops(shape, length, checkpointing, full) for rows, length in batches)
    return passed + scored * head_flops(shape, full)
