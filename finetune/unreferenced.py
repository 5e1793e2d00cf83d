"""ORPO and SimPO, which need no reference model: trainers of TRL's experimental set, on the same pairs as DPO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

from kb.finetune.config import TrainConfig
from kb.finetune.data import PreferenceRow
from kb.finetune.stages import RATES
from kb.finetune.training import fit, one_gpu, pair_order, shared_arguments

WHOLE = 1 << 30
"""A limit that no row reaches: without one these two cut at 512 tokens."""


def plain_example(row: PreferenceRow, tokenizer: Any) -> dict[str, str]:
    """The row in TRL's plain preference form, each answer up to the token that ends it; thinking mode off.

    Of conversational rows these trainers end an answer twice: after the line break that follows a template's end.
    """
    asked = [asdict(message) for message in row.messages]
    prompt = _text(tokenizer, asked, add_generation_prompt=True)
    answers = {
        side: _text(tokenizer, [*asked, {"role": "assistant", "content": answer}])[len(prompt) :].rstrip()
        for side, answer in (("chosen", row.chosen), ("rejected", row.rejected))
    }
    return {"prompt": prompt, **answers}


def _text(tokenizer: Any, chat: list[dict[str, Any]], **options: bool) -> str:
    text: str = tokenizer.apply_chat_template(chat, tokenize=False, enable_thinking=False, **options)
    return text


def train_unreferenced(
    model: Any, tokenizer: Any, rows: Sequence[PreferenceRow], config: TrainConfig, folder: Path
) -> dict[str, float]:
    """ORPO (arXiv 2403.07691) or SimPO (arXiv 2405.14734), by the name of `folder`, from the adapter that `model`
    carries; saved to `folder`/adapter.

    TRL's ORPO takes the likelihood of the prompt into its loss, as the paper's own code does. Both make the whole
    matrix of logits, so they take more memory than DPO. Raises KBError as `fit` does.
    """
    disable_progress_bar()
    stage = folder.name
    order, micro = pair_order(rows, getattr(config, f"{stage}_epochs"), config)
    shared = shared_arguments(config, len(order), micro, getattr(config, RATES[stage]), folder)
    arguments, trainer = _kind(stage, config, shared | {"max_length": WHOLE, "remove_unused_columns": False})
    fitted = trainer(
        model=model,
        args=one_gpu(arguments),
        train_dataset=Dataset.from_list([plain_example(row, tokenizer) for row in rows]).select(order),
        processing_class=tokenizer,
    )
    return fit(fitted, tokenizer, config, folder, len(rows))


def _kind(stage: str, config: TrainConfig, shared: dict[str, Any]) -> tuple[Any, Any]:
    """The arguments and the trainer that TRL has for a stage."""
    if stage == "orpo":
        return ORPOConfig(**shared, beta=config.orpo_beta), ORPOTrainer
    simpo: dict[str, Any] = {
        "loss_type": "simpo",
        "cpo_alpha": 0.0,
        "beta": config.simpo_beta,
        "simpo_gamma": config.simpo_gamma,
    }
    return CPOConfig(**shared, **simpo), CPOTrainer
