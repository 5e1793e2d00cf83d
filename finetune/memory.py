"""How much memory a training run takes at its peak, by component, before any weight is loaded. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kb.finetune.cards import GIB

NF4_BYTES = 0.516
"""Of one weight in NF4: half a byte, and an 8-bit scale with double quantisation for each 64 weights."""
WEIGHT_BYTES, GRADIENT_BYTES = 4, 4
"""Of one trained parameter, in fp32."""
TRAINED_BYTES = WEIGHT_BYTES + GRADIENT_BYTES + 8
"""Of one trained parameter with AdamW, whose moments are two more numbers in fp32."""
CHECKPOINT_BYTES = 12
"""Of one trained parameter in a checkpoint: its weight and both moments in fp32."""
TRAINED_BYTES_8BIT = WEIGHT_BYTES + GRADIENT_BYTES + 2
"""The same with an optimiser that keeps its moments in 8 bits."""
OVERHEAD = 0.9 * GIB
"""CUDA's context and what the allocator cannot use."""
SLACK = 1.5
"""What autograd keeps beside the inputs and outputs of the matrices: norms, rotations, gates."""
TILE_TOKENS, TILE_VOCABULARY = 4096, 32768
"""TRL computes the loss in tiles of this size, of tokens that are trained, instead of one matrix of logits."""
LOSS_BYTES = 8
"""Of one logit of a tile, with its gradient."""
LOSS_BYTES_CPU = 36
"""The same without Triton: torch holds nine fp32 numbers for it when TRL's `_backward_tile` is at its widest."""
COMPARED_BYTES = 28
"""Of one logit that distillation compares over the whole vocabulary: seven fp32 numbers, which are both models' logits
and their logarithms of probabilities, the teacher's probability, the difference and the product (TRL 1.16,
`compute_divergence`)."""
SAFETY = 1.15
"""Factor under which an estimate is not taken for a fit: its error where nothing was measured."""


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
    def embeddings(self) -> int:
        """Parameters of the input and output embeddings."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def parameters(self) -> int:
        """All parameters but those of the norms, which are too few to count."""
        return self.linear + self.embeddings

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
class Step:
    """What a training step holds in memory beside the model itself."""

    tokens: int
    """Of the largest micro-batch, padding included."""
    checkpointing: bool
    trained: int
    """Parameters that are trained."""
    trained_bytes: int = TRAINED_BYTES
    """Of each of them, with gradient and optimiser state."""
    full: bool = False
    """Whether they are the model's own, which lie nowhere else then; else they come on top of it."""
    reference: int = 0
    """Parameters of a frozen copy in fp32, as DPO keeps one of the adapter."""
    load_in_4bit: bool = True
    compute_bytes: int = 2
    """Of a number in which the model computes: 2 in bf16, 4 in fp32."""
    cpu: bool = False
    """Whether it is computed by the CPU, where TRL's loss has no kernel of its own."""
    scored: int | None = None
    """Of its tokens, those that are trained: only they get logits; None: all."""
    read: int = 0
    """Tokens that a teacher reads at once without gradients, padding included."""
    compared: int = 0
    """Places at which distillation compares the models over the whole vocabulary; 0: the loss is computed in tiles."""
    cached: int = 0
    """Tokens whose keys and values are kept while answers are written."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Peak memory of a training step, in GiB by component."""

    weights: float
    """What is frozen: matrices in NF4 or the compute dtype, embeddings in the compute dtype."""
    trained: float
    """What is trained, with gradients and optimiser state, and DPO's reference copy."""
    kept: float
    """The input of each layer, kept for its recomputation; without checkpointing, everything that autograd keeps; and
    keys and values of answers that are being written."""
    live: float
    """Activations of the one layer that is being computed again, 0 without checkpointing; or of a teacher's layer."""
    cast: float
    """Weights in the compute dtype for the product at hand: of NF4 two matrices, of fp32 masters all of them."""
    loss: float
    """One tile of logits and its gradient; or all logits that distillation compares."""
    overhead: float

    @property
    def total(self) -> float:
        """GiB in all."""
        return self.weights + self.trained + self.working + self.overhead

    @property
    def working(self) -> float:
        """GiB that come and go with each micro-batch: what a measured step tells apart from the rest."""
        return self.kept + self.live + self.cast + self.loss

    def calibrated(self, ratio: float) -> MemoryEstimate:
        """The estimate with its working memory as a measured step on the same device has it."""
        return replace(
            self, kept=self.kept * ratio, live=self.live * ratio, cast=self.cast * ratio, loss=self.loss * ratio
        )


