"""The `[train]` section of kb.toml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kb.errors import ConfigError

STAGES = ("sft", "dpo")


@dataclass(frozen=True)
class TrainConfig:
    """What decides a training run. Defaults are for a 4 to 8 B model on one 24 GB card.

    Raises ConfigError when a value cannot mean anything.
    """

    stages: tuple[str, ...] = STAGES
    """`sft`, then `dpo`; DPO sharpens what SFT has taught and teaches nothing new."""
    name: str = ""
    """Name of the run; empty: made from a hash of data, settings and base model."""
    seed: int = 0
    rank: int = 64
    """LoRA rank; recall needs capacity above the information in the data."""
    alpha: int = 128
    """LoRA alpha, usually twice the rank."""
    learning_rate: float = 2e-4
    epochs: float = 3.0
    max_steps: int = 0
    """Optimiser steps of SFT, however many rows there are; 0: by `epochs`."""
    batch_size: int = 16
    """Rows behind one optimiser step."""
    micro_batch: int = 0
    """Most rows in memory at once; the largest divisor of `batch_size` that is not above it is taken. 0: as many as
    fit."""
    warmup: float = 0.03
    """Share of the steps."""
    weight_decay: float = 0.01
    gradient_checkpointing: Literal["auto", True, False] = "auto"
    """Compute activations again instead of keeping them: a third slower, far smaller. `auto`: where they do not fit."""
    max_length: int = 0
    """Tokens of the longest row allowed; 0: the model's context. A longer row is an error, never cut."""
    checkpoints: int = 10
    """Checkpoints written per stage; a killed run goes on from the last."""
    wordings: int = 0
    """Most training wordings of a fact that are trained, in each form; 0: all."""
    full_sentence_rows: bool = True
    """Also train answers in full sentences, under their own prompt."""
    prose: bool = True
    """Also train the texts of `kb generate-qa` that tell the documents in other words."""
    reading_share: float = 0.2
    """Facts that also get a row with retrieved passages in the prompt, so that the model keeps reading them."""
    reading_wordings: int = 1
    """Most trained wordings of such a fact that get a row with passages; 0: all."""
    replay: str = "auto"
    """JSONL of chats (`messages`) mixed in against forgetting; `auto`: the model's own if it ships one; `none`."""
    replay_share: float = 0.2
    """Share of all rows; less when the file has fewer."""
    dpo_learning_rate: float = 5e-6
    dpo_epochs: float = 1.0
    dpo_beta: float = 0.1
    dpo_sft_weight: float = 0.2
    """Weight of the likelihood term on the chosen answer, which keeps its probability from collapsing."""
    dpo_samples: int = 4
    """Closed-book answers sampled per question from the tuned model, to find its own right and wrong ones."""
    dpo_base_samples: int = 2
    """The same of the model as it was before training, where the tuned one is never wrong: what the base says wrongly
    is the rejected answer then; 0: none.
    """
    dpo_swap_share: float = 0.3
    """Most of the preference rows that may have a wrong answer taken from another fact."""
    dpo_refusal_share: float = 0.5
    """Most of the preference rows that may prefer declining over answering a near miss: of such rows alone a model
    learns to decline everything."""
    dpo_least: int = 8
    """With fewer preference rows the DPO stage is left out, and the report says so."""

    def __post_init__(self) -> None:
        if self.stages not in (("sft",), STAGES):
            raise ConfigError(f'[train] stages: expected ["sft"] or ["sft", "dpo"], got {list(self.stages)}')
        if self.name and (self.name.startswith(".") or any(letter in self.name for letter in "/\\\0")):
            raise ConfigError(f"[train] name: {self.name!r} cannot be the name of a folder")
        for key in POSITIVE:
            if not getattr(self, key) > 0:
                raise ConfigError(f"[train] {key}: expected more than 0, got {getattr(self, key)}")
        for key in NOT_NEGATIVE:
            if not getattr(self, key) >= 0:
                raise ConfigError(f"[train] {key}: expected 0 or more, got {getattr(self, key)}")
        for key, most in SHARES.items():
            if not 0 <= getattr(self, key) <= most:
                raise ConfigError(f"[train] {key}: expected a share from 0 to {most}, got {getattr(self, key)}")

    def epochs_over(self, rows: int) -> float:
        """How often SFT goes through this many rows."""
        return self.max_steps * self.batch_size / rows if self.max_steps else self.epochs


POSITIVE = (
    "rank", "alpha", "learning_rate", "epochs", "batch_size", "checkpoints", "dpo_learning_rate",
    "dpo_epochs", "dpo_beta", "dpo_samples",
)  # fmt: skip
NOT_NEGATIVE = (
    "seed", "max_steps", "weight_decay", "micro_batch", "max_length", "wordings", "reading_wordings", "dpo_sft_weight",
    "dpo_least", "dpo_base_samples",
)  # fmt: skip
SHARES = {
    "warmup": 0.9,
    "reading_share": 1,
    "replay_share": 0.9,
    "dpo_swap_share": 1,
    "dpo_refusal_share": 1,
}
"""Shares and the most that each may be; without any row or step of another kind the training would have no sense."""
