"""Supervised fine-tuning: TRL's SFTTrainer on tokenised rows, loss on the answers alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from kb.finetune.batches import Example, training_order
from kb.finetune.config import TrainConfig
from kb.finetune.model import adapter_config
from kb.finetune.processes import missing
from kb.finetune.rehearsal import Rehearsal
from kb.finetune.room import room_of
from kb.finetune.training import fit, micro_batch, one_gpu, saves_memory, shared_arguments


def train_sft(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    config: TrainConfig,
    folder: Path,
    rehearsal: Rehearsal | None = None,
) -> dict[str, float]:
    """Train an adapter and save it to `folder`/adapter; goes on from the last whole checkpoint there.

    A `rehearsal` runs the largest micro-batch first. Raises KBError as `fit` does.
    """
    lengths = [len(example.input_ids) for example in examples]
    order = training_order(
        lengths, config.epochs_over(len(lengths)), config.batch_size, micro_batch(config), config.seed
    )
    arguments = SFTConfig(
        **shared_arguments(config, len(order), micro_batch(config), config.learning_rate, folder),
        packing=False,
        neftune_noise_alpha=config.neftune or None,
    )
    # What fills up the last round is a row of which nothing is trained.
    blank = Example(examples[0].input_ids, 0)
    order += [len(examples)] * missing(len(order), arguments.per_device_train_batch_size)
    rows = Dataset.from_list(
        [{"input_ids": list(one.input_ids), "labels": list(one.labels)} for one in (*examples, blank)]
    )
    trainer = SFTTrainer(
        model=model,
        args=one_gpu(arguments),
        train_dataset=rows.select(order),
        processing_class=tokenizer,
        peft_config=adapter_config(config),
    )
    if rehearsal:
        rehearsal.watch(trainer, room_of(folder, micro_batch(config), saves_memory(config)))
    return fit(trainer, tokenizer, config, folder, len(examples))
