"""Kahneman-Tversky optimisation: TRL's KTOTrainer on single right and wrong answers, from the adapter of the first
stage and against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from trl import KTOConfig, KTOTrainer

from kb.finetune.batches import unpaired_order
from kb.finetune.config import TrainConfig
from kb.finetune.data import LabelledRow
from kb.finetune.training import fit, micro_batch, one_gpu, shared_arguments


def kto_example(row: LabelledRow) -> dict[str, object]:
    """The row in TRL's conversational unpaired form; thinking mode off where the template has one."""
    return {
        "prompt": [asdict(message) for message in row.messages],
        "completion": [{"role": "assistant", "content": row.answer}],
        "label": row.label,
        "chat_template_kwargs": {"enable_thinking": False},
    }


def label_weights(rows: Sequence[LabelledRow]) -> tuple[float, float]:
    """Weights of right and of wrong rows with which both kinds count alike in all (KTO, arXiv 2402.01306, equation 8);
    the more frequent kind has 1. (1, 1) where one kind is missing.
    """
    right = sum(row.label for row in rows)
    wrong = len(rows) - right
    if not right or not wrong:
        return 1.0, 1.0
    return max(1.0, wrong / right), max(1.0, right / wrong)


def train_kto(
    model: Any, tokenizer: Any, rows: Sequence[LabelledRow], config: TrainConfig, folder: Path
) -> dict[str, float]:
    """KTO from the adapter that `model` carries, which is also the reference; saved to `folder`/adapter.

    At least two rows are in memory at once: of one alone the KL term would be its own reward. Raises KBError as `fit`
    does.
    """
    disable_progress_bar()
    micro = micro_batch(replace(config, micro_batch=max(2, config.micro_batch)))
    order = unpaired_order(rows, config.kto_epochs, micro, config.seed)
    right, wrong = label_weights(rows)
    arguments = KTOConfig(
        **shared_arguments(config, len(order), micro, config.kto_learning_rate, folder),
        beta=config.kto_beta,
        desirable_weight=right,
        undesirable_weight=wrong,
    )
    trainer = KTOTrainer(
        model=model,
        args=one_gpu(arguments),
        train_dataset=Dataset.from_list([kto_example(row) for row in rows]).select(order),
        processing_class=tokenizer,
    )
    return fit(trainer, tokenizer, config, folder, len(rows))
