"""The settings of a training run, and the ones that cannot mean anything."""

from dataclasses import replace

import pytest

from kb.config import Settings
from kb.errors import ConfigError, UsageError
from kb.finetune.batches import training_order
from kb.finetune.config import TrainConfig


def test_the_defaults_are_those_for_knowledge_not_those_of_tutorials():
    """LoRA of rank and alpha 64, 2e-4, three epochs, a fifth of replay, DPO above TRL's full-training rate."""
    config = TrainConfig()
    assert (config.tuning, config.rank, config.alpha, config.learning_rate) == ("lora", 64, 64, 2e-4)
    assert (config.epochs, config.optimizer, config.schedule) == (3.0, "adamw", "cosine")
    assert (config.replay_share, config.dpo_learning_rate, config.dpo_sft_weight) == (0.2, 5e-6, 0.2)
    assert config.stages == ("sft", "dpo")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rank", 0), ("learning_rate", 0.0), ("learning_rate", float("nan")), ("epochs", -1.0), ("batch_size", 0),
        ("micro_batch", -1), ("checkpoints", 0), ("dpo_beta", 0.0), ("weight_decay", -0.1), ("seed", -1),
        ("replay_share", 1.0), ("reading_share", 1.1), ("warmup", -0.1), ("dpo_swap_share", float("nan")),
        ("name", "a/b"), ("name", ".."), ("stages", ("dpo",)), ("stages", ("dpo", "sft")), ("stages", ()),
        ("stages", ("sft", "dpo", "kto")), ("stages", ("sft", "reward", "dpo")), ("stages", ("reward",)),
        ("stages", ("sft", "distil")), ("decay", 1.1), ("lora_plus", 0.5), ("neftune", -1.0), ("max_grad_norm", -1.0),
        ("virtual_tokens", 0), ("dpo_least", 0), ("distil_alpha", 1.5), ("distil_tokens", 0),
    ],
)  # fmt: skip
def test_a_value_without_a_meaning_is_named(key, value):
    """Each is refused when the settings are read, with its key in the message."""
    with pytest.raises(ConfigError, match=rf"\[train\] {key}: "):
        Settings(values={"train": {key: value}}).resolve(TrainConfig, "train")


@pytest.mark.parametrize(
    ("key", "value"),
    [("tuning", "qlora"), ("init", "svd"), ("optimizer", "sgd"), ("schedule", "linear"), ("precision", "int8")],
)
def test_a_way_that_is_not_offered_is_told_with_those_that_are(key, value):
    """The message has the key and what may stand there."""
    with pytest.raises(ConfigError, match=rf"train\.{key}: '{value}'; (known|did you mean)"):
        Settings(values={"train": {key: value}}).resolve(TrainConfig, "train")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"tuning": "full", "dora": True}, r'dora: only for tuning = "lora", and tuning is "full"; remove dora'),
        ({"tuning": "prompt", "lora_plus": 16}, r'lora_plus: only for tuning = "lora"'),
        ({"tuning": "prefix", "init": "pissa", "gradient_checkpointing": False}, r'init: only for tuning = "lora"'),
        ({"tuning": "prefix", "gradient_checkpointing": True}, "set gradient_checkpointing = false"),
        ({"stages": ["distil"], "tuning": "full"}, r'distil trains LoRA, .* set tuning = "lora", or take sft'),
        ({"dora": True, "init": "pissa"}, r'set init = "default" or dora = false'),
        ({"schedule": "wsd", "decay": 0.9, "warmup": 0.2}, r"decay: 0\.9 and warmup 0\.2 are more than all steps"),
    ],
)
def test_settings_that_do_not_go_together_are_told_with_the_way_out(settings, said):
    """What would change nothing beside another, and what would be silently wrong; each alone is fine."""
    with pytest.raises(ConfigError, match=said):
        Settings(values={"train": settings}).resolve(TrainConfig, "train")
    assert TrainConfig(rslora=True, dora=True, lora_plus=16, neftune=5).virtual == 0
    assert TrainConfig(tuning="prefix", virtual_tokens=7).virtual == 7
    assert TrainConfig(decay=0.9, warmup=0.2).schedule == "cosine"


@pytest.mark.parametrize("way", [{"tuning": "full"}, {"init": "pissa"}])
def test_what_4_bits_cannot_hold_is_refused(way):
    """Weights that are trained, and what PiSSA leaves of them; both are fine when nothing is quantised."""
    config = TrainConfig(**way)
    config.check_quantised(False)
    TrainConfig().check_quantised(True)
    with pytest.raises(UsageError, match=r"Set load_in_4bit = false under \[model\]"):
        config.check_quantised(True)


@pytest.mark.parametrize("value", ["auto", True, False])
def test_checkpointing_is_on_off_or_left_to_the_plan(value):
    """As kb.toml writes it; anything else is named with what there is."""
    settings = Settings(values={"train": {"gradient_checkpointing": value}})
    assert settings.resolve(TrainConfig, "train")[0].gradient_checkpointing == value
    with pytest.raises(ConfigError, match="'sometimes'; known: auto, false, true"):
        Settings(values={"train": {"gradient_checkpointing": "sometimes"}}).resolve(TrainConfig, "train")


def test_steps_take_the_place_of_epochs():
    """As many rows as the steps need, whatever there is; a negative number means nothing."""
    config = TrainConfig(epochs=2.0, batch_size=8)
    assert config.epochs_over(100) == 2.0
    assert replace(config, max_steps=50).epochs_over(100) == 4.0
    assert len(training_order([5] * 100, replace(config, max_steps=50).epochs_over(100), 8, 4, 0)) == 400
