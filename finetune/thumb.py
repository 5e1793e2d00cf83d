"""Rules of thumb: what sizes of model take in full fine-tuning, LoRA and QLoRA, and which cards have room for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kb.finetune.cards import CARDS
from kb.finetune.memory import SAFETY, TRAINED_BYTES_8BIT, ModelShape, Step, estimate

MODELS = {
    "1 B": ModelShape(16, 2048, 8192, 2048, 512, 128256, True),
    "3 B": ModelShape(36, 2048, 11008, 2048, 256, 151936, True),
    "4 B": ModelShape(36, 2560, 9728, 4096, 1024, 151936, True),
    "7 B": ModelShape(28, 3584, 18944, 3584, 512, 152064, False),
    "8 B": ModelShape(36, 4096, 12288, 4096, 1024, 151936, False),
    "14 B": ModelShape(40, 5120, 17408, 5120, 1024, 151936, False),
    "32 B": ModelShape(64, 5120, 25600, 8192, 1024, 151936, False),
}
"""Shapes from the config.json of Llama-3.2-1B, Qwen2.5-3B, Qwen3-4B, Qwen2.5-7B, Qwen3-8B, Qwen3-14B and Qwen3-32B."""
CLASSES = {"24 GB": "4090", "48 GB": "l40s-48", "80 GB": "a100-80"}
"""Sizes of card, and the one of the table with least memory of that size."""
LENGTH = 2048
"""Tokens in memory at once."""


@dataclass(frozen=True)
class Rule:
    """One way to train one size of model."""

    model: str
    way: str
    gib: float
    """Estimated peak with one row of `LENGTH` tokens in bf16 and gradient checkpointing."""
    fits: tuple[str, ...]
    """Sizes of card that it fits with the estimate's margin."""


def rules(rank: int) -> tuple[Rule, ...]:
    """Every way for every size; LoRA at this rank on all matrices, AdamW in fp32 unless it says otherwise."""
    return tuple(rule for name, shape in MODELS.items() for rule in _rules(name, shape, rank))


def _rules(name: str, shape: ModelShape, rank: int) -> list[Rule]:
    ways = {
        "full": Step(LENGTH, True, shape.parameters, full=True),
        "full, 8-bit AdamW": Step(LENGTH, True, shape.parameters, TRAINED_BYTES_8BIT, full=True),
        f"LoRA r {rank}": Step(LENGTH, True, shape.adapter(rank), load_in_4bit=False),
        f"QLoRA r {rank}": Step(LENGTH, True, shape.adapter(rank)),
    }
    found = {way: estimate(shape, step).total for way, step in ways.items()}
    return [Rule(name, way, gib, tuple(s for s, c in CLASSES.items() if fits(gib, c))) for way, gib in found.items()]


def fits(gib: float, card: str) -> bool:
    """Whether so much, with the estimate's margin, goes on a card of the table."""
    return gib * SAFETY <= CARDS[card].gib


def table(made: Sequence[Rule]) -> list[str]:
    """The rules as aligned lines, nothing where there are none."""
    if not made:
        return []
    width = max(len(rule.way) for rule in made)
    lines = [f"rules of thumb, estimated for {LENGTH} tokens in memory at once with gradient checkpointing:"]
    for rule in made:
        room = f"fits {', '.join(rule.fits)}" if rule.fits else "more than 80 GB"
        lines.append(f"  {rule.model:>5}  {rule.way:<{width}}  {rule.gib:>6.1f} GiB  {room}")
    return lines
