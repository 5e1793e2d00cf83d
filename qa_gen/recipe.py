"""What `kb train` would train, for the ready configs of other trainers: the model, and how; no tool's form yet."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb.llm.base import ModelConfig
from kb.llm.open import is_local, local_folder

LONGEST = 32768
"""Tokens that no row is longer than, where the model does not say how many it takes."""


@dataclass(frozen=True)
class Training:
    """The settings of `[train]` that other trainers have as well; what each decides stands in kb.finetune.config."""

    seed: int
    rank: int
    alpha: int
    learning_rate: float
    epochs: float
    max_steps: int
    batch_size: int
    micro_batch: int
    """Divides `batch_size`."""
    warmup: float
    weight_decay: float
    gradient_checkpointing: bool
    max_length: int
    checkpoints: int
    dpo_learning_rate: float
    dpo_epochs: float
    dpo_beta: float
    dpo_sft_weight: float


@dataclass(frozen=True)
class Recipe:
    """A model and how it is trained, by SFT and then by DPO."""

    model: str
    """Hub id or folder."""
    family: str
    """`model_type` of its config.json; empty where it is not on this disk."""
    chat_template: str
    """Jinja; empty where it is not on this disk."""
    context: int
    """Most tokens of a row: none is longer, and a tool must not cut any."""
    four_bit: bool
    training: Training

    @property
    def thinks(self) -> bool:
        """Whether the chat template has a thinking mode, which kb switches off."""
        return "enable_thinking" in self.chat_template

    @property
    def accumulation(self) -> int:
        """Micro-batches behind one optimiser step."""
        return self.training.batch_size // self.training.micro_batch

    @property
    def long(self) -> dict[str, float | int]:
        """How long SFT goes on."""
        steps = self.training.max_steps
        return {"max_steps": steps} if steps else {"num_train_epochs": self.training.epochs}


def recipe(model: ModelConfig, training: Training) -> Recipe | None:
    """The recipe for a model; None for one that cannot be trained.

    Raises ModelUnavailable for a name that cannot be a model's. One that is not on this disk is told by its name alone.
    """
    if not is_local(model.name):
        return None
    folder = local_folder(model.name)
    place = str(folder.resolve()) if folder and (model.name == "lab" or Path(model.name).expanduser().exists()) else ""
    config = _read(folder / "config.json") if folder else {}
    text = config.get("text_config", config)
    context = training.max_length or text.get("max_position_embeddings") or LONGEST
    return Recipe(
        place or model.name, str(text.get("model_type", "")), _chat_template(folder) if folder else "",
        min(int(context), LONGEST), model.load_in_4bit, training,
    )  # fmt: skip


def _chat_template(folder: Path) -> str:
    file = folder / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8")
    kept = _read(folder / "tokenizer_config.json").get("chat_template", "")
    return kept if isinstance(kept, str) else json.dumps(kept)


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found
