"""A reward model: TRL's RewardTrainer on the preference rows, measured on those of questions that it never saw."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from trl import RewardConfig, RewardTrainer

from kb.finetune.config import TrainConfig
from kb.finetune.data import PreferenceRow
from kb.finetune.dpo import dpo_example
from kb.finetune.model import scoring, training_dtype
from kb.finetune.training import fit, one_gpu, pair_order, shared_arguments
from kb.llm.four_bits import nf4
from kb.llm.weights import device_map


def held_out(rows: Sequence[PreferenceRow], share: float, seed: int) -> tuple[list[PreferenceRow], list[PreferenceRow]]:
    """The rows to train on, and those of a share of the questions, drawn by the seed: at least one of two or more
    questions, unless the share is 0, and never all. A question is on one side with all its rows.
    """
    questions = list(dict.fromkeys(row.messages for row in rows))
    count = min(max(round(share * len(questions)), 1), len(questions) - 1) if share else 0
    apart = set(random.Random(seed).sample(questions, count))
    return [row for row in rows if row.messages not in apart], [row for row in rows if row.messages in apart]


def train_reward(
    base: Path, load_in_4bit: bool, tokenizer: Any, rows: Sequence[PreferenceRow], config: TrainConfig, folder: Path
) -> dict[str, float]:
    """A LoRA adapter with a score head on the model in `base`, saved to `folder`/adapter: the last token's score of a
    question with its answer is higher the better the answer (Bradley-Terry, as in arXiv 2203.02155).

    The figures have the share of held-out pairs whose chosen answer scores higher. Raises KBError as `fit` does.
    """
    disable_progress_bar()
    trained, apart = held_out(rows, config.reward_held_out, config.seed)
    order, micro = pair_order(trained, config.reward_epochs, config)
    dtype = training_dtype(config.precision)
    arguments = RewardConfig(
        **shared_arguments(config, len(order), micro, config.reward_learning_rate, folder),
        # A mean over batches is one over pairs only where each batch is one pair.
        per_device_eval_batch_size=1,
        # TRL loads in fp32 what it loads by name, unless it is told otherwise.
        model_init_kwargs={"dtype": dtype, "device_map": device_map(), "local_files_only": True},
    )
    trainer = RewardTrainer(
        model=str(base),
        args=one_gpu(arguments),
        train_dataset=Dataset.from_list([dpo_example(row) for row in trained]).select(order),
        processing_class=tokenizer,
        quantization_config=nf4(dtype) if load_in_4bit else None,
        peft_config=scoring(config),
    )

    def accuracy() -> dict[str, float]:
        if not apart:
            return {}
        data = Dataset.from_list([dpo_example(row) for row in apart])
        found = trainer.evaluate(data)["eval_accuracy"]
        return {"held-out pairs": len(apart), "right of them": round(found, 4)}

    return fit(trainer, tokenizer, config, folder, len(rows), accuracy)
