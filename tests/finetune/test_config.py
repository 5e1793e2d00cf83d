"""The settings of a training run, and the ones that cannot mean anything."""

from dataclasses import replace

import pytest

from kb.config import Settings
from kb.errors import ConfigError
from kb.finetune.batches import training_order
from kb.finetune.config import TrainConfig


def test_the_defaults_are_those_for_knowledge_not_those_of_tutorials():
    """All of rank 64, alpha twice it, 2e-4, three epochs, a fifth of replay, DPO above TRL's full-training rate."""
    config = TrainConfig()
    assert (config.rank, config.alpha, config.learning_rate, config.epochs) == (64, 128, 2e-4, 3.0)
    assert (config.replay_share, config.dpo_learning_rate, config.dpo_sft_weight) == (0.2, 5e-6, 0.2)
    assert config.stages == ("sft", "dpo")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rank", 0), ("learning_rate", 0.0), ("learning_rate", float("nan")), ("epochs", -1.0), ("batch_size", 0),
        ("micro_batch", 0), ("checkpoints", 0), ("dpo_beta", 0.0), ("weight_decay", -0.1), ("seed", -1),
        ("replay_share", 1.0), ("reading_share", 1.1), ("warmup", -0.1), ("dpo_swap_share", float("nan")),
        ("name", "a/b"), ("name", ".."), ("stages", ("dpo",)), ("stages", ("dpo", "sft")), ("stages", ()),
        ("stages", ("sft", "kto")), ("stages", ("sft", "distil")), ("distil_alpha", 1.5), ("distil_tokens", 0),
    ],
)  # fmt: skip
def test_a_value_without_a_meaning_is_named(key, value):
    """Each is refused when the settings are read, with its key in the message."""
    with pytest.raises(ConfigError, match=rf"\[train\] {key}: "):
        Settings(values={"train": {key: value}}).resolve(TrainConfig, "train")


def test_steps_take_the_place_of_epochs():
    """As many rows as the steps need, whatever there is; a negative number means nothing."""
    config = TrainConfig(epochs=2.0, batch_size=8)
    assert config.epochs_over(100) == 2.0
    assert replace(config, max_steps=50).epochs_over(100) == 4.0
    assert len(training_order([5] * 100, replace(config, max_steps=50).epochs_over(100), 8, 4, 0)) == 400
