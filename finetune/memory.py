"""How much memory a training run takes at its peak, by component, before any weight is loaded. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kb.finetune.config import TrainConfig

GIB = 1 << 30
NF4_BYTES = 0.516
"""Of one weight in NF4: half a byte, and an 8-bit scale with double quantisation for each 64 weights."""
TRAINED_BYTES = 16
"""Of one adapter parameter: weight, gradient and both of AdamW's moments in fp32."""
OVERHEAD = 0.9 * GIB
"""CUDA's context and what the allocator cannot use."""
SLACK = 1.5
"""What autograd keeps beside the inputs and outputs of the matrices: norms, rotations, gates."""
TILE_TOKENS, TILE_VOCABULARY = 4096, 32768
"""TRL computes the loss in tiles of this size instead of one matrix of logits."""
SAFETY = 1.15
"""Factor under which an estimate is not taken for a fit."""


@dataclass(frozen=True)
class ModelShape:
    """What of a decoder's configuration decides its memory."""

    layers: int
    hidden: int
    feed_forward: int
    queries: int
    """Width of all query heads together."""
    keys: int
    """Width of all key heads together; the values' is the same."""
    vocabulary: int
    tied: bool
    """Whether input and output embeddings are one matrix."""

    @property
    def linear(self) -> int:
        """Parameters of the matrices in all layers: what is quantised, and what gets an adapter."""
        attention = 2 * self.hidden * (self.queries + self.keys)
        return self.layers * (attention + 3 * self.hidden * self.feed_forward)

    def adapter(self, rank: int) -> int:
        """Parameters of LoRA at this rank on all of them."""
        attention = 4 * self.hidden + 2 * (self.queries + self.keys)
        return self.layers * rank * (attention + 3 * (self.hidden + self.feed_forward))


def model_shape(config: Any) -> ModelShape | None:
    """The shape in a transformers configuration; None for one that is no plain gated decoder (experts, say)."""
    wanted = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "vocab_size")
    experts = any(getattr(config, name, None) for name in ("num_experts", "num_local_experts", "n_routed_experts"))
    if experts or not all(isinstance(getattr(config, name, None), int) for name in wanted):
        return None
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    return ModelShape(
        config.num_hidden_layers, config.hidden_size, config.intermediate_size, heads * width,
        (getattr(config, "num_key_value_heads", None) or heads) * width, config.vocab_size,
        bool(getattr(config, "tie_word_embeddings", False)),
    )  # fmt: skip


@dataclass(frozen=True)
class MemoryEstimate:
    """Peak memory of a training step, in GiB by component."""

    weights: float
    """The base: matrices in NF4, embeddings in the compute dtype."""
    adapter: float
    """LoRA weights with gradients and optimiser state."""
    kept: float
    """The input of each layer, kept for its recomputation; without checkpointing, everything that autograd keeps."""
    live: float
    """Activations of the one layer that is being computed again; 0 without checkpointing."""
    dequantised: float
    """Matrices that are back in the compute dtype for the product at hand."""
    loss: float
    """One tile of logits and its gradient."""
    overhead: float

    @property
    def total(self) -> float:
        """GiB in all."""
        parts = (self.weights, self.adapter, self.kept, self.live, self.dequantised, self.loss, self.overhead)
        return sum(parts)


def estimate(
    shape: ModelShape,
    config: TrainConfig,
    tokens: int,
    load_in_4bit: bool = True,
    compute_bytes: int = 2,
    trained_bytes: int = TRAINED_BYTES,
) -> MemoryEstimate:
    """The peak for micro-batches of at most `tokens` tokens, padding included.

    With n matrix parameters, V x H embeddings, LoRA parameters a, L layers, T tokens, q and k the widths of queries and
    keys, I the feed-forward width and b bytes of the compute dtype:

        weights      0.516 n + b V H (twice where untied)      (b n instead of 0.516 n when not in 4 bit)
        adapter      16 a                                       fp32 weight, gradient, two moments
        kept         b L T H                                    (L x `live` without checkpointing)
        live         1.5 b T (4H + 2q + 2k + 4I)
        dequantised  2 b H I
        loss         8 min(T, 4096) min(V, 32768)

    From published measurements of bf16 and NF4 training on one card; 4 to 20% below those of Llama2-7B and Qwen-7B
    without tiles, hence `SAFETY`. Not yet compared with a GPU by this project.
    """
    matrices = shape.linear * (NF4_BYTES if load_in_4bit else compute_bytes)
    embeddings = compute_bytes * shape.vocabulary * shape.hidden * (1 if shape.tied else 2)
    wide = 4 * shape.hidden + 2 * shape.queries + 2 * shape.keys + 4 * shape.feed_forward
    layer = SLACK * compute_bytes * tokens * wide
    saving = config.gradient_checkpointing
    return MemoryEstimate(
        weights=(matrices + embeddings) / GIB,
        adapter=trained_bytes * shape.adapter(config.rank) / GIB,
        kept=shape.layers * (compute_bytes * tokens * shape.hidden if saving else layer) / GIB,
        live=layer / GIB if saving else 0.0,
        dequantised=2 * compute_bytes * shape.hidden * shape.feed_forward / GIB if load_in_4bit else 0.0,
        loss=8 * min(tokens, TILE_TOKENS) * min(shape.vocabulary, TILE_VOCABULARY) / GIB,
        overhead=OVERHEAD / GIB,
    )


def cure(config: TrainConfig) -> str:
    """What to change under [train] when memory does not suffice, the cheapest first."""
    cures = [f"lower micro_batch (it is {config.micro_batch})"] if config.micro_batch > 1 else []
    cures += [] if config.gradient_checkpointing else ["set gradient_checkpointing = true"]
    return "; or ".join([*cures, "lower rank, ingest with smaller chunks, or take a smaller model"])
