"""Direct preference optimisation: TRL's DPOTrainer, from the SFT adapter and against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from trl import DPOConfig, DPOTrainer

from kb.finetune.config import TrainConfig
from kb.finetune.data import PreferenceRow
from kb.finetune.training import fit, one_gpu, pair_order, shared_arguments


def dpo_example(row: PreferenceRow) -> dict[str, object]:
    """The row in TRL's conversational preference form; thinking mode off where the template has one."""
    return {
        "prompt": [asdict(message) for message in row.messages],
        "chosen": [{"role": "assistant", "content": row.chosen}],
        "rejected": [{"role": "assistant", "content": row.rejected}],
        "chat_template_kwargs": {"enable_thinking": False},
    }


def train_dpo(
    model: Any, tokenizer: Any, rows: Sequence[PreferenceRow], config: TrainConfig, folder: Path
) -> dict[str, float]:
    """DPO from the SFT adapter that `model` carries, which is also the reference; saved to `folder`/adapter.

    The likelihood of the chosen answer is part of the loss, against the collapse of its probability. Raises KBError as
    `fit` does.
    """
    disable_progress_bar()
    order, micro = pair_order(rows, config.dpo_epochs, config)
    arguments = DPOConfig(
        **shared_arguments(config, len(order), micro, config.dpo_learning_rate, folder),
        beta=config.dpo_beta,
        loss_type=["sigmoid", "sft"],
        loss_weights=[1.0, config.dpo_sft_weight],
    )
    trainer = DPOTrainer(
        model=model,
        args=one_gpu(arguments),
        train_dataset=Dataset.from_list([dpo_example(row) for row in rows]).select(order),
        processing_class=tokenizer,
    )
    return fit(trainer, tokenizer, config, folder, len(rows))
