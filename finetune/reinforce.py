"""GRPO and RLOO: TRL's trainers, rewarded by fact verification, from the adapter of the first stage and against it.

A resumed run ends with the same weights as an undisturbed one, bitwise on CPU: answers are sampled once an optimiser
step, at its beginning, from the random state that is in each checkpoint. With answers that are used for several steps
it would not, because they are in no checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from datasets import Dataset
from datasets.utils.logging import disable_progress_bar
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from kb.finetune.batches import question_order
from kb.finetune.config import TrainConfig
from kb.finetune.training import fit, micro_batch, one_gpu, shared_arguments
from kb.finetune.verified import AT_FIRST, AT_LAST, WRONG, VerifiedQuestion, reward
from kb.llm.closed import ANSWER_TOKENS
from kb.llm.local import PLAIN

KINDS = {"grpo": (GRPOConfig, GRPOTrainer), "rloo": (RLOOConfig, RLOOTrainer)}
"""Stage to the settings and the trainer that TRL has for it."""


def rl_example(question: VerifiedQuestion) -> dict[str, object]:
    """The question in TRL's conversational prompt form; the other columns reach the reward function."""
    return {
        "prompt": [asdict(message) for message in question.messages],
        "answer": question.answer,
        "answer_type": question.answer_type,
        "aliases": list(question.aliases),
    }


def fact_rewards(declining: float, limit: int) -> Callable[..., list[float]]:
    """The reward function for TRL: `reward` of each completion; one that has not ended within `limit` tokens is wrong,
    whatever it says, or the model would learn to go on and on.
    """

    def facts(
        completions: list[list[dict[str, str]]], completion_ids: list[list[int]],
        answer: list[str], answer_type: list[str], aliases: list[list[str]], **_: object,
    ) -> list[float]:  # fmt: skip
        rows = zip(completions, completion_ids, answer, answer_type, aliases, strict=True)
        return [
            reward(said[-1]["content"], right, kind, others, declining) if len(ids) < limit else WRONG
            for said, ids, right, kind, others in rows
        ]

    return facts


def train_verified(
    model: Any, tokenizer: Any, questions: Sequence[VerifiedQuestion], config: TrainConfig, folder: Path
) -> dict[str, float]:
    """GRPO (arXiv 2402.03300) or RLOO (arXiv 2402.14740), by the name of `folder`: each answer is compared with the
    others to its question, by TRL's own loss. Saved to `folder`/adapter.

    The KL divergence is from the adapter that `model` carries. Prompts are never cut, answers are as long as those of
    an evaluation. Raises KBError as `fit` does.
    """
    disable_progress_bar()
    stage = folder.name
    settings, trainer = KINDS[stage]
    rate, epochs, beta = (getattr(config, f"{stage}_{key}") for key in ("learning_rate", "epochs", "beta"))
    order = question_order(len(questions), epochs, config.batch_size // config.rl_samples, config.seed)
    shared = shared_arguments(config, len(order) * config.rl_samples, micro_batch(config), rate, folder)
    # A limit for rows that come with their answers: these trainers know none.
    del shared["max_length"]
    arguments = settings(
        **shared, beta=beta, num_generations=config.rl_samples, max_completion_length=ANSWER_TOKENS,
        shuffle_dataset=False, chat_template_kwargs={"enable_thinking": False},
        generation_kwargs={key: value for key, value in PLAIN.items() if value is not None},
    )  # fmt: skip
    fitted = trainer(
        model=model,
        reward_funcs=fact_rewards(config.rl_declining, ANSWER_TOKENS),
        args=one_gpu(arguments),
        train_dataset=Dataset.from_list([rl_example(question) for question in questions]).select(order),
        processing_class=tokenizer,
    )
    return fit(fitted, tokenizer, config, folder, len(questions), lambda: rewards(fitted.state.log_history))


def rewards(history: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Mean reward over the first and over the last quarter of what was logged: one step's questions say little."""
    logged = [entry["reward"] for entry in history if "reward" in entry]
    quarter = max(1, len(logged) // 4)
    return {AT_FIRST: round(fmean(logged[:quarter]), 3), AT_LAST: round(fmean(logged[-quarter:]), 3)}