def estimate(shape: ModelShape, step: Step) -> MemoryEstimate:
    """The peak of a training step.

    With n matrix parameters, V x H embeddings, t trained and f reference parameters, L layers, T tokens of which S are
    trained, q and k the widths of queries and keys, I the feed-forward width and b bytes of the compute dtype:

        weights   0.516 n + b V H (twice where untied); b n instead of 0.516 n when not in 4 bit; 0 in full fine-tuning
        trained   t x (fp32 weight and gradient, 8; two moments, 8 or in 8 bits 2) + 4 f
        kept      b L T H                                   (L x `live` without checkpointing)
        live      1.5 b T (4H + 2q + 2k + 4I)
        cast      2 b H I in 4 bit; b n in full fine-tuning where b is not 4; else 0
        loss      8 min(S, 4096) min(V, 32768); 36 instead of 8 on a CPU

    Where a teacher reads R tokens, C places are compared and keys and values of K tokens are kept:

        kept      2 b L K k more
        live      b R (3H + 2q + 2k + 3I) at least
        loss      28 C V instead, where C is not 0

    From published measurements of bf16 and NF4 training on one card; 4 to 20% below those of Llama2-7B and Qwen-7B
    without tiles, hence `SAFETY`. Compared with CPUs in docs/measurements/memory.md, not yet with a GPU.
    """
    size, tokens = step.compute_bytes, step.tokens
    scored = tokens if step.scored is None else step.scored
    matrices = shape.linear * (NF4_BYTES if step.load_in_4bit else size)
    wide = 4 * shape.hidden + 2 * shape.queries + 2 * shape.keys + 4 * shape.feed_forward
    layer = SLACK * size * tokens * wide
    passing = size * step.read * (3 * shape.hidden + 2 * shape.queries + 2 * shape.keys + 3 * shape.feed_forward)
    cache = 2 * size * shape.layers * step.cached * shape.keys
    loss = (LOSS_BYTES_CPU if step.cpu else LOSS_BYTES) * min(scored, TILE_TOKENS)
    loss *= min(shape.vocabulary, TILE_VOCABULARY)
    if step.compared:
        loss = COMPARED_BYTES * step.compared * shape.vocabulary
    cast = 2 * size * shape.hidden * shape.feed_forward if step.load_in_4bit else 0
    if step.full:
        cast = size * shape.linear if size < WEIGHT_BYTES else 0
    return MemoryEstimate(
        weights=0.0 if step.full else (matrices + size * shape.embeddings) / GIB,
        trained=(step.trained_bytes * step.trained + WEIGHT_BYTES * step.reference) / GIB,
        kept=(cache + shape.layers * (size * tokens * shape.hidden if step.checkpointing else layer)) / GIB,
        live=max(layer if step.checkpointing else 0.0, passing) / GIB,
        cast=cast / GIB,
        loss=loss / GIB,
        overhead=OVERHEAD / GIB,
    )


def cure(micro: int, checkpointing: bool) -> str:
    """What to change under [train] when memory does not suffice, the cheapest first."""
    cures = [f"lower micro_batch (it is {micro})"] if micro > 1 else []
    cures += [] if checkpointing else ["set gradient_checkpointing = true"]
    return "; or ".join([*cures, "lower rank, ingest with smaller chunks, or take a smaller model"])
