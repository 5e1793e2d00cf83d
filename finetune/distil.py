"""Context distillation: TRL's SDFTTrainer; the model without passages learns to answer as it does with them.

The teacher is the same model with the adapter off, asked with passages; the student has the adapter on and none. Both
see the same answer, token by token, and the student's distribution is drawn to the teacher's (Snell et al. 2022, arXiv
2209.15189; Shenfeld et al. 2026, arXiv 2601.19897). Where both are asked the same, that is a KL term to the base.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import TrainerCallback
from trl.experimental.sdft import SDFTConfig, SDFTTrainer

from kb.finetune.batches import check_fits, prompt_text, training_order
from kb.finetune.config import TrainConfig
from kb.finetune.contexts import DistilRow
from kb.finetune.model import lora
from kb.finetune.rehearsal import Rehearsal
from kb.finetune.room import room_of
from kb.finetune.training import fit, micro_batch, one_gpu, saves_memory, shared_arguments
from kb.llm.local import PLAIN

log = logging.getLogger(__name__)


def train_distil(
    model: Any, tokenizer: Any, rows: Sequence[DistilRow], config: TrainConfig, folder: Path,
    rehearsal: Rehearsal | None = None,
) -> dict[str, float]:  # fmt: skip
    """Train an adapter and save it to `folder`/adapter; goes on from the last whole checkpoint there.

    The teacher writes its answers at every step, greedily; one that is cut off at `distil_tokens` teaches what it has.
    A `rehearsal` runs the largest step first, as far as its first micro-batch.
    Raises KBError as `fit` does, and when a prompt and its answer may not fit.
    """
    students = [prompt_text(row, row.messages, tokenizer) for row in rows]
    teachers = [prompt_text(row, row.teacher, tokenizer) for row in rows]
    lengths = [max(own, read) + config.distil_tokens for (_, own), (_, read) in zip(students, teachers, strict=True)]
    check_fits(rows, lengths, config.max_length or getattr(model.config, "max_position_embeddings", None) or 1 << 30)
    # The trainer drops what does not fill a step.
    steps = max(1, math.ceil(config.epochs_over(len(rows)) * len(rows) / config.batch_size))
    epochs = steps * config.batch_size / len(rows)
    # The trainer pads a whole step alike. By the teacher's lengths a step would hold what is asked of a few passages.
    order = training_order([own for _, own in students], epochs, config.batch_size, config.batch_size, config.seed)
    log.info(
        "distil: %d rows, %d steps, longest prompt %d tokens with passages and %d without",
        len(rows), steps, max(read for _, read in teachers), max(own for _, own in students),
    )  # fmt: skip
    data = Dataset.from_dict(
        {"prompt": [text for text, _ in students], "privileged_context": [text for text, _ in teachers]}
    )
    trainer = SDFTTrainer(
        model=model,
        args=one_gpu(_arguments(config, len(order), folder)),
        train_dataset=data.select(order),
        processing_class=tokenizer,
        peft_config=lora(config),
        callbacks=[TeacherWrites()],
    )
    if rehearsal:
        rehearsal.watch(trainer, room_of(folder, micro_batch(config), saves_memory(config)))
    return fit(trainer, tokenizer, config, folder, len(rows))


class TeacherWrites(TrainerCallback):  # type: ignore[misc]
    """Switches the adapter off while answers are written.

    TRL asks the model as the teacher is asked, but leaves the adapter on: as soon as training upsets the reading, the
    answers that are learnt from are wrong.
    """

    def __init__(self) -> None:
        self._off = ExitStack()

    def on_generation_prompts_selected(self, args: Any, state: Any, control: Any, model: Any, **_: Any) -> None:
        """Answers are about to be written."""
        self._off.enter_context(model.disable_adapter())

    def on_self_distillation_batch_prepared(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """They are written, and the adapter learns from them."""
        self._off.close()


def _arguments(config: TrainConfig, rows: int, folder: Path) -> SDFTConfig:
    """The divergence is over the whole vocabulary: TRL's top k are the student's, and what it does not know yet is not
    among them.
    """
    shared = shared_arguments(config, rows, micro_batch(config), config.learning_rate, folder)
    del shared["max_length"]
    arguments = SDFTConfig(
        **shared,
        teacher_model_kind="base", generate_from_teacher=True,
        distillation_mode="full_logits", distillation_alpha=config.distil_alpha,
        max_prompt_length=None, max_completion_length=config.distil_tokens, num_generations=1,
        generation_kwargs={"do_sample": False} | PLAIN, shuffle_dataset=False,
    )  # fmt: skip
    # Set afterwards: the constructor wants the student's prompt inside the teacher's, and kb's prompts for reading and
    # for answering without passages have each their own system message.
    arguments.teacher_prompt_template = "{privileged_context}"
    return arguments
